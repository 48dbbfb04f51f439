"""`infsup verify`: compares the theorems with what the library computes, in spawned processes."""

import importlib.metadata
import json
import os
import pathlib
import platform
import re
import shlex
import sys
import textwrap
import time
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infsup import __version__
from infsup.cli.exits import DONE, FAILED, INTERRUPTED, NOTHING, UNREADABLE, USAGE, ShellError
from infsup.cli.places import place_for
from infsup.cli.screen import screen
from infsup.core.errors import UsageError

if TYPE_CHECKING:
    from infsup.theorems.registry import Theorem

SECONDS = {"quick": 120.0, "default": 240.0, "full": 1800.0}
"""What one check may take before it counts as hung."""

HOME = pathlib.Path("runs/verify")
"""Where the record goes."""

WORDS = {"certified": "held", "refuted": "refuted"}
"""Verdict -> word of the count, where it is another."""


def complete(incomplete: str) -> list[tuple[str, str]]:
    """Ids for the shell's completion."""
    from infsup.theorems.registry import theorems

    known = theorems().values()
    return [(t.id, t.title) for t in known if t.id.lower().startswith(incomplete.lower())]


def verify(
    pattern: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATTERN...]",
            help="Ids (B05, B*), pillars (control), or a part of a title; all by default.",
            autocompletion=complete,
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Seconds a theorem.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Larger instances; minutes.")] = False,
    broken: Annotated[
        bool,
        typer.Option("--broken", help="Run the broken variants: each of them must fail."),
    ] = False,
    explain: Annotated[
        str, typer.Option(metavar="ID", help="What it says, and whence; nothing is run.")
    ] = "",
    failed: Annotated[
        bool, typer.Option("--failed", help="Only those that failed in the last run.")
    ] = False,
    show: Annotated[bool, typer.Option("--list", help="Only print ids and titles.")] = False,
    output: Annotated[
        pathlib.Path, typer.Option("--output", "-o", metavar="DIR", help="Where verify.json goes.")
    ] = HOME,
    key: Annotated[int, typer.Option(help="Of all random draws, in [0, 2^32).")] = 0,
    jobs: Annotated[int, typer.Option(help="Processes.")] = 2,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds that one check may take.", show_default=False)
    ] = None,
) -> int:
    """Compare the theorems with what the library computes.

    A theorem that fails, or whose check crashes or hangs, makes the command fail (exit 1).
    """
    from infsup.theorems.registry import theorems

    known = theorems(_extra())
    if explain:
        return _explain(explain, known)
    patterns = list(pattern or [])
    name = "broken.json" if broken else "verify.json"
    if failed:
        patterns = _failed(output / name, patterns, known)
        if not patterns:
            screen.emit({"status": {"verdict": "done", "exit": DONE}, "theorems": []})
            screen.say("nothing failed in the last run")
            return DONE
    chosen = _find(patterns, known)
    if show:
        return _list(chosen)
    if quick and full:
        raise ShellError("`--quick` and `--full` exclude each other", remedy="one of them")
    if not 0 <= key < 2**32:
        raise ShellError(f"`--key {key}` is not in [0, 2^32)", remedy="--key 0")
    if jobs < 1:
        raise ShellError(f"`--jobs {jobs}` leaves nobody to work", remedy="--jobs 2")
    if timeout is not None and not 0 < timeout < 1e6:
        raise ShellError(f"`--timeout {timeout:g}` is no time", remedy="--timeout 60")
    place_for(output)
    size = "quick" if quick else "full" if full else "default"
    begun = time.monotonic()
    found: dict[str, Any] = {}
    try:
        _run(chosen, found, size, key, broken, jobs, timeout or SECONDS[size])
    except KeyboardInterrupt:
        if not found:
            raise
    seconds = time.monotonic() - begun
    left = len(chosen) - len(found)
    chosen = [t for t in chosen if t.id in found]
    ill = [t.id for t in chosen if _ill(found[t.id], broken)]
    code = INTERRUPTED if left else FAILED if ill else DONE
    document = {
        "kind": "verify",
        "schema": 1,
        "size": size,
        "broken": broken,
        "seconds": round(seconds, 3),
        "versions": {
            "infsup": __version__,
            "python": platform.python_version(),
            **{n: importlib.metadata.version(n) for n in ("jax", "numpy", "scipy")},
        },
        "key": key,
        "theorems": [{**t.as_dict(), **found[t.id]} for t in chosen],
    }
    path = output / name
    _write(path, document)
    _summary(found, ill, seconds, min(jobs, len(chosen)), broken, size, path)
    if left:
        screen.note(f"Interrupted: {left} of {left + len(chosen)} were not run.")
    verdict = {DONE: "done", FAILED: "fails"}.get(code, "interrupted")
    screen.emit({"status": {"verdict": verdict, "exit": code}, "saved": str(path), **document})
    return code


def _extra() -> list[str]:
    """Modules of one's own theorems, by name, from the environment."""
    return [m for m in os.environ.get("INFSUP_THEOREMS", "").split(",") if m]


def _find(patterns: list[str], known: "Mapping[str, Theorem]") -> "list[Theorem]":
    from infsup.theorems.registry import find

    try:
        return find(patterns, known)
    except UsageError as e:
        close = e.remedy.split(", ")
        remedy = f"infsup verify {close[0]}" if len(close) == 1 else "infsup verify --list"
        raise ShellError(e.what, e.why, remedy, NOTHING) from e


def _failed(path: pathlib.Path, patterns: list[str], known: "Mapping[str, Theorem]") -> list[str]:
    """Ids that failed in the last run, of those that are asked for."""
    if not path.is_file():
        raise ShellError(
            f"there is no `{path}`", "Nothing has been verified here yet.", "infsup verify"
        )
    try:
        last = json.loads(path.read_text("utf-8"))
        ill = [t["id"] for t in last["theorems"] if _ill(t, bool(last["broken"]))]
    except (ValueError, KeyError, TypeError) as e:
        raise ShellError(
            f"`{path}` is not a record of `infsup verify`", "", "infsup verify", UNREADABLE
        ) from e
    asked = {t.id for t in _find(patterns, known)}
    return [i for i in ill if i in asked]


def _ill(found: Mapping[str, Any], broken: bool) -> bool:
    """Whether an answer makes the command fail."""
    if found["error"]:
        return True
    return (found["verdict"] == "refuted") != broken


def _run(
    chosen: "list[Theorem]",
    found: dict[str, Any],
    size: str,
    key: int,
    broken: bool,
    jobs: int,
    timeout: float,
) -> None:
    """Fills `found` as answers come, so that an interrupt loses none of them."""
    from infsup.theorems.pool import run

    shown = 0
    running: list[str] = []
    with _Bar(len(chosen)) as bar:

        def started(id: str) -> None:
            running.append(id)
            bar.tell(len(found), running)

        answers = run(
            chosen,
            size=size,
            key=key,
            broken=broken,
            jobs=jobs,
            timeout=timeout,
            modules=_extra(),
            started=started,
        )
        for t, answer in answers:
            found[t.id] = answer
            running[:] = [i for i in running if i != t.id]
            bar.tell(len(found), running)
            # lines come in the order of the ids, whichever check ends first
            while shown < len(chosen) and chosen[shown].id in found:
                there = chosen[shown]
                bar.above(lambda t=there: _line(t, found[t.id], broken))
                shown += 1


class _Bar:
    """How many checks have ended, on stderr, where that is a terminal."""

    def __init__(self, count: int):
        self.count, self._bar, self._task = count, None, None

    def __enter__(self) -> "_Bar":
        if sys.stderr.isatty() and not screen.quiet:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._bar = Progress(
                BarColumn(bar_width=30),
                TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.description}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("starting", total=self.count)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, done: int, running: list[str]) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, description=" ".join(running))

    def above(self, say: Any) -> None:
        """Prints lines of the result above the bar."""
        if self._bar is not None:
            self._bar.stop()
        say()
        screen.out.flush()
        if self._bar is not None:
            self._bar.start()


def _line(t: "Theorem", found: Mapping[str, Any], broken: bool) -> None:
    if screen.quiet:
        return
    from infsup.core.bracket.signs import ASCII_SIGNS, SIGNS

    verdict = found["verdict"]
    good = not _ill(found, broken)
    sign = (ASCII_SIGNS if screen.ascii else SIGNS)[verdict]
    colour = verdict if not broken else ("certified" if good else "refuted")
    seconds = f"{found['seconds']:.1f} s"
    room = screen.width - len(seconds) - 2
    fact = found["error"] or _fact(found)
    head = f"{sign} {t.id}  {t.title}"
    if screen.width < 60 or len(head) + 2 > room:
        head = head if len(head) <= room else head[: room - 1] + "…"
    screen.say(head.ljust(room) + "  " + seconds, colour)
    screen.lines(_indented(fact))
    if verdict == "refused" and not found["error"]:
        screen.lines(_indented(found["notes"]))


def _indented(text: str) -> list[str]:
    import textwrap

    lead = " " * 7
    return textwrap.wrap(text, screen.width, initial_indent=lead, subsequent_indent=lead)


def _fact(found: Mapping[str, Any]) -> str:
    """The comparison that failed, else the headline: measured against bound."""
    if not found["compared"]:
        return ""
    bad = [c for c in found["compared"] if not c["holds"]]
    c = (bad or found["compared"])[0]
    relation = c["relation"] if c["holds"] else {"<=": ">", ">=": "<", "==": "≠"}[c["relation"]]
    sign = {"<=": "≤", ">=": "≥", "==": "="}.get(relation, relation)
    more = len(found["compared"]) - 1
    rest = f"   (and {more} more)" if more else ""
    return f"{c['quantity']}: {_number(c['measured'])} {sign} {_number(c['bound'])}{rest}"


def _number(text: str) -> str:
    """A number of a file for people: a short fraction as it is, else five digits."""
    if text == "nan":
        return text
    if "/" in text:
        p, q = text.split("/")
        if q == "1" and len(p) < 10:
            return p
        value = Fraction(int(p), int(q))
        return text if len(text) < 16 else f"{float(value):.5g}"
    return f"{float(text):.5g}"


def _summary(
    found: Mapping[str, Any],
    ill: list[str],
    seconds: float,
    jobs: int,
    broken: bool,
    size: str,
    path: pathlib.Path,
) -> None:
    took = f"{seconds:.0f} s, {jobs} process{'es' * (jobs != 1)}"
    if broken:
        good = len(found) - len(ill)
        end = ", as they must." if not ill else f"; {' '.join(ill)} did not."
        text = f"{good} of {len(found)} broken variants failed{end}"
    else:
        counts: dict[str, int] = {}
        for f in found.values():
            word = "crashed" if f["error"] else WORDS.get(f["verdict"], str(f["verdict"]))
            counts[word] = counts.get(word, 0) + 1
        counts = {"held": counts.pop("held", 0), **counts}
        counts.setdefault("refuted", 0)
        text = ", ".join(f"{n} {word}" for word, n in counts.items()) + "."
        if ill:
            text += f" Failed: {' '.join(ill)}."
    if screen.quiet:
        screen.say(text)
        return
    screen.say()
    gap = screen.width - len(text) - len(took)
    screen.lines([text + " " * gap + took] if gap >= 2 else [text, took])
    if ill:
        flags = ["--failed", "--broken" * broken, f"--{size}" * (size != "default")]
        if path.parent != HOME:
            flags.append(f"-o {shlex.quote(str(path.parent))}")
        after = " ".join(["infsup verify", *(f for f in flags if f)])
    else:
        after = "infsup verify" if broken else "infsup report --open"
    screen.rows([("saved", str(path)), ("next", after)], label=7)


def _explain(id: str, known: "Mapping[str, Theorem]") -> int:
    from infsup.report.literature import cited
    from infsup.report.math import apart
    from infsup.theorems.registry import KINDS

    chosen = _find([id], known)
    if len(chosen) > 1:
        ids = " ".join(t.id for t in chosen)
        raise ShellError(f"`{id}` is {ids}", remedy=f"--explain {chosen[0].id}", code=USAGE)
    t = chosen[0]
    screen.emit(
        {
            "status": {"verdict": "done", "exit": DONE},
            "theorem": {**t.as_dict(), "derivation": t.derivation},
        }
    )
    screen.say(f"{t.id}  {t.title}")
    screen.say()
    # in lines of their own, as the report sets them
    screen.lines(f"  {part.strip()}" for part in apart(t.statement))
    screen.say()
    for h in t.hypotheses:
        screen.rows([("where", h)])
    screen.rows(
        [
            ("source", cited(t.source)),
            ("kind", f"{t.kind}: {KINDS[t.kind]}"),
            ("code", f"{t.file}:{t.line}"),
        ]
    )
    screen.say()
    for paragraph in re.split(r"\n\s*\n", t.derivation.strip()):
        screen.lines(textwrap.wrap(" ".join(paragraph.split()), screen.width))
        screen.say()
    screen.rows([("next", f"infsup verify {t.id}")])
    return DONE


def _list(chosen: "list[Theorem]") -> int:
    rows = [
        {"id": t.id, "pillar": t.pillar, "title": t.title, "kind": t.kind, "source": t.source}
        for t in chosen
    ]
    screen.emit({"status": {"verdict": "done", "exit": DONE}, "theorems": rows})
    if screen.quiet:
        screen.lines(r["id"] for r in rows)
        return DONE
    screen.rows([(r["id"], r["title"]) for r in rows], label=5)
    return DONE


def _write(path: pathlib.Path, document: dict[str, Any]) -> None:
    """Writes a file that is either whole or as before."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as stream:
            json.dump(document, stream, allow_nan=False, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
