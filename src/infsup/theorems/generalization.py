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
        "ξ(n) = Σₖ C(n,k)(k/n)ᵏ(1 − k/n)ⁿ⁻ᵏ; its bound 2√n is proved there for n ≥ 8",
    ),
    source="[maurer2004note]",
    kind="confidence",
)
def pac_bayes_kl(size, key, broken=False):
    r"""Lottery tickets, whose chance of a miss is known; and a posterior fitted to 100 rows.

    Derivation: E exp(n kl(mean || p)) over n coins is at most xi(n), whatever p is; average over P,
    take Markov's inequality, change the measure to Q at the cost of KL(Q||P), and use that kl is
    convex. xi(n) is summed here in rationals.

    Tickets: M predictors, each right on a row with chance p, never two of them. Q takes the one
    that was right on all n rows, if there is one: this has the chance M p^n, exactly. Its bound is
    missed iff 1 - p is above the library's upper end U of no errors and KL = ln M. So the chance of
    a miss is M (1 - U)^n as p tends to 1 - U <= 1/M: it must not exceed delta, and for n = 1 it is
    delta/2, so that a fifth off the exponent shows. Beside it, 10,000 useless predictors
    and Q(h) proportional to exp(-2 errors(h)); the lower end of the Clopper-Pearson interval of the
    rate of misses at 1e-6 is above delta with chance at most 1e-6 if the bound is right. Broken:
    the relative entropy counts half.
    """
    from infsup.core.intervals import clopper_pearson, pac_bayes_kl, xi

    rng = generator("C13", key)
    share = 0.5 if broken else 1.0
    compared = []
    for n, M, delta in ((1, 10**6, 0.05), (1, 100, 0.001), (2, 40, 0.05)):
        U = Fraction(float(pac_bayes_kl(0.0, share * math.log(M), n, delta)))
        # tickets that never win together win at most once in M
        chance = M * min(1 - U, Fraction(1, M)) ** n
        compared.append(
            Compared(f"{M} tickets, n = {n}: chance of a miss", short(chance, up=True), "<=", delta)
        )
        if n == 1:
            compared.append(
                Compared(
                    f"{M} tickets: over δ/2", float(chance / Fraction(delta) * 2), "==", 1.0, 1e-6
                )
            )
    for n in (1, 8, 9, 100, 1000):
        terms = (math.comb(n, k) * k**k * (n - k) ** (n - k) for k in range(n + 1))
        exact = Fraction(sum(terms), n**n)
        compared += [
            Compared(f"ξ({n}), the library's", float(xi(n)), ">=", short(exact, up=False)),
            Compared(f"ξ({n})², exact", short(exact**2, up=True), "<=", 4 * n),
        ]
    n, delta = 100, 0.05
    predictors = 10_000
    repeats = {"quick": 400, "default": 1000, "full": 4000}[size]
    risks = rng.uniform(0.48, 0.52, predictors)
    uppers, truths, empiricals = [], [], []
    for _ in range(repeats // 100):
        errors = rng.binomial(n, risks, (100, predictors))
        logits = -200.0 * errors / n
        Q = np.exp(logits - logits.max(1, keepdims=True))
        Q /= Q.sum(1, keepdims=True)
        kl = np.sum(Q * np.log(np.maximum(Q * predictors, 1e-300)), 1)
        empirical = np.sum(Q * errors, 1) / n
        uppers.append(pac_bayes_kl(empirical, share * np.maximum(kl, 0), n, delta))
        truths.append(Q @ risks)
        empiricals.append(empirical)
    upper, truth, empirical = (np.concatenate(x) for x in (uppers, truths, empiricals))
    misses = int(np.sum(truth > upper))
    rate = clopper_pearson(misses, repeats, NEVER, side="lower").lower
    compared.append(
        Compared(f"rate of misses, {misses} of {repeats}, its lower end", float(rate), "<=", delta)
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
    return Finding(tuple(compared), figure, note)


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
