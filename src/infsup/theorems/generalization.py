"""Learning from samples: bounds that hold with a stated probability."""

import math
from fractions import Fraction

import numpy as np

from infsup.core.figure import Curve, Figure
from infsup.theorems.registry import Compared, Finding, generator, short, theorem

NEVER = 1e-6
"""The chance with which a true statement may fail its check."""


@theorem(
    "C13",
    "PAC-Bayes: the risk of a randomised predictor, for all posteriors at once",
    statement=r"\Pr\!\left[\forall Q:\ \mathrm{kl}\big(\hat R_Q\,\|\,R_Q\big)\le"
    r"\frac{\mathrm{KL}(Q\|P)+\ln(\xi(n)/\delta)}{n}\right]\ge 1-\delta,"
    r"\qquad \xi(n)\le 2\sqrt n",
    hypotheses=(
        "n independent rows, losses in [0, 1]",
        "the prior P is chosen without these rows",
        "ξ(n) = Σₖ C(n,k)(k/n)ᵏ(1 − k/n)ⁿ⁻ᵏ",
    ),
    source="[maurer2004note]",
    kind="confidence",
)
def pac_bayes_kl(size, key, broken=False):
    r"""Ten thousand useless predictors, a posterior fitted to 100 rows, and the misses.

    The posterior is Q(h) proportional to exp(-2 errors(h)): it picks what was lucky on the sample.
    Misses are counted; if the bound is right, their number is at most binomial(T, delta), and the
    lower end of its Clopper-Pearson interval at 1e-6 is above delta with chance at most 1e-6.
    Derivation of xi <= 2 sqrt n (n >= 8): Maurer's lemma; here it is evaluated. Broken: the
    relative entropy of the posterior is left out.
    """
    from infsup.core.intervals import clopper_pearson, pac_bayes_kl, xi

    rng = generator("C13", key)
    n, delta = 100, 0.05
    predictors = 10_000
    repeats = {"quick": 400, "default": 4000, "full": 40_000}[size]
    risks = rng.uniform(0.48, 0.52, predictors)
    uppers, truths, empiricals = [], [], []
    for _ in range(repeats // 100):
        errors = rng.binomial(n, risks, (100, predictors))
        logits = -200.0 * errors / n
        Q = np.exp(logits - logits.max(1, keepdims=True))
        Q /= Q.sum(1, keepdims=True)
        kl = np.sum(Q * np.log(np.maximum(Q * predictors, 1e-300)), 1)
        empirical = np.sum(Q * errors, 1) / n
        uppers.append(
            pac_bayes_kl(empirical, np.zeros(100) if broken else np.maximum(kl, 0), n, delta)
        )
        truths.append(Q @ risks)
        empiricals.append(empirical)
    upper, truth, empirical = (np.concatenate(x) for x in (uppers, truths, empiricals))
    misses = int(np.sum(truth > upper))
    rate = clopper_pearson(misses, repeats, NEVER, side="lower").lower
    compared = (
        Compared(f"rate of misses, {misses} of {repeats}, its lower end", float(rate), "<=", delta),
        Compared("ξ(100)", float(xi(n)), "<=", 2 * math.sqrt(n)),
    )
    shown = np.argsort(truth)[:: max(repeats // 400, 1)]
    at = np.arange(len(shown))
    figure = Figure(
        (
            Curve(at, upper[shown], "bound", "grey", "points"),
            Curve(at, truth[shown], "true risk", "accent"),
            Curve(at, empirical[shown], "risk on the sample", "ink", "points"),
        ),
        "samples, by true risk",
        "risk of the posterior",
        "Fitting makes the sample's risk too small; the bound stays above the truth.",
    )
    note = f"Mean bound {upper.mean():.3f}, mean true risk {truth.mean():.3f}."
    return Finding(compared, figure, note)


@theorem(
    "C20",
    "Clopper-Pearson covers, for every rate and every sample size",
    statement=r"\inf_{p}\ \Pr_{K\sim\mathrm{Bin}(n,p)}\big[p\le U(K)\big]\;=\;1-\delta,\qquad"
    r" \Pr_{U(k)}\big[K\le k\big]=\delta",
    hypotheses=("n independent rows with the same chance p of an error",),
    source="[clopper1934use]",
    kind="proved",
)
def clopper_pearson_covers(size, key, broken=False):
    r"""The chance of a miss at every end that the library returns, in rational arithmetic.

    Derivation: U falls short of p only where K <= k and U(k) < p, so for U(k) < p <= U(k+1) the
    chance of a miss is P_p(K <= k) <= P_{U(k)}(K <= k), a sum of n + 1 rationals once U(k) is a
    float; its supremum over p is the largest of these, and the interval is right iff all are at
    most delta. They equal delta up to the rounding of U. Broken: Wald's interval, k/n + z
    sqrt(k(n-k)/n^3).
    """
    from infsup.core.intervals import clopper_pearson

    n = {"quick": 40, "default": 100, "full": 200}[size]
    delta = 0.05
    k = np.arange(n)
    if broken:
        ends = np.minimum(k / n + 1.6448536269514722 * np.sqrt(k * (n - k) / n**3), 1.0)
    else:
        ends = np.asarray(clopper_pearson(k, np.full(n, n), delta, side="upper").upper)
    chances = [_at_most(int(i), n, Fraction(float(p))) for i, p in zip(k, ends, strict=True)]
    worst = max(range(n), key=lambda i: chances[i])
    compared = (
        Compared(
            f"largest chance of a miss, just above U({worst}), n = {n}",
            short(chances[worst], up=True),
            "<=",
            Fraction(delta),
        ),
        Compared(
            "least of these chances over k",
            short(min(chances), up=False),
            ">=",
            Fraction(delta) * (1 - Fraction(1, 10**9)),
            0,
            "not wider than it must be",
        ),
    )
    p = np.linspace(0.001, 0.999, 800)
    cover = _coverage(p, np.append(ends, 1.0), n)
    figure = Figure(
        (
            Curve(p, np.full(len(p), 1 - delta), "1 − δ", "grey", "dashed"),
            Curve(p, cover, "chance that p ≤ U(K)", "accent"),
        ),
        "p",
        "coverage",
        f"The coverage for n = {n} touches 95 % after each end and never falls below.",
    )
    return Finding(compared, figure)


def _at_most(k: int, n: int, p: Fraction) -> Fraction:
    """The chance that a binomial number is at most k, exactly."""
    a, b = p.numerator, p.denominator
    total = sum(math.comb(n, i) * a**i * (b - a) ** (n - i) for i in range(k + 1))
    return Fraction(total, b**n)


def _coverage(p: np.ndarray, ends: np.ndarray, n: int) -> np.ndarray:
    from scipy.special import bdtr

    # p is missed by all k below the first end that reaches it
    first = np.array([int(np.argmax(ends >= x)) for x in p])
    return np.where(first > 0, 1.0 - bdtr(np.maximum(first - 1, 0), n, p), 1.0)
