import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infsup.numerics import degree_in

S = jax.ShapeDtypeStruct((), jnp.float32)
X = jax.ShapeDtypeStruct((3,), jnp.float32)
A = np.arange(9.0).reshape(3, 3)


@pytest.mark.parametrize(
    ("f", "in_x", "in_t"),
    [
        (lambda t, x: jnp.asarray(A) @ x + t, 1, 1),
        (lambda t, x: t**2 * x, 1, 2),
        (lambda t, x: jnp.sin(t) * x, 1, math.inf),
        (lambda t, x: x @ x, 2, 0),
        (lambda t, x: x / (1 + t), 1, math.inf),
        (lambda t, x: x**3, 3, 0),
        (lambda t, x: x**2.0, 2, 0),
        (lambda t, x: jnp.square(x) * x, 3, 0),
        (lambda t, x: jnp.exp(x), math.inf, 0),
        (lambda t, x: x**-1, math.inf, 0),
        (lambda t, x: jnp.where(t > 0, x, -x), 1, math.inf),
        (lambda t, x: jnp.where(x > 0, x, -x), math.inf, 0),
        (lambda t, x: jax.nn.relu(x), math.inf, 0),
        (lambda t, x: jnp.einsum("i,ij,j", x, jnp.asarray(A), x), 2, 0),
        (lambda t, x: x.at[0].set(t), 1, 1),
        (lambda t, x: jnp.concatenate([x[::-1], x * x[0]]), 2, 0),
        (lambda t, x: jnp.stack([x[0], x[1] * x[2]]).sum(), 2, 0),
        (lambda t, x: jnp.sqrt(x * x), math.inf, 0),
        (lambda t, x: jax.jit(lambda y: 2 * y)(x), 1, 0),
        (lambda t, x: jax.checkpoint(lambda y: y * y)(x), 2, 0),
        (lambda t, x: jnp.ones(3), 0, 0),
        (lambda t, x: x.astype(jnp.int32).astype(jnp.float32), math.inf, 0),
        (lambda t, x: jax.lax.stop_gradient(x) * x, math.inf, 0),  # derivatives would lie
        (lambda t, x: jax.lax.cond(t > 0, lambda y: y, lambda y: y * y, x), 2, math.inf),
        (lambda t, x: jax.lax.fori_loop(0, 2, lambda _, y: y * y, x), math.inf, 0),
        (lambda t, x: jax.lax.dynamic_slice(x, (t.astype(int),), (1,)), 1, math.inf),
        (lambda t, x: jnp.take(x, jnp.argmax(x)), math.inf, 0),
    ],
)
def test_degrees(f, in_x, in_t):
    assert degree_in(f, S, X, wrt=(1,)).value == in_x
    assert degree_in(f, S, X, wrt=(0,)).value == in_t


def test_an_upper_bound_of_the_true_degree():
    # differences of order degree + 1 of what is claimed to be a polynomial vanish
    def f(t, x):
        y = jnp.asarray(A) @ x
        return (y * x).sum() * x[0] + (x**2 @ jnp.ones(3)) + t

    n = int(degree_in(f, S, X, wrt=(1,)).value)
    assert n == 3
    v = np.array([0.3, -1.0, 2.0])
    values = [float(f(0.0, k * v)) for k in range(n + 2)]
    assert abs(np.diff(values, n + 1)[0]) < 1e-2


def test_the_culprit_is_named():
    assert degree_in(lambda x: jnp.sin(x) + x, X, wrt=(0,)).culprit == "sin"
