"""Conditional paths: how a point of noise and a point of data are joined.

    x_t = a(t) x1 + b(t) x0 + c(t) z,   x0 noise, x1 data, z fresh noise,   t in [0, 1]

with noise at t = 0 and data at t = 1 (a rises to 1, b falls to 0). Seen from x1 alone, with x0 and
z independent standard normals, all noise is one: x_t = a x1 + s n with s^2 = b^2 + c^2.
"""

import abc
import math
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from infsup.core.registry import register
from infsup.optimization import arguments


class Weights(NamedTuple):
    """The coefficients at one time, and their derivatives in t."""

    a: Any
    b: Any
    c: Any
    da: Any
    db: Any
    dc: Any

    @property
    def s(self) -> Any:
        """Standard deviation of all noise together, sqrt(b^2 + c^2)."""
        return jnp.sqrt(self.b * self.b + self.c * self.c)

    @property
    def ds(self) -> Any:
        """Its derivative; where s = 0, that of b (c dc -> 0 there for all paths of this file)."""
        s = self.s
        safe = jnp.where(s > 0, s, 1.0)
        return jnp.where(s > 0, (self.b * self.db + self.c * self.dc) / safe, self.db)


class Path(eqx.Module):
    """A schedule of the three coefficients. Subclasses are final."""

    @abc.abstractmethod
    def at(self, t: Any) -> Weights:
        """Coefficients and derivatives at t in [0, 1], in the dtype of t."""


@register
class Linear(Path):
    """x_t = t x1 + (1 - t) x0 + noise z: straight lines, blurred by `noise` >= 0.

    With noise > 0 the law at t = 1 is the data's, smoothed by N(0, noise^2): that is what the
    flow then learns.

    Source: Y. Lipman et al., ICLR 2023 (noise = 0); A. Tong et al., TMLR 2024 (noise = sigma).
    """

    noise: Any = 0.0

    def __check_init__(self):
        arguments.number("Linear", "noise", self.noise, above=0, least=True)

    def at(self, t):
        t = jnp.asarray(t)
        one, zero = jnp.ones_like(t), jnp.zeros_like(t)
        return Weights(t, one - t, self.noise * one, one, -one, zero)


@register
class Trigonometric(Path):
    """x_t = sin(pi t/2) x1 + cos(pi t/2) x0: a^2 + b^2 = 1.

    Source: M. Albergo and E. Vanden-Eijnden, ICLR 2023.
    """

    def at(self, t):
        h = math.pi / 2
        t = jnp.asarray(t)
        sin, cos, zero = jnp.sin(h * t), jnp.cos(h * t), jnp.zeros_like(t)
        return Weights(sin, cos, zero, h * cos, -h * sin, zero)


@register
class VariancePreserving(Path):
    r"""The diffusion dX = -beta X/2 dtau + sqrt(beta) dW, read backward: tau = 1 - t.

    a = exp(-B(1 - t)/2), b = sqrt(1 - a^2), B(tau) = low tau + (high - low) tau^2/2. At t = 0 a
    rest a(0) = exp(-(low + high)/4) of the data is left, and sampling starts from pure noise: an
    error of about a(0) times the data's size (0.0066 with the usual numbers). b' diverges at
    t = 1, so flows end at the time `1 - 1e-5`.

    Args:
        low: beta at tau = 0, > 0.
        high: beta at tau = 1, > 0.

    Source: Y. Song et al., ICLR 2021.
    """

    low: Any = 0.1
    high: Any = 20.0

    def __check_init__(self):
        arguments.number("VariancePreserving", "low", self.low, above=0)
        arguments.number("VariancePreserving", "high", self.high, above=0)

    def at(self, t):
        tau = jnp.maximum(1.0 - jnp.asarray(t), 1e-5)
        power = self.low * tau + 0.5 * (self.high - self.low) * tau * tau
        beta = self.low + (self.high - self.low) * tau
        a = jnp.exp(-0.5 * power)
        b = jnp.sqrt(-jnp.expm1(-power))
        zero = jnp.zeros_like(a)
        # b^2 = 1 - a^2, so b db = -a da
        return Weights(a, b, zero, 0.5 * beta * a, -0.5 * beta * a * a / b, zero)


@register
class VarianceExploding(Path):
    r"""x1 + sigma(t) x0 with sigma(t) = high^(1 - t) low^t, scaled to unit size.

    a = 1/sqrt(1 + sigma^2), b = sigma a. A rest a(0), about 1/high, of the data is left at t = 0,
    and noise of size `low` at t = 1.

    Args:
        low: > 0.
        high: > 0, above `low`.

    Source: Y. Song and S. Ermon, NeurIPS 2019 (geometric levels); the scaling is that of Y. Song
    et al., ICLR 2021, appendix, between variance exploding and preserving.
    """

    low: Any = 0.002
    high: Any = 80.0

    def __check_init__(self):
        arguments.number("VarianceExploding", "low", self.low, above=0)
        arguments.number("VarianceExploding", "high", self.high, above=0)

    def at(self, t):
        t = jnp.asarray(t)
        sigma = jnp.exp((1.0 - t) * jnp.log(self.high) + t * jnp.log(self.low)).astype(t.dtype)
        slope = sigma * (jnp.log(self.low) - jnp.log(self.high))
        q = 1.0 + sigma * sigma
        root = jnp.sqrt(q)
        zero = jnp.zeros_like(t)
        return Weights(
            1.0 / root, sigma / root, zero, -sigma * slope / (q * root), slope / (q * root), zero
        )
