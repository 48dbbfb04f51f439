"""What a certificate claims, number by number."""

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from infsup.core.bracket.numbers import Ends, Number, ends_of, exact, finite
from infsup.core.certificate import Certificate

NO_NUMBER = "no number"
SILENT = ("refused", "inapplicable")
"""The verdicts that carry no number."""


class Component(NamedTuple):
    """The ends as the certificate holds them; the place of a single number is empty."""

    place: tuple[int, ...]
    lower: Any
    upper: Any


def components(c: Certificate) -> list[Component]:
    """All components, in the order of the array."""
    shape = np.shape(c.lower) if np.size(c.lower) > 1 else ()
    lower, upper = np.ravel(c.lower).tolist(), np.ravel(c.upper).tolist()
    return list(map(Component, np.ndindex(shape), lower, upper))


def breadth(lo: Number, hi: Number) -> Number:
    """Upper end minus lower end, also where both are the same infinity."""
    return hi - lo if lo != hi else Fraction(0)


def percent(c: Certificate) -> bool:
    """Whether the quantity is a rate: its range is [0, 1], and so is what is claimed of it."""
    if c.range != (0.0, 1.0):
        return False
    known = [x for x in map(exact, (*np.ravel(c.lower), *np.ravel(c.upper))) if finite(x)]
    return bool(known) and min(known) >= 0 and max(known) <= 1 and max(known) >= Fraction(1, 10**4)


def worst(c: Certificate) -> Ends:
    """The component whose defended end is worst; the widest where no end is defended."""

    def badness(part: Component) -> Number:
        lo, hi = exact(part.lower), exact(part.upper)
        if c.sense == "none":
            return breadth(lo, hi)
        return hi if c.sense == "min" else -lo

    part = max(components(c), key=badness)
    return ends_of(part.lower, part.upper, percent(c))


def ends_in_words(c: Certificate) -> str:
    """The two ends in ASCII, rounded outward, e.g. `[4.589845, 4.590262]`.

    Args:
        c: the certificate; of an array, the worst component by the defended end is taken.

    Returns:
        `= 1/1024 (exact)` where the ends agree, `>= 0.03` or `<= 7.0 %` where one is open,
        `no number` where nothing is claimed.
    """
    if c.verdict in SILENT:
        return NO_NUMBER
    size = np.size(c.lower)
    return f"{worst(c)}, worst of {size:,} components" if size > 1 else str(worst(c))


def known(x: Any, index: tuple[int, ...] = ()) -> Number | None:
    """One number out of what a caller may hand in as truth; None where there is none."""
    if x is None:
        return None
    if isinstance(x, Certificate):
        if x.verdict in SILENT:
            return None
        parts = {part.place: part for part in components(x)}
        _, lower, upper = parts.get(index) or next(iter(parts.values()))
        ends = [end for end in (exact(lower), exact(upper)) if finite(end)]
        return sum(ends, Fraction(0)) / len(ends) if ends else None
    if not isinstance(x, (Fraction, int)):
        x = np.asarray(x, np.float64)
        if x.size == 1:
            x = x.reshape(())
        elif len(index) != x.ndim or any(i >= n for i, n in zip(index, x.shape, strict=True)):
            return None
        else:
            x = x[index]
    v = exact(x)
    return None if v != v else v
