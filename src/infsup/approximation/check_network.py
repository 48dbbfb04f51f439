"""The layers of a stored network of one variable with smooth activations, read without JAX."""

from typing import Any

import numpy as np

from infsup.core.encoding import Record
from infsup.core.errors import FileRejected

NAMES = {
    **{f"jax.nn.{n}": n for n in ("tanh", "sigmoid", "softplus", "silu", "identity")},
    **{f"jax.numpy.{n}": n for n in ("tanh", "sin", "cos", "exp", "square")},
    "jax.nn.gelu": "gelu_by_tanh",
    "jax.nn.swish": "silu",
    "equinox.nn.identity": "identity",
    "approximation.ExactGELU": "gelu",
}


def layers(answer: Any, single: bool) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """(W, b, activation) of each layer; of a head ([slopes, values], offsets, "softmax")."""

    def array(x: Any) -> np.ndarray:
        x = np.asarray(x, np.float64)
        x = x.astype(np.float32).astype(np.float64) if single else x
        if not np.isfinite(x).all():
            raise ValueError("a weight is not finite")
        return x

    if isinstance(answer, Record) and answer.name == "approximation.SoftmaxHead":
        both = np.stack([array(answer["slopes"]), array(answer["values"])])
        return [(both, array(answer["offsets"]), "softmax")]
    parts: list[tuple[np.ndarray, np.ndarray, str]] = []

    def walk(m: Any) -> None:
        if not isinstance(m, Record):
            raise FileRejected(f"the answer is {type(m).__name__}, whose program is not stored")
        if m.name == "equinox.nn.MLP":
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
            shift = np.zeros(len(w)) if m["bias"] is None else array(m["bias"]).reshape(-1)
            parts.append((w, shift, "identity"))
        elif m.name == "equinox.nn.Lambda":
            act(m["fn"])
        elif m.name != "equinox.nn.Identity":
            raise FileRejected(f"the answer holds `{m.name[:60]}`, which the checker does not read")

    def act(g: Any) -> None:
        name = g["name"] if isinstance(g, Record) and g.name == "function" else g
        name = g.name if isinstance(name, Record) else name
        if name not in NAMES:
            raise FileRejected("the answer has an activation that the checker does not read")
        if not parts:
            parts.append((np.eye(1), np.zeros(1), "identity"))
        w, shift, old = parts[-1]
        if old == "identity":
            parts[-1] = w, shift, NAMES[name]
        elif NAMES[name] != "identity":
            parts.append((np.eye(len(w)), np.zeros(len(w)), NAMES[name]))

    walk(answer)
    if not parts or parts[0][0].shape[1] != 1 or parts[-1][0].shape[0] != 1:
        raise ValueError("the answer is no network of one variable")
    return parts
