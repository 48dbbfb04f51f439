"""The square, by tent maps."""

import math
from fractions import Fraction
from typing import Any, ClassVar

import equinox as eqx
from flint import arb

from infsup.approximation.bounds.structural_enclosure import refuse_budget
from infsup.approximation.graph import (
    ACCUMULATOR,
    CARRY,
    COORDINATE,
    FOLD,
    INPUT,
    ONE,
    TOOTH,
    Graph,
    form,
    numpy_dtype,
)
from infsup.approximation.problem import Approximate, asked
from infsup.core.errors import HypothesisError, UsageError
from infsup.core.method import DirectMethod, Outcome
from infsup.core.program import Program
from infsup.numerics.enclosure import Enclosure, NotSmooth, hull, precision


class Square(DirectMethod):
    """The network of n tent maps for x^2, whose error is known exactly.

    With M a power of two, M >= max |x|, and f_n(v) = v - sum_{s<=n} g_s(v) / 4^s the piecewise
    linear interpolant of v^2 at multiples of 2^-n,

        N(x) = M^2 f_n(|x| / M),    0 <= N(x) - x^2 <= M^2 4^-(n+1),

    and the bound is attained in the middle of each of the 2^n pieces (of those inside the domain).
    Shifted down by half of that, the error is M^2 4^-(n+1) / 2. No network of n units, however
    wired, does better than 2^-(2n+3) on [0, 1]: it has at most 2^n pieces.

    Args:
        n: tent maps; by default as few as the problem's eps needs.
        shifted: whether the error is balanced.
        strict: layer to layer, of width 3 and with 7n - 2 nonzero weights and biases on [0, 1]
            (unshifted); else with skip connections, fewer units and more depth a unit.

    Raises:
        HypothesisError: f is not x^2 on the domain.
        UsageError: n < 1, or more units than the budget.

    Source: Yarotsky, Neural Networks 94 (2017), Proposition 2; size as in Petersen and Zech,
    Mathematical theory of deep learning, Lemma 7.2, attained by carrying t_j = f_j + alpha_j g_j,
    alpha_j = 2^(-j-n) - 4^-j (theory row A03).
    """

    problems: ClassVar = (Approximate,)
    needs_64_bit: ClassVar[bool] = True

    n: int | None = eqx.field(static=True, default=None)
    shifted: bool = eqx.field(static=True, default=True)
    strict: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if self.n is not None and (not isinstance(self.n, int) or self.n < 1):
            raise UsageError(f"`n` of Square is {self.n!r}", "It counts tent maps, >= 1.")

    def suits(self, problem):
        if not (isinstance(problem.f, Program) and _is_square(problem)):
            raise HypothesisError(
                f"`Square` is not for f = {problem.text}", "It builds x**2.", "SharedCoordinate()"
            )

    def find(self, problem, start, key):
        size = 2.0 ** math.ceil(math.log2(max(abs(end) for end in problem.domain)))
        n = self.n
        if n is None:
            eps = asked(problem, "Square")
            n = 1
            while error(n, size, self.shifted) > Fraction(eps):
                n += 1
        graph, out = draw(n, Fraction(size), problem.domain, self.shifted, self.strict)
        units = len(graph.forms) - 1
        if units > problem.budget:
            refuse_budget(problem, "Square", units)
        network, roles = graph.network(out, numpy_dtype(problem.dtype))
        return Outcome(network, {"roles": roles})


def error(n: int, size: float | int = 1.0, shifted: bool = False) -> Fraction:
    """The exact sup error of n tent maps on [-size, size]: size^2 4^-(n+1), or half of it."""
    return Fraction(size) ** 2 / 4 ** (n + 1) / (2 if shifted else 1)


def _is_square(problem: Approximate) -> bool:
    """Whether f = x^2 by its Taylor series: f(0) = f'(0) = 0 and f'' = 2 on the domain."""
    enclosure = Enclosure(problem.f)
    try:
        with precision(128):
            whole = enclosure.taylor(hull(*problem.domain).union(arb(0)), 3)
            at_zero = enclosure.taylor(arb(0), 2)
    except (NotSmooth, HypothesisError):
        return False
    return bool(at_zero[0] == 0 and at_zero[1] == 0 and whole[2] == 1 and whole[3] == 0)


def draw(
    n: int, size: Fraction, domain: tuple[float, float], shifted: bool, strict: bool
) -> tuple[Graph, Any]:
    """The network under construction, and its output."""
    graph = Graph()
    x = form((1 / size, INPUT))
    a, b = domain
    shift = form((-error(n, float(size), True) if shifted else 0, ONE))
    if strict:
        return graph, form((1, _strict(graph, x, n, size, a < 0)), (1, shift))
    v = x if a >= 0 else form((-1, x))
    if a < 0 < b:
        v = form((2, graph.unit(x, FOLD, 1)), (-1, x))
    return graph, form((size**2, graph.square(v, n, 1)), (1, shift))


def _strict(graph: Graph, x: Any, n: int, size: Fraction, folded: bool) -> Any:
    """Layers (g_j, tooth of g_j, t_j); what the last one collects is the output."""
    half = form((Fraction(-1, 2), ONE))
    v = x
    if folded:
        v = form((1, graph.unit(x, FOLD, 1)), (1, graph.unit(form((-1, x)), FOLD, 1)))
    carry = graph.unit(v, CARRY if folded else COORDINATE, 1, 0)
    tooth = graph.unit(form((1, v), (1, half)), TOOTH, 1, 1)
    # t_0 = 2^-n v; then t_j = t_{j-1} + beta_j tooth_j
    total = form((Fraction(1, 2**n), carry))
    for j in range(1, n):
        g = form((2, carry), (-4, tooth))
        alpha = Fraction(1, 2 ** (j + n)) - Fraction(1, 4**j)
        beta = 4 * Fraction(1, 4**j) - 4 * alpha
        total = graph.unit(form((1, total), (beta, tooth)), ACCUMULATOR, 1, j)
        carry = graph.unit(g, CARRY, 1, j)
        tooth = graph.unit(form((1, g), (1, half)), TOOTH, 1, j + 1)
    return form((size**2, total), (4 * size**2 / 4**n, tooth))
