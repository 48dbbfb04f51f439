"""Bounds of E f(|m + sqrt(v) Z|) against high-order quadrature and closed forms."""

import math

import numpy as np
import pytest
from scipy import special

from infsup.core.errors import UsageError
from infsup.numerics import NormLaw, chords, mean_lower, mean_upper
from infsup.numerics.quadrature import gauss_rule

LAWS = [
    NormLaw(1, 1.0),
    NormLaw(1, 0.3, 2.0),
    NormLaw(2, 2.0, 0.5),
    NormLaw(7, 0.1, 5.0),
    NormLaw(100, 2.0),
    NormLaw(100, 1.3, 10.0),
    NormLaw(3, 1e-3, 4.0),
]


def gauss(law, f):
    r, log_w = gauss_rule(law)
    return float(np.sum(np.exp(log_w) * f(r)))


@pytest.mark.parametrize("law", LAWS)
def test_gauss_moments(law):
    assert gauss(law, np.ones_like) == pytest.approx(1.0, abs=1e-11)
    assert gauss(law, np.square) == pytest.approx(law.second_moment, rel=1e-11)


@pytest.mark.parametrize("law", LAWS)
def test_partial_moments(law):
    mass, first, _ = law.partial_moments(law.nodes(50))
    assert mass[-1] == pytest.approx(1.0, abs=1e-12)
    assert first[-1] == pytest.approx(gauss(law, lambda r: r), rel=1e-11)
    assert (np.diff(mass) >= -1e-13).all()


@pytest.mark.parametrize("law", LAWS)
def test_enclosure_of_a_mean(law):
    rule = chords(law, 1024)
    r = rule.nodes
    cells = np.ones(r.size - 1)
    low = mean_lower(rule, np.cos(3 * r), 9 * cells, (-1.0, 0.0))
    high = mean_upper(rule, np.cos(3 * r), -9 * cells, (1.0, 0.0))
    exact = gauss(law, lambda s: np.cos(3 * s))
    assert low <= exact <= high
    assert high - low < 2 * 9 * np.diff(r)[1:].max() ** 2 / 8 + 1e-12


def test_chords_alone_do_not_enclose():
    # the planted bug: without the curvature term the chord rule is on the wrong side
    law = NormLaw(2, 1.0)
    rule = chords(law, 64)
    r = rule.nodes
    exact = law.second_moment
    with_term = mean_lower(rule, r**2, 2 * np.ones(r.size - 1), (0.0, 0.0))
    without = mean_lower(rule, r**2, np.zeros(r.size - 1), (0.0, 0.0))
    assert with_term <= exact < without


def test_the_tail_counts():
    law = NormLaw(1, 1.0)
    rule = chords(law, 64)
    zero = np.zeros(rule.nodes.size)
    assert mean_lower(rule, zero, zero[:-1], (-1.0, 0.0)) < 0.0


def test_first_moment_closed_form():
    d = 5
    mean = math.sqrt(2) * math.exp(special.gammaln(3) - special.gammaln(2.5))
    rule = chords(NormLaw(d, 1.0), 512)
    zero = np.zeros(rule.nodes.size - 1)
    assert mean_lower(rule, rule.nodes, zero, (0.0, 0.0)) == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize("bad", [(0, 1.0, 0.0), (3, 0.0, 0.0), (3, np.nan, 0.0), (3, 1.0, -1.0)])
def test_bad_laws(bad):
    with pytest.raises(UsageError, match="NormLaw"):
        NormLaw(*bad)
