"""Newton's method with conjugate gradients and a line search."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from infsup.core.method import IterativeMethod, Outcome
from infsup.networks.recipes import trainable
from infsup.optimization import arguments
from infsup.optimization.conjugate_gradients import solve
from infsup.optimization.model import begin, check
from infsup.optimization.problem import Number, Smooth

HALVINGS = 40
ARMIJO = 1e-4


class State(NamedTuple):
    """An iterate, the norm of the gradient before it, and whether to go on."""

    model: Any
    gradient: Any
    done: Any


class Newton(IterativeMethod):
    r"""Newton's method: w <- w - t s with H s = g by conjugate gradients, t by backtracking.

    Hessian-vector products, never the Hessian. Conjugate gradients stop at the residual
    min(0.1, |g|) |g| (so convergence is quadratic in the end) or at a direction of negative
    curvature, so it also descends where the objective is not convex; t is the first of 1, 1/2,
    1/4, ... with f(w - t s) <= f(w) - 1e-4 t g.s, up to the rounding of f.

    It computes in the dtype of the model: a float32 model stops at the rounding of its gradient,
    `Linear(dtype="float64")` reaches 1e-12 and less on convex problems.

    Args:
        model: a recipe, a module as the start, or `key -> module`; the problem's own by default.
        steps: the budget.
        tolerance: converged when g.s/2, the estimated distance to the minimum, is below it, or
            when rounding stops the gradient from falling.
        inner: most conjugate-gradient iterations a step.

    Raises:
        UsageError: a number outside its range.

    Source: J. Nocedal and S. J. Wright, Numerical Optimization (2nd ed., 2006), Algorithm 7.1.
    """

    problems: ClassVar = (Smooth,)
    every: ClassVar = 1
    merit: ClassVar = "loss"

    model: Any = None
    steps: Number = 100
    tolerance: Number = 1e-15
    inner: Number = 1000

    def __check_init__(self):
        arguments.whole("Newton", "steps", self.steps, least=1)
        arguments.number("Newton", "tolerance", self.tolerance, above=0, least=True)
        arguments.whole("Newton", "inner", self.inner, least=1)

    def suits(self, problem):
        check(self.model, None, problem, "Newton")

    def init(self, problem, start, key):
        model = begin(self.model, problem, start, key)
        flat, _ = ravel_pytree(eqx.filter(model, trainable(model)))
        return State(model, jnp.asarray(jnp.inf, flat.dtype), jnp.asarray(False))

    def step(self, problem, state, key):
        params, fixed = eqx.partition(state.model, trainable(state.model))
        w, unravel = ravel_pytree(params)

        def f(v):
            return problem.objective(eqx.combine(unravel(v), fixed)).astype(w.dtype)

        value, g = jax.value_and_grad(f)(w)
        _, hessian = jax.linearize(jax.grad(f), w)
        size = jnp.sqrt(g @ g)
        found = solve(hessian, g, jnp.minimum(0.1, size), self.inner)
        slope = g @ found.s
        noise = 8 * jnp.finfo(w.dtype).eps * (1 + jnp.abs(value))

        def too_long(carry):
            t, count = carry
            new = f(w - t * found.s)
            return ~(new <= value - ARMIJO * t * slope + noise) & (count < HALVINGS)

        t, count = jax.lax.while_loop(
            too_long, lambda c: (0.5 * c[0], c[1] + 1), (jnp.ones((), w.dtype), jnp.int32(0))
        )
        moved = jnp.where(count < HALVINGS, t, 0.0) * found.s
        small = slope <= 1e-6 * (1 + jnp.abs(value))
        stalled = (small & (size >= 0.5 * state.gradient)) | (count >= HALVINGS)
        done = (0.5 * slope <= self.tolerance) | stalled
        # at rounding level a further step may lose what the last one won
        new = jnp.where(stalled | (slope <= 0), w, w - moved).astype(w.dtype)
        metrics = {
            "loss": value,
            "gradient": size,
            "decrement": 0.5 * slope,
            "inner": found.iterations,
        }
        return State(eqx.combine(unravel(new), fixed), size, done), metrics

    def done(self, problem, state):
        return state.done

    def finish(self, problem, state, key):
        return Outcome(state.model)
