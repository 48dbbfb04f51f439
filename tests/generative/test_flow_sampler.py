"""The density of what is sampled: exact for every number of steps, refused where steps fold."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import infsup as isp
from infsup.core.errors import HypothesisError, UsageError
from infsup.generative import FlowSampler, GaussianSampler, TimeMLP
from infsup.numerics import ring

SOLVERS = [("euler", 5), ("midpoint", 4), ("heun", 3), ("rk4", 2)]


@isp.register
class Stretch(eqx.Module):
    """v = k x: every solver's map is a multiple of the identity."""

    k: float = eqx.field(static=True)

    def __call__(self, t, x):
        return self.k * x


def factor(solver, n, k):
    h = k / n
    one = {
        "euler": 1 + h,
        "midpoint": 1 + h + h**2 / 2,
        "heun": 1 + h + h**2 / 2,
        "rk4": 1 + h + h**2 / 2 + h**3 / 6 + h**4 / 24,
    }
    return one[solver] ** n


def stretched(solver="euler", n=5, k=-0.7, d=2):
    shift, scale = np.arange(d, dtype=np.float32), np.full(d, 2.0, np.float32)
    return FlowSampler(Stretch(k), shift, scale, row=(d,), solver=solver, steps=n)


@pytest.fixture(scope="module")
def rough():
    """A network that was not trained: nothing special about its flow."""
    net = TimeMLP(16, 2).build(2, jax.random.key(3))
    net = jax.tree.map(lambda a: 3 * a if eqx.is_array(a) else a, net)
    return FlowSampler(
        net, np.array([0.5, -1.0], np.float32), np.array([2.0, 0.7], np.float32), row=(2,)
    )


@pytest.mark.parametrize(("solver", "n"), SOLVERS)
def test_the_law_of_a_linear_flow(solver, n):
    s = stretched(solver, n)
    sd = 2 * factor(solver, n, -0.7)
    x, logs = s.sample_and_log_prob(jax.random.key(0), 200)
    want = -0.5 * (((x - np.arange(2)) / sd) ** 2).sum(1) - 2 * np.log(sd * np.sqrt(2 * np.pi))
    assert np.allclose(logs, want, atol=2e-5)
    assert np.allclose(s.log_prob(x), want, atol=1e-4)
    assert s.law == f"model@{solver}{n}"
    assert x.dtype == jnp.float32


@pytest.mark.parametrize(("solver", "n"), [("euler", 5), ("rk4", 2)])
def test_pulling_back_undoes_pushing(rough, x64, solver, n):
    s = rough.with_solver(solver, 4 * n).astype(jnp.float64)
    z = jax.random.normal(jax.random.key(1), (64, 2), jnp.float64)
    x, logs, upright = s.push_with_density(z)
    assert np.array_equal(x, s.push(z))
    assert upright.all()
    assert np.allclose(s.log_prob(x), logs, atol=1e-9)


@pytest.mark.parametrize(
    ("solver", "n"), [("euler", 5), pytest.param("midpoint", 10, marks=pytest.mark.slow)]
)
def test_the_density_integrates_to_one(rough, x64, solver, n):
    # in d = 2, on a grid; the likelihood of the ODE would not, at 5 steps
    s = rough.with_solver(solver, n).astype(jnp.float64)
    z = jax.random.normal(jax.random.key(1), (2000, 2), jnp.float64)
    x = np.asarray(s.push(z))
    lo, hi = x.min(0) - 3 * x.std(0), x.max(0) + 3 * x.std(0)
    axes = [np.linspace(a, b, 81) for a, b in zip(lo, hi, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    logs, upright, _ = eqx.filter_jit(FlowSampler.pull)(s, jnp.asarray(grid))
    cell = np.prod([(b - a) / 80 for a, b in zip(lo, hi, strict=True)])
    assert np.exp(np.asarray(logs))[np.asarray(upright)].sum() * cell == pytest.approx(1, abs=0.02)


def test_importance_weights_have_mean_one_at_five_euler_steps(x64):
    # against a known law, with the exact velocity as the model: unbiased at any step count
    from infsup.generative import Linear
    from infsup.generative.bridge import exact_velocity

    law = ring(spread=1.5, radius=3.0)
    v = lambda t, x: exact_velocity(law, Linear(), t, x)  # noqa: E731
    s = FlowSampler(v, np.zeros(2), np.ones(2), row=(2,), solver="euler", steps=5)
    z = jax.random.normal(jax.random.key(0), (4096, 2), jnp.float64)
    x, logs, upright = eqx.filter_jit(FlowSampler.push_with_density)(s, z)
    w = np.exp(np.asarray(jax.vmap(law.log_density)(x) - logs))
    assert upright.all()
    assert abs(w.mean() - 1) < 4 * w.std() / np.sqrt(len(w))
    # the planted bug: the density of the ODE at the same points, whose mean weight is not 1
    div = jax.vmap(lambda y: _ode_logdet(v, y, 5))(z)
    biased = np.exp(np.asarray(jax.vmap(law.log_density)(x) - (s._base(z) - div)))
    assert abs(biased.mean() - 1) > 4 * biased.std() / np.sqrt(len(w))


def _ode_logdet(v, x, n):
    total = 0.0
    for k in range(n):
        total += jnp.trace(jax.jacfwd(lambda y, t=k / n: v(t, y))(x)) / n
        x = x + v(k / n, x) / n
    return total


def test_a_fold_is_refused():
    # 1 + h k < 0: Euler turns space inside out
    s = stretched("euler", 1, k=-3.0, d=1)
    x, logs = s.sample_and_log_prob(jax.random.key(0), 4)
    assert np.isnan(logs).all()
    with pytest.raises(HypothesisError, match="cannot be inverted at 4 of 4"):
        s.log_prob(x)
    good = stretched("euler", 10, k=-3.0, d=1)
    assert np.isfinite(good.log_prob(x)).all()


def test_many_dimensions_have_no_density_but_samples():
    s = stretched(d=97)
    assert s.sample(jax.random.key(0), 3).shape == (3, 97)
    with pytest.raises(UsageError, match="97 dimensions"):
        s.log_prob(s.sample(jax.random.key(0), 3))


def test_rows_keep_their_shape():
    shift, scale = np.zeros(6, np.float32), np.ones(6, np.float32)
    s = FlowSampler(Stretch(0.1), shift, scale, row=(2, 3), steps=2)
    x, logs = s.sample_and_log_prob(jax.random.key(0), 5)
    assert x.shape == (5, 2, 3)
    assert np.allclose(s.log_prob(x), logs, atol=1e-4)


def test_log_prob_has_gradients(rough, x64):
    s = rough.with_solver("euler", 4).astype(jnp.float64)
    x = jnp.array([[0.3, -0.8]])
    f = jax.jit(lambda y: s.push_with_density(y)[1][0])
    slope = jax.jit(jax.grad(f))(x)
    eps = 1e-6
    step = jnp.array([[eps, 0.0]])
    ends = [float(f(x + d)) for d in (step, -step)]
    assert slope[0, 0] == pytest.approx((ends[0] - ends[1]) / (2 * eps), rel=1e-5)


class Rate(eqx.Module):
    """v = k x, with k to differentiate in."""

    k: jax.Array

    def __call__(self, t, x):
        return self.k * x


def test_the_density_at_given_points_has_gradients(x64):
    # through the inverted steps, in the point and in the weights: q is N(0, g^2), g = (1 + k/n)^n
    def log_q(k, x):
        one = jnp.ones(1, jnp.float64)
        s = FlowSampler(Rate(k), 0 * one, one, row=(1,), solver="euler", steps=3)
        return s.pull(x[None, None])[0][0]

    k, x = jnp.asarray(0.6), jnp.asarray(0.8)
    g = 1.2**3
    in_k, in_x = jax.jit(jax.grad(log_q, (0, 1)))(k, x)
    assert in_x == pytest.approx(-0.8 / g**2)
    assert in_k == pytest.approx((0.8**2 / g**2 - 1) / 1.2)


def test_the_fitted_gaussian_has_its_density():
    rng = np.random.default_rng(0)
    c = np.array([[2.0, 0.6], [0.6, 0.5]])
    g = GaussianSampler.fitted(np.array([1.0, -1.0]), c, (2,))
    x = rng.normal(size=(7, 2)).astype(np.float32)
    from scipy.stats import multivariate_normal

    want = multivariate_normal([1.0, -1.0], c).logpdf(x)
    assert np.allclose(g.log_prob(jnp.asarray(x)), want, atol=1e-3)
    big = np.asarray(g.sample(jax.random.key(0), 100_000), np.float64)
    assert np.allclose(np.cov(big.T), c, atol=0.03)


@pytest.mark.parametrize(("name", "value"), [("solver", "rk5"), ("steps", 0)])
def test_what_is_no_solver(name, value):
    with pytest.raises(UsageError, match=f"`{name}`"):
        FlowSampler(Stretch(0.1), np.zeros(1), np.ones(1), row=(1,), **{name: value})
