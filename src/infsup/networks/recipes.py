"""Recipes: what kind of network, as data. `build` makes one for given sizes.

A recipe of one's own is any `key -> module`, or a module, taken as the start.
"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from infsup.core.answers import Shape, shape_of
from infsup.core.errors import UsageError
from infsup.core.registry import register


@register
class Flat(eqx.Module):
    """A function of a vector, as a function of an array of any shape."""

    inner: Any

    def __call__(self, x):
        return self.inner(jnp.ravel(x))


@register
class Standardised(eqx.Module):
    """A function of standardised inputs: `inner((ravel(x) - shift) * scale)`.

    `shift` and `scale` are measured once and never trained (`trainable` leaves them out).

    Args:
        shift: array [d], the means of the inputs.
        scale: array [d], one over their standard deviations; 1 where an input is constant.
        inner: a function of a vector [d].
    """

    shift: Any
    scale: Any
    inner: Any

    def __call__(self, x):
        shift, scale = jax.lax.stop_gradient((self.shift, self.scale))
        return self.inner((jnp.ravel(x) - shift) * scale)


def trainable(model: Any) -> Any:
    """Which leaves a method changes: a tree of booleans, true for inexact arrays.

    All of them, except the shifts and scales of `Standardised`.
    """

    def spec(node: Any) -> Any:
        if isinstance(node, Standardised):
            return Standardised(False, False, trainable(node.inner))
        return eqx.is_inexact_array(node)

    return jax.tree.map(spec, model, is_leaf=lambda n: isinstance(n, Standardised))


@register
class MLP(eqx.Module):
    """Recipe of a fully connected network: `depth` hidden layers of `width` units.

    Args:
        width: units of a hidden layer, at least 1.
        depth: hidden layers, at least 0.
        activation: between the layers, one of `jax.nn` (a lambda could not be stored).
        standardise: whether inputs are shifted and scaled by the means and standard deviations
            of the rows to fit, where the problem has rows.
        dtype: of the weights, float32 unless said otherwise.

    Raises:
        UsageError: a width or depth that is no such number.
    """

    width: int = eqx.field(static=True, default=64)
    depth: int = eqx.field(static=True, default=2)
    activation: Callable = eqx.field(static=True, default=jax.nn.relu)
    standardise: bool = eqx.field(static=True, default=True)
    dtype: Any = eqx.field(static=True, default=np.dtype(np.float32), converter=np.dtype)

    def __check_init__(self):
        if self.width < 1 or self.depth < 0:
            raise UsageError(
                f"`width` = {self.width}, `depth` = {self.depth} of MLP",
                "A layer has at least one unit.",
                "MLP(width=64, depth=2)",
            )

    def build(
        self,
        ins: Shape,
        out: Shape,
        key: Key[Array, ""],
        x: Float[Array, " n *shape"] | None = None,
    ) -> Any:
        """The network with random weights.

        Args:
            ins: shape of one input.
            out: shape of one output.
            key: of the weights.
            x: rows by which inputs are standardised.

        Raises:
            UsageError: an output that is neither a scalar nor a vector.
        """
        d = math.prod(ins.shape)
        net = eqx.nn.MLP(
            d,
            _size(out),
            self.width,
            self.depth,
            self.activation,
            jax.nn.identity,  # the default is a lambda, which could not be stored
            dtype=self.dtype,
            key=key,
        )
        if not self.standardise or x is None:
            return net if len(ins.shape) == 1 else Flat(net)
        flat = x.reshape(x.shape[0], d).astype(self.dtype)
        shift, spread = flat.mean(0), flat.std(0)
        # a column is constant where its spread is rounding of its size
        tiny = 1e-6 * (1.0 + jnp.abs(shift))
        scale = jnp.where(spread > tiny, 1.0 / jnp.maximum(spread, tiny), 1.0)
        return Standardised(shift, scale.astype(self.dtype), net)


@register
class Linear(eqx.Module):
    """Recipe of an affine map x -> W x + b; as a problem's model it makes the problem convex.

    Args:
        bias: whether b is there.
        dtype: of the weights, float32 unless said otherwise.
    """

    bias: bool = eqx.field(static=True, default=True)
    dtype: Any = eqx.field(static=True, default=np.dtype(np.float32), converter=np.dtype)

    def build(
        self,
        ins: Shape,
        out: Shape,
        key: Key[Array, ""],
        x: Float[Array, " n *shape"] | None = None,
    ) -> Any:
        """The map with random weights; inputs are taken as they are.

        Raises:
            UsageError: an output that is neither a scalar nor a vector.
        """
        del x
        net = eqx.nn.Linear(
            math.prod(ins.shape), _size(out), use_bias=self.bias, dtype=self.dtype, key=key
        )
        return net if len(ins.shape) == 1 else Flat(net)


def affine(weight: Any, bias: Any = None) -> Any:
    """The affine map x -> weight x + bias of given numbers (of another library's coefficients).

    Args:
        weight: array [out, in]; or [in], for a scalar output.
        bias: array [out], or a number; None for no bias.

    Raises:
        UsageError: shapes that do not fit.
    """
    weight = jnp.asarray(weight)
    scalar = weight.ndim == 1
    matrix = weight[None] if scalar else weight
    if matrix.ndim != 2:
        raise UsageError(f"`weight` is {shape_of(weight)}", remedy="an array [out, in], or [in]")
    if bias is not None:
        bias = jnp.asarray(bias).reshape(-1)
        if bias.shape != matrix.shape[:1]:
            raise UsageError(
                f"`bias` is {shape_of(bias)} and `weight` is {shape_of(weight)}",
                remedy=f"an array [{matrix.shape[0]}]",
            )
    out, ins = matrix.shape
    net = eqx.nn.Linear(
        ins,
        "scalar" if scalar else out,
        use_bias=bias is not None,
        dtype=matrix.dtype,
        key=jax.random.key(0),
    )
    net = eqx.tree_at(lambda m: m.weight, net, matrix)
    return net if bias is None else eqx.tree_at(lambda m: m.bias, net, bias)


def _size(out: Shape) -> Any:
    if len(out.shape) > 1:
        raise UsageError(
            f"the output is {shape_of(out)}",
            "These recipes give scalars or vectors.",
            "a module of your own as `model`",
        )
    return out.shape[0] if out.shape else "scalar"
