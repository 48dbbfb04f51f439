"""Polar factors, and what Newton-Schulz steps make of singular values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infsup.core.errors import UsageError
from infsup.numerics.polar import (
    CUBIC,
    JORDAN,
    newton_schulz,
    polar_factor,
    singular_value_range,
)


def test_the_polar_factor_is_orthogonal_and_symmetric_against_its_matrix(x64):
    a = jax.random.normal(jax.random.key(0), (7, 4))
    o = polar_factor(a)
    assert np.allclose(o.T @ o, np.eye(4), atol=1e-12)
    h = o.T @ a
    assert np.allclose(h, h.T, atol=1e-12)
    assert np.linalg.eigvalsh(h).min() > 0


def test_cubic_newton_schulz_goes_there(x64):
    a = jax.random.normal(jax.random.key(1), (5, 8))
    x = newton_schulz(a / jnp.linalg.norm(a), [CUBIC] * 20)
    assert np.abs(x - polar_factor(a)).max() < 1e-12


def test_the_range_encloses_and_is_sharp():
    s = np.geomspace(0.01, 1.0, 20001)
    for steps in ([CUBIC], [JORDAN] * 5, [CUBIC] * 3):
        y = s.copy()
        for a, b, c in steps:
            y = a * y + b * y**3 + c * y**5
        low, high = singular_value_range(steps, 0.01, 1.0, boxes=2000)
        assert low <= y.min()
        assert y.max() <= high
        assert high - low < (y.max() - y.min()) * 1.1


def test_a_range_needs_two_ends():
    with pytest.raises(UsageError):
        singular_value_range([CUBIC], 0.0, 1.0)
    with pytest.raises(UsageError):
        singular_value_range([CUBIC], 1.0, 0.5)
