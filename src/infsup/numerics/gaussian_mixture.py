"""Laws with everything known: Gaussian mixtures and finite sets of atoms, seen through noise.

Each law X is seen as a X + s n with n ~ N(0, I) independent of X; density, score, and the two
conditional means E[X | .] and E[n | .] are closed forms. Every path and process of the library is
one (a, s) a time, so velocities, denoisers and scores follow (`generative.bridge`).
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from infsup.core.answers import shape_of
from infsup.core.errors import UsageError
from infsup.core.registry import register

Scalar = Float[Array, ""] | float


@register
class GaussianMixture(eqx.Module):
    r"""sum_k w_k N(m_k, S_k), each S_k by its axes and the variances along them.

    Args:
        weights: [k], positive; their sum is made 1.
        means: [k, d].
        covariances: [k, d, d], symmetric positive semidefinite; [k, d] for variances along the
            coordinate axes; [k] or a number for isotropic ones.

    Raises:
        UsageError: shapes that do not fit, a weight that is not positive, a negative variance.
    """

    weights: Any
    means: Any
    axes: Any
    variances: Any

    def __init__(self, weights: Any, means: Any, covariances: Any):
        w, m = _numbers("weights", weights), _numbers("means", means)
        c = _numbers("covariances", covariances)
        if w.ndim != 1 or len(w) == 0:
            raise UsageError(f"`weights` is {shape_of(w)}", "Positive numbers, one a component.")
        if (w <= 0).any():
            raise UsageError(f"`weights` holds {w[w <= 0][0]:g}", "They are positive.")
        if m.ndim != 2 or m.shape[0] != len(w) or m.shape[1] == 0:
            raise UsageError(
                f"`means` is {shape_of(m)}, and there are {len(w)} weights",
                remedy=f"numbers [{len(w)}, d]",
            )
        k, d = m.shape
        if c.ndim == 3 and c.shape == (k, d, d):
            if np.abs(c - np.swapaxes(c, 1, 2)).max() > 1e-10 * np.abs(c).max():
                raise UsageError("`covariances` is not symmetric", remedy="(C + C.mT) / 2")
            values, axes = np.linalg.eigh(c)
            size = np.abs(values).max(1, keepdims=True)
            values = np.where(np.abs(values) < 1e-12 * size, 0.0, values)
        elif c.shape in ((), (k,), (k, d)):
            values = np.broadcast_to(c[:, None] if c.shape == (k,) else c, (k, d)).copy()
            axes = np.broadcast_to(np.eye(d), (k, d, d)).copy()
        else:
            raise UsageError(
                f"`covariances` is {shape_of(c)} for means {shape_of(m)}",
                remedy=f"[{k}, {d}, {d}], [{k}, {d}], [{k}], or a number",
            )
        if (values < 0).any():
            raise UsageError(
                f"`covariances` has the eigenvalue {values.min():.3g}",
                "A covariance is positive semidefinite.",
            )
        self.weights, self.means, self.axes, self.variances = w / w.sum(), m, axes, values

    # -- the law itself ----------------------------------------------------------------------

    @property
    def dim(self) -> int:
        """The dimension d."""
        return self.means.shape[1]

    @property
    def covariances(self) -> np.ndarray:
        """[k, d, d]."""
        return np.einsum("kij,kj,klj->kil", self.axes, self.variances, self.axes)

    @property
    def mean(self) -> np.ndarray:
        """[d]."""
        return np.asarray(self.weights @ self.means)

    @property
    def covariance(self) -> np.ndarray:
        """[d, d]."""
        away = self.means - self.mean
        return np.einsum("k,kij->ij", self.weights, self.covariances) + np.einsum(
            "k,ki,kj->ij", self.weights, away, away
        )

    def sample(self, key: Key[Array, ""], n: int, dtype: Any = np.float32) -> Float[Array, "n d"]:
        """Independent draws, computed in `dtype`."""
        which, noise = jax.random.split(key)
        k = jax.random.choice(which, len(self.weights), (n,), p=jnp.asarray(self.weights, dtype))
        z = jax.random.normal(noise, (n, self.dim), dtype)
        spread = (
            jnp.asarray(self.axes, dtype) * jnp.sqrt(jnp.asarray(self.variances, dtype))[:, None]
        )
        return jnp.asarray(self.means, dtype)[k] + jnp.einsum("nij,nj->ni", spread[k], z)

    def log_density(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """The log density; -inf or NaN where a covariance is singular."""
        return self.log_density_through(x, 1.0, 0.0)

    def score(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """The gradient of the log density."""
        return self.score_through(x, 1.0, 0.0)

    # -- through noise -----------------------------------------------------------------------

    def through(self, a: float, s: float) -> "GaussianMixture":
        """The law of a X + s n, again a mixture."""
        new = object.__new__(GaussianMixture)
        for name, value in (
            ("weights", self.weights),
            ("means", a * self.means),
            ("axes", self.axes),
            ("variances", a * a * self.variances + s * s),
        ):
            object.__setattr__(new, name, value)
        return new

    def ornstein_uhlenbeck(
        self, t: float, rate: float = 1.0, sigma: float = math.sqrt(2.0)
    ) -> "GaussianMixture":
        r"""The law at time t of dX = -rate X dt + sigma dW that starts here.

        Formula: a = e^(-rate t), s^2 = sigma^2 (1 - a^2) / (2 rate).
        """
        a = math.exp(-rate * t)
        return self.through(a, sigma * math.sqrt(-math.expm1(-2 * rate * t) / (2 * rate)))

    def log_density_through(self, x: Float[Array, " d"], a: Scalar, s: Scalar) -> Float[Array, ""]:
        """The log density of a X + s n at x."""
        logs, _, _ = self._terms(x, a, s)
        return jax.nn.logsumexp(logs)

    def score_through(self, x: Float[Array, " d"], a: Scalar, s: Scalar) -> Float[Array, " d"]:
        """Gradient of the log density of a X + s n at x."""
        logs, pulled, _ = self._terms(x, a, s)
        return -jnp.einsum("k,kd->d", jax.nn.softmax(logs), pulled)

    def split_through(
        self, x: Float[Array, " d"], a: Scalar, s: Scalar
    ) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
        r"""E[X | a X + s n = x] and E[n | a X + s n = x]; regular at s = 0 and at a = 0.

        Formula: with C_k = a^2 S_k + s^2 I, responsibilities r_k and y_k = C_k^-1 (x - a m_k):
        sum r_k (m_k + a S_k y_k) and s sum r_k y_k.
        """
        logs, pulled, through = self._terms(x, a, s)
        r = jax.nn.softmax(logs)
        means = jnp.asarray(self.means, x.dtype)
        return jnp.einsum("k,kd->d", r, means + a * through), s * jnp.einsum("k,kd->d", r, pulled)

    def _terms(self, x: Array, a: Any, s: Any) -> tuple[Array, Array, Array]:
        """log(w_k N(x; a m_k, C_k)), C_k^-1 (x - a m_k), and S_k C_k^-1 (x - a m_k)."""
        w, m, u, v = (
            jnp.asarray(f, x.dtype) for f in (self.weights, self.means, self.axes, self.variances)
        )
        spread = a * a * v + s * s
        along = jnp.einsum("kij,ki->kj", u, x - a * m)
        logs = jnp.log(w) - 0.5 * jnp.sum(
            along * along / spread + jnp.log(2 * math.pi * spread), axis=1
        )
        pulled = along / spread
        turn = lambda y: jnp.einsum("kij,kj->ki", u, y)  # noqa: E731
        return logs, turn(pulled), turn(v * pulled)

    # -- seen from one direction -------------------------------------------------------------

    def projected(
        self, direction: Float[np.ndarray, " d"]
    ) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
        """Weights, means and standard deviations of <direction, X>, a mixture on the line."""
        e = np.asarray(direction, np.float64)
        along = np.einsum("kij,i->kj", self.axes, e)
        return self.weights, self.means @ e, np.sqrt((along**2 * self.variances).sum(1))


def _numbers(name: str, value: Any) -> Float[np.ndarray, "..."]:
    try:
        a = np.asarray(value)
    except ValueError:
        a = np.zeros(0, object)
    if a.dtype.kind not in "fiub":
        raise UsageError(f"`{name}` is {type(value).__name__}", remedy="an array of numbers")
    if not np.isfinite(a).all():
        raise UsageError(f"`{name}` holds NaN or inf")
    return a.astype(np.float64)


@register
class Atoms(eqx.Module):
    """The uniform law on finitely many points, as of held-out rows.

    Args:
        points: [n, d].
    """

    points: Any

    @property
    def dim(self) -> int:
        """The dimension d."""
        return self.points.shape[1]

    def sample(self, key: Key[Array, ""], n: int, dtype: Any = np.float32) -> Float[Array, "n d"]:
        """Draws with replacement."""
        i = jax.random.randint(key, (n,), 0, len(self.points), jnp.int32)
        return jnp.asarray(self.points, dtype)[i]

    def split_through(
        self, x: Float[Array, " d"], a: Scalar, s: Scalar
    ) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
        r"""E[X | a X + s n = x] and E[n | a X + s n = x], for s > 0.

        Formula: sum r_j p_j with r = softmax(-|x - a p_j|^2 / (2 s^2)); (x - a E[X | x]) / s.
        """
        p = jnp.asarray(self.points, x.dtype)
        # |x|^2 is common to all atoms and drops out of the softmax
        far = a * a * jnp.sum(p * p, 1) - 2 * a * (p @ x)
        mean = jax.nn.softmax(-far / (2 * s * s)) @ p
        return mean, (x - a * mean) / s


def ring(modes: int = 8, radius: float = 5.0, spread: float = 1.0) -> GaussianMixture:
    """Equal Gaussians on a circle in the plane.

    Args:
        modes: how many.
        radius: of the circle.
        spread: standard deviation of each.
    """
    angle = 2 * np.pi * np.arange(modes) / modes
    means = radius * np.stack([np.cos(angle), np.sin(angle)], 1)
    return GaussianMixture(np.full(modes, 1.0 / modes), means, float(spread) ** 2)
