"""`infsup bench`: runs the benchmarks of a clone, each a script of its own."""

import pathlib
import subprocess
import sys
from typing import Annotated

import typer

from infsup.cli.exits import DONE, FAILED, NOTHING, ShellError
from infsup.cli.screen import screen
from infsup.core.errors import nearest

FOLDER = pathlib.Path("benchmarks")


def names() -> list[str]:
    """The benchmarks of the clone that one stands in: scripts that can be run by themselves."""
    scripts = sorted(FOLDER.glob("*.py"))
    return [p.stem for p in scripts if "__main__" in p.read_text("utf-8", errors="replace")]


def complete_name(incomplete: str) -> list[str]:
    """Names for the shell's completion."""
    return [n for n in names() if n.startswith(incomplete)]


def bench(
    name: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME...]", help="Which; all by default.", autocompletion=complete_name
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Only print the names.")] = False,
) -> int:
    """Run the benchmarks of a clone: ours and the peer, alternating, compile time apart."""
    known = names()
    name = [n.replace("-", "_") for n in name or []]
    if not known:
        raise ShellError(
            "there is no folder `benchmarks` with scripts here",
            "The benchmarks come with a clone of the repository, not with the package.",
            "cd CLONE && infsup bench",
            NOTHING,
        )
    for n in name:
        if n not in known:
            close = nearest(n, known)
            raise ShellError(
                f"there is no benchmark `{n}`",
                remedy=f"infsup bench {close}" if close in known else "infsup bench --list",
                code=NOTHING,
            )
    chosen = name or known
    if show:
        for n in chosen:
            screen.say(n)
        screen.emit({"status": {"verdict": "done", "exit": DONE}, "benchmarks": chosen})
        return DONE
    codes = {}
    for n in chosen:
        screen.say(n)
        screen.out.flush()
        # with --json the tables go to stderr, the object alone to stdout
        to = sys.stderr if screen.json else None
        codes[n] = subprocess.run(
            [sys.executable, FOLDER / f"{n}.py"], stdout=to, check=False
        ).returncode
    code = FAILED if any(codes.values()) else DONE
    screen.emit(
        {
            "status": {"verdict": "done" if code == DONE else "fails", "exit": code},
            "benchmarks": codes,
        }
    )
    for n, c in codes.items():
        if c:
            screen.say(f"{n} ended with {c}", "refuted", file=sys.stderr)
    return code
