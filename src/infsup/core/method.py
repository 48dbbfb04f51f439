"""How to find an answer, as data."""

import abc
from dataclasses import dataclass, field
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from infsup.core.errors import UsageError
from infsup.core.fields import look_at_fields
from infsup.core.problem import Problem
from infsup.core.registry import register, remember


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Outcome:
    """An answer, and what was learned on the way that a bound can use.

    Args:
        answer: a function, sampler or point.
        evidence: name -> arrays or modules: duals, multipliers, counts.
    """

    answer: Any
    evidence: dict[str, Any] = field(default_factory=dict)


class Method(eqx.Module):
    """How to find an answer. Subclasses are final, or abstract with no fields of their own.

    Python numbers among the fields are traced (another learning rate compiles nothing); a field
    that decides a shape or a branch is `eqx.field(static=True)`.
    """

    problems: ClassVar[tuple[type, ...]] = (Problem,)
    """The problem classes it is for; its functions may take `problem` to be one of them."""
    needs_64_bit: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        remember(cls)
        look_at_fields(cls)

    def suits(self, problem: Any) -> None:
        """Raises `HypothesisError` where the problem's structure does not fit. Default: it fits."""
        del problem


class DirectMethod(Method):
    """Finds its answer in one go: in closed form, or by another library's solver."""

    @abc.abstractmethod
    def find(self, problem: Any, start: Outcome | None, key: Any) -> Any:
        """The outcome; or a generator that yields progress (metrics) and returns the outcome."""


class IterativeMethod(Method):
    """Finds its answer step by step; the driver owns the loop.

    A subclass has a field or property `steps: int`, the budget (schedules need it).
    """

    every: ClassVar[int] = 100
    """Looks (history, `done`, plateau, certificates) happen at its multiples."""
    merit: ClassVar[str | None] = None
    """The metric that falls, if there is one."""
    host: ClassVar[bool] = False
    """True: the step is Python (Gymnasium, a linear-programming library) and is never traced."""

    steps: eqx.AbstractVar[Any]

    @abc.abstractmethod
    def init(self, problem: Any, start: Outcome | None, key: Any) -> Any:
        """The state before the first step: a tree whose changing leaves are arrays."""

    @abc.abstractmethod
    def step(self, problem: Any, state: Any, key: Any) -> tuple[Any, dict[str, Any]]:
        """One step, pure, never raising; scalar metrics of fixed keys, or {}.

        Metrics speak of the state that came in.
        """

    def done(self, problem: Any, state: Any) -> Any:
        """Whether it has converged, as the state sees it. Default: never."""
        del problem, state
        return jnp.asarray(False)

    @abc.abstractmethod
    def finish(self, problem: Any, state: Any, key: Any) -> Outcome:
        """The outcome of a state; any state, not only the last."""


@register
class Then(Method):
    """One method after another: the outcome of `first` is the start of `second`.

    Shapes may change between the two; evidence of the first is handed to the second.
    """

    first: Method
    second: Method

    def __check_init__(self):
        for name in ("first", "second"):
            got = getattr(self, name)
            if not isinstance(got, Method):
                raise UsageError(
                    f"`{name}` of Then is {type(got).__name__}, not a method",
                    remedy="Then(AdamW(...), Newton(...))",
                )


def stages(method: Method) -> list[DirectMethod | IterativeMethod]:
    """The methods of a chain, in order."""
    if isinstance(method, Then):
        return stages(method.first) + stages(method.second)
    if not isinstance(method, (DirectMethod, IterativeMethod)):
        raise UsageError(
            f"`method` is {type(method).__name__}",
            "A method is a DirectMethod, an IterativeMethod, or a chain of them by Then.",
        )
    return [method]
