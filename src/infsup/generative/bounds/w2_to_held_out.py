"""The Wasserstein distance between a sampler's law and the held-out rows, from both sides."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from infsup.core.answers import Draws
from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, Hypothesis
from infsup.core.errors import UsageError
from infsup.core.intervals import betting, hoeffding_from_mean, student_t
from infsup.core.registry import name_of
from infsup.generative.bounds.student_mean import unbounded
from infsup.generative.couplings import matched, squared_distances
from infsup.generative.drawing import draws, dtype_of, generator, independent, who
from infsup.generative.problem import Transport
from infsup.generative.samplers import Clipped, Resampler
from infsup.optimization import arguments

SOURCE = (
    "convexity of W2^2 (Villani 2009, theorem 4.8); Kantorovich duality (ibid., theorem 5.10); "
    "with a range, McDiarmid 1989 and betting (Waudby-Smith and Ramdas 2024); "
    "derived in infsup.generative.bounds.w2_to_held_out"
)


EVERYWHERE = (-math.inf, math.inf)
"""The range of draws of which nothing is known."""


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

    Where a range of the draws is known, `within`, both ends hold at this sample size (kind
    `confidence`). Above, one draw among m in all moves the mean cost by at most R^2/m, R the
    largest distance of a row from a point of the box, so McDiarmid's inequality has the form of
    Hoeffding's (a random row of a block does the same; blocks of fewer than all rows take them
    with replacement). Below, summands are at least -max(g), and to cut them off at the largest
    pilot's only lowers their mean: an interval by betting. With the range (-inf, inf) nothing is
    known, the lower end stands and the upper one is infinite; so it is, too, where all matchings
    cost the same (a sampler that fell to a point), and Student's interval says nothing.

    delta is halved between the ends. Distances are in units of `problem.unit`.

    Args:
        blocks: matchings for the upper end.
        block: points of one, at most.
        pilots: matchings whose duals are averaged for the lower end.
        draws: for the lower end.
        within: (least, largest) possible value of every coordinate of a draw, in units of x, or
            None.
    """

    problems: ClassVar = (Transport,)
    unseen: ClassVar = True

    blocks: int = eqx.field(static=True, default=12)
    block: int = eqx.field(static=True, default=384)
    pilots: int = eqx.field(static=True, default=4)
    draws: int = eqx.field(static=True, default=4096)
    within: tuple[float, float] | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.within is not None:
            interval("W2ToHeldOut", "within", self.within)
        for name, least in (("blocks", 2), ("block", 1), ("pilots", 1), ("draws", 2)):
            arguments.whole("W2ToHeldOut", name, getattr(self, name), least=least)

    def certify(self, problem, outcome, key, delta):
        answer, unit = outcome.answer, problem.unit
        rows = problem.held_out / unit
        k_pilot, k_fresh, k_subset = jax.random.split(key, 3)
        units = "" if (unit == 1).all() else ", in units of each column's standard deviation"
        kind = "asymptotic" if self.within is None else "confidence"

        def claim(lower: float, upper: float, **fields: Any) -> Certificate:
            return Certificate(
                "W2",
                f"{who(answer)} to the {len(rows)} held-out rows of {problem.name}{units}",
                lower,
                upper,
                kind,
                name_of(type(self)),
                sense="min",
                range=(0.0, math.inf),
                level=1 - delta,
                dtype=dtype_of(answer),
                hypotheses=independent(answer) + ranged,
                source=SOURCE,
                **fields,
            )

        pilot, fresh, size = self._points(answer, len(rows), k_pilot, k_fresh)
        ranged = () if self.within is None else (inside(answer, self.within, pilot, fresh),)
        if size == 0:
            reason = f"{len(fresh) + len(pilot)} draws are too few for matchings"
            return claim(-math.inf, math.inf, verdict="refused", reason=reason)
        if any(h.state == "violated" for h in ranged):
            return claim(-math.inf, math.inf)
        pilot, fresh = pilot / unit, fresh / unit
        rng = generator(k_subset)
        g = potentials(pilot, rows, size, rng)
        values = semidual(fresh, rows, g)
        count, replace = min(self.blocks, len(fresh) // size), self.within is not None
        costs = matching_costs(fresh, rows, size, count, rng, replace=replace)
        shift, proof = float(g.mean()), {"costs": costs, "delta": delta}
        within, reason, floor, upper_squared = self.within, "", -math.inf, math.inf
        if within is None:
            least, most = student_t(values, delta), student_t(costs, delta)
            reason = f"{unbounded('squared distances')}; with within=(least, largest) there is one"
            floor, upper_squared = float(least.lower), float(most.upper)
            if fault := most.refused or least.refused:
                within, kind, reason = EVERYWHERE, "confidence", f"above nothing is said: {fault}"
        if within is not None:
            # a row drawn with replacement is one more variable that moves the mean
            movers = size * count if size == len(rows) else size * count // 2
            reach = farthest(rows, *(np.asarray(end) / unit for end in within))
            lo, hi = -float(g.max()), float(semidual(pilot, rows, g).max())
            hi = max(hi, lo + 1e-9 * (1 + abs(lo)))
            values = np.clip(values, lo, hi)
            floor = float(betting(values, delta, lo=lo, hi=hi).lower)
            if math.isfinite(reach):
                mean = min(float(costs.mean()), reach)
                found = hoeffding_from_mean(mean, movers, delta, lo=0.0, hi=reach)
                upper_squared = float(found.upper)
            else:
                upper_squared, reason = math.inf, reason or "no range of the draws is known"
            proof |= {"reach": reach, "movers": movers, "value_range": np.array([lo, hi])}
        lower, upper = ends(floor + shift, upper_squared)
        low, high = ends(float(values.mean()) + shift, float(costs.mean()))
        return claim(
            lower,
            upper,
            budget={"sampling": upper - high + low - lower, "coupling": high - low},
            proof=proof | {"values": values, "mean_potential": shift},
            reason=reason,
        )

    def _points(
        self, answer: Any, rows: int, k_pilot: Any, k_fresh: Any
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Pilot draws, fresh draws, and the size of a block (0: too few)."""
        size = min(self.block, rows)
        if not isinstance(answer, Draws):
            fresh = draws(answer, k_fresh, max(self.draws, size * self.blocks))
            return draws(answer, k_pilot, size * self.pilots), fresh, size
        x = draws(answer, k_fresh, len(answer.x))
        cut = max(len(x) // 4, 1)
        size = min(size, (len(x) - cut) // 8, cut)
        if size < 2 and rows > 1:
            return x[:cut], x[cut:], 0
        most = max(self.draws, size * self.blocks)
        return x[: min(cut, size * self.pilots)], x[cut : cut + most], size


def interval(what: str, name: str, value: Any) -> None:
    """Raises unless `value` is (low, high), low < high; infinite ends are taken."""
    ends = np.asarray(value)
    if ends.shape != (2,) or ends.dtype.kind not in "fiu" or not ends[0] < ends[1]:
        raise UsageError(f"`{name}` of {what} is {value!r}", "It is (least, largest).", "(0, 1)")


def inside(answer: Any, within: tuple[float, float], *points: np.ndarray) -> Hypothesis:
    """That draws lie in a range: true of a clipped sampler, assumed of others."""
    lo, hi = within
    text = f"every coordinate of a draw lies in [{lo:g}, {hi:g}]"
    outside = sum(int(((x < lo) | (x > hi)).any(1).sum()) for x in points)
    if outside:
        seen = f"{outside} of {sum(map(len, points))} draws do not"
        return Hypothesis(text, "violated", seen)
    known = EVERYWHERE
    if isinstance(answer, Clipped):
        known = answer.lo, answer.hi
    elif isinstance(answer, Resampler):
        known = float(np.min(answer.rows)), float(np.max(answer.rows))
    if lo <= known[0] and known[1] <= hi:
        return Hypothesis(text, "checked")
    return Hypothesis(text, "assumed", f"{sum(map(len, points))} draws do")


def farthest(rows: np.ndarray, lo: np.ndarray, hi: np.ndarray) -> float:
    """The largest squared distance of a row from a point of the box."""
    return float((np.maximum(np.abs(rows - lo), np.abs(rows - hi)) ** 2).sum(1).max())


def ends(lower_squared: float, upper_squared: float) -> tuple[float, float]:
    """From squared distances to distances; what is below 0 says nothing."""
    return math.sqrt(max(lower_squared, 0.0)), math.sqrt(max(upper_squared, 0.0))


def semidual(x: np.ndarray, rows: np.ndarray, g: np.ndarray) -> np.ndarray:
    """min_j (|x - a_j|^2 - g_j) for each x, [n]."""
    step = max(2**22 // len(rows), 1)  # 32 MB of distances at a time
    parts = [
        (squared_distances(x[at : at + step], rows) - g).min(1) for at in range(0, len(x), step)
    ]
    return np.concatenate(parts)


def matching_costs(
    x: np.ndarray,
    rows: np.ndarray,
    size: int,
    count: int,
    rng: np.random.Generator,
    *,
    replace: bool = False,
) -> np.ndarray:
    """Mean squared distance of the best matching of each block with random rows, [count]."""
    costs = np.empty(count)
    for number in range(count):
        a = x[number * size : (number + 1) * size]
        b = rows
        if size < len(rows):
            b = rows[rng.choice(len(rows), size, replace=replace)]
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
        c = squared_distances(x[at : at + size], rows[which])
        p = matched(x[at : at + size], rows[which])
        best = c[np.arange(size), p]
        step = c - best[:, None]
        g = np.zeros(size)
        for _ in range(size):
            new = np.minimum(g, (step + g[p][:, None]).min(0))
            if (new == g).all():
                break
            g = new
        every = semidual(rows, x[at : at + size], best - g[p])
        found.append(every - every.mean())
    return np.mean(found, 0)
