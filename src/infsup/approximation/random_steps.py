"""Barron's random networks of steps, for the Gaussian bump, whose Fourier transform is known."""

import math

import equinox as eqx
import numpy as np
from jaxtyping import Float

from infsup.core.errors import UsageError
from infsup.core.registry import register


@register
class StepNetwork(eqx.Module):
    r"""x -> c + sum_j w_j 1[<a_j, x> > t_j]: one hidden layer of Heaviside's step.

    Args:
        constant: c.
        directions: a, [width, d].
        thresholds: t, [width].
        weights: w, [width].
    """

    constant: float
    directions: Float[np.ndarray, "width d"]
    thresholds: Float[np.ndarray, " width"]
    weights: Float[np.ndarray, " width"]

    def __call__(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Values at points [n, d], NumPy float64."""
        on = np.asarray(x, np.float64) @ self.directions.T > self.thresholds
        return self.constant + on @ self.weights


def bump(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
    """exp(-|x|^2/2), the mean of cos<w, x> over standard normal w."""
    return np.exp(-np.sum(np.asarray(x, np.float64) ** 2, -1) / 2)


def fourier_moment(dim: int) -> float:
    """C = E|w| of the bump: sqrt 2 Gamma((d+1)/2)/Gamma(d/2)."""
    return math.sqrt(2.0) * math.exp(math.lgamma((dim + 1) / 2) - math.lgamma(dim / 2))


def step_variation(dim: int, panels: int = 40, nodes: int = 24) -> float:
    r"""V = E int_0^1 2 r |sin(r t)| dt, r = |w|: the total weight of the bump's steps; V <= 2 C.

    Gauss-Legendre on the panels [k pi, (k+1) pi], where int_0^r |sin| = 2k + 1 - cos(r - k pi).
    """
    s, weight = np.polynomial.legendre.leggauss(nodes)
    s, weight = (s + 1) * math.pi / 2, weight * math.pi / 2
    k = np.arange(panels)[:, None]
    r = k * math.pi + s
    log_norm = (1 - dim / 2) * math.log(2.0) - math.lgamma(dim / 2)
    density = np.exp(log_norm + (dim - 1) * np.log(r) - r * r / 2)
    return float(np.sum(weight * density * 2 * (2 * k + 1 - np.cos(s))))


def barron_steps(dim: int, width: int, rng: np.random.Generator) -> StepNetwork:
    r"""A random step network whose mean is the bump on the unit ball.

    Derivation: for 0 < z <= 1, cos(r z) - 1 = int_0^1 1[z > t] (-r sin(r t)) dt. With r = |w|, z =
    <w/r, x> and the symmetry of w, bump(x) - 1 = E int_0^1 2 (-r sin(r t)) 1[z > t] dt. Drawing
    (w, t) with the density of 2 r |sin(r t)|/V and giving each step the weight -+V/width makes the
    mean exact, and the mean squared error at x is (V^2 P(on) - (bump - 1)^2)/width <= V^2/width.

    Args:
        dim: d >= 1.
        width: >= 1.
        rng: the only source of randomness.

    Source: A. R. Barron, IEEE Trans. Inform. Theory 39 (1993) 930-945, Section VI.
    """
    if dim < 1 or width < 1:
        raise UsageError(f"`dim` is {dim}, `width` is {width}", "Both are at least 1.")
    rows: list[np.ndarray] = []
    found = 0
    while found < width:
        n = 2 * (width - found) + 16
        # r times the density of |w| is that of one dimension more
        r = np.sqrt(rng.chisquare(dim + 1, n))
        t = rng.random(n)
        w = rng.normal(size=(n, dim))
        w /= np.linalg.norm(w, axis=1, keepdims=True)
        keep = rng.random(n) < np.abs(np.sin(r * t))
        rows.append(np.column_stack([w, t, -np.sign(np.sin(r * t))])[keep])
        found += int(keep.sum())
    drawn = np.concatenate(rows)[:width]
    weights = drawn[:, -1] * (step_variation(dim) / width)
    return StepNetwork(1.0, drawn[:, :dim], drawn[:, dim], weights)
