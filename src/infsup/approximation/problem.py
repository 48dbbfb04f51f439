"""To approximate a function of one variable by a network, with a known sup-norm error."""

import math
from fractions import Fraction
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from infsup.core.answers import Function
from infsup.core.certificate import Hypothesis
from infsup.core.errors import HypothesisError, UsageError
from infsup.core.problem import Problem
from infsup.core.program import Program
from infsup.networks.relu import ReLUNetwork
from infsup.networks.scalar import scalar_form
from infsup.numerics.enclosure import Enclosure, program_of

ROUNDOFF = {"real": 0.0, "float64": 2.0**-53, "float32": 2.0**-24}
"""Unit roundoff of what the certificate may speak of; "real" is the network in real arithmetic."""


class Approximate(Problem):
    """Find a network N with sup |f - N| <= eps on an interval.

    Args:
        f: an expression such as "exp(-x)*sin(3*x)", a JAX function of one scalar, or a `Program`;
            it is converted once, here, and is stored as a program. With `lipschitz` it may be any
            function of a NumPy array.
        domain: (a, b), finite, a < b; floats, or integers that float64 holds.
        eps: the error that is asked for, > 0; or None, to ask only what a network is worth.
        dtype: what a certificate speaks of: "real" (the network in real arithmetic), or the network
            as executed in "float64" or "float32", rounding included.
        lipschitz: L >= 0 with |f(x) - f(y)| <= L |x - y|, if you know it; taken on your word.
        budget: a construction with more units is refused, with the number that it would take.

    Raises:
        UsageError: an argument outside its range, a function that has no enclosure.
        DomainFault: a pole, a branch or a jump inside the domain: names sub-expression and box.
        HypothesisError: values of f contradict `lipschitz`; names two points.
    """

    f: Any = eqx.field(static=True)
    domain: tuple[float, float] = eqx.field(static=True)
    eps: float | None = eqx.field(static=True)
    dtype: str = eqx.field(static=True)
    lipschitz: float | None = eqx.field(static=True)
    budget: int = eqx.field(static=True)

    needs_64_bit: ClassVar[bool] = True

    def __init__(
        self,
        f: Any,
        domain: Any = (0.0, 1.0),
        eps: Any = None,
        dtype: str = "real",
        lipschitz: Any = None,
        budget: int = 20_000,
    ):
        if dtype not in ROUNDOFF:
            raise UsageError(
                f"`dtype` of Approximate is {str(dtype)[:40]!r}",
                "It is what the certificate speaks of.",
                'dtype="real", "float64" or "float32"',
            )
        self.domain = _ends(domain)
        self.eps = None if eps is None else _positive("eps", eps)
        self.lipschitz = None if lipschitz is None else _not_negative("lipschitz", lipschitz)
        if not isinstance(budget, int) or isinstance(budget, bool) or budget < 1:
            raise UsageError(f"`budget` of Approximate is {budget!r}", "It counts units, >= 1.")
        self.dtype, self.budget = dtype, budget
        self.f = _program(f, self.lipschitz)
        if isinstance(self.f, Program):
            Enclosure(self.f).check(*self.domain)
        else:
            x = np.linspace(*self.domain, 257)
            refuse_steeper(self, x, self.values(x))
        size = self.size()
        if self.eps is not None and self.eps < size * ROUNDOFF[dtype] / 2:
            raise UsageError(
                f"`eps` is {self.eps:g}, below the rounding of {dtype}",
                f"Numbers of the size of f, {size:.3g}, are {size * ROUNDOFF[dtype]:.1g} apart.",
                'dtype="float64"' if dtype == "float32" else 'dtype="real"   or   a larger eps',
            )

    def __check_init__(self):
        # a file's fields come here without `__init__`
        _ends(self.domain)

    @property
    def asks(self):
        scalar = jax.ShapeDtypeStruct((), np.float64)
        return Function((scalar,), scalar)

    def accept(self, answer):
        """The one door; networks that take and give an array [1] are taken as functions of x."""
        return super().accept(scalar_form(answer))

    @property
    def name(self) -> str:
        return f"{self.text} on [{self.domain[0]:g}, {self.domain[1]:g}]"

    @property
    def text(self) -> str:
        """How f is printed."""
        if isinstance(self.f, Program):
            words = str(self.f)
        else:
            words = getattr(self.f, "__name__", type(self.f).__name__)
        return words if len(words) <= 60 else f"{words[:57]}..."

    def values(self, x: np.ndarray) -> np.ndarray:
        """The function in float64, without proof: for search and pictures.

        Args:
            x: [n], inside the domain.
        """
        x = np.asarray(x, np.float64)
        if isinstance(self.f, Program):
            return self.f(x)
        return _called(self.f, x)

    def size(self) -> float:
        """About max |f|, from samples."""
        got = np.abs(self.values(np.linspace(*self.domain, 257)))
        return float(np.max(got[np.isfinite(got)], initial=0.0))

    def trivial(self):
        """The constant in the middle of f's range, and the straight line through the ends."""
        a, b = self.domain
        y = self.values(np.linspace(a, b, 257))
        y = y[np.isfinite(y)]
        middle = (float(y.min()) + float(y.max())) / 2
        slope = (float(y[-1]) - float(y[0])) / (b - a)
        return {
            "constant": _affine(0.0, middle),
            "straight line": _affine(slope, float(y[0]) - slope * a),
        }

    def hypotheses(self):
        if not isinstance(self.f, Program):
            return (
                Hypothesis(f"|f(x) - f(y)| <= {self.lipschitz:g} |x - y| on the domain", "assumed"),
                Hypothesis(
                    "the values of f that NumPy returns are exact up to 1e-13 of their size",
                    "assumed",
                    "f is not a program whose rounding could be enclosed",
                ),
            )
        return (
            Hypothesis(
                "f is finite and continuous on the domain", "checked", "balls, by bisection"
            ),
        )


def refuse_steeper(problem: Approximate, x: np.ndarray, y: np.ndarray) -> None:
    """Refuses a Lipschitz constant that values of f contradict.

    Args:
        problem: its `lipschitz` is given.
        x: increasing, [n].
        y: values of f there.

    Raises:
        HypothesisError: names two points whose values no function with this constant has.
        UsageError: a value is not finite.
    """
    steep = problem.lipschitz or 0.0
    if not np.isfinite(y).all():
        at = float(x[~np.isfinite(y)][0])
        raise UsageError(
            f"`f` is {float(y[~np.isfinite(y)][0])} at x = {at:g}",
            "It is to be finite on the whole domain.",
            "a domain without this place",
        )
    step, rise = np.diff(x), np.abs(np.diff(y))
    excess = rise - steep * step * (1 + 1e-9) - 4e-13 * np.abs(y).max(initial=0.0)
    i = int(excess.argmax())
    if excess[i] > 0:
        least = float(np.max(rise[step > 0] / step[step > 0]))
        raise HypothesisError(
            f"`lipschitz` is {steep:g}, but f({x[i]:.9g}) and f({x[i + 1]:.9g}) differ by "
            f"{rise[i]:.3g}",
            f"No function with this constant changes so much over {step[i]:.3g}.",
            f"lipschitz={least:.3g} or more, if f has one",
        )


def asked(problem: Approximate, method: str) -> float:
    """The eps of a problem.

    Raises:
        HypothesisError: it has none.
    """
    if problem.eps is None:
        raise HypothesisError(
            f"`{method}` needs an error to aim at",
            "This problem asks only what a network is worth.",
            "Approximate(f, domain=..., eps=1e-6)",
        )
    return problem.eps


def _ends(domain: Any) -> tuple[float, float]:
    try:
        a, b = domain
        if isinstance(a, (str, bytes)) or isinstance(b, (str, bytes)):
            raise TypeError
        ends = float(a), float(b)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(
            f"`domain` of Approximate is {str(domain)[:60]}", "It is two numbers.", "domain=(0, 1)"
        ) from None
    for given, end in zip((a, b), ends, strict=True):
        if not math.isfinite(end):
            raise UsageError(
                f"`domain` of Approximate has the end {end}",
                "A sup-norm error by a network of finitely many units needs a bounded interval.",
                "domain=(-10, 10)",
            )
        if isinstance(given, (int, Fraction)) and Fraction(given) != Fraction(end):
            raise UsageError(f"`domain` of Approximate has the end {given}, which is no float64")
    if not ends[0] < ends[1]:
        raise UsageError(
            f"`domain` of Approximate is [{ends[0]:g}, {ends[1]:g}]",
            "It is empty." if ends[0] > ends[1] else "It is a single point.",
            f"domain=({ends[1]:g}, {ends[0]:g})" if ends[0] > ends[1] else "domain=(0, 1)",
        )
    if not math.isfinite(ends[1] - ends[0]):
        raise UsageError("`domain` of Approximate is longer than the largest float64")
    return ends


def _positive(name: str, x: Any) -> float:
    value = _number(name, x)
    if not value > 0:
        raise UsageError(
            f"`{name}` of Approximate is {value:g}",
            "It is a positive number: no network of finitely many units is exact in general.",
            f"{name}=1e-6",
        )
    return value


def _not_negative(name: str, x: Any) -> float:
    value = _number(name, x)
    if value < 0:
        raise UsageError(f"`{name}` of Approximate is {value:g}", "It is 0 or more.")
    return value


def _number(name: str, x: Any) -> float:
    try:
        value = float(x)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value) or isinstance(x, (bool, str)):
        raise UsageError(f"`{name}` of Approximate is {x!r}", "It is a finite number.")
    return value


def _program(f: Any, lipschitz: float | None) -> Any:
    try:
        return program_of(f)
    except UsageError:
        if lipschitz is None or not callable(f) or isinstance(f, Program):
            raise
        _called(f, np.zeros(1))
        return f


def _called(f: Any, x: np.ndarray) -> np.ndarray:
    """A user's own function on an array, or point by point where it takes only numbers."""
    try:
        y = np.asarray(f(x), np.float64)
        if y.shape == x.shape:
            return y
    except (TypeError, ValueError):
        pass
    try:
        return np.array([float(f(v)) for v in x.ravel()]).reshape(x.shape)
    except (TypeError, ValueError) as e:
        raise UsageError(
            "`f` of Approximate gives no number for a number",
            f"Nor an array of its shape for an array: {str(e)[:100]}.",
            "lambda x: f(x)[0]",
        ) from e


def _affine(slope: float, value: float) -> ReLUNetwork:
    return ReLUNetwork(1, (), (np.array([[slope]]), np.array([value])))
