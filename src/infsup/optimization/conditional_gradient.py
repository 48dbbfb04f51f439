"""The conditional gradient method over a convex hull, whose gap is its own certificate."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from infsup.core.errors import UsageError
from infsup.optimization import arguments


class Run(NamedTuple):
    """What the steps saw; entry k speaks of the iterate before step k.

    Args:
        point: the last iterate, [d].
        values: f at the iterates, [steps].
        gaps: max over the hull of <x - s, grad f(x)>: at least f(x) - min f, for convex f.
        chosen: the atom that each step moved towards.
    """

    point: Float[Array, " d"]
    values: Float[Array, " steps"]
    gaps: Float[Array, " steps"]
    chosen: Int[Array, " steps"]


def frank_wolfe(
    f: Callable[[Any], Any], atoms: Float[Array, "m d"], steps: int, start: int = 0
) -> Run:
    """Minimises a convex function over the convex hull of some atoms.

    Formula: s = argmin over atoms of <s, grad f(x)>, x <- x + 2/(k+2) (s - x).

    Args:
        f: of a point [d], differentiable by JAX.
        atoms: the points whose hull is searched.
        steps: >= 1.
        start: the atom to start from.

    Raises:
        UsageError: no step, or an atom that is not there.

    Source: M. Jaggi, Revisiting Frank-Wolfe, ICML 2013, Algorithm 1 and Theorems 1 and 2.
    """
    arguments.whole("frank_wolfe", "steps", steps, least=1)
    arguments.whole("frank_wolfe", "start", start, least=0)
    if not callable(f):
        raise UsageError(f"`f` is {type(f).__name__}", remedy="a function of a point")
    if np.ndim(atoms) != 2 or not hasattr(atoms, "dtype") or np.dtype(atoms.dtype).kind != "f":
        raise UsageError("`atoms` is no array [m, d] of floats", remedy="jnp.eye(3)")
    if start >= len(atoms):
        raise UsageError(f"`start` is {start}, and there are {len(atoms)} atoms", remedy="start=0")

    def step(x, k):
        value, g = jax.value_and_grad(f)(x)
        scores = atoms @ g
        best = jnp.argmin(scores)
        gap = x @ g - scores[best]
        return x + (2.0 / (k + 2.0)) * (atoms[best] - x), (value, gap, best)

    numbers = jnp.arange(steps, dtype=atoms.dtype)
    point, (values, gaps, chosen) = jax.lax.scan(step, atoms[start], numbers)
    return Run(point, values, gaps, chosen)
