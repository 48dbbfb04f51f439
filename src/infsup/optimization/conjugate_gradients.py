"""Conjugate gradients that say where they stopped."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Solved(NamedTuple):
    """An approximate solution s of H s = g, and how many iterations it took."""

    s: Any
    iterations: Any


def solve(hessian: Callable, g: Any, tolerance: Any, most: Any, mu: Any = None) -> Solved:
    """H s = g to |g - H s| <= tolerance |g|, or to `most` iterations, or to negative curvature.

    At negative curvature s is the iterate so far; g itself where the first direction has it. So
    g.s > 0 unless g = 0.

    Args:
        hessian: v[d] -> H v[d], symmetric.
        g: array [d].
        tolerance: relative residual.
        most: iterations; never more than 4 d + 10, where rounding has the last word.
        mu: H >= mu > 0, where known: then it also stops once what the residual r can hide is
            small, |r|^2/mu <= 1e-6 g.s and |r|/mu <= 1e-3 |s|.
    """
    dtype = g.dtype
    gg = g @ g
    goal = (jnp.asarray(tolerance, dtype) ** 2) * gg
    most = jnp.minimum(most, 4 * g.size + 10)

    def going(c):
        s, _, _, rr, k, flat = c
        far = rr > goal
        if mu is not None:
            far &= (rr > 1e-6 * mu * (g @ s)) | (rr > 1e-6 * mu**2 * (s @ s))
        return far & (k < most) & ~flat

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
