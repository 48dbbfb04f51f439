"""Exit codes, and the errors that lead to them, in words."""

import os
import sys
import textwrap
import traceback

from infsup.cli.screen import ascii_only, screen

DONE = 0
FAILED = 1
USAGE = 2
UNCERTIFIED = 3
UNREADABLE = 4
NOTHING = 5
INTERNAL = 101
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143

EXITS = {
    DONE: "done",
    FAILED: "a claim failed: refuted, or rejected by check",
    USAGE: "usage",
    UNCERTIFIED: "no certificate as asked: refused, inapplicable, wider than --gap",
    UNREADABLE: "a file is unreadable or corrupt",
    NOTHING: "nothing matched",
    INTERNAL: "a fault of infsup itself (INFSUP_TRACEBACK=full shows where)",
    INTERRUPTED: "interrupted; the best answer so far is saved",
    TERMINATED: "terminated; the best answer so far is saved",
}
"""Code -> meaning, as --help prints it."""


class ShellError(Exception):
    """What a command refuses to do, in words.

    Args:
        what: one line: the argument in backticks, and what was got.
        why: one line; may be empty.
        remedy: what to type instead; printed after "Try".
        code: of `EXITS`.
    """

    def __init__(self, what: str, why: str = "", remedy: str = "", code: int = USAGE):
        self.what, self.why, self.remedy, self.code = what, why, remedy, code
        super().__init__(what)


def in_words(error: BaseException) -> ShellError:
    """Any error as one with words and an exit code."""
    from infsup.core import errors as e

    if isinstance(error, ShellError):
        return error
    if isinstance(error, e.InfsupError):
        codes = {
            e.HypothesisError: UNCERTIFIED,
            e.PrecisionError: UNCERTIFIED,
            e.NotCertified: UNCERTIFIED,
            e.FileRejected: UNREADABLE,
            e.EmptyBracket: FAILED,
        }
        code = next((c for cls, c in codes.items() if isinstance(error, cls)), USAGE)
        return ShellError(error.what, error.why, error.remedy, code)
    if isinstance(error, KeyboardInterrupt):
        return ShellError("interrupted before there was anything to save", code=INTERRUPTED)
    if isinstance(error, OSError) and error.filename is not None:
        reason = error.strerror or type(error).__name__
        return ShellError(f"`{error.filename}`: {reason}", code=UNREADABLE)
    text = str(error).strip().splitlines()
    return ShellError(
        f"{type(error).__name__}: {text[0] if text else 'without a word'}",
        f"This is a fault of infsup, not of your command ({_place(error)}).",
        "INFSUP_TRACEBACK=full infsup ...   and report it",
        INTERNAL,
    )


def _place(error: BaseException) -> str:
    """The last line of infsup's own that the error passed."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f"{os.sep}infsup{os.sep}" in f.filename] or frames
    return f"{os.path.basename(own[-1].filename)}:{own[-1].lineno}" if own else "no trace"


def report(error: BaseException) -> int:
    """Prints an error, reason first, on stderr, and as JSON where asked; returns its exit code."""
    if os.environ.get("INFSUP_TRACEBACK") == "full":
        traceback.print_exception(error, file=sys.stderr)
    words = in_words(error)
    signs = ("/", "x") if ascii_only(sys.stderr) else ("⊘", "✗")
    sign = signs[words.code not in (UNCERTIFIED, INTERRUPTED)]
    said = [(f"{sign} ", words.what), ("  ", words.why)]
    lines: list[str] = []
    for lead, text in said:
        if text:
            lines += _wrapped(text, lead)
    if words.remedy:
        lines += _wrapped(words.remedy, "  Try  ")
    mark = f"[exit {words.code}]"
    width = screen.width
    if len(lines[-1]) + 2 + len(mark) <= width:
        lines[-1] += " " * (width - len(lines[-1]) - len(mark)) + mark
    else:
        lines.append(mark.rjust(width))
    for line in lines:
        screen.say(line, file=sys.stderr)
    screen.emit(
        {
            "status": {
                "verdict": "error",
                "exit": words.code,
                "what": words.what,
                "why": words.why,
                "remedy": words.remedy,
            }
        }
    )
    return words.code


def _wrapped(text: str, lead: str) -> list[str]:
    # a command to type is not broken at its own hyphens; the gaps between two remedies stay
    text = " ".join(text.split("\n"))
    return textwrap.wrap(
        text,
        screen.width,
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_on_hyphens=False,
    ) or [lead.rstrip()]
