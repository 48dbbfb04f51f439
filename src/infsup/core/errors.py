"""The errors that a user meets.

Each says, in this order: what is wrong (with the argument in backticks and what was got), why it
matters, and what to type instead.
"""

import difflib
from collections.abc import Iterable
from typing import Any


class InfsupError(Exception):
    """Base of all errors that infsup raises on purpose.

    Args:
        what: one line, the argument in backticks and what was got.
        why: one line, the reason; may be empty.
        remedy: what to type instead; printed after "Try".
    """

    def __init__(self, what: str, why: str = "", remedy: str = ""):
        self.what, self.why, self.remedy = what, why, remedy
        lines = [what]
        if why:
            lines.append(f"  {why}")
        if remedy:
            lines.append(f"  Try  {remedy}")
        super().__init__("\n".join(lines))


class UsageError(InfsupError, ValueError):
    """An argument cannot be used: shape, dtype, range, unknown name."""


class HypothesisError(InfsupError, ValueError):
    """A method or a bound was asked for a problem whose structure it does not fit."""


class PrecisionError(InfsupError, RuntimeError):
    """The answer needs 64-bit arithmetic and JAX's flag is off, or the other way about."""


class MissingExtra(InfsupError, ImportError):
    """An optional dependency is not installed."""


class FileRejected(InfsupError, ValueError):
    """A file is damaged, hostile, of another kind or of a newer schema. Nothing was loaded."""


class EmptyBracket(InfsupError, ArithmeticError):
    """`lower > upper` or NaN: two statements contradict each other, so one of them is wrong.

    Raised out of `solve`, it brings what was found: `error.outcome`.
    """

    outcome: Any = None


class NotCertified(InfsupError):
    """`Certificate.require` asked for more than the certificate promises."""


class RowsReused(UsageError):
    """Rows that a bound needs unseen have been seen."""


class DeltaExhausted(UsageError):
    """More probability was asked for than the ledger was granted."""


def nearest(name: str, known: Iterable[str]) -> str:
    """`Did you mean ...?` for an unknown `name`, or the names that exist."""
    known = sorted(known)
    lowered = {k.lower(): k for k in known}
    begun = [k for k in lowered if len(name) > 1 and k.startswith(name.lower())]
    if len(begun) == 1:
        return lowered[begun[0]]
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    return lowered[close[0]] if close else ", ".join(known)
