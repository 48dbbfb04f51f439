"""Where to cut an interval so that polynomials of one degree fit a function on every cell.

All in float64 and from samples: what is found here is proved afterwards.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from infsup.core.program import Step, aligned, at_points, in_float64, slots

Values = Callable[[np.ndarray], np.ndarray]
CHECKS = 24
"""Points at which a fit is compared with the function."""
MOST = 6_000
"""Cells after which the search gives up."""
FIRST = np.array([0.8, 0.95, 1.05, 1.2, 1.5, 2.0])
LONGER = np.array([1.1, 1.4, 2.0, 4.0, 16.0])
SHORTER = np.array([1e-8, 1e-4, 0.01, 0.1, 0.3, 0.6, 0.9])
"""Lengths that are tried next, in those of the cell before, or of what was tried."""


class Rule(NamedTuple):
    """Interpolation of degree p on [-1, 1] with both ends among the nodes.

    Args:
        nodes: Chebyshev points, stretched until the outer ones are the ends. [p + 1]
        checks: points of comparison. [n]
        predict: values at the nodes -> values at the checks. [n, p + 1]
        bumps: values at the nodes -> coefficients of phi_2..phi_p. [p - 1, p + 1]
    """

    nodes: np.ndarray
    checks: np.ndarray
    predict: np.ndarray
    bumps: np.ndarray


@functools.cache
def rule(p: int) -> Rule:
    """The rule of one degree, 1 included.

    Interpolation at these nodes has the least error max |x - x_0|...|x - x_p| of all that meet both
    ends, as the Chebyshev polynomial T_{p+1} of the stretched variable shows.
    """
    j = np.arange(p + 1)
    nodes = -np.cos((2 * j + 1) * np.pi / (2 * (p + 1))) / np.cos(np.pi / (2 * (p + 1)))
    nodes[0], nodes[-1] = -1.0, 1.0
    n = max(CHECKS, 4 * p)
    checks = np.cos((np.arange(n) + 0.5) * np.pi / n)[::-1]
    predict = _basis(checks, p) @ np.linalg.inv(_basis(nodes, p))
    return Rule(nodes, checks, predict, np.linalg.inv(_basis(nodes, p))[2:])


def _basis(u: np.ndarray, p: int) -> np.ndarray:
    w = u * u - 1
    bumps = (w, u * w, w**2, u * w**2, u**2 * w**2, u * w**3, w**4)
    return np.stack([np.ones_like(u), u, *bumps[: p - 1]], 1)


class Cell(NamedTuple):
    """A fit on [low, high]: values at the ends, coefficients of the bumps, sampled error."""

    low: float
    high: float
    ends: tuple[float, float]
    bumps: np.ndarray
    error: float


def fit(f: Values, low: float, high: float, p: int) -> Cell:
    """The interpolant on one cell, and its error at the checks."""
    return fits(f, low, np.array([high]), p)[0]


def fits(f: Values, low: float, highs: np.ndarray, p: int) -> list[Cell]:
    """`fit` on cells that start together: one call of f."""
    r = rule(p)
    half = (highs[:, None] - low) / 2
    x = low + half + half * np.concatenate([r.nodes, r.checks])
    x[:, 0], x[:, p] = low, highs
    y = f(np.minimum(np.maximum(x, low), highs[:, None]).ravel()).reshape(x.shape)
    at = y[:, : p + 1]
    with np.errstate(invalid="ignore", over="ignore"):
        errors = np.max(np.abs(at @ r.predict.T - y[:, p + 1 :]), axis=1)
        bumps = at @ r.bumps.T
    errors = np.where(np.isfinite(errors), errors, np.inf)
    return [
        Cell(low, float(high), (float(v[0]), float(v[-1])), b, float(error))
        for high, v, b, error in zip(highs, at, bumps, errors, strict=True)
    ]


def graded(f: Values, stops: Sequence[float], p: int, tolerance: float, most: int = MOST):
    """Cells from left to right, each as long as the tolerance allows; None beyond `most`.

    Args:
        f: vectorised.
        stops: the ends of the interval, and between them places where cells must end.
        p: degree.
        tolerance: of the error on a cell.
        most: cells.
    """
    cells: list[Cell] = []
    at, width = stops[0], stops[-1] - stops[0]
    for stop in stops[1:]:
        while at < stop:
            cell = longest(f, at, stop, p, tolerance, width)
            cells.append(cell)
            if len(cells) > most:
                return None
            at, width = cell.high, cell.high - cell.low
        width = stops[-1] - stops[0]
    return cells


def longest(f: Values, at: float, b: float, p: int, tolerance: float, width: float) -> Cell:
    """The longest cell from `at` whose error is at most the tolerance, to a few percent of it.

    Several lengths are tried at a time: about that of the cell before, then between the longest
    that fits and the shortest beyond it that does not.
    """
    good: Cell | None = None
    bad: Cell | None = None
    tries = width * FIRST
    for _ in range(60):
        floor, top = at if good is None else good.high, math.inf if bad is None else bad.high
        ends = np.array(sorted({shorter(at, min(at + t, b), b) for t in tries.tolist()}))
        ends = ends[(ends > floor) & (ends < top)]
        if not len(ends):
            break
        cells = fits(f, at, ends, p)
        met = [i for i, cell in enumerate(cells) if cell.error <= tolerance]
        good = cells[met[-1]] if met else good
        beyond = cells[met[-1] + 1 :] if met else cells
        bad = beyond[0] if beyond else bad
        if good is not None and (good.high == b or good.error > 0.96 * tolerance):
            break
        if good is None:
            assert bad is not None
            tries = (bad.high - at) * SHORTER
        elif bad is None:
            tries = (good.high - at) * LONGER
        else:
            low, high = good.high - at, bad.high - at
            if high - low <= 1e-3 * high + 4 * np.spacing(abs(at)):
                break
            tries = _between(low, good.error, high, bad.error, tolerance)
    if good is None or good.high <= at:
        # a singularity: the shortest cell that there is, whatever its error
        return fit(f, at, min(b, np.nextafter(at, np.inf)), p)
    return good


def _between(
    low: float, error_low: float, high: float, error_high: float, tolerance: float
) -> np.ndarray:
    """Lengths between two, about where a power law through their errors meets the tolerance."""
    ratio = high / low
    share = 0.5
    if error_low > 0 and error_high < math.inf:
        low_, aim, high_ = (math.log(e) for e in (error_low, 0.985 * tolerance, error_high))
        share = (aim - low_) / max(high_ - low_, 1e-9)
    share = min(max(share, 0.02), 0.98)
    near = [0.5 * share, 0.97 * share, share, share + 0.03 * (1 - share), (1 + share) / 2]
    return low * ratio ** np.array(near)


def shorter(at: float, end: float, b: float) -> float:
    """A number of few digits at or just before `end`: products with it are then exact."""
    grain = 2.0 ** (math.frexp(end - at)[1] - 12)
    if end >= b or not grain or abs(end) > 2.0**60 * grain:
        return end
    found = math.floor(end / grain) * grain
    return found if at < found <= end else end


def equal(f: Values, stops: Sequence[float], p: int, cells: list[Cell], tolerance: float):
    """As many cells, or fewer, with the least tolerance that allows so few.

    Args:
        f: vectorised.
        stops: as for `graded`.
        p: degree.
        cells: of `graded` for the tolerance.
        tolerance: that is to be lowered.
    """
    best, count, pieces = cells, len(cells), len(stops) - 1
    # at most one cell on each piece is shorter than it might be
    low = -8.0
    if count > pieces:
        low = max(low, 1.5 * (p + 1) * math.log2(1 - pieces / count))
    high = 0.0
    while high - low >= 0.05:
        middle = (low + high) / 2
        found = graded(f, stops, p, tolerance * 2.0**middle, count)
        if found is None:
            low = middle
        else:
            best, high = found, middle
    return best


def stops_of(program: Any, a: float, b: float, points: int = 4001) -> list[float]:
    """A, b, and the places between where abs, maximum, minimum or a condition changes sides.

    Found by samples of all parts of the program and bisection; a kink that is missed costs cells,
    never the proof.
    """
    x = np.linspace(a, b, points)
    found: set[float] = set()
    with np.errstate(all="ignore"):
        for step, value in _switches(program, x).items():
            if not np.isfinite(value).all():
                continue
            sign = np.sign(value)
            moves = np.flatnonzero(np.any(sign != sign[:1], axis=0))
            sign = sign[:, moves]
            row, column = np.nonzero(sign[:-1] * sign[1:] < 0)
            if len(row):
                found.update(_crossings(program, step, moves[column], x[row], x[row + 1]))
            zero, _ = np.nonzero(sign[1:-1] == 0)
            found.update(float(v) for v in x[1:-1][np.unique(zero)[:64]])
    inner: list[float] = []
    for v in sorted(v for v in found if a < v < b):
        # what rounding tells apart is one place
        if not inner or v - inner[-1] > 2.0**-50 * max(abs(a), abs(b)):
            inner.append(v)
    # more would be a function that is zero on a piece, or one that these cells cannot follow
    return [a, *inner, b] if len(inner) <= 512 else [a, b]


def _switches(program: Any, x: np.ndarray, only: int | None = None) -> dict[int, np.ndarray]:
    """For the steps that have a kink (or one of them) what is zero there: [points, entries]."""
    values = slots(program, [x], at_points)
    found = {}
    for k, s in enumerate(program.steps):
        if only not in (None, k):
            continue
        if s.op in ("abs", "sign", "sqrt", "cbrt"):
            difference = values[s.args[0]]
        elif s.op in ("maximum", "minimum", "lt", "le", "gt", "ge"):
            difference = in_float64(Step("sub", (0, 1)), aligned([values[i] for i in s.args]), {})
        else:
            continue
        found[k] = np.broadcast_to(difference, (len(x), *difference.shape[1:])).reshape(len(x), -1)
    return found


def _crossings(
    program: Any, step: int, column: np.ndarray, low: np.ndarray, high: np.ndarray
) -> list[float]:
    """Where one entry of a step's difference, each between two points, changes its sign."""
    at = np.arange(len(column))
    before = np.sign(_switches(program, low, step)[step][at, column])
    for _ in range(60):
        middle = low + (high - low) / 2
        sign = np.sign(_switches(program, middle, step)[step][at, column])
        low = np.where((sign == before) | (sign == 0), middle, low)
        high = np.where((sign != before) | (sign == 0), middle, high)
    return [float(v) for v in high]
