"""The layers of a stored network of one variable, read without JAX, for all its checkers."""

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from infsup.core.encoding import Opaque, Record
from infsup.core.errors import FileRejected
from infsup.core.program import STRUCTURAL, Argument, Program, Writer

SMOOTH = {
    **{f"jax.nn.{n}": n for n in ("tanh", "sigmoid", "softplus", "silu", "identity")},
    **{f"jax.numpy.{n}": n for n in ("tanh", "sin", "cos", "exp", "square")},
    "jax.nn.gelu": "gelu_by_tanh",
    "jax.nn.swish": "silu",
    "equinox.nn.identity": "identity",
    "approximation.ExactGELU": "gelu",
}
"""Stored name -> activation whose Taylor coefficients `check_smooth` knows."""


SELU, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


class Affine(NamedTuple):
    """W x + b."""

    w: np.ndarray
    b: np.ndarray


Part = Affine | str | Program
"""An affine map, or an activation by its stored name or by its program."""


def parts(answer: Any, single: bool) -> list[Part]:
    """The affine maps and activations of a stored chain of layers, in their order.

    Args:
        answer: as it was read.
        single: whether the weights are rounded to float32.

    Raises:
        FileRejected: another module.
        ValueError: a weight that is not finite.
    """
    found: list[Part] = []

    def array(x: Any) -> np.ndarray:
        x = np.asarray(x, np.float64)
        x = x.astype(np.float32).astype(np.float64) if single else x
        if not np.isfinite(x).all():
            raise ValueError("a weight is not finite")
        return x

    def walk(m: Any) -> None:
        if not isinstance(m, Record):
            raise FileRejected(f"the answer is {type(m).__name__}, whose program is not stored")
        if m.name in ("core.Accepted", "networks.Flat", "networks.OfNumber"):
            walk(m["answer" if m.name == "core.Accepted" else "inner"])
        elif m.name == "networks.Standardised":
            shift, scale = (array(m[k]).reshape(1) for k in ("shift", "scale"))
            found.extend([Affine(np.eye(1), -shift), Affine(scale[:, None], np.zeros(1))])
            walk(m["inner"])
        elif m.name == "equinox.nn.MLP":
            for layer in m["layers"][:-1]:
                walk(layer)
                act(m["activation"])
            walk(m["layers"][-1])
            act(m["final_activation"])
        elif m.name == "equinox.nn.Sequential":
            for layer in m["layers"]:
                walk(layer)
        elif m.name == "equinox.nn.Linear":
            w = array(m["weight"])
            b = np.zeros(len(w)) if m["bias"] is None else array(m["bias"]).reshape(-1)
            found.append(Affine(w, b))
        elif m.name == "equinox.nn.Lambda":
            act(m["fn"])
        elif m.name != "equinox.nn.Identity":
            raise FileRejected(f"the answer holds `{m.name[:60]}`, which the checker does not read")

    def act(g: Any) -> None:
        if isinstance(g, Opaque) and isinstance(g.program, Program):
            found.append(g.program)
            return
        name = g["name"] if isinstance(g, Record) and g.name == "function" else g
        name = name.name if isinstance(name, Record) else name
        if not isinstance(name, str):
            raise FileRejected("the answer has an activation that the checker does not read")
        if SMOOTH.get(name) != "identity":
            found.append(name)

    walk(answer)
    maps = [p for p in found if isinstance(p, Affine)]
    if not maps or maps[0].w.shape[1] != 1 or maps[-1].w.shape[0] != 1:
        raise ValueError("the answer is no network of one variable")
    return found


def layers(answer: Any, single: bool) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """(W, b, activation) of each layer; of a head ([slopes, values], offsets, "softmax")."""
    if isinstance(answer, Record) and answer.name == "approximation.SoftmaxHead":
        kind = np.float32 if single else np.float64
        slopes, values, offsets = (
            np.asarray(answer[k]).astype(kind).astype(np.float64)
            for k in ("slopes", "values", "offsets")
        )
        if not all(np.isfinite(v).all() for v in (slopes, values, offsets)):
            raise ValueError("a weight is not finite")
        return [(np.stack([slopes, values]), offsets, "softmax")]
    found: list[tuple[np.ndarray, np.ndarray, str]] = []
    for part in parts(answer, single):
        if isinstance(part, Affine):
            found.append((part.w, part.b, "identity"))
            continue
        name = SMOOTH.get(part) if isinstance(part, str) else None
        if name is None:
            raise FileRejected("the answer has an activation that the checker does not read")
        if not found:
            found.append((np.eye(1), np.zeros(1), "identity"))
        w, b, old = found[-1]
        if old == "identity":
            found[-1] = w, b, name
        else:
            found.append((np.eye(len(w)), np.zeros(len(w)), name))
    return found


def program(answer: Any) -> Program:
    """The stored network as one program, in real arithmetic, with any activation that is known.

    Raises:
        FileRejected: another module or activation.
    """
    writer, arrays = Writer(1), {}

    def constant(value: np.ndarray) -> int:
        arrays[f"a{len(arrays)}"] = value
        return writer.put("array", name=f"a{len(arrays) - 1}")

    at = writer.put("broadcast", 0, shape=(1,), axes=())
    for part in parts(answer, False):
        if isinstance(part, Affine):
            over = ((1,), (0,))
            moved = writer.put("dot", constant(part.w), at, contract=over, batch=((), ()))
            at = writer.put("add", moved, constant(part.b))
        elif isinstance(part, Program):
            at = _inlined(writer, arrays, part, at)
        else:
            at = _named(writer, part, at)
    out = writer.put("reshape", at, shape=())
    return Program((Argument("x"),), tuple(writer.steps), out, arrays)


def _inlined(writer: Writer, arrays: dict[str, np.ndarray], g: Program, at: int) -> int:
    """An activation that is a program of one number, entry by entry."""
    if len(g.ins) != 1 or g.ins[0].shape or any(a.ndim for a in g.arrays.values()):
        raise FileRejected("the answer has an activation that is no function of one number")
    slots = [at]
    for s in g.steps:
        args = [slots[i] for i in s.args]
        if s.op in ("broadcast", "reshape") and not s.params["shape"]:
            slots.append(args[0])
        elif s.op == "array":
            arrays[f"a{len(arrays)}"] = g.arrays[s.params["name"]]
            slots.append(writer.put("array", name=f"a{len(arrays) - 1}"))
        elif s.op in STRUCTURAL:
            raise FileRejected("the answer has an activation that is no function of one number")
        else:
            slots.append(writer.put(s.op, *args, **s.params))
    return slots[g.out]


def _named(writer: Writer, name: str, z: int) -> int:
    """An activation of a stored name; the numbers in it are the nearest float64, as executed."""
    put = writer.put

    def number(value: float) -> int:
        return put("number", value=Fraction(value))

    zero, one = number(0.0), number(1.0)
    up, down = put("maximum", z, zero), put("minimum", z, zero)
    elu = put("add", up, put("expm1", down))
    decay = put("exp", put("neg", put("abs", z)))
    tail = put("mul", number(SELU), put("expm1", down))
    known = {
        "jax.nn.selu": lambda: put("mul", number(SELU_SCALE), put("add", up, tail)),
        "jax.nn.relu": lambda: up,
        "jax.nn.leaky_relu": lambda: put("add", up, put("mul", number(0.01), down)),
        "jax.nn.relu6": lambda: put("minimum", up, number(6.0)),
        "jax.nn.hard_tanh": lambda: put("maximum", put("minimum", z, one), number(-1.0)),
        "jax.numpy.abs": lambda: put("abs", z),
        "jax.nn.elu": lambda: elu,
        "jax.nn.celu": lambda: elu,
        "jax.nn.soft_sign": lambda: put("div", z, put("add", one, put("abs", z))),
        "jax.nn.log_sigmoid": lambda: put("sub", down, put("log1p", decay)),
        "jax.nn.sigmoid": lambda: put("logistic", z),
        "jax.nn.tanh": lambda: put("tanh", z),
        "jax.nn.softplus": lambda: put("add", up, put("log1p", decay)),
        "jax.nn.silu": lambda: put("mul", z, put("logistic", z)),
        **{
            f"jax.numpy.{n}": lambda n=n: put(n, z)
            for n in ("tanh", "sin", "cos", "exp", "square", "sinh", "cosh", "sqrt", "tan", "log")
        },
        "jax.numpy.arctan": lambda: put("atan", z),
    }
    known["jax.nn.swish"] = known["jax.nn.silu"]
    if name not in known:
        raise FileRejected(f"the answer has the activation `{name[:60]}`, not read by the checker")
    return known[name]()
