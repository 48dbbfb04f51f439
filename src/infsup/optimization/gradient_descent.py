"""Gradient descent on the whole objective."""

from typing import Any, ClassVar

import equinox as eqx
import optax

from infsup.core.method import IterativeMethod, Outcome
from infsup.optimization import arguments, first_order
from infsup.optimization.model import check
from infsup.optimization.problem import Number, Smooth


class GradientDescent(IterativeMethod):
    r"""Gradient descent on the whole objective: w <- w - rate grad f(w).

    For an L-smooth objective, rate <= 1/L lets the loss fall at every step; for a mu-strongly
    convex one f - f* falls by 1 - rate mu a step (derived from the descent lemma and
    |grad f|^2 >= 2 mu (f - f*)).

    Args:
        model: a recipe, a module as the start, or `key -> module`; the problem's own by default.
        rate: step size, > 0.
        steps: the budget.
        schedule: of the rate: "constant", "linear", "cosine", "inverse".

    Raises:
        UsageError: a number outside its range.
    """

    problems: ClassVar = (Smooth,)
    merit: ClassVar = "loss"

    model: Any = None
    rate: Number = 0.1
    steps: Number = 2000
    schedule: str = eqx.field(static=True, default="constant")

    def __check_init__(self):
        arguments.number("GradientDescent", "rate", self.rate, above=0)
        arguments.whole("GradientDescent", "steps", self.steps, least=1)
        arguments.one_of("GradientDescent", "schedule", self.schedule, first_order.SCHEDULES)

    def suits(self, problem):
        check(self.model, None, problem, "GradientDescent")

    def _transform(self):
        return optax.sgd(first_order.schedule(self.schedule, self.rate, self.steps))

    def init(self, problem, start, key):
        return first_order.init(self.model, problem, self._transform(), start, key)

    def step(self, problem, state, key):
        new, metrics = first_order.step(problem, self._transform(), state, key, None)
        return new, {k: v for k, v in metrics.items() if k != "loss_average"}

    def finish(self, problem, state, key):
        return Outcome(state.model)
