"""Adam with decoupled weight decay."""

from typing import Any, ClassVar

import equinox as eqx
import optax

from infsup.core.method import IterativeMethod, Outcome
from infsup.optimization import arguments, first_order
from infsup.optimization.model import check
from infsup.optimization.problem import Number, Smooth


class AdamW(IterativeMethod):
    """Adam with decoupled weight decay, on batches drawn with replacement; `optax.adamw`.

    Args:
        model: a recipe, a module as the start, or `key -> module`; `MLP()` by default.
        rate: step size, > 0.
        steps: the budget.
        batch: rows a step, at most as many as there are; None for the whole objective.
        weight_decay: >= 0; not part of the objective.
        schedule: of the rate: "constant", "linear", "cosine", "inverse".

    Raises:
        UsageError: a number outside its range.

    Source: I. Loshchilov and F. Hutter, Decoupled weight decay regularization, ICLR 2019.
    """

    problems: ClassVar = (Smooth,)
    merit: ClassVar = "loss_average"

    model: Any = None
    rate: Number = 3e-3
    steps: Number = 2000
    batch: int | None = eqx.field(static=True, default=64)
    weight_decay: Number = 1e-4
    schedule: str = eqx.field(static=True, default="cosine")

    def __check_init__(self):
        arguments.number("AdamW", "rate", self.rate, above=0)
        arguments.whole("AdamW", "steps", self.steps, least=1)
        if self.batch is not None:
            arguments.whole("AdamW", "batch", self.batch, least=1)
        arguments.number("AdamW", "weight_decay", self.weight_decay, above=0, least=True)
        arguments.one_of("AdamW", "schedule", self.schedule, first_order.SCHEDULES)

    def suits(self, problem):
        check(self.model, self.batch, problem, "AdamW")

    def _transform(self):
        rate = first_order.schedule(self.schedule, self.rate, self.steps)
        return optax.adamw(rate, weight_decay=self.weight_decay)

    def init(self, problem, start, key):
        return first_order.init(self.model, problem, self._transform(), start, key)

    def step(self, problem, state, key):
        return first_order.step(problem, self._transform(), state, key, self.batch)

    def finish(self, problem, state, key):
        return Outcome(state.model)
