"""`infsup solve`: finds an answer, certifies it, prints the bracket, saves the solution."""

import pathlib
import shlex
from typing import Annotated, Any

import typer

from infsup.cli.exits import (
    DONE,
    FAILED,
    INTERRUPTED,
    TERMINATED,
    UNCERTIFIED,
    UNREADABLE,
    ShellError,
    in_words,
)
from infsup.cli.listing import complete_bound, complete_method, complete_problem
from infsup.cli.places import place_for
from infsup.cli.screen import screen
from infsup.core.errors import InfsupError


def solve(
    problem: Annotated[
        str,
        typer.Argument(
            help="A name of `infsup list problems`, or a Python file with a module-level `problem` "
            "and perhaps `method` and `bounds`. The file is your own code: it is executed.",
            autocompletion=complete_problem,
        ),
    ],
    method: Annotated[
        str | None,
        typer.Argument(
            help="How; by default one is chosen, and says why.", autocompletion=complete_method
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "-s", metavar="NAME=VALUE", help="A parameter of the problem or the method; repeatable."
        ),
    ] = None,
    bound: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="How to know its worth, the headline first; repeatable. Default: chosen.",
            autocompletion=complete_bound,
        ),
    ] = None,
    key: Annotated[int, typer.Option(min=0, help="The same key gives the same answer.")] = 0,
    steps: Annotated[int | None, typer.Option(min=0, help="The method's budget.")] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Stop after so many, compile time apart.")
    ] = None,
    reach: Annotated[
        float | None, typer.Option(help="Stop when the defended end is this good.")
    ] = None,
    gap: Annotated[
        float | None, typer.Option(help="Exit 3 where the headline's bracket is wider.")
    ] = None,
    level: Annotated[
        float, typer.Option(help="With this probability all certificates hold together.")
    ] = 0.99,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="DIR", help="Where to save; default runs/NAME-KEY."),
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(metavar="DIR", help="Save the state there every 30 s.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Go on from a checkpoint, to the same bytes."),
    ] = None,
    log: Annotated[
        str | None, typer.Option(metavar="FILE.jsonl", help="Append the metrics of every look.")
    ] = None,
    no_save: Annotated[bool, typer.Option("--no-save", help="Do not save.")] = False,
) -> int:
    """Find an answer and certify it.

    \b
    infsup solve hjb-lq-100 -s lam=20
    infsup solve digits AdamW --steps 500
    infsup solve my_problem.py --gap 0.01
    """  # noqa: D301
    from infsup.cli.problem_file import open_problem, settings, the_bound, the_method, use_64_bit

    if not 0.0 < level < 1.0:
        raise ShellError(f"`--level {level:g}` is no probability in (0, 1)", remedy="--level .99")
    if gap is not None and not gap >= 0:
        raise ShellError(f"`--gap {gap:g}` is no width", remedy="--gap 0.01")
    if seconds is not None and not seconds > 0:
        raise ShellError(f"`--seconds {seconds:g}` is no time to work", remedy="--seconds 60")
    given = settings(setting or [])
    asked = open_problem(problem, given)
    how, why = the_method(asked, method, steps)
    bounds = [the_bound(asked, name) for name in bound] if bound else asked.bounds
    folder = None if no_save else pathlib.Path(out or f"runs/{_name(asked)}-{key}")
    if folder is not None:
        _room_for(folder)
    use_64_bit()
    stop = _rules(seconds, reach)
    tell = []
    if log is not None:
        from infsup.core.callbacks import JSONLines

        tell.append(JSONLines(log))

    from infsup.core.verbs import solve as find

    solution = find(
        asked.problem,
        how,
        bounds=bounds,
        stop=stop,
        key=key,
        # 1 - .99 is not .01
        delta=float(1 - _decimal(level)),
        checkpoint=checkpoint,
        resume=resume,
        progress=False if screen.quiet else None,
        callbacks=tell,
    )
    if why:
        solution = solution.replace(why=why)
    unsaved = None
    if folder is not None:
        try:
            solution.save(folder)
        except (InfsupError, OSError) as e:
            # the bracket is shown all the same: it may have taken hours
            unsaved, folder = e, None
    code = _code(solution, gap)
    if unsaved is None:
        screen.emit(_document(asked, solution, folder, code))
    _print(solution, folder, gap, named=method is not None, asked=problem)
    if unsaved is not None:
        words = in_words(unsaved)
        raise ShellError(words.what, words.why, words.remedy, UNREADABLE) from unsaved
    return code


def _name(asked: Any) -> str:
    """Of the default folder: other parameters make another problem, so another name."""
    parts = [asked.id, *(f"{k}={v}" for k, v in asked.params.items())]
    return "-".join("".join(c if c.isalnum() or c in "-=._" else "_" for c in p) for p in parts)


def _decimal(level: float) -> Any:
    from decimal import Decimal

    return Decimal(repr(level))


def _rules(seconds: float | None, reach: float | None) -> Any:
    from infsup.core.stop import Reach, Rule, Seconds

    rule: Rule | None = Seconds(seconds) if seconds is not None else None
    if reach is not None:
        rule = Reach(reach) if rule is None else rule | Reach(reach)
    return rule


def _room_for(folder: pathlib.Path) -> None:
    """What cannot be saved there at the end is said before the work."""
    if folder.is_file():
        raise ShellError(f"`{folder}` is a file", remedy="-o DIR", code=UNREADABLE)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "solution.json").is_file():
        raise ShellError(
            f"`{folder}` holds something that is no solution", "It is not replaced.", "-o DIR"
        )
    place_for(folder.parent)


def _code(solution: Any, gap: float | None) -> int:
    c = solution.certificate
    if any(x.verdict == "refuted" for x in solution.certificates):
        return FAILED
    by = solution.stopped_by
    if by in ("interrupted", "terminated"):
        return INTERRUPTED if by == "interrupted" else TERMINATED
    wide = gap is not None and not c.width <= gap
    if c.verdict in ("refused", "inapplicable") or wide or by in ("not finite", "error"):
        return UNCERTIFIED
    return DONE


def _document(asked: Any, solution: Any, folder: pathlib.Path | None, code: int) -> dict[str, Any]:
    import resource

    from infsup.cli.documents import (
        as_number,
        certificate_as_json,
        comparators_as_json,
        versions,
    )

    file = str(folder / "arrays.safetensors") if folder is not None else None
    cost = solution.cost
    certificates = [certificate_as_json(c, file) for c in solution.certificates]
    return {
        "problem": {
            "id": asked.id,
            "name": solution.problem.name,
            "params": {k: as_number(v) for k, v in asked.params.items()},
            "truth": as_number(solution.problem.truth),
        },
        "method": {
            "name": type(solution.method).__name__,
            "why": solution.why,
            "settings": {k: as_number(v) for k, v in asked.left.items()},
        },
        "key": _key(solution.key),
        "versions": versions(),
        "status": {
            "verdict": solution.certificate.verdict,
            "stopped_by": solution.stopped_by,
            "exit": code,
        },
        "certificate": certificates[0],
        "certificates": certificates,
        "comparators": comparators_as_json(solution.comparators),
        "cost": {
            "seconds": cost["seconds"],
            "compile_seconds": cost["compile_seconds"],
            "total_seconds": cost.get("total"),
            "steps": int(cost["steps"]),
            # no method counts them yet
            "evaluations": None,
            "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        },
        "path": str(folder) if folder is not None else None,
    }


def _key(key: Any) -> list[int]:
    import jax
    import numpy as np

    return [int(x) for x in np.asarray(jax.random.key_data(key)).ravel()]


def _print(
    solution: Any, folder: pathlib.Path | None, gap: float | None, *, named: bool, asked: str
) -> None:
    from infsup.cli.documents import also, put, seconds, show

    c = solution.certificate
    show(c, truth=solution.problem.truth, comparators=solution.comparators)
    also(c, solution.certificates[1:])
    method = type(solution.method).__name__
    if named:
        put("method", f"{method}, as you asked")
    else:
        put("method", f"{method} ({solution.why})" if solution.why else method)
    cost = solution.cost
    parts = [seconds(cost["seconds"])]
    if cost["compile_seconds"] > 0:
        parts.append(f"compile {seconds(cost['compile_seconds'])}")
    if solution.steps > 1:
        parts.append(f"{solution.steps:,} steps")
    if "certify" in solution.seconds:
        parts.append(f"certify {seconds(solution.seconds['certify'])}")
    put("cost", ", ".join(parts))
    if said := _stopped(solution):
        put("stopped", said)
    if gap is not None:
        met = "met" if c.width <= gap else "not met"
        put("gap", f"asked at most {gap:g}: {met}")
    if solution.resumed:
        put("resumed", solution.resumed)
    if folder is not None:
        put("saved", str(folder))
        put(
            "next",
            shlex.join(["infsup", "check", str(folder)])
            if c.holds()
            else f"infsup list --for {asked}",
        )
    else:
        put("next", "the same without --no-save" if c.holds() else f"infsup list --for {asked}")


def _stopped(solution: Any) -> str:
    by = solution.stopped_by
    words = {
        "not finite": "a metric was not finite; the answer is the last good one",
        "error": "a step raised an error; the answer is that of the steps before",
        "interrupted": "by Ctrl-C; the best so far",
        "terminated": "by SIGTERM; the best so far",
        "seconds": f"by the clock; in Python stop=Steps({solution.stages[-1].steps}) makes the "
        "same run",
        "reached": "the goal was reached",
        "plateau": "it had stopped falling",
    }
    if by in ("steps", "done", "direct", ""):
        return ""
    said: str = words.get(by) or str(by)
    if by == "error" and solution.error is not None:
        first = (str(solution.error).splitlines() or [""])[0]
        said += f": {type(solution.error).__name__}: {first}"
    return said
