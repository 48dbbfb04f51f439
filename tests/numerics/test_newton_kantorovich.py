"""The radii of Newton and Kantorovich are true, sharp on quadratics, and refuse above one half."""

import math
from fractions import Fraction

import pytest

from infsup.core.errors import HypothesisError, UsageError
from infsup.numerics.newton_kantorovich import radii


def test_a_square_root_lies_on_the_sphere_of_the_inner_radius():
    # F(x) = x^2 - 2 at 3/2: the root is at distance t* exactly
    r = radii(Fraction(1, 3), Fraction(1, 12), 2)
    assert r.h == Fraction(1, 18)
    assert (Fraction(3, 2) - Fraction(r.inner)) ** 2 <= 2
    assert r.inner == pytest.approx(1.5 - math.sqrt(2), abs=1e-15)
    assert r.outer == pytest.approx(1.5 + math.sqrt(2), abs=1e-14)


def test_ends_are_rounded_outwards():
    for n in range(1, 200):
        beta, eta, k = Fraction(n, 7), Fraction(3, n + 1), Fraction(1, 9)
        if 2 * beta * eta * k > 1:
            continue
        r = radii(beta, eta, k)
        # beta K t^2/2 - t + eta is at most 0 from t* to t**, and only there
        for t in (Fraction(r.inner), Fraction(r.outer)):
            assert beta * k * t * t / 2 - t + eta <= 0


def test_the_limit_case_and_the_affine_one():
    assert radii(1.0, 0.5, 1.0).inner == radii(1.0, 0.5, 1.0).outer == 1.0
    assert radii(2.0, 0.25, 0.0) == radii(2, Fraction(1, 4), 0)
    assert radii(2.0, 0.25, 0.0).outer == math.inf


def test_it_refuses_above_one_half_and_nonsense():
    with pytest.raises(HypothesisError, match="above 1/2"):
        radii(1.0, 0.5000001, 1.0)
    for bad in ((0.0, 1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, math.inf), (math.nan, 1.0, 1.0)):
        with pytest.raises(UsageError):
            radii(*bad)
