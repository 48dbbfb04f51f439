"""Conjugate gradients that say where they stopped."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Solved(NamedTuple):
    """An approximate solution s of H s = g, and how many iterations it took."""

    s: Any
    iterations: Any


def solve(hessian: Callable, g: Any, tolerance: Any, most: Any) -> Solved:
    """H s = g to |g - H s| <= tolerance |g|, or to `most` iterations, or to negative curvature.

    At negative curvature s is the iterate so far; g itself where the first direction has it. So
    g.s > 0 unless g = 0.

    Args:
        hessian: v[d] -> H v[d], symmetric.
        g: array [d].
        tolerance: relative residual.
        most: iterations.
    """
    dtype = g.dtype
    gg = g @ g
    goal = (jnp.asarray(tolerance, dtype) ** 2) * gg

    def going(c):
        _, _, _, rr, k, flat = c
        return (rr > goal) & (k < most) & ~flat

    def iterate(c):
        s, r, p, rr, k, _ = c
        hp = hessian(p)
        curvature = p @ hp
        flat = ~(curvature > 0)
        step = jnp.where(flat, 0, rr / jnp.where(flat, 1, curvature)).astype(dtype)
        s = jnp.where(flat & (k == 0), g, s + step * p)
        r = r - step * hp
        new = r @ r
        p = r + (new / jnp.where(rr > 0, rr, 1)) * p
        return s, r, p, new, k + 1, flat

    zero = jnp.zeros_like(g)
    start = (zero, g, g, gg, jnp.int32(0), jnp.asarray(False))
    s, *_, k, _ = jax.lax.while_loop(going, iterate, start)
    return Solved(s, k)
