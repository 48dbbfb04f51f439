"""The pillar's claims, derived again from their proofs: NumPy and `core/intervals` only."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from infsup.core.check import promises
from infsup.core.intervals import betting, clopper_pearson, paired_difference, student_t


def _rate(problem: Any, answer: Any, proof: Any) -> Any:
    """The quantity; of other losses than the error rate the word is the problem's."""
    return "error rate" if "rows" in proof else ...


@promises(
    lambda _, __, proof: "confidence" if "rows" in proof or proof["range"] else "asymptotic",
    "conditional",
    quantity=_rate,
    of=("the law behind ",),
    range=lambda _, __, proof: (
        (0.0, 1.0) if "rows" in proof else tuple(proof["range"] or (0.0, math.inf))
    ),
)
def HoldOut(problem: Any, answer: Any, proof: Any) -> tuple[Any, Any]:
    """From counts and delta; or from the losses of the rows, delta and the range."""
    delta = float(proof["delta"])
    if "rows" in proof:
        found = clopper_pearson(int(proof["wrong"]), int(proof["rows"]), delta)
        return found.lower, found.upper
    values = np.asarray(proof["values"], np.float64)
    if proof["range"] is None:
        found = student_t(values, delta)
        return max(found.lower, 0.0), found.upper
    lo, hi = map(float, proof["range"])
    found = betting(values, delta, lo=lo, hi=hi)
    return found.lower, found.upper


@promises(
    lambda _, __, proof: "proved" if "rows" in proof else "proved_real",
    quantity=_rate,
    of=lambda _, __, proof: (f"the {proof.get('rows') or len(proof['values'])} held-out rows",),
    range=lambda _, __, proof: (0.0, 1.0) if "rows" in proof else (-math.inf, math.inf),
)
def HeldOutRate(problem: Any, answer: Any, proof: Any) -> tuple[Any, Any]:
    """The quotient of two counts; or the mean of the rows' losses."""
    if "rows" in proof:
        wrong, rows = int(proof["wrong"]), int(proof["rows"])
        if not 0 <= wrong <= rows or rows == 0:
            raise ValueError(f"{wrong} wrong of {rows} rows")
        return Fraction(wrong, rows), Fraction(wrong, rows)
    values = np.asarray(proof["values"], np.float64)
    mean = math.fsum(values) / len(values)
    return mean, mean


@promises("confidence", "conditional", of=("the law behind ",), range=(-1.0, 1.0))
def PairedHoldOut(problem: Any, answer: Any, proof: Any) -> tuple[Any, Any]:
    """From the rows that the one and the other had wrong, in their order."""
    a, b = (np.asarray(proof[k]).astype(bool).astype(float) for k in "ab")
    found = paired_difference(a, b, float(proof["delta"]))
    return found.lower, found.upper


@promises(
    "confidence",
    "conditional",
    sense="none",
    quantity="mean",
    of=("the law behind ",),
    range=lambda _, __, proof: tuple(map(float, proof["range"])),
)
def Betting(problem: Any, answer: Any, proof: Any) -> tuple[Any, Any]:
    """From the values in their order, delta and the range."""
    lo, hi = map(float, proof["range"])
    values = np.asarray(proof["values"], np.float64)
    found = betting(values, float(proof["delta"]), lo=lo, hi=hi)
    return found.lower, found.upper
