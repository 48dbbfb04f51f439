"""`infsup check`: derives the claims of saved solutions again, without JAX."""

import pathlib
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from infsup.cli.exits import (
    DONE,
    FAILED,
    UNCERTIFIED,
    UNREADABLE,
    USAGE,
    ShellError,
    in_words,
    report,
)
from infsup.cli.screen import screen

SIGNS = {"agrees": ("✓", "+"), "fails": ("✗", "x"), "not re-checked": ("–", "-")}
COLOURS = {"agrees": "certified", "fails": "refuted", "not re-checked": "vacuous"}


def check(
    folder: Annotated[list[str], typer.Argument(metavar="DIR...", help="Saved solutions.")],
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Also run the model on the data again; this needs JAX."),
    ] = False,
    own: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="FILE.py",
            help="Your own code, which is executed first: its checkers, its `problem`.",
        ),
    ] = None,
) -> int:
    """Derive the claims of saved solutions again.

    A claim that could not be derived here is said, and does not count as agreeing (exit 3).
    """
    from infsup.core.check import check as derive

    problem = None
    if own is not None:
        from infsup.cli.problem_file import run_file

        problem = getattr(run_file(own), "problem", None)
    if replay:
        from infsup.cli.problem_file import use_64_bit

        use_64_bit()
    codes, documents = [], []
    for number, path in enumerate(folder):
        if number and not screen.quiet:
            screen.say()
        try:
            if not _looks_saved(pathlib.Path(path)):
                raise _no_folder(path)
            found = derive(path, replay=replay, problem=problem if replay else None)
        except Exception as error:
            words = in_words(error)
            if words.code not in (UNREADABLE, USAGE) or len(folder) == 1:
                raise
            json, screen.json = screen.json, False
            codes.append(report(words))
            screen.json = json
            documents.append({"path": path, "error": words.what, "exit": words.code})
            continue
        code = FAILED if found.failed else UNCERTIFIED if found.open else DONE
        codes.append(code)
        documents.append(_document(found, code))
        _print(found, code, several=len(folder) > 1)
    # a failed claim matters more than a file that could not be read, and that more than an open one
    worst = next((c for c in (FAILED, UNREADABLE, USAGE, UNCERTIFIED) if c in codes), DONE)
    verdict = {DONE: "stands", FAILED: "fails", UNCERTIFIED: "not re-checked"}
    screen.emit(
        {
            "status": {"verdict": verdict.get(worst, "unreadable"), "exit": worst},
            "solutions": documents,
        }
    )
    return worst


def _looks_saved(path: pathlib.Path) -> bool:
    return any((path / name).exists() for name in ("solution.json", "checksums"))


def _no_folder(path: str) -> ShellError:
    given = pathlib.Path(path)
    if given.is_file():
        return ShellError(f"`{path}` is no folder", "A solution is a folder.", code=UNREADABLE)
    places = (given, given / "runs", given.parent, pathlib.Path("runs"))
    found = (sorted(p.parent for p in place.glob("*/solution.json")) for place in places)
    there = next((names for names in found if names), [])
    remedy = shlex.join(["infsup", "check", str(there[0])]) if there else "infsup solve hjb-lq-100"
    fault = "holds no saved solution" if given.is_dir() else "does not exist"
    return ShellError(f"`{path}` {fault}", remedy=remedy, code=UNREADABLE)


def _document(found: Any, code: int) -> dict[str, Any]:
    return {
        "path": found.path,
        "exit": code,
        "stands": found.stands,
        "replayed": found.replayed,
        "seconds": found.seconds,
        "findings": [
            {"what": f.what, "verdict": f.verdict, "text": f.text} for f in found.findings
        ],
    }


def _joined(findings: Sequence[Any]) -> list[Any]:
    """The findings, with the two ends of a bracket in one where both agree."""
    joined: list[Any] = []
    for f in findings:
        before = joined[-1] if joined else None
        name = f.what.removeprefix("upper end of ")
        if (
            before is not None
            and before.what == f"lower end of {name}"
            and f.what != name
            and before.verdict == f.verdict == "agrees"
        ):
            ends = [x.text.removesuffix(" follows from the proof") for x in (before, f)]
            said = f"= {ends[0]}" if ends[0] == ends[1] else f"[{ends[0]}, {ends[1]}]"
            joined[-1] = replace(f, what=name, text=f"{said} follows from the proof")
        else:
            joined.append(f)
    return joined


def _print(found: Any, code: int, several: bool) -> None:
    from infsup.cli.documents import seconds
    from infsup.core.bracket import cells, clean, wrap

    ascii = screen.ascii
    took = f"{seconds(found.seconds)}, {'with' if found.replayed else 'without'} JAX"
    conclusion = {
        DONE: "The claim follows from the files.",
        FAILED: "The claim does not follow from the files.",
        UNCERTIFIED: "What was not re-checked does not count as agreeing.",
    }[code]
    if screen.quiet:
        sign = SIGNS[{DONE: "agrees", FAILED: "fails"}.get(code, "not re-checked")][ascii]
        screen.say(f"{sign} {found.path}  {conclusion}")
        return
    if several:
        screen.say(found.path)
    for f in _joined(found.findings):
        sign = SIGNS[f.verdict][ascii]
        what = f"{clean(f.what)}: "
        if f.verdict == "not re-checked":
            what += "not re-checked, "
        lines = wrap(what + clean(f.text), screen.width - 2)
        screen.say(f"{sign} {lines[0]}", COLOURS[f.verdict])
        for line in lines[1:]:
            screen.say(f"  {line}")
    if code != DONE:
        took += f"  [exit {code}]"
    if cells(conclusion) + 2 + len(took) <= screen.width:
        screen.say(conclusion + took.rjust(screen.width - cells(conclusion)))
    else:
        screen.lines(wrap(conclusion, screen.width))
        screen.say(took)
