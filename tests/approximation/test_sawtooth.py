"""The literature's sawtooth networks: exact values, exact counts."""

from fractions import Fraction

import numpy as np
import pytest

from infsup.approximation.sawtooth import narrow_square, sawtooth_product, sawtooth_square, tent
from infsup.core.errors import UsageError


@pytest.mark.parametrize("m", [1, 2, 3, 6])
def test_squares_agree_and_have_the_sizes_of_their_docstrings(m):
    wide, narrow = sawtooth_square(m), narrow_square(m)
    n = 2 ** (m + 1)
    for k in range(n + 1):
        x = Fraction(k, n)
        error = Fraction(k % 2, 4 ** (m + 1))
        assert wide.exact(x)[0] - x * x == error
        assert narrow.exact(x) == wide.exact(x)
    assert narrow.counts.n_nonzero == 7 * m - 2
    assert narrow.counts.width <= 3
    assert narrow.counts.n_hidden == m
    assert narrow.is_strict
    assert tent(m).pieces(0.0, 1.0) == narrow.pieces(0.0, 1.0) == 2**m


@pytest.mark.parametrize("m", [1, 3, 5])
def test_products_err_by_the_sharp_constant(m):
    M, network = 2.0, sawtooth_product(m, 2.0)
    x = np.arange(-(2 ** (m + 1)), 2 ** (m + 1) + 1) * M / 2 ** (m + 1)
    points = np.stack(np.meshgrid(x, x), -1).reshape(-1, 2)
    error = points.prod(1) - network.values(points)
    d = 4.0 ** -(m + 1)
    assert error.max() == 4 * M**2 * d
    assert error.min() >= -2 * M**2 * d
    assert network.exact([Fraction(1, 3), 0]) == [0]


def test_deep_ones_are_still_exact():
    x = Fraction(1, 2**26)
    assert sawtooth_square(25).exact(x)[0] - x * x == Fraction(1, 4**26)
    assert narrow_square(25).exact(x)[0] - x * x == Fraction(1, 4**26)


def test_words():
    for make in (tent, sawtooth_square, narrow_square):
        with pytest.raises(UsageError, match="from 1 to 25"):
            make(0)
    with pytest.raises(UsageError, match="power of two"):
        sawtooth_product(3, 3.0)
