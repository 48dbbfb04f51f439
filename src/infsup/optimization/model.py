"""Where a method begins: a recipe, a module, a point, or what came before."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from infsup.core.answers import Accepted, Point, shape_of
from infsup.core.errors import HypothesisError, UsageError
from infsup.networks.recipes import MLP
from infsup.optimization.problem import FiniteSum, Smooth


def begin(model: Any, problem: Smooth, start: Any, key: Any) -> Any:
    """The first iterate.

    In this order: the answer of `start`; the zero point, where a point is asked; the method's
    `model`; the problem's own class of functions; `MLP()`. A model is a recipe with `build`, a
    module (taken as it is), or any `key -> module`.
    """
    if start is not None:
        answer = start.answer
        return answer.answer if isinstance(answer, Accepted) else answer
    asks = problem.asks
    if isinstance(asks, Point):
        return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), asks.like)
    recipe = problem.recipe if model is None else model
    recipe = MLP() if recipe is None else recipe
    if hasattr(recipe, "build"):
        inputs = problem.inputs if isinstance(problem, FiniteSum) else None
        return recipe.build(asks.ins[0], asks.out, key, inputs)
    return recipe if isinstance(recipe, eqx.Module) else recipe(key)


def check(model: Any, batch: int | None, problem: Smooth, what: str) -> None:
    """Whether a method can begin: before any work.

    Raises:
        UsageError: a model that is no model, gives another shape than the problem asks, or has
            nothing to train; a batch larger than the data.
        HypothesisError: a random model, or one that JAX cannot trace; a model where the problem
            has its own.
    """
    if isinstance(problem, FiniteSum) and batch is not None and batch > problem.count:
        raise UsageError(
            f"`batch` of {what} is {batch}, and there are {problem.count} rows to fit",
            remedy=f"batch={min(64, problem.count)}",
        )
    if isinstance(problem.asks, Point):
        if model is not None:
            raise HypothesisError(
                f"`model` of {what} is {type(model).__name__}, and the problem asks for "
                f"{problem.asks}",
                remedy=f"{what}()",
            )
        return
    if model is not None and problem.recipe is not None and model != problem.recipe:
        raise HypothesisError(
            f"`model` of {what} is {type(model).__name__}, and the problem has its own class of "
            f"functions, {problem.recipe!r}",
            "Its constants speak of that class only.",
            f"{what}() without a model, or EmpiricalRisk(...) without one",
        )
    if model is not None and not callable(model) and not hasattr(model, "build"):
        raise UsageError(
            f"`model` of {what} is {type(model).__name__}",
            "A model is a recipe, an Equinox module, or a function key -> module.",
            "MLP(width=64, depth=2)",
        )
    try:
        made = eqx.filter_eval_shape(begin, model, problem, None, jax.random.key(0))
    except TypeError as e:
        raise UsageError(
            f"`model` of {what} cannot be made: {str(e).splitlines()[0]}",
            "A recipe takes a key and gives a module.",
            f"{what}(model=lambda key: MyNetwork(key))",
        ) from e
    if not callable(made):
        raise UsageError(
            f"`model` of {what} gives {shape_of(made)}, which cannot be called",
            remedy=f"{what}(model=lambda key: MyNetwork(key))",
        )
    try:
        accepted = problem.asks.accept(made)
    except UsageError as e:
        raise UsageError(e.what.replace("`answer`", f"`model` of {what}"), e.why, e.remedy) from e
    if accepted.random:
        raise HypothesisError(
            f"`model` of {what} takes a key as its last argument (dropout?)",
            "The loss of a random network is no function of its weights.",
            "a network without dropout",
        )
    if not accepted.traced:
        raise HypothesisError(
            f"`model` of {what} cannot be traced by JAX, so it has no gradient",
            remedy="a network written in jax.numpy; certify judges any function",
        )
    dtypes = [x.dtype for x in jax.tree.leaves(made) if hasattr(x, "dtype")]
    if not any(jnp.issubdtype(d, jnp.inexact) for d in dtypes):
        raise UsageError(
            f"`model` of {what} has no floating-point arrays to train",
            remedy=f"{what}(model=MLP())",
        )
