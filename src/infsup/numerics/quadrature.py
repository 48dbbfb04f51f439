"""Bounds of E f(|m + sqrt(v) Z|), Z standard normal in d dimensions: no quadrature error is left.

The mean of a piecewise linear function of the norm is known through incomplete gamma functions, and
a bound of f'' says how far f may lie from its chords. NumPy and `scipy.special` only.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import special

from infsup.core.errors import UsageError


@dataclass(frozen=True)
class NormLaw:
    """The law of R = |m + sqrt(v) Z|, Z standard normal in R^d (noncentral chi, scaled).

    Args:
        dim: d >= 1.
        variance: v > 0, of each component.
        shift: |m| >= 0.
    """

    dim: int
    variance: float
    shift: float = 0.0

    def __post_init__(self):
        ok = self.dim >= 1 and 0 < self.variance < math.inf and 0 <= self.shift < math.inf
        if not ok:
            raise UsageError(
                f"`NormLaw` got dim={self.dim}, variance={self.variance}, shift={self.shift}",
                "The dimension is at least 1, the variance positive, the shift not negative.",
            )

    @property
    def second_moment(self) -> float:
        """E R^2 = |m|^2 + v d."""
        return self.shift**2 + self.variance * self.dim

    def nodes(self, count: int, spread: float = 8.5) -> Float[np.ndarray, " k"]:
        """`count` radii: 0, then equidistant ones that hold all but exp(-spread^2/2) of the mass.

        R is sqrt(v)-Lipschitz in Z, so it leaves its mean by t sqrt(v) with probability at most
        exp(-t^2/2) on each side; the mean lies in sqrt(E R^2 - v) .. sqrt(E R^2) (Gaussian Poincare
        inequality).
        """
        s = math.sqrt(self.variance)
        low = math.sqrt(max(self.second_moment - self.variance, 0.0)) - spread * s
        high = math.sqrt(self.second_moment) + spread * s
        if low <= 0.0:
            return np.linspace(0.0, high, count)
        return np.concatenate([[0.0], np.linspace(low, high, count - 1)])

    def mixture(self) -> tuple[Float[np.ndarray, " j"], Float[np.ndarray, " j"]]:
        """Degrees of freedom and log-weights: R^2/v is a Poisson mixture of central chi squares."""
        half = self.shift**2 / (2 * self.variance)
        if half == 0.0:
            return np.array([float(self.dim)]), np.zeros(1)
        # a Poisson variable leaves its mean by 9 deviations plus 40 with probability below 1e-18
        width = 9 * math.sqrt(half) + 40
        j = np.arange(max(0, math.floor(half - width)), math.ceil(half + width) + 1, dtype=float)
        return self.dim + 2 * j, special.xlogy(j, half) - half - special.gammaln(j + 1)

    def partial_moments(
        self, r: Float[np.ndarray, " k"]
    ) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"], float]:
        """P(R <= r), E[R; R <= r], and E[R^2; R > last r]."""
        k, log_w = self.mixture()
        z = r**2 / (2 * self.variance)
        mass, first, tail = np.zeros_like(r), np.zeros_like(r), 0.0
        for dof, weight in zip(k, np.exp(log_w), strict=True):
            mass += weight * special.gammainc(dof / 2, z)
            ratio = math.exp(special.gammaln((dof + 1) / 2) - special.gammaln(dof / 2))
            scale = math.sqrt(2 * self.variance) * ratio
            first += weight * scale * special.gammainc((dof + 1) / 2, z)
            tail += weight * self.variance * dof * special.gammaincc(dof / 2 + 1, z[-1])
        return mass, first, float(tail)


@dataclass(frozen=True)
class Chords:
    """Weights w >= 0 with sum(w f) = E[chord interpolant of f; R <= last node], and two tails.

    Args:
        nodes: radii, from 0 on, increasing.
        mass: P(R in cell), one for each cell.
        right: weight that a cell gives to its right end; the left end has `mass - right`.
        law: the law of R.
        tail_mass: P(R > last node), rounded up.
        tail_square: E[R^2; R > last node], rounded up.
    """

    nodes: np.ndarray
    mass: np.ndarray
    right: np.ndarray
    law: NormLaw
    tail_mass: float
    tail_square: float


def chords(law: NormLaw, count: int) -> Chords:
    """The chord rule with `count` nodes where the mass is."""
    nodes = law.nodes(count)
    f0, f1, square = law.partial_moments(nodes)
    mass, first = np.maximum(np.diff(f0), 0.0), np.diff(f1)
    right = np.clip((first - nodes[:-1] * mass) / np.diff(nodes), 0.0, mass)
    # 1e-15: what the incomplete gamma function and the cut of the mixture may lose
    tail_mass = max(1.0 - float(f0[-1]), 0.0) + 1e-15
    return Chords(nodes, mass, right, law, tail_mass, square + 1e-15 * float(nodes[-1]) ** 2)


def mean_lower(
    rule: Chords,
    values: Float[np.ndarray, " k"],
    curvature: Float[np.ndarray, " c"],
    tail: tuple[float, float],
) -> float:
    """A lower bound of E f(R).

    On a cell of width h where f'' <= K, f - K r^2/2 is concave, so f is at least its chord less
    max(K, 0) (r - a)(b - r)/2, which is at most max(K, 0) h^2/8.

    Args:
        rule: from `chords`, with c cells.
        values: lower bounds of f at the nodes.
        curvature: K of each cell.
        tail: (a, b) with f(r) >= a + b r^2 beyond the last node.

    Returns:
        The bound; rounding (1e-12 relative) apart.
    """
    width = np.diff(rule.nodes)
    loss = np.maximum(curvature, 0.0) * width**2 / 8
    inside = math.fsum((values[:-1] - loss) * rule.mass + np.diff(values) * rule.right)
    a, b = tail
    # the masses of the tail are upper bounds, so only what hurts is counted
    return inside + min(a, 0.0) * rule.tail_mass + min(b, 0.0) * rule.tail_square


def mean_upper(
    rule: Chords,
    values: Float[np.ndarray, " k"],
    curvature: Float[np.ndarray, " c"],
    tail: tuple[float, float],
) -> float:
    """An upper bound of E f(R): `mean_lower` of -f.

    Args:
        rule: from `chords`, with c cells.
        values: upper bounds of f at the nodes.
        curvature: K of each cell, with f'' >= K.
        tail: (a, b) with f(r) <= a + b r^2 beyond the last node.
    """
    return -mean_lower(rule, -values, -curvature, (-tail[0], -tail[1]))


def gauss_rule(
    law: NormLaw, order: int = 64, panels: int = 64, spread: float = 30.0
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Composite Gauss-Legendre quadrature of E f(R): radii, and logarithms of the weights.

    Accurate for smooth f, without an error bound. Logarithms, since exp(-lam f) may move the mass
    to where the density alone would underflow.

    Args:
        law: the law of R.
        order: nodes of a panel.
        panels: equal panels.
        spread: half-width of the range, in sqrt(v).
    """
    x, w = np.polynomial.legendre.leggauss(order)
    *_, low, high = law.nodes(3, spread)
    low = 0.0 if low == high / 2 else low  # nodes 0, high/2, high: the range begins at 0
    ends = np.linspace(low, high, panels + 1)
    half = np.diff(ends) / 2
    r = (half[:, None] * x + (ends[:-1] + half)[:, None]).ravel()
    k, log_p = law.mixture()
    z = r**2 / (2 * law.variance)
    # density of R = sqrt(2 v z): that of z, Gamma(k/2, 1), times r/v
    logs = special.xlogy(k / 2 - 1, z[:, None]) - z[:, None] - special.gammaln(k / 2) + log_p
    log_density = special.logsumexp(logs, axis=1) + np.log(r / law.variance)
    return r, log_density + np.log((half[:, None] * w).ravel())
