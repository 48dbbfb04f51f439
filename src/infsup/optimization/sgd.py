"""Stochastic gradient descent."""

from typing import Any, ClassVar

import equinox as eqx
import optax

from infsup.core.method import IterativeMethod, Outcome
from infsup.optimization import arguments, first_order
from infsup.optimization.model import check
from infsup.optimization.problem import FiniteSum, Number


class SGD(IterativeMethod):
    """Stochastic gradient descent with momentum, on batches drawn with replacement.

    Formula: v <- momentum v + g, w <- w - rate v, with g the gradient of a batch's mean loss
    (an unbiased estimate of the objective's); `optax.sgd`.

    Args:
        model: a recipe, a module as the start, or `key -> module`; `MLP()` by default.
        rate: step size, > 0.
        steps: the budget.
        batch: rows a step, at most as many as there are.
        momentum: in [0, 1).
        schedule: of the rate: "constant", "linear", "cosine", "inverse".

    Raises:
        UsageError: a number outside its range.
    """

    problems: ClassVar = (FiniteSum,)
    merit: ClassVar = "loss_average"

    model: Any = None
    rate: Number = 0.05
    steps: Number = 2000
    batch: int = eqx.field(static=True, default=64)
    momentum: Number = 0.9
    schedule: str = eqx.field(static=True, default="cosine")

    def __check_init__(self):
        arguments.number("SGD", "rate", self.rate, above=0)
        arguments.whole("SGD", "steps", self.steps, least=1)
        arguments.whole("SGD", "batch", self.batch, least=1)
        arguments.number("SGD", "momentum", self.momentum, above=0, least=True)
        arguments.one_of("SGD", "schedule", self.schedule, first_order.SCHEDULES)

    def suits(self, problem):
        check(self.model, self.batch, problem, "SGD")

    def _transform(self):
        rate = first_order.schedule(self.schedule, self.rate, self.steps)
        return optax.sgd(rate, momentum=self.momentum)

    def init(self, problem, start, key):
        return first_order.init(self.model, problem, self._transform(), start, key)

    def step(self, problem, state, key):
        return first_order.step(problem, self._transform(), state, key, self.batch)

    def finish(self, problem, state, key):
        return Outcome(state.model)
