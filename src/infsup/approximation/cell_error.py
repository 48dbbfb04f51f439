"""Proved bounds of sup |f - p| for a function and a piecewise polynomial, by balls."""

import contextlib
import heapq
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

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
        cells: for each piece an upper bound; inf where it could not be bounded.
        upper: largest of cells + extra.
        lower: |f - p| at the best point found, less `extra` nowhere.
        point: that point.
        boxes: looked at.
    """

    cells: list[float]
    upper: float
    lower: float
    point: Fraction
    boxes: int


def sup_error(
    enclosure: Enclosure,
    pieces: Sequence[Piece],
    *,
    tolerance: float = 0.01,
    most: int = 200_000,
    floor: float = 0.0,
) -> Found:
    """Branch and bound until the two ends of the largest cell differ by the tolerance.

    Args:
        enclosure: of f.
        pieces: they cover the domain.
        tolerance: relative.
        most: boxes looked at before it gives up.
        floor: an upper bound below this needs no sharper one.
    """
    heap: list[tuple[float, int, int, Fraction, Fraction, float]] = []
    best, point, count, reached = 0.0, pieces[0].low, 0, 0.0
    with precision(BITS):
        balls = [[exact(c) for c in piece.poly] for piece in pieces]

        def look(number: int, low: Fraction, high: Fraction) -> None:
            nonlocal best, point, count, reached
            count += 1
            most_, least = _box(enclosure, pieces[number], balls[number], low, high)
            if least > best:
                best, point = least, (low + high) / 2
            reached = max(reached, least + pieces[number].extra)
            key = -(most_ + pieces[number].extra)
            heapq.heappush(heap, (key, count, number, low, high, most_))

        for number, piece in enumerate(pieces):
            look(number, piece.low, piece.high)
        while count < most:
            key, _, number, low, high, _ = heap[0]
            if -key <= floor or -key <= reached * (1 + tolerance) + 1e-300:
                break
            if high - low <= (pieces[number].high - pieces[number].low) / 2**120:
                break
            heapq.heappop(heap)
            middle = (low + high) / 2
            look(number, low, middle)
            look(number, middle, high)
    cells = [0.0] * len(pieces)
    for _, _, number, _, _, most_ in heap:
        cells[number] = max(cells[number], most_)
    return Found(cells, -heap[0][0], best, point, count)


def _box(
    enclosure: Enclosure, piece: Piece, poly: list[arb], low: Fraction, high: Fraction
) -> tuple[float, float]:
    """Upper bound of |f - p| on a box, and a lower bound of it at the middle."""
    middle, radius = (low + high) / 2, (high - low) / 2
    whole = (piece.high - piece.low) / 2
    t = exact((middle - (piece.low + piece.high) / 2) / whole)
    shifted = _shift(poly, t, exact(radius / whole))
    order = len(poly) + 2
    x, r = exact(middle), exact(radius)
    box = hull(low, high)
    try:
        series = enclosure.taylor(x, order - 1)
        rest = enclosure.taylor(box, order)[order]
    except (NotSmooth, DomainFault):
        return _rough(enclosure, shifted, box, x, r)
    error, power = [], arb(1)
    for k in range(order):
        p = shifted[k] if k < len(shifted) else arb(0)
        error.append(series[k] * power - p)
        power = power * r
    bound = _quadratic(error[0], error[1], error[2])
    for c in (*error[3:], rest * power):
        bound = bound + abs(c)
    return upper(bound), max(lower(abs(error[0])), 0.0)


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


def _quadratic(a: arb, b: arb, c: arb) -> arb:
    """Upper bound of |a + b s + c s^2| over s in [-1, 1]."""
    ends = abs(a + c) + abs(b)
    if 2 * abs(c) <= abs(b):  # the vertex lies outside
        return ends
    if abs(c) > 0:
        vertex = abs(a - b * b / (4 * c))
        return ends.max(vertex)
    return abs(a) + abs(b) + abs(c)
