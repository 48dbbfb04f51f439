"""The truth library against quadrature and automatic differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infsup.core.errors import UsageError
from infsup.numerics import Atoms, GaussianMixture, ring

pytestmark = pytest.mark.usefixtures("x64")

SKEW = GaussianMixture(
    [0.2, 0.8],
    [[1.0, -1.0], [0.0, 2.0]],
    [[[1.0, 0.3], [0.3, 0.5]], [[0.2, 0.0], [0.0, 2.0]]],
)
LINE = GaussianMixture([0.3, 0.7], [[-1.0], [2.0]], [0.25, 1.0])
GRID = np.linspace(-14.0, 14.0, 4001)


def integral(values):
    return np.trapezoid(values, GRID)


@pytest.mark.parametrize(("a", "s"), [(1.0, 0.0), (0.6, 0.4), (0.0, 1.0)])
def test_the_density_integrates_to_one_and_has_the_moments(a, s):
    x = jnp.asarray(GRID)[:, None]
    p = np.exp(jax.vmap(lambda y: LINE.log_density_through(y, a, s))(x))
    assert integral(p) == pytest.approx(1.0, abs=1e-10)
    there = LINE.through(a, s)
    assert integral(p * GRID) == pytest.approx(there.mean[0], abs=1e-9)
    spread = integral(p * (GRID - there.mean[0]) ** 2)
    assert spread == pytest.approx(there.covariance[0, 0], abs=1e-9)
    assert np.allclose(p, np.exp(jax.vmap(there.log_density)(x)))


@pytest.mark.parametrize(("a", "s"), [(1.0, 0.0), (0.6, 0.4), (0.3, 1.0)])
def test_the_score_is_the_gradient(a, s):
    for x in np.random.default_rng(0).normal(size=(5, 2)):
        slope = jax.grad(lambda y: SKEW.log_density_through(y, a, s))(jnp.asarray(x))
        assert np.allclose(SKEW.score_through(jnp.asarray(x), a, s), slope, atol=1e-12)


def test_the_conditional_means_by_quadrature():
    a, s, at = 0.7, 0.5, 0.9
    p = np.exp(jax.vmap(LINE.log_density)(jnp.asarray(GRID)[:, None]))
    noise = (at - a * GRID) / s
    joint = p * np.exp(-0.5 * noise**2)
    want = integral(joint * GRID) / integral(joint), integral(joint * noise) / integral(joint)
    got = LINE.split_through(jnp.array([at]), a, s)
    assert np.allclose([g[0] for g in got], want, atol=1e-9)


def test_tweedie_and_the_parts_add_up():
    x, a, s = jnp.array([0.4, -1.1]), 0.8, 0.3
    clean, noise = SKEW.split_through(x, a, s)
    assert np.allclose(a * clean + s * noise, x, atol=1e-12)
    assert np.allclose(noise, -s * SKEW.score_through(x, a, s), atol=1e-12)


def test_both_ends_are_limits():
    x = jnp.array([0.4, -1.1])
    clean, noise = SKEW.split_through(x, 1.0, 0.0)
    assert np.allclose(clean, x)
    assert np.allclose(noise, 0.0)
    near = SKEW.split_through(x, 1.0, 1e-6)
    assert np.allclose(near[0], clean, atol=1e-10)
    assert np.allclose(near[1] / 1e-6, -SKEW.score(x), atol=1e-5)
    clean, noise = SKEW.split_through(x, 0.0, 1.0)
    assert np.allclose(clean, SKEW.mean)
    assert np.allclose(noise, x)


def test_a_flat_component_is_seen_through_noise():
    flat = GaussianMixture([1.0], [[0.0, 0.0]], [[[1.0, 0.0], [0.0, 0.0]]])
    clean, _ = flat.split_through(jnp.array([1.0, 1.0]), 1.0, 0.5)
    assert np.allclose(clean, [0.8, 0.0])


def test_ornstein_uhlenbeck_forgets():
    later = SKEW.ornstein_uhlenbeck(30.0)
    assert np.allclose(later.covariance, np.eye(2), atol=1e-10)
    assert np.allclose(later.mean, 0.0, atol=1e-10)
    one, two = SKEW.ornstein_uhlenbeck(0.3), SKEW.ornstein_uhlenbeck(0.1).ornstein_uhlenbeck(0.2)
    assert np.allclose(one.covariance, two.covariance)


def test_draws_have_the_law():
    x = np.asarray(SKEW.sample(jax.random.key(0), 200_000), np.float64)
    assert x.dtype == np.float64
    assert SKEW.sample(jax.random.key(0), 2).dtype == jnp.float32
    assert np.allclose(x.mean(0), SKEW.mean, atol=0.02)
    assert np.allclose(np.cov(x.T), SKEW.covariance, atol=0.04)


def test_projections_are_mixtures_on_the_line():
    e = np.array([0.6, 0.8])
    w, m, s = SKEW.projected(e)
    assert w @ m == pytest.approx(SKEW.mean @ e)
    assert w @ (s**2 + m**2) - (w @ m) ** 2 == pytest.approx(e @ SKEW.covariance @ e)


def test_atoms_are_the_limit_of_narrow_components():
    points = np.random.default_rng(0).normal(size=(6, 2))
    narrow = GaussianMixture(np.ones(6), points, 1e-10)
    x = jnp.array([0.3, 0.1])
    for a, s in ((0.0, 1.0), (0.5, 0.5), (0.9, 0.1)):
        for got, want in zip(
            Atoms(points).split_through(x, a, s), narrow.split_through(x, a, s), strict=True
        ):
            assert np.allclose(got, want, atol=1e-6)


def test_a_small_component_keeps_its_spread_beside_a_large_one():
    law = GaussianMixture([0.5, 0.5], np.zeros((2, 2)), np.stack([np.eye(2), 1e-14 * np.eye(2)]))
    assert np.allclose(law.variances, [[1.0, 1.0], [1e-14, 1e-14]], rtol=1e-6, atol=0)


def test_far_atoms_do_not_overflow():
    clean, _ = Atoms(np.array([[1e3], [-1e3]])).split_through(jnp.array([5.0]), 0.999, 1e-3)
    assert np.allclose(clean, 1e3)


def test_the_ring():
    assert np.allclose(ring().mean, 0.0)
    assert np.allclose(ring().covariance, 13.5 * np.eye(2))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (([1.0, -1.0], np.zeros((2, 1)), 1.0), "`weights` holds -1"),
        ((["a"], np.zeros((1, 1)), 1.0), "`weights` is list"),
        (([1.0], [[0.0], [1.0, 2.0]], 1.0), "`means` is list"),
        (([1.0], [[1j]], 1.0), "`means`"),
        (([1.0], [[np.inf]], 1.0), "`means` holds NaN or inf"),
        (([1.0], np.zeros((2, 1)), 1.0), "`means`"),
        (([1.0], np.zeros((1, 2)), np.ones((3, 3))), "`covariances`"),
        (([1.0], np.zeros((1, 2)), -1.0), "eigenvalue -1"),
        (([1.0], np.zeros((1, 2)), np.array([[[1.0, 0.2], [0.0, 1.0]]])), "not symmetric"),
        (([1.0], np.zeros((1, 2)), np.nan), "NaN"),
    ],
)
def test_what_is_no_mixture(arguments, word):
    with pytest.raises(UsageError, match=word):
        GaussianMixture(*arguments)
