"""The polar factor of a matrix, and the Newton-Schulz iterations that approximate it."""

import itertools
from collections.abc import Sequence
from typing import Any

import flint
import jax.numpy as jnp
from jaxtyping import Array, Float

from infsup.core.errors import UsageError
from infsup.numerics.enclosure import exact, hull, lower, precision, upper

CUBIC = (1.5, -0.5, 0.0)
"""Bjorck and Bowie (1971): x -> 1.5 x - 0.5 x^3; converges quadratically to 1 on (0, sqrt 3)."""

JORDAN = (3.4445, -4.7750, 2.0315)
"""K. Jordan et al., Muon (2024): fast at 0, but it does not converge: 1 is no fixed point."""

Polynomial = tuple[float, float, float]


def polar_factor(a: Float[Array, "m n"]) -> Float[Array, "m n"]:
    """U V' of the thin singular value decomposition a = U S V'.

    Of all x with spectral norm at most 1 it has the largest <a, x>, which is the nuclear norm.
    """
    u, _, vt = jnp.linalg.svd(a, full_matrices=False)
    return u @ vt


def newton_schulz(a: Float[Array, "m n"], polynomials: Sequence[Polynomial]) -> Float[Array, "m n"]:
    """Applies odd polynomials p(s) = c0 s + c1 s^3 + c2 s^5 to the singular values, one by one.

    Args:
        a: the matrix; its singular values should lie in (0, 1].
        polynomials: (c0, c1, c2) of each step; `CUBIC`, `JORDAN`, `optimization.muon.POLYNOMIALS`.
    """
    x = a
    for c0, c1, c2 in polynomials:
        gram = x @ x.T
        x = c0 * x + (c1 * gram + c2 * (gram @ gram)) @ x
    return x


def singular_value_range(
    polynomials: Sequence[Polynomial], low: Any, high: Any, boxes: int = 512
) -> tuple[float, float]:
    """A proved enclosure of what the polynomials make of singular values in [low, high].

    Ball arithmetic on `boxes` parts, equal in the logarithm; a float coefficient is taken exactly.

    Args:
        polynomials: as in `newton_schulz`.
        low: > 0.
        high: >= low.
        boxes: more of them make the enclosure sharper.

    Raises:
        UsageError: an empty or non-positive range.
    """
    if not 0 < low <= high:
        raise UsageError(f"`low` is {low}, `high` is {high}", remedy="low=0.01, high=1.0")
    with precision(128):
        a, b = exact(low), exact(high)
        ratio = (b / a) ** (exact(1) / boxes)
        ends = [a * ratio**i for i in range(boxes)] + [b]
        found = []
        for left, right in itertools.pairwise(ends):
            x = hull(left, right)
            for p in polynomials:
                x = _image(p, x)
            found.append(x)
        return min(lower(x) for x in found), max(upper(x) for x in found)


def _image(polynomial: Polynomial, x: flint.arb) -> flint.arb:
    """The polynomial on a ball by its first-order Taylor form, sharper than powers of the ball."""
    c0, c1, c2 = (exact(c) for c in polynomial)
    m = x.mid()
    slope = c0 + x * x * (3 * c1 + 5 * c2 * x * x)
    at = m * (c0 + m * m * (c1 + c2 * m * m))
    return at + slope * (x - m)
