"""Every iterate of a method, by its own public steps; and a mean over rows."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from infsup import Outcome, Point
from infsup.optimization import FiniteSum


def iterates(method: Any, problem: Any, start: Any, key: Any = None) -> np.ndarray:
    """The answers before each step and after the last one.

    Args:
        method: iterative; its `steps` is a Python number.
        problem: what it works on.
        start: the first answer.
        key: of the steps; a method that draws nothing needs none.

    Returns:
        [steps + 1, ...] where the answer is one array.
    """
    return np.asarray(_iterates(method, problem, start, jax.random.key(0) if key is None else key))


def many(method: Any, problem: Any, start: Any, keys: Any) -> np.ndarray:
    """The last answers of independent runs, [runs, ...].

    Args:
        method: as in `iterates`.
        problem: as in `iterates`.
        start: of all runs.
        keys: one a run.
    """
    last = eqx.filter_jit(lambda ks: jax.vmap(lambda k: _end(method, problem, start, k)[0])(ks))
    return np.asarray(last(keys))


@eqx.filter_jit
def _iterates(method: Any, problem: Any, start: Any, key: Any) -> Any:
    last, seen = _end(method, problem, start, key)
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), seen, last)


def _end(method: Any, problem: Any, start: Any, key: Any) -> tuple[Any, Any]:
    first = method.init(problem, Outcome(start), key)

    def step(state, k):
        new, _ = method.step(problem, state, k)
        return new, method.finish(problem, state, k).answer

    state, seen = jax.lax.scan(step, first, jax.random.split(key, method.steps))
    return method.finish(problem, state, key).answer, seen


class Rows(FiniteSum):
    """Minimise the mean over rows of a loss, strongly convex with constant 1.

    Args:
        row: (point, row) -> its loss, a scalar.
        data: [n, ...].
        like: an array that the point looks like.
    """

    row: Callable = eqx.field(static=True)
    data: jax.Array
    like: jax.Array

    @property
    def asks(self):
        return Point(jax.ShapeDtypeStruct(self.like.shape, self.like.dtype))

    @property
    def count(self):
        return len(self.data)

    @property
    def inputs(self):
        return None

    def batch(self, key, size):
        return self.data[jax.random.randint(key, (size,), 0, self.count)]

    def loss(self, answer, rows):
        return jnp.mean(jax.vmap(lambda r: self.row(answer, r))(rows))

    def objective(self, answer):
        return self.loss(answer, self.data)

    @property
    def strong_convexity(self):
        return 1.0
