"""Proved bounds of sup |f - p| for a function and a piecewise polynomial, by balls."""

import contextlib
import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from flint import arb

from infsup.numerics.enclosure import (
    DomainFault,
    Enclosure,
    NotSmooth,
    exact,
    hull,
    lower,
    precision,
    upper,
)

BITS = 160
MORE = 7
"""Taylor coefficients beyond those of the polynomial."""
PARTS = 64
BLOCK = 128
"""Boxes whose polynomials are bounded together."""


class Piece(NamedTuple):
    """One cell: a polynomial of t in [-1, 1], where x runs from `low` to `high`.

    Args:
        low, high: exact.
        poly: exact coefficients of 1, t, t^2, ...
        extra: what else is to be added to |f - p| on this cell, >= 0, for the search's order.
    """

    low: Fraction
    high: Fraction
    poly: Sequence[Fraction]
    extra: float = 0.0


class Found(NamedTuple):
    """What is known of sup |f - p|.

    Args:
        cells: for each piece an upper bound; inf where it could not be bounded. As loose as the
            largest sum of bound and extra allows, so that a checker has little to do.
        worst: the piece of the largest sum.
        point: where |f - p| + extra was seen to be large.
    """

    cells: list[float]
    worst: int
    point: float


def sup_error(
    enclosure: Enclosure,
    pieces: Sequence[Piece],
    *,
    tolerance: float = 0.002,
    most: int = 200_000,
    floor: float = 0.0,
) -> Found:
    """Bisection, until the largest bound and the largest value seen differ by the tolerance.

    On a box f - p is its Taylor polynomial about the middle, with a remainder in balls; the range
    of that polynomial is bounded on many parts at once (`_ranges`).

    Args:
        enclosure: of f.
        pieces: they cover the domain.
        tolerance: relative.
        most: boxes looked at before it gives up.
        floor: an upper bound below this needs no sharper one.
    """
    top = np.zeros(len(pieces))
    extras = np.array([p.extra for p in pieces])
    reached, point, count = 0.0, float(pieces[0].low), 0
    todo = [(i, piece.low, piece.high) for i, piece in enumerate(pieces)]
    with precision(BITS):
        balls = [[exact(c) for c in piece.poly] for piece in pieces]
        while todo:
            count += len(todo)
            bounds, least, at, rough = _boxes(enclosure, pieces, balls, todo)
            number = np.array([i for i, _, _ in todo])
            seen = least + extras[number]
            if seen.max() > reached:
                reached, point = float(seen.max()), at[int(seen.argmax())]
            enough = max(floor, reached * (1 + tolerance)) + 1e-300
            again, done = [], bounds + extras[number] <= enough
            for k, (i, low, high) in enumerate(todo):
                whole = pieces[i].high - pieces[i].low
                if done[k] or count >= most or (high - low) * 2**120 <= whole:
                    top[i] = max(top[i], bounds[k])
                    continue
                cuts = [low, (low + high) / 2, high]
                if rough[k] and high - low == whole:
                    # a kink at an end: balls have radii of 30 bits and reach a hair beyond it
                    hair = whole / 2**27
                    cuts = [low, low + hair, high - hair, high]
                again += [(i, *ends) for ends in pairwise(cuts)]
            todo = again
    worst = int(np.argmax(top + extras))
    total = float(top[worst] + extras[worst])
    return Found(np.maximum(top, (total - extras) * (1 - 2.0**-50)).tolist(), worst, point)


def _boxes(
    enclosure: Enclosure,
    pieces: Sequence[Piece],
    balls: list[list[arb]],
    boxes: list[tuple[int, Fraction, Fraction]],
) -> tuple[np.ndarray, np.ndarray, list[float], np.ndarray]:
    """Upper bounds of |f - p| on boxes; values that are attained, where; which have a kink."""
    bounds, least = np.full(len(boxes), math.inf), np.zeros(len(boxes))
    rough = np.zeros(len(boxes), bool)
    points = [float((low + high) / 2) for _, low, high in boxes]
    smooth: dict[int, list[tuple[int, np.ndarray, float]]] = {}
    for k, (i, low, high) in enumerate(boxes):
        middle, radius = (low + high) / 2, (high - low) / 2
        whole = (pieces[i].high - pieces[i].low) / 2
        t = exact((middle - (pieces[i].low + pieces[i].high) / 2) / whole)
        shifted = _shift(balls[i], t, exact(radius / whole))
        x, r, box = exact(middle), exact(radius), hull(low, high)
        order = len(shifted) + MORE
        try:
            series = enclosure.taylor(x, order - 1)
            over = enclosure.taylor(box, order)
        except (NotSmooth, DomainFault):
            bounds[k], least[k] = _rough(enclosure, shifted, box, x, r)
            rough[k] = True
            continue
        error, power = [], arb(1)
        for j in range(order):
            error.append(series[j] * power - shifted[j] if j < len(shifted) else series[j] * power)
            power = power * r
        mid = np.array([float(c.mid()) for c in error])
        rest = sum((c.rad() for c in error), abs(over[order]) * power)
        slack = upper(rest) + 1e-12 * float(np.sum(np.abs(mid)))
        variation = sum((abs(c) for c in shifted[1:]), arb(0))
        bounds[k] = upper(abs(over[0] - shifted[0]) + variation)
        if np.isfinite(mid).all() and math.isfinite(slack):
            smooth.setdefault(order, []).append((k, mid, slack))
    for found in smooth.values():
        for start in range(0, len(found), BLOCK):
            part = found[start : start + BLOCK]
            k = np.array([j for j, _, _ in part])
            slack = np.array([s for _, _, s in part])
            most_, least_, at = _ranges(np.stack([c for _, c, _ in part]))
            bounds[k] = np.minimum(bounds[k], (most_ + slack) * (1 + 1e-12))
            least[k] = np.maximum(least_ * (1 - 1e-12) - slack, 0)
            for j, s in zip(k, at, strict=True):
                _, low, high = boxes[j]
                middle, half = float((low + high) / 2), float((high - low) / 2)
                points[j] = min(max(middle + half * s, float(low)), float(high))
    return bounds, least, points, rough


@functools.cache
def _parts(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Middles of parts of [-1, 1], finer at its ends, and what re-expands n coefficients there.

    The second is [n, parts, n]: from coefficients of 1, s, s^2, ... to those of 1, t, t^2, ... with
    s = middle + half t.
    """
    edges = -np.cos(np.arange(PARTS + 1) * np.pi / PARTS)
    edges[0], edges[-1] = -1.0, 1.0
    middle = (edges[1:] + edges[:-1]) / 2
    # a hair more than half, for the rounding of middle and edges
    half = (edges[1:] - edges[:-1]) / 2 + 2.0**-50
    moves = np.zeros((n, PARTS, n))
    for k in range(n):
        for j in range(k + 1):
            moves[k, :, j] = math.comb(k, j) * middle ** (k - j) * half**j
    return middle, moves


def _ranges(c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of polynomials [B, n] on [-1, 1]: upper bound and a value of the size, and where it is.

    In float64; the rounding is below 1e-12 times the sum of the coefficients' sizes: each of the
    n <= 24 products and sums is off by 2^-53 of it, and entries of the matrices by n 2^-53.
    """
    middle, moves = _parts(c.shape[1])
    moved = np.tensordot(c, moves, 1)
    a, b, q = moved[..., 0], moved[..., 1], moved[..., 2]
    rest = np.abs(moved[..., 3:]).sum(-1)
    size = np.abs(a + q) + np.abs(b)
    inner = 2 * np.abs(q) > np.abs(b)  # the vertex of the parabola lies inside
    vertex = np.abs(a - b * b / np.where(inner, 4 * q, 1.0))
    size = np.where(inner, np.maximum(size, vertex), size) + rest
    at = np.abs(a).argmax(1)
    return size.max(1), np.abs(a).max(1), middle[at]


def _rough(
    enclosure: Enclosure, shifted: list[arb], box: arb, x: arb, r: arb
) -> tuple[float, float]:
    """The same where f has no Taylor series: by its slope, or by its values."""
    try:
        at_middle = abs(enclosure.ball(x) - shifted[0])
    except DomainFault:
        return math.inf, 0.0
    variation = sum((abs(c) for c in shifted[1:]), arb(0))
    least = max(lower(at_middle), 0.0)
    found = math.inf
    with contextlib.suppress(NotSmooth, DomainFault):
        found = upper(at_middle + abs(enclosure.slope(box)) * r + variation)
    with contextlib.suppress(DomainFault):
        found = min(found, upper(abs(enclosure.ball(box) - shifted[0]) + variation))
    return found, least


def _shift(poly: list[arb], at: arb, scale: arb) -> list[arb]:
    """Coefficients of p(at + scale s) in s."""
    c = list(poly)
    n = len(c)
    for i in range(n - 1):
        for k in range(n - 2, i - 1, -1):
            c[k] = c[k] + at * c[k + 1]
    power = arb(1)
    for k in range(1, n):
        power = power * scale
        c[k] = c[k] * power
    return c
