"""FISTA: the proximal gradient method with Nesterov's momentum."""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from infsup.core.method import IterativeMethod, Outcome
from infsup.optimization import arguments
from infsup.optimization.composite import (
    Composite,
    between,
    first,
    known_rate,
    proximal_step,
    step_size,
)
from infsup.optimization.problem import Number


class State(NamedTuple):
    """An iterate, the point ahead of it from which the next step starts, and the momentum."""

    point: Any
    ahead: Any
    t: Any


class FISTA(IterativeMethod):
    r"""Proximal gradient steps from a point that is extrapolated along the last move.

    Formula: w_{k+1} = prox of rate g at v_k - rate grad f(v_k), t_{k+1} = (1 + sqrt(1 + 4
    t_k^2))/2, v_{k+1} = w_{k+1} + (t_k - 1)/t_{k+1} (w_{k+1} - w_k), t_0 = 1, v_0 = w_0. With rate
    1/L, F(w_k) - min F <= 2 L R^2/(k+1)^2, R the distance of the start from a minimiser (Theorem
    4.4 of the source). The objective need not fall at every step.

    Args:
        rate: step size, > 0; 1/L of the problem's `smoothness` by default.
        steps: the budget.

    Raises:
        UsageError: a number outside its range.

    Source: A. Beck and M. Teboulle, A fast iterative shrinkage-thresholding algorithm for linear
    inverse problems, SIAM J. Imaging Sciences 2 (2009) 183-202.
    """

    problems: ClassVar = (Composite,)

    rate: Number | None = None
    steps: Number = 2000

    def __check_init__(self):
        if self.rate is not None:
            arguments.number("FISTA", "rate", self.rate, above=0)
        arguments.whole("FISTA", "steps", self.steps, least=1)

    def suits(self, problem):
        known_rate("FISTA", self.rate, problem)

    def init(self, problem, start, key):
        point = first(problem, start)
        dtype = jnp.result_type(*jax.tree.leaves(point))
        return State(point, point, jnp.ones((), dtype))

    def step(self, problem, state, key):
        rate = step_size(self.rate, problem)
        new = proximal_step(problem, state.ahead, rate)
        t = (1 + jnp.sqrt(1 + 4 * state.t**2)) / 2
        share = (state.t - 1) / t
        ahead = jax.tree.map(lambda n, w: n + (share * (n - w)).astype(n.dtype), new, state.point)
        metrics = {
            "loss": problem.objective(state.point),
            "moved": between(new, state.ahead) / rate,
        }
        return State(new, ahead, t), metrics

    def finish(self, problem, state, key):
        return Outcome(state.point)
