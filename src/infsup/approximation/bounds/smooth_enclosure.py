"""The sup-norm distance between a function and a network with smooth activations."""

import contextlib
import functools
import heapq
import itertools
import math
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import numpy as np
from flint import arb

from infsup.approximation import rounding
from infsup.approximation.problem import Approximate
from infsup.approximation.smooth_network import Head, Layer, Network, Series, Taylor, tighten
from infsup.core.answers import Accepted
from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, Hypothesis
from infsup.core.errors import InfsupError, UsageError
from infsup.core.program import Program
from infsup.core.registry import function_name, name_of
from infsup.core.tracing import trace
from infsup.networks.relu import ReLUNetwork, from_equinox
from infsup.networks.scalar import OfNumber
from infsup.numerics.enclosure import DomainFault, Enclosure, NotSmooth, lower, precision, upper

BITS = 128
START = 8
NAMES = {
    "equinox.nn.identity": "identity",
    "jax.nn.identity": "identity",
    "jax.nn.gelu": "gelu_by_tanh",
    "jax.nn.silu": "silu",
    "jax.nn.swish": "silu",
    "jax.nn.softplus": "softplus",
    "jax.nn.sigmoid": "sigmoid",
    "jax.nn.tanh": "tanh",
    "jax.numpy.tanh": "tanh",
    "jax.numpy.sin": "sin",
    "jax.numpy.cos": "cos",
    "jax.numpy.exp": "exp",
    "jax.numpy.square": "square",
}
"""Function of the closed registry -> name in `smooth_network.ACTIVATIONS`."""


class NotRead(Exception):
    """An answer that is no network of this kind; says why.

    Args:
        final: no other reader need try.
    """

    def __init__(self, why: str, final: bool = False):
        self.final = final
        super().__init__(why)


def read(answer: Any) -> Network | Program:
    """The numbers of a one-variable network with smooth activations; else its program.

    Raises:
        NotRead: it has relu, or cannot be written down as a program.
    """
    try:
        return read_layers(answer)
    except NotRead as e:
        if e.final or is_piecewise(answer):
            raise
        try:
            return trace(answer, jax.ShapeDtypeStruct((), np.float64))
        except InfsupError as fault:
            raise NotRead(f"{e}; nor has it a program: {fault.what}") from None


def is_piecewise(answer: Any) -> bool:
    """Whether it is a network for `PiecewiseEnclosure`."""
    try:
        from_equinox(answer)
    except UsageError:
        return False
    return True


def read_layers(answer: Any) -> Network:
    """The numbers of a one-variable network with smooth activations.

    Raises:
        NotRead: another kind of module, or an activation whose Taylor coefficients are not known.
    """
    if hasattr(answer, "softmax_head"):
        return Head(*(np.asarray(a, np.float64) for a in answer.softmax_head))
    if isinstance(answer, ReLUNetwork):
        if answer.levels:
            raise NotRead("it is a ReLU network: PiecewiseEnclosure is for those", True)
        w, b = (np.asarray(a, np.float64) for a in answer.out)
        return _one_variable((Layer(w, b, "identity"),))
    layers: list[Layer] = []
    _walk(answer, layers)
    return _one_variable(tuple(layers))


def _one_variable(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    if not layers:
        raise NotRead("it has no Linear layer")
    if layers[0].W.shape[1] != 1 or layers[-1].W.shape[0] != 1:
        raise NotRead("it is no function of one variable", True)
    for layer in layers:
        if not (np.isfinite(layer.W).all() and np.isfinite(layer.b).all()):
            raise NotRead("a weight is not finite", True)
    return layers


def _walk(model: Any, layers: list[Layer]) -> None:
    nn = eqx.nn
    if isinstance(model, nn.MLP):
        for layer in model.layers[:-1]:
            _linear(layer, layers)
            _activate(model.activation, layers)
        _linear(model.layers[-1], layers)
        _activate(model.final_activation, layers)
    elif isinstance(model, nn.Sequential):
        for layer in model.layers:
            _walk(layer, layers)
    elif isinstance(model, nn.Linear):
        _linear(model, layers)
    elif isinstance(model, nn.Lambda):
        _activate(model.fn, layers)
    elif isinstance(model, OfNumber):
        _walk(model.inner, layers)
    elif not isinstance(model, nn.Identity):
        raise NotRead(
            f"`{type(model).__name__}` is no layer that is read here "
            "(eqx.nn.MLP, Sequential, Linear, Lambda; SoftmaxHead)"
        )


def _linear(layer: Any, layers: list[Layer]) -> None:
    w = np.asarray(layer.weight, np.float64)
    b = np.zeros(len(w)) if layer.bias is None else np.asarray(layer.bias, np.float64).reshape(-1)
    layers.append(Layer(w, b, "identity"))


def _activate(f: Any, layers: list[Layer]) -> None:
    name = activation_name(f)
    if not layers:
        layers.append(Layer(np.ones((1, 1)), np.zeros(1), name))
    elif layers[-1].activation == "identity":
        layers[-1] = layers[-1]._replace(activation=name)
    elif name != "identity":
        n = len(layers[-1].b)
        layers.append(Layer(np.eye(n), np.zeros(n), name))


def activation_name(f: Any) -> str:
    """The name of an activation in `smooth_network.ACTIVATIONS`.

    Raises:
        NotRead: it has none.
    """
    if hasattr(f, "smooth_activation"):
        return f.smooth_activation
    of_gelu = isinstance(f, functools.partial) and function_name(f.func) == "jax.nn.gelu"
    if of_gelu and not f.args and set(f.keywords) <= {"approximate"}:
        return "gelu_by_tanh" if f.keywords.get("approximate", True) else "gelu"
    name = function_name(f)
    if name in NAMES:
        return NAMES[name]
    said = name or getattr(f, "__name__", type(f).__name__)
    known = ", ".join(sorted(set(NAMES.values()) | {"gelu"}))
    if name == "jax.nn.relu":
        raise NotRead("its activation is relu: PiecewiseEnclosure is for those")
    raise NotRead(f"its activation `{said}` is none of {known}")


# -- the search -----------------------------------------------------------------------------------


class Found(NamedTuple):
    """A proved enclosure of sup |f - network| on [a, b].

    Args:
        lower: |f - network| at `at` is at least this.
        upper: it is at most this everywhere.
        at: a float64 of the domain.
        edges: ends of the boxes on which the upper end was shown, in order, [a, ..., b].
        boxes: how many were looked at.
    """

    lower: float
    upper: float
    at: float
    edges: np.ndarray
    boxes: int


class Difference:
    """Network minus f, bounded on boxes.

    Args:
        f: enclosures of f.
        network: numbers of the network.
        order: highest Taylor coefficient.
    """

    def __init__(self, f: Enclosure, network: Network | Program, order: int):
        self.f, self.order = f, order
        layers = not isinstance(network, Program)
        self.taylor = Taylor(network, order) if layers else OfProgram(network, order)

    def on(self, low: float, high: float) -> tuple[arb, float]:
        """Its value at the middle, and the largest size on the box."""
        middle, radius = (arb(low) + arb(high)) / 2, (arb(high) - arb(low)) / 2
        point, over = self.taylor.at(middle, radius)
        box = middle + radius * arb(0, 1)
        if not over[-1].is_finite():
            return self._rough(point[0], over, middle, box)
        try:
            there, around = self.f.taylor(middle, self.order), self.f.taylor(box, self.order)
        except (NotSmooth, DomainFault):
            return self._rough(point[0], over, middle, box)
        around = tighten(around, there, radius)
        c = [p - q for p, q in zip(point, there, strict=True)]
        direct = over[0] - around[0]
        return c[0], min(largest(c[:-1], over[-1] - around[-1], radius), _size(direct))

    def _rough(self, point: arb, over: Series, middle: arb, box: arb) -> tuple[arb, float]:
        """Across a kink of f, or at the end of a root: by slopes, or by ranges."""
        value, most = arb.nan(), math.inf
        # what a box does not show, a smaller one may
        with contextlib.suppress(NotSmooth, DomainFault):
            most = _size(over[0] - self.f.ball(box))
        with contextlib.suppress(NotSmooth, DomainFault):
            value = point - self.f.ball(middle)
            by_slope = value + (over[1] - self.f.slope(box)) * (box - middle)
            most = min(most, _size(by_slope))
        return value, most

    def at(self, x: float) -> arb:
        """Its value at a point."""
        return self.taylor.at(arb(x), arb(0))[0][0] - self.f.ball(arb(x))


class OfProgram:
    """Taylor coefficients of a network that is known by its program.

    Args:
        program: of one scalar.
        order: highest coefficient.
    """

    def __init__(self, program: Program, order: int):
        self.enclosure, self.order = Enclosure(program), order

    def at(self, middle: arb, radius: arb) -> tuple[Series, Series]:
        """Coefficients at the middle and over the box; without a number where there is a kink."""
        box, n = middle + radius * arb(0, 1), self.order
        try:
            point = self.enclosure.taylor(middle, n)
            return point, tighten(self.enclosure.taylor(box, n), point, radius)
        except (NotSmooth, DomainFault):
            point, over = [arb.nan()] * (n + 1), [arb.nan()] * (n + 1)
        with contextlib.suppress(NotSmooth, DomainFault):
            point[0] = self.enclosure.ball(middle)
        with contextlib.suppress(NotSmooth, DomainFault):
            over[0] = self.enclosure.ball(box)
            over[1] = self.enclosure.slope(box)
        return point, over


def largest(c: Series, top: arb, radius: arb) -> float:
    """An upper end of |c_0 + c_1 t + ... + top t^n| over |t| <= radius; c has at least 3 entries.

    The parabola is bounded at its ends and its vertex, the rest by its size: near an extremum the
    boxes need not be smaller than the parabola is good for.
    """
    rest = sum((abs(x) * radius**k for k, x in enumerate(c[3:], 3)), arb(0))
    rest += abs(top) * radius ** len(c)
    bend = c[2] * radius**2
    values = [c[0] + c[1] * radius + bend, c[0] - c[1] * radius + bend]
    if not abs(c[1]) > 2 * abs(c[2]) * radius:
        if c[2].contains(0):
            values.append(abs(c[0]) + abs(c[1]) * radius + abs(bend))
        else:
            values.append(c[0] - c[1] ** 2 / (4 * c[2]))
    return max(_size(abs(v) + rest) for v in values)


def _size(x: arb) -> float:
    return upper(abs(x)) if x.is_finite() else math.inf


def _least(x: arb) -> float:
    return max(lower(abs(x)), 0.0) if x.is_finite() else 0.0


def search(
    f: Enclosure,
    network: Network | Program,
    a: float,
    b: float,
    *,
    rtol: float,
    order: int,
    budget: int,
    dtype: type = np.float64,
) -> Found:
    """Bisects the box with the largest upper end until the two ends are within `rtol`.

    Args:
        f: enclosures of f.
        network: the numbers of a network, or its program.
        a: lower end of the domain.
        b: upper end.
        rtol: relative width that will do.
        order: highest Taylor coefficient, at least 3.
        budget: most boxes.
        dtype: of the points at which the lower end is attained.

    Raises:
        DomainFault: f is not known to be defined at an end of the domain.
    """
    with precision(BITS):
        difference = Difference(f, network, order)
        best, at = 0.0, a
        for x in (a, b):
            if float(dtype(x)) == x and (value := _least(difference.at(x))) > best:
                best, at = value, x
        heap: list[tuple[float, float, float]] = []
        boxes = 0

        def look(low: float, high: float) -> None:
            nonlocal best, at, boxes
            boxes += 1
            value, most = difference.on(low, high)
            middle = low / 2 + high / 2
            if _least(value) > best:
                x = float(dtype(middle))
                exactly = x == middle and arb(x) == (arb(low) + arb(high)) / 2
                if not exactly and a <= x <= b:
                    value = difference.at(x)
                if a <= x <= b and _least(value) > best:
                    best, at = _least(value), x
            heapq.heappush(heap, (-most, low, high))

        edges = [a + (b - a) * i / START for i in range(START)] + [b]
        for low, high in itertools.pairwise(edges):
            look(low, high)
        while boxes < budget and -heap[0][0] > best * (1 + rtol):
            _, low, high = heap[0]
            middle = low / 2 + high / 2
            if not low < middle < high:
                break
            heapq.heappop(heap)
            look(low, middle)
            look(middle, high)
    ends = np.array(sorted([low for _, low, _ in heap] + [b]))
    return Found(best, -heap[0][0], at, ends, boxes)


class SmoothEnclosure(Bound):
    r"""Both ends of sup |f - network|, for one variable and smooth activations or a softmax head.

    The weights are real numbers (every float32 and float64 is one). On a box with middle m and
    radius r, g = network - f is

        g(m + t) = sum_{k<n} c_k t^k + c_n(s) t^n,   s in the box,

    c_k at m in thin balls, c_n over the box; a parabola's extremes and the sizes of the rest bound
    it. Coefficients over a box are made layer by layer, and each is kept within its mean value
    form (`smooth_network.tighten`). Boxes are bisected, the largest bound first, until it is
    within `rtol` of the largest value found at a point. Where f has a kink, slopes or ranges take
    the place of Taylor coefficients. All of it is in balls of 128 bits: kind `proved`.

    For a problem of dtype float64 or float32 the weights are first rounded to it, and the error of
    executing the network is added (`approximation.rounding`). It rests on a hypothesis about the
    library's elementary functions, whose errors nobody has proved: verdict `conditional`.

    Activations: identity, tanh, sigmoid, softplus, silu, gelu (both forms), sin, cos, exp, square.
    Any other module that JAX can trace is taken as its program, in real arithmetic only; that is
    slower, and deep ones with wide layers may spend the budget.

    Args:
        rtol: relative width that ends the search, in (0, 1).
        order: highest Taylor coefficient, 3 to 20.
        budget: most boxes; where it is spent, the bracket is what was shown until then.

    Raises:
        UsageError: a number outside its range.

    Source: Taylor models with bisection, e.g. W. Tucker, Validated Numerics (2011), chapter 6.
    """

    problems: ClassVar = (Approximate,)
    spends: ClassVar = False

    rtol: float = eqx.field(static=True, default=0.01)
    order: int = eqx.field(static=True, default=7)
    budget: int = eqx.field(static=True, default=20_000)

    def __check_init__(self):
        if not (isinstance(self.rtol, (int, float)) and 0 < self.rtol < 1):
            raise UsageError(f"`rtol` of SmoothEnclosure is {self.rtol}", "It lies in (0, 1).")
        for name, least, most in (("order", 3, 20), ("budget", START, 10**7)):
            got = getattr(self, name)
            if not isinstance(got, int) or isinstance(got, bool) or not least <= got <= most:
                raise UsageError(
                    f"`{name}` of SmoothEnclosure is {got!r}",
                    f"It is an integer in [{least}, {most}].",
                )

    def certify(self, problem, outcome, key, delta):
        answer = outcome.answer.answer if isinstance(outcome.answer, Accepted) else outcome.answer
        real = problem.dtype == "real"
        common: dict[str, Any] = {
            "sense": "min",
            "goal": problem.eps,
            "range": (0.0, math.inf),
            "dtype": "real arithmetic" if real else f"executed in {problem.dtype}",
            "source": "Taylor models with bisection (Tucker 2011, chapter 6)",
        }
        executor = "in real arithmetic" if real else f"executed in {problem.dtype}"
        what = "sup |f - N|", f"this {type(answer).__name__}, {problem.name}, {executor}"

        def without(hypotheses: tuple[Hypothesis, ...], **more: Any) -> Certificate:
            ends = -math.inf, math.inf
            name = name_of(type(self))
            return Certificate(
                *what, *ends, "proved", name, hypotheses=hypotheses, **common, **more
            )

        smooth = "the network has one variable and smooth activations"
        if not isinstance(problem.f, Program):
            text = "f is a program, so that its Taylor coefficients can be enclosed"
            return without((Hypothesis(text, "violated", "it is a function of NumPy arrays"),))
        try:
            network = rounding.rounded(read(answer), problem.dtype)
        except NotRead as e:
            return without((Hypothesis(smooth, "violated", str(e)),))
        hypotheses = (*problem.hypotheses(), Hypothesis(smooth, "checked"))
        dtype = np.float32 if problem.dtype == "float32" else np.float64
        a, b = problem.domain
        try:
            settings = {"rtol": self.rtol, "order": self.order, "budget": self.budget}
            found = search(Enclosure(problem.f), network, a, b, dtype=dtype, **settings)
        except DomainFault as e:  # at an end of the domain
            return without(hypotheses, verdict="refused", reason=e.what)
        if found.upper == math.inf:
            reason = f"after {found.boxes} boxes there is still one without a finite bound"
            return without(hypotheses, verdict="refused", reason=reason)
        executed = 0.0
        if not real:
            if isinstance(network, Program):
                text = "the network's layers are read, so that their rounding can be bounded"
                why = "it is known by its program only"
                return without((*hypotheses, Hypothesis(text, "violated", why)))
            executed = rounding.executed(network, max(abs(a), abs(b)), problem.dtype)
            hypotheses += rounding.hypotheses(network, problem.dtype)
            if not math.isfinite(executed):
                reason = "the rounding of the executed network has no finite bound"
                return without(hypotheses, verdict="refused", reason=reason)
            if problem.eps is not None and executed >= problem.eps:
                better = 'dtype="float64"' if problem.dtype == "float32" else 'dtype="real"'
                reason = (
                    f"rounding in {problem.dtype} may add {executed:.2g}; eps is {problem.eps:g}. "
                    f"Try {better}, or eps above {2 * executed:.1g}"
                )
                return without(hypotheses, verdict="refused", reason=reason)
        return Certificate(
            *what,
            max(math.nextafter(found.lower - executed, -math.inf), 0.0),
            found.upper if not executed else math.nextafter(found.upper + executed, math.inf),
            "proved",
            name_of(type(self)),
            hypotheses=hypotheses,
            budget={"bisection": found.upper - found.lower, "rounding": 2 * executed},
            proof={
                "at": found.at,
                "upper": found.upper,
                "edges": found.edges,
                "order": self.order,
                "rounding": executed,
            },
            **common,
        )
