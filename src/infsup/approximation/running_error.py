r"""What executing a network of our constructions in floating point may add to its error.

With unit roundoff u, a sum of n products and a bias in any order, fused or not, misses the real one
by at most gamma_{n+1} (sum |w h| + |b|), gamma_k = k u / (1 - k u) (Higham, Accuracy and Stability
of Numerical Algorithms, 2nd ed. 2002, section 3.1), and by n + 1 times the smallest normal number
where subnormals are flushed. relu is 1-Lipschitz and exact, so errors run through the units
linearly. In a chain of tent maps an error e of an iterate and a rounding r of its tooth make at
most 2 e + 4 r in the next iterate, since the tent map has slope 2 everywhere, and iterate s enters
the square with the factor 4^-s: no digit is lost to depth (for binary fractions in [0, 1] the
iterates are even exact, lemma L4). x - k is one rounding. A gate that is closed by a margin above
its error is exactly 0 in floating point as well.

All is bounded cell by cell: a unit that is small there rounds little.
"""

from typing import Any

import numpy as np

from infsup.approximation.graph import (
    ACCUMULATOR,
    CARRY,
    COLLECTOR,
    COORDINATE,
    FOLD,
    GATE,
    KNOT,
    TOOTH,
)
from infsup.approximation.structure import Structure

ROUNDOFF = {"float64": (2.0**-53, 2.0**-1022), "float32": (2.0**-24, 2.0**-126)}
OUTWARD = 1 + 1e-6
"""Far more than the rounding of the sums of non-negative float64 numbers below."""
BLOCK = 256


def executed(network: Any, roles: Any, s: Structure, dtype: str) -> np.ndarray:
    """For every cell an upper bound of |network as executed - network| on it.

    Args:
        network: whose weights the dtype holds.
        roles: [units, 3], or None where all units are knots.
        s: its structure.
        dtype: "float64" or "float32".
    """
    kinds = np.zeros((sum(network.widths), 3), int) if roles is None else np.asarray(roles)
    count = len(s.lines)
    parts = [
        _block(network, kinds, s, np.arange(i, min(i + BLOCK, count)), dtype)
        for i in range(0, count, BLOCK)
    ]
    return np.concatenate(parts)


def _block(
    network: Any, kinds: np.ndarray, s: Structure, cells: np.ndarray, dtype: str
) -> np.ndarray:
    u, tiny = ROUNDOFF[dtype]
    knots = np.array([float(k) for k in s.knots])
    low, high = knots[cells], knots[cells + 1]
    size = np.zeros((network.out[0].shape[1], len(cells)))
    error = np.zeros_like(size)
    size[0] = np.maximum(np.abs(low), np.abs(high))
    tents = _Tents()
    at, knot, gate = 1, 0, 0
    for w, b in network.levels:
        w, b = np.abs(np.asarray(w, np.float64)), np.abs(np.asarray(b, np.float64))
        new = slice(at, at + len(b))
        role = kinds[at - 1 : at - 1 + len(b)]
        if np.all(role[:, 0] == KNOT):
            here = knots[knot + 1 : knot + 1 + len(b)]
            size[new] = np.maximum(high - here[:, None], 0)
            error[new] = (u * size[new] + tiny) * OUTWARD
            knot += len(b)
            at += len(b)
            continue
        moved, rounding = _summed(w, b, size[:at], error[:at], u, tiny)
        error[new] = moved + rounding
        for row, (k, chain, number) in enumerate(role.tolist()):
            node = at + row
            if k == KNOT:
                size[node] = np.maximum(high - knots[knot + 1], 0)
                error[node] = (u * size[node] + tiny) * OUTWARD
                knot += 1
            elif k == GATE:
                size[node], error[node] = _gated(s, gate, knots, cells, error[node])
                gate += 1
            else:
                size[node] = 2.0 if k == COORDINATE else 1.0
                if k != COORDINATE:
                    error[node] = tents.unit(k, chain, number, moved[row], rounding[row])
        at += len(b)
    w, b = (np.abs(np.asarray(v, np.float64)) for v in network.out)
    moved, rounding = _summed(w, b, size, error, u, tiny)
    return (moved + rounding)[0]


class _Tents:
    """Errors inside the chains, per cell: of the argument's size, the last iterate, the sum."""

    def __init__(self):
        self.folds: dict[int, np.ndarray] = {}
        self.iterate: dict[int, np.ndarray] = {}
        self.total: dict[int, np.ndarray] = {}

    def unit(
        self, kind: int, chain: int, number: int, moved: np.ndarray, rounding: np.ndarray
    ) -> np.ndarray:
        """The error of a unit, from that of its argument's inputs and its own rounding."""
        if kind == FOLD:
            self.folds[chain] = moved + 2 * rounding
            return moved + rounding
        if kind == TOOTH:
            if number == 1:
                self.iterate[chain] = self.total[chain] = self.folds.get(chain, moved)
            before = self.iterate[chain]
            self.iterate[chain] = 2 * before + 4 * rounding
            self.total[chain] = self.total[chain] + self.iterate[chain] * 4.0**-number
            return before + rounding
        if kind == CARRY and number == 0:
            self.folds.pop(chain)  # the chain reads this unit
            return moved + rounding
        if kind == ACCUMULATOR:
            return moved + rounding
        if kind == CARRY:
            self.iterate[chain] = self.iterate[chain] + rounding
            return self.iterate[chain]
        assert kind == COLLECTOR
        return self.total[chain] + rounding


def _summed(
    w: np.ndarray, b: np.ndarray, size: np.ndarray, error: np.ndarray, u: float, tiny: float
) -> tuple[np.ndarray, np.ndarray]:
    """Error of rows of sums: by that of their inputs, and by rounding."""
    n = np.count_nonzero(w, axis=1)[:, None] + 1
    gamma = n * u / (1 - n * u)
    flushed = 2 * n * tiny * (1 + w.max(1, initial=0.0)[:, None])
    rounding = (gamma * (w @ (size + error) + b[:, None]) + flushed) * OUTWARD
    return w @ error * OUTWARD, rounding


def _gated(
    s: Structure, number: int, knots: np.ndarray, cells: np.ndarray, error: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Size and error of a gate on every cell; closed by a margin, it is 0 and stays 0."""
    own, (left, right), steep, leak = s.barriers[number]
    far = np.maximum(knots[own] - knots[cells + 1], 0) * left
    far = np.maximum(far, np.maximum(knots[cells] - knots[own + 1], 0) * right)
    shut = (far * (1 - 1e-12) - 2 * steep - leak) * (1 - 1e-12) > error
    size = np.where(cells == own, steep + leak, leak) * OUTWARD
    return size, np.where(shut, leak, error)
