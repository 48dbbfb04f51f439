"""Exact numbers, the ends of a bracket rounded outward, and how both are written."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeGuard

import numpy as np

MOST_DIGITS = 24
WIDENING = Fraction(1, 100)
"""By how much of its width the printed bracket may be wider than the true one."""

Real = float | int
Number = Fraction | float
"""Exact; a float only where it is infinite."""

_SUPER = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def exact(x: Any) -> Number:
    """The number as a fraction; +-inf and NaN as floats.

    A float64 is read as its canonical text, the shortest decimal that reads back to it, as files
    hold it: 0.07 prints as 0.07, though as a binary number it lies 7e-18 above.
    """
    if isinstance(x, (Fraction, int)):
        return Fraction(x)
    x = float(np.asarray(x))
    return Fraction(repr(x)) if math.isfinite(x) else x


def finite(x: Any) -> TypeGuard[Fraction]:
    """Whether it is a number that `exact` found finite."""
    return isinstance(x, Fraction)


def exponent(x: Fraction) -> int:
    """floor(log10 |x|) for x != 0, exactly and for any size."""
    p, q = abs(x.numerator), x.denominator
    e = math.floor((p.bit_length() - q.bit_length()) * math.log10(2))
    while Fraction(10) ** e > abs(x):
        e -= 1
    while Fraction(10) ** (e + 1) <= abs(x):
        e += 1
    return e


def units(x: Fraction, unit: int, way: int) -> int:
    """`x` in units of 10**unit, rounded down (-1), up (+1) or to nearest (0)."""
    scaled = x * Fraction(10) ** -unit
    return math.floor(scaled) if way < 0 else math.ceil(scaled) if way > 0 else round(scaled)


def write(n: int, unit: int, percent: bool, reference: int | None = None) -> str:
    """The number n * 10**unit; the exponent `reference` decides between 0.0098 and 9.8e-3."""
    unit += 2 if percent else 0
    sign, digits = "-" if n < 0 else "", str(abs(n))
    e = len(digits) - 1 + unit
    judge = e if reference is None else reference + (2 if percent else 0)
    if n == 0:
        body = "0"
    elif unit <= 0 and -2 <= judge < 16:
        digits = digits.rjust(1 - unit, "0")
        body = digits[:unit] + "." + digits[unit:] if unit else digits
    elif unit > 0 and e < 5:
        body = digits + "0" * unit
    else:
        body = digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + f"e{e}"
    return sign + body + (" %" if percent else "")


def rounded(
    x: Number,
    way: int,
    error: Number,
    percent: bool = False,
    keep: Number | None = None,
    reference: int | None = None,
) -> str:
    """The fewest digits that move `x` by at most `error` in the given way, and not past `keep`."""
    if not isinstance(x, Fraction):
        return str(x)
    if x == 0:
        return write(0, 0, percent)
    top = exponent(x)
    unit = top + 1 if error >= abs(x) else top
    while True:
        n = units(x, unit, way)
        p = n * Fraction(10) ** unit
        kept = keep is None or (keep < p if keep < x else keep > p)
        if (n and abs(p - x) <= error and kept) or unit <= top - MOST_DIGITS:
            return write(n, unit, percent, reference)
        unit -= 1


def whole(x: Any, percent: bool) -> str:
    """An exactly known number: p/q, or the shortest decimal that reads back to the same float."""
    if not isinstance(x, Fraction):
        decimal = rounded(exact(x), 0, Fraction(0), percent)
        p, q = x.as_integer_ratio() if math.isfinite(x) else (0, 10**5)
        return min(decimal, f"{p}/{q}", key=len) if q < 10**5 else decimal
    # the sizes first: Python refuses to print very long integers
    if x.numerator.bit_length() + x.denominator.bit_length() <= 64:
        return str(x)
    unit = exponent(x) - 11
    head, e, tail = write(units(x, unit, -1 if x > 0 else +1), unit, False).partition("e")
    return f"{head}...{e}{tail}"


def typeset(number: str) -> str:
    """The number with a true minus and infinity; exponents stay as they are typed."""
    number = number.replace("inf", "∞")
    return "−" + number[1:] if number.startswith("-") else number


def pretty(number: str) -> str:
    """The number as in print: 9.45·10⁻⁴."""
    head, e, tail = number.partition("e")
    power, space, percent = tail.partition(" ")
    if e and power.lstrip("-").isdigit():
        number = f"{head}·10{power.translate(_SUPER)}{space}{percent}"
        number = number.replace("1·10", "10", 1) if head in ("1", "-1") else number
    return typeset(number)


@dataclass(frozen=True)
class Ends:
    """Two ends and how they are printed: in ASCII, outward, as many digits as the width shows.

    Args:
        lo: the lower end.
        hi: the upper end.
        low: the lower end as it is printed.
        high: the upper end as it is printed.
        percent: whether they are printed in percent.
        unit: exponent of the last digit of both; None where each end has its own.
        reference: the exponent that decided how both are written.
    """

    lo: Number
    hi: Number
    low: str
    high: str
    percent: bool
    unit: int | None = None
    reference: int | None = None

    @property
    def exact(self) -> bool:
        return self.lo == self.hi

    @property
    def closed(self) -> bool:
        return finite(self.lo) and finite(self.hi)

    def __contains__(self, v: Number | None) -> bool:
        return v is not None and self.lo <= v <= self.hi

    def __str__(self) -> str:
        """E.g. `[0.1, 0.2]`, `>= 0.1`, `= 1/1024 (exact)`."""
        if self.exact:
            return f"= {self.low} (exact)"
        if finite(self.lo) != finite(self.hi):
            return f">= {self.low}" if finite(self.lo) else f"<= {self.high}"
        return f"[{self.low}, {self.high}]"

    def mark(self, v: Number) -> str:
        """A value near the bracket, in digits that keep it on its side of both printed ends."""
        if not isinstance(v, Fraction):
            return str(v)
        if v in self:
            if self.unit is not None:
                n = units(v, self.unit, 0)
                if abs(n * Fraction(10) ** self.unit - v) <= abs(v) / 10:
                    return write(n, self.unit, self.percent, self.reference)
            return rounded(v, 0, abs(v) / 200, self.percent)
        near = self.lo if v < self.lo else self.hi
        distance = abs(v - near) if finite(near) else abs(v)
        return rounded(v, 0, min(distance / 100, abs(v) / 20), self.percent)


def apart(lo: Number, hi: Number) -> bool:
    """Whether the ends have one sign and lie more than a factor of 100 apart."""
    if not (finite(lo) and finite(hi)):
        return False
    return (lo > 0 and hi > 100 * lo) or (hi < 0 and lo < 100 * hi)


def ends_of(lower: Any, upper: Any, percent: bool, truth: Number | None = None) -> Ends:
    """The ends rounded outward, in digits that leave a truth outside of them outside."""
    lo, hi = exact(lower), exact(upper)
    if lo == hi:
        said = whole(lower if isinstance(lower, Fraction) else upper, percent)
        return Ends(lo, hi, said, said, percent)
    outside = truth if truth is not None and not lo <= truth <= hi else None
    if finite(lo) and finite(hi) and not apart(lo, hi):
        reference = max(exponent(x) for x in (lo, hi) if x)
        last = reference - MOST_DIGITS
        for unit in range(max(exponent(hi - lo), last), last - 1, -1):
            a, b = units(lo, unit, -1), units(hi, unit, +1)
            step = Fraction(10) ** unit
            if outside is not None and a * step <= outside <= b * step:
                continue
            shown = (a != 0 or lo == 0) and (b != 0 or hi == 0)
            if unit == last or (shown and (b - a) * step - (hi - lo) <= WIDENING * (hi - lo)):
                low = write(a, unit, percent, reference)
                high = write(b, unit, percent, reference)
                return Ends(lo, hi, low, high, percent, unit, reference)
    texts = []
    for x, way in ((lo, -1), (hi, +1)):
        beyond = outside if outside is not None and (outside < x) == (way < 0) else None
        texts.append(rounded(x, way, abs(x) / 200, percent, beyond))
    return Ends(lo, hi, texts[0], texts[1], percent)
