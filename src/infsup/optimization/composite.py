"""A smooth convex function plus a penalty whose proximal map is known in closed form."""

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from infsup.core.answers import Point
from infsup.core.certificate import Hypothesis
from infsup.core.errors import HypothesisError, UsageError
from infsup.core.problem import Problem
from infsup.optimization import arguments
from infsup.optimization.problem import Minimize, Number


class Penalty(eqx.Module):
    """A convex function g of a point, whose proximal map is known. Abstract."""

    @abc.abstractmethod
    def value(self, w: Any) -> Any:
        """g(w), a scalar; +inf outside its domain."""

    @abc.abstractmethod
    def prox(self, w: Any, rate: Any) -> Any:
        """The z that minimises rate g(z) + |z - w|^2/2."""


class L1(Penalty):
    """The penalty weight |w|_1, which makes coordinates exactly zero.

    Args:
        weight: > 0.

    Raises:
        UsageError: a weight that is not positive.
    """

    weight: Number

    def __check_init__(self):
        arguments.number("L1", "weight", self.weight, above=0)

    def value(self, w):
        return self.weight * sum(jnp.sum(jnp.abs(x)) for x in jax.tree.leaves(w))

    def prox(self, w, rate):
        cut = rate * self.weight
        return jax.tree.map(lambda x: jnp.sign(x) * jnp.maximum(jnp.abs(x) - cut, 0), w)


class Box(Penalty):
    """The constraint low <= w <= high for every coordinate, as a penalty of 0 or +inf.

    Args:
        low: finite.
        high: finite, above `low`.

    Raises:
        UsageError: an empty or unbounded box.
    """

    low: Number
    high: Number

    def __check_init__(self):
        arguments.number("Box", "low", self.low, above=-math.inf)
        least = self.low if isinstance(self.low, (int, float)) else -math.inf
        arguments.number("Box", "high", self.high, above=least)

    def value(self, w):
        inside = [jnp.all((x >= self.low) & (x <= self.high)) for x in jax.tree.leaves(w)]
        return jnp.where(jnp.all(jnp.stack(inside)), 0.0, jnp.inf)

    def prox(self, w, rate):
        return jax.tree.map(lambda x: jnp.clip(x, self.low, self.high), w)


class Composite(Problem):
    """Minimise f(w) + g(w) of a point: f convex and smooth, g a penalty with a proximal map.

    Args:
        f: tree of arrays -> scalar, traceable by JAX; convex, on your word.
        penalty: `L1(weight)` or `Box(low, high)`.
        like: a tree of arrays, or of shapes and dtypes, that the point looks like.
        smoothness: L > 0 with |grad f(v) - grad f(w)| <= L |v - w|, if you know it: the methods
            step by 1/L.
        floor: a number that f is never below, if you know one, e.g. 0 for a sum of squares. With
            `L1` the certificate needs it.

    Raises:
        UsageError: a function that does not give one real number, a penalty that is none, or a
            constant outside its range.
    """

    f: Any
    penalty: Penalty
    like: Any
    smoothness: Number | None
    floor: Number | None

    def __init__(
        self,
        f: Any,
        penalty: Any,
        like: Any,
        smoothness: Number | None = None,
        floor: Number | None = None,
    ):
        if not isinstance(penalty, Penalty):
            raise UsageError(
                f"`penalty` of Composite is {type(penalty).__name__}", remedy="L1(0.1)"
            )
        if not callable(f):
            raise UsageError(
                f"`f` of Composite is {type(f).__name__}", remedy="a function of a point"
            )
        self.f = f
        self.penalty = penalty
        self.like = Minimize(f, like).like
        self.smoothness = smoothness
        self.floor = floor
        if smoothness is not None:
            arguments.number("Composite", "smoothness", smoothness, above=0)
        if floor is not None:
            arguments.number("Composite", "floor", floor, above=-math.inf)

    @property
    def asks(self):
        return Point(self.like)

    def objective(self, answer: Any) -> Any:
        """The value f + g at an answer, a scalar."""
        return self.f(answer) + self.penalty.value(answer)

    def hypotheses(self):
        words = ["f is convex"]
        if self.floor is not None and isinstance(self.penalty, L1):
            words.append(f"f is never below {self.floor}")
        return tuple(Hypothesis(w, "assumed") for w in words)


def first(problem: Composite, start: Any) -> Any:
    """Where a method begins: the start, else zero, brought into the penalty's domain."""
    if start is not None:
        return start.answer
    zero = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), problem.like)
    return problem.penalty.prox(zero, 1.0)


def step_size(rate: Number | None, problem: Composite) -> Any:
    """The method's own rate, else 1/L."""
    return rate if problem.smoothness is None or rate is not None else 1.0 / problem.smoothness


def known_rate(what: str, rate: Number | None, problem: Composite) -> None:
    """Raises `HypothesisError` where neither the method nor the problem says how far to step."""
    if rate is None and problem.smoothness is None:
        raise HypothesisError(
            f"`rate` of {what} is not given, and the problem has no `smoothness`",
            "The step is 1/L for a gradient that is L-Lipschitz.",
            f"{what}(rate=0.01), or Composite(..., smoothness=L)",
        )


def proximal_step(problem: Composite, w: Any, rate: Any) -> Any:
    """The proximal map of rate g at w - rate grad f(w)."""
    gradient = jax.grad(problem.f)(w)
    moved = jax.tree.map(lambda x, g: x - (rate * g).astype(x.dtype), w, gradient)
    return jax.tree.map(lambda x, n: n.astype(x.dtype), w, problem.penalty.prox(moved, rate))


def between(a: Any, b: Any) -> Any:
    """The Euclidean distance of two points."""
    squares = jax.tree.map(lambda x, y: jnp.sum((x - y) ** 2), a, b)
    return jnp.sqrt(sum(jax.tree.leaves(squares)))


def flat(tree: Any) -> np.ndarray:
    """All numbers of a point as one NumPy float64 array."""
    return np.concatenate([np.asarray(x, np.float64).ravel() for x in jax.tree.leaves(tree)])
