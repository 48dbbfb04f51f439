"""Networks of one input and one output, as functions of a number."""

import dataclasses
from typing import Any

import equinox as eqx

from infsup.networks.recipes import Standardised


def scalar_form(model: Any) -> Any:
    """The same network as a function R -> R, where it takes an array [1] or gives one.

    Args:
        model: `eqx.nn.MLP`, `Linear`, or a `Sequential` that begins and ends with `Linear`, with
            one input and one output; or `Standardised` of one. Anything else is given back itself.
    """
    return _formed(model, True, True)


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
