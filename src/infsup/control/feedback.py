"""Control laws that can be stored by name."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from infsup.core.registry import register


@register
class ZeroControl(eqx.Module):
    """u(t, x) = 0: the honest comparator.

    Args:
        controls: m.
    """

    controls: int = eqx.field(static=True)

    def __call__(self, t: Any, x: Float[Array, " d"]) -> Float[Array, " m"]:
        return jnp.zeros(self.controls, x.dtype)


@register
class ScalarFeedback(eqx.Module):
    """u(t, x) = -c/(1 + rate (T - t)) gain x: best for the terminal cost c|x|^2/2.

    Args:
        gain: [m, d], or a scalar multiple of the identity.
        terminal: c.
        rate: see `infsup.control.matched`; 1 + rate T > 0.
        horizon: T.
    """

    gain: Array = eqx.field(converter=jnp.asarray)
    terminal: Array = eqx.field(converter=jnp.asarray)
    rate: Array = eqx.field(converter=jnp.asarray)
    horizon: Array = eqx.field(converter=jnp.asarray)

    def __call__(self, t: Any, x: Float[Array, " d"]) -> Float[Array, " m"]:
        scale = self.terminal / (1.0 + self.rate * (self.horizon - t))
        return -scale * (self.gain * x if self.gain.ndim == 0 else self.gain @ x)


@register
class AffineFeedback(eqx.Module):
    """u(t, x) = -(K(t) x + k(t)), with cubic Hermite interpolation of the gains in time.

    Args:
        times: nodes in [0, T], increasing, [n].
        gains: K and k as the last column, at the nodes, [n, m, d + 1].
        slopes: time derivatives of `gains`.
    """

    times: Float[Array, " n"]
    gains: Float[Array, "n m d1"]
    slopes: Float[Array, "n m d1"]

    def gain(self, t: Any) -> Float[Array, "m d1"]:
        """K(t) with k(t) as its last column."""
        i = jnp.clip(jnp.searchsorted(self.times, t, side="right") - 1, 0, len(self.times) - 2)
        h = self.times[i + 1] - self.times[i]
        s = (t - self.times[i]) / h
        a, b = self.gains[i], self.gains[i + 1]
        da, db = h * self.slopes[i], h * self.slopes[i + 1]
        return (
            (1 + 2 * s) * (1 - s) ** 2 * a
            + s * (1 - s) ** 2 * da
            + s**2 * (3 - 2 * s) * b
            + s**2 * (s - 1) * db
        )

    def __call__(self, t: Any, x: Float[Array, " d"]) -> Float[Array, " m"]:
        g = self.gain(t)
        return -(g[:, :-1] @ x + g[:, -1])
