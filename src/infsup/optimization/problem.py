"""Smooth objectives, sums over rows, and a user's own function."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from infsup.core.answers import Point
from infsup.core.certificate import Hypothesis
from infsup.core.errors import UsageError
from infsup.core.problem import Problem
from infsup.optimization import arguments

Number = float | int | jax.Array
"""A hyper-parameter: a Python number outside, a traced scalar inside a compiled step."""


class Smooth(Problem):
    """Minimise a smooth objective of an answer: of the arrays in a module, or of a point."""

    @abc.abstractmethod
    def objective(self, answer: Any) -> Any:
        """The value at an answer, a scalar; pure and differentiable."""

    @property
    def strong_convexity(self) -> float | None:
        """A mu > 0 with f - mu/2 |w|^2 convex in the answer's arrays w; None if there is none."""
        return None

    @property
    def self_concordance(self) -> float | None:
        """An R >= 0 with |D^3 f[u, v, v]| <= R |u| D^2 f[v, v] everywhere; None where unknown."""
        return None

    @property
    def recipe(self) -> Any:
        """The class of functions, where it belongs to the question; else the method brings one."""
        return None

    def bare(self) -> "Smooth":
        """The same objective without names, so that problems of one shape share a compilation."""
        return self

    def belongs(self, answer: Any) -> str:
        """Why the answer is outside the class that the two constants speak of; "" if inside."""
        del answer
        return ""

    def rounding(self, answer: Any) -> tuple[float, float]:
        """Sizes (a, b) of what is summed in f and in its gradient, for allowances of rounding.

        A computed value is taken to err by at most 16 units of the last place of `a`, a computed
        gradient by at most 16 of `b` in the Euclidean norm.
        """
        value, g = jax.value_and_grad(self.objective)(answer)
        g2 = sum((jnp.vdot(x, x) for x in jax.tree.leaves(g)), jnp.zeros(()))
        w2 = sum((jnp.vdot(x, x) for x in jax.tree.leaves(answer)), jnp.zeros(()))
        scale = 1.0 if self.strong_convexity is None else float(self.strong_convexity)
        return float(jnp.abs(value)), float(jnp.sqrt(g2) + scale * jnp.sqrt(w2))


class FiniteSum(Smooth):
    """Minimise a mean over rows, plus what does not depend on the rows."""

    @property
    @abc.abstractmethod
    def count(self) -> int:
        """How many rows are summed."""

    @property
    @abc.abstractmethod
    def inputs(self) -> Any:
        """The rows' inputs [n, ...], by which a recipe may standardise; or None."""

    @abc.abstractmethod
    def batch(self, key: Any, size: int) -> Any:
        """`size` rows drawn with replacement. All batches come from here."""

    @abc.abstractmethod
    def loss(self, answer: Any, rows: Any) -> Any:
        """The mean over some rows, and the rest: its expectation over batches is the objective."""


class Minimize(Smooth):
    """Minimise your own smooth function of a point.

    Args:
        f: tree of arrays -> scalar, traceable by JAX.
        like: a tree of arrays, or of shapes and dtypes, that the point looks like.
        strong_convexity: mu > 0, if you know it: f - mu/2 |w|^2 is convex.
        self_concordance: R >= 0, if you know it: |D^3 f[u, v, v]| <= R |u| D^2 f[v, v]; 0 for a
            quadratic function.

    Both constants are taken on your word: a certificate that rests on them is `conditional`.

    Raises:
        UsageError: a function that does not give one real number, or a constant outside its range.
    """

    f: Any
    like: Any
    mu: Number | None
    R: Number | None

    def __init__(
        self,
        f: Any,
        like: Any,
        strong_convexity: Number | None = None,
        self_concordance: Number | None = None,
    ):
        if not callable(f):
            raise UsageError(
                f"`f` of Minimize is {type(f).__name__}", remedy="a function of a point"
            )
        self.f = f
        self.like = jax.tree.map(_shape, like)
        self.mu = strong_convexity
        self.R = self_concordance
        if self.mu is not None:
            arguments.number("Minimize", "strong_convexity", self.mu, above=0)
        if self.R is not None:  # 0: a quadratic function
            arguments.number("Minimize", "self_concordance", self.R, above=0, least=True)
        try:
            got = eqx.filter_eval_shape(f, self.like)
        except (TypeError, ValueError, IndexError) as e:
            raise UsageError(
                f"`f` fails at a point like `like`: {str(e).splitlines()[0]}",
                f"It is called with {Point(self.like)}.",
            ) from e
        shape, dtype = getattr(got, "shape", None), getattr(got, "dtype", np.dtype(object))
        if shape != () or not jnp.issubdtype(dtype, jnp.floating):
            raise UsageError(f"`f` gives {got}, not one real number", remedy="jnp.sum(...)")

    @property
    def asks(self):
        return Point(self.like)

    def objective(self, answer):
        return self.f(answer)

    @property
    def strong_convexity(self):
        return None if self.mu is None else float(self.mu)

    @property
    def self_concordance(self):
        return None if self.R is None else float(self.R)

    def hypotheses(self):
        words = (
            (self.mu, f"f is strongly convex with mu = {self.mu}"),
            (self.R, f"f is self-concordant with R = {self.R}"),
        )
        return tuple(Hypothesis(w, "assumed") for known, w in words if known is not None)


def _shape(x: Any) -> jax.ShapeDtypeStruct:
    if isinstance(x, jax.ShapeDtypeStruct):
        return x
    dtype = np.asarray(x).dtype if not hasattr(x, "dtype") else np.dtype(x.dtype)
    if dtype.kind != "f":
        raise UsageError(
            f"`like` holds {dtype}", "A point to optimise has real entries.", "jnp.zeros(3)"
        )
    return jax.ShapeDtypeStruct(np.shape(x), dtype)
