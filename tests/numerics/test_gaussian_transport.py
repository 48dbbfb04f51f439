"""Bures-Wasserstein: identities, singular matrices, batches, and what is refused."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from infsup.core.errors import HypothesisError, UsageError
from infsup.numerics import gaussian_map, gaussian_w2


def positive(rng, d, rank=None):
    f = rng.normal(size=(d, rank or d))
    return f @ f.T


@pytest.mark.parametrize("d", [1, 2, 5, 20])
def test_the_textbook_formula(d):
    rng = np.random.default_rng(d)
    a, b, m, n = positive(rng, d), positive(rng, d), rng.normal(size=d), rng.normal(size=d)
    ra = sqrtm(a)
    squared = ((m - n) ** 2).sum() + np.trace(a + b - 2 * np.real(sqrtm(ra @ b @ ra)))
    assert gaussian_w2(m, a, n, b) == pytest.approx(np.sqrt(squared), rel=1e-8)


def test_the_map_pushes_the_one_to_the_other_and_costs_the_distance():
    rng = np.random.default_rng(0)
    a, b = positive(rng, 6), positive(rng, 6)
    t = gaussian_map(a, b)
    assert np.abs(t @ a @ t - b).max() < 1e-10
    cost = np.trace((np.eye(6) - t) @ a @ (np.eye(6) - t))
    zero = np.zeros(6)
    assert cost == pytest.approx(gaussian_w2(zero, a, zero, b) ** 2, rel=1e-10)
    assert np.linalg.eigvalsh(t).min() > 0


def test_near_covariances_keep_their_digits():
    # tr(A + B - 2 (..)^(1/2)) loses all of them here
    eps, one = 1e-9, np.eye(3)
    z = np.zeros(3)
    assert gaussian_w2(z, one, z, (1 + eps) ** 2 * one) == pytest.approx(np.sqrt(3) * eps, rel=1e-6)


def test_singular_covariances():
    z = np.zeros(2)
    flat, upright = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
    assert gaussian_w2(z, flat, z, upright) == pytest.approx(np.sqrt(2))
    assert gaussian_w2(z, np.zeros((2, 2)), np.ones(2), flat) == pytest.approx(np.sqrt(3))
    assert np.allclose(gaussian_map(np.eye(2), flat), flat)
    with pytest.raises(HypothesisError, match="No map takes"):
        gaussian_map(flat, upright)


def test_batches():
    rng = np.random.default_rng(1)
    a = np.stack([positive(rng, 3) for _ in range(4)]).reshape(2, 2, 3, 3)
    m = rng.normal(size=(2, 2, 3))
    got = gaussian_w2(m, a, 0 * m, a[::-1])
    assert got.shape == (2, 2)
    assert got[1, 0] == pytest.approx(gaussian_w2(m[1, 0], a[1, 0], 0 * m[1, 0], a[0, 0]))


def test_a_metric():
    rng = np.random.default_rng(2)
    z = np.zeros(4)
    a, b, c = (positive(rng, 4, r) for r in (4, 2, 3))
    ab, bc, ac = (gaussian_w2(z, x, z, y) for x, y in ((a, b), (b, c), (a, c)))
    assert ac <= ab + bc
    assert gaussian_w2(z, a, z, b) == pytest.approx(gaussian_w2(z, b, z, a))
    assert gaussian_w2(z, b, z, b) < 1e-7


@pytest.mark.parametrize(
    ("covariance", "word"),
    [
        (np.array([[1.0, 0.5], [0.0, 1.0]]), "not symmetric"),
        (np.diag([1.0, -1.0]), "eigenvalue -1"),
        (np.ones((2, 3)), r"\[\.\.\., d, d\]"),
        (np.array([[np.nan, 0.0], [0.0, 1.0]]), "NaN"),
    ],
)
def test_what_is_no_covariance(unchecked, covariance, word):
    with pytest.raises(UsageError, match=word):
        gaussian_w2(np.zeros(2), covariance, np.zeros(2), np.eye(2))
