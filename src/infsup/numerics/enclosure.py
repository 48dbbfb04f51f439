"""Proved enclosures of a function: values, Taylor coefficients and slopes on a box, in balls.

Everything here is computed by python-flint in ball arithmetic; nothing is computed by XLA, whose
rounding is not to be relied on (it fuses, reassociates and flushes).
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import flint
import numpy as np
from flint import arb, arb_series

from infsup.core.errors import HypothesisError, UsageError
from infsup.core.program import STRUCTURAL, Program, Step, describe, restructure, slots

PRECISION = 128
"""Bits of the balls' midpoints."""
MAX_BOXES = 20_000


class DomainFault(HypothesisError):
    """The function is not defined, or jumps, somewhere in a box.

    Args:
        what: the fault in words.
        expression: the sub-expression at fault.
        box: (lower, upper) ends of the argument, floats.
    """

    def __init__(self, what: str, expression: str, box: tuple[float, float], remedy: str = ""):
        self.expression, self.box = expression, box
        super().__init__(what, f"In the box [{box[0] + 0.0:.10g}, {box[1] + 0.0:.10g}].", remedy)


class NotSmooth(ArithmeticError):
    """A box contains a kink or a singularity of a derivative: bisect it, or use `slope` or `ball`.

    Args:
        expression: the sub-expression that is not differentiable there.
    """

    def __init__(self, expression: str):
        self.expression = expression
        super().__init__(expression)


def exact(x: float | int | Fraction) -> arb:
    """The ball of a number: of radius 0 for floats and integers, else containing the fraction."""
    if isinstance(x, Fraction):
        return arb(flint.fmpq(x.numerator, x.denominator))
    return arb(x)


def hull(low: Any, high: Any) -> arb:
    """The smallest ball around two numbers or balls."""
    low = low if isinstance(low, arb) else exact(low)
    high = high if isinstance(high, arb) else exact(high)
    return low.union(high)


def lower(b: arb) -> float:
    """The largest float not above the ball that is easily had; -inf for an unbounded ball."""
    end = b.lower()
    if not end.is_finite():
        return -math.inf
    f = float(end)
    while not arb(f) <= end:
        f = math.nextafter(f, -math.inf)
    return f


def upper(b: arb) -> float:
    """A float not below the ball."""
    return -lower(-b)


@contextlib.contextmanager
def precision(bits: int = PRECISION, terms: int | None = None) -> Iterator[None]:
    """Sets the precision of python-flint (and the length of its series) inside the block."""
    before = flint.ctx.prec, flint.ctx.cap
    flint.ctx.prec = bits
    if terms is not None:
        flint.ctx.cap = terms
    try:
        yield
    finally:
        flint.ctx.prec, flint.ctx.cap = before


def program_of(f: Any, names: Sequence[str] = ("x",)) -> Program:
    """The program of a function of real numbers.

    Args:
        f: an expression as text, a JAX function of scalars, or a program.
        names: of the arguments.

    Raises:
        UsageError: the text is no expression, or the function uses what has no enclosure.
        PrecisionError: a JAX function while the 64-bit flag is off (its constants would be cut).
    """
    if isinstance(f, Program):
        program = f
    elif isinstance(f, str):
        from infsup.numerics.expression import parse

        program = parse(f, names)
    elif callable(f):
        import jax

        from infsup.core.precision import require_64_bit
        from infsup.core.tracing import trace

        require_64_bit("The program of a JAX function", "Its constants would be cut to 32 bits.")
        numbers = [jax.ShapeDtypeStruct((), np.float64) for _ in names]
        program = trace(f, *numbers, names=names)
        shape = getattr(jax.eval_shape(f, *numbers), "shape", ())
        if shape:
            raise UsageError(
                f"`f` gives an array of shape {shape}",
                "A function whose values are numbers is asked for, each component by itself.",
                "lambda x: f(x)[0]",
            )
    else:
        raise UsageError(
            f"`f` is a {type(f).__name__}",
            "A function is asked for.",
            'a JAX function of one scalar, or an expression such as "exp(-x)*sin(3*x)"',
        )
    if len(program.ins) != len(names) or any(a.shape for a in program.ins):
        raise UsageError(
            f"`f` takes {len(program.ins)} arguments; {len(names)} scalars are asked for"
        )
    return program


class Enclosure:
    """Proved enclosures of a program of scalars.

    Args:
        program: arguments and result are scalars.
        bits: precision of the balls.
    """

    def __init__(self, program: Program, bits: int = PRECISION):
        self.program, self.bits = program, bits

    def ball(self, *x: arb) -> arb:
        """A ball that contains the function at all points of the balls.

        Raises:
            DomainFault: it cannot be shown that the function is defined on all of them.
        """
        with precision(self.bits):
            return self._run(x, _Balls())

    def taylor(self, x: arb, n: int) -> list[arb]:
        """Taylor coefficients: the k-th ball contains f^(k)(s)/k! for every s in `x`.

        Args:
            x: a ball.
            n: the highest order, at least 0.

        Raises:
            NotSmooth: the ball contains a kink.
            DomainFault: it cannot be shown that the function is defined on the ball.
        """
        with precision(self.bits, n + 1):
            value = self._run((arb_series([x, 1], prec=n + 1),), _Series(n))
            found = value.coeffs() if isinstance(value, arb_series) else [value]
            if not all(c.is_finite() for c in found):
                raise NotSmooth(str(self.program))
            return found[: n + 1] + [arb(0)] * (n + 1 - len(found))

    def slope(self, x: arb) -> arb:
        """A ball that contains every difference quotient of the function between points of `x`.

        Kinks of abs, maximum and minimum are allowed; where derivatives exist it contains them.

        Raises:
            NotSmooth: the slope is not bounded there.
            DomainFault: as for `ball`.
        """
        with precision(self.bits, 2):
            value = self._run((arb_series([x, 1], prec=2),), _Series(1, kinks=True))
            found = value.coeffs() if isinstance(value, arb_series) else [value]
            if not all(c.is_finite() for c in found):
                raise NotSmooth(str(self.program))
            return found[1] if len(found) > 1 else arb(0)

    def check(self, a: float | int, b: float | int) -> None:
        """Shows by bisection that the function is defined and does not jump on [a, b].

        Jumps are found where a condition switches between values that differ by more than 1e-9
        of the function's size.

        Raises:
            DomainFault: a pole, a branch or a jump: names the sub-expression and the box.
        """
        a, b = float(a), float(b)
        for end in (a, b):
            self.ball(exact(end))
        todo, boxes = [(a, b)], 0
        while todo:
            low, high = todo.pop()
            boxes += 1
            mid = low + (high - low) / 2
            last = boxes > MAX_BOXES or high - low <= 2.0**-45 * max(abs(low), abs(high))
            last = last or not low < mid < high or high - low < 2.0**-300 * (b - a)
            arithmetic, fault = _Balls(), None
            try:
                with precision(self.bits):
                    self._run((hull(low, high),), arithmetic, (low, high))
            except DomainFault as e:
                fault = e
            if fault is None and not arithmetic.jumps and (last or not arithmetic.unsure):
                continue
            if not last:
                todo += [(low, mid), (mid, high)]
            elif fault is not None:
                raise fault
            elif arithmetic.jumps:
                where = describe(self.program, len(self.program.ins) + arithmetic.jumped)
                raise DomainFault(
                    f"`{self.program}` jumps: `{where}` has two values",
                    where,
                    (low, high),
                    "a continuous function, or a domain that ends at the jump",
                )

    def _run(self, x: Sequence[Any], arithmetic: "_Balls", box: Any = None) -> Any:
        if len(x) != len(self.program.ins):
            raise UsageError(f"`{self.program}` takes {len(self.program.ins)} arguments")
        values = slots(self.program, x, arithmetic)
        value = values[self.program.out]
        if isinstance(value, np.ndarray):
            value = value.item()
        if isinstance(value, _Fault):
            where = describe(self.program, len(self.program.ins) + value.step)
            if value.smooth:
                raise NotSmooth(where)
            if box is None:
                first = x[0].coeffs()[0] if isinstance(x[0], arb_series) else x[0]
                box = lower(first), upper(first)
            raise DomainFault(
                f"`{where}` is not defined: {value.why}",
                where,
                box,
                "a domain without this place",
            )
        return value


class _Fault:
    """The value of what is not defined; it spreads through all that uses it."""

    def __init__(self, step: int, why: str, smooth: bool = False):
        self.step, self.why, self.smooth = step, why, smooth

    def _same(self, *_: Any) -> "_Fault":
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = _same


class _Undefined(ArithmeticError):
    """Raised by an operation; becomes a `_Fault`."""


class _Kink(ArithmeticError):
    """Raised by an operation of a Taylor series."""


def _nearly_not_negative(x: arb) -> bool:
    """Below 0 by no more than the balls' own rounding (radii have 30 bits, and errors grow)."""
    slack = arb(2) ** (-flint.ctx.prec // 2) * (1 + abs(x).upper()) + x.rad() * arb(2) ** -20
    return x.lower() >= -slack


_INCREASING = ("exp", "expm1", "sinh", "tanh", "atan", "asinh", "erf")


def increasing(f: Callable[[arb], arb], x: arb) -> arb:
    """An increasing function of a ball: by its ends where the ball is wide.

    On wide balls python-flint's own evaluation is loose, or not finite.
    """
    if x.rad() < 1e-3:
        return f(x)
    return f(x.lower()).union(f(x.upper()))


class _Balls:
    """Interval extension of each operation."""

    def __init__(self):
        self.at = -1
        self.jumps, self.jumped = False, -1
        self.unsure = False
        """Whether smaller boxes are needed to see a jump, or the end of an operation's domain."""

    def __call__(self, s: Step, args: list[Any], arrays: Mapping[str, np.ndarray]) -> Any:
        self.at += 1
        if s.op == "array":
            a = arrays[s.params["name"]]
            if a.dtype == bool:
                return a.astype(object)
            return np.frompyfunc(lambda v: arb(float(v)), 1, 1)(a)
        if s.op in ("largest", "smallest"):
            return self.fold(s, args[0] if isinstance(args[0], np.ndarray) else _boxed(args[0]))
        if s.op in STRUCTURAL:
            return restructure(s, [a if isinstance(a, np.ndarray) else _boxed(a) for a in args])
        act = self.lifted(s)
        if any(isinstance(a, np.ndarray) for a in args):
            given = [a if isinstance(a, np.ndarray) else _boxed(a) for a in args]
            return np.frompyfunc(act, len(given), 1)(*given)
        return act(*args)

    def jump(self) -> None:
        self.jumps, self.jumped = True, self.at

    def lifted(self, s: Step) -> Callable:
        """The operation on single values, faults included."""
        step = self.at

        def act(*v: Any) -> Any:
            if s.op == "select":
                return self.select(*v)
            fault = next((a for a in v if isinstance(a, _Fault)), None)
            if fault is not None:
                return fault
            try:
                return self.one(s, v)
            except _Undefined as e:
                return _Fault(step, str(e))
            except _Kink as e:
                return _Fault(step, str(e), smooth=True)

        return act

    def fold(self, s: Step, x: np.ndarray) -> Any:
        pair = self.lifted(Step("maximum" if s.op == "largest" else "minimum", (0, 1)))
        for axis in sorted(s.params["axes"], reverse=True):
            x = np.frompyfunc(pair, 2, 1).reduce(x, axis=axis)
            x = x if isinstance(x, np.ndarray) else _boxed(x)  # a series has a length
        return x.item() if x.ndim == 0 else x

    def select(self, condition: Any, no: Any, yes: Any) -> Any:
        if isinstance(condition, _Fault):
            return condition
        if condition is not None:
            return yes if condition else no
        return self.either(no, yes)

    def either(self, no: Any, yes: Any) -> Any:
        """Either of two values, it is not known which."""
        fault = next((v for v in (no, yes) if isinstance(v, _Fault)), None)
        if fault is not None:
            return fault
        if isinstance(no, (bool, type(None))):
            return no if no == yes else None
        size, gap = 1e-9 * (abs(no).upper() + abs(yes).upper()), abs(no - yes)
        if gap > size:
            self.jump()
        self.unsure |= not gap <= size
        return no.union(yes)

    def one(self, s: Step, v: Sequence[Any]) -> Any:
        got = getattr(self, f"op_{s.op}", None)
        value = got(*v, **s.params) if got is not None else self.named(s.op, v)
        if isinstance(value, arb) and not value.is_finite():
            raise _Undefined("it is not finite there")
        return value

    def named(self, op: str, v: Sequence[Any]) -> Any:
        """exp, sin, cos, tanh, ...: as python-flint names them."""
        f = getattr(arb, op)
        return increasing(f, v[0]) if op in _INCREASING else f(v[0])

    # leaves

    def op_number(self, value: Fraction) -> Any:
        return exact(value)

    def op_pi(self) -> Any:
        return arb.pi()

    def op_e(self) -> Any:
        return arb(1).exp()

    # algebra

    def op_neg(self, x):
        return -x

    def op_add(self, x, y):
        return x + y

    def op_sub(self, x, y):
        return x - y

    def op_mul(self, x, y):
        if x is y:
            return self.op_square(x)
        if isinstance(x, arb) and isinstance(y, arb) and x.rad() > 1e-2 and y.rad() > 1e-2:
            # by the ends: the ball's own product is wider than the image of wide balls
            ends = [p * q for p in (x.lower(), x.upper()) for q in (y.lower(), y.upper())]
            return ends[0].union(ends[1]).union(ends[2]).union(ends[3])
        return x * y

    def op_div(self, x, y):
        if self.head(y).contains(0):
            raise _Undefined("its denominator vanishes or may vanish")
        return x / y

    def op_square(self, x):
        return self.op_power_of(x, Fraction(2))

    def op_power_of(self, x, exponent):
        k = int(exponent)
        if k == exponent:
            if k < 0:
                return self.op_div(arb(1), self.op_power_of(x, -exponent))
            if k % 2 == 0 and x.contains(0):
                return hull(0, abs(x).upper() ** k)
            # at the ends: the ball's own product is far wider than the image of a wide ball
            return x**k if x.is_exact() else (x.lower() ** k).union(x.upper() ** k)
        if exponent < 0:
            return self.op_div(arb(1), self.op_power_of(x, -exponent))
        low, high = (
            end if end.is_zero() else end ** exact(exponent) for end in self.not_negative(x)
        )
        return low.union(high)

    def op_power(self, x, y):
        if not self.head(x) > 0:
            raise _Undefined("a power of what may be 0 or negative")
        return (y * x.log()).exp()

    def not_negative(self, x: arb) -> tuple[arb, arb]:
        """Both ends of what must not be negative (its own rounding aside)."""
        if not _nearly_not_negative(x):
            raise _Undefined("its argument is or may be negative")
        low = x.lower()
        self.unsure |= not low >= 0
        return (low if low > 0 else arb(0)), x.upper()

    def op_sqrt(self, x):
        low, high = self.not_negative(x)
        return low.sqrt().union(high.sqrt())

    def op_rsqrt(self, x):
        return self.op_div(arb(1), self.op_sqrt(x))

    def op_cbrt(self, x):
        def root(end: arb) -> arb:
            if end.is_zero():
                return end
            return end.root(3) if end > 0 else -((-end).root(3))

        return root(x.lower()).union(root(x.upper()))

    def op_log(self, x):
        if not self.head(x) > 0:
            raise _Undefined("its argument is or may be 0 or negative")
        return increasing(arb.log, x) if isinstance(x, arb) else x.log()

    def op_log1p(self, x):
        if not self.head(x) > -1:
            raise _Undefined("its argument is or may be at most -1")
        return increasing(arb.log1p, x) if isinstance(x, arb) else (x + 1).log()

    def op_asin(self, x):
        return self.inverse(x, lambda v: v.asin())

    def op_acos(self, x):
        return self.inverse(x, lambda v: v.acos())

    def inverse(self, x: arb, f: Callable[[arb], arb]) -> arb:
        """An inverse of sine or cosine, monotone, on [-1, 1]."""
        if not (_nearly_not_negative(1 - x) and _nearly_not_negative(1 + x)):
            raise _Undefined("its argument is or may be outside [-1, 1]")
        self.unsure |= not -1 <= x <= 1
        ends = [max(arb(-1), min(arb(1), end)) for end in (x.lower(), x.upper())]
        return f(ends[0]).union(f(ends[1]))

    def op_acosh(self, x):
        self.not_negative(x - 1)
        ends = [arb(1) if not end > 1 else end for end in (x.lower(), x.upper())]
        return ends[0].acosh().union(ends[1].acosh())

    def op_atanh(self, x):
        if not -1 < x < 1:
            raise _Undefined("its argument is or may be outside (-1, 1)")
        return increasing(arb.atanh, x)

    def op_lgamma(self, x):
        if not self.head(x) > 0:
            raise _Undefined("its argument is or may be 0 or negative")
        return x.lgamma()

    def op_logistic(self, x):
        return increasing(lambda v: 1 / (1 + (-v).exp()), x)

    def op_erfc(self, x):
        return -increasing(lambda v: -v.erfc(), x)

    # kinks

    def op_abs(self, x):
        return hull(0, abs(x).upper()) if x.contains(0) else abs(x)

    def op_sign(self, x):
        if x > 0 or x < 0:
            return arb(1 if x > 0 else -1)
        if x.is_zero():
            return arb(0)
        self.jump()
        return hull(-1, 1)

    def op_maximum(self, x, y):
        return x.max(y)

    def op_minimum(self, x, y):
        return x.min(y)

    # truth: True, False, or None where it is not known

    def head(self, x: Any) -> arb:
        return x

    def compare(self, x: Any, y: Any, sure: Callable, never: Callable) -> bool | None:
        a, b = self.head(x), self.head(y)
        return True if sure(a, b) else False if never(a, b) else None

    def op_lt(self, x, y):
        return self.compare(x, y, lambda a, b: a < b, lambda a, b: a >= b)

    def op_le(self, x, y):
        return self.compare(x, y, lambda a, b: a <= b, lambda a, b: a > b)

    def op_gt(self, x, y):
        return self.op_lt(y, x)

    def op_ge(self, x, y):
        return self.op_le(y, x)

    def op_eq(self, x, y):
        if x is y:
            return True
        return self.compare(x, y, lambda a, b: a == b, lambda a, b: not a.overlaps(b))

    def op_ne(self, x, y):
        found = self.op_eq(x, y)
        return None if found is None else not found

    def op_and(self, p, q):
        return False if p is False or q is False else None if p is None or q is None else True

    def op_or(self, p, q):
        return True if p is True or q is True else None if p is None or q is None else False

    def op_not(self, p):
        return None if p is None else not p


class _Series(_Balls):
    """Taylor series with balls for coefficients; with `kinks`, slopes in place of derivatives."""

    def __init__(self, n: int, *, kinks: bool = False):
        super().__init__()
        self.n, self.kinks = n, kinks

    def one(self, s: Step, v: Sequence[Any]) -> Any:
        if all(isinstance(a, (arb, bool, type(None))) for a in v):
            return super().one(s, v)  # constants stay balls
        given = [arb_series([a], prec=self.n + 1) if isinstance(a, arb) else a for a in v]
        try:
            value = super().one(s, given)
        except (ValueError, ZeroDivisionError) as e:  # flint: a leading ball that contains 0
            raise _Kink(str(e)) from None
        if isinstance(value, arb_series):
            found = value.coeffs()
            if found and not found[0].is_finite():
                raise _Undefined("it is not finite there")
            if not all(c.is_finite() for c in found):
                raise _Kink("a derivative is not bounded there")
        return value

    def head(self, x: Any) -> arb:
        if isinstance(x, arb):
            return x
        found = x.coeffs()
        return found[0] if found else arb(0)

    def lead(self, x: Any, value: arb) -> Any:
        """The series with another, tighter, leading coefficient."""
        if isinstance(x, arb):
            return value
        return arb_series([value, *x.coeffs()[1:]], prec=self.n + 1)

    def either(self, no: Any, yes: Any) -> Any:
        if isinstance(no, (bool, type(None))):
            return super().either(no, yes)
        if no is yes:
            return no
        return _Fault(self.at, "it is not known which side holds", smooth=True)

    def named(self, op: str, v: Sequence[Any]) -> Any:
        x = v[0]
        if op == "tanh":
            return self.sigmoidal(
                x, increasing(arb.tanh, self.head(x)), lambda t: 1 - _Balls().op_square(t), -1
            )
        if op in ("sinh", "cosh", "expm1"):
            grown = x.exp()
            fallen = arb_series([1], prec=self.n + 1) if op == "expm1" else (-x).exp()
            value = grown - fallen if op != "cosh" else grown + fallen
            head = super().named(op, (self.head(x),))
            return self.lead(value if op == "expm1" else value / 2, head)
        head = super().named(op, (self.head(x),))
        if op == "atan":
            return self.integrated(x, head, 1 / (1 + self.op_square(x)))
        if op == "asinh":
            return self.integrated(x, head, (1 + self.op_square(x)).rsqrt())
        if op == "erf":
            scale = 2 / arb.pi().sqrt()
            return self.integrated(x, head, (-self.op_square(x)).exp() * scale)
        return self.lead(getattr(x, op)(), head)

    def integrated(self, x: Any, head: arb, slope: Any) -> Any:
        """A function g of a series, from g at its leading coefficient and the series of g'(x)."""
        inner = (x.coeffs() + [arb(0)] * (self.n + 1))[: self.n + 1]
        q = (slope.coeffs() + [arb(0)] * (self.n + 1))[: self.n + 1]
        rest = [
            sum((j * inner[j] * q[k - j] for j in range(1, k + 1)), arb(0)) / k
            for k in range(1, self.n + 1)
        ]
        return arb_series([head, *rest], prec=self.n + 1)

    def op_logistic(self, x):
        if isinstance(x, arb):
            return super().op_logistic(x)
        head = super().op_logistic(self.head(x))
        return self.sigmoidal(x, head, lambda t: t - _Balls().op_square(t), 1)

    def sigmoidal(self, x: Any, head: arb, slope: Callable[[arb], arb], linear: int) -> Any:
        """The series of t = tanh(x) by t' = (1 - t^2) x', or of the logistic t by (t - t^2) x'.

        Args:
            x: the series.
            head: the value at the leading coefficient.
            slope: of a value t, the factor of x'.
            linear: 1 where t itself stands in that factor, else -1.
        """
        inner = (x.coeffs() + [arb(0)] * (self.n + 1))[: self.n + 1]
        t, q = [head], [slope(head)]
        for k in range(1, self.n + 1):
            t.append(sum((j * inner[j] * q[k - j] for j in range(1, k + 1)), arb(0)) / k)
            square = sum((t[i] * t[k - i] for i in range(k + 1)), arb(0))
            q.append((t[k] if linear > 0 else arb(0)) - square)
        return arb_series(t, prec=self.n + 1)

    def op_square(self, x):
        head = self.head(x)
        return self.lead(x * x, _Balls().op_square(head))

    def op_power_of(self, x, exponent):
        if isinstance(x, arb):
            return super().op_power_of(x, exponent)
        k = int(exponent)
        if k == exponent:
            if k < 0:
                return self.op_div(arb(1), self.op_power_of(x, -exponent))
            out, base = arb_series([1], prec=self.n + 1), x
            while k:
                out, base, k = (out * base if k & 1 else out), base * base, k >> 1
            return self.lead(out, _Balls().op_power_of(self.head(x), exponent)) if exponent else out
        self.positive(x)
        return (x.log() * exact(exponent)).exp()

    def positive(self, x: Any) -> None:
        head = self.head(x)
        if head > 0:
            return
        if _nearly_not_negative(head):
            raise _Kink("a derivative is not bounded at 0")
        raise _Undefined("its argument is or may be negative")

    def op_sqrt(self, x):
        if isinstance(x, arb):
            return super().op_sqrt(x)
        self.positive(x)
        return x.sqrt()

    def op_rsqrt(self, x):
        if isinstance(x, arb):
            return super().op_rsqrt(x)
        if self.head(x).contains(0):
            raise _Undefined("its argument vanishes or may vanish")
        self.positive(x)
        return x.rsqrt()

    def op_cbrt(self, x):
        if isinstance(x, arb):
            return super().op_cbrt(x)
        head = self.head(x)
        if head.contains(0):
            raise _Kink("a derivative is not bounded at 0")
        third = (x if head > 0 else -x).log() / 3
        return third.exp() if head > 0 else -third.exp()

    def op_asin(self, x):
        if isinstance(x, arb):
            return super().op_asin(x)
        return self.inside(x).asin()

    def op_acos(self, x):
        if isinstance(x, arb):
            return super().op_acos(x)
        return arb.pi() / 2 - self.inside(x).asin()

    def op_acosh(self, x):
        if isinstance(x, arb):
            return super().op_acosh(x)
        self.positive(x - 1)
        slope = (self.op_square(x) - 1).rsqrt()
        return self.integrated(x, super().op_acosh(self.head(x)), slope)

    def op_atanh(self, x):
        if isinstance(x, arb):
            return super().op_atanh(x)
        head = super().op_atanh(self.head(x))
        return self.integrated(x, head, 1 / (1 - self.op_square(x)))

    def inside(self, x: Any) -> Any:
        head = self.head(x)
        if -1 < head < 1:
            return x
        if _nearly_not_negative(1 - head) and _nearly_not_negative(1 + head):
            raise _Kink("a derivative is not bounded at -1 and 1")
        raise _Undefined("its argument is or may be outside [-1, 1]")

    def op_erfc(self, x):
        return super().op_erfc(x) if isinstance(x, arb) else 1 - x.erf()

    def op_abs(self, x):
        head = self.head(x)
        if head > 0 or head < 0:
            return x if head > 0 else -x
        if not self.kinks:
            raise _Kink("a kink")
        rest = [c * hull(-1, 1) for c in x.coeffs()[1:]]
        return arb_series([_Balls().op_abs(head), *rest], prec=self.n + 1)

    def op_sign(self, x):
        head = self.head(x)
        if head > 0 or head < 0:
            return arb(1 if head > 0 else -1)
        raise _Kink("a jump")

    def op_maximum(self, x, y):
        return self.larger(x, y, 1)

    def op_minimum(self, x, y):
        return self.larger(x, y, -1)

    def larger(self, x: Any, y: Any, sign: int) -> Any:
        a, b = self.head(x), self.head(y)
        if a >= b or a <= b:
            return x if (a >= b) == (sign > 0) else y
        if not self.kinks:
            raise _Kink("a kink")
        pad = [arb(0)] * (self.n + 1)
        both = [
            p.union(q)
            for p, q in zip(
                (x.coeffs() + pad)[1 : self.n + 1], (y.coeffs() + pad)[1 : self.n + 1], strict=True
            )
        ]
        return arb_series([a.max(b) if sign > 0 else a.min(b), *both], prec=self.n + 1)


def _boxed(x: Any) -> np.ndarray:
    out = np.empty((), object)
    out[()] = x
    return out
