"""Recipes of velocity fields v(t, x). `build(dim, key)` makes one.

A recipe of one's own is any `key -> module` that takes (t, x[d]) and gives [d].
"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from infsup.core.errors import UsageError
from infsup.core.registry import register


@register
class Joined(eqx.Module):
    """v(t, x) = net([x, t])."""

    net: Any

    def __call__(self, t, x):
        return self.net(jnp.concatenate([x, jnp.asarray(t, x.dtype)[None]]))


@register
class TimeMLP(eqx.Module):
    """Recipe of a fully connected network of x and t, for few dimensions.

    Args:
        width: units of a hidden layer.
        depth: hidden layers.
        activation: one of `jax.nn`.
        dtype: of the weights, float32 unless said otherwise.
    """

    width: int = eqx.field(static=True, default=64)
    depth: int = eqx.field(static=True, default=3)
    activation: Callable = eqx.field(static=True, default=jax.nn.silu)
    dtype: Any = eqx.field(static=True, default=np.dtype(np.float32), converter=np.dtype)

    def __check_init__(self):
        _sizes("TimeMLP", width=self.width, depth=self.depth)

    def build(self, dim: int, key: Any) -> Joined:
        """The network with random weights."""
        net = eqx.nn.MLP(
            dim + 1,
            dim,
            self.width,
            self.depth,
            self.activation,
            jax.nn.identity,  # the default is a lambda, which could not be stored
            dtype=self.dtype,
            key=key,
        )
        return Joined(net)


@register
class ResidualBlock(eqx.Module):
    """h + W2 silu(W1 norm(h) + e), with e what is known of the time."""

    norm: Any
    first: Any
    second: Any

    def __call__(self, h, e):
        return h + self.second(jax.nn.silu(self.first(self.norm(h)) + e))


@register
class Residual(eqx.Module):
    """A residual network of x, told the time by Fourier features of it."""

    enter: Any
    time: Any
    blocks: Any
    leave: Any

    def __call__(self, t, x):
        t = jnp.asarray(t, x.dtype)
        waves = self.time.in_features // 2
        f = jnp.exp(jnp.linspace(0.0, math.log(200.0), waves, dtype=x.dtype)) * t
        e = self.time(jnp.concatenate([jnp.sin(f), jnp.cos(f)]))
        h = self.enter(x)
        for block in self.blocks:
            h = block(h, e)
        return self.leave(jax.nn.silu(h))


@register
class ResidualVelocity(eqx.Module):
    """Recipe of a residual network with layer norms and Fourier features of t, for images.

    Args:
        width: units.
        blocks: residual blocks of two layers each.
        waves: frequencies of t, from 1 to 200.
        dtype: of the weights, float32 unless said otherwise.
    """

    width: int = eqx.field(static=True, default=256)
    blocks: int = eqx.field(static=True, default=3)
    waves: int = eqx.field(static=True, default=16)
    dtype: Any = eqx.field(static=True, default=np.dtype(np.float32), converter=np.dtype)

    def __check_init__(self):
        _sizes("ResidualVelocity", width=self.width, blocks=self.blocks, waves=self.waves)

    def build(self, dim: int, key: Any) -> Residual:
        """The network with random weights."""
        keys = iter(jax.random.split(key, 3 + 2 * self.blocks))
        linear = lambda i, o: eqx.nn.Linear(i, o, dtype=self.dtype, key=next(keys))  # noqa: E731
        w = self.width
        blocks = tuple(
            ResidualBlock(eqx.nn.LayerNorm(w, dtype=self.dtype), linear(w, w), linear(w, w))
            for _ in range(self.blocks)
        )
        return Residual(linear(dim, w), linear(2 * self.waves, w), blocks, linear(w, dim))


def _sizes(what: str, **sizes: Any) -> None:
    for name, got in sizes.items():
        if not isinstance(got, int) or isinstance(got, bool) or got < 1:
            raise UsageError(f"`{name}` of {what} is {got!r}", "It is a whole number, 1 or more.")
