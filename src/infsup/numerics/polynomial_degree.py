"""An upper bound of the polynomial degree of a function, read off its program.

Structure ("affine in the control", "quadratic") is a hypothesis of theorems, so it must hold on the
whole domain; samples cannot show that, the jaxpr can.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jax.extend import core as jex

_LINEAR = {
    *("neg", "reduce_sum", "cumsum", "reduce_window_sum", "real", "imag", "copy", "copy_p"),
    *("reshape", "broadcast_in_dim", "squeeze", "expand_dims", "transpose"),
    *("slice", "split", "rev"),
}
_LARGEST = {"add", "sub", "add_any", "concatenate", "stack", "pad"}
_SUM = {"mul", "dot_general", "conv_general_dilated"}
_INDEXED = {
    # name -> operands that carry values; the others are indices, which must be constant
    "gather": 1,
    "dynamic_slice": 1,
    "dynamic_update_slice": 2,
}
_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
}


class Degree(NamedTuple):
    """An upper bound of a polynomial's total degree.

    Args:
        value: the degree, or inf where the program is not seen to be a polynomial.
        culprit: the primitive that made it inf, else "".
    """

    value: float
    culprit: str = ""


def degree_in(f: Callable, *args: Any, wrt: Sequence[int]) -> Degree:
    """An upper bound of the total degree of `f` in some of its arguments, the others held fixed.

    Abstract interpretation of the jaxpr: linear primitives keep the degree, products add, powers
    multiply, calls are followed; a division by, or a choice on, what does not depend on `wrt` is
    harmless; anything else of something that does is infinite. It holds for every value of the
    arguments, over the reals (rounding apart). 0 means: does not depend on `wrt`.

    Args:
        f: traceable function.
        args: shapes and dtypes (`jax.ShapeDtypeStruct`) or arrays.
        wrt: positions of the arguments that count.

    Returns:
        The largest degree over all outputs.
    """
    closed = jax.make_jaxpr(f)(*args)
    known: list[Degree] = []
    for position, a in enumerate(args):
        known += [Degree(float(position in wrt))] * len(jax.tree.leaves(a))
    return _largest(_run(closed.jaxpr, known))


def _largest(degrees: Sequence[Degree]) -> Degree:
    return max(degrees, key=lambda d: d.value, default=Degree(0.0))


def _run(jaxpr: Any, ins: Sequence[Degree]) -> list[Degree]:
    known: dict[Any, Degree] = dict(zip(jaxpr.invars, ins, strict=True))

    def of(atom: Any) -> Degree:
        # literals and the constants of a closed jaxpr do not depend on the arguments
        return Degree(0.0) if isinstance(atom, jex.Literal) else known.get(atom, Degree(0.0))

    for eqn in jaxpr.eqns:
        outs = _step(eqn, [of(x) for x in eqn.invars])
        known.update(zip(eqn.outvars, outs, strict=True))
    return [of(x) for x in jaxpr.outvars]


def _step(eqn: Any, ins: list[Degree]) -> list[Degree]:
    name, n = eqn.primitive.name, len(eqn.outvars)
    top = _largest(ins)
    if name in _CALLS and _CALLS[name] in eqn.params:
        inner = eqn.params[_CALLS[name]]
        return _run(getattr(inner, "jaxpr", inner), ins)
    if top.value == 0 and not eqn.effects:
        return [Degree(0.0)] * n
    return [_value(eqn, name, ins, top)] * n


def _value(eqn: Any, name: str, ins: list[Degree], top: Degree) -> Degree:
    if math.isinf(top.value):
        return top
    failed = Degree(math.inf, name)
    if name in _LINEAR or name in _LARGEST:
        return top
    if name in _SUM:
        return Degree(sum(d.value for d in ins))
    if name == "square":
        return Degree(2 * ins[0].value)
    if name == "integer_pow":
        return Degree(eqn.params["y"] * ins[0].value) if eqn.params["y"] >= 0 else failed
    if name == "pow" and isinstance(eqn.invars[1], jex.Literal):
        y = float(eqn.invars[1].val)
        return Degree(y * ins[0].value) if y >= 0 and y == int(y) else failed
    if name == "div" and ins[1].value == 0:
        return ins[0]
    if name == "select_n" and ins[0].value == 0:
        return _largest(ins[1:])
    if name == "triangular_solve" and ins[0].value == 0:
        return ins[1]
    if name == "convert_element_type" and jax.numpy.issubdtype(
        eqn.params["new_dtype"], jax.numpy.floating
    ):
        return ins[0]
    if name in _INDEXED:
        values, indices = ins[: _INDEXED[name]], ins[_INDEXED[name] :]
        return _largest(values) if _largest(indices).value == 0 else failed
    if name in ("scatter", "scatter-add") and ins[1].value == 0:
        return _largest([ins[0], ins[2]])
    if name == "cond" and ins[0].value == 0:
        outs = [_largest(_run(b.jaxpr, ins[1:])) for b in eqn.params["branches"]]
        return _largest(outs)
    return failed
