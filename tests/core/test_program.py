import json
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infsup.core.encoding import decode, encode
from infsup.core.errors import FileRejected, UsageError
from infsup.core.program import Argument, Program, Step, from_json, to_json
from infsup.core.tracing import trace

W = np.random.default_rng(0).normal(size=(3, 4))

X = np.asarray([0.1, 0.4, 0.8])
FUNCTIONS = {
    "sin": jnp.sin,
    "damped": lambda x: jnp.exp(-x) * jnp.sin(3 * x),
    "power": lambda x: jnp.abs(x) ** 1.5 + x**0.5 + x**3 + 2.0**x + x**-2,
    "activations": lambda x: (
        jax.nn.relu(x - 0.3)
        + jax.nn.sigmoid(x)
        + jax.nn.gelu(x, approximate=False)
        + jax.nn.softplus(x)
        + jax.nn.silu(x)
        + jax.nn.elu(x)
        + jax.nn.leaky_relu(x)
    ),
    "where": lambda x: jnp.where(x > 0.2, x, x**3) + jnp.where((x < 0.1) | ~(x > 0.6), 1.0, 0.0),
    "clip": lambda x: jnp.clip(x, 0.2, 0.5),
    "matrix": lambda x: jnp.sum(jnp.asarray(W) @ (x * jnp.arange(4.0))),
    "norm": lambda x: jnp.linalg.norm(jnp.stack([x, 1.0 + x])),
    "loop": lambda x: jnp.polyval(jnp.asarray([1.0, 2.0, 3.0]), x),
    "scan": lambda x: jax.lax.scan(lambda c, a: (c * x + a, c), 0.0, jnp.arange(4.0))[1].sum(),
    "gradient": jax.grad(lambda x: jnp.tanh(x) * x),
    "mean": lambda x: jnp.mean(jnp.cos(x * jnp.linspace(0, 1, 5))[::-1]),
    "largest": lambda x: jnp.max(x * jnp.asarray([1.0, -2.0])) + jnp.prod(x + jnp.ones(2)),
    "constant": lambda x: 3.0,
    "jitted": jax.jit(lambda x: jnp.arctan(x) + jnp.cbrt(x)),
    "condition as number": lambda x: (x > 0.3).astype(float) * x,
    "table": lambda x: jnp.interp(x, X, jnp.asarray([1.0, -1.0, 2.0])),
    "either": lambda x: jax.lax.cond(x > 0.5, lambda x: x - 0.5, lambda x: (0.5 - x) ** 2, x),
    "guarded": lambda x: jnp.hypot(x, 2.0) + jnp.nan_to_num(x) + jnp.where(x < 2, x, jnp.inf),
    "shifted": lambda x: jax.scipy.special.logsumexp(jnp.stack([x, 3 * x, 1 - x])),
    "softmax": lambda x: jax.nn.softmax(jnp.stack([x, 3 * x, 1 - x]))[1],
    "angle": lambda x: jnp.arctan2(x - 0.5, x + 0.2),
    "running sum": lambda x: jnp.cumsum(jnp.stack([x, x * x, 1 / x]))[1],
    "hyperbolic": lambda x: jnp.arcsinh(x) + jnp.arctanh(x) + jnp.arccosh(1 + x),
    "gamma": lambda x: jax.scipy.special.gammaln(x),
}


@pytest.fixture(autouse=True)
def wide():
    with jax.enable_x64(True):
        yield


def scalar():
    return jax.ShapeDtypeStruct((), np.float64)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_traced_program_is_the_function(name):
    f, x = FUNCTIONS[name], np.linspace(0.05, 0.9, 7)
    p = trace(f, scalar())
    want = np.asarray(jax.vmap(f)(jnp.asarray(x)) * jnp.ones(7))
    np.testing.assert_allclose([p(t) for t in x], want, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(p(x), want, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(jax.jit(p)(jnp.asarray(x)), want, rtol=1e-14, atol=1e-14)
    assert isinstance(p(jnp.asarray(0.3)), jax.Array)
    again = from_json(json.loads(json.dumps(to_json(p))), p.arrays)
    assert again == p
    assert hash(again) == hash(p)


def test_arguments_may_be_arrays():
    p = trace(lambda t, x: t * jnp.asarray(W) @ x, scalar(), jax.ShapeDtypeStruct((4,), np.float64))
    np.testing.assert_allclose(p(2.0, np.arange(4.0)), 2 * W @ np.arange(4.0), rtol=1e-14)


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda x: jax.scipy.special.i0(x), "primitive `bessel_i0e`"),
        (lambda x: jax.scipy.special.digamma(x), "primitive `digamma`"),
        (lambda x: jnp.searchsorted(jnp.arange(3.0), x) * x, r"`jnp.searchsorted`[^$]*jnp.interp"),
        (lambda x: jax.lax.switch(jnp.sign(x).astype(int), [jnp.sin, jnp.cos], x), "it rounds"),
        (lambda x: jnp.interp(x, X, X, left="extrapolate"), "`jnp.searchsorted`"),
        (lambda x: x > 0.5, "gives bool values"),
        (lambda x: jnp.exp(1j * x), "gives complex128 values"),
        (lambda x: jax.lax.while_loop(lambda c: c < 3, lambda c: c + x, x), "primitive `while`"),
        (lambda x: jnp.floor(x), "primitive `floor`"),
        (lambda x: x.astype(int) * 1.0, "it rounds"),
        (lambda x: jnp.sum(jax.lax.fori_loop(0, 999, lambda i, c: c * x, x)), "loop of 999"),
        (lambda x: float(x), "cannot be traced"),
        (lambda x: (x, x), "gives 2 arrays"),
        (lambda x: jnp.sum(x + jnp.asarray([1.0, jnp.inf])), "array with infinite"),
    ],
)
def test_what_has_no_enclosure_is_named(f, words):
    with pytest.raises(UsageError, match=words):
        trace(f, scalar())


def test_programs_stand_in_files():
    p = trace(FUNCTIONS["matrix"], scalar())
    arrays = {}
    doc = json.loads(json.dumps(encode({"f": p}, arrays, "problem")))
    assert decode(doc, arrays)["f"] == p


def test_damaged_programs_are_rejected():
    p = trace(FUNCTIONS["matrix"], scalar())
    good = to_json(p)

    def damaged(**change):
        doc = json.loads(json.dumps(good))
        doc.update(change)
        return doc

    steps = good["steps"]
    bad = [
        damaged(out=99),
        damaged(out=-1),
        damaged(out=True),
        damaged(steps=[["os.system", [0], {}]]),
        damaged(steps=[["sin", [5], {}]]),
        damaged(steps=[["sin", [0, 0], {}]]),
        damaged(steps=[["sin", [0], {"x": "y"}]]),
        damaged(steps=[["number", [], {"value": "0.5"}]]),
        damaged(steps=[["number", [], {"value": "inf"}]]),
        damaged(steps=[["array", [], {"name": "nowhere"}]]),
        damaged(steps=[["slice", [0], {"start": [-1], "stop": [2], "stride": [1]}]]),
        damaged(steps=[["sin", [0], {}]] * 30_000),
        damaged(ins=[["x", [-3]]]),
        damaged(ins="x"),
        damaged(text=3),
        damaged(more=1),
        {},
        {k: v for k, v in good.items() if k != "out"},
        damaged(steps=[*steps, None]),
    ]
    for doc in bad:
        with pytest.raises(FileRejected):
            from_json(doc, p.arrays)
    with pytest.raises(FileRejected):
        from_json(good, {**p.arrays, "more": np.array(["text"])})


def test_describes_itself():
    x, half = Argument("x"), Step("number", (), {"value": Fraction(1, 2)})
    p = Program((x,), (half, Step("sub", (0, 1)), Step("log", (2,)), Step("div", (3, 0))), 4)
    assert str(p) == "log(x - 0.5) / x"
    with pytest.raises(UsageError, match="takes 1 arguments"):
        p(1.0, 2.0)
