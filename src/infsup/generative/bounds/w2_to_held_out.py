"""The Wasserstein distance between a sampler's law and the held-out rows, from both sides."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from infsup.core.answers import Draws
from infsup.core.bound import Bound
from infsup.core.certificate import Certificate
from infsup.core.intervals import student_t
from infsup.core.registry import name_of
from infsup.generative.couplings import matched, squared_distances
from infsup.generative.drawing import check_finite, draws, dtype_of, independent, who
from infsup.generative.problem import Transport
from infsup.optimization import arguments

SOURCE = (
    "convexity of W2^2 (Villani 2009, theorem 4.8); Kantorovich duality (ibid., theorem 5.10); "
    "derived in infsup.generative.bounds.w2_to_held_out"
)


class W2ToHeldOut(Bound):
    r"""W2 between the law P of a sampler and the empirical law p of the held-out rows a_1..a_N.

    It speaks of these rows, not of the law behind them: a sampler that is perfect stays away from
    p by the size of the sample, as far as fresh rows would ("the rows to fit, resampled" stands
    beside as comparator). Both ends have errors of order n^(-1/2) in any dimension.

    Upper end. W2^2 is convex in both laws, and P = E P_b, p = E p_b for b independent draws and a
    random subset of b rows. So W2^2(P, p) <= E W2^2(P_b, p_b), whose summands are least-cost
    matchings of b points, solved exactly; the mean over `blocks` independent ones has Student's
    interval (kind `asymptotic`).

    Lower end. For any numbers g_1..g_N, W2^2(P, p) >= E_P min_j (|x - a_j|^2 - g_j) + mean(g). The
    g come from the duals of pilot matchings; fresh draws then give the mean, with Student's
    interval.

    delta is halved between the ends. Distances are in units of `problem.unit`.

    Args:
        blocks: matchings for the upper end.
        block: points of one, at most.
        pilots: matchings whose duals are averaged for the lower end.
        draws: for the lower end.
    """

    problems: ClassVar = (Transport,)
    unseen: ClassVar = True

    blocks: int = eqx.field(static=True, default=12)
    block: int = eqx.field(static=True, default=384)
    pilots: int = eqx.field(static=True, default=4)
    draws: int = eqx.field(static=True, default=4096)

    def __check_init__(self):
        for name, least in (("blocks", 2), ("block", 1), ("pilots", 1), ("draws", 2)):
            arguments.whole("W2ToHeldOut", name, getattr(self, name), least=least)

    def certify(self, problem, outcome, key, delta):
        answer, unit = outcome.answer, problem.unit
        rows = problem.held_out / unit
        k_pilot, k_fresh, k_subset = jax.random.split(key, 3)
        units = "" if (unit == 1).all() else ", in units of each column's standard deviation"
        fields: dict[str, Any] = {
            "sense": "min",
            "range": (0.0, math.inf),
            "level": 1 - delta,
            "dtype": dtype_of(answer),
            "hypotheses": independent(answer),
            "source": SOURCE,
        }
        name = name_of(type(self))
        of = f"{who(answer)} to the {len(rows)} held-out rows of {problem.name}{units}"
        pilot, fresh, size = self._points(answer, len(rows), k_pilot, k_fresh)
        if size == 0:
            reason = f"{len(fresh) + len(pilot)} draws are too few for matchings"
            fields |= {"verdict": "refused", "reason": reason}
            return Certificate("W2", of, -math.inf, math.inf, "asymptotic", name, **fields)
        pilot, fresh = pilot / unit, fresh / unit
        rng = np.random.default_rng(np.asarray(jax.random.key_data(k_subset)).ravel())
        g = potentials(pilot, rows, size, rng)
        values = semidual(fresh, rows, g)
        least = student_t(values, delta)
        costs = matching_costs(fresh, rows, size, min(self.blocks, len(fresh) // size), rng)
        most = student_t(costs, delta)
        if fault := most.refused or least.refused:
            fields |= {"verdict": "refused", "reason": fault}
            return Certificate("W2", of, -math.inf, math.inf, "asymptotic", name, **fields)
        lower, upper = ends(float(least.lower) + float(g.mean()), float(most.upper))
        return Certificate(
            "W2",
            of,
            lower,
            upper,
            "asymptotic",
            name,
            budget={
                "sampling": upper
                - math.sqrt(costs.mean())
                + math.sqrt(max(values.mean() + g.mean(), 0.0))
                - lower,
                "coupling": math.sqrt(costs.mean()) - math.sqrt(max(values.mean() + g.mean(), 0.0)),
            },
            proof={
                "costs": costs,
                "values": values,
                "mean_potential": float(g.mean()),
                "delta": delta,
            },
            **fields,
        )

    def _points(
        self, answer: Any, rows: int, k_pilot: Any, k_fresh: Any
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Pilot draws, fresh draws, and the size of a block (0: too few)."""
        size = min(self.block, rows)
        if not isinstance(answer, Draws):
            fresh = draws(answer, k_fresh, max(self.draws, size * self.blocks))
            return draws(answer, k_pilot, size * self.pilots), fresh, size
        x = np.asarray(answer.x, np.float64).reshape(len(answer.x), -1)
        check_finite(x)
        cut = max(len(x) // 4, 1)
        pilot, fresh = x[:cut], x[cut:]
        size = min(size, len(fresh) // 8, len(pilot))
        return pilot, fresh, size if size >= 2 or rows == 1 else 0


def ends(lower_squared: float, upper_squared: float) -> tuple[float, float]:
    """From squared distances to distances; what is below 0 says nothing."""
    return math.sqrt(max(lower_squared, 0.0)), math.sqrt(max(upper_squared, 0.0))


def semidual(x: np.ndarray, rows: np.ndarray, g: np.ndarray) -> np.ndarray:
    """min_j (|x - a_j|^2 - g_j) for each x, [n]."""
    parts = [
        (squared_distances(x[at : at + 4096], rows) - g).min(1) for at in range(0, len(x), 4096)
    ]
    return np.concatenate(parts)


def matching_costs(
    x: np.ndarray, rows: np.ndarray, size: int, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Mean squared distance of the best matching of each block with random rows, [count]."""
    costs = np.empty(count)
    for number in range(count):
        a = x[number * size : (number + 1) * size]
        b = rows if size == len(rows) else rows[rng.permutation(len(rows))[:size]]
        costs[number] = ((a - b[matched(a, b)]) ** 2).sum(1).mean()
    return costs


def potentials(x: np.ndarray, rows: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers g [N] that make the semidual large: averages of the duals of some matchings.

    The dual of a best matching p satisfies g_j <= c(i, j) - c(i, p(i)) + g_p(i), with equality at
    j = p(i): shortest distances in the graph of these differences, which has no negative cycle.
    Rows outside a block get what the duals of its draws allow, min_i c(i, j) - f_i.
    """
    found = []
    for at in range(0, len(x) - size + 1, size):
        which = rng.permutation(len(rows))[:size]
        far = squared_distances(x[at : at + size], rows)
        c = far[:, which]
        p = matched(x[at : at + size], rows[which])
        best = c[np.arange(size), p]
        step = c - best[:, None]
        g = np.zeros(size)
        for _ in range(size):
            new = np.minimum(g, (step + g[p][:, None]).min(0))
            if (new == g).all():
                break
            g = new
        every = (far - (best - g[p])[:, None]).min(0)
        found.append(every - every.mean())
    return np.mean(found, 0)
