"""What our constructions cannot reach, found before any long work: in eps, in scale, in size."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, NoReturn

import numpy as np

from infsup.approximation.mesh import Values, longest
from infsup.approximation.problem import Approximate
from infsup.core.errors import UsageError
from infsup.core.program import Program

FLOOR = 2.0**-45
"""Least eps over the size of f, about 3e-14: weights and samples are float64 numbers, so values
of f come in steps of 2^-53 of their size, and a construction passes them on through sums that
enlarge them some hundredfold."""
FLOOR_OF_VALUES = 1e-12
"""The same where f is known by its values, which are trusted to 1e-13 of their size."""
SCALE = 2.0**400
"""Domains, functions and errors lie between 1/SCALE and SCALE, so that no product overflows."""
SURE = 1.5
"""An estimate so far above the budget needs no exact count."""
COUNTED = 5_000
"""Units that are counted exactly, whatever the budget."""
PROBES = 3_000


class Estimate(NamedTuple):
    """Of a mesh that is not built.

    Args:
        cells: about so many.
        stuck: a place where f changes by more than the tolerance between two float64 numbers.
    """

    cells: float
    stuck: float | None


def refuse_scale(problem: Approximate, method: str) -> None:
    """Refuses domains and functions whose numbers are too large or too small.

    Raises:
        UsageError: names what is out of range.
    """
    a, b = problem.domain
    end = max(abs(a), abs(b))
    if end > SCALE or b - a < 1 / SCALE:
        what = f"has an end of size {end:.3g}" if end > SCALE else f"is only {b - a:.3g} long"
        raise UsageError(
            f"`domain` of Approximate {what}",
            f"`{method}` would need weights beyond the range of float64.",
            "a variable in other units, so that the domain is about (-1, 1)",
        )
    x = np.linspace(a, b, 257)
    y = problem.values(x)
    if not np.isfinite(y).all():
        at = float(x[~np.isfinite(y)][0])
        raise UsageError(
            f"`f` is {float(y[~np.isfinite(y)][0])} in float64 at x = {at:g}",
            f"`{method}` finds its cells from float64 samples; an intermediate value overflows.",
            "the function in other units, or written without large intermediate values",
        )
    size = float(np.max(np.abs(y)))
    if size > SCALE:
        raise UsageError(
            f"`f` has values of size {size:.3g}",
            f"`{method}` would need weights beyond the range of float64.",
            "the function in other units, so that its values are about 1",
        )


def refuse_unreachable(problem: Approximate, method: str, eps: float) -> None:
    """Refuses an eps below what float64 reaches.

    Raises:
        UsageError: names the least eps.
    """
    size = problem.size()
    share = FLOOR if isinstance(problem.f, Program) else FLOOR_OF_VALUES
    floor = max(share * size, 1 / SCALE)
    if eps < floor:
        why = f"weights and samples are float64 numbers, and f has the size {size:.3g}"
        if floor > share * size:
            why = f"weights are float64 numbers, and eps is kept above {1 / SCALE:.2g}"
        raise UsageError(
            f"`eps` is {eps:g}, below the floor {floor:.2g} of `{method}` for this function",
            f"Even in real arithmetic: {why}.",
            f"eps={_above(floor)}   or   a function in other units",
        )


def refuse_stuck(method: str, eps: float, at: float) -> NoReturn:
    """Refuses a function that moves too much between two float64 numbers.

    Raises:
        UsageError: always; names the place.
    """
    raise UsageError(
        f"`{method}` finds no network for eps = {eps:g}",
        f"Near x = {at:.6g}, f changes by more than that between neighbouring float64 numbers.",
        "a larger eps   or   a domain that leaves this place out",
    )


def estimate(f: Values, stops: Sequence[float], p: int, tolerance: float) -> Estimate:
    """About the number of cells of degree p, by a walk that skips where cells hardly change.

    A skip covers as many cells as its ends let expect; it is halved where the lengths there differ
    by more than a factor of two, and it ends halfway to the next stop, about which cells may be
    graded.
    """
    total, probes = 0.0, 0
    for low, stop in pairwise(stops):
        at, width, skip = low, stop - low, 0.0
        while at < stop:
            cell = longest(f, at, stop, p, tolerance, width)
            probes += 1
            if cell.error > tolerance:
                return Estimate(math.inf, at)
            width = cell.high - at
            skip = min(2 * skip, (stop - at) / 2)
            while skip > 4 * width and probes < PROBES:
                there = longest(f, at + skip, stop, p, tolerance, width)
                probes += 1
                if there.error > tolerance:
                    return Estimate(math.inf, at + skip)
                far = there.high - there.low
                if max(far, width) <= 2 * min(far, width) or skip <= 8 * width:
                    total += skip / math.sqrt(far * width)
                    at += skip
                    break
                skip /= 2
            else:
                total += 1
                skip = max(skip, width)
                at = cell.high
            if probes >= PROBES:
                # a mesh that cannot be skipped: what is left is taken to be like what was walked
                done = max(at - stops[0], (stops[-1] - stops[0]) * 1e-3)
                return Estimate(total * (stops[-1] - stops[0]) / done, None)
    return Estimate(total, None)


def about(units: float) -> str:
    """Two digits of a number of units."""
    return f"{float(f'{units:.1e}'):,.0f}" if units < 1e9 else f"{units:.0e}"


def _above(x: float) -> str:
    """A number of one digit that is not below x > 0."""
    text = f"{x:.0e}"
    return text if float(text) >= x else f"{x * 1.5:.0e}"
