"""Coverage of every interval on a hard law, ends against exact arithmetic, and planted bugs.

A conservative interval never misses, so coverage alone cannot see a wrong constant: each interval
is also compared with ball or rational arithmetic, and each check here is run on a wrong interval
that it has to find.
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from scipy import special

from infsup.core import intervals as iv
from infsup.core.errors import EmptyBracket, UsageError

DELTA = 0.1
BRIEF, LONG = 1000, 20000
FALSE_ALARM = 1e-6


@pytest.fixture(autouse=True)
def precision():
    """Ball arithmetic at 200 bits, restored afterwards."""
    before, ctx.prec = ctx.prec, 200
    yield
    ctx.prec = before


# --- the coverage check ---------------------------------------------------------------------------


def most_misses(runs: int, delta: float = DELTA) -> int:
    """Fewest misses whose excess has probability below 1e-6 if the miss rate is `delta`."""
    k = np.arange(runs)
    return int(k[special.bdtrc(k, runs, delta) < FALSE_ALARM][0])


Intervals = Callable[[np.ndarray], iv.Interval]


@dataclass(frozen=True)
class Law:
    """`draw(rng, runs)` makes one row a run; `truth` is what every row's interval should cover."""

    draw: Callable[[np.random.Generator, int], np.ndarray]
    truth: float


def miss_count(interval: Intervals, rows: np.ndarray, truth: float) -> int:
    """Rows whose interval misses; an empty bracket is a miss, a refused interval is not."""
    try:
        return int(np.sum(~np.asarray(interval(rows).covers(truth))))
    except EmptyBracket:
        if len(rows) == 1:
            return 1
        half = len(rows) // 2
        return miss_count(interval, rows[:half], truth) + miss_count(interval, rows[half:], truth)


def flagged(interval: Intervals, law: Law, runs: int = BRIEF, seed: int = 0) -> bool:
    """Whether the coverage check finds `interval` to miss more often than `DELTA`."""
    rows = law.draw(np.random.default_rng(seed), runs)
    return miss_count(interval, rows, law.truth) > most_misses(len(rows))


def test_alarm_is_the_one_of_the_design():
    assert most_misses(1000, 0.1) == 148
    assert most_misses(2000, 0.05) == 149
    assert most_misses(20000, 0.01) == 270


def bernoulli(p: float, n: int) -> Law:
    return Law(lambda rng, runs: (rng.random((runs, n)) < p).astype(float), p)


def counts(p: float, n: int) -> Law:
    return Law(lambda rng, runs: rng.binomial(n, p, runs).astype(float), p)


def normal_log_weights(sigma: float, n: int) -> Law:
    return Law(lambda rng, runs: sigma * rng.standard_normal((runs, n)), sigma**2 / 2)


def lognormal(sigma: float, n: int) -> Law:
    return Law(
        lambda rng, runs: np.exp(sigma * rng.standard_normal((runs, n))), math.exp(sigma**2 / 2)
    )


def rowwise(one: Intervals) -> Intervals:
    """An interval for one row, applied to each."""

    def many(rows: np.ndarray) -> iv.Interval:
        each = [one(row) for row in rows]
        return iv.Interval(np.array([i.lower for i in each]), np.array([i.upper for i in each]))

    return many


def shrunk(interval: Intervals, factor: float = 0.5) -> Intervals:
    """Planted bug: the width times `factor`, about the same middle."""

    def wrong(rows: np.ndarray) -> iv.Interval:
        i = interval(rows)
        middle, radius = (i.lower + i.upper) / 2, factor * i.width / 2
        return iv.Interval(middle - radius, middle + radius)

    return wrong


def radius_interval(centre: Callable, radius: Callable) -> Intervals:
    return lambda rows: iv.Interval(centre(rows) - radius(rows), centre(rows) + radius(rows))


def t_peeking(rows: np.ndarray) -> iv.Interval:
    """Planted bug: the running intersection of the fixed-n Student interval over all n >= 30."""
    lower, upper = np.full(len(rows), -math.inf), np.full(len(rows), math.inf)
    for n in range(30, rows.shape[1] + 1, 15):
        i = iv.student_t(rows[:, :n], DELTA)
        lower, upper = np.maximum(lower, i.lower), np.minimum(upper, i.upper)
    return iv.Interval(lower, upper)


def ends_of(x: np.ndarray, bets_above: np.ndarray, bets_below: np.ndarray) -> iv.Interval:
    """Betting with given bets; an empty bracket becomes a point that covers nothing."""
    log_term, zero = iv._log_inverse(DELTA, 2), np.zeros(len(x))
    lower = iv._last_dead(x, bets_above, log_term, zero)
    upper = 1 - iv._last_dead(1 - x, bets_below, log_term, zero)
    empty = lower > upper
    return iv.Interval(np.where(empty, math.inf, lower), np.where(empty, math.inf, upper))


def sequence_at_the_last_look(rows: np.ndarray) -> iv.Interval:
    """All rows at once; the last interval is the intersection of the intervals at every time."""
    bets = iv._bets(rows, iv._log_inverse(DELTA, 2), fixed=False)
    return ends_of(rows, bets, bets)


def hindsight_betting(rows: np.ndarray) -> iv.Interval:
    """Planted bug: each bet has seen the value that it is placed on."""
    bets = iv._bets(rows, iv._log_inverse(DELTA, 2), fixed=True)
    return ends_of(rows, bets * (rows > 0.5), bets * (rows < 0.5))


def sorted_betting(rows: np.ndarray) -> iv.Interval:
    """Planted bug: the values are not in the order drawn."""
    rows = np.sort(rows, -1)
    bets = iv._bets(rows, iv._log_inverse(DELTA, 2), fixed=True)
    return ends_of(rows, bets, bets)


def moments_bernstein(k: np.ndarray) -> iv.Interval:
    n = 10**6
    variance = k * (n - k) / n / (n - 1)
    return iv.empirical_bernstein_from_moments(k / n, variance, n, DELTA, mean_error=2.0**-53)


def pairs(n: int) -> Law:
    def draw(rng: np.random.Generator, runs: int) -> np.ndarray:
        common = rng.random((runs, n))
        return np.stack([common < 0.6, common + 0.1 * rng.random((runs, n)) < 0.5], 1).astype(float)

    # P(c + u/10 < 1/2) = 0.45 for uniform c, u.
    return Law(draw, 0.15)


def paired(rows: np.ndarray) -> iv.Interval:
    return iv.paired_difference(rows[:, 0], rows[:, 1], DELTA)


def paired_not_scaled_back(rows: np.ndarray) -> iv.Interval:
    return iv.betting((rows[:, 0] - rows[:, 1] + 1) / 2, DELTA)


def dkw_statistic(n: int) -> Law:
    """A row is the distance of F_n from F, minus it: covered if the half-width reaches it."""

    def draw(rng: np.random.Generator, runs: int) -> np.ndarray:
        u = np.sort(rng.random((runs, n)), 1)
        i = np.arange(1, n + 1)
        return np.maximum((i / n - u).max(1), (u - (i - 1) / n).max(1))

    return Law(draw, 0.0)


def dkw_check(half: float) -> Intervals:
    return lambda distance: iv.Interval(distance - half, distance + half)


RULES, ROWS = 200, 60


def selected_rule() -> Law:
    """Many rules of risk 1/2; a row holds the number of errors of the best rule on the sample."""
    return Law(lambda rng, runs: rng.binomial(ROWS, 0.5, (runs, RULES)).min(1), 0.5)


def pac_bayes(errors: np.ndarray) -> iv.Interval:
    """The posterior is the point mass on the best rule: its kl from the uniform prior is ln N."""
    upper = iv.pac_bayes_kl(errors / ROWS, math.log(RULES), ROWS, DELTA)
    return iv.Interval(np.zeros(len(errors)), upper)


def pac_bayes_without_kl(errors: np.ndarray) -> iv.Interval:
    return iv.Interval(np.zeros(len(errors)), iv.pac_bayes_kl(errors / ROWS, 0.0, ROWS, DELTA))


def log_mean_exp(row: np.ndarray) -> iv.Interval:
    return iv.log_mean_exp(row, DELTA)


def log_mean_exp_unguarded(row: np.ndarray) -> iv.Interval:
    return iv.log_mean_exp(row, DELTA, min_ess=0.0, max_weight=1.0)


def unguarded_t(rows: np.ndarray) -> iv.Interval:
    """Planted bug: the delta-method interval without guard or reserve."""
    weights = np.exp(rows)
    n = rows.shape[1]
    r = -special.stdtrit(n - 1, DELTA / 2) * weights.std(1, ddof=1) / weights.mean(1) / n**0.5
    return iv.Interval(np.log(weights.mean(1)) - r, np.log(weights.mean(1)) + r)


def capped(row: np.ndarray) -> iv.Interval:
    with np.errstate(divide="ignore"):
        return iv.log_mean_exp(np.log(row), DELTA, log_cap=0.0)


def capped_by_the_largest_seen(row: np.ndarray) -> iv.Interval:
    """Planted bug: a range read off the data is not a-priori."""
    with np.errstate(divide="ignore"):
        logs = np.log(row)
    return iv.log_mean_exp(logs, DELTA, log_cap=float(logs.max()))


def rare_top(n: int) -> Law:
    def draw(rng: np.random.Generator, runs: int) -> np.ndarray:
        runs = min(runs, 300)  # one Python call a row
        return np.where(rng.random((runs, n)) < 0.2 / n, 1.0, 1e-4 * rng.random((runs, n)))

    return Law(draw, math.log(0.2 / n + (1 - 0.2 / n) * 0.5e-4))


def clopper(n: int, side: iv.Side = "two", delta: float = DELTA) -> Intervals:
    return lambda k: iv.clopper_pearson(k, n, delta, side=side)


def clopper_without_union(k: np.ndarray) -> iv.Interval:
    """Planted bug: all of delta on each side."""
    lower = iv.clopper_pearson(k, 60, DELTA, side="lower").lower
    return iv.Interval(lower, iv.clopper_pearson(k, 60, DELTA, side="upper").upper)


def kl_from_counts(n: int, delta: float = DELTA) -> Intervals:
    return lambda k: iv.kl_chernoff_from_mean(k / n, n, delta, mean_error=2.0**-53)


def end_of_none(alpha: float) -> float:
    """Just above the end for 0 of 20: missed exactly when nothing happens, so with `alpha`."""
    return -math.expm1(math.log(alpha) / 20) * (1 + 1e-9)


# name: (interval, its hard law, planted bug, law that shows the bug, runs that show it)
CASES: dict[str, tuple[Intervals, Law, Intervals, Law, int]] = {
    "hoeffding": (
        lambda x: iv.hoeffding(x, DELTA),
        bernoulli(0.5, 100),
        shrunk(lambda x: iv.hoeffding(x, DELTA)),
        bernoulli(0.5, 100),
        BRIEF,
    ),
    "empirical_bernstein": (
        moments_bernstein,
        counts(0.5, 10**6),
        shrunk(moments_bernstein, 0.4),
        counts(0.5, 10**6),
        BRIEF,
    ),
    "kl_chernoff at an end": (
        kl_from_counts(20),
        counts(end_of_none(DELTA / 2), 20),
        kl_from_counts(20, 2 * math.sqrt(DELTA / 2)),
        counts(end_of_none(math.sqrt(DELTA / 2)), 20),
        BRIEF,
    ),
    "kl_chernoff union bound": (
        kl_from_counts(4),
        counts(0.5, 4),
        kl_from_counts(4, 2 * DELTA),
        counts(0.5, 4),
        LONG,
    ),
    "clopper_pearson": (clopper(60), counts(0.3, 60), clopper_without_union, counts(0.3, 60), LONG),
    "clopper_pearson at an end": (
        clopper(20),
        counts(end_of_none(DELTA / 2), 20),
        clopper(20, delta=4 * DELTA),
        counts(end_of_none(2 * DELTA), 20),
        BRIEF,
    ),
    "clopper_pearson one side": (
        clopper(20, "upper"),
        counts(end_of_none(DELTA), 20),
        clopper(20, "upper", 2 * DELTA),
        counts(end_of_none(2 * DELTA), 20),
        BRIEF,
    ),
    "betting": (
        lambda x: iv.betting(x, DELTA),
        bernoulli(0.3, 200),
        hindsight_betting,
        bernoulli(0.3, 200),
        BRIEF,
    ),
    "betting on sorted values": (
        lambda x: iv.betting(x, DELTA),
        bernoulli(0.5, 200),
        sorted_betting,
        bernoulli(0.5, 200),
        BRIEF,
    ),
    "betting_sequence under peeking": (
        sequence_at_the_last_look,
        bernoulli(0.3, 300),
        t_peeking,
        bernoulli(0.3, 300),
        BRIEF,
    ),
    "paired_difference": (paired, pairs(100), paired_not_scaled_back, pairs(100), BRIEF),
    "student_t": (
        lambda x: iv.student_t(x, DELTA),
        Law(lambda rng, runs: rng.standard_normal((runs, 5)), 0.0),
        radius_interval(
            lambda x: x.mean(1),
            lambda x: -special.ndtri(DELTA / 2) * x.std(1, ddof=1) / x.shape[1] ** 0.5,
        ),
        Law(lambda rng, runs: rng.standard_normal((runs, 5)), 0.0),
        BRIEF,
    ),
    "dkw": (
        dkw_check(iv.dkw(300, DELTA)),
        dkw_statistic(300),
        dkw_check(iv.dkw(300, 2 * DELTA)),
        dkw_statistic(300),
        BRIEF,
    ),
    "dkw_mean": (
        lambda x: iv.dkw_mean(x, DELTA),
        bernoulli(0.5, 100),
        shrunk(lambda x: iv.dkw_mean(x, DELTA)),
        bernoulli(0.5, 100),
        BRIEF,
    ),
    "log_mean_exp": (
        rowwise(log_mean_exp),
        normal_log_weights(0.85, 300),
        unguarded_t,
        normal_log_weights(2.0, 300),
        BRIEF,
    ),
    "log_mean_exp guard": (
        rowwise(log_mean_exp),
        normal_log_weights(1.2, 1000),
        rowwise(log_mean_exp_unguarded),
        normal_log_weights(2.5, 300),
        BRIEF,
    ),
    "log_mean_exp capped": (
        rowwise(capped),
        rare_top(100),
        rowwise(capped_by_the_largest_seen),
        rare_top(100),
        BRIEF,
    ),
    "pac_bayes_kl": (pac_bayes, selected_rule(), pac_bayes_without_kl, selected_rule(), BRIEF),
}


@pytest.mark.parametrize("name", CASES)
def test_coverage_holds_and_finds_the_planted_bug(name: str):
    interval, law, bug, law_of_bug, runs = CASES[name]
    assert not flagged(interval, law)
    assert flagged(bug, law_of_bug, runs)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_coverage_long(name: str):
    interval, law, bug, law_of_bug, _ = CASES[name]
    seed = int(np.random.SeedSequence().generate_state(1)[0])
    runs = 5000 if "log_mean" in name or "sequence" in name else LONG
    assert not flagged(interval, law, runs, seed), seed
    assert flagged(bug, law_of_bug, runs, seed), seed


def test_student_t_is_found_out_on_lognormal_values():
    """Why its kind is only `asymptotic`: the check flags the interval itself."""
    assert flagged(lambda x: iv.student_t(x, DELTA), lognormal(2.0, 30))


def test_effective_sample_size_guard_selects_lucky_runs():
    """P(accepted and miss) is small where nearly every accepted run misses."""
    law = normal_log_weights(2.0, 1000)
    rows = law.draw(np.random.default_rng(1), BRIEF)

    def loosely_guarded(row: np.ndarray) -> iv.Interval:
        return iv.log_mean_exp(row, DELTA, min_ess=0.1, max_weight=1.0)

    accepted = rows[np.asarray(iv.effective_sample_size(rows)) >= 100]
    assert 20 <= len(accepted) <= 80
    among_accepted = miss_count(rowwise(log_mean_exp_unguarded), accepted, law.truth)
    assert among_accepted > most_misses(len(accepted))
    assert not flagged(rowwise(loosely_guarded), law, seed=1)


def test_no_guard_knows_of_weights_that_it_has_not_seen():
    """The stated limit of `log_mean_exp`: a rare large weight is missed whatever the guard."""
    rare = Law(
        lambda rng, runs: (
            np.where(rng.random((runs, 300)) < 1 / 300, 9.0, 0.01) * rng.random((runs, 300))
        ),
        math.log((1 - 1 / 300) * math.expm1(0.01) / 0.01 + math.expm1(9.0) / 9 / 300),
    )
    assert flagged(rowwise(log_mean_exp), rare)


def worst_exact_miss(ends: iv.Interval, n: int, p: np.ndarray) -> float:
    """Largest probability, over `p`, that the interval of Bin(n, p) successes misses p."""
    k, p = np.arange(n + 1), p[:, None]
    log_mass = -special.betaln(k + 1, n - k + 1) - math.log(n + 1)
    log_mass = log_mass + special.xlogy(k, p) + special.xlog1py(n - k, -p)
    return float((np.exp(log_mass) * ~np.asarray(ends.covers(p))).sum(1).max())


@pytest.mark.parametrize("n", [1, 2, 5, 20, 100])
def test_binomial_coverage_exactly(n: int):
    k = np.arange(n + 1)
    exact, kl = iv.clopper_pearson(k, n, DELTA), kl_from_counts(n)(k)
    edges = np.concatenate([exact.lower, exact.upper, kl.lower, kl.upper])
    p = np.concatenate([edges * (1 - 1e-9), edges * (1 + 1e-9), np.linspace(0, 1, 400)])
    p = np.clip(p, 0.0, 1.0)
    assert worst_exact_miss(exact, n, p) <= DELTA
    assert worst_exact_miss(kl, n, p) <= DELTA
    assert worst_exact_miss(iv.clopper_pearson(k, n, DELTA, side="upper"), n, p) <= DELTA
    assert worst_exact_miss(iv.clopper_pearson(k, n, 2.5 * DELTA), n, p) > DELTA


# --- ends against exact arithmetic ----------------------------------------------------------------


def exact_kl(p: float, q: float) -> arb:
    p, q = arb(p), arb(q)
    first = p * (p / q).log() if p > 0 else arb(0)
    return first + ((1 - p) * ((1 - p) / (1 - q)).log() if p < 1 else 0)


def kl_points(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    near = 10 ** rng.uniform(-15, -1, count // 3)
    p = np.concatenate([rng.random(count - 2 * len(near)), near, 1 - near])
    p[:20], p[20:40] = 0.0, 1.0
    return p, 10 ** rng.uniform(-12, 1.5, count)


def kl_violations(inverse: Callable, edge: float, p: np.ndarray, c: np.ndarray) -> tuple[int, int]:
    """(ends that do not satisfy kl >= c, ends more than 1e-9 relative too far out)."""
    short = loose = 0
    inward = 1 - 1e-9 if edge else 1 + 1e-9
    for p_, c_, q in zip(p.tolist(), c.tolist(), np.asarray(inverse(p, c)).tolist(), strict=True):
        if q == edge:
            continue
        short += not exact_kl(p_, q) >= arb(c_)
        inner = q * inward
        between = p_ < inner if edge else 1e-50 < inner < p_
        loose += between and bool(exact_kl(p_, inner) >= arb(c_))
    return short, loose


def naive_kl_upper(p: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Planted bug: bisection on the plain formula, returning the midpoint."""
    lo, hi = p.copy(), np.ones_like(p)
    for _ in range(100):
        middle = (lo + hi) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            kl = special.xlogy(p, p / middle) + special.xlogy(1 - p, (1 - p) / (1 - middle))
        hi, lo = np.where(kl > c, middle, hi), np.where(kl > c, lo, middle)
    return lo


def test_kl_inverse_satisfies_its_equation():
    p, c = kl_points(3000, 7)
    assert kl_violations(iv.kl_inverse_upper, 1.0, p, c) == (0, 0)
    assert kl_violations(iv.kl_inverse_lower, 0.0, p, c) == (0, 0)
    short, _ = kl_violations(naive_kl_upper, 1.0, p, c)
    assert short > 500


@pytest.mark.slow
def test_kl_inverse_long():
    p, c = kl_points(60000, int(np.random.SeedSequence().generate_state(1)[0]))
    assert kl_violations(iv.kl_inverse_upper, 1.0, p, c) == (0, 0)
    assert kl_violations(iv.kl_inverse_lower, 0.0, p, c) == (0, 0)


def test_kl_inverse_at_extremes():
    ctx.prec = 2500
    tiny = 5e-324
    for p in (0.0, tiny, 1e-310, 1e-300, 0.5, 1 - 2**-53, 1.0):
        for c in (0.0, tiny, 1e-300, 1e-17, 1.0, 356.0, 700.0, 1e5, math.inf):
            up, down = iv.kl_inverse_upper(p, c), iv.kl_inverse_lower(p, c)
            assert 0.0 <= down <= p <= up <= 1.0
            if math.isfinite(c):
                assert up == 1.0 or exact_kl(p, up) >= arb(c)
                assert down == 0.0 or exact_kl(p, down) >= arb(c)
    assert iv.kl_inverse_upper(0.0, 1.0) == pytest.approx(-math.expm1(-1.0), rel=1e-14)
    assert iv.kl_inverse_upper([[0.1], [0.2]], [0.1, 0.2, 0.3]).shape == (2, 3)


def test_binary_kl():
    rng = np.random.default_rng(3)
    p, q = rng.random(300), rng.random(300)
    q[:100] = p[:100] * (1 + 1e-6 * rng.standard_normal(100))
    q = np.clip(q, 1e-3, 1 - 1e-3)
    got = iv.binary_kl(p, q)
    size = np.abs(p - q)
    for p_, q_, g, s in zip(p.tolist(), q.tolist(), got.tolist(), size.tolist(), strict=True):
        assert abs(float(exact_kl(p_, q_)) - g) <= 1e-14 * max(s, g)
    assert iv.binary_kl(0.0, 0.0) == iv.binary_kl(1.0, 1.0) == iv.binary_kl(0.3, 0.3) == 0.0
    assert iv.binary_kl(0.5, 0.0) == iv.binary_kl(0.5, 1.0) == math.inf
    assert iv.binary_kl(0.0, 1.0) == math.inf


def binomial_tail_below(k: int, n: int, p: float) -> arb:
    return 1 - arb(p).beta_lower(arb(k + 1), arb(n - k), regularized=True)


def binomial_tail_above(k: int, n: int, p: float) -> arb:
    return arb(p).beta_lower(arb(k), arb(n - k + 1), regularized=True)


def binomial_points(count: int, largest: float, seed: int) -> list[tuple[int, int, float]]:
    rng = np.random.default_rng(seed)
    points = []
    for i in range(count):
        n = int(10 ** rng.uniform(0, largest))
        few = min(n, int(rng.integers(0, 40)))
        k = (int(rng.integers(0, n + 1)), few, n - few, int(n * rng.random() ** 4))[i % 4]
        points.append((k, n, float(10 ** rng.uniform(-12, -0.31))))
    return points


def binomial_violations(
    ends: Callable[[int, int, float], tuple[float, float]], points: list[tuple[int, int, float]]
) -> tuple[int, int]:
    """(ends whose exact tail exceeds delta/2, ends more than 1e-9 relative too far out)."""
    short = loose = 0
    for k, n, delta in points:
        lower, upper = ends(k, n, delta)
        half = arb(delta) / 2
        assert (lower == 0) == (k == 0)
        if upper < 1:
            short += not binomial_tail_below(k, n, upper) <= half
            inner = upper * (1 - 1e-9)
            loose += inner > k / n and bool(binomial_tail_below(k, n, inner) <= half)
        if lower > 0:
            short += not binomial_tail_above(k, n, lower) <= half
            inner = lower * (1 + 1e-9)
            loose += inner < k / n and bool(binomial_tail_above(k, n, inner) <= half)
    return short, loose


def safe_ends(k: int, n: int, delta: float) -> tuple[float, float]:
    i = iv.clopper_pearson(k, n, delta)
    return i.lower, i.upper


def quantile_ends(k: int, n: int, delta: float) -> tuple[float, float]:
    """Planted bug: the quantiles as they come, without a safe side."""
    lower = special.betaincinv(k, n - k + 1, delta / 2) if k else 0.0
    return lower, special.betaincinv(k + 1, n - k, 1 - delta / 2) if k < n else 1.0


def test_clopper_pearson_against_ball_arithmetic():
    points = binomial_points(800, 3.3, 11) + binomial_points(60, 9.0, 12)
    assert binomial_violations(safe_ends, points) == (0, 0)
    short, _ = binomial_violations(quantile_ends, points[:300])
    assert short > 30


@pytest.mark.slow
def test_clopper_pearson_long():
    points = binomial_points(6000, 9.0, int(np.random.SeedSequence().generate_state(1)[0]))
    assert binomial_violations(safe_ends, points) == (0, 0)


def test_clopper_pearson_closed_forms():
    for n in (1, 2, 20, 10**3, 10**6, 10**9):
        for delta in (0.5, 0.05, 1e-12):
            # log1p form in balls: 1 - (delta/2)^(1/n) and its mirror image.
            end = 1 - ((arb(delta) / 2).log() / n).exp()
            none, all_ = iv.clopper_pearson(0, n, delta), iv.clopper_pearson(n, n, delta)
            assert none.lower == 0.0
            assert all_.upper == 1.0
            assert arb(none.upper) >= end
            assert none.upper == pytest.approx(float(end), rel=1e-9)
            assert arb(all_.lower) <= 1 - end
            assert 1 - all_.lower == pytest.approx(float(end), rel=1e-9, abs=3e-16)


def test_clopper_pearson_survives_a_failing_inverse(monkeypatch: pytest.MonkeyPatch):
    nothing = lambda a, b, y: np.full(np.shape(a), np.nan)  # noqa: E731
    monkeypatch.setattr(special, "betaincinv", nothing)
    monkeypatch.setattr(special, "betainccinv", nothing)
    points = [(0, 1, 0.1), (3, 10, 0.05), (7, 10, 1e-9), (10, 10, 0.1), (999, 1000, 0.01)]
    short, _ = binomial_violations(safe_ends, points)
    assert short == 0
    i = iv.clopper_pearson(3, 10, 0.05)
    wide = iv.kl_chernoff_from_mean(0.3, 10, 0.05)
    assert i.upper == pytest.approx(wide.upper, rel=1e-12)
    assert i.lower == pytest.approx(wide.lower, rel=1e-12)


def test_clopper_pearson_survives_an_inward_inverse(monkeypatch: pytest.MonkeyPatch):
    """An inverse a little too short and no slope to mend it: only the forward check is left."""
    lower, upper = special.betaincinv, special.betainccinv
    monkeypatch.setattr(special, "betaincinv", lambda a, b, y: lower(a, b, y) * (1 + 1e-8))
    monkeypatch.setattr(special, "betainccinv", lambda a, b, y: upper(a, b, y) * (1 - 1e-8))
    monkeypatch.setattr(special, "betaln", lambda a, b: np.full(np.shape(a), np.nan))
    short, _ = binomial_violations(safe_ends, binomial_points(100, 4.0, 13))
    assert short == 0


def outward_and_tight(
    got: iv.Interval, centre: arb, radius: arb, lo: float = 0.0, hi: float = 1.0
) -> bool:
    """The interval contains `centre +- radius`, cut to the range, and exceeds it by <= 1e-9."""
    span = arb(hi) - arb(lo)
    lower, upper = centre - radius, centre + radius
    contains = (got.lower == lo or arb(got.lower) <= lower) and (
        got.upper == hi or arb(got.upper) >= upper
    )
    tight = (got.lower == lo or lower - arb(got.lower) <= 1e-9 * span) and (
        got.upper == hi or arb(got.upper) - upper <= 1e-9 * span
    )
    return bool(contains and tight)


def exact_moments(values: np.ndarray) -> tuple[arb, arb]:
    exact = [Fraction(v) for v in values.tolist()]
    mean = sum(exact) / len(exact)
    spread = sum((v - mean) ** 2 for v in exact) / max(len(exact) - 1, 1)
    ball = [arb(f.numerator) / arb(f.denominator) for f in (mean, spread)]
    return ball[0], ball[1]


def exact_radius(name: str, variance: arb, n: int, delta: float, span: float) -> arb:
    if name == "hoeffding":
        return arb(span) * ((2 / arb(delta)).log() / (2 * n)).sqrt()
    log_term = (4 / arb(delta)).log()
    return (2 * variance * log_term / n).sqrt() + 7 * arb(span) * log_term / (3 * (n - 1))


MOMENT_INTERVALS: dict[str, Callable] = {
    "hoeffding": iv.hoeffding,
    "empirical_bernstein": iv.empirical_bernstein,
}


def moment_violations(name: str, interval: Callable, seed: int) -> int:
    rng = np.random.default_rng(seed)
    wrong = 0
    for i in range(150):
        lo, hi = ((0.0, 1.0), (-3.0, 0.1), (-2e6, 7e6), (5.0, 5.5))[i % 4]
        n = int(10 ** rng.uniform(0.5, 3))
        delta = float(10 ** rng.uniform(-10, -0.1))
        values = np.clip(lo + (hi - lo) * rng.beta(0.5, 2.0, n), lo, hi)
        centre, variance = exact_moments(values)
        radius = exact_radius(name, variance, n, delta, hi - lo)
        wrong += not outward_and_tight(
            interval(values, delta, lo=lo, hi=hi), centre, radius, lo, hi
        )
    return wrong


@pytest.mark.parametrize("name", MOMENT_INTERVALS)
def test_moment_intervals_against_ball_arithmetic(name: str):
    interval = MOMENT_INTERVALS[name]
    assert moment_violations(name, interval, 5) == 0
    # Two wrong constants that coverage cannot see in a conservative interval.
    assert moment_violations(
        name, lambda x, d, lo, hi: interval(x, 2 * d / (1 + d), lo=lo, hi=hi), 5
    )
    slightly = lambda x, d, lo, hi: shrunk(  # noqa: E731
        lambda y: interval(y, d, lo=lo, hi=hi), 1 - 1e-8
    )(x)
    assert moment_violations(name, slightly, 5)


@pytest.mark.parametrize("function", [iv.hoeffding_from_mean, iv.kl_chernoff_from_mean])
def test_mean_of_a_sum_in_the_worst_order(function: Callable):
    """A running sum of 10**6 equal values errs by 10**4 roundings of the radius."""
    n = 10**6
    mean = float(np.cumsum(np.full(n, 0.1))[-1]) / n
    assert abs(mean - 0.1) > 1e-12
    got, exact = function(mean, n, DELTA), function(0.1, n, DELTA, mean_error=2.0**-53)
    assert got.lower <= exact.lower + 1e-15
    assert got.upper >= exact.upper - 1e-15
    assert got.width <= exact.width * (1 + 1e-6)


def test_kl_chernoff_against_ball_arithmetic():
    rng = np.random.default_rng(8)
    for i in range(200):
        lo, hi = ((0.0, 1.0), (-3.0, 0.1), (5.0, 5.5))[i % 3]
        n, delta = int(10 ** rng.uniform(0, 3)), float(10 ** rng.uniform(-10, -0.1))
        values = np.clip(lo + (hi - lo) * rng.beta(0.3, 2.0, n), lo, hi)
        got = iv.kl_chernoff(values, delta, lo=lo, hi=hi)
        mean, _ = exact_moments(values)
        share = (mean - arb(lo)) / (arb(hi) - arb(lo))
        c = (2 / arb(delta)).log() / n

        def kl(end: float, share: arb = share, lo: float = lo, hi: float = hi) -> arb:
            q = (arb(end) - arb(lo)) / (arb(hi) - arb(lo))
            return share * (share / q).log() + (1 - share) * ((1 - share) / (1 - q)).log()

        inner = 1e-9 * (hi - lo)
        for end, sign in ((got.lower, 1), (got.upper, -1)):
            if lo < end < hi:
                assert kl(end) >= c
                inside = end + sign * inner
                if sign * (float(mean) - inside) > 0:
                    assert not kl(inside) >= c


def exact_log_wealth(x: np.ndarray, bets: np.ndarray, m: float) -> arb:
    """Largest over time, for the bet on a larger mean; bets are the floats the module placed."""
    most, total = arb(0), arb(0)
    limit = arb(iv._TRUNCATION) / arb(m) if m > 0 else arb(math.inf)
    for value, bet in zip(x.tolist(), bets.tolist(), strict=True):
        stake = arb(bet) if arb(bet) <= limit else limit
        total += (1 + stake * (arb(value) - arb(m))).log()
        most = total if total > most else most
    return most


def betting_short(lower: float, x: np.ndarray, bets: np.ndarray, delta: float) -> bool:
    """Whether the end is not dead in exact arithmetic, so that the interval is too short."""
    return not exact_log_wealth(x, bets, lower) >= (2 / arb(delta)).log()


@pytest.mark.parametrize("fixed", [True, False])
def test_betting_ends_are_dead_in_exact_arithmetic(fixed: bool):
    rng = np.random.default_rng(6)
    for x in (rng.beta(2, 2, 300), (rng.random(300) < 0.8).astype(float), np.ones(300)):
        for delta in (0.1, 1e-6):
            got = iv.betting(x, delta) if fixed else iv.betting_sequence(x, delta).interval
            bets = iv._bets(x, iv._log_inverse(delta, 2), fixed)
            assert not betting_short(got.lower, x, bets, delta)
            assert betting_short(got.lower + 1e-9, x, bets, delta)
            if got.upper < 1:
                assert not betting_short(1 - got.upper, 1 - x, bets, delta)
                assert betting_short(1 - got.upper + 1e-9, 1 - x, bets, delta)
            # Planted bug: the union bound over the two gamblers left out.
            wrong = (
                iv.betting(x, 2 * delta) if fixed else iv.betting_sequence(x, 2 * delta).interval
            )
            assert betting_short(wrong.lower, x, bets, delta)


@pytest.mark.parametrize("fixed", [True, False])
def test_bets_know_the_past_only(fixed: bool):
    x = np.random.default_rng(1).random(30)
    bets = iv._bets(x, 3.0, fixed)
    for t in range(30):
        other = np.concatenate([x[:t], 1 - x[t:]])
        assert np.array_equal(iv._bets(other, 3.0, fixed)[: t + 1], bets[: t + 1])
        if not fixed:
            assert np.array_equal(iv._bets(x[: t + 1], 3.0, fixed), bets[: t + 1])


def test_betting_against_a_plain_grid():
    """An independent form: products of wealth on a grid, both gamblers, dead for ever."""
    rng = np.random.default_rng(9)
    x = rng.beta(2, 5, 120)
    grid, delta = np.linspace(0.001, 0.999, 999), 0.05
    above, below = np.ones(999), np.ones(999)
    dead = np.zeros(999, dtype=bool)
    total, square = 0.5, 0.25
    variance = 0.25
    for t, value in enumerate(x, start=1):
        bet = math.sqrt(2 * math.log(2 / delta) / (len(x) * variance))
        above *= 1 + np.minimum(bet, 0.5 / grid) * (value - grid)
        below *= 1 - np.minimum(bet, 0.5 / (1 - grid)) * (value - grid)
        dead |= np.maximum(above, below) >= 2 / delta
        total += value
        square += (value - total / (t + 1)) ** 2
        variance = square / (t + 1)
    alive = grid[~dead]
    got = iv.betting(x, delta)
    assert alive[0] - 0.001 <= got.lower <= alive[0]
    assert alive[-1] <= got.upper <= alive[-1] + 0.001


def test_dkw_and_its_mean():
    for n in (1, 20, 10**6):
        for delta in (0.9, 0.05, 1e-12):
            exact = ((2 / arb(delta)).log() / (2 * n)).sqrt()
            assert arb(iv.dkw(n, delta)) >= exact
            assert iv.dkw(n, delta) == pytest.approx(float(exact), rel=1e-12)
    rng = np.random.default_rng(2)
    lo, hi, delta = -2.0, 3.0, 0.05
    for n in (1, 7, 400):
        x = rng.uniform(lo, hi, n)
        half = min(iv.dkw(n, delta), 1.0)
        grid = np.concatenate([[lo], np.sort(x), [hi]])
        cdf = np.arange(n + 1) / n
        step = np.diff(grid)
        # mean = hi - integral of F over the range, for the two edges of the band
        upper = hi - np.sum(np.maximum(cdf - half, 0) * step)
        lower = hi - np.sum(np.minimum(cdf + half, 1) * step)
        got = iv.dkw_mean(x, delta, lo=lo, hi=hi)
        assert got.lower == pytest.approx(lower, abs=1e-11)
        assert got.upper == pytest.approx(upper, abs=1e-11)


def test_student_quantile_against_ball_arithmetic():
    for n in (2, 3, 5, 31, 1000):
        for delta in (0.5, 0.1, 1e-3, 1e-8):
            values = np.concatenate([np.zeros(n - 1), [1.0]])
            i = iv.student_t(values, delta)
            t = i.width / 2 / (values.std(ddof=1) / math.sqrt(n))
            df = n - 1
            tail = (arb(df) / (df + arb(t) ** 2)).beta_lower(
                arb(df) / 2, arb(1) / 2, regularized=True
            )
            assert float(tail) == pytest.approx(delta, rel=1e-9)


def test_xi():
    for n in (1, 2, 3, 5, 8, 20, 60):
        exact = sum(
            Fraction(math.comb(n, k)) * Fraction(k, n) ** k * Fraction(n - k, n) ** (n - k)
            for k in range(n + 1)
        )
        assert Fraction(iv.xi(n)) >= exact
        assert iv.xi(n) == pytest.approx(float(exact), rel=1e-12)
    ctx.prec = 5000
    # e^n n! / n^n P(Poisson(n) <= n), the closed form of the same sum
    n = 1000
    exact = (arb(n) + arb(n + 1).lgamma() - n * arb(n).log()).exp()
    exact *= arb(n).gamma_upper(arb(n + 1), regularized=1)
    assert arb(iv.xi(n)) >= exact
    assert iv.xi(n) == pytest.approx(float(exact), rel=1e-11)
    for n in (10**4, 10**6, 10**9):
        assert iv.xi(n) == pytest.approx(math.sqrt(math.pi * n / 2) + 2 / 3, rel=0.2 / n + 1e-9)
    for n in (8, 100, 10**6, 10**10, 10**10 + 1, 10**15):
        assert math.sqrt(n) <= iv.xi(n) <= 2 * math.sqrt(n) * (1 + 1e-15)


def test_pac_bayes_kl_solves_its_equation():
    for empirical, kl, n, delta in (
        (0.0, 0.0, 1, 0.5),
        (0.02, 40.0, 600, 0.05),
        (0.3, 5, 10**5, 1e-9),
    ):
        got = iv.pac_bayes_kl(empirical, kl, n, delta)
        c = (arb(kl) + (arb(iv.xi(n)) / arb(delta)).log()) / n
        assert exact_kl(empirical, got) >= c
        assert not exact_kl(empirical, got * (1 - 1e-9)) >= c
    assert iv.pac_bayes_kl([0.0, 0.1], [[1.0], [2.0]], 100, 0.1).shape == (2, 2)
    assert iv.pac_bayes_kl(0.1, math.inf, 100, 0.1) == 1.0


# --- edges ----------------------------------------------------------------------------------------

BOUNDED: dict[str, Callable] = {
    "hoeffding": iv.hoeffding,
    "empirical_bernstein": iv.empirical_bernstein,
    "kl_chernoff": iv.kl_chernoff,
    "betting": iv.betting,
    "dkw_mean": iv.dkw_mean,
}


@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("n", [1, 2, 20, 1000])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_constant_values(name: str, n: int, value: float):
    got = BOUNDED[name](np.full(n, value), DELTA)
    assert isinstance(got.lower, float)
    assert 0.0 <= got.lower <= value <= got.upper <= 1.0
    assert (got.lower == 0.0) or value > 0
    assert (got.upper == 1.0) or value < 1
    # The true mean may be a little away from constant values: no interval has zero width.
    assert got.width > 0
    if n == 1000:
        assert got.width < 0.2


@pytest.mark.parametrize("name", BOUNDED)
def test_ranges_shapes_and_dtypes(name: str):
    interval = BOUNDED[name]
    rng = np.random.default_rng(4)
    x = rng.random((3, 4, 50))
    many = interval(x, DELTA)
    assert many.lower.shape == many.upper.shape == (3, 4)
    one = interval(x[1, 2], DELTA)
    assert (one.lower, one.upper) == (many.lower[1, 2], many.upper[1, 2])
    moved = interval(10 * x[1, 2] - 3, DELTA, lo=-3.0, hi=7.0)
    assert moved.lower == pytest.approx(10 * one.lower - 3, abs=1e-8)
    assert moved.upper == pytest.approx(10 * one.upper - 3, abs=1e-8)
    ends = interval(np.tile([-3.0, 7.0], 20), DELTA, lo=-3.0, hi=7.0)
    assert -3.0 <= ends.lower <= 2.0 <= ends.upper <= 7.0
    bits = (x[0, 0] < 0.5).astype(np.int8)
    assert interval(bits, DELTA) == interval(bits.astype(np.float32), DELTA)
    assert interval(bits.astype(bool).tolist(), DELTA) == interval(bits, DELTA)
    assert interval(x[0, 0], 1e-12).width > interval(x[0, 0], 0.5).width


def test_interval_refuses_to_be_empty():
    with pytest.raises(EmptyBracket, match=r"1 of 3"):
        iv.Interval(np.array([0.0, 2.0, 0.0]), np.ones(3))
    with pytest.raises(EmptyBracket):
        iv.Interval(math.nan, 1.0)
    with pytest.raises(EmptyBracket):
        iv.betting(np.repeat([0.0, 1.0], 1000), DELTA)
    assert iv.Interval(-math.inf, math.inf, "why").covers(3.0)


def test_refusals_carry_no_number():
    rng = np.random.default_rng(0)
    cases = {
        "one value": iv.student_t([1.0], DELTA),
        "no spread": iv.student_t(np.ones(10), DELTA),
        "ESS": iv.log_mean_exp(3 * rng.standard_normal(1000), DELTA),
        "largest weight": iv.log_mean_exp(np.zeros(19), DELTA),
        "zero": iv.log_mean_exp(np.full(50, -math.inf), DELTA),
        "one weight": iv.log_mean_exp([0.0], DELTA, max_weight=1.0),
    }
    for word, got in cases.items():
        assert word in got.refused
        assert (got.lower, got.upper) == (-math.inf, math.inf)
    mixed = iv.student_t(np.stack([np.ones(5), np.arange(5.0)]), DELTA)
    assert not mixed.refused
    assert mixed.width[0] == math.inf
    assert math.isfinite(mixed.width[1])


def test_log_weights():
    rng = np.random.default_rng(1)
    logs = 0.3 * rng.standard_normal(500)
    w = np.exp(logs)
    assert iv.effective_sample_size(logs) == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert iv.largest_weight(logs) == pytest.approx(w.max() / w.sum())
    assert iv.effective_sample_size(logs + 1e6) == pytest.approx(
        iv.effective_sample_size(logs), rel=1e-8
    )
    assert iv.effective_sample_size(np.zeros((2, 7))).tolist() == pytest.approx([7.0, 7.0])
    assert iv.effective_sample_size([0.0, -math.inf]) == 1.0
    assert iv.effective_sample_size([-math.inf]) == iv.largest_weight([-math.inf]) == 0.0
    here, there = iv.log_mean_exp(logs, DELTA), iv.log_mean_exp(logs - 700, DELTA)
    assert here.covers(math.log(w.mean()))
    assert there.lower == pytest.approx(here.lower - 700, rel=1e-12)
    cap = iv.log_mean_exp(logs, DELTA, log_cap=2.0)
    direct = iv.betting(np.exp(logs - 2.0), DELTA)
    assert cap.lower == pytest.approx(math.log(direct.lower) + 2.0)
    assert cap.upper == pytest.approx(math.log(direct.upper) + 2.0)
    assert iv.log_mean_exp(np.full(9, -math.inf), DELTA, log_cap=0.0).lower == -math.inf


def test_paired_difference_profits_from_pairing():
    rng = np.random.default_rng(2)
    a = (rng.random(2000) < 0.5).astype(float)
    b = np.where(rng.random(2000) < 0.02, 1 - a, a)
    got = iv.paired_difference(a, b, 0.05)
    assert got.covers(0.0)
    assert got.width < 0.5 * (2 * iv.betting(a, 0.025).width)
    assert iv.paired_difference(a, a, 0.05).covers(0.0)
    wide = iv.paired_difference(10 * a, 10 * b, 0.05, lo=0.0, hi=10.0)
    assert wide.lower == pytest.approx(10 * got.lower, abs=1e-9)


# --- confidence sequence --------------------------------------------------------------------------


def test_sequence_continues_in_any_chunks():
    x = np.random.default_rng(3).beta(2, 6, 700)
    once = iv.betting_sequence(x, 0.05)
    parts, before = iv.betting_sequence([], 0.05), iv.Interval(0.0, 1.0)
    assert parts.interval == before
    for chunk in np.split(x, [1, 2, 50, 51, 300, 300]):
        parts = parts.extend(chunk)
        now = parts.interval
        assert before.lower <= now.lower <= now.upper <= before.upper
        before = now
    assert parts.n == once.n == 700
    assert now.lower == pytest.approx(once.interval.lower, abs=1e-11)
    assert now.upper == pytest.approx(once.interval.upper, abs=1e-11)
    saved = iv.BettingSequence(
        0.05, 0.0, 1.0, parts.unit_values.copy(), parts.dead_below, parts.dead_above
    )
    assert saved.extend(x[:100]).interval == parts.extend(x[:100]).interval


def test_sequence_never_forgets():
    """A candidate dies on the early values and stays dead though later ones would revive it."""
    x = np.concatenate([np.ones(40), np.full(200, 0.5)])
    start = iv.betting_sequence(x[:40], DELTA)
    later = start.extend(x[40:])
    assert start.interval.lower > 0.7
    with pytest.raises(EmptyBracket):
        _ = later.extend(np.full(2000, 0.5)).interval


def test_betting_is_fast():
    x = np.random.default_rng(0).random(10_000)
    iv.betting(x[:10], DELTA)
    start = time.perf_counter()
    iv.betting(x, DELTA)
    iv.betting_sequence(x, DELTA)
    assert time.perf_counter() - start < 1.0


unit = st.floats(0.0, 1.0, allow_subnormal=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(unit, min_size=1, max_size=40), unit, unit, st.booleans())
def test_wealth_decreases_in_the_candidate(values: list[float], a: float, b: float, fixed: bool):
    x = np.array(values)
    log_term = iv._log_inverse(0.05, 2)
    bets = iv._bets(x, log_term, fixed)
    low, high = min(a, b), max(a, b)
    rounding = iv._death(bets, log_term) - log_term
    wealth = [float(iv._peak_log_wealth(x, bets, np.asarray(m))) for m in (low, high)]
    assert wealth[0] >= wealth[1] - rounding


@settings(max_examples=60, deadline=None)
@given(st.lists(unit, min_size=1, max_size=40), st.floats(0.001, 0.9))
def test_betting_mirrors(values: list[float], delta: float):
    x = np.array(values)
    try:
        there, back = iv.betting(x, delta), iv.betting(1 - x, delta)
    except EmptyBracket:
        return
    assert there.lower == pytest.approx(1 - back.upper, abs=1e-9)
    assert there.upper == pytest.approx(1 - back.lower, abs=1e-9)


# --- bad inputs -----------------------------------------------------------------------------------

X = [0.2, 0.7]
WITH_DELTA: dict[str, Callable[[float], object]] = {
    **{name: (lambda d, f=f: f(X, d)) for name, f in BOUNDED.items()},
    "hoeffding_from_mean": lambda d: iv.hoeffding_from_mean(0.5, 9, d),
    "kl_chernoff_from_mean": lambda d: iv.kl_chernoff_from_mean(0.5, 9, d),
    "empirical_bernstein_from_moments": lambda d: iv.empirical_bernstein_from_moments(0.5, 0, 9, d),
    "betting_sequence": lambda d: iv.betting_sequence(X, d),
    "paired_difference": lambda d: iv.paired_difference(X, X, d),
    "student_t": lambda d: iv.student_t(X, d),
    "log_mean_exp": lambda d: iv.log_mean_exp(X, d),
    "clopper_pearson": lambda d: iv.clopper_pearson(1, 2, d),
    "dkw": lambda d: iv.dkw(9, d),
    "pac_bayes_kl": lambda d: iv.pac_bayes_kl(0.1, 1.0, 9, d),
}


@pytest.mark.parametrize("name", WITH_DELTA)
@pytest.mark.parametrize(
    "delta", [0.0, 1.0, -0.1, 95, math.nan, math.inf, "0.05", [0.1, 0.1], None]
)
def test_bad_delta(name: str, delta: float):
    # The hook of the test suite checks types before the function can; users have no hook.
    with pytest.raises((UsageError, TypeCheckError), match="delta") as caught:
        WITH_DELTA[name](delta)
    if isinstance(delta, float | int):
        assert caught.type is UsageError
        assert "Try  delta=0.05" in str(caught.value)


BAD: dict[str, tuple[Callable[[], object], str]] = {
    **{
        f"{name} {label}": ((lambda f=f, v=v: f(v, DELTA)), "values")
        for name, f in {**BOUNDED, "sequence": iv.betting_sequence}.items()
        for label, v in {
            "nan": [0.1, math.nan],
            "above": [0.1, 1.0000001],
            "below": [-1e-9, 0.5],
            "infinite": [0.5, math.inf],
            "text": ["a"],
            "complex": [1j],
            "scalar": 0.5,
        }.items()
    },
    **{f"{name} empty": ((lambda f=f: f([], DELTA)), "values") for name, f in BOUNDED.items()},
    **{
        f"{name} {label}": ((lambda f=f, r=r: f(X, DELTA, lo=r[0], hi=r[1])), r[2])
        for name, f in {**BOUNDED, "sequence": iv.betting_sequence}.items()
        for label, r in {
            "reversed": (1.0, 0.0, "lo"),
            "flat": (0.5, 0.5, "lo"),
            "infinite": (0.0, math.inf, "hi"),
            "nan": (math.nan, 1.0, "lo"),
        }.items()
    },
    "sequence 2-d": (lambda: iv.betting_sequence([[0.1]], DELTA), "values"),
    "extend": (lambda: iv.betting_sequence(X, DELTA).extend([2.0]), "values"),
    "mean above": (lambda: iv.hoeffding_from_mean(1.1, 9, DELTA), "mean"),
    "mean nan": (lambda: iv.kl_chernoff_from_mean(math.nan, 9, DELTA), "mean"),
    "mean_error": (lambda: iv.hoeffding_from_mean(0.1, 9, DELTA, mean_error=-1.0), "mean_error"),
    "n zero": (lambda: iv.hoeffding_from_mean(0.1, 0, DELTA), "n"),
    "n negative": (lambda: iv.kl_chernoff_from_mean(0.1, -3, DELTA), "n"),
    "n fraction": (lambda: iv.empirical_bernstein_from_moments(0.1, 0.1, 2.5, DELTA), "n"),
    "n array": (lambda: iv.dkw([3, 4], DELTA), "n"),
    "n dkw": (lambda: iv.dkw(0, DELTA), "n"),
    "n xi": (lambda: iv.xi(0), "n"),
    "n nan": (lambda: iv.xi(math.nan), "n"),
    "n pac": (lambda: iv.pac_bayes_kl(0.1, 1.0, 0, DELTA), "n"),
    "variance": (lambda: iv.empirical_bernstein_from_moments(0.1, 0.6, 9, DELTA), "variance"),
    "variance negative": (
        lambda: iv.empirical_bernstein_from_moments(0.1, -0.1, 9, DELTA),
        "variance",
    ),
    "k above n": (lambda: iv.clopper_pearson(3, 2, DELTA), "k"),
    "k negative": (lambda: iv.clopper_pearson(-1, 2, DELTA), "k"),
    "k fraction": (lambda: iv.clopper_pearson(0.5, 2, DELTA), "k"),
    "k nan": (lambda: iv.clopper_pearson(math.nan, 2, DELTA), "k"),
    "k shape": (lambda: iv.clopper_pearson([1, 2], [3, 3, 3], DELTA), "k"),
    "p_hat shape": (lambda: iv.kl_inverse_upper([0.1, 0.2], [1.0] * 3), "p_hat"),
    "p shape": (lambda: iv.binary_kl([0.1, 0.2], [0.3] * 3), "p"),
    "empirical shape": (lambda: iv.pac_bayes_kl([0.1] * 2, [0.3] * 3, 9, DELTA), "empirical"),
    "n of k": (lambda: iv.clopper_pearson(0, 0, DELTA), "n"),
    "side": (lambda: iv.clopper_pearson(1, 2, DELTA, side="both"), "side"),
    "p_hat": (lambda: iv.kl_inverse_upper(1.5, 0.1), "p_hat"),
    "p_hat nan": (lambda: iv.kl_inverse_lower(math.nan, 0.1), "p_hat"),
    "c": (lambda: iv.kl_inverse_upper(0.5, -0.1), "c"),
    "c nan": (lambda: iv.kl_inverse_lower(0.5, math.nan), "c"),
    "p": (lambda: iv.binary_kl(-0.1, 0.5), "p"),
    "q": (lambda: iv.binary_kl(0.1, 1.5), "q"),
    "t nan": (lambda: iv.student_t([math.nan], DELTA), "values"),
    "t infinite": (lambda: iv.student_t([0.0, math.inf], DELTA), "values"),
    "log_weights nan": (lambda: iv.log_mean_exp([math.nan], DELTA), "log_weights"),
    "log_weights infinite": (lambda: iv.effective_sample_size([math.inf]), "log_weights"),
    "log_weights empty": (lambda: iv.largest_weight([]), "log_weights"),
    "log_weights 2-d": (lambda: iv.log_mean_exp([[0.0]], DELTA), "log_weights"),
    "log_weights above cap": (lambda: iv.log_mean_exp([0.1], DELTA, log_cap=0.0), "log_weights"),
    "log_cap": (lambda: iv.log_mean_exp([0.1], DELTA, log_cap=math.inf), "log_cap"),
    "min_ess": (lambda: iv.log_mean_exp([0.1], DELTA, min_ess=2.0), "min_ess"),
    "max_weight": (lambda: iv.log_mean_exp([0.1], DELTA, max_weight=0.0), "max_weight"),
    "a": (lambda: iv.paired_difference([2.0], [0.0], DELTA), "a"),
    "b": (lambda: iv.paired_difference([0.0], [-2.0], DELTA), "b"),
    "b shape": (lambda: iv.paired_difference([0.0, 0.1], [0.1], DELTA), "b"),
    "empirical": (lambda: iv.pac_bayes_kl(1.1, 1.0, 9, DELTA), "empirical"),
    "kl": (lambda: iv.pac_bayes_kl(0.1, -1.0, 9, DELTA), "kl"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_named(name: str):
    call, argument = BAD[name]
    with pytest.raises((UsageError, TypeCheckError), match=f"[`']{argument}[`']") as caught:
        call()
    if caught.type is TypeCheckError:
        assert name in ("side", "n array")
        return
    assert len(str(caught.value)) < 400
    assert "Try" in str(caught.value)


def test_imports_neither_jax_nor_scipy_stats():
    code = (
        "import sys, infsup.core.intervals\n"
        "print(sorted({'jax', 'scipy.stats', 'scipy.optimize'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
