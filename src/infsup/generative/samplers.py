"""Simple samplers: the comparators that a learned one must beat."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from infsup.core.errors import UsageError
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


@register
class Clipped(eqx.Module):
    """The draws of a sampler, each coordinate moved into [lo, hi].

    That is the projection on a box. It moves no draw away from any point of the box, so W2 to rows
    that lie in the box can only fall; and what is known to lie in a box has brackets that hold at
    every sample size (`W2ToHeldOut(within=...)`).

    Args:
        sampler: any sampler.
        lo, hi: the range, finite, lo < hi.
    """

    sampler: Any
    lo: float = eqx.field(static=True)
    hi: float = eqx.field(static=True)

    def __check_init__(self):
        if not -math.inf < self.lo < self.hi < math.inf:
            raise UsageError(
                f"`Clipped` got [{self.lo}, {self.hi}]", "A range, low to high.", "lo=0.0, hi=1.0"
            )

    @property
    def law(self) -> str:
        """What to call it."""
        inner = getattr(self.sampler, "law", type(self.sampler).__name__)
        return f"{inner} clipped to [{self.lo:g}, {self.hi:g}]"

    def sample(self, key: Key[Array, ""], n: int) -> Float[Array, " n *row"]:
        """Independent draws, where those of the sampler are."""
        return jnp.clip(self.sampler.sample(key, n), self.lo, self.hi)
