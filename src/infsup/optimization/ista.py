"""ISTA: gradient steps, each followed by the penalty's proximal map."""

from typing import Any, ClassVar, NamedTuple

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
    """An iterate."""

    point: Any


class ISTA(IterativeMethod):
    r"""The proximal gradient method: w <- prox of rate g at w - rate grad f(w).

    With rate 1/L the objective F = f + g falls at every step, and F(w_k) - min F <= L R^2/(2k),
    R the distance of the start from a minimiser (Theorem 3.1 of the source).

    Args:
        rate: step size, > 0; 1/L of the problem's `smoothness` by default.
        steps: the budget.

    Raises:
        UsageError: a number outside its range.

    Source: A. Beck and M. Teboulle, A fast iterative shrinkage-thresholding algorithm for linear
    inverse problems, SIAM J. Imaging Sciences 2 (2009) 183-202.
    """

    problems: ClassVar = (Composite,)
    merit: ClassVar = "loss"

    rate: Number | None = None
    steps: Number = 2000

    def __check_init__(self):
        if self.rate is not None:
            arguments.number("ISTA", "rate", self.rate, above=0)
        arguments.whole("ISTA", "steps", self.steps, least=1)

    def suits(self, problem):
        known_rate("ISTA", self.rate, problem)

    def init(self, problem, start, key):
        return State(first(problem, start))

    def step(self, problem, state, key):
        rate = step_size(self.rate, problem)
        new = proximal_step(problem, state.point, rate)
        metrics = {
            "loss": problem.objective(state.point),
            "moved": between(new, state.point) / rate,
        }
        return State(new), metrics

    def finish(self, problem, state, key):
        return Outcome(state.point)
