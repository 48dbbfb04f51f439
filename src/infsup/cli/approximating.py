"""`infsup approximate`: a network for an expression, with a proved error."""

import contextlib
import pathlib
import re
import shlex
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from infsup.cli.exits import DONE, UNCERTIFIED, ShellError
from infsup.cli.screen import screen
from infsup.cli.solving import _room_for
from infsup.core.errors import InfsupError


def approximate(
    function: Annotated[
        str, typer.Argument(metavar="EXPR", help='Of x, e.g. "exp(-x)*sin(3*x)"; not Python code.')
    ],
    on: Annotated[tuple[float, float], typer.Option(metavar="A B", help="The interval.")],
    eps: Annotated[float, typer.Option(help="The largest error that is asked for.")],
    method: Annotated[
        str | None, typer.Option(metavar="NAME", help="How; by default of fewest units.")
    ] = None,
    dtype: Annotated[
        str,
        typer.Option(
            help="What is bracketed: the network in real arithmetic (real), or as executed in "
            "float64 or float32, rounding included."
        ),
    ] = "real",
    budget: Annotated[int, typer.Option(min=1, help="The most units that it may have.")] = 20_000,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="DIR", help="Default runs/approximate-..."),
    ] = None,
    papers: Annotated[
        bool, typer.Option("--papers/--no-papers", help="Compare with the literature's sizes.")
    ] = True,
) -> int:
    """Find a ReLU network within eps of a function on an interval, and prove it.

    \b
    infsup approximate "exp(-x)*sin(3*x)" --on 0 6 --eps 1e-8
    infsup approximate "abs(x)**1.5" --on -1 1 --eps 1e-4 --dtype float32
    """  # noqa: D301
    from infsup.cli.problem_file import use_64_bit

    if dtype not in ("real", "float64", "float32"):
        raise ShellError(f"`--dtype {dtype}` is not read", remedy="--dtype real, float64, float32")
    folder = pathlib.Path(output or f"runs/approximate-{_name(function, on, eps)}")
    _room_for(folder)
    use_64_bit()
    from infsup.approximation import Approximate
    from infsup.core.verbs import solve

    with remedies_as_options():
        problem = Approximate(function, tuple(on), eps, dtype, budget=budget)
        solution = solve(problem, method, progress=False if screen.quiet else None)
    solution.save(folder)
    pictures = _pictures(problem, solution, folder)
    sizes = _papers(problem) if papers else {}
    c = solution.certificate
    code = DONE if c.holds() and c.met == "yes" else UNCERTIFIED
    _say(function, problem, solution, folder, pictures, sizes, code)
    return code


@contextlib.contextmanager
def remedies_as_options() -> Iterator[None]:
    """What to try instead, as options of the shell rather than arguments in Python."""
    try:
        yield
    except InfsupError as error:
        text = re.sub(r"domain=\(([^,()]+), ([^,()]+)\)", r"--on \1 \2", error.remedy)
        text = re.sub(r'\b(budget|dtype|eps)="?([\w.+-]+)"?', r"--\1 \2", text)
        error.remedy = re.sub(r"\b([A-Z]\w+)\(\)", r"--method \1", text)
        raise


def _name(function: str, on: tuple[float, float], eps: float) -> str:
    text = f"{function}-{on[0]:g}-{on[1]:g}-{eps:g}"
    return "".join(c if c.isalnum() or c in "-=._" else "_" for c in text)[:80]


def figures(problem: Any, solution: Any) -> tuple[Any, Any]:
    """The function with its network, and the error with the ends of its bracket, as data."""
    import numpy as np

    from infsup.core.figure import Curve, Figure

    a, b = problem.domain
    x = np.linspace(a, b, 2001)
    f, n = problem.values(x), solution.answer.values(x)
    c = solution.certificate
    units = solution.answer.counts.units
    both = Figure(
        (Curve(x, f, "f", "grey", "dashed"), Curve(x, n, f"network, {units} units", "accent")),
        x="x",
        y="f(x), N(x)",
        caption=f"{problem.text} and a network of {units} units",
    )
    gap = Curve(x, f - n, "f - N", "accent")
    ends = [
        Curve(np.array([a, b]), np.full(2, sign * end), word if sign > 0 else "", "ink", "dashed")
        for end, word in ((c.upper, "upper end"), (c.lower, "lower end"))
        for sign in (1, -1)
        if np.isfinite(end)
    ]
    caption = "the error at 2,001 points, and the bracket of its largest size"
    return both, Figure((*ends, gap), x="x", y="f(x) - N(x)", caption=caption)


def _pictures(problem: Any, solution: Any, folder: pathlib.Path) -> list[str]:
    """Beside the folder, which holds nothing but what `infsup check` reads."""
    from infsup.report.figures import draw

    names = []
    for figure, word in zip(figures(problem, solution), ("function", "error"), strict=True):
        path = folder.parent / f"{folder.name}-{word}.svg"
        path.write_text(draw(figure, solution.certificate.verdict), encoding="utf-8")
        names.append(str(path))
    return names


def _papers(problem: Any) -> dict[str, int]:
    from infsup.approximation import papers_counts
    from infsup.core.errors import InfsupError

    try:
        return {name: count.units for name, count in papers_counts(problem).items()}
    except (InfsupError, ArithmeticError, ValueError):
        return {}


def _executed(problem: Any, solution: Any) -> float | None:
    """The error at samples in float64, where rounding takes it far beyond the bracket."""
    import numpy as np

    a, b = problem.domain
    x = np.linspace(a, b, 2001)
    off = float(np.max(np.abs(problem.values(x) - solution.answer.values(x))))
    return off if off > 2 * solution.certificate.upper + 1e-13 * problem.size() else None


def _say(
    function: str,
    problem: Any,
    solution: Any,
    folder: pathlib.Path,
    pictures: list[str],
    sizes: dict[str, int],
    code: int,
) -> None:
    from infsup.cli.documents import (
        certificate_as_json,
        comparators_as_json,
        put,
        seconds,
        show,
        versions,
    )

    c, n = solution.certificate, solution.answer.counts
    fewest = c.proof.get("fewest_units")
    cost = solution.seconds.get("total", 0.0)
    screen.emit(
        {
            "function": function,
            "domain": list(problem.domain),
            "eps": problem.eps,
            "network": {
                "units": n.units,
                "weights_and_biases": n.n_nonzero,
                "edges_and_units": n.n_weights_yarotsky,
                "hidden_layers": n.n_hidden,
                "width": n.width,
                "fewest_units": fewest,
            },
            "papers": sizes,
            "method": {"name": type(solution.method).__name__, "why": solution.why},
            "versions": versions(),
            "status": {"verdict": c.verdict, "exit": code},
            "certificate": certificate_as_json(c, str(folder / "arrays.safetensors")),
            "comparators": comparators_as_json(solution.comparators),
            "cost": {"total_seconds": cost},
            "path": str(folder),
            "pictures": pictures,
        }
    )
    show(c, comparators=solution.comparators)
    if screen.quiet:
        return
    put(
        "network",
        f"{n.units:,} units, {n.n_nonzero:,} nonzero weights and biases (Petersen-Zech; "
        f"{n.n_weights_yarotsky:,} edges and units, Yarotsky), {n.n_hidden} hidden layers, skip "
        f"connections {'none' if solution.answer.is_strict else 'used'}",
    )
    if fewest is not None:
        put("no fewer", f"any ReLU network with this error has at least {fewest} units")
    if problem.dtype == "real" and (off := _executed(problem, solution)) is not None:
        put(
            "executed",
            f"in float64 this network is off by {off:.2g} or more (at samples), since weights of "
            "very different size cancel; --dtype float64 brackets what is executed",
        )
    if sizes:
        words = ", ".join(f"{k} {v:,}" for k, v in sizes.items())
        put("papers", f"units for the same error: {words}")
    put("cost", seconds(cost))
    put("saved", str(folder))
    put("pictures", ", ".join(pictures))
    put("next", shlex.join(["infsup", "check", str(folder)]))
