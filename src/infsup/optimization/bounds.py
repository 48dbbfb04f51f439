"""What an iterate is worth, whoever made it."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from infsup.core.answers import Accepted
from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, Hypothesis
from infsup.core.driver import traced
from infsup.core.errors import UsageError
from infsup.core.registry import name_of
from infsup.networks.recipes import trainable
from infsup.optimization import arguments
from infsup.optimization.conjugate_gradients import solve
from infsup.optimization.problem import Smooth

OUTWARD = 1e-11
"""Relative widening, for the rounding of the formulas themselves."""
ENOUGH = 1.01
REFINEMENTS = 60
UNITS = 16 * 2.0**-52
COLUMNS = ("value", "gg", "gs", "rs", "rr", "h", "ss")


def om(x: Any) -> Any:
    """The function (e^-x + x - 1)/x^2 of real x, 1/2 at 0. Decreasing and positive."""
    x = np.asarray(x, np.float64)
    small = np.abs(x) < 1e-2
    z = np.where(small, 1.0, x)
    # two terms beyond float64 at 1e-2
    series = 1 / 2 - x / 6 + x**2 / 24 - x**3 / 120 + x**4 / 720 - x**5 / 5040 + x**6 / 40320
    with np.errstate(over="ignore"):
        return np.where(small, series, (np.expm1(-z) + z) / z**2)


def psi(x: Any) -> Any:
    """The function ((1 + x) log(1 + x) - x)/x^2 of x >= -1, 1 at -1, 1/2 at 0. Decreasing."""
    x = np.asarray(x, np.float64)
    small = np.abs(x) < 1e-2
    z = np.where(small, 1.0, x)
    series = sum((-x) ** k / ((k + 1) * (k + 2)) for k in range(9))
    with np.errstate(divide="ignore", invalid="ignore"):
        direct = np.where(z <= -1.0, 1.0, ((1 + z) * np.log1p(z) - z) / z**2)
    return np.where(small, series, direct)


def inertia(x: float) -> float:
    """x/(1 - e^-x) - 1, for x >= 0; about x/2. Increasing."""
    return x / 2 if x < 1e-8 else -x / math.expm1(-x) - 1.0


def newton_norm(gs: float, rs: float, residual: float, step: float, mu: float) -> float:
    """An upper end of g^T H^-1 g = g.s + r.s + r^T H^-1 r, with |r| <= `residual`."""
    return max(gs + rs, 0.0) + residual * (residual / mu + step * 2.0**-50)


def upper_end(
    mu: float, concordance: float | None, gg: float, q: float, step: float, error: float
) -> tuple[float, float, float]:
    """The gradient certificate, the self-concordant one (inf if none), and R D.

    Args:
        mu: strong convexity, > 0.
        concordance: R, or None.
        gg: |g|^2 of the computed gradient.
        q: upper end of g^T H^-1 g.
        step: upper end of |H^-1 g|.
        error: by how much the computed gradient may be wrong, in the Euclidean norm.
    """
    g = math.sqrt(gg) + error
    by_gradient = g * g / (2 * mu)
    if concordance is None:
        return by_gradient, math.inf, math.inf
    q = (math.sqrt(q) + error / math.sqrt(mu)) ** 2
    step = step + error / mu
    distance = min(g / mu, math.sqrt(2 * by_gradient / mu))
    concordant = math.inf
    nu = concordance * math.sqrt(q / mu)
    if nu < 1.0:
        concordant = q * float(psi(-nu))
        if concordance > 0.0:
            distance = min(distance, -math.log1p(-nu) / concordance)
    for _ in range(REFINEMENTS):
        reach = concordance * distance
        concordant = min(concordant, q / (4 * float(om(reach))))
        least = min(by_gradient, concordant)
        closer = min(
            distance,
            math.sqrt(2 * least / mu),
            step + inertia(reach) * math.sqrt(q / mu),
        )
        if closer >= distance * (1 - 1e-9):
            break
        distance = closer
    return by_gradient, concordant, concordance * distance


def lower_end(concordance: float | None, gs: float, h: float, step: float, error: float) -> float:
    """What a damped Newton step is sure to win: a^2/h psi(R |s| a/h), with a = g.s."""
    a = gs - error * step
    if concordance is None or a <= 0.0 or h <= 0.0:
        return 0.0
    return a * a / h * float(psi(concordance * step * a / h))


class SubOptimality(Bound):
    r"""f(w) - min f, from one linear solve: the smaller of two certificates.

    Hypotheses: f is mu-strongly convex and self-concordant, |D^3 f[u, v, v]| <= R |u| D^2 f[v, v].
    With g, H gradient and Hessian at w, om(x) = (e^-x + x - 1)/x^2:

    1. gradient: f - f* <= |g|^2/(2 mu).
    2. self-concordant: f - f* <= q/(4 om(R D)), q >= g^T H^-1 g, D >= |w - w*|.

    Derived here. Along d, phi(t) = f(w + t d) has |phi'''| <= R |d| phi'', so
    phi''(t) >= e^(-R |d| t) phi''(0), and integrating twice
    f(w + d) >= f + g.d + om(R |d|) d^T H d. om decreases, so on |d| <= D the right side is at
    least f - g^T H^-1 g/(4 om(R D)) (minimise over d). As R D -> 0 this is the true gap, g^T H^-1
    g/2, to first order.

    q: from an iterate s of conjugate gradients with r = g - H s,
    g^T H^-1 g = g.s + r.s + r^T H^-1 r <= g.s + r.s + |r|^2/mu.

    D: the least of |g|/mu; sqrt(2 gap/mu), with the gap's own bound, repeatedly; -log(1 - nu)/R
    with nu = R sqrt(q/mu) < 1; and |H^-1 g| + (x/(1 - e^-x) - 1) sqrt(q/mu), x = R D, repeatedly.
    (With B the mean Hessian between w and w*, B >= (1 - e^-x)/x H and w* - w = -B^-1 g. So
    |w - w*|_H <= x/(1 - e^-x) sqrt(q), and the distance to the Newton step in the norm of H is at
    most (x/(1 - e^-x) - 1) sqrt(q).) Without D, for nu < 1, maximising over |d| as well:
    f - f* <= q psi(-nu), psi(x) = ((1 + x) log(1 + x) - x)/x^2.

    Lower end: the same expansion upwards, f(w - t s) <= f - t a + t^2 om(-R |s| t) h with
    a = g.s, h = s^T H s, minimised over t: f - f* >= a^2/h psi(R |s| a/h).

    Where the two ends are further apart than 1 %, the bound makes a damped Newton step, to
    v, and uses
    f(w) - f* = (f(w) - f(v)) + (f(v) - f*) with the same two ends at v, and so on, at most
    `solves` times. With `solves=1` it is the bare certificate.

    Ends are moved outward for the rounding of f and g in float64 (`Smooth.rounding`), so that
    near machine precision the upper end stays above the gap. A float32 answer is taken as the
    real numbers that it is, and judged in float64.

    Args:
        solves: most linear solves, at least 1.
        inner: most conjugate-gradient iterations of a solve.

    Raises:
        UsageError: a number outside its range.
    """

    problems: ClassVar = (Smooth,)
    spends: ClassVar = False
    needs_64_bit: ClassVar = True

    solves: int = eqx.field(static=True, default=10)
    inner: int = eqx.field(static=True, default=2000)

    def __check_init__(self):
        arguments.whole("SubOptimality", "solves", self.solves, least=1)
        arguments.whole("SubOptimality", "inner", self.inner, least=1)

    def certify(self, problem, outcome, key, delta):
        answer = _bare(outcome.answer)
        mu, concordance = problem.strong_convexity, problem.self_concordance
        common: dict[str, Any] = {
            "sense": "min",
            "range": (0.0, math.inf),
            "dtype": "float64 arithmetic",
            "source": "derived in infsup.optimization.SubOptimality",
        }
        head = "distance to the least objective", _of(problem, answer)
        outside = problem.belongs(answer)
        if mu is None or outside:
            text = "the answer belongs to a class on which the objective is strongly convex"
            why = outside or "no modulus of strong convexity is known"
            failed = Hypothesis(text, "violated", why)
            return Certificate(
                *head,
                -math.inf,
                math.inf,
                "proved_real",
                name_of(type(self)),
                hypotheses=(failed,),
                **common,
            )
        answer = wide(answer)
        sizes = problem.rounding(answer)
        allowance = UNITS * sizes[0], UNITS * sizes[1]
        points = self._points(problem, answer, mu, concordance, allowance)
        if not np.isfinite(points[0]).all():
            return Certificate(
                *head,
                -math.inf,
                math.inf,
                "proved_real",
                name_of(type(self)),
                verdict="refused",
                reason="the objective or its gradient is not finite",
                **common,
            )
        ends = bracket(points, mu, concordance, allowance)
        if ends.lower > ends.upper:
            text = (
                f"f is strongly convex with mu = {mu:g} and self-concordant with R = {concordance}"
            )
            why = f"its two ends contradict each other: {ends.lower:g} > {ends.upper:g}"
            return Certificate(
                *head,
                0.0,
                math.inf,
                "proved_real",
                name_of(type(self)),
                hypotheses=(Hypothesis(text, "violated", why),),
                **common,
            )
        return Certificate(
            *head,
            ends.lower,
            ends.upper,
            "proved_real",
            name_of(type(self)),
            hypotheses=_hypotheses(problem, mu, concordance),
            budget={
                "optimisation": ends.upper - ends.lower - ends.rounding,
                "rounding": ends.rounding,
            },
            proof={
                "points": points,
                "mu": mu,
                "concordance": concordance,
                "allowance": np.asarray(allowance),
                "smaller": ends.smaller,
                "reach": ends.reach,
            },
            **common,
        )

    def _points(
        self, problem: Any, answer: Any, mu: float, concordance: float | None, allowance: tuple
    ) -> np.ndarray:
        """The measurements at the answer and at the damped Newton steps from it, [k, 7]."""
        inner = traced(problem.bare())
        rows: list[np.ndarray] = []
        for _ in range(self.solves):
            row, step = measure(inner, answer, jnp.asarray(self.inner, jnp.int32), jnp.asarray(mu))
            if rows and not np.isfinite(row).all():
                break
            rows.append(np.asarray(row, np.float64))
            ends = bracket(np.stack(rows), mu, concordance, allowance)
            if not ends.upper > ENOUGH * ends.lower:
                break
            answer = descend(inner, answer, step, jnp.asarray(damping(rows[-1], concordance)))
        return np.stack(rows)


class Ends:
    """A bracket of the gap, which certificate was smaller at the answer, R D there, rounding."""

    def __init__(self, lower: float, upper: float, smaller: str, reach: float, rounding: float):
        self.lower, self.upper, self.smaller = lower, upper, smaller
        self.reach, self.rounding = reach, rounding


def bracket(
    points: np.ndarray, mu: float, concordance: float | None, allowance: tuple[float, float]
) -> Ends:
    """The best ends over all points, for the first of them.

    Args:
        points: rows of `COLUMNS`: f; |g|^2; g.s; r.s; |r|^2; s.Hs; |s|, of r = g - H s.
        mu: strong convexity, > 0.
        concordance: R, or None.
        allowance: by how much a computed f and a computed g may be wrong.
    """
    lower, upper, smaller, reach, rounding = 0.0, math.inf, "gradient", math.inf, 0.0
    for number, (value, gg, gs, rs, rr, h, ss) in enumerate(points.tolist()):
        if not math.isfinite(value):
            continue
        error = allowance[1]
        residual = math.sqrt(rr) + error
        q = newton_norm(gs, rs, residual, ss, mu)
        by_gradient, concordant, rd = upper_end(mu, concordance, gg, q, ss + residual / mu, error)
        won = points[0, 0] - value
        slack = 0.0 if number == 0 else 2 * allowance[0]
        end = won + min(by_gradient, concordant) + slack
        if end < upper:
            upper, rounding = end, slack
        lower = max(lower, won - slack + lower_end(concordance, gs, h, ss, error))
        if number == 0:
            smaller = "gradient" if by_gradient <= concordant else "self-concordant"
            reach = rd
    return Ends(lower * (1 - OUTWARD), upper * (1 + OUTWARD), smaller, reach, rounding)


def damping(row: np.ndarray, concordance: float | None) -> float:
    """The length t of a Newton step that is sure to descend: log(1 + x a/h)/x, x = R |s|."""
    _, _, gs, _, _, h, ss = row.tolist()
    x = (concordance or 0.0) * ss
    if not (h > 0 and gs > 0):
        return 0.0
    return gs / h if x * gs / h < 1e-12 else math.log1p(x * gs / h) / x


@eqx.filter_jit
def measure(problem: Any, answer: Any, inner: Any, mu: Any) -> tuple[Any, Any]:
    """f, g and one solve at an answer: `COLUMNS` as an array [7], and s[d]."""
    params, fixed = eqx.partition(answer, trainable(answer))
    w, unravel = ravel_pytree(params)

    def f(v):
        return problem.objective(eqx.combine(unravel(v), fixed))

    value, g = jax.value_and_grad(f)(w)
    _, hessian = jax.linearize(jax.grad(f), w)
    s = solve(hessian, g, 1e-12, inner, mu).s
    hs = hessian(s)
    r = g - hs
    row = (value, g @ g, g @ s, r @ s, r @ r, s @ hs, jnp.sqrt(s @ s))
    return jnp.stack([jnp.asarray(x, jnp.float64) for x in row]), s


@eqx.filter_jit
def descend(problem: Any, answer: Any, step: Any, sure: Any) -> Any:
    """The answer moved by -t step, with the best t of 1, 1/2, ..., 1/128 and `sure`."""
    params, fixed = eqx.partition(answer, trainable(answer))
    w, unravel = ravel_pytree(params)

    def at(t):
        return eqx.combine(unravel(w - t * step), fixed)

    lengths = jnp.concatenate([2.0 ** -jnp.arange(8.0), sure[None]])
    values = jax.lax.map(lambda t: problem.objective(at(t)), lengths)
    return at(lengths[jnp.nanargmin(values)])


def wide(answer: Any) -> Any:
    """The same real numbers as float64."""
    return jax.tree.map(
        lambda x: jnp.asarray(x, jnp.float64) if eqx.is_inexact_array(x) else x, answer
    )


class Stationarity(Bound):
    """The norm of the gradient: how far the answer is from a stationary point, in slope.

    It says nothing of how far the value is from the least one; for that a modulus of strong
    convexity is needed (`SubOptimality`).
    """

    problems: ClassVar = (Smooth,)
    spends: ClassVar = False
    needs_64_bit: ClassVar = True

    def certify(self, problem, outcome, key, delta):
        answer = wide(_bare(outcome.answer))
        if not jax.tree.leaves(eqx.filter(answer, trainable(answer))):
            raise UsageError("`answer` has no floating-point arrays, so it has no gradient")
        size = float(slope(traced(problem.bare()), answer))
        common: dict[str, Any] = {"sense": "min", "dtype": "float64 arithmetic"}
        head = "norm of the gradient", _of(problem, answer)
        if not math.isfinite(size):
            return Certificate(
                *head,
                -math.inf,
                math.inf,
                "proved_real",
                name_of(type(self)),
                verdict="refused",
                reason="the gradient is not finite",
                **common,
            )
        error = UNITS * problem.rounding(answer)[1] if not problem.belongs(answer) else UNITS * size
        return Certificate(
            *head,
            max(size - error, 0.0),
            size + error,
            "proved_real",
            name_of(type(self)),
            range=(0.0, math.inf),
            budget={"rounding": 2 * error},
            proof={"size": size, "error": error},
            **common,
        )


@eqx.filter_jit
def slope(problem: Any, answer: Any) -> Any:
    """|grad f| at an answer."""
    params, fixed = eqx.partition(answer, trainable(answer))
    g = jax.grad(lambda p: problem.objective(eqx.combine(p, fixed)))(params)
    return jnp.sqrt(sum(jnp.vdot(x, x) for x in jax.tree.leaves(g)))


def _bare(answer: Any) -> Any:
    return answer.answer if isinstance(answer, Accepted) else answer


def _of(problem: Smooth, answer: Any) -> str:
    while hasattr(answer, "inner"):
        answer = answer.inner
    kind = "the point" if not callable(answer) else type(answer).__name__
    return f"{kind} in {problem.name}"


def _hypotheses(problem: Smooth, mu: float, concordance: float | None) -> tuple[Hypothesis, ...]:
    stated = problem.hypotheses()
    if any(h.state == "assumed" for h in stated):
        return stated
    words = [f"the objective is strongly convex with mu = {mu:g}"]
    if concordance is not None:
        words.append(f"the objective is self-concordant with R = {concordance:.4g}")
    return tuple(Hypothesis(w, "checked") for w in words)
