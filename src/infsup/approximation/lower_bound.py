"""What no ReLU network can do: fewer pieces, and so fewer units, than the curvature asks for."""

import itertools
import math
from fractions import Fraction

from flint import arb

from infsup.numerics.enclosure import (
    DomainFault,
    Enclosure,
    NotSmooth,
    exact,
    hull,
    lower,
    precision,
)

FINEST = 128


def fewest_pieces(enclosure: Enclosure, a: float, b: float, eps: float) -> int:
    r"""A number of affine pieces that every continuous function within eps of f on [a, b] has.

    Where f'' >= m > 0 (or <= -m) on a piece of length h, every affine function is off by at least
    m h^2/16 somewhere on it (f minus the line plus m/2 times a parabola is convex). So p pieces on
    a part of length l err by m l^2/(16 p^2) at least (theory row A14), and eps asks for
    p_j >= l_j sqrt(m_j/(16 eps)) pieces on part j; cutting [a, b] into J parts cuts at most J - 1
    pieces, so there are at least 1 + sum_j (p_j - 1). The best of J = 1, 2, 4, ..., 128 is taken.

    Args:
        enclosure: of f.
        a: a float.
        b: a float above a.
        eps: the sup-norm error, > 0.

    Returns:
        At least 1; proved in balls.
    """
    ends = [a + (b - a) * k / FINEST for k in range(FINEST)] + [b]
    curved = [_curvature(enclosure, *e) for e in itertools.pairwise(ends)]
    best, step = 1, 1
    while step <= FINEST:
        starts = range(0, FINEST, step)
        found = (_pieces(curved[k : k + step], ends[k], ends[k + step], eps) for k in starts)
        best = max(best, 1 + sum(p - 1 for p in found))
        step *= 2
    return best


def _curvature(enclosure: Enclosure, low: float, high: float) -> tuple[float, float]:
    """(p, q) with f'' >= p and f'' <= -q on [low, high]; 0 where nothing is known."""
    if not low < high:
        return 0.0, 0.0
    try:
        with precision(enclosure.bits):
            second = 2 * enclosure.taylor(hull(low, high), 2)[2]
            p, q = lower(second), lower(-second)
    except (NotSmooth, DomainFault):
        return 0.0, 0.0
    return p if 0 < p < math.inf else 0.0, q if 0 < q < math.inf else 0.0


def _pieces(curved: list[tuple[float, float]], low: float, high: float, eps: float) -> int:
    """The fewest pieces on neighbouring cells, at least 1."""
    m = max(min(p for p, _ in curved), min(q for _, q in curved))
    if m == 0.0:
        return 1
    with precision(128):
        p = (exact(high) - exact(low)) * (arb(m) / (16 * exact(eps))).sqrt()
        return max(1, math.ceil(lower(p)))


def fewest_units(pieces: int) -> int:
    """The fewest ReLU units, in any wiring, of a network of one variable with so many pieces.

    One more unit at most doubles the number of pieces, so n units have at most 2^n of them.

    Args:
        pieces: at least 1.
    """
    return (pieces - 1).bit_length()


def least_error(m: float | Fraction, length: float | Fraction, pieces: int) -> Fraction:
    """What `pieces` affine pieces err at least where |f''| >= m: m length^2/(16 pieces^2)."""
    return Fraction(m) * Fraction(length) ** 2 / (16 * pieces**2)


def most_pieces(widths: tuple[int, ...]) -> int:
    """The product of (w + 1): no network R -> R of these layers has more pieces (row A12)."""
    return math.prod(w + 1 for w in widths)
