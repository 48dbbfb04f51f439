"""Continuous piecewise-linear functions of one variable, given by ReLU levels; no JAX.

A network is (levels, out) as in `networks.ReLUNetwork` with one input: level l is (W, b) over the
input and all earlier units, `out` is (W, b) over all nodes.
"""

from collections.abc import Sequence
from typing import Any

import flint
import numpy as np

from infsup.core.errors import UsageError

BUDGET = 20_000_000
"""Exact products that a call may spend (about a minute)."""

Levels = Sequence[tuple[Any, Any]]


class TooMuchWork(UsageError):
    """Exact arithmetic would need more products than the budget allows."""


def rational(x: Any) -> flint.fmpq:
    """A float, int or Fraction as an exact rational of python-flint."""
    return flint.fmpq(*map(int, x.as_integer_ratio()))


def exact_pieces(
    levels: Levels, out: tuple[Any, Any], a: Any, b: Any, budget: int = BUDGET
) -> tuple[list[flint.fmpq], list[list[flint.fmpq]]]:
    """All breakpoints of all units on [a, b], and the values of the output there; exact.

    Between two neighbouring points the output is affine.

    Args:
        levels, out: a network of one variable; every float stands for itself.
        a, b: floats or Fractions, a < b.
        budget: products of rationals that may be spent.

    Returns:
        Points in increasing order, from a to b; for each output its values there.

    Raises:
        TooMuchWork: the budget does not suffice.
        UsageError: an empty interval, or weights that are not finite.
    """
    levels, out = sound(levels, out)
    if not a < b:
        raise UsageError(f"the interval [{a}, {b}] is empty", remedy="a < b")
    xs = [rational(a), rational(b)]
    last = _last_use(levels, out)
    values: dict[int, list[flint.fmpq]] = {0: list(xs)}
    zero, nodes, spent = flint.fmpq(0), 1, 0
    for level, (w, c) in enumerate(levels):
        spent += len(xs) * (int(np.count_nonzero(w)) + len(c))
        if spent > budget:
            raise TooMuchWork(
                f"the exact breakpoints need more than {budget:,} rational products",
                f"There are {len(xs):,} points before level {level + 1}.",
                "a shorter interval, or a smaller network",
            )
        fresh = _affine(w, c, values, len(xs))
        crossing: dict[int, set[flint.fmpq]] = {}
        for z in fresh:
            for i in range(len(xs) - 1):
                l, r = z[i], z[i + 1]
                if (l < 0 and r > 0) or (l > 0 and r < 0):
                    crossing.setdefault(i, set()).add(l / (l - r))
        if crossing:
            ordered = {i: sorted(t) for i, t in crossing.items()}
            fresh = [_refined(z, ordered) for z in fresh]
            values = {k: _refined(v, ordered) for k, v in values.items()}
            xs = _refined(xs, ordered)
        for z in fresh:
            values[nodes] = [v if v > 0 else zero for v in z]
            nodes += 1
        values = {k: v for k, v in values.items() if last[k] > level}
    return xs, _affine(*out, values, len(xs))


def count_pieces(
    levels: Levels, out: tuple[Any, Any], a: float, b: float, budget: int = BUDGET
) -> int:
    """The number of affine pieces of a scalar network on [a, b], exactly.

    Raises:
        TooMuchWork: the budget does not suffice.
    """
    xs, (ys,) = exact_pieces(levels, out, a, b, budget)
    slopes = [(ys[i + 1] - ys[i]) / (xs[i + 1] - xs[i]) for i in range(len(xs) - 1)]
    return 1 + sum(slopes[i] != slopes[i + 1] for i in range(len(slopes) - 1))


def sound(levels: Levels, out: tuple[Any, Any]) -> tuple[list[Any], tuple[Any, Any]]:
    """The network in float64, after its shapes and numbers were looked at.

    Raises:
        UsageError: shapes that do not fit, or weights that are not finite.
    """
    wide, nodes = [], 1
    for name, (w, b) in (*((f"level {i + 1}", p) for i, p in enumerate(levels)), ("out", out)):
        w, b = np.asarray(w, np.float64), np.asarray(b, np.float64)
        if w.ndim != 2 or b.shape != w.shape[:1] or w.shape[1] != nodes:
            raise UsageError(
                f"{name} of the network: W {list(w.shape)}, b {list(b.shape)}",
                f"There are {nodes} nodes before it.",
            )
        if not (np.isfinite(w).all() and np.isfinite(b).all()):
            raise UsageError(f"{name} of the network holds NaN or inf")
        wide.append((w, b))
        nodes += len(b)
    return wide[:-1], wide[-1]


def _last_use(levels: Levels, out: tuple[Any, Any]) -> np.ndarray:
    """For each node, the index of the last level that reads it; len(levels) for the output."""
    last = np.full(out[0].shape[1], -1)
    for i, (w, _) in enumerate((*levels, out)):
        last[: w.shape[1]][np.any(w != 0, axis=0)] = i
    return last


def _affine(
    w: np.ndarray, c: np.ndarray, values: dict[int, list[flint.fmpq]], points: int
) -> list[list[flint.fmpq]]:
    """w values + c at all points, one list a row."""
    used = np.flatnonzero(np.any(w != 0, axis=0)).tolist()
    biases = [rational(float(v)) for v in c]
    if np.count_nonzero(w) < 4 * (len(used) + len(c)):
        rows = []
        for row, bias in zip(w, biases, strict=True):
            terms = [(rational(float(row[k])), values[int(k)]) for k in np.flatnonzero(row)]
            z = [bias] * points
            for weight, v in terms:
                z = [s + weight * y for s, y in zip(z, v, strict=True)]
            rows.append(z)
        return rows
    # dense: FLINT clears the denominators of each column and multiplies integer matrices
    weights = flint.fmpq_mat(
        len(c),
        len(used) + 1,
        [rational(float(v)) for v in np.column_stack([w[:, used], c]).ravel()],
    )
    one = flint.fmpq(1)
    flat = [y for k in used for y in values[k]] + [one] * points
    product = (weights * flint.fmpq_mat(len(used) + 1, points, flat)).entries()
    return [product[i * points : (i + 1) * points] for i in range(len(c))]


def _refined(v: list[flint.fmpq], crossing: dict[int, list[flint.fmpq]]) -> list[flint.fmpq]:
    """Values at the old points and, by interpolation, at those inserted."""
    found = []
    for i, y in enumerate(v):
        found.append(y)
        for t in crossing.get(i, ()):
            found.append(y + (v[i + 1] - y) * t)
    return found
