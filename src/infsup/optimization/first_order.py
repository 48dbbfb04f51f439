"""Methods that are an Optax transformation of the gradient, on a smooth problem."""

import abc
import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from infsup.core.method import IterativeMethod, Outcome
from infsup.networks.recipes import trainable
from infsup.optimization import arguments
from infsup.optimization.model import begin, check
from infsup.optimization.problem import FiniteSum, Number, Smooth

SCHEDULES = ("constant", "linear", "cosine", "inverse")
MEMORY = 0.99


class State(NamedTuple):
    """An iterate, the optimiser's memory, and the sums of a moving average of the loss."""

    model: Any
    optimiser: Any
    losses: Any
    weights: Any


class FirstOrder(IterativeMethod):
    """A step is an Optax transformation of the gradient of a batch, or of the whole objective.

    Abstract. A subclass has the fields `model`, `rate`, `steps`, `schedule`, and `batch` unless it
    always sees the whole objective.

    Raises:
        UsageError: a number outside its range.
    """

    problems: ClassVar = (Smooth,)
    merit: ClassVar = "loss_average"

    model: eqx.AbstractVar[Any]
    rate: eqx.AbstractVar[Number]
    schedule: eqx.AbstractVar[str]

    def __check_init__(self):
        name = type(self).__name__
        arguments.number(name, "rate", self.rate, above=0)
        arguments.whole(name, "steps", self.steps, least=1)
        if self._batch is not None:
            arguments.whole(name, "batch", self._batch, least=1)
        for field in ("momentum", "weight_decay"):
            if hasattr(self, field):
                arguments.number(name, field, getattr(self, field), above=0, least=True)
        arguments.one_of(name, "schedule", self.schedule, SCHEDULES)

    @abc.abstractmethod
    def transform(self, rate: Callable) -> optax.GradientTransformation:
        """From gradients to updates.

        Args:
            rate: step's number -> step size.
        """

    @property
    def _batch(self) -> int | None:
        return getattr(self, "batch", None)

    def _transform(self) -> optax.GradientTransformation:
        return self.transform(schedule(self.schedule, self.rate, self.steps))

    def suits(self, problem):
        check(self.model, self._batch, problem, type(self).__name__)

    def init(self, problem, start, key):
        return init(self.model, problem, self._transform(), start, key)

    def step(self, problem, state, key):
        return step(problem, self._transform(), state, key, self._batch)

    def finish(self, problem, state, key):
        return Outcome(state.model)


def schedule(name: str, rate: Any, steps: Any) -> Callable:
    """The rate as a function of the step's number n = 0, 1, ...

    Formula: rate; rate (1 - n/steps) and rate (1 + cos(pi n/steps))/2, which fall to zero after the
    last step; rate/(n + 1), which needs no budget.
    """

    def at(count):
        if name == "constant":
            return rate
        if name == "inverse":
            return rate / (jnp.asarray(count, jnp.result_type(rate)) + 1)
        part = jnp.asarray(count, jnp.float32) / jnp.asarray(steps, jnp.float32)
        part = jnp.clip(part, 0.0, 1.0)
        return rate * (1.0 - part if name == "linear" else 0.5 * (1.0 + jnp.cos(math.pi * part)))

    return at


def norm(tree: Any) -> Any:
    """Euclidean norm over all arrays of a tree."""
    return jnp.sqrt(sum(jnp.vdot(x, x) for x in jax.tree.leaves(tree)))


def init(model: Any, problem: Smooth, transform: Any, start: Any, key: Any) -> State:
    """The state before the first step."""
    first = begin(model, problem, start, key)
    memory = transform.init(eqx.filter(first, trainable(first)))
    return State(first, memory, jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32))


def gradient(problem: Smooth, model: Any, rows: Any = None) -> tuple[Any, Any, Any, Any]:
    """Loss (of some rows, or the objective), gradient, what is trained, and what is not."""
    params, fixed = eqx.partition(model, trainable(model))

    def f(p):
        answer = eqx.combine(p, fixed)
        if rows is None or not isinstance(problem, FiniteSum):
            return problem.objective(answer)
        return problem.loss(answer, rows)

    return *jax.value_and_grad(f)(params), params, fixed


def drawn(problem: Smooth, key: Any, batch: int | None) -> Any:
    """A batch; None stands for the whole objective."""
    return problem.batch(key, batch) if batch and isinstance(problem, FiniteSum) else None


def step(
    problem: Smooth, transform: Any, state: State, key: Any, batch: int | None
) -> tuple[State, dict[str, Any]]:
    """One update; metrics of the state that came in.

    "loss" is that of the batch. "loss_average" is its moving average over about 100 steps, which
    falls where single batches are noisy.
    """
    loss, g, params, fixed = gradient(problem, state.model, drawn(problem, key, batch))
    updates, memory = transform.update(g, state.optimiser, params)
    losses = MEMORY * state.losses + (1 - MEMORY) * loss.astype(jnp.float32)
    weights = MEMORY * state.weights + (1 - MEMORY)
    model = eqx.combine(optax.apply_updates(params, updates), fixed)
    metrics = {"loss": loss, "loss_average": losses / weights, "gradient": norm(g)}
    return State(model, memory, losses, weights), metrics
