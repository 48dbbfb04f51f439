"""Local Taylor polynomials, blended: the inner step of Yarotsky's theorem."""

import itertools
import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from infsup.core.errors import UsageError

Derivative = Callable[[tuple[int, ...], np.ndarray], np.ndarray]


def hat(s: np.ndarray) -> np.ndarray:
    """1 where |s| < 1, 0 where |s| > 2, linear between."""
    return np.clip(2.0 - np.abs(s), 0.0, 1.0)


def taylor_patches(
    derivative: Derivative, cells: int, order: int, x: Float[np.ndarray, "n d"]
) -> Float[np.ndarray, " n"]:
    r"""sum_m phi_m(x) P_m(x): P_m the Taylor polynomial of degree order - 1 at m/cells.

    phi_m(x) = prod_k hat(3 cells (x_k - m_k/cells)) over m in {0..cells}^d is a partition of unity
    on [0, 1]^d.

    Args:
        derivative: (multi-index of length d, points [p, d]) -> the partial derivative [p].
        cells: N >= 1.
        order: n >= 1, how many derivatives count.
        x: [n, d], in the unit cube.

    Raises:
        UsageError: a number or a shape outside its range.

    Source: D. Yarotsky, Neural Networks 94 (2017) 103-114, proof of Theorem 1.
    """
    x = np.asarray(x, np.float64)
    if x.ndim != 2 or cells < 1 or order < 1:
        raise UsageError(
            f"`x` is {list(x.shape)}, `cells` {cells}, `order` {order}",
            remedy="x [n, d], cells >= 1, order >= 1",
        )
    d = x.shape[1]
    indices = [k for k in itertools.product(range(order), repeat=d) if sum(k) < order]
    total = np.zeros(len(x))
    for m in itertools.product(range(cells + 1), repeat=d):
        at = np.array(m) / cells
        weight = np.prod(hat(3 * cells * (x - at)), axis=1)
        near = np.flatnonzero(weight)
        if not len(near):
            continue
        away = x[near] - at
        value = np.zeros(len(near))
        for k in indices:
            slope = float(np.asarray(derivative(k, at[None]))[0])
            value += slope * np.prod(away**k, axis=1) / math.prod(map(math.factorial, k))
        total[near] += weight[near] * value
    return total
