"""`infsup report`: what was solved and checked, as one page to read anywhere."""

import os
import pathlib
import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infsup.cli.exits import DONE, NOTHING, UNREADABLE, ShellError
from infsup.cli.places import place_for
from infsup.cli.screen import screen
from infsup.core.errors import FileRejected

if TYPE_CHECKING:
    from infsup.report.page import Report

HOME = pathlib.Path("runs")


def report(
    folder: Annotated[
        list[pathlib.Path] | None,
        typer.Argument(
            metavar="[DIR...]",
            help="Saved solutions, folders of them, or of verify.json; by default `runs`.",
        ),
    ] = None,
    source: Annotated[
        list[pathlib.Path] | None,
        typer.Option("--from", metavar="DIR", help="The same; may be given several times."),
    ] = None,
    output: Annotated[
        pathlib.Path, typer.Option("--output", "-o", metavar="DIR", help="Where index.html goes.")
    ] = HOME / "report",
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> int:
    """Write what was solved and checked as one page.

    It needs no network and no script, in light and dark, on a screen, a phone or paper.
    """
    from infsup.report.page import pages

    places = [*(folder or []), *(source or [])] or [HOME]
    found, faults = gather(places, output)
    made = pages(found)
    place_for(output)
    for name, text in made.items():
        _write(output, name, text)
    index = output / "index.html"
    size = sum(len(text.encode()) for text in made.values())
    code = UNREADABLE if faults else DONE
    _summary(found, faults, index, size, code)
    screen.emit(
        {
            "status": {"verdict": "done" if code == DONE else "partial", "exit": code},
            "saved": str(index),
            "pages": sorted(made),
            "bytes": size,
            "unreadable": faults,
            **_counts(found),
        }
    )
    if show:
        import webbrowser

        webbrowser.open(index.resolve().as_uri())
    return code


def gather(places: list[pathlib.Path], output: pathlib.Path) -> "tuple[Report, list[str]]":
    """What is found in some folders, and in words what could not be read.

    Args:
        places: solutions, folders of them, folders of verify.json.
        output: where the report goes, for the command that it names.

    Raises:
        ShellError: there is nothing at all.
    """
    from infsup.report.page import Report
    from infsup.report.stops import Unreadable, found_under, read_stop
    from infsup.report.verified import read

    # what is found twice, by a link or in two places, is shown once
    solutions = list({s.resolve(): s for p in places[::-1] for s in found_under(p)[::-1]}.values())
    solutions.reverse()
    records = _records(places)
    missing = [p for p in places if not p.exists()]
    faults = [(str(p), "There is no such folder.") for p in missing]
    if not solutions and not records:
        where = ", ".join(str(p) for p in places)
        raise ShellError(
            f"there is nothing to report in `{where}`",
            "A report shows saved solutions and what `infsup verify` found.",
            "infsup verify --quick   or   infsup solve hjb-lq-100",
            NOTHING,
        )
    verified = None
    for place in records[:1]:
        try:
            verified = read(place)
            faults += verified.faults
        except FileRejected as e:
            faults.append((e.what, f"{e.why} Try {e.remedy}.".strip()))
    if solutions:
        from infsup.cli.problem_file import use_64_bit

        use_64_bit()
    stops = []
    for number, place in enumerate(solutions, 1):
        screen.note(f"{number} of {len(solutions)}  {place}")
        stops.append(read_stop(place))
    said = [f"{what} {why}" for what, why in faults]
    said += [f"{s.path}: {s.reason}" for s in stops if isinstance(s, Unreadable)]
    # in the order in which people ask, not of the alphabet
    stops.sort(key=lambda s: not isinstance(s, Unreadable) and _rank(s.gallery))
    words = [*map(str, places if places != [HOME] else [])]
    words += ["-o", str(output)] if output != HOME / "report" else []
    typed = shlex.join(["infsup", "report", *words])
    from infsup.cli.documents import versions

    run = [
        ("command", typed),
        ("date", f"{datetime.now(UTC):%Y-%m-%d, %H:%M} UTC"),
        ("versions", ", ".join(f"{k} {v}" for k, v in versions().items() if v)),
    ]
    if verified is not None:
        run.append(("theorems", f"{verified.size}, key {verified.key}, {verified.seconds:.0f} s"))
    run.append(("machine", f"{os.cpu_count()} cores"))
    return Report(stops, verified, faults, run), said


def _records(places: list[pathlib.Path]) -> list[pathlib.Path]:
    """Folders with a run of `infsup verify`, the newest first: only that one is shown."""
    found = {f.resolve(): f for p in places for f in (p / "verify.json", *p.glob("*/verify.json"))}
    there = [(f.stat().st_mtime, f.parent) for f in found.values() if f.is_file()]
    folders = [folder for _, folder in sorted(there, key=lambda x: x[0], reverse=True)]
    for older in folders[1:]:
        screen.note(f"{older / 'verify.json'} is older than {folders[0]}: not shown")
    return folders


def _rank(name: str) -> int:
    from infsup.report.stops import TITLES

    order = list(TITLES)
    return order.index(name) if name in order else len(order)


def _write(output: pathlib.Path, name: str, text: str) -> None:
    """Writes a file that is either whole or as before."""
    draft = output / f".{name}.{os.getpid()}"
    try:
        draft.write_text(text, "utf-8")
        draft.replace(output / name)
    finally:
        draft.unlink(missing_ok=True)


def _counts(found: "Report") -> dict[str, Any]:
    from infsup.report.stops import Stop

    cards = found.verified.cards if found.verified else ()
    return {
        "solutions": [
            {"name": s.name, "verdict": s.certificate.verdict}
            for s in found.stops
            if isinstance(s, Stop)
        ],
        "theorems": [{"id": c.id, "verdict": c.verdict} for c in cards],
    }


def _summary(found: "Report", faults: list[str], index: pathlib.Path, size: int, code: int) -> None:
    if screen.quiet:
        screen.say(str(index))
        return
    counts = _counts(found)
    words = {}
    for entry in [*counts["solutions"], *counts["theorems"]]:
        words[entry["verdict"]] = words.get(entry["verdict"], 0) + 1
    rows = [
        ("solutions", str(len(counts["solutions"]))),
        ("theorems", str(len(counts["theorems"]))),
        ("verdicts", ", ".join(f"{n} {v}" for v, n in words.items()) or "none"),
        ("saved", f"{index}, {size / 1e6:.2f} MB"),
    ]
    screen.rows(rows)
    for fault in faults:
        screen.say(f"⊘ unreadable  {fault}", "refused")
    screen.rows([("next", f"open {index} in a browser" + (f"  [exit {code}]" if code else ""))])
