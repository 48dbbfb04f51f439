"""The square x^2 by one hidden layer of GELU units."""

import math
from typing import ClassVar

import equinox as eqx
import jax
import numpy as np
from flint import arb, arb_mat

from infsup.approximation.problem import ROUNDOFF, Approximate
from infsup.core.errors import HypothesisError, UsageError
from infsup.core.method import DirectMethod, Outcome
from infsup.core.program import Program
from infsup.core.registry import register
from infsup.numerics.enclosure import DomainFault, Enclosure, NotSmooth, hull, precision

BITS = 300
"""Collocation loses about 25 bits a unit."""
SPREADS = tuple(0.25 * 2 ** (k / 6) for k in range(19))
SAMPLES = 60
MOST_UNITS = 24


@register
class ExactGELU(eqx.Module):
    """x Phi(x), with the error function; `jax.nn.gelu` by default is an approximation of it."""

    smooth_activation: ClassVar = "gelu"

    def __call__(self, x):
        return jax.nn.gelu(x, approximate=False)


class GELUSquare(DirectMethod):
    r"""x^2 = c_0 + sum_k c_k [gelu(h_k x) + gelu(-h_k x)], up to a certified error.

    With erf in it, gelu(z) + gelu(-z) = z erf(z/sqrt 2) is an even entire function, whose Taylor
    series begins with sqrt(2/pi) z^2. Combinations of K of them, at h_k = k H/(K M) on [-M, M],
    cancel the next powers. The textbook's one pair has c of the size 1/h^2 and is ruined by
    cancellation; here c stays moderate. The c_k solve the collocation in K + 1 Chebyshev
    points of x^2 in [0, M^2] (derived here; balls of 300 bits), for inner weights that are rounded
    first; then they are rounded themselves. The stored network is what the certificate is about.

    The error falls with the spread H, but sum |c_k|, and with it the rounding of an executed
    network, grows. H is the one with the least sum of the sampled error and u sum |c_k|, u the
    roundoff of the problem's dtype (of float64 for "real").

    Measured (proved, on [-1, 1]): 8 units 7.7e-14, 12 units 2.4e-16; with H = 1 and 1.2, whose
    weights are small, 5.3e-9 and 4.8e-13.

    Args:
        units: an even number in [2, 24].
        spread: H, in (0, 4]; chosen if None.

    Raises:
        UsageError: another number of units, or a spread outside its range.
        HypothesisError: the problem's function is not x^2, shown by its Taylor coefficients.
    """

    problems: ClassVar = (Approximate,)
    needs_64_bit: ClassVar = True

    units: int = eqx.field(static=True, default=12)
    spread: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        n = self.units
        if not isinstance(n, int) or isinstance(n, bool) or n % 2 or not 2 <= n <= MOST_UNITS:
            raise UsageError(
                f"`units` of GELUSquare is {n!r}",
                f"Units come in pairs: an even number in [2, {MOST_UNITS}].",
                "units=8   or   units=12",
            )
        if self.spread is not None and not 0 < self.spread <= 4:
            raise UsageError(f"`spread` of GELUSquare is {self.spread!r}", "It lies in (0, 4].")

    def suits(self, problem):
        if not is_square(problem):
            raise HypothesisError(
                f"GELUSquare is for x^2, not for {problem.text}",
                "Its Taylor coefficients on the domain are not those of x^2.",
                'Approximate("x**2", (-1, 1))   or   another method: infsup list methods',
            )

    def find(self, problem, start, key):
        size = max(abs(end) for end in problem.domain)
        dtype = np.float32 if problem.dtype == "float32" else np.float64
        u = ROUNDOFF[problem.dtype] or ROUNDOFF["float64"]
        spreads = SPREADS if self.spread is None else (float(self.spread),)
        with precision(BITS):
            tries = [fitted(self.units // 2, h, size, dtype) for h in spreads]
            inner, outer = min(tries, key=lambda t: quality(*t, size, u))
        return Outcome(_network(inner, outer, dtype))


def is_square(problem: Approximate) -> bool:
    """Whether f is x^2: f(0) = f'(0) = 0 and f'' = 2 exactly on a box with the domain and 0."""
    if not isinstance(problem.f, Program):
        return False
    f = Enclosure(problem.f)
    a, b = problem.domain
    try:
        with precision():
            at, box = f.taylor(arb(0), 2), f.taylor(hull(min(a, 0.0), max(b, 0.0)), 3)
    except (DomainFault, NotSmooth):
        return False
    zero = all(c.is_zero() for c in (*at[:2], box[3]))
    return zero and box[2].is_exact() and box[2] == 1


def fitted(pairs: int, spread: float, size: float, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Inner weights h [pairs] and outer weights [c_1, ..., c_pairs, c_0], floats of the dtype.

    Args:
        pairs: K.
        spread: H.
        size: M.
        dtype: np.float32 or np.float64.
    """
    h = np.array([spread * k / (pairs * size) for k in range(1, pairs + 1)], dtype)
    n = pairs + 1
    squares = [
        (1 + ((2 * j + 1) * arb.pi() / (2 * n)).cos()) / 2 * arb(size) ** 2 for j in range(n)
    ]
    rows = [[_pair(float(w), y.sqrt()) for w in h] + [arb(1)] for y in squares]
    c = arb_mat(rows).solve(arb_mat([[y] for y in squares]))
    return h, np.array([float(c[k, 0]) for k in range(n)], dtype)


def quality(h: np.ndarray, c: np.ndarray, size: float, u: float) -> float:
    """The largest error at sampled points, and u sum |c_k|: to choose with, without proof."""
    worst = 0.0
    for j in range(SAMPLES + 1):
        x = arb(size * math.sin(j * math.pi / (2 * SAMPLES)))
        y = sum((arb(float(v)) * _pair(float(w), x) for w, v in zip(h, c, strict=False)), arb(0))
        worst = max(worst, abs(float(y + float(c[-1]) - x * x)))
    # a unit is at most of the size h M
    return worst + u * float(np.abs(c[:-1].astype(np.float64)) @ h.astype(np.float64)) * size


def _pair(h: float, x: arb) -> arb:
    """gelu(h x) + gelu(-h x) = z erf(z/sqrt 2) at z = h x."""
    z = h * x
    return z * (z / arb(2).sqrt()).erf()


def _network(h: np.ndarray, c: np.ndarray, dtype: type) -> eqx.nn.MLP:
    inner = np.stack([h, -h], 1).reshape(-1, 1)
    outer = np.repeat(c[:-1], 2).reshape(1, -1)
    network = eqx.nn.MLP(
        "scalar", "scalar", len(inner), 1, activation=ExactGELU(), key=jax.random.key(0)
    )
    arrays = (inner, np.zeros(len(inner), dtype), outer, c[-1:])
    return eqx.tree_at(
        lambda m: (
            m.layers[0].weight,
            m.layers[0].bias,
            m.layers[1].weight,
            m.layers[1].bias,
        ),
        network,
        arrays,
    )
