"""Paths, conversions and couplings against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infsup.core.errors import UsageError
from infsup.generative import (
    BlockOptimalTransport,
    Bridge,
    Independent,
    Linear,
    Trigonometric,
    VarianceExploding,
    VariancePreserving,
    bridge,
    solvers,
)
from infsup.numerics import Atoms, GaussianMixture

pytestmark = pytest.mark.usefixtures("x64")

PATHS = [Linear(), Linear(0.2), Trigonometric(), VariancePreserving(), VarianceExploding()]
LAW = GaussianMixture([0.3, 0.7], [[1.0, -1.0], [0.0, 2.0]], [[0.5, 1.5], [2.0, 0.1]])
X = jnp.array([0.7, -0.4])
names = lambda p: type(p).__name__  # noqa: E731


@pytest.mark.parametrize("path", PATHS, ids=names)
def test_coefficients_have_their_derivatives(path):
    for t in (0.1, 0.5, 0.93):
        _, slope = jax.jvp(lambda t: path.at(t)[:3], (jnp.asarray(t),), (jnp.asarray(1.0),))
        w = path.at(jnp.asarray(t))
        assert np.allclose(slope, w[3:], rtol=1e-9)
        _, ds = jax.jvp(lambda t: path.at(t).s, (jnp.asarray(t),), (jnp.asarray(1.0),))
        assert np.allclose(ds, w.ds, rtol=1e-9)


@pytest.mark.parametrize("path", PATHS, ids=names)
def test_noise_at_zero_and_data_at_one(path):
    first, last = path.at(jnp.asarray(0.0)), path.at(jnp.asarray(1.0))
    rest = {"VariancePreserving": 0.0067, "VarianceExploding": 0.0126}.get(names(path), 0.0)
    assert abs(first.a) <= rest
    assert abs(last.a - 1) <= 1e-4
    assert abs(last.b) <= 0.0021
    assert all(np.isfinite(v) for w in (first, last) for v in w)


@pytest.mark.parametrize("path", PATHS, ids=names)
@pytest.mark.parametrize("t", [1e-3, 0.2, 0.5, 0.9, 0.999])
def test_each_of_the_four_gives_the_others(path, t):
    t = jnp.asarray(t)
    w = path.at(t)
    clean, noise = LAW.split_through(X, w.a, w.s)
    v, score = bridge.exact_velocity(LAW, path, t, X), bridge.exact_score(LAW, path, t, X)
    close = lambda a, b: np.allclose(a, b, rtol=1e-7, atol=1e-7 * (1 + np.abs(v).max()))  # noqa: E731
    assert close(bridge.denoised_from_velocity(path, t, X, v), clean)
    assert close(bridge.noise_from_velocity(path, t, X, v), noise)
    assert close(bridge.score_from_velocity(path, t, X, v) * w.s, score * w.s)
    assert close(bridge.velocity_from_denoised(path, t, X, clean), v)
    assert close(bridge.velocity_from_noise(path, t, X, noise), v)
    assert close(bridge.velocity_from_score(path, t, X, score), v)


@pytest.mark.parametrize("path", [Linear(), Trigonometric()], ids=names)
def test_the_ends_are_limits(path):
    zero, one = jnp.asarray(0.0), jnp.asarray(1.0)
    v = bridge.exact_velocity(LAW, path, zero, X)
    assert np.allclose(bridge.denoised_from_velocity(path, zero, X, v), LAW.mean)
    assert np.allclose(bridge.noise_from_velocity(path, zero, X, v), X)
    assert np.allclose(bridge.score_from_velocity(path, zero, X, v), -X)
    v = bridge.exact_velocity(LAW, path, one, X)
    assert np.allclose(bridge.denoised_from_velocity(path, one, X, v), X)
    assert np.allclose(bridge.noise_from_velocity(path, one, X, v), 0.0, atol=1e-12)
    near = jnp.asarray(1 - 1e-5)
    v = bridge.exact_velocity(LAW, path, near, X)
    assert np.allclose(bridge.score_from_velocity(path, near, X, v), LAW.score(X), atol=1e-3)
    if isinstance(path, Linear):  # pi/2 is rounded, so the other path never quite ends
        assert not np.isfinite(bridge.score_from_velocity(path, one, X, v)).all()


def test_the_velocity_is_the_conditional_mean_of_the_slope():
    # regression on draws near a point: E[dx/dt | x_t near X]
    path, t, n = Linear(), 0.6, 200_000
    keys = jax.random.split(jax.random.key(0), 2)
    x1 = np.asarray(LAW.sample(keys[0], n))
    x0 = np.asarray(jax.random.normal(keys[1], (n, 2), jnp.float32))
    x, slope = Bridge(path=path).point(t, x0, x1, 0.0)
    near = ((np.asarray(x) - np.asarray(X)) ** 2).sum(1) < 0.05**2
    seen = np.asarray(slope)[near]
    want = np.asarray(bridge.exact_velocity(LAW, path, t, X))
    assert near.sum() > 40
    assert (np.abs(seen.mean(0) - want) < 4 * seen.std(0) / np.sqrt(near.sum()) + 0.05).all()


@pytest.mark.parametrize("path", [Linear(), Trigonometric()], ids=names)
def test_the_exact_flow_of_one_gaussian_ends_in_it(path):
    one = GaussianMixture([1.0], [[2.0]], 0.25)
    v = lambda t, x: bridge.exact_velocity(one, path, t, x)  # noqa: E731
    z = jnp.linspace(-2.0, 2.0, 5)[:, None]
    end = jax.vmap(lambda y: solvers.flow("rk4", v, y, 64))(z)
    # the flow between Gaussians on the line is the increasing map
    assert np.allclose(end, 2.0 + 0.5 * z, atol=1e-6)


def test_the_flow_to_atoms_ends_in_an_atom():
    atoms = Atoms(np.random.default_rng(0).normal(size=(12, 2)))
    v = lambda t, x: bridge.exact_velocity(atoms, Linear(), t, x)  # noqa: E731
    z = jax.random.normal(jax.random.key(0), (50, 2))
    end = np.asarray(jax.vmap(lambda y: solvers.flow("midpoint", v, y, 400))(z))
    far = ((end[:, None] - atoms.points) ** 2).sum(-1).min(1)
    assert np.median(far) < 1e-4


def test_orders_of_the_solvers():
    v = lambda t, x: -x * jnp.cos(2 * t)  # noqa: E731
    exact = float(np.exp(-np.sin(2.0) / 2))
    for solver, order in (("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4)):
        error = [abs(float(solvers.flow(solver, v, jnp.ones(1), n)[0]) - exact) for n in (20, 40)]
        assert order - 0.25 < np.log2(error[0] / error[1]) < order + 0.8


# -- couplings ------------------------------------------------------------------------------------


def test_blocks_are_matched_without_replacement():
    rng = np.random.default_rng(0)
    x0, x1 = rng.normal(size=(2, 64, 2)).astype(np.float32)
    got0, got1 = BlockOptimalTransport(16, 64).bank(lambda n: x0[:n], lambda n: x1[:n])
    assert np.array_equal(got1, x1)
    for at in range(0, 64, 16):
        rows = slice(at, at + 16)
        assert sorted(map(tuple, got0[rows])) == sorted(map(tuple, x0[rows]))
        cost = ((got0[rows] - x1[rows]) ** 2).sum()
        assert cost < ((x0[rows] - x1[rows]) ** 2).sum()
    assert Independent().bank(None, None) is None


def test_a_matching_is_best_on_the_line():
    from infsup.generative.couplings import matched

    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 50, 1))
    p = matched(x, y)
    assert np.array_equal(np.argsort(x[:, 0]), np.argsort(y[p][:, 0]))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Linear(-1.0), "`noise`"),
        (lambda: BlockOptimalTransport(1), "`block`"),
        (lambda: BlockOptimalTransport(100_000), "more than a minute"),
        (lambda: VariancePreserving(low=0.0), "`low`"),
    ],
)
def test_arguments_outside_their_range(make, word):
    with pytest.raises(UsageError, match=word):
        make()
