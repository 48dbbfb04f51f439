"""The pillar's claims, derived again from their proofs with python-flint's balls; no JAX."""

import math
from fractions import Fraction
from typing import Any

import flint
import numpy as np

from infsup.core.check import promises

_MEASURED: dict[str, Any] = {"range": (0.0, math.inf), "dtype": "float64 arithmetic"}


@promises("proved_real", quantity="distance to the least objective", **_MEASURED)
def SubOptimality(problem: Any, answer: Any, proof: Any) -> tuple[float, float]:
    """From the measurements at the answer and at the points after it.

    The formulas are written again from the docstring of the bound, with their removable
    singularities resolved by precision in place of series.
    """
    mu, concordance = float(proof["mu"]), proof["concordance"]
    value_error, slope_error = map(float, proof["allowance"])
    points = np.asarray(proof["points"], np.float64)
    if not (mu > 0 and points.ndim == 2 and points.shape[1] == 7 and np.isfinite(points).all()):
        raise ValueError("the measurements are damaged")
    if min(value_error, slope_error) < 0 or (concordance is not None and not concordance >= 0):
        raise ValueError("an allowance or a constant is negative")
    before = flint.ctx.prec
    flint.ctx.prec = 400
    try:
        uppers, lowers = [], [0.0]
        for number, row in enumerate(points.tolist()):
            low, up = _at(row, mu, concordance, slope_error)
            slack = 2 * value_error if number else 0.0
            won = points[0, 0] - row[0]
            uppers.append(won + up + slack)
            lowers.append(won + low - slack)
    finally:
        flint.ctx.prec = before
    return max(lowers), min(uppers)


@promises("proved_real", quantity="norm of the gradient", **_MEASURED)
def Stationarity(problem: Any, answer: Any, proof: Any) -> tuple[float, float]:
    """The measured norm and what rounding may do to it."""
    size, error = float(proof["size"]), float(proof["error"])
    if not (size >= 0 and error >= 0):
        raise ValueError("a norm is negative")
    return max(size - error, 0.0), size + error


@promises("proved_real", quantity="distance to the least objective", **_MEASURED)
def CompositeGap(problem: Any, answer: Any, proof: Any) -> tuple[float, float]:
    """The conditions of optimality at the measured gradient, summed in rationals."""
    w, h = (np.asarray(proof[k], np.float64) for k in ("w", "gradient"))
    slack = float(proof["slack"])
    if not (w.shape == h.shape and np.isfinite(w).all() and np.isfinite(h).all() and slack >= 0):
        raise ValueError("the measurements are damaged")
    pairs = [(Fraction(float(a)), Fraction(float(b))) for a, b in zip(w, h, strict=True)]
    if "weight" in proof:
        c, above = Fraction(float(proof["weight"])), Fraction(float(proof["above"]))
        if c <= 0 or above < 0:
            raise ValueError("the weight is not positive, or f is below its floor")
        radius = (above + c * sum(abs(a) for a, _ in pairs)) / c
        held = sum(a * b + c * abs(a) for a, b in pairs)
        beyond = max(max(abs(b) for _, b in pairs) - c, Fraction(0))
        return 0.0, float(max(held, Fraction(0)) + beyond * radius) + slack
    low, high = Fraction(float(proof["low"])), Fraction(float(proof["high"]))
    if any(not low <= a <= high for a, _ in pairs):
        raise ValueError("the point is outside its box")
    return 0.0, float(sum(max(b * (a - low), b * (a - high)) for a, b in pairs)) + slack


def _at(row: list[float], mu: float, concordance: float | None, error: float) -> tuple:
    """Both ends at one point."""
    _, gg, gs, rs, rr, h, ss = row
    slope = math.sqrt(gg) + error
    gradient = slope**2 / (2 * mu)
    if concordance is None:
        return 0.0, gradient
    residual = math.sqrt(rr) + error
    q = max(gs + rs, 0.0) + residual**2 / mu + residual * ss * 2.0**-50
    q = (math.sqrt(q) + error / math.sqrt(mu)) ** 2
    newton = ss + residual / mu + error / mu
    best = gradient
    distance = slope / mu
    nu = concordance * math.sqrt(q / mu)
    if nu < 1:
        best = min(best, q * _psi(-nu))
        if concordance > 0:
            distance = min(distance, -math.log1p(-nu) / concordance)
    for _ in range(60):
        x = concordance * distance
        best = min(best, q / (4 * _om(x)))
        grown = float(flint.arb(x) / (1 - (-flint.arb(x)).exp()) - 1) if x > 1e-40 else 0.0
        distance = min(distance, math.sqrt(2 * best / mu), newton + grown * math.sqrt(q / mu))
    a = gs - error * ss
    if a <= 0 or h <= 0:
        return 0.0, best
    return a * a / h * _psi(concordance * ss * a / h), best


def _om(x: float) -> float:
    if abs(x) < 1e-40:
        return 0.5
    b = flint.arb(x)
    return float(((-b).exp() + b - 1) / b**2)


def _psi(x: float) -> float:
    if abs(x) < 1e-40:
        return 0.5
    b = flint.arb(x)
    return float(((1 + b) * (1 + b).log() - b) / b**2)
