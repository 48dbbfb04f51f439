"""Gradient descent on the whole objective."""

from typing import Any, ClassVar

import equinox as eqx
import optax

from infsup.optimization.first_order import FirstOrder
from infsup.optimization.problem import Number


class GradientDescent(FirstOrder):
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

    merit: ClassVar = "loss"

    model: Any = None
    rate: Number = 0.1
    steps: Number = 2000
    schedule: str = eqx.field(static=True, default="constant")

    def transform(self, rate):
        return optax.sgd(rate)

    def step(self, problem, state, key):
        new, metrics = super().step(problem, state, key)
        return new, {k: v for k, v in metrics.items() if k != "loss_average"}
