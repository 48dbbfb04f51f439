"""The ReLU calculus: every operation is an identity of functions, in exact arithmetic."""

from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infsup.core.errors import PrecisionError, UsageError
from infsup.networks import ReLUNetwork, from_equinox, identity, parallel, stack
from infsup.networks.recipes import Standardised
from infsup.networks.relu import exact_product


def network(rng, ins=2, widths=(3, 4, 2), outs=2, scale=1.0):
    """Random weights, with skip connections and zeros among them."""
    levels, nodes = [], ins
    for n in widths:
        w = rng.normal(size=(n, nodes)) * scale * (rng.random((n, nodes)) < 0.7)
        levels.append((w, rng.normal(size=n)))
        nodes += n
    out = rng.normal(size=(outs, nodes)) * (rng.random((outs, nodes)) < 0.7), rng.normal(size=outs)
    return ReLUNetwork(ins, levels, out, False)


def point(rng, d):
    return [Fraction(int(rng.integers(-99, 99)), int(rng.integers(1, 99))) for _ in range(d)]


def tent():
    w, b = np.array([[1.0], [1.0]]), np.array([0.0, -0.5])
    return ReLUNetwork(1, [(w, b)], (np.array([[0.0, 2.0, -4.0]]), np.zeros(1)))


@given(st.integers(0, 10**6))
@settings(max_examples=25)
def test_operations_are_identities(seed):
    rng = np.random.default_rng(seed)
    f, g, k = network(rng), network(rng, 3, (2, 5), 2, 1e8), network(rng, 2, (4,), 2)
    c = float(rng.normal())
    for _ in range(3):
        x, z = point(rng, 2), point(rng, 3)
        fx, kx, gz = f.exact(x), k.exact(x), g.exact(z)
        assert (f @ g).exact(z) == f.exact(gz)
        assert (f + k).exact(x) == [a + b for a, b in zip(fx, kx, strict=True)]
        assert (f - k).exact(x) == [a - b for a, b in zip(fx, kx, strict=True)]
        assert (c * f).exact(x) == [Fraction(c) * a for a in fx]
        assert (-f).exact(x) == [-a for a in fx]
        assert stack(f, k).exact(x) == fx + kx
        assert parallel(f, g).exact(x + z) == fx + gz
        for h, y in ((f, x), (g, z), (k, x)):
            s = h.strict()
            assert s.is_strict
            assert s.exact(y) == h.exact(y)


def test_counts_under_both_conventions():
    net = tent()
    c = net.counts
    # 2 weights and 1 bias in front, 2 weights behind (the input's is zero)
    assert (c.units, c.n_nonzero, c.n_hidden, c.width) == (2, 5, 1, 2)
    # 4 edges, 2 units, 1 output unit
    assert c.n_weights_yarotsky == 7
    for d in (1, 2, 5):
        for layers in (1, 2, 4):
            c = identity(d, layers).counts
            # Petersen-Zech, Lemma 5.1
            assert (c.n_nonzero, c.width) == (2 * d * (layers + 1), 2 * d)
            x = point(np.random.default_rng(d), d)
            assert identity(d, layers).exact(x) == x


def test_a_composition_that_rounds_is_carried():
    rng = np.random.default_rng(0)
    f, g = network(rng, 1, (3,), 1), network(rng, 1, (3,), 1)
    assert (f @ g).counts.units == 3 + 2 + 3  # two carriers
    assert (tent() @ tent()).counts.units == 4  # dyadic weights: merged
    assert exact_product(np.array([[0.1]]), np.array([[0.1]])) is None
    assert exact_product(np.array([[0.5]]), np.array([[0.1]])) == np.array([[0.05]])
    assert exact_product(np.array([[1e-200]]), np.array([[1e-200]])) is None
    assert exact_product(np.array([[1e200]]), np.array([[1e200]])) is None
    assert exact_product(np.ones((1, 1)), np.ones((1, 1)), np.full((1, 1), 1e-17)) is None


@pytest.mark.parametrize("m", [1, 2, 5, 10, 16])
def test_a_sawtooth_has_two_to_the_m_pieces(m):
    saw = tent()
    for _ in range(m - 1):
        saw = saw @ tent()
    assert saw.counts.units == 2 * m
    assert saw.pieces(0.0, 1.0) == 2**m
    if 1 < m < 16:
        assert saw.pieces(0.0, 0.75) == (3 * 2**m) // 4
        assert saw.pieces(-1.0, 2.0) == 2**m + 2


def test_breakpoints_that_the_output_does_not_show_are_no_pieces():
    w, b = np.array([[1.0], [1.0], [1.0]]), np.array([0.0, 0.0, -1.0])
    cancel = ReLUNetwork(1, [(w, b)], (np.array([[0.0, 1.0, -1.0, 0.0]]), np.zeros(1)))
    assert cancel.pieces(-1.0, 2.0) == 1
    constant = ReLUNetwork(1, (), (np.zeros((1, 1)), np.ones(1)))
    assert constant.pieces(0.0, 1.0) == 1
    dead = ReLUNetwork(1, [(np.ones((2, 1)), np.full(2, -9.0))], (np.ones((1, 3)), np.zeros(1)))
    assert dead.pieces(0.0, 1.0) == 1
    # two breakpoints that float64 cannot tell apart
    near = np.array([[1.0], [1.0]]), np.array([-1.0, -1.0])
    steps = [near, (np.array([[0.0, 2.0**-60, 0.0]]), np.array([-(2.0**-80)]))]
    third = ReLUNetwork(1, steps, (np.array([[0.0, 1.0, 0.0, 1.0]]), np.zeros(1)))
    assert third.pieces(0.0, 2.0) == 3
    with pytest.raises(UsageError, match="2 inputs"):
        network(np.random.default_rng(0)).pieces(0.0, 1.0)
    with pytest.raises(UsageError, match="empty"):
        tent().pieces(1.0, 0.0)


def test_evaluation_agrees_in_jax_numpy_and_rationals(x64):
    rng = np.random.default_rng(1)
    f = network(rng)
    x = rng.normal(size=(50, 2))
    inside = np.asarray(jax.jit(jax.vmap(f))(x))
    np.testing.assert_allclose(inside, f.values(x), rtol=1e-12, atol=1e-12)
    for row, y in zip(x, f.values(x), strict=True):
        np.testing.assert_allclose(y, [float(v) for v in f.exact(row.tolist())], rtol=1e-12)
    single = f.astype(np.float32)
    assert single(x[0].astype(np.float32)).dtype == jnp.float32
    assert tent()(0.25) == 0.5
    assert np.shape(tent()(0.25)) == ()
    assert tent().values(np.array([0.25, 0.5, 1.0])).tolist() == [0.5, 1.0, 0.0]


def test_with_the_flag_off_it_refuses_to_round():
    if jax.config.jax_enable_x64:
        pytest.skip("needs 64-bit off")
    with pytest.raises(PrecisionError):
        tent()(0.25)
    assert tent().astype(np.float32)(0.25) == 0.5


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_from_equinox_is_exact(dtype):
    mlp = eqx.nn.MLP(2, 1, 8, 3, key=jax.random.key(0), dtype=dtype)
    net = from_equinox(mlp)
    assert net.widths == (8, 8, 8)
    assert net.is_strict
    x = jnp.asarray([0.3, -0.7], dtype)
    assert np.allclose(float(net.exact([float(v) for v in x])[0]), float(mlp(x)[0]), rtol=0.05)
    weights = [np.asarray(layer.weight, np.float64) for layer in mlp.layers]
    assert np.array_equal(net.levels[2][0][:, -8:], weights[2])
    layers = [eqx.nn.Linear(2, 3, key=jax.random.key(1)), eqx.nn.Lambda(jax.nn.relu)]
    layers += [eqx.nn.Linear(3, 3, use_bias=False, key=jax.random.key(2))]
    layers += [eqx.nn.Linear(3, "scalar", key=jax.random.key(3))]
    two = from_equinox(eqx.nn.Sequential(layers))
    y = np.array([0.25, -0.5])
    np.testing.assert_allclose(two.values(y[None])[0], eqx.nn.Sequential(layers)(y), rtol=1e-5)


def test_standardised_inputs_are_carried_exactly():
    mlp = eqx.nn.MLP(2, 1, 4, 1, key=jax.random.key(0), dtype=jnp.float32)
    shift, scale = np.float32([0.1, 7.3]), np.float32([3.3, -0.7])
    net = from_equinox(Standardised(shift, scale, mlp))
    x = [Fraction(1, 3), Fraction(22, 7)]
    z = [
        (v - Fraction(float(a))) * Fraction(float(b))
        for v, a, b in zip(x, shift, scale, strict=True)
    ]
    assert net.exact(x) == from_equinox(mlp).exact(z)


def test_what_is_no_relu_network_is_named():
    for model, words in (
        (eqx.nn.MLP(1, 1, 4, 1, jnp.tanh, key=jax.random.key(0)), "tanh"),
        (eqx.nn.Sequential([eqx.nn.LayerNorm(3)]), "LayerNorm"),
        (lambda x: x, "function"),
        (eqx.nn.MLP(1, 1, 4, 1, final_activation=jnp.tanh, key=jax.random.key(0)), "tanh"),
    ):
        with pytest.raises(UsageError, match=words):
            from_equinox(model)


def test_bad_weights_are_named():
    good = np.ones((1, 1)), np.zeros(1)
    for levels, out, words in (
        ([(np.ones((2, 3)), np.zeros(2))], good, r"levels\[0\]"),
        ([], (np.ones((1, 2)), np.zeros(1)), "columns"),
        ([], (np.full((1, 1), np.nan), np.zeros(1)), "NaN"),
        ([], (np.ones((1, 1)), np.zeros(2)), "b"),
    ):
        with pytest.raises(UsageError, match=words):
            ReLUNetwork(1, levels, out)
    for wrong in (
        lambda f: f @ network(np.random.default_rng(0), 1, (), 1),
        lambda f: f + tent(),
        lambda f: f * np.inf,
        lambda f: stack(f, tent()),
        lambda f: f.exact([1]),
    ):
        with pytest.raises(UsageError):
            wrong(network(np.random.default_rng(0)))


def test_it_is_stored_by_name():
    from infsup.core.encoding import Record, decode, encode

    arrays = {}
    record = decode(encode(tent(), arrays, "net"), arrays)
    assert isinstance(record, Record)
    assert record.name == "networks.ReLUNetwork"
    assert np.array_equal(record["out"][0], tent().out[0])
