"""Simple samplers: the comparators that a learned one must beat."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from infsup.core.registry import register


@register
class GaussianSampler(eqx.Module):
    """N(mean, root root'), in float32.

    Args:
        mean: [d].
        root: [d, d], lower triangular.
        row: shape of one draw; d numbers.
    """

    mean: Any
    root: Any
    row: tuple[int, ...] = eqx.field(static=True)

    @classmethod
    def fitted(cls, mean: Any, covariance: Any, row: tuple[int, ...]) -> "GaussianSampler":
        """With these moments; directions without spread get a little."""
        c = np.asarray(covariance, np.float64)
        scale = max(float(np.trace(c)) / len(c), 1e-30)
        root = np.linalg.cholesky(c + 1e-9 * scale * np.eye(len(c)))
        return cls(np.asarray(mean, np.float32), root.astype(np.float32), row)

    def push(self, z: Float[Array, "n d"]) -> Float[Array, " n *row"]:
        """Where standard normal noise goes."""
        x = jnp.asarray(self.mean) + z @ jnp.asarray(self.root).T
        return x.reshape(len(z), *self.row)

    def sample(self, key: Key[Array, ""], n: int) -> Float[Array, " n *row"]:
        """Independent draws."""
        return self.push(jax.random.normal(key, (n, len(self.mean)), jnp.float32))

    def log_prob(self, x: Float[Array, " n *row"]) -> Float[Array, " n"]:
        """Log density at x."""
        root = jnp.asarray(self.root, x.dtype)
        away = x.reshape(len(x), -1) - jnp.asarray(self.mean, x.dtype)
        z = jax.scipy.linalg.solve_triangular(root, away.T, lower=True).T
        logdet = jnp.sum(jnp.log(jnp.diag(root)))
        return -0.5 * jnp.sum(z * z, 1) - logdet - 0.5 * z.shape[1] * math.log(2 * math.pi)


@register
class Resampler(eqx.Module):
    """Draws from given rows, with replacement: what a sampler that memorises would do.

    Args:
        rows: [n, *row].
    """

    rows: Any

    def sample(self, key: Key[Array, ""], n: int) -> Float[Array, " n *row"]:
        """Rows at random."""
        return jnp.asarray(self.rows)[jax.random.randint(key, (n,), 0, len(self.rows), jnp.int32)]
