"""Sizes of the constructions of the literature, at three points each, and their ingredients."""

import math

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from infsup.approximation import Approximate, papers, papers_counts
from infsup.core.errors import UsageError

pytestmark = pytest.mark.usefixtures("x64")

EPS = (1e-2, 1e-4, 1e-6, 1e-8, 1e-12)
FUNCTIONS = {
    "exp": np.exp,
    "sin4x": lambda x: np.sin(4 * x),
    "runge": lambda x: 1 / (1 + 25 * x * x),
}


def series(name):
    return papers.coefficients(FUNCTIONS[name], -1.0, 1.0)


@pytest.mark.parametrize(
    ("norm", "counts"),
    [
        (lambda n: 2**n * math.e, (1_890, 3_168, 4_752, 6_528, 10_332)),
        (lambda n: 8.0**n, (None, 11_232, None, 23_256, 35_328)),
    ],
)
def test_yarotsky_with_its_best_number_of_derivatives(norm, counts):
    norms = [norm(n) for n in range(1, 25)]
    found = [papers.best_yarotsky(eps, norms).units for eps in EPS]
    assert all(c is None or f == c for f, c in zip(found, counts, strict=True))


def test_yarotsky_by_hand():
    # d = 1, n = 2, norm 2, eps = 0.1, so e = 0.05: N = ceil((1 * 0.025)^(-1/2)) = 7, 16 terms
    # delta = 0.05/(4 * 3), 6 * 9 * 2^(-2m-2) <= delta: 4^(m+1) >= 12960, m = 6
    c = papers.yarotsky(0.1, 2, 2.0)
    assert c.choices == {"n": 2, "mesh": 7, "levels": 6}
    assert c.units == 8 * 2 * 3 * 14
    # two variables: N = ceil((2/(4 * 4) * 0.025)^(-1/2)) = 18, 4 * 19^2 terms of 3 products
    c = papers.yarotsky(0.1, 2, 2.0, d=2)
    assert c.choices["mesh"] == 18
    assert c.units == 4 * 19**2 * 3 * 3 * (2 * c.choices["levels"] + 2)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("exp", dict(zip(EPS, (18, 64, 141, 226, 448), strict=True))),
        ("sin4x", {1e-4: 181, 1e-8: 447, 1e-12: 879}),
        ("runge", {1e-4: 987, 1e-8: 3_258}),
    ],
)
def test_the_chebyshev_tree(name, column):
    """Another plan of the same construction, in which rounding of the coefficients cost units."""
    for eps, units in column.items():
        got = papers.chebyshev_tree(eps, series(name)).units
        assert 0.75 * units <= got <= 1.03 * units


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("exp", dict(zip(EPS, (18, 54, 94, 168, 258), strict=True))),
        ("sin4x", {1e-4: 116, 1e-8: 252, 1e-12: 430}),
        ("runge", {1e-4: 304, 1e-8: 834}),
    ],
)
def test_paterson_stockmeyer(name, column):
    """At most the page's column; with more baby steps than it tried, fewer for high degrees."""
    for eps, units in column.items():
        assert 0.7 * units <= papers.cheapest_polynomial(eps, series(name)).units <= 1.03 * units


@pytest.mark.parametrize(
    ("f", "column"),
    [
        ("exp(x)", {1e-2: 6, 1e-6: 522, 1e-12: 521_094}),
        ("sin(4*x)", {1e-4: 146, 1e-8: 14_563}),
        ("1/(1 + 25*x**2)", {1e-4: 100}),
    ],
)
def test_shallow_pieces(f, column):
    for eps, units in column.items():
        got = papers_counts(Approximate(f, (-1.0, 1.0), eps))["shallow"].units
        assert abs(got - units) <= 1e-4 * units + 1


def test_shallow_pieces_are_those_of_the_square():
    # |f''| = 2 on [0, 1]: p pieces miss x^2 by 1/(8 p^2) at best, so eps = 1/(8 p^2) takes p
    for p in (1, 5, 40):
        assert papers.shallow_pieces(1 / (8 * p * p) * 1.0001, math.sqrt(2)).units == p


@pytest.mark.parametrize("polarise", [False, True])
@pytest.mark.parametrize("degree", [2, 5, 11])
def test_the_tree_is_the_polynomial(degree, polarise):
    c = 1.0 / np.arange(1, degree + 2) ** 2
    s, out = papers.tree(c, polarise)
    assert np.allclose(s.polynomial(out)[: degree + 1], c, atol=1e-14)


@pytest.mark.parametrize("baby", [3, 4, 8])
def test_paterson_stockmeyer_is_the_polynomial(baby):
    c = np.cos(np.arange(30.0)) / (1 + np.arange(30.0))
    s, out = papers.paterson_stockmeyer(c, baby)
    assert np.allclose(s.polynomial(out)[:30], c, atol=1e-12)
    assert len(s.used(out)) < len(papers.tree(c, True)[0].squared)


def test_planned_squares_are_accurate_enough():
    """The planned network, run with its inexact squares, stays within eps of the polynomial."""
    c = series("exp")[:8]
    s, out = papers.tree(c, False)
    levels = s.plan(out, 1e-5)
    x = np.linspace(-1, 1, 4001)
    values = {0: x}

    def value(f):
        return f[1] + sum(v * values[k] for k, v in f[0].items())

    for k, m in levels.items():
        u = value(s.squared[k])
        e = sum(abs(v) for i, v in s.squared[k][0].items() if i) * 1e-3
        size = s.sizes[k] + e
        t = np.minimum(np.abs(u) / size, 1.0)
        knots = np.arange(2**m + 1) / 2**m
        values[k] = size**2 * (np.interp(t, knots, knots**2) - 2.0 ** (-2 * m - 3))
    worst = np.abs(value(out) - chebyshev.chebval(x, c)).max()
    assert 1e-7 < worst <= 1e-5


def test_norms_of_exp_and_of_a_kink():
    norms = papers.sobolev_norms(Approximate("exp(x)", (-1.0, 1.0), 1e-3).f, -1.0, 1.0)
    assert np.allclose(norms, [2.0**n * math.e for n in range(1, 25)], rtol=1e-8)
    kink = papers.sobolev_norms(Approximate("abs(x)", (-1.0, 1.0), 1e-3).f, -1.0, 1.0)
    assert kink[0] == math.inf


def test_what_does_not_fit_is_left_out():
    counts = papers_counts(Approximate("abs(x)", (-1.0, 1.0), 1e-6))
    assert counts == {}
    counts = papers_counts(Approximate("exp(x)", (-1.0, 1.0), 1e-6))
    assert list(counts) == ["shallow", "Yarotsky", "Chebyshev tree", "Paterson-Stockmeyer"]
    assert all(c.source and c.counted for c in counts.values())


def test_an_eps_is_needed():
    with pytest.raises(UsageError, match="no eps"):
        papers_counts(Approximate("exp(x)", (-1.0, 1.0)))
