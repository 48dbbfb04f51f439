"""The scale that a bracket is drawn on, and the round values marked on it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from infsup.core.bracket.numbers import (
    Ends,
    Number,
    Real,
    apart,
    exponent,
    finite,
    pretty,
    units,
    write,
)


@dataclass(frozen=True)
class Axis:
    """From values to positions in [0, 1], monotone."""

    start: Fraction
    stop: Fraction
    log: bool

    def at(self, v: Number) -> float:
        if not isinstance(v, Fraction):
            return v
        if self.log:
            if v <= 0:
                return -math.inf
            return (_log10(v) - float(self.start)) / float(self.stop - self.start)
        try:
            return float((v - self.start) / (self.stop - self.start))
        except OverflowError:
            return math.inf if v > self.stop else -math.inf


def _log10(x: Fraction) -> float:
    return math.log10(x.numerator) - math.log10(x.denominator)


def coordinate(x: Fraction, log: bool) -> Fraction:
    """Where the value stands between `start` and `stop` of an axis."""
    return Fraction(_log10(x)) if log else x


def axis_of(
    lo: Number, hi: Number, marks: Sequence[Number] = (), log: bool | None = None, air: Real = 0
) -> Axis:
    """The scale that shows the bracket and the marks, with air around it.

    Args:
        lo: the bracket's lower end.
        hi: its upper end.
        marks: the values that are to stand on the scale.
        log: None leaves the choice to the rule: lo > 0 and hi > 100 lo.
        air: the least on both sides, in units of the bracket's width.
    """
    ends = [x for x in (lo, hi) if finite(x)]
    shown = [*ends, *(m for m in marks if finite(m))]
    if log is None:
        log = lo > 0 and apart(lo, hi)
    log = log and min(shown, default=0) > 0
    ends, shown = ([coordinate(x, log) for x in values] for values in (ends, shown))
    ends = ends or shown or [Fraction(0)]
    shown = shown or ends
    size = ends[-1] - ends[0]
    if size == 0:
        size = max(abs(x - ends[0]) for x in shown) / 2
        size = size or (Fraction(1) if log else abs(ends[0]) / 2 or Fraction(1))
    a = min(min(shown), ends[0] - Fraction(air) * size)
    b = max(max(shown), ends[-1] + Fraction(air) * size)
    if a == b:
        a, b = a - size, b + size
    return Axis(a, b, log)


def open_at(v: Number, e: Ends) -> float:
    """Where a value stands inside a bracket with an open end, in [0, 1], monotone."""
    if not isinstance(v, Fraction):
        return 1.0 if v > 0 else 0.0
    if finite(e.lo):
        d, scale = v - e.lo, abs(e.lo) or Fraction(1)
        return float(d / (d + scale))
    if finite(e.hi):
        d, scale = e.hi - v, abs(e.hi) or Fraction(1)
        return 1.0 - float(d / (d + scale))
    return 0.5 + float(v / (1 + abs(v))) / 2


def ticks(axis: Axis, percent: bool) -> list[tuple[float, str]]:
    """(position, text) of some round values."""
    if axis.log:
        first, last = math.ceil(axis.start), math.floor(axis.stop)
        step = max(1, -(-(last - first) // 4))
        powers = range(first + (-first) % step, last + 1, step)
        return [(axis.at(Fraction(10) ** k), _power_of_ten(k, percent)) for k in powers]
    span = axis.stop - axis.start
    steps = [m * Fraction(10) ** (exponent(span) - 1) for m in (2, 5, 10, 20, 50)]
    step = next(x for x in steps if span / x <= 4)
    unit = exponent(step)
    values = [
        k * step for k in range(math.ceil(axis.start / step), math.floor(axis.stop / step) + 1)
    ]
    top = max((exponent(v) for v in values if v), default=0)
    said = [pretty(write(units(v, unit, 0), unit, percent, top)) for v in values]
    if any(len(x) > 12 for x in said):
        return []
    return [(axis.at(v), x) for v, x in zip(values, said, strict=True)]


def _power_of_ten(k: int, percent: bool) -> str:
    shown = k + 2 if percent else k
    if -1 <= shown <= 2:
        return write(1, k, percent)
    return pretty(f"1e{shown}" + (" %" if percent else ""))
