"""What executing a smooth network may add to its error, summed again; no JAX.

Assumed of the executor: an activation errs by at most 8 u max(1, |z|), exp by 8 u of its value.
"""

import math

import numpy as np

from infsup.approximation.check_structure import ROUNDOFF

Part = tuple[np.ndarray, np.ndarray, str]

_SLOPE = {
    **dict.fromkeys(("identity", "tanh", "softplus", "sin", "cos"), 1.0),
    "sigmoid": 0.25,
    "silu": 1.0999,
    "gelu": 1.129,
    "gelu_by_tanh": 1.1291,
}
_START = {"sigmoid": 0.5, "softplus": 0.6932, "cos": 1.0}
_BOUNDED = ("tanh", "sigmoid", "sin", "cos")


def executed(parts: list[Part], size: float, dtype: str) -> float:
    """An upper end of |network as executed - network| over |x| <= size.

    Args:
        parts: (W, b, activation); a softmax head is ([slopes, values], offsets, "softmax").
        size: largest |x|.
        dtype: "float64" or "float32".
    """
    u, tiny = ROUNDOFF[dtype]
    if parts[0][2] == "softmax":
        (slopes, values), offsets, _ = parts[0]
        return _softmax(np.abs(slopes), np.abs(offsets), np.abs(values), size, u, tiny)
    exact, wrong = np.full(1, size), np.zeros(1)
    for W, b, name in parts:
        A, c, n = np.abs(W), np.abs(b), W.shape[1]
        terms = np.sum(A * (exact + wrong), axis=1) + c
        sums = (n + 1) * u / (1 - (n + 1) * u) * terms
        flush = (n + 1) * tiny * (2 + np.max(exact + wrong) + np.max(A))
        wrong = np.sum(A * wrong, axis=1) + sums + flush
        z = np.sum(A * exact, axis=1) + c
        far = z + wrong
        if name == "square":
            exact, wrong = z**2, 2 * far * wrong + u * far**2 + tiny
        elif name == "exp":
            if far.max() > 80:
                return math.inf
            grown = np.exp(far) * wrong
            exact, wrong = np.exp(z), grown + 8 * u * np.exp(z) * (1 + grown) + tiny
        elif name == "identity":
            exact = z
        else:
            moved = _SLOPE[name] * wrong
            wrong = moved + 8 * u * np.maximum(1.0, far) + tiny
            exact = _START.get(name, 0.0) + _SLOPE[name] * z
            exact = np.minimum(exact, 1.0) if name in _BOUNDED else exact
    # the sums above are of non-negative float64 numbers
    return float(wrong[0]) * (1 + 1e-9)


def _softmax(
    s: np.ndarray, o: np.ndarray, v: np.ndarray, size: float, u: float, tiny: float
) -> float:
    score = float(np.max(s * size + o))
    off = 2 * u / (1 - 2 * u) * score + 3 * tiny * (2 + size + float(s.max()))
    apart = 2 * off + u * (2 * score + 2 * off)
    if apart > 0.1:
        return math.inf
    k = (len(v) + 1) * u
    weight = math.expm1(apart) + 16 * u + 2 * k / (1 - k) + 2 * u
    return float(v.max()) * (2 * weight * (1 + 2 * weight) + 4 * len(v) * tiny) * (1 + 1e-9)
