"""Stochastic gradient descent."""

from typing import Any, ClassVar

import equinox as eqx
import optax

from infsup.optimization.first_order import FirstOrder
from infsup.optimization.problem import FiniteSum, Number


class SGD(FirstOrder):
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

    model: Any = None
    rate: Number = 0.05
    steps: Number = 2000
    batch: int = eqx.field(static=True, default=64)
    momentum: Number = 0.9
    schedule: str = eqx.field(static=True, default="cosine")

    def transform(self, rate):
        return optax.sgd(rate, momentum=self.momentum)
