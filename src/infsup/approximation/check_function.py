"""What checkers of any network need beside the evaluator of f in `check_structure`."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import flint
from flint import arb

from infsup.approximation.check_structure import Open, taylor

__all__ = ["Function", "Open", "lower", "precision", "upper"]


def lower(b: arb) -> float:
    """A float not above the ball."""
    end = b.lower()
    if not end.is_finite():
        return -math.inf
    f = float(end)
    return f if arb(f) <= end else math.nextafter(f, -math.inf)


def upper(b: arb) -> float:
    """A float not below the ball."""
    return -lower(-b)


@contextlib.contextmanager
def precision(bits: int, terms: int = 10) -> Iterator[None]:
    """Sets the bits of balls, and the length of series."""
    before = flint.ctx.prec, flint.ctx.cap
    flint.ctx.prec, flint.ctx.cap = bits, terms
    try:
        yield
    finally:
        flint.ctx.prec, flint.ctx.cap = before


class Function:
    """A program of one variable, in the precision that is set; what is not known raises `Open`."""

    def __init__(self, program: Any):
        self.program = program
        with contextlib.suppress(Open):
            self.ball(arb(0))  # a program of anything else is refused

    def ball(self, x: arb) -> arb:
        """All values on a ball."""
        return taylor(self.program, x, 0)[0]

    def taylor(self, x: arb, n: int) -> list[arb]:
        """The coefficients 0 to n at all points of a ball; `precision` allows so many terms."""
        return taylor(self.program, x, n)

    def slope(self, x: arb) -> arb:
        """All difference quotients between points of a ball; kinks are allowed."""
        return taylor(self.program, x, 1)[1]
