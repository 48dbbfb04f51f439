"""Adam with decoupled weight decay."""

from typing import Any

import equinox as eqx
import optax

from infsup.optimization.first_order import FirstOrder
from infsup.optimization.problem import Number


class AdamW(FirstOrder):
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

    model: Any = None
    rate: Number = 3e-3
    steps: Number = 2000
    batch: int | None = eqx.field(static=True, default=64)
    weight_decay: Number = 1e-4
    schedule: str = eqx.field(static=True, default="cosine")

    def transform(self, rate):
        return optax.adamw(rate, weight_decay=self.weight_decay)
