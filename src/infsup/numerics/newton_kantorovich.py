"""How far a root is from a point, by the theorem of Newton and Kantorovich."""

import math
from dataclasses import dataclass
from fractions import Fraction

from infsup.core.errors import HypothesisError, UsageError
from infsup.numerics.enclosure import exact, lower, precision, upper

Number = float | int | Fraction

BITS = 128


@dataclass(frozen=True)
class Radii:
    """Where the root is.

    Args:
        inner: a root lies in the closed ball of this radius around the point; rounded up.
        outer: it is the only one in the open ball of this radius; rounded down. inf where the map
            is affine.
        h: beta eta lipschitz, exactly; at most 1/2.
    """

    inner: float
    outer: float
    h: Fraction


def radii(beta: Number, eta: Number, lipschitz: Number) -> Radii:
    r"""The radii t* <= t** of existence and of uniqueness of a root of F near a point x0.

    Formula: h = beta eta K, t* = (1 - sqrt(1 - 2h))/(beta K), t** = (1 + sqrt(1 - 2h))/(beta K).
    Both are enclosed in ball arithmetic, so they hold for every x0 of which the three numbers are
    true.

    Args:
        beta: at least the norm of F'(x0)^-1; > 0.
        eta: at least the norm of the Newton step F'(x0)^-1 F(x0); >= 0.
        lipschitz: K, at least the Lipschitz constant of F' on the ball of radius t* around x0;
            >= 0.

    Raises:
        UsageError: a number outside its range.
        HypothesisError: beta eta K > 1/2: the theorem says nothing about this point.

    Source: L. V. Kantorovich and G. P. Akilov, Functional Analysis (1982), Chapter XVIII.
    """
    given = {"beta": beta, "eta": eta, "lipschitz": lipschitz}
    for name, x in given.items():
        if not 0 <= x < math.inf or (name == "beta" and x == 0):
            raise UsageError(f"`{name}` is {x}", "It is finite and not negative.")
    b, e, k = (Fraction(x) for x in given.values())
    h = b * e * k
    if 2 * h > 1:
        raise HypothesisError(
            f"beta eta K is {float(h):.3g}, above 1/2",
            "Newton's method need not converge from this point.",
            "a point with a smaller residual: a few more Newton steps",
        )
    if k == 0:
        return Radii(upper(exact(e)), math.inf, h)
    with precision(BITS):
        root = exact(1 - 2 * h).sqrt()
        # t* without the difference of two numbers near 1
        return Radii(upper(2 * exact(e) / (1 + root)), lower((1 + root) / exact(b * k)), h)
