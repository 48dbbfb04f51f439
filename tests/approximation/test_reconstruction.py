"""Lipschitz bands, Barron's random steps, and patched Taylor polynomials."""

import itertools
import math

import numpy as np
import pytest

from infsup.approximation.lipschitz_reconstruction import lipschitz_band
from infsup.approximation.local_taylor import hat, taylor_patches
from infsup.approximation.random_steps import (
    barron_steps,
    bump,
    fourier_moment,
    step_variation,
)
from infsup.core.errors import HypothesisError, UsageError

RNG = np.random.default_rng(0)


def test_both_envelopes_interpolate_and_are_lipschitz():
    points = RNG.random((20, 2))
    values = np.sin(points.sum(1))
    at = lipschitz_band(points, points, values, 2.0)
    assert np.allclose(at.lower, values)
    assert np.allclose(at.upper, values)
    x, y = RNG.random((500, 2)), RNG.random((500, 2))
    far = np.linalg.norm(x - y, axis=1)
    a, b = lipschitz_band(x, points, values, 2.0), lipschitz_band(y, points, values, 2.0)
    assert (np.abs(a.upper - b.upper) <= 2 * far + 1e-12).all()
    assert (np.abs(a.lower - b.lower) <= 2 * far + 1e-12).all()
    assert (a.lower <= np.sin(x.sum(1)) + 1e-12).all()
    assert (np.sin(x.sum(1)) <= a.upper + 1e-12).all()
    assert np.allclose(a.centre + a.radius, a.upper)


def test_values_that_contradict_the_constant_are_refused():
    with pytest.raises(HypothesisError, match="differ by 1"):
        lipschitz_band(np.zeros((1, 1)), np.array([[0.0], [0.5]]), np.array([0.0, 1.0]), 1.5)
    with pytest.raises(UsageError):
        lipschitz_band(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1), -1.0)


@pytest.mark.parametrize("dim", [1, 2, 5, 12])
def test_the_variation_by_monte_carlo(dim):
    r = np.sqrt(RNG.chisquare(dim, 400_000))
    k = np.floor(r / math.pi)
    draws = 2 * (2 * k + 1 - np.cos(r - k * math.pi))
    v = step_variation(dim)
    assert abs(draws.mean() - v) < 6 * draws.std() / math.sqrt(len(draws))
    assert v <= 2 * fourier_moment(dim)
    assert fourier_moment(1) == pytest.approx(math.sqrt(2 / math.pi))


def test_the_mean_of_random_steps_is_the_bump():
    x = RNG.normal(size=(20, 3))
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1)
    found = barron_steps(3, 400_000, RNG)
    error = found(x) - bump(x)
    assert np.abs(error).max() < 6 * step_variation(3) / math.sqrt(400_000)
    with pytest.raises(UsageError):
        barron_steps(0, 3, RNG)


@pytest.mark.parametrize("d", [1, 2])
def test_patches_reproduce_polynomials_of_lower_degree(d):
    x = RNG.random((200, d))

    def derivative(k, at):
        # of (sum x)^2
        s = at.sum(1)
        return [s**2, 2 * s, np.full(len(at), 2.0)][sum(k)] if sum(k) < 3 else np.zeros(len(at))

    assert np.allclose(taylor_patches(derivative, 3, 3, x), x.sum(1) ** 2)
    ones = sum(
        np.prod(hat(3 * 4 * (x - np.array(m) / 4)), axis=1)
        for m in itertools.product(range(5), repeat=d)
    )
    assert np.allclose(ones, 1.0)
