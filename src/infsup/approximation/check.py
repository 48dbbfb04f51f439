"""Derives the pillar's claims again: fractions, python-flint, NumPy; no JAX, none of its code.

    infsup check FOLDER    re-checks a saved solution with it

Each bound has its checker in a file beside this one. Of the library they share the record of a
program, errors, and each other.
"""

from typing import Any


def StructuralEnclosure(problem: Any, answer: Any, proof: Any) -> tuple[float, float]:
    """See `check_structure`."""
    from infsup.approximation import check_structure

    return check_structure.StructuralEnclosure(problem, answer, proof)


def PiecewiseEnclosure(problem: Any, answer: Any, proof: Any) -> tuple[float, float]:
    """See `check_pieces`."""
    from infsup.approximation import check_pieces

    return check_pieces.PiecewiseEnclosure(problem, answer, proof)


def SmoothEnclosure(problem: Any, answer: Any, proof: Any) -> tuple[float, float]:
    """See `check_smooth`."""
    from infsup.approximation import check_smooth

    return check_smooth.SmoothEnclosure(problem, answer, proof)


def Enclosure(problem: Any, answer: Any, proof: Any) -> tuple[float, float]:
    """By the bound that applied."""
    by = {f.__name__: f for f in (PiecewiseEnclosure, SmoothEnclosure, StructuralEnclosure)}
    return by[str(proof["by"]).removeprefix("approximation.")](problem, answer, proof)
