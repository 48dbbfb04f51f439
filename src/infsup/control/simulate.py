"""Paths of a noise-matched problem under any control law, held constant on a grid of steps.

A control that is held on steps is adapted, so its cost is an upper bound of V, and since the drift
is B u the transitions are Gaussian and exact: no time discretisation is left. Normals are drawn in
float32; all arithmetic and all sums are float64.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from infsup.control.structure import Structure
from infsup.core.errors import UsageError

BATCH = 1024
"""Paths simulated at a time; bounds the memory."""


class Paths(NamedTuple):
    """One number a path, NumPy float64 [n].

    Args:
        cost: g(X_T) + sum u'Qu dt.
        matched_cost: g(X_T) + sum |theta|^2 dt/(2 lam), theta = B u/s; at most `cost`.
        girsanov: sum theta . dW / lam, of mean zero.
        penalty: -sum s grad phi . dW, of mean zero.
        radius: |Phi_0 x0 + s int Phi dW|, the radius of the pathwise dual, on the same noise.
    """

    cost: np.ndarray
    matched_cost: np.ndarray
    girsanov: np.ndarray
    penalty: np.ndarray
    radius: np.ndarray


def check_sizes(bound: Any) -> None:
    """The numbers of paths and steps of a sampling bound.

    Raises:
        UsageError: fewer than two paths, or no step.
    """
    for name, least in (("paths", 2), ("steps", 1)):
        got = getattr(bound, name)
        if not isinstance(got, int) or isinstance(got, bool) or got < least:
            raise UsageError(
                f"`{name}` is {got!r}", f"It is a whole number, at least {least}.", f"{name}=1000"
            )


def simulate(
    problem: Any, s: Structure, answer: Any, k: float, steps: int, paths: int, key: Any
) -> Paths:
    """Simulates a law on fresh noise.

    Args:
        problem: noise-matched.
        s: its structure.
        answer: an accepted law; may take a key.
        k: stiffness 2 lam c T of the quadratic penalty, > -1; 0 for none.
        steps: N, how often the law is asked.
        paths: n.
        key: typed key.
    """
    c = s.at_zero
    assert c is not None
    assert s.lam is not None
    assert s.spread is not None
    d, m = problem.x0.size, problem.controls
    Q = c.W[d : d + m, d : d + m]

    def lean(a):
        """A multiple of the identity as a number: d products in place of d^2."""
        square = a.shape[0] == a.shape[1] and np.array_equal(a, a[0, 0] * np.eye(len(a)))
        return jnp.asarray(a[0, 0] if square else a)

    numbers = (
        jnp.asarray(problem.x0),
        lean(c.B),
        lean(Q),
        jnp.asarray(s.lam),
        jnp.asarray(s.spread),
        jnp.asarray(float(problem.horizon)),
        jnp.asarray(float(k)),
    )
    batch = min(BATCH, paths)
    keys = jax.random.split(key, -(-paths // batch))
    out = _simulate(answer, problem.terminal, numbers, keys, steps, batch)
    return Paths(*(np.asarray(a, np.float64).ravel()[:paths] for a in out))


def _times(a: Any, x: Any) -> Any:
    return a * x if a.ndim == 0 else x @ a.T


@eqx.filter_jit
def _simulate(
    answer: Any, terminal: Any, numbers: tuple, keys: Any, steps: int, batch: int
) -> tuple:
    x0, B, Q, lam, spread, horizon, k = numbers
    dt = horizon / steps
    times = horizon * jnp.arange(steps) / steps
    c = k / (2 * lam * (spread**2 * horizon / 2))  # of the penalty, at T

    def one_batch(key):
        first, last = jax.random.split(key)
        shape = (batch, x0.size)

        def step(carry, at):
            x, running, matched, girsanov, penalty, xi, spare = carry
            t, step_key = at
            noise_key, law_key = jax.random.split(step_key)
            dw = jax.random.normal(noise_key, shape, jnp.float32).astype(jnp.float64)
            dw = dw * jnp.sqrt(dt)
            if answer.random:
                law_keys = jax.random.split(law_key, batch)
                u = jax.vmap(lambda y, q: answer(t, y, q))(x, law_keys)
            else:
                u = jax.vmap(lambda y: answer(t, y))(x)
            u = u.astype(jnp.float64)
            push = _times(B, u)
            theta = push / spread
            running = running + dt * jnp.sum(u * _times(Q, u), -1)
            matched = matched + dt * jnp.sum(theta * theta, -1) / (2 * lam)
            girsanov = girsanov + jnp.sum(theta * dw, -1) / lam
            left = 1 + k * (horizon - t) / horizon
            right = left - k * dt / horizon
            penalty = penalty - spread * (c / left) * jnp.sum(x * dw, -1)
            # mean of Phi over the step, and what of int Phi dW the increment does not know
            gap = k * dt / (horizon * right)
            safe = jnp.where(jnp.abs(gap) < 1e-8, 1.0, gap)
            mean = jnp.where(jnp.abs(gap) < 1e-8, 1 - gap / 2, jnp.log1p(safe) / safe) / right
            xi = xi + spread * mean * dw
            spare = spare + jnp.maximum(dt / (left * right) - dt * mean**2, 0.0)
            x = x + push * dt + spread * dw
            return (x, running, matched, girsanov, penalty, xi, spare), None

        x = jnp.broadcast_to(x0, shape)
        zero = jnp.zeros(batch)
        start = (x, zero, zero, zero, zero, x / (1 + k), jnp.zeros(()))
        end, _ = jax.lax.scan(step, start, (times, jax.random.split(first, steps)))
        x, running, matched, girsanov, penalty, xi, spare = end
        g = jax.vmap(terminal)(x)
        rest = jax.random.normal(last, shape, jnp.float32).astype(jnp.float64)
        xi = xi + spread * jnp.sqrt(spare) * rest
        radius = jnp.sqrt(jnp.sum(xi * xi, -1))
        return g + running, g + matched, girsanov, penalty, radius

    return jax.lax.map(one_batch, keys)
