"""Encloses the program of f in balls, for all checkers of the pillar: nothing of the producer's."""

import contextlib
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import flint
import numpy as np
from flint import arb, arb_series

from infsup.core.errors import FileRejected
from infsup.core.program import STRUCTURAL, Program, Step, restructure

LOGIC = ("select", "lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not")


class Open(ArithmeticError):
    """A kink, a pole, or what is not known, inside a box."""


def exact(x: Any) -> arb:
    """The ball of a float or a fraction."""
    return arb(flint.fmpq(*x.as_integer_ratio()))


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
        if not isinstance(program, Program) or [a.shape for a in program.ins] != [()]:
            raise FileRejected("f is no program of one number, so the checker cannot enclose it")
        self.program = program

    def ball(self, x: arb) -> arb:
        """All values on a ball."""
        return self._jet([x], 1)[0]

    def taylor(self, x: arb, n: int) -> list[arb]:
        """The coefficients 0 to n at all points of a ball."""
        return self._jet([x, arb(1)], n + 1)

    def slope(self, x: arb) -> arb:
        """All difference quotients between points of a ball; kinks are allowed."""
        return self._jet([x, arb(1)], 2, kinks=True)[1]

    def _jet(self, x: list[arb], n: int, kinks: bool = False) -> list[arb]:
        terms, flint.ctx.cap = flint.ctx.cap, n
        try:
            slots: list[Any] = [arb_series(x, prec=n)]
            for s in self.program.steps:
                slots.append(self._step(s, [slots[i] for i in s.args], n, kinks))
            out = slots[self.program.out]
            found = _coefficients(out.item() if isinstance(out, np.ndarray) else out)
        finally:
            flint.ctx.cap = terms
        if not all(c.is_finite() for c in found):
            raise Open
        return [*found, *[arb(0)] * (n - len(found))]

    def _step(self, s: Step, v: list, n: int, kinks: bool) -> Any:
        act = lambda *w: _apply(s.op, w, s.params, n, kinks)  # noqa: E731
        if s.op == "array":
            a = self.program.arrays[s.params["name"]]
            put = np.frompyfunc(lambda c: arb_series([float(c)], prec=n), 1, 1)
            return a.astype(object) if a.dtype == bool else put(a)
        if s.op not in STRUCTURAL:
            grid = any(isinstance(a, np.ndarray) for a in v)
            return np.frompyfunc(act, len(v), 1)(*map(_boxed, v)) if grid else act(*v)
        if s.op not in ("largest", "smallest"):
            return restructure(s, [_boxed(a) for a in v])
        op, out = "maximum" if s.op == "largest" else "minimum", _boxed(v[0])
        pair = np.frompyfunc(lambda *w: _apply(op, w, {}, n, kinks), 2, 1)
        for axis in sorted(s.params["axes"], reverse=True):
            out = _boxed(pair.reduce(out, axis=axis))
        return out


def _boxed(v: Any) -> np.ndarray:
    if isinstance(v, np.ndarray):
        return v
    out = np.empty((), object)
    out[()] = v
    return out


def _coefficients(z: arb_series) -> list[arb]:
    return z.coeffs() or [arb(0)]


def _apply(op: str, v: Any, params: Any, n: int, kinks: bool) -> Any:
    """One operation on series; not a number where it is not known."""
    unknown = arb_series([arb.nan()], prec=n)
    if op in LOGIC:
        return _decide(op, v, n)
    if not all(c.is_finite() for z in v for c in _coefficients(z)):
        return unknown
    try:
        return _compute(op, v, params, n, kinks)
    except (Open, ValueError, ZeroDivisionError):
        return unknown


def _decide(op: str, v: Any, n: int) -> Any:
    """Truth: True, False, or None where it is not known; and what hangs on it."""
    if op == "select":
        if v[0] is not None or v[1] is v[2]:
            return v[2] if v[0] else v[1]
        if not isinstance(v[1], arb_series):
            return None
        both = [_coefficients(v[1])[0].union(_coefficients(v[2])[0])]
        return arb_series(both if n == 1 else [arb.nan()], prec=n)
    if op in ("and", "or"):
        return (op == "or") if (op == "or") in v else None if None in v else op == "and"
    if op == "not":
        return None if v[0] is None else not v[0]
    d = _coefficients(v[1])[0] - _coefficients(v[0])[0]
    if op in ("gt", "ge"):
        d = -d
    if op in ("eq", "ne"):
        same = True if v[0] is v[1] or d == 0 else None if not (d > 0 or d < 0) else False
        return same if op == "eq" or same is None else not same
    sure, never = (d > 0, d <= 0) if op in ("lt", "gt") else (d >= 0, d < 0)
    return True if sure else False if never else None


def _compute(op: str, v: Any, params: Any, n: int, kinks: bool) -> arb_series:
    def series(*c: Any) -> arb_series:
        return arb_series(list(c), prec=n)

    def head(z: Any) -> arb:
        return _coefficients(z)[0]

    def ends(f: Any, low: arb, high: arb) -> arb_series:
        return series(f(low).union(f(high)))

    def power(z: Any, r: Fraction) -> arb_series:
        if r.denominator == 1 and r >= 0:
            if n == 1 and r % 2 == 0 and head(z).contains(0):
                return series(arb(0).union(abs(head(z)).upper() ** int(r)))
            return math.prod([z] * int(r), start=series(1))
        if r.denominator == 1:
            return 1 / power(z, -r)
        if n == 1 and r > 0 and not head(z) > 0:  # a root at 0
            top = head(z).upper()
            return series(arb(0) if not top > 0 else arb(0).union((top.log() * exact(r)).exp()))
        return (z.log() * exact(r)).exp()

    def sided(sign: Any, up: Any, down: Any, join: Any) -> Any:
        """`up` where the sign is known to be +, `down` where -, both joined where they meet."""
        if sign >= 0 or sign <= 0:
            return up if sign >= 0 else down
        if n > 1 and not kinks:
            raise Open
        return series(join, *([up[1].union(down[1])] if n > 1 else []))

    if op in ("number", "pi", "e"):
        at = {"pi": arb.pi, "e": arb(1).exp}.get(op, lambda: exact(params["value"]))
        return series(at())
    z, y = v[0], v[-1]
    if op in ("maximum", "minimum"):
        a, b = (z, y) if op == "maximum" else (y, z)
        edge = head(z).max(head(y)) if op == "maximum" else head(z).min(head(y))
        return sided(head(z) - head(y), a, b, edge)
    if op in ("abs", "sign"):
        if op == "abs":
            return sided(head(z), z, -z, arb(0).union(abs(head(z)).upper()))
        if n > 1 and not (head(z) > 0 or head(z) < 0):
            raise Open
        return series(head(z).sgn())
    powers = {"square": 2, "sqrt": Fraction(1, 2), "rsqrt": Fraction(-1, 2)}
    if op in powers or op == "power_of":
        return power(z, Fraction(powers.get(op, params.get("exponent"))))
    if op == "cbrt":
        if head(z) > 0 or head(z) < 0 or n > 1:
            return power(z, Fraction(1, 3)) if head(z) > 0 else -power(-z, Fraction(1, 3))
        top = (abs(head(z)).upper() + arb(2) ** -400).root(3)
        return series(top * arb(0, 1))
    if op in ("tanh", "logistic"):
        if n == 1 and op == "tanh":
            return ends(arb.tanh, head(z).lower(), head(z).upper())
        e = (-2 * z).exp() if op == "tanh" else (-z).exp()
        return (1 - e) / (1 + e) if op == "tanh" else 1 / (1 + e)
    if op in ("asin", "acos") and n == 1:
        return ends(getattr(arb, op), head(z).lower().max(arb(-1)), head(z).upper().min(arb(1)))
    named = {
        "add": lambda: z + y,
        "sub": lambda: z - y,
        "mul": lambda: power(z, Fraction(2)) if z is y else z * y,
        "div": lambda: z / y,
        "neg": lambda: -z,
        "power": lambda: (y * z.log()).exp(),
        "expm1": lambda: z.exp() - 1,
        "log1p": lambda: (1 + z).log(),
        "sinh": lambda: (z.exp() - (-z).exp()) / 2,
        "cosh": lambda: (z.exp() + (-z).exp()) / 2,
        "acos": lambda: arb.pi() / 2 - z.asin(),
        "erfc": lambda: 1 - z.erf(),
        "asinh": lambda: (z + (z * z + 1).sqrt()).log(),
        "acosh": lambda: (z + (z * z - 1).sqrt()).log(),
        "atanh": lambda: ((1 + z) / (1 - z)).log() / 2,
    }
    if op in named:
        return named[op]()
    if op in ("exp", "log", "sin", "cos", "tan", "atan", "asin", "erf", "lgamma"):
        return getattr(z, op)()
    raise FileRejected(f"f uses `{op}`, which this checker does not read")
