"""Derives the pillar's claims again: fractions, python-flint, NumPy; no JAX, none of its code.

    infsup check FOLDER    re-checks a saved solution with it

Each bound has its checker in a file beside this one. Of the library they share the record of a
program, errors, and each other.
"""

import math
from typing import Any

from infsup.core.check import promises


def _domain(problem: Any, answer: Any, proof: Any) -> str:
    """The quantity of `PiecewiseEnclosure`, whichever bound stands in front of it."""
    low, high = problem["domain"]
    named = str(proof.get("by", "PiecewiseEnclosure")).endswith("PiecewiseEnclosure")
    return "sup |f - N|" + (f" on [{low:g}, {high:g}]" if named else "")


def _executor(problem: Any, answer: Any, proof: Any) -> str:
    dtype = problem["dtype"]
    return "real arithmetic" if dtype == "real" else f"executed in {dtype}"


def _object(problem: Any, answer: Any, proof: Any) -> tuple[str, ...]:
    """The function, and the interval where the quantity does not name it."""
    low, high = problem["domain"]
    f = str(problem["f"])
    f = f if len(f) <= 60 else f"{f[:57]}..."
    named = " on [" in _domain(problem, answer, proof)
    executor = "real arithmetic" if problem["dtype"] == "real" else str(problem["dtype"])
    return f if named else f"{f} on [{low:g}, {high:g}]", executor


_CLAIMS: dict[str, Any] = {
    "quantity": "sup |f - N|",
    "goal": lambda problem, _, __: problem["eps"],
    "range": (0.0, math.inf),
    "dtype": _executor,
    "of": _object,
}


_UNREADABLE = (LookupError, TypeError, ArithmeticError, AttributeError, RecursionError, MemoryError)


@promises("proved", **_CLAIMS)
def StructuralEnclosure(problem: Any, answer: Any, proof: Any) -> tuple[float, float]:
    """See `check_structure`.

    Raises:
        ValueError: the proof shows less than it should, or cannot be read.
    """
    from infsup.approximation import check_structure

    try:
        return check_structure.StructuralEnclosure(problem, answer, proof)
    except _UNREADABLE as e:
        raise ValueError(f"the proof cannot be read: {type(e).__name__}: {e}") from e


@promises("proved", **{**_CLAIMS, "quantity": _domain})
def PiecewiseEnclosure(problem: Any, answer: Any, proof: Any) -> tuple[float, float]:
    """See `check_pieces`."""
    from infsup.approximation import check_pieces

    return check_pieces.PiecewiseEnclosure(problem, answer, proof)


@promises("proved", **_CLAIMS)
def SmoothEnclosure(problem: Any, answer: Any, proof: Any) -> tuple[float, float]:
    """See `check_smooth`."""
    from infsup.approximation import check_smooth

    return check_smooth.SmoothEnclosure(problem, answer, proof)


@promises("proved", **{**_CLAIMS, "quantity": _domain})
def Enclosure(problem: Any, answer: Any, proof: Any) -> tuple[float, float]:
    """By the bound that applied."""
    by = {f.__name__: f for f in (PiecewiseEnclosure, SmoothEnclosure, StructuralEnclosure)}
    return by[str(proof["by"]).removeprefix("approximation.")](problem, answer, proof)
