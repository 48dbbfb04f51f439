"""When to stop: rules that compose by `|`. The method's own budget always holds as well."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from infsup.core.errors import UsageError

R = TypeVar("R", bound="Rule")


@dataclass(frozen=True)
class Rule:
    """A stopping rule. `a | b` stops when either does."""

    def __or__(self, other: "Rule") -> "AnyOf":
        return AnyOf((*parts(self), *parts(other)))


@dataclass(frozen=True)
class AnyOf(Rule):
    """Stops when one of its rules does."""

    rules: tuple[Rule, ...]


def _number(x: object) -> bool:
    return isinstance(x, (int, float, np.integer, np.floating)) and not isinstance(x, bool)


@dataclass(frozen=True)
class Steps(Rule):
    """Stops after `count` steps. Reproduces a run that a clock or a person stopped."""

    count: int

    def __post_init__(self):
        if isinstance(self.count, bool) or not isinstance(self.count, int) or self.count < 0:
            raise UsageError(f"`count` of Steps is {self.count!r}", remedy="a whole number >= 0")


@dataclass(frozen=True)
class Seconds(Rule):
    """Stops after `limit` seconds of stepping, compile time apart; a clock decides the step."""

    limit: float

    def __post_init__(self):
        if not _number(self.limit) or not self.limit > 0:
            raise UsageError(f"`limit` of Seconds is {self.limit!r}", remedy="a number > 0")


@dataclass(frozen=True)
class Plateau(Rule):
    """Stops when the method's `merit` has not fallen for `looks` looks in a row."""

    looks: int = 10

    def __post_init__(self):
        if not _number(self.looks) or not self.looks >= 1:
            raise UsageError(f"`looks` of Plateau is {self.looks!r}", remedy="1 or more")


@dataclass(frozen=True)
class Reach(Rule):
    """Stops when the defended end of the headline certificate is at `target` or better.

    The certificate is looked at after doubling numbers of steps; a certificate that holds with a
    probability spends part of its delta at each look.
    """

    target: float

    def __post_init__(self):
        if not _number(self.target) or self.target != self.target:
            raise UsageError(f"`target` of Reach is {self.target!r}", remedy="a number")


def parts(rule: Rule | None) -> tuple[Rule, ...]:
    """The single rules of a rule.

    Raises:
        UsageError: it is no rule.
    """
    if rule is None:
        return ()
    if isinstance(rule, AnyOf):
        return rule.rules
    if not isinstance(rule, Rule):
        raise UsageError(
            f"`stop` is {type(rule).__name__}", remedy="stop=Steps(1000) | Seconds(60)"
        )
    return (rule,)


def pick(rule: Rule | None, kind: type[R]) -> R | None:
    """The rule of one kind, or None."""
    return next((r for r in parts(rule) if isinstance(r, kind)), None)
