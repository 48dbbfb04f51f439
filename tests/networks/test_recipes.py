"""Recipes: sizes from the problem, explicit float32, standardised inputs that are never trained."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import infsup as isp
from infsup.core.encoding import encode
from infsup.core.errors import UsageError
from infsup.networks import MLP, Flat, Linear, Standardised, affine, trainable

F32 = jnp.float32
INS, IMAGE = jax.ShapeDtypeStruct((3,), F32), jax.ShapeDtypeStruct((4, 4), F32)
SCALAR, LOGITS = jax.ShapeDtypeStruct((), F32), jax.ShapeDtypeStruct((5,), F32)
X = np.array([[1.0, 100.0, 7.0], [3.0, 300.0, 7.0]], np.float32)


@pytest.mark.parametrize("recipe", [MLP(8, 1), MLP(8, 0), Linear(), Linear(bias=False)])
@pytest.mark.parametrize("ins", [INS, IMAGE])
@pytest.mark.parametrize("out", [SCALAR, LOGITS])
def test_sizes_come_from_the_problem(recipe, ins, out):
    net = recipe.build(ins, out, jax.random.key(0))
    got = eqx.filter_eval_shape(net, ins)
    assert (got.shape, got.dtype) == (out.shape, F32)


def test_inputs_are_standardised_by_the_rows_to_fit():
    net = MLP(8, 1).build(INS, SCALAR, jax.random.key(0), jnp.asarray(X))
    assert isinstance(net, Standardised)
    np.testing.assert_allclose((X - net.shift) * net.scale, [[-1, -1, 0], [1, 1, 0]], atol=1e-5)
    spec = trainable(net)
    assert spec.shift is False
    assert spec.scale is False
    assert all(jax.tree.leaves(spec.inner.layers[0].weight))
    plain = MLP(8, 1, standardise=False).build(INS, SCALAR, jax.random.key(0), jnp.asarray(X))
    assert isinstance(plain, eqx.nn.MLP)


def test_the_scales_stay_through_training():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 3)) * [1, 100, 1e-3]
    problem = isp.generalization.EmpiricalRisk((x, x[:, 0]))
    method = isp.optimization.AdamW(MLP(4, 1), batch=8, weight_decay=0.5)
    net = isp.run(problem, method, 0, steps=5).answer
    fitted = np.asarray(problem.data.fit["x"])
    np.testing.assert_allclose(net.shift, fitted.mean(0), rtol=1e-4, atol=1e-6)


def test_affine_takes_the_numbers_of_other_libraries():
    w, b = np.arange(6.0, dtype=np.float32).reshape(2, 3), np.ones(2, np.float32)
    np.testing.assert_allclose(affine(w, b)(jnp.ones(3, F32)), [4, 13])
    assert affine(w[0], 2.0)(jnp.ones(3, F32)).shape == ()
    assert affine(w)(jnp.ones(3, F32)).shape == (2,)
    with pytest.raises(UsageError, match="`bias` is"):
        affine(w, np.ones(3))
    with pytest.raises(UsageError, match="`weight` is"):
        affine(np.zeros((1, 2, 3)))


def test_recipes_and_networks_are_stored_by_name():
    for thing in (
        MLP(8, 1, jax.nn.tanh),
        Linear(dtype="float64"),
        MLP(8, 1).build(IMAGE, LOGITS, jax.random.key(0), jnp.ones((3, 4, 4), F32)),
        Flat(affine(np.zeros((2, 16)), np.zeros(2))),
    ):
        assert "opaque" not in str(encode(thing, {}, "a"))


def test_bad_sizes():
    with pytest.raises(UsageError, match="`width` = 0"):
        MLP(width=0)
    with pytest.raises(UsageError, match="recipes give scalars or vectors"):
        Linear().build(INS, IMAGE, jax.random.key(0))
