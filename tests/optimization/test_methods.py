"""Every method: it learns, keeps its dtypes, runs under `vmap`, and compiles once for all rates."""

import os
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import infsup as isp
from infsup.core.clock import compilations
from infsup.core.errors import HypothesisError, UsageError
from infsup.generalization import EmpiricalRisk
from infsup.networks import MLP, Linear
from infsup.optimization import SGD, AdamW, GradientDescent, Minimize, Muon, Newton
from infsup.optimization.muon import residual

SMALL = MLP(width=8, depth=1)
METHODS = {
    "GradientDescent": GradientDescent(SMALL, rate=0.3, steps=60),
    "SGD": SGD(SMALL, rate=0.2, steps=100, batch=16),
    "AdamW": AdamW(SMALL, rate=0.02, steps=60, batch=16),
    "Muon": Muon(SMALL, rate=0.1, steps=60, batch=16),
    "Newton": Newton(SMALL, steps=6, inner=20),
}


def rows(n=90, d=5):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d)).astype(np.float32)
    return x, (x[:, 0] + x[:, 1] ** 2 > 0.7).astype(np.int32)


PROBLEM = EmpiricalRisk(rows())


def accuracy(answer):
    x, y = (PROBLEM.data.fit[k] for k in "xy")
    return float((jax.vmap(answer)(x).argmax(1) == y).mean())


@pytest.mark.parametrize("name", METHODS)
def test_it_learns_and_stays_float32(name):
    outcome = isp.run(PROBLEM, METHODS[name], 0)
    arrays = jax.tree.leaves(eqx.filter(outcome.answer, eqx.is_inexact_array))
    assert {a.dtype for a in arrays} == {jnp.dtype("float32")}
    assert accuracy(outcome.answer) > 0.8


SCRIPT = """
import equinox as eqx, jax, json, sys
sys.path.insert(0, {here!r})
import infsup as isp
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("methods", {file!r})
tests = module_from_spec(spec)
spec.loader.exec_module(tests)
out = {{}}
for name, method in tests.METHODS.items():
    answer = isp.run(tests.PROBLEM, method, 0, steps=3).answer
    out[name] = sorted({{str(a.dtype) for a in jax.tree.leaves(eqx.filter(answer, eqx.is_array))}})
print(json.dumps([jax.config.jax_enable_x64, out]))
"""


@pytest.mark.slow  # the suite runs with INFSUP_TEST_X64=0 as well
def test_dtypes_are_the_same_with_the_other_flag():
    import json

    flag = "0" if jax.config.jax_enable_x64 else "1"
    here = os.path.dirname(__file__)
    script = SCRIPT.format(here=here, file=__file__)
    env = {**os.environ, "JAX_ENABLE_X64": flag}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    other, dtypes = json.loads(done.stdout.splitlines()[-1])
    assert other == (flag == "1")
    assert dtypes == {name: ["float32"] for name in METHODS}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("GradientDescent", marks=pytest.mark.slow),  # these two step as AdamW does
        pytest.param("SGD", marks=pytest.mark.slow),
        "AdamW",
        "Muon",
    ],
)
def test_seeds_and_rates_under_vmap(name):
    method = METHODS[name]

    def one(key, rate):
        return isp.run(PROBLEM, type(method)(SMALL, rate=rate, steps=10), key, steps=5).answer

    keys = jax.random.split(jax.random.key(0), 3)
    rates = jnp.array([1e-3, 1e-2, 1e-1], jnp.float32)
    found = eqx.filter_vmap(one)(keys, rates)
    leaves = jax.tree.leaves(eqx.filter(found, eqx.is_array))
    assert all(a.shape[0] == 3 and a.dtype == jnp.float32 for a in leaves)
    if name != "AdamW":
        return
    alone = isp.run(PROBLEM, type(method)(SMALL, rate=1e-2, steps=10), keys[1], steps=5).answer
    for a, b in zip(leaves, jax.tree.leaves(eqx.filter(alone, eqx.is_array)), strict=True):
        np.testing.assert_allclose(a[1], b, atol=2e-5)


def test_newton_under_vmap():
    keys = jax.random.split(jax.random.key(0), 2)
    found = eqx.filter_vmap(lambda k: isp.run(PROBLEM, Newton(SMALL, inner=20), k, steps=3).answer)(
        keys
    )
    leaves = jax.tree.leaves(eqx.filter(found, eqx.is_array))
    assert all(np.isfinite(a).all() and len(a) == 2 for a in leaves)


def test_another_rate_compiles_nothing():
    def solved(**fields):
        isp.solve(PROBLEM, AdamW(SMALL, batch=16, **fields), progress=False)

    solved(rate=0.01, steps=50)
    before = compilations.count
    solved(rate=0.02, steps=50)
    solved(rate=0.01, steps=40, weight_decay=0.1)
    assert compilations.count == before


def test_newton_reaches_the_minimum_in_64_bits(x64):
    data = isp.data.digits()
    problem = EmpiricalRisk(data, model=Linear(dtype="float64"), ridge=1e-3)
    s = isp.solve(problem, progress=False)
    assert s.certificate.quantity == "distance to the least objective"
    assert s.certificate.upper <= 1e-12
    assert s.stopped_by == "done"
    assert s.steps < 20
    assert s.answer.weight.dtype == jnp.float64


@pytest.mark.slow
def test_newton_in_32_bits_stops_at_its_rounding(x64):
    problem = EmpiricalRisk(isp.data.digits(), model=Linear(), ridge=1e-3)
    rough = isp.solve(problem, progress=False)
    assert rough.stopped_by == "done"
    assert rough.answer.weight.dtype == jnp.float32
    assert rough.certificate.upper <= 1e-11


def test_newton_leaves_a_saddle_and_minimises_a_users_function():
    def f(w):
        return w[0] ** 4 / 4 - w[0] ** 2 / 2 + w[1] ** 2

    start = jnp.array([0.01, 1.0], jnp.float32)
    found = isp.run(Minimize(f, start), Newton(), 0, start=start).answer
    assert abs(abs(float(found[0])) - 1) < 1e-3


def test_the_loss_falls_at_every_newton_step():
    s = isp.solve(PROBLEM, Newton(SMALL, steps=6, inner=20), progress=False)
    assert (np.diff(s.history["loss"]) <= 1e-6).all()


def test_muon_steps_are_nearly_orthogonal():
    """The page's figures: 94 % of the singular values within 5 % of one, 12 % by the old steps."""
    g = jax.random.normal(jax.random.key(0), (128, 128), jnp.float32)
    method = Muon(rate=1.0, weight_decay=0.0, schedule="constant")
    transform = method._transform()
    update, memory = jax.jit(transform.update)(
        {"w": g}, transform.init({"w": jnp.zeros_like(g)}), {"w": jnp.zeros_like(g)}
    )
    values = np.linalg.svd(np.asarray(update["w"]) / (0.2 * 128**0.5), compute_uv=False)
    assert np.mean(np.abs(values - 1) < 0.05) > 0.85
    expected = np.sqrt(np.mean((values**2 - 1) ** 2))
    assert float(memory.residual) == pytest.approx(expected, rel=1e-3)
    q = jnp.linalg.qr(g[:, :7])[0]
    assert float(residual(q)) < 1e-5


def test_muon_tells_its_residual():
    method, problem, key = METHODS["Muon"], PROBLEM.fit, jax.random.key(0)
    state = eqx.filter_eval_shape(method.init, problem, None, key)
    _, metrics = eqx.filter_eval_shape(method.step, problem, state, key)
    assert set(metrics) == {"loss", "loss_average", "gradient", "orthogonality"}


@pytest.mark.parametrize("shape", [(64, 64), (16, 256), (256, 16), (32, 8, 3, 3)])
def test_muon_updates_have_one_size_whatever_the_shape(shape):
    """The fault of other ports: steps 5 to 500 times too small on convolutions."""
    method = Muon(rate=1.0, weight_decay=0.0, schedule="constant")
    transform = method._transform()
    w = jnp.zeros(shape, jnp.float32)
    g = jax.random.normal(jax.random.key(0), shape, jnp.float32)
    update, _ = jax.jit(transform.update)({"w": g}, transform.init({"w": w}), {"w": w})
    assert float(jnp.sqrt(jnp.mean(update["w"] ** 2))) == pytest.approx(0.2, rel=0.1)


class Plain(eqx.Module):
    w: jax.Array

    def __call__(self, x):
        return self.w @ x


BAD = [
    (lambda: AdamW(rate=0.0), "`rate` of AdamW is 0.0"),
    (lambda: AdamW(rate=float("nan")), "`rate` of AdamW is nan"),
    (lambda: SGD(steps=0), "`steps` of SGD is 0"),
    (lambda: SGD(steps=2.5), "`steps` of SGD is 2.5"),
    (lambda: Muon(batch=0), "`batch` of Muon is 0"),
    (lambda: AdamW(weight_decay=-1.0), "`weight_decay` of AdamW is -1.0"),
    (lambda: GradientDescent(schedule="cosin"), "Try  cosine"),
    (lambda: Newton(inner=0), "`inner` of Newton is 0"),
    (lambda: isp.solve(PROBLEM, AdamW(batch=500)), "is 500, and there are 72 rows to fit"),
    (lambda: isp.solve(PROBLEM, AdamW(model=3)), "`model` of AdamW is int"),
    (lambda: isp.solve(PROBLEM, AdamW(model=lambda: None)), "`model` of AdamW cannot be made"),
    (
        lambda: isp.solve(PROBLEM, AdamW(model=Plain(jnp.zeros((3, 5))))),
        r"`model` of AdamW gives f\d\d\[3\]",
    ),
    (
        lambda: isp.solve(PROBLEM, AdamW(model=Plain(jnp.zeros((2, 5), jnp.int32)))),
        "no floating-point arrays",
    ),
    (lambda: Minimize(3, jnp.zeros(2)), "`f` of Minimize is int"),
    (lambda: Minimize(lambda w: w, jnp.zeros(2)), "not one real number"),
    (lambda: Minimize(lambda w: w @ w, jnp.zeros(2), strong_convexity=0.0), "`strong_convexity`"),
    (lambda: Minimize(lambda w: w @ w, jnp.zeros(2, int)), "`like` holds"),
]


@pytest.mark.parametrize(("call", "words"), BAD)
def test_bad_input_is_refused_in_words(call, words):
    with pytest.raises(UsageError, match=words):
        call()


def test_structures_that_do_not_fit():
    quadratic = Minimize(lambda w: w @ w, jnp.zeros(2, jnp.float32))
    with pytest.raises(HypothesisError, match="`SGD` is not for `Minimize`"):
        isp.solve(quadratic, SGD())
    with pytest.raises(HypothesisError, match="`model` of AdamW is MLP, and the problem asks"):
        isp.solve(quadratic, AdamW(MLP()))
    convex = EmpiricalRisk(rows(), model=Linear(), ridge=0.1)
    with pytest.raises(HypothesisError, match="its own class of functions"):
        isp.run(convex, AdamW(MLP(), batch=16), 0)

    class Dropping(eqx.Module):
        w: jax.Array

        def __call__(self, x, key):
            return self.w @ x

    with pytest.raises(HypothesisError, match="takes a key"):
        isp.run(PROBLEM, AdamW(Dropping(jnp.zeros((2, 5))), batch=16), 0)


@pytest.mark.parametrize("shape", [(3, 2), (3,)])
def test_muon_takes_a_bare_point(shape):
    """A bare matrix leaves no tree of vectors, a bare vector none of matrices."""
    problem = Minimize(lambda w: jnp.sum((w - 1) ** 2), jnp.zeros(shape))
    method = Muon(rate=0.1, steps=300, batch=None, schedule="linear")
    assert np.allclose(isp.run(problem, method, 0).answer, 1.0, atol=1e-2)
