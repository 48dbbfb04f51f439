"""`infsup certify network`: how far a network in a file is from a function."""

import math
import pathlib
from typing import Annotated, Any

import typer

from infsup.cli.approximating import remedies_as_options
from infsup.cli.exits import DONE, UNCERTIFIED, UNREADABLE, ShellError
from infsup.cli.screen import screen
from infsup.cli.solving import _room_for


def network(
    file: Annotated[
        str,
        typer.Argument(help="An .onnx file, or the folder of a saved solution; of one variable."),
    ],
    function: Annotated[
        str,
        typer.Option(
            metavar="EXPR", help='What it should be, e.g. "exp(-x)*sin(3*x)"; x is its variable.'
        ),
    ],
    on: Annotated[tuple[float, float], typer.Option(metavar="A B", help="The interval.")],
    dtype: Annotated[
        str,
        typer.Option(
            help="What is bracketed: the network in real arithmetic (real), or as executed in "
            "float32 or float64, rounding included."
        ),
    ] = "real",
    rtol: Annotated[float, typer.Option(help="Relative width that is aimed at.")] = 0.01,
    eps: Annotated[
        float | None, typer.Option(help="Exit 3 where the error is not shown to be at most this.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Save network, certificate and proof, for infsup check."),
    ] = None,
) -> int:
    """Bracket the largest error of a network on an interval, proved.

    infsup certify network mine.onnx --function "sin(3*x)" --on 0 2
    """
    from infsup.cli.problem_file import use_64_bit

    use_64_bit()
    if not 0 < rtol < 1:
        raise ShellError(f"`--rtol {rtol:g}` is no relative width", remedy="--rtol 0.01")
    if dtype not in ("real", "float32", "float64"):
        raise ShellError(f"`--dtype {dtype}` is not read", remedy="--dtype real, float32, float64")
    low, high = on
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        swap = f"--on {high:g} {low:g}" if high < low else "--on 0 1"
        why = "The largest error is over an interval of two finite ends, the lower one first."
        raise ShellError(f"`--on {low:g} {high:g}` is empty or not finite", why, swap)
    if output is not None:
        _room_for(pathlib.Path(output))
    import infsup as isp
    from infsup.approximation import Approximate, PiecewiseEnclosure, SmoothEnclosure
    from infsup.approximation.bounds.smooth_enclosure import is_piecewise
    from infsup.approximation.given import Given
    from infsup.networks import ReLUNetwork

    with remedies_as_options():
        problem = Approximate(function, tuple(on), eps=eps, dtype=dtype)
    answer = _answer(file)
    bound: Any = PiecewiseEnclosure(rtol)
    if isinstance(answer, ReLUNetwork):
        if (answer.n_inputs, answer.n_out) != (1, 1):
            raise ShellError(
                f"the network in `{file}` has {_many(answer.n_inputs, 'input')} and "
                f"{_many(answer.n_out, 'output')}",
                "One variable in and one number out is what a function of x is compared with.",
            )
    elif not is_piecewise(answer):
        bound = SmoothEnclosure(rtol)
    source = pathlib.Path(file).name
    solution = isp.solve(problem, Given(source), bounds=(bound,), start=isp.Outcome(answer))
    certificate = solution.certificate
    code = DONE
    if certificate.verdict in ("refused", "inapplicable") or certificate.met in ("no", "open"):
        code = UNCERTIFIED
    if output is not None:
        solution.save(output)
    _say(file, function, on, solution, answer, output, code)
    return code


def _answer(file: str) -> Any:
    """The network of a file or of a saved solution."""
    path = pathlib.Path(file)
    if path.is_dir():
        import infsup as isp

        return isp.load(path).answer
    if not path.is_file():
        raise ShellError(f"`{file}` does not exist", code=UNREADABLE)
    from infsup.networks import from_onnx

    return from_onnx(path)


def _many(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _say(
    file: str,
    function: str,
    on: tuple[float, float],
    solution: Any,
    answer: Any,
    output: str | None,
    code: int,
) -> None:
    from infsup.cli.documents import certificate_as_json, comparators_as_json, put, show, versions
    from infsup.networks import ReLUNetwork

    certificate = solution.certificate
    counts: dict[str, int] = {}
    if isinstance(answer, ReLUNetwork):
        found = answer.counts
        counts = {"units": found.units, "layers": found.n_hidden, "weights": found.n_nonzero}
    proof = certificate.proof
    if "fewest_units" in proof:
        counts |= {"cells": len(proof["grid"]) - 1, "fewest_units": proof["fewest_units"]}
    screen.emit(
        {
            "file": file,
            "function": function,
            "domain": list(on),
            "network": counts,
            "versions": versions(),
            "status": {"verdict": certificate.verdict, "exit": code},
            "certificate": certificate_as_json(certificate, output),
            "comparators": comparators_as_json(solution.comparators),
            "solution": output,
        }
    )
    show(certificate, comparators=solution.comparators)
    if counts:
        words = ", ".join(f"{v:,} {k}" for k, v in counts.items() if k != "fewest_units")
        put("network", f"{words}; {file}")
    if output is not None:
        put("saved", output)
