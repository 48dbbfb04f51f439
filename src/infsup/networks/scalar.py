"""Networks of one input and one output, as functions of a number."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from infsup.core.errors import UsageError
from infsup.core.registry import register
from infsup.networks.recipes import Standardised


@register
class OfNumber(eqx.Module):
    """A function of an array [1], as one of a number; its result is made a number too.

    Args:
        inner: takes an array [1] or, where `wraps` is false, a number.
        wraps: whether the number is put into an array.
    """

    inner: Any
    wraps: bool = eqx.field(static=True, default=True)

    def __call__(self, x):
        return jnp.reshape(self.inner(jnp.reshape(x, (1,)) if self.wraps else x), ())


def scalar_form(model: Any) -> Any:
    """The same network as a function R -> R, where it takes an array [1] or gives one.

    Args:
        model: `eqx.nn.MLP`, `Linear`, or a `Sequential` that begins and ends with `Linear`, with
            one input and one output; `Standardised` of one; or anything that JAX can trace.
            What is no such function is given back itself.

    Raises:
        UsageError: a layer of Equinox at either end says that there are several inputs or outputs.
    """
    formed = _formed(model, True, True)
    if not callable(formed) or _gives(formed, ()) == ():
        return formed
    for wraps, shape in ((False, ()), (True, (1,))):
        if _gives(formed, shape) in ((), (1,), (1, 1)):
            return OfNumber(formed, wraps)
    for end, place in ((_end(model, 0), "in_features"), (_end(model, -1), "out_features")):
        n = getattr(end, place, 1)
        if isinstance(n, int) and n > 1:
            what = "inputs" if place == "in_features" else "outputs"
            raise UsageError(
                f"`answer` has {n} {what}",
                "One variable in and one number out is what a function of x is compared with.",
            )
    return formed


def _gives(model: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of the result, or None where the model does not run on this shape."""
    try:
        found = jax.eval_shape(model, jax.ShapeDtypeStruct(shape, float))
    except Exception:  # whatever the model raises: it is not for this shape
        return None
    return getattr(found, "shape", None)


def _end(model: Any, i: int) -> Any:
    """The first or the last layer."""
    while (inside := getattr(model, "layers", None) or getattr(model, "inner", None)) is not None:
        model = inside[i] if isinstance(inside, (tuple, list)) else inside
    return model


def _formed(model: Any, ins: bool, outs: bool) -> Any:
    nn = eqx.nn
    if isinstance(model, Standardised):
        return _with(model, inner=_formed(model.inner, False, outs))
    if isinstance(model, nn.Linear):
        one_in, one_out = ins and model.in_features == 1, outs and model.out_features == 1
        return _with(
            model,
            in_features="scalar" if one_in else model.in_features,
            out_features="scalar" if one_out else model.out_features,
        )
    if isinstance(model, nn.MLP):
        first, last = (ins and model.in_size == 1), (outs and model.out_size == 1)
        return _with(
            model,
            layers=type(model.layers)(_ends(model.layers, first, last)),
            in_size="scalar" if first else model.in_size,
            out_size="scalar" if last else model.out_size,
        )
    if isinstance(model, nn.Sequential) and len(model.layers):
        return _with(model, layers=type(model.layers)(_ends(model.layers, ins, outs)))
    return model


def _ends(layers: Any, ins: bool, outs: bool) -> list[Any]:
    """The layers, with the first taking and the last giving a number."""
    found = list(layers)
    if isinstance(found[0], eqx.nn.Linear):
        found[0] = _formed(found[0], ins, False)
    if isinstance(found[-1], eqx.nn.Linear):
        found[-1] = _formed(found[-1], False, outs)
    return found


def _with(module: Any, **fields: Any) -> Any:
    """A module with some fields exchanged; the weights are the same arrays."""
    new = object.__new__(type(module))
    for f in dataclasses.fields(module):
        object.__setattr__(new, f.name, fields.get(f.name, getattr(module, f.name)))
    return new
