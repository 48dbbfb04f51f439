"""Continuous piecewise-linear functions of one variable, given by ReLU levels; no JAX.

A network is (levels, out) as in `networks.ReLUNetwork` with one input: level l is (W, b) over the
input and all earlier units, `out` is (W, b) over all nodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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
    if isinstance(x, flint.fmpq):
        return x
    return flint.fmpq(*map(int, x.as_integer_ratio()))


def exact_pieces(
    levels: Levels, out: tuple[Any, Any], a: Any, b: Any, budget: int = BUDGET
) -> tuple[list[flint.fmpq], list[list[flint.fmpq]]]:
    """All breakpoints of all units on [a, b], and the values of the output there; exact.

    Between two neighbouring points the output is affine.

    Args:
        levels: of a network of one variable; every float stands for itself.
        out: its output.
        a: a float, Fraction or fmpq.
        b: likewise, above a.
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
                left, right = z[i], z[i + 1]
                if (left < 0 < right) or (right < 0 < left):
                    crossing.setdefault(i, set()).add(left / (left - right))
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
    """The rows of w values + c at all points, one list a row."""
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
        found += [y + (v[i + 1] - y) * t for t in crossing.get(i, ())]
    return found


# -- in floats, with proved errors ----------------------------------------------------------------

MAX_POINTS = 1_000_000
BLOCK = 1 << 21
"""Numbers in one array of the passes below."""
UNIT = 2.0**-53
LEAST = 2.0**-1022


@dataclass(frozen=True)
class Floats:
    """A floating-point format: unit roundoff, least normal and largest number."""

    name: str
    unit: float
    least: float
    most: float


FLOATS = {
    "real": Floats("real arithmetic", 0.0, 0.0, float("inf")),
    "float64": Floats("float64", 2.0**-53, 2.0**-1022, 1.79e308),
    "float32": Floats("float32", 2.0**-24, 2.0**-126, 3.4e38),
}


@dataclass(frozen=True)
class Cells:
    """What is known of a scalar network on the cells between grid points.

    On cell i the network differs from the straight line through (x[i], y[i]), (x[i+1], y[i+1]) by
    at most error[i]; executed in floats of the asked roundoff, from its real value by at most
    rounding[i] more.

    Args:
        x: grid [n + 1], increasing.
        y: [n + 1], finite.
        error: [n].
        rounding: [n]; zeros for real arithmetic.
    """

    x: np.ndarray
    y: np.ndarray
    error: np.ndarray
    rounding: np.ndarray


def breakpoints(
    levels: Levels, out: tuple[Any, Any], x: np.ndarray, wanted: np.ndarray | None = None
) -> np.ndarray:
    """A float grid that contains, up to rounding, all breakpoints of all units; a search only.

    Args:
        levels: of a network of one variable.
        out: its output.
        x: a first grid [n + 1], increasing; two ends will do.
        wanted: [n], the cells in which to search; all by default.

    Raises:
        TooMuchWork: more than MAX_POINTS points.
    """
    levels, out = sound(levels, out)
    x = np.asarray(x, np.float64)
    wanted = np.ones(len(x) - 1, bool) if wanted is None else np.asarray(wanted)
    last = _last_use(levels, (np.zeros_like(out[0]), out[1]))
    live, h = np.zeros(1, int), x[None, :].copy()
    nodes = 1
    for index, (w, c) in enumerate(levels):
        with np.errstate(all="ignore"):
            z = w[:, live] @ h + c[:, None]
            new = [np.zeros(0)]
            for at in range(0, len(c), max(1, BLOCK // len(x))):
                part = z[at : at + max(1, BLOCK // len(x))]
                left, right = part[:, :-1], part[:, 1:]
                rows, columns = np.nonzero((left * np.sign(right) < 0) & wanted)
                p, q = left[rows, columns], right[rows, columns]
                t = x[columns] + (x[columns + 1] - x[columns]) * (p / (p - q))
                inside = (t > x[columns]) & (t < x[columns + 1])
                new.append(t[inside])
        found = np.unique(np.concatenate(new))
        found = found[x[np.minimum(np.searchsorted(x, found), len(x) - 1)] != found]
        if len(found) + len(x) > MAX_POINTS:
            raise TooMuchWork(
                f"the network has more than {MAX_POINTS:,} breakpoints",
                f"There are {len(found) + len(x):,} after level {index + 1}.",
                "a shorter interval",
            )
        if len(found):
            at = np.searchsorted(x, found)
            x = np.insert(x, at, found)
            wanted = np.insert(wanted, at - 1, wanted[at - 1])
            fresh = _forward(levels[: index + 1], found)
            h = np.insert(h, at, fresh[live], axis=1)
            z = np.insert(z, at, fresh[nodes:], axis=1)
        h = np.concatenate([h, np.maximum(z, 0.0)])
        live = np.concatenate([live, nodes + np.arange(len(c))])
        nodes += len(c)
        keep = last[live] > index
        live, h = live[keep], h[keep]
    return x


def values(levels: Levels, out: tuple[Any, Any], x: np.ndarray) -> np.ndarray:
    """The first output at points [n], in float64, rounded."""
    levels, out = sound(levels, out)
    step = max(1, BLOCK // out[0].shape[1])
    parts = [x[at : at + step] for at in range(0, len(x), step)]
    return np.concatenate([(out[0] @ _forward(levels, p) + out[1][:, None])[0] for p in parts])


def _forward(levels: Sequence[tuple[np.ndarray, np.ndarray]], x: np.ndarray) -> np.ndarray:
    """All nodes at points: [1 + units, n]."""
    h = np.empty((1 + sum(len(c) for _, c in levels), len(x)))
    h[0] = x
    done = 1
    for w, c in levels:
        used = np.flatnonzero(np.any(w != 0, axis=0))
        z = w[:, used] @ h[used] + c[:, None]
        np.maximum(z, 0.0, out=h[done : done + len(c)])
        done += len(c)
    return h


def describe(
    levels: Levels,
    out: tuple[Any, Any],
    x: np.ndarray,
    dtype: str = "real",
) -> Cells:
    """The proved description of a scalar network on the cells of a grid.

    Rounding is enclosed: a product of K terms summed in any order, fused or not, errs by at most
    gamma_K |W||h|, gamma_K = K u / (1 - K u) (Higham 2002, section 3.1), and this bound is itself
    evaluated with room for its own rounding. On a cell, relu of a unit whose end values have one
    sign is the line through its end values up to what the unit itself deviates; with end values
    -n and p of two signs, up to min(n, p) more.

    Args:
        levels: of a network of one variable.
        out: its output, one row.
        x: the grid [n + 1], increasing.
        dtype: the floats in which the network is executed, of `FLOATS`; "real" for none.

    Raises:
        TooMuchWork: values beyond the range of floats.
    """
    levels, out = sound(levels, out)
    floats = FLOATS[dtype]
    nodes = out[0].shape[1]
    step = max(2, BLOCK // nodes)
    starts = range(0, len(x) - 1, step)
    parts = [_describe(levels, out, x[i : i + step + 1], floats) for i in starts]
    y = [*(p.y[:-1] for p in parts[:-1]), parts[-1].y]
    joined = [np.concatenate([getattr(p, k) for p in parts]) for k in ("error", "rounding")]
    return Cells(x, np.concatenate(y), *joined)


def _describe(levels: Any, out: Any, x: np.ndarray, floats: Floats) -> Cells:
    nodes, points = out[0].shape[1], len(x)
    h, d = np.zeros((nodes, points)), np.zeros((nodes, points))
    e, executed = np.zeros((nodes, points - 1)), np.zeros((nodes, points - 1))
    h[0] = x
    done = 1
    with np.errstate(over="ignore", invalid="ignore"):
        for w, c in levels:
            new = slice(done, done + len(c))
            z, dz, ez, rz = _propagate(w, c, h, d, e, executed, floats)
            low, high = np.nextafter(z - dz, -np.inf), np.nextafter(z + dz, np.inf)
            positive = np.maximum(np.maximum(high[:, :-1], high[:, 1:]), 0.0)
            negative = np.maximum(-np.minimum(low[:, :-1], low[:, 1:]), 0.0)
            bent = np.nextafter(ez + np.minimum(positive, negative), np.inf)
            # a unit that is off with room for all errors is 0 on the whole cell
            above = np.maximum(high[:, :-1], high[:, 1:])
            h[new] = np.maximum(z, 0.0)
            d[new] = np.where(high <= 0, 0.0, dz)
            e[new] = np.where(above + 1.001 * ez < 0, 0.0, bent)
            executed[new] = np.where(above + 1.001 * (ez + rz) < 0, 0.0, rz)
            done += len(c)
        y, dy, ey, ry = _propagate(*out, h, d, e, executed, floats)
        error = (ey[0] + np.maximum(dy[0, :-1], dy[0, 1:])) * (1 + 4 * UNIT)
    if not (np.isfinite(y).all() and np.isfinite(error).all() and np.isfinite(ry).all()):
        raise TooMuchWork(
            "the network's values leave the range of floats on this interval",
            remedy="a shorter interval, or smaller weights",
        )
    return Cells(x, y[0], error, ry[0])


def _propagate(
    w: np.ndarray,
    c: np.ndarray,
    h: np.ndarray,
    d: np.ndarray,
    e: np.ndarray,
    executed: np.ndarray,
    floats: Floats,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """An affine map: values and their errors at points; deviations and roundings on cells."""
    used = np.flatnonzero(np.any(w != 0, axis=0))
    w, h, d, e, executed = w[:, used], h[used], d[used], e[used], executed[used]
    size, bias = np.abs(w), np.abs(c)[:, None]
    terms = int(np.max(np.count_nonzero(w, axis=1), initial=0)) + 2
    gamma = 1.001 * terms * UNIT
    wide = 1 + 4 * gamma + 16 * UNIT
    # what underflow may take away, with room
    far = float(np.max(size, initial=0.0)) + 1.0
    z = w @ h + c[:, None]
    tiny = 4 * (terms + 4) * LEAST * (far + np.max(np.abs(h), initial=0.0))
    dz = (size @ (d + gamma * np.abs(h)) + gamma * bias) * wide + tiny
    ez = (size @ e) * wide + tiny
    if not floats.unit:
        return z, dz, ez, np.zeros_like(ez)
    top = np.maximum(np.abs(h) + d, 0.0)
    top = (np.maximum(top[:, :-1], top[:, 1:]) + e + executed) * (1 + 8 * UNIT)
    own = 1.001 * terms * floats.unit / (1 - terms * floats.unit)
    if not np.max(size @ top + bias, initial=0.0) * (1 + 2 * own) < floats.most:
        raise TooMuchWork(
            f"the network's values leave the range of {floats.name} on this interval",
            remedy="a shorter interval, or smaller weights",
        )
    flushed = 3 * (terms + 4) * floats.least * (far + np.max(top, initial=0.0))
    rz = (size @ (executed + own * top) + own * bias) * wide + flushed * (1 + own)
    return z, dz, ez, rz
