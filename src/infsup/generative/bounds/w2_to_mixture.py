"""The Wasserstein distance between a sampler's law and a Gaussian mixture, from both sides."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, Hypothesis
from infsup.core.errors import HypothesisError
from infsup.core.intervals import dkw, student_t
from infsup.core.registry import name_of
from infsup.generative import solvers
from infsup.generative.bounds.w2_to_held_out import matching_costs
from infsup.generative.bridge import Bridge, exact_velocity
from infsup.generative.drawing import (
    check_finite,
    draws,
    dtype_of,
    independent,
    normals,
    pushed,
    who,
)
from infsup.generative.potentials import fitted
from infsup.generative.problem import Transport
from infsup.generative.schedules import Linear
from infsup.numerics.gaussian_mixture import GaussianMixture
from infsup.optimization import arguments

SOURCE = (
    "synchronous coupling; Villani 2009, theorems 5.10 (duality) and 6.15 (W2 by weighted total "
    "variation); Dvoretzky, Kiefer and Wolfowitz with Massart's constant 1990; derived in "
    "infsup.generative.bounds.w2_to_mixture"
)


DENSE = 16
"""Largest dimension whose exact flow is followed with its determinants."""


class W2ToMixture(Bound):
    r"""W2 between the law P of a sampler and a Gaussian mixture Q.

    Upper end, of an answer that pushes standard normal noise z (`push`), for d <= 16: send the
    same z through a fine solver of the exact flow from noise to Q; its end X has a law Q' near Q.
    Then W2(P, Q) <= (E|Y - X|^2)^(1/2) + W2(Q', Q). The density q' of X is exact, determinants of
    the steps included, and with w = q(X)/q'(X)

        W2^2(Q', Q) <= 2 E |X - mean|^2 |1 - w|,

    so the solver's error is a sampled mean and no extrapolation. Of other answers: the mean cost
    of matchings of b draws with b draws of Q, which is above W2^2 by convexity.

    Lower end, the larger of two. (1) Of answers with `push`, by duality: a potential phi, fitted to
    pilot pairs, of known curvature (`generative.potentials`) gives W2^2 >= E_P phi + E_Q psi, and
    on coupled pairs phi(Y) + w psi(X) has nearly no spread. (2) Along an orthonormal frame of e_i,
    W2^2(P, Q) >= sum_i W2^2(e_i P, e_i Q). Each term is one-dimensional, with the quantiles of Q
    exact and those of P inside the DKW band of the draws: valid at this sample size. The largest
    over `frames` random frames counts.

    delta: a third for each term of the upper end, a sixth for each lower one.

    Args:
        pairs: coupled pairs; half as many pilots fit the potential.
        steps: Runge-Kutta steps of the exact flow.
        draws: for the bands of (2).
        frames: random orthonormal frames.
        block, blocks: of matchings, for answers without `push`.
    """

    problems: ClassVar = (Transport,)
    needs_64_bit: ClassVar = True

    pairs: int = eqx.field(static=True, default=2048)
    steps: int = eqx.field(static=True, default=48)
    draws: int = eqx.field(static=True, default=8192)
    frames: int = eqx.field(static=True, default=2)
    block: int = eqx.field(static=True, default=384)
    blocks: int = eqx.field(static=True, default=24)

    def __check_init__(self):
        for name in ("pairs", "steps", "draws", "frames", "block", "blocks"):
            arguments.whole(
                "W2ToMixture", name, getattr(self, name), least=1 if name == "frames" else 2
            )

    def certify(self, problem, outcome, key, delta):
        law, answer = known(problem, "W2ToMixture"), outcome.answer
        k_pair, k_draw, k_frame, k_law = jax.random.split(key, 4)
        third = delta / 3
        # a mixture without a density has no weights
        dense = law.dim <= DENSE and float(np.min(law.variances)) > 0
        if hasattr(answer, "push") and dense:
            path = getattr(answer, "bridge", Bridge()).path
            if isinstance(path, Linear):
                path = Linear()  # without blur, so that its flow ends in the mixture itself
            flow = (answer, law, path, self.steps)
            x, y, weights, one_to_one = coupled(*flow, self.pairs, k_pair)
            gaps = ((y - x) ** 2).sum(1)
            far = 2 * ((x - law.mean) ** 2).sum(1) * np.abs(1 - weights)
            pilots = coupled(*flow, self.pairs, k_law)[:2]
            some = slice(self.pairs // 2)
            phi = fitted(pilots[0][some], pilots[1][some], np.random.default_rng(0))
            dual = phi(y) + weights * phi.conjugate_lower(x)
            below = student_t(dual, third)
            apart, solver = student_t(gaps, 2 * third), student_t(far, 2 * third)
            upper = math.sqrt(max(apart.upper, 0)) + math.sqrt(max(solver.upper, 0))
            hypotheses: tuple[Hypothesis, ...] = (one_to_one,)
            budget = {"solver of the exact flow": math.sqrt(max(solver.upper, 0))}
            proof: dict[str, Any] = {"gaps": gaps, "weighted": far, "dual": dual}
            fault, dual_lower = apart.refused or solver.refused, float(below.lower)
        else:
            x = draws(answer, k_pair, self.block * self.blocks)
            size = min(self.block, len(x) // 2)
            y = np.asarray(law.sample(k_law, size * self.blocks), np.float64)
            rng = np.random.default_rng(0)
            count = len(x) // size
            costs = np.array(
                [
                    matching_costs(
                        x[i * size : (i + 1) * size], y[i * size : (i + 1) * size], size, 1, rng
                    )[0]
                    for i in range(count)
                ]
            )
            most = student_t(costs, 2 * third)
            upper, fault, dual_lower = math.sqrt(max(most.upper, 0.0)), most.refused, 0.0
            hypotheses, budget, proof = (), {}, {"costs": costs}
        fields: dict[str, Any] = {
            "sense": "min",
            "range": (0.0, math.inf),
            "level": 1 - delta,
            "dtype": dtype_of(answer),
            "hypotheses": hypotheses + independent(answer),
            "source": SOURCE,
        }
        name, of = name_of(type(self)), f"{who(answer)} to {problem.name}"
        if fault:
            fields |= {"verdict": "refused", "reason": f"the upper end: {fault}"}
            return Certificate("W2", of, -math.inf, math.inf, "asymptotic", name, **fields)
        x = draws(answer, k_draw, self.draws)
        frames = orthonormal(k_frame, self.frames, law.dim)
        sliced, bands = sliced_lower(x, law, frames, third / 2)
        lower = max(sliced, math.sqrt(max(dual_lower, 0.0)))
        return Certificate(
            "W2",
            of,
            lower,
            upper,
            "asymptotic",
            name,
            budget=budget,
            proof={**proof, "bands": bands, "frames": frames, "delta": delta},
            **fields,
        )


def known(problem: Transport, what: str) -> GaussianMixture:
    """The mixture, where the target is one.

    Raises:
        HypothesisError: it is known from rows only.
    """
    if problem.mixture is None:
        raise HypothesisError(
            f"`{what}` needs a target in closed form, and {problem.name} is rows",
            "From rows alone, the population distance is not certifiable in general.",
            "W2ToHeldOut, CriticLower",
        )
    return problem.mixture


@eqx.filter_jit
def _exact_flow(law: Any, path: Any, z: Any, steps: int) -> Any:
    def one(y):
        v = lambda t, x: exact_velocity(law, path, t, x)  # noqa: E731
        x, logdet, upright = solvers.flow_with_density("rk4", v, y, steps)
        base = -0.5 * jnp.sum(y * y) - 0.5 * y.size * math.log(2 * math.pi)
        return x, law.log_density(x) - (base - logdet), upright

    return jax.vmap(one)(z)


def coupled(
    answer: Any, law: GaussianMixture, path: Any, steps: int, n: int, key: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Hypothesis]:
    """X of the exact flow, Y of the answer, the weights of X, and what the weights rest on."""
    z = normals(key, n, law.dim)
    y = pushed(answer, z)
    x, log_ratio, upright = map(np.asarray, _exact_flow(law, path, z.astype(jnp.float64), steps))
    check_finite(x)
    weights = np.exp(log_ratio)
    text = "the steps of the exact flow's solver are one to one"
    if not upright.all():
        seen = f"a determinant was negative on {(~upright).sum()} of {n} paths"
        return x, y, weights, Hypothesis(text, "violated", seen)
    h, worst = 1.0 / steps, lipschitz(law, path, steps)
    if math.expm1(h * worst) < 1:
        return x, y, weights, Hypothesis(text, "checked", f"h Lip <= {h * worst:.2g} < ln 2")
    seen = f"det > 0 on all {n} paths, mean weight {weights.mean():.6f}"
    return x, y, weights, Hypothesis(text, "assumed", seen)


def lipschitz(law: GaussianMixture, path: Any, steps: int) -> float:
    r"""A bound of |grad v| of the exact velocity, over all x and the times of the stages.

    With C = a^2 S + s^2 I, A_k = (a' a S_k + s' s I) C_k^-1 and responsibilities r,
    grad v = sum r_k A_k + Cov_r(A_k (x - a m_k) + a' m_k, -C_k^-1 (x - a m_k)). For equal S this is
    A + Cov_r(a' m - a A m, a C^-1 m), at most |A| + |a' - a A| |a C^-1| D^2/4 with D the largest
    distance of two means; for others infinity is returned.
    """
    v = np.asarray(law.variances)
    same = np.allclose(law.covariances, law.covariances[0], atol=1e-12 * (1 + v.max()))
    if not same:
        return math.inf
    m = np.asarray(law.means)
    spread = ((m[:, None] - m) ** 2).sum(-1).max() / 4
    w = path.at(jnp.linspace(0.0, 1.0, 2 * steps + 1, dtype=jnp.float64))
    a, b, da, db = (np.asarray(q)[:, None] for q in (w.a, w.s, w.da, w.ds))
    c = a * a * v[0] + b * b
    if (c <= 0).any():
        return math.inf
    slope = (da * a * v[0] + db * b) / c
    turn = np.abs(da - a * slope).max(1) * (np.abs(a) / c).max(1) * spread
    return float((np.abs(slope).max(1) + turn).max())


def orthonormal(key: Any, frames: int, d: int) -> np.ndarray:
    """Random orthonormal frames [frames, d, d], one direction a row."""
    g = np.asarray(jax.random.normal(key, (frames, d, d), jnp.float32), np.float64)
    return np.linalg.qr(g)[0]


CELLS = 4096


def sliced_lower(
    x: np.ndarray, law: GaussianMixture, frames: np.ndarray, delta: float
) -> tuple[float, dict[str, np.ndarray]]:
    """Largest over the frames of (sum over directions of W2^2 from below)^(1/2), and its bands."""
    frames = np.asarray(frames)
    share = delta / frames[:, :, 0].size
    eps = dkw(len(x), share)
    best, bands = 0.0, {}
    for frame in frames:
        total, found = 0.0, []
        for e in frame:
            low, high = band(np.sort(x @ e), eps)
            q = quantiles(*law.projected(e), np.linspace(0.0, 1.0, CELLS + 1))
            total += cell_cost(low, high, q)
            found.append((low, high, q))
        if total >= best or not bands:
            best = total
            bands = {
                name: np.stack([f[i] for f in found])
                for i, name in enumerate(("low", "high", "exact"))
            }
    return math.sqrt(best), bands


def band(ordered: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """Ends between which the quantiles lie on each of `CELLS` equal cells of (0, 1)."""
    n = len(ordered)
    u = np.linspace(0.0, 1.0, CELLS + 1)
    padded = np.concatenate([[-np.inf], ordered, [np.inf]])
    # Q(u) >= v_(ceil(n (u - eps))) and Q(u) <= v_(ceil(n (u + eps))), one rank of slack each
    first = np.clip(np.ceil(n * (u[:-1] - eps)).astype(int) - 1, 0, n + 1)
    last = np.clip(np.ceil(n * (u[1:] + eps)).astype(int) + 1, 0, n + 1)
    return padded[first], padded[last]


def cell_cost(low: np.ndarray, high: np.ndarray, exact: np.ndarray) -> float:
    """Sum over cells of width times the squared distance of two intervals of quantiles."""
    gap = np.maximum(np.maximum(exact[:-1] - high, low - exact[1:]), 0.0)
    return float(np.sum(gap * gap) / len(gap))


def quantiles(
    weights: np.ndarray, means: np.ndarray, stds: np.ndarray, u: np.ndarray
) -> np.ndarray:
    """Quantiles of a Gaussian mixture on the line, by bisection; -inf and inf at 0 and 1."""
    sd = np.maximum(stds, 1e-300)
    lo = np.full(len(u), (means - 40 * sd).min())
    hi = np.full(len(u), (means + 40 * sd).max())
    for _ in range(80):
        mid = 0.5 * (lo + hi)
        below = special.ndtr((mid[:, None] - means) / sd) @ weights < u
        lo, hi = np.where(below, mid, lo), np.where(below, hi, mid)
    found = 0.5 * (lo + hi)
    found[u <= 0], found[u >= 1] = -np.inf, np.inf
    return found
