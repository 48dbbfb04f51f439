"""How far any control of an affine-quadratic problem is from the best."""

import itertools
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy  # its parts are imported when they are first used

from infsup.control.bounds.rogers_dual import not_finite
from infsup.control.feedback import AffineFeedback, ZeroControl
from infsup.control.problem import ControlProblem
from infsup.control.riccati import (
    ValueTable,
    coefficients_of,
    table_at,
    value_table,
)
from infsup.control.simulate import check_sizes
from infsup.control.structure import CONSTANT, LQ, Structure, structure_of
from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, Hypothesis
from infsup.core.errors import HypothesisError
from infsup.core.intervals import student_t
from infsup.core.method import Outcome
from infsup.core.registry import name_of
from infsup.numerics.polynomial_degree import degree_in

SOURCE = (
    "R.E. Kalman, Bol. Soc. Mat. Mexicana 5 (1960) 102-119; J(u) - V = E int (u-u*)'R(u-u*) dt by "
    "completion of squares; Van Loan, IEEE Trans. Automat. Control 23 (1978) 395-404"
)


class Cost(NamedTuple):
    """What is known of J(u) and V, before it is made a certificate.

    Args:
        value: V(0, x0) by the Riccati equation.
        value_error: its estimated error.
        gap: J(u) - V, or its mean over paths.
        gap_error: its estimated error of integration; 0 where paths are sampled.
        table_error: squared distance in L2 between the table's optimal control and the true one.
        paths: sampled values of the gap, or None.
        smooth: whether the law is known to be smooth along the path.
    """

    value: float
    value_error: float
    gap: float
    gap_error: float
    table_error: float
    paths: np.ndarray | None
    smooth: bool


class RiccatiGap(Bound):
    """J(u) - V of any control of an affine-quadratic problem; V by its own Riccati solution.

    J(u) - V = E int (u-u*)'R(u-u*) dt. Without noise it is integrated along the path of the law;
    with noise and a law that is affine in x, along its second moments. The difference of two
    tolerances (1e-7 and 1e-10) and the error of the tabulated u* are put outward. Any other law
    under noise is held on `steps` steps and simulated exactly (constant coefficients): each step
    adds E[cost + V(after)] - V(before) >= 0, whose sum has the mean J(u) - V; a Student interval
    makes it `asymptotic`. The lower end is never below 0, by the definition of V.

    Args:
        paths: of a simulated law, >= 2.
        steps: of a simulated law, >= 1.
    """

    paths: int = eqx.field(static=True, default=4096)
    steps: int = eqx.field(static=True, default=100)

    problems: ClassVar = (ControlProblem,)
    needs_64_bit: ClassVar[bool] = True

    def __check_init__(self):
        check_sizes(self)

    def certify(self, problem, outcome: Outcome, key, delta: float) -> Certificate:
        s = structure_of(problem)
        name, quantity = name_of(type(self)), "J(u) - V, the excess cost"
        fields: dict[str, Any] = {"sense": "min", "range": (0.0, np.inf), "source": SOURCE}
        of = f"this control, {problem.name}"
        hypotheses = s.hypotheses(*LQ)

        def nothing(*more: Hypothesis, **others: Any) -> Certificate:
            return Certificate(
                quantity,
                of,
                -np.inf,
                np.inf,
                "proved_real",
                name,
                hypotheses=(*hypotheses, *more),
                **fields,
                **others,
            )

        if not s.holds(*LQ):
            return nothing()
        if failing := cannot_simulate(problem, s, outcome.answer):
            return nothing(failing)
        try:
            found = excess_cost(problem, s, outcome.answer, self.steps, self.paths, key)
        except HypothesisError as e:
            return nothing(Hypothesis("the Riccati solution exists on [0, T]", "violated", e.what))
        hypotheses = (*hypotheses, no_blow_up(s), *smoothness(found))
        if not np.isfinite(found.gap):
            return nothing(verdict="refused", reason=f"the cost of this control is {found.gap}")
        proof = {"value": found.value, "value_error": found.value_error, "gap": found.gap}
        if found.paths is None:
            kind = "proved_real"
            lower, upper = integrated_ends(found)
            budget = {"control": max(found.gap, 0.0), "discretisation": upper - max(found.gap, 0.0)}
            proof |= {"gap_error": found.gap_error, "table_error": found.table_error}
        else:
            if fault := not_finite(found.paths):
                return nothing(verdict="refused", reason=fault)
            interval, kind = student_t(found.paths, delta), "asymptotic"
            upper = float(interval.upper) + 2 * found.value_error
            lower = max(float(interval.lower) - 2 * found.value_error, 0.0)
            of = f"this control held on {self.steps} steps, {problem.name}"
            fields["level"] = 1 - delta
            budget = {"control": found.gap, "sampling": float(interval.width)}
            proof |= {"delta": delta, "paths": found.paths}
        return Certificate(
            quantity,
            of,
            lower,
            upper,
            kind,
            name,
            hypotheses=hypotheses,
            budget=budget,
            proof=proof,
            **fields,
        )


def integrated_ends(found: Cost) -> tuple[float, float]:
    """sqrt(J - V) is a norm of u - u*, so an error of u* in that norm moves it by no more."""
    gap, spread = max(found.gap, 0.0), float(np.sqrt(found.table_error))
    low = max(float(np.sqrt(max(gap - found.gap_error, 0.0))) - spread, 0.0)
    return low**2, (float(np.sqrt(gap + found.gap_error)) + spread) ** 2


def no_blow_up(s: Structure) -> Hypothesis:
    """Whether the Riccati solution exists: a theorem where the cost is convex, else computed."""
    text = "the Riccati solution exists on [0, T]"
    c = s.at_zero
    assert c is not None
    assert c.G is not None
    if s.holds(*CONSTANT):
        d = len(c.e)
        running, terminal = c.W[:-1, :-1], c.G[:d, :d]
        low = min(float(np.linalg.eigvalsh(w)[0]) for w in (running, terminal))
        scale = max(float(np.abs(running).max()), float(np.abs(terminal).max()))
        if low >= -1e-13 * scale:
            return Hypothesis(text, "checked", "the cost is convex in (x, u)")
    return Hypothesis(text, "assumed", "its numerical solution stays finite")


def smoothness(found: Cost) -> tuple[Hypothesis, ...]:
    """A law that we do not know must be smooth for an integrator's error estimate to mean much."""
    if found.smooth or found.paths is not None:
        return ()
    return (Hypothesis("the control is smooth along its path", "assumed"),)


def is_affine(problem: Any, answer: Any) -> bool:
    """Whether a law is affine in x for every t, as its program shows."""
    inner = getattr(answer, "answer", answer)
    if isinstance(inner, (AffineFeedback, ZeroControl)):
        return True
    if getattr(answer, "random", False) or not getattr(answer, "traced", True):
        return False
    t, x, _ = problem.sample_shapes()
    return degree_in(inner, t, x, wrt=(1,)).value <= 1


def cannot_simulate(problem: Any, s: Structure, answer: Any) -> Hypothesis | None:
    """A law that neither moments nor exact simulation can treat."""
    assert s.at_zero is not None
    noisy = callable(problem.diffusion) or bool(s.at_zero.noise.any())
    random = bool(getattr(answer, "random", False))
    if s.holds(*CONSTANT) or is_affine(problem, answer) or not (noisy or random):
        return None
    return Hypothesis(
        "coefficients are constant, or the control is affine in x and not random",
        "violated",
        "other laws are simulated with exact transitions, which needs constant coefficients",
    )


def excess_cost(problem: Any, s: Structure, answer: Any, steps: int, paths: int, key: Any) -> Cost:
    """J(u) - V = E int (u-u*)'R(u-u*) dt, by integration where that is possible, else simulated.

    Raises:
        HypothesisError: the Riccati solution blows up.
    """
    assert s.at_zero is not None
    noisy = callable(problem.diffusion) or bool(s.at_zero.noise.any())
    affine = is_affine(problem, answer)
    random = bool(getattr(answer, "random", False))
    table = value_table(problem, s, 1e-8)
    z = np.append(problem.x0, 1.0)
    value = float(z @ table.P[0] @ z)
    if (noisy and not affine) or random:
        P = table_at(problem, s, steps)
        gaps = _simulated_gaps(problem, s, answer, P, steps, paths, key)
        return Cost(value, table.error, float(gaps.mean()), 0.0, 0.0, gaps, True)
    run = _moments if noisy else _path
    (rough, _), (gap, size) = (run(problem, s, answer, table, tol) for tol in (1e-7, 1e-10))
    error = abs(gap - rough) + 1e-12 * gap  # 1e-12: rounding
    return Cost(value, table.error, gap, error, table.between**2 * size, None, affine)


def _path(
    problem: Any, s: Structure, answer: Any, table: ValueTable, tolerance: float
) -> tuple[float, float]:
    """The gap, and int tr(R) m |z|^2 dt, along the path of a law without noise."""
    at, law, best = coefficients_of(problem, s), _on_host(answer), table.gain
    d = problem.x0.size

    def field(t, y):
        q, _ = at(t)
        z = np.append(y[:d], 1.0)
        u = law(t, y[:d])
        off = u + best(t) @ z
        return [*(q.F @ z + q.B @ u)[:d], off @ q.R @ off, _size(q) * (z @ z)]

    return _integrate(field, np.append(problem.x0, [0.0, 0.0]), problem, tolerance)


def _moments(
    problem: Any, s: Structure, answer: Any, table: ValueTable, tolerance: float
) -> tuple[float, float]:
    """The same for a law u = -Kz under additive noise: M = E zz' has M' = LM + ML' + noise."""
    at, n = coefficients_of(problem, s), problem.x0.size + 1
    gain, best = _gain_of(answer, n - 1), table.gain

    def field(t, y):
        q, _ = at(t)
        K = gain(t)
        M = y[: n * n].reshape(n, n)
        turn = (q.F - q.B @ K) @ M
        off = K - best(t)
        return np.append(
            (turn + turn.T + q.noise).ravel(),
            [np.sum((off.T @ q.R @ off) * M), _size(q) * np.trace(M)],
        )

    z = np.append(problem.x0, 1.0)
    start = np.append(np.outer(z, z).ravel(), [0.0, 0.0])
    return _integrate(field, start, problem, tolerance)


def _size(q: Any) -> float:
    """(off z)'R(off z) <= this times max|off|^2 |z|^2: tr R bounds R, m (d+1) the norm of off."""
    return float(np.trace(q.R)) * q.B.shape[1] * len(q.F)


def _integrate(
    field: Any, start: np.ndarray, problem: Any, tolerance: float
) -> tuple[float, float]:
    with np.errstate(all="ignore"):
        try:
            found = scipy.integrate.solve_ivp(
                field,
                (0.0, float(problem.horizon)),
                start,
                "DOP853",
                rtol=tolerance,
                # the gap itself may be tiny
                atol=np.append(np.full(len(start) - 2, tolerance), [1e-6 * tolerance, tolerance]),
                # a law may change between steps that an integrator takes in its stride
                max_step=float(problem.horizon) / 32,
            )
        except (ValueError, FloatingPointError):  # the path has left the floating-point numbers
            return np.nan, np.nan
    return (float(found.y[-2, -1]), float(found.y[-1, -1])) if found.success else (np.nan, np.nan)


def _on_host(answer: Any) -> Any:
    """The law as a NumPy function."""
    f = eqx.filter_jit(answer) if answer.traced else answer.answer
    return lambda t, x: np.asarray(f(np.asarray(t), np.asarray(x)), np.float64)


def _gain_of(answer: Any, d: int) -> Any:
    """T -> K(t) with u = -K(t)z, of a law that is affine in x."""
    inner = answer.answer
    if isinstance(inner, ZeroControl):
        zero = np.zeros((inner.controls, d + 1))
        return lambda t: zero
    if isinstance(inner, AffineFeedback):
        times, gains, slopes = (np.asarray(a) for a in (inner.times, inner.gains, inner.slopes))
        return scipy.interpolate.CubicHermiteSpline(times, gains, slopes)
    compiled = _affine_parts(inner, d)
    return lambda t: -np.asarray(compiled(jnp.asarray(float(t))), np.float64)


def _affine_parts(law: Any, d: int) -> Any:
    @eqx.filter_jit
    def parts(t):
        zero = jnp.zeros(d)
        slope = jax.jacfwd(lambda x: law(t, x))(zero)
        return jnp.concatenate([slope, law(t, zero)[:, None]], 1)

    return parts


def _simulated_gaps(
    problem: Any, s: Structure, answer: Any, P: np.ndarray, steps: int, paths: int, key: Any
) -> np.ndarray:
    """Per path, the sum over steps of E[cost of the step + V(after)] - V(before), each >= 0."""
    c = s.at_zero
    assert c is not None
    d, m = problem.x0.size, problem.controls
    dt = float(problem.horizon) / steps
    S, step_noise, forms = held_steps(c.A, c.B, c.e, c.W, c.noise, dt, P)
    low, vectors = np.linalg.eigh(step_noise)
    root = vectors * np.sqrt(np.maximum(low, 0.0))
    # the last row and column of y = (x, u, 1) carry the constant
    numbers = (jnp.asarray(problem.x0), jnp.asarray(S), jnp.asarray(root), jnp.asarray(forms))
    batch = min(paths, 1024)
    keys = jax.random.split(key, -(-paths // batch))
    found = _gaps(answer, numbers, jnp.asarray(dt), keys, batch, d, m)
    return np.asarray(found, np.float64).ravel()[:paths]


def held_steps(
    A: np.ndarray,
    B: np.ndarray,
    e: np.ndarray,
    W: np.ndarray,
    noise: np.ndarray,
    dt: float,
    P: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exact steps under a held control, y = (x, u, 1): x after = S y + N(0, step_noise).

    Returns:
        S [d, d+m+1], step_noise [d, d], and forms [n, d+m+1, d+m+1] with y'form y = E[cost of the
        step + V(after)] - V(before).

    Integrals over the step by 20-point Gauss-Legendre quadrature of matrix exponentials.
    """
    d = len(e)
    n = W.shape[0]
    big = np.zeros((n, n))
    big[:d] = np.concatenate([A, B, e[:, None]], 1)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    nodes, weights = dt * (nodes + 1) / 2, dt * weights / 2
    running, step_noise, constant = np.zeros((n, n)), np.zeros((d, d)), 0.0
    for r, w in zip(nodes, weights, strict=True):
        E = scipy.linalg.expm(big * r)
        moved = E[:d, :d] @ noise @ E[:d, :d].T
        running += w * E.T @ W @ E
        step_noise += w * moved
        constant += w * (dt - r) * float(np.sum(W[:d, :d] * moved))
    whole = scipy.linalg.expm(big * dt)
    lift = np.zeros((d + 1, n))
    lift[:d, :d], lift[d, -1] = np.eye(d), 1.0
    after = lift @ whole
    forms = []
    for before, later in itertools.pairwise(P):
        form = running + after.T @ later @ after - lift.T @ before @ lift
        form[-1, -1] += constant + float(np.sum(later[:d, :d] * step_noise))
        forms.append(form)
    return whole[:d], step_noise, np.asarray(forms)


@eqx.filter_jit
def _gaps(answer: Any, numbers: tuple, dt: Any, keys: Any, batch: int, d: int, m: int) -> Any:
    x0, S, root, forms = numbers

    def one_batch(key):
        def step(carry, at):
            x, gap = carry
            i, form, k = at
            noise_key, law_key = jax.random.split(k)
            t = i * dt
            if answer.random:
                u = jax.vmap(lambda y, q: answer(t, y, q))(x, jax.random.split(law_key, batch))
            else:
                u = jax.vmap(lambda y: answer(t, y))(x)
            y = jnp.concatenate([x, u.astype(jnp.float64), jnp.ones((batch, 1))], 1)
            gap = gap + jnp.einsum("bi,ij,bj->b", y, form, y)
            w = jax.random.normal(noise_key, (batch, d), jnp.float64)
            return (y @ S.T + w @ root.T, gap), None

        start = (jnp.broadcast_to(x0, (batch, d)), jnp.zeros(batch))
        count = jnp.arange(len(forms), dtype=jnp.float64)
        (_, gap), _ = jax.lax.scan(step, start, (count, forms, jax.random.split(key, len(forms))))
        return gap

    return jax.lax.map(one_batch, keys)
