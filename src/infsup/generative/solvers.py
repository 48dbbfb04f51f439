"""Fixed-step solvers of dx/dt = v(t, x); a step is a map x -> y whose Jacobian is known."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

STAGES = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 4}
"""Solver -> evaluations of v a step."""


def step(solver: str, v: Callable, t: Any, x: Any, h: Any) -> Any:
    """One step of size h from time t.

    Source: E. Hairer, S. Norsett and G. Wanner, Solving Ordinary Differential Equations I,
    chapter II.1.
    """
    k1 = v(t, x)
    if solver == "euler":
        return x + h * k1
    if solver == "midpoint":
        return x + h * v(t + h / 2, x + h / 2 * k1)
    if solver == "heun":
        return x + h / 2 * (k1 + v(t + h, x + h * k1))

    def stage(carry, row):
        k, total = carry
        c, b = row
        k = v(t + c * h, x + c * h * k)
        return (k, total + b * k), None

    # a scan over the stages: one copy of v to compile, not four
    rows = jnp.array([[0.5, 1 / 3], [0.5, 1 / 3], [1.0, 1 / 6]], x.dtype)
    (_, total), _ = jax.lax.scan(stage, (k1, k1 / 6), rows)
    return x + h * total


def flow(solver: str, v: Callable, x: Any, steps: int) -> Any:
    """X at t = 1 after `steps` equal steps from t = 0."""
    h = 1.0 / steps

    def one(x, k):
        return step(solver, v, (k * h).astype(x.dtype), x, h), None

    return jax.lax.scan(one, x, jnp.arange(steps))[0]


def flow_with_density(solver: str, v: Callable, x: Any, steps: int) -> tuple[Any, Any, Any]:
    """(x at t = 1, sum of log|det| of the step maps, whether every det was positive)."""
    h = 1.0 / steps

    def one(carry, k):
        x, total, upright = carry
        phi = lambda y: step(solver, v, (k * h).astype(x.dtype), y, h)  # noqa: E731
        sign, logdet = jnp.linalg.slogdet(jax.jacfwd(phi)(x))
        return (phi(x), total + logdet, upright & (sign > 0)), None

    begin = (x, jnp.zeros((), x.dtype), jnp.asarray(True))
    return jax.lax.scan(one, begin, jnp.arange(steps))[0]


ROUNDS = 60
"""Most iterations of one inverse step."""


def inverse_with_density(solver: str, v: Callable, y: Any, steps: int) -> tuple[Any, Any, Any, Any]:
    """The start whose flow ends in y: (x at t = 0, sum of log|det|, all det > 0, worst residual).

    Each step map is inverted by the chord method: the Jacobian at a first guess (a step
    backwards) serves all rounds. The residual is the largest |step(x) - y| left in any step.
    Derivatives, in y and in what v closes over, are those of the implicit function.
    """
    h = 1.0 / steps
    tiny = 64 * jnp.finfo(y.dtype).eps

    def one(carry, k):
        y, total, upright, worst = carry
        phi = lambda x: step(solver, v, (k * h).astype(y.dtype), x, h)  # noqa: E731
        allowed = tiny * (1.0 + jnp.max(jnp.abs(y)))

        def chord(gap_at, guess):
            factor = jax.scipy.linalg.lu_factor(jax.jacfwd(gap_at)(guess))

            def far(found):
                _, gap, round = found
                return (jnp.max(jnp.abs(gap)) > allowed) & (round < ROUNDS)

            def nearer(found):
                x, gap, round = found
                x = x - jax.scipy.linalg.lu_solve(factor, gap)
                return x, gap_at(x), round + 1

            x, gap, _ = jax.lax.while_loop(far, nearer, (guess, gap_at(guess), 0))
            return x, jnp.max(jnp.abs(gap))

        # without custom_root there is no reverse mode through the loop
        x, gap = jax.lax.custom_root(
            lambda x: phi(x) - y, 2 * y - phi(y), chord, _solved, has_aux=True
        )
        sign, logdet = jnp.linalg.slogdet(jax.jacfwd(phi)(x))
        return (x, total + logdet, upright & (sign > 0), jnp.maximum(worst, gap)), None

    zero = jnp.zeros((), y.dtype)
    begin = (y, zero, jnp.asarray(True), zero)
    return jax.lax.scan(one, begin, jnp.arange(steps)[::-1])[0]


def _solved(linear: Callable, right: Any) -> Any:
    return jnp.linalg.solve(jax.jacfwd(linear)(right), right)
