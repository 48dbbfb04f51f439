"""What executing a network may add to its error, summed again; no JAX.

Assumed of the executor: an activation errs by at most 8 u max(1, |z|), exp by 8 u of its value.
"""

import math

import numpy as np

KNOT, COORDINATE, FOLD, TOOTH, CARRY, SQUARE, GATE, ACCUMULATOR = range(8)
"""Roles of units that a structural proof names."""
ROUNDOFF = {"real": (0.0, 0.0), "float64": (2.0**-53, 2.0**-1022), "float32": (2.0**-24, 2.0**-126)}
"""Unit roundoff and smallest normal number."""
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


def executed_structure(layers: list, s: dict, u: float, tiny: float) -> np.ndarray:
    """What rounding adds on each cell: sums in any order, fused or not, subnormals flushed."""
    knots = np.array([float(k) for k in s["knots"]])
    found = []
    for i in range(len(knots) - 1):
        low, high = knots[i], knots[i + 1]
        size, error = [max(abs(low), abs(high))], [0.0]
        roles, knot, gate, folds, tents = iter(s["roles"].tolist()), 0, -1, {}, {}
        for w, b in layers:
            V, E = np.array(size), np.array(error)
            n = np.count_nonzero(w, axis=1) + 1
            off = n * u / (1 - n * u) * (abs(w) @ (V + E) + abs(b))
            off = (off + 2 * n * tiny * (1 + abs(w).max(1, initial=0.0))) * (1 + 1e-7)
            for e, r in zip(abs(w) @ E * (1 + 1e-7), off, strict=True):
                kind, k, t = next(roles, (-1, 0, 0))
                v, z = 2.0 if kind == COORDINATE else 1.0, e + r
                if kind == KNOT:  # x - k is rounded once
                    knot += 1
                    v = max(high - knots[knot], 0.0)
                    z = (u * v + tiny) * (1 + 1e-7)
                elif kind == FOLD:
                    folds[k] = e + 2 * r
                elif kind == TOOTH:  # the tent map has slope 2: errors of iterate, of the sum
                    g, total = tents.get(k, [folds.get(k, e)] * 2)
                    z, tents[k] = g + r, [2 * g + 4 * r, total + (2 * g + 4 * r) / 4.0**t]
                elif kind == CARRY and t:
                    z = tents[k][0] = tents[k][0] + r
                elif kind == SQUARE:
                    z = tents[k][1] + r
                elif kind == GATE:
                    gate += 1
                    own, (left, right), steep, leak = s["barriers"][gate]
                    far = max(left * (knots[own] - high), right * (low - knots[own + 1]), 0.0)
                    v = steep + leak if own == i else leak
                    z = leak if (far - 2 * steep - leak) * (1 - 1e-11) > z else z
                size.append(v)
                error.append(z)
        found.append(error[-1])
    return np.array(found)
