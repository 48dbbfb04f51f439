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


def point(levels: Levels, out: tuple[Any, Any], x: flint.fmpq) -> flint.fmpq:
    """The first output at one point, exactly."""
    h, zero, new = [x], flint.fmpq(0), [x]
    for w, c in (*levels, (out[0][:1], out[1][:1])):
        new = [rational(v) for v in np.asarray(c, np.float64).tolist()]
        for i, k in zip(*np.nonzero(w), strict=True):
            if h[k] != 0:
                new[i] += rational(float(w[i, k])) * h[k]
        h += [v if v > 0 else zero for v in new]
    return new[0]


def count_pieces(
    levels: Levels, out: tuple[Any, Any], a: float, b: float, budget: int = BUDGET
) -> int:
    """The number of affine pieces of a scalar network on [a, b], exactly.

    The breakpoints of a search in floats divide [a, b]. Where it is proved, rounding enclosed, that
    one unit alone changes its sign between the middles of two neighbours, and that the slopes there
    differ, there is one breakpoint between them; all else is done in rational arithmetic.

    Raises:
        TooMuchWork: the budget does not suffice.
    """
    levels, out = sound(levels, out)
    try:
        x = breakpoints(levels, out, np.array([a, b], np.float64))
        open_, sure = _single(levels, out, x) if len(x) > 2 else ([(a, b)], 0)
    except TooMuchWork:
        open_, sure = [(a, b)], 0
    if 4 * len(open_) > sure:
        # as much work as all of it at once
        open_, sure = [(a, b)], 0
    found, weights = 1 + sure, sum(int(np.count_nonzero(w)) + len(c) for w, c in (*levels, out))
    for low, high in open_:
        xs, (ys,) = exact_pieces(levels, out, low, high, budget)
        budget -= weights * len(xs)
        slopes = [(ys[i + 1] - ys[i]) / (xs[i + 1] - xs[i]) for i in range(len(xs) - 1)]
        found += sum(slopes[i] != slopes[i + 1] for i in range(len(slopes) - 1))
    return found


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
MAX_NUMBERS = 1 << 27
"""In the largest array that the search may hold."""
BLOCK = 1 << 20
WIDE, STRIP = 256, 256
"""A first level with more units is taken out strip by strip, of so many cells."""
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
        made = nodes + np.arange(len(c))
        live = np.concatenate([live, made])
        keep = last[live] > index
        if (len(x) + len(found)) * max(int(keep.sum()), 1) > MAX_NUMBERS:
            raise TooMuchWork(
                f"{int(keep.sum()):,} units at {len(x) + len(found):,} points do not fit in memory",
                remedy="a shorter interval",
            )
        h = np.concatenate([h, np.maximum(z, 0.0)])[keep]
        live = live[keep]
        nodes += len(c)
        if len(found):
            at = np.searchsorted(x, found)
            x = np.insert(x, at, found)
            wanted = np.insert(wanted, at - 1, wanted[at - 1])
            fresh = _forward(levels[: index + 1], found, live)
            h = np.insert(h, at, fresh, axis=1)
    return x


def values(levels: Levels, out: tuple[Any, Any], x: np.ndarray) -> np.ndarray:
    """The first output at points [n], in float64, rounded."""
    levels, out = sound(levels, out)
    step = max(1, BLOCK // out[0].shape[1])
    parts = [x[at : at + step] for at in range(0, len(x), step)]
    return np.concatenate([(out[0] @ _nodes(levels, p) + out[1][:, None])[0] for p in parts])


def _forward(levels: Any, x: np.ndarray, live: np.ndarray) -> np.ndarray:
    """Some nodes at points: [live, n]."""
    if not len(live):
        return np.zeros((0, len(x)))
    step = max(1, BLOCK // (1 + sum(len(c) for _, c in levels)))
    parts = [x[at : at + step] for at in range(0, len(x), step)]
    return np.concatenate([_nodes(levels, p)[live] for p in parts], axis=1)


def _nodes(levels: Any, x: np.ndarray) -> np.ndarray:
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
    wide = len(levels) > 0 and len(levels[0][1]) > WIDE
    step = STRIP if wide else max(2, BLOCK // out[0].shape[1])
    maps = [_Map(w, c) for w, c in (*levels, out)]
    parts = []
    for at in range(0, len(x) - 1, step):
        mine = x[at : at + step + 1]
        fewer = _without_first(maps, float(mine[0]), float(mine[-1])) if wide else maps
        parts.append(_describe(fewer, mine, floats))
    y = [*(p.y[:-1] for p in parts[:-1]), parts[-1].y]
    joined = [np.concatenate([getattr(p, k) for p in parts]) for k in ("error", "rounding")]
    return Cells(x, np.concatenate(y), *joined)


class _Map:
    """An affine map of nodes, with what was taken out of it.

    Args:
        w: [rows, nodes].
        c: [rows].
        loose: [rows], how far the map may be from the one that it stands for.
        steep: [rows], how far the weight of the input may be.
        hidden: [rows], the sum of |weight times unit| over the units that were taken out.
        near: [rows], the same with units among them that rounding may switch on.
        terms: of the longest sum, those that were taken out included.
    """

    def __init__(self, w, c, loose=None, steep=None, hidden=None, near=None, terms=None):
        # columns without a weight are not read
        self.used = np.flatnonzero(np.any(w != 0, axis=0))
        self.w, self.c = w[:, self.used], c[:, None]
        self.size, self.bias = np.abs(self.w), np.abs(c)[:, None]
        self.nodes = w.shape[1]
        self.full = w
        self.loose = np.zeros((len(c), 1)) if loose is None else loose[:, None]
        self.steep = np.zeros((len(c), 1)) if steep is None else steep[:, None]
        self.hidden = np.zeros((len(c), 1)) if hidden is None else hidden[:, None]
        self.near = np.zeros((len(c), 1)) if near is None else near[:, None]
        own = int(np.max(np.count_nonzero(self.w, axis=1), initial=0)) + 2
        self.gamma = 1.001 * own * UNIT
        self.terms = own if terms is None else terms


def _without_first(maps: list[_Map], low: float, high: float) -> list[_Map]:
    """The maps on [low, high] with those units of the first level taken out that bend outside it.

    There such a unit is 0 or an affine function, so that it adds to the weight of the input and
    to the bias of whoever reads it; this is done in floats, and `loose` says by what it may err.
    """
    first, far = maps[0], max(abs(low), abs(high))
    w0, c0 = first.full[:, 0], first.c[:, 0]
    span = (np.abs(w0) * far + np.abs(c0)) * (1 + 8 * UNIT) + 8 * LEAST
    ends = np.stack([w0 * low + c0, w0 * high + c0])
    room = 4 * UNIT * span + 8 * LEAST
    on = ends.min(axis=0) > room
    bent = np.flatnonzero(~on & (ends.max(axis=0) > -room))
    switched = on | ((ends.max(axis=0) <= -room) & (ends.max(axis=0) > -(2.0**-20) * span))
    n = len(w0)
    found = [_Map(first.full[bent], c0[bent])]
    found[0].terms = max(found[0].terms, first.terms)
    for m in maps[1:]:
        v = m.full[:, 1 : 1 + n]
        taken = v[:, on]
        gamma = 1.001 * (int(on.sum()) + 4) * UNIT
        hidden = (np.abs(taken) @ span[on]) * (1 + 4 * gamma) + 8 * LEAST
        near = (np.abs(v[:, switched]) @ span[switched]) * (1 + 8 * n * UNIT) + 8 * LEAST
        w = np.concatenate([m.full[:, :1], v[:, bent], m.full[:, 1 + n :]], axis=1)
        w[:, 0] += taken @ w0[on]
        c = m.c[:, 0] + taken @ c0[on]
        whole = hidden + np.abs(m.full[:, 0]) * far + np.abs(m.c[:, 0])
        loose = gamma * whole * (1 + 4 * gamma) + 8 * (n + 4) * LEAST * (1 + np.max(np.abs(v)))
        steep = gamma * (np.abs(taken) @ np.abs(w0[on]) + np.abs(m.full[:, 0])) * (1 + 4 * gamma)
        steep = steep + 8 * (n + 4) * LEAST * (1 + np.max(np.abs(v), initial=0.0))
        found.append(_Map(w, c, loose, steep, hidden, near, m.terms))
    return found


def _describe(maps: list[_Map], x: np.ndarray, floats: Floats) -> Cells:
    nodes, points = maps[-1].nodes, len(x)
    h, d = np.zeros((nodes, points)), np.zeros((nodes, points))
    e, executed = np.zeros((nodes, points - 1)), np.zeros((nodes, points - 1))
    h[0] = x
    done, passed = 1, []
    with np.errstate(over="ignore", invalid="ignore"):
        for m in maps[:-1]:
            new = slice(done, done + len(m.c))
            z, dz, ez, rz, local = _propagate(m, h, d, e, executed, floats)
            low, high = np.nextafter(z - dz, -np.inf), np.nextafter(z + dz, np.inf)
            above = np.maximum(high[:, :-1], high[:, 1:])
            below = np.minimum(low[:, :-1], low[:, 1:])
            bent = np.nextafter(ez + bend(above, below), np.inf)
            h[new] = np.maximum(z, 0.0)
            d[new] = np.where(high <= 0, 0.0, dz)
            # a unit that is off with room for all errors is 0 on the whole cell
            e[new] = np.where(above + 1.001 * ez < 0, 0.0, bent)
            if floats.unit:
                far = 1.001 * (ez + rz)
                executed[new] = np.where(above + far < 0, 0.0, rz)
                passed.append((m, new, below - far > 0, above + far < 0, local))
            done += len(m.c)
        y, dy, ey, ry, local = _propagate(maps[-1], h, d, e, executed, floats)
        if floats.unit:
            ry = np.minimum(ry, local + _reach(maps[-1], passed, nodes))
        error = (ey[0] + np.maximum(dy[0, :-1], dy[0, 1:])) * (1 + 4 * UNIT)
    if not (np.isfinite(y).all() and np.isfinite(error).all() and np.isfinite(ry).all()):
        raise TooMuchWork(
            "the network's values leave the range of floats on this interval",
            remedy="a shorter interval, or smaller weights",
        )
    return Cells(x, y[0], error, ry[0])


def _single(
    levels: Any, out: tuple[Any, Any], x: np.ndarray
) -> tuple[list[tuple[float, float]], int]:
    """Where a grid of breakpoints leaves something open, and how many of them are proved single.

    Args:
        levels: as `sound` gives them.
        out: likewise.
        x: all breakpoints that are known, with both ends [n + 1], n > 1.

    Returns:
        Intervals between points that are no breakpoints, or are ends of the whole; and how many
        breakpoints lie outside them.
    """
    between = x[1:-2] + (x[2:-1] - x[1:-2]) / 2
    cuts = np.concatenate([x[:1], between, x[-1:]])
    fine = np.sort(np.concatenate([x[:1], x[1:-1], between, x[-1:]]))
    if not np.all(np.diff(fine) > 0):
        fine = np.unique(fine)
    maps = [_Map(w, c) for w, c in (*levels, out)]
    slope, error = _slopes(maps, cuts)
    clear = np.isfinite(error)
    clear[[0, -1]] = True
    wide = len(levels) > 0 and len(levels[0][1]) > WIDE
    # two cells an interval
    step = 2 * (STRIP if wide else max(1, BLOCK // out[0].shape[1]))
    alone = np.zeros(len(cuts) - 1, bool)
    if len(fine) != 2 * len(cuts) - 1:
        return [(float(x[0]), float(x[-1]))], 0
    for at in range(0, len(fine) - 1, step):
        mine = fine[at : at + step + 1]
        fewer = _without_first(maps, float(mine[0]), float(mine[-1])) if wide else maps
        alone[at // 2 : (at + step) // 2] = _alone(fewer, mine)
    differ = np.abs(slope[1:] - slope[:-1]) > error[1:] + error[:-1]
    good = alone & differ & clear[1:] & clear[:-1]
    found: list[tuple[float, float]] = []
    for i in np.flatnonzero(~good):
        low, high = float(cuts[i]), float(cuts[i + 1])
        if found and found[-1][1] == low and not clear[i]:
            found[-1] = found[-1][0], high
        else:
            found.append((low, high))
    return found, int(good.sum())


def _alone(maps: list[_Map], x: np.ndarray) -> np.ndarray:
    """For pairs of cells: whether one unit alone changes its sign there, at one point."""
    nodes, points = maps[-1].nodes, len(x)
    h, d, e = np.zeros((nodes, points)), np.zeros((nodes, points)), np.zeros((nodes, points - 1))
    h[0] = x
    done, moving, turned = 1, np.zeros(points // 2, int), np.zeros(points // 2, int)
    with np.errstate(over="ignore", invalid="ignore"):
        for m in maps[:-1]:
            new = slice(done, done + len(m.c))
            z, dz, ez, _, _ = _propagate(m, h, d, e, e, FLOATS["real"])
            low, high = np.nextafter(z - dz, -np.inf), np.nextafter(z + dz, np.inf)
            above = np.maximum(high[:, :-1], high[:, 1:])
            below = np.minimum(low[:, :-1], low[:, 1:])
            h[new], d[new] = np.maximum(z, 0.0), np.where(high <= 0, 0.0, dz)
            e[new] = np.where(
                above + 1.001 * ez < 0, 0.0, np.nextafter(ez + bend(above, below), np.inf)
            )
            on, off = below - 1.001 * ez > 0, above + 1.001 * ez < 0
            same = (on[:, ::2] & on[:, 1::2]) | (off[:, ::2] & off[:, 1::2])
            plus, minus = low[:, ::2] > 0, high[:, ::2] < 0
            turns = (plus[:, :-1] & minus[:, 1:]) | (minus[:, :-1] & plus[:, 1:])
            moving += np.count_nonzero(~same, axis=0)
            turned += np.count_nonzero(~same & turns, axis=0)
            done += len(m.c)
    # all other units are affine there, so it is too: it has one zero
    return (moving == 1) & (turned == 1)


def _slopes(maps: list[_Map], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The slope of the output at points, and how far it may be off; inf at possible breakpoints."""
    wide = len(maps) > 1 and len(maps[0].c) > WIDE
    step = STRIP if wide else max(1, BLOCK // maps[-1].nodes)
    parts, whole = [], maps
    for at in range(0, len(x), step):
        mine = x[at : at + step]
        maps = _without_first(whole, float(mine[0]), float(mine[-1])) if wide else whole
        h = np.zeros((maps[-1].nodes, len(mine)))
        s, wrong, d = np.zeros_like(h), np.zeros_like(h), np.zeros_like(h)
        h[0], s[0] = mine, 1.0
        done, open_ = 1, np.zeros(len(mine), bool)
        none = np.zeros((len(h), 0))
        with np.errstate(over="ignore", invalid="ignore"):
            for m in maps:
                moved = m.w @ s[m.used]
                off = m.size @ (wrong[m.used] + m.gamma * np.abs(s[m.used])) * (1 + 4 * m.gamma)
                off = (
                    off
                    + m.steep
                    + 4 * (len(m.used) + 4) * LEAST * (1 + np.max(m.size, initial=0.0))
                )
                if m is maps[-1]:
                    parts.append((moved[0], np.where(open_, np.inf, off[0])))
                    break
                z, dz, _, _, _ = _propagate(m, h, d, none, none, FLOATS["real"])
                on, new = z > 0, slice(done, done + len(m.c))
                open_ |= ~np.all(np.abs(z) > dz * (1 + 4 * UNIT), axis=0)
                h[new], d[new] = np.maximum(z, 0.0), np.where(on, dz, 0.0)
                s[new], wrong[new] = np.where(on, moved, 0.0), np.where(on, off, 0.0)
                done += len(m.c)
    slope, error = (np.concatenate(p) for p in zip(*parts, strict=True))
    return slope, np.where(np.isfinite(error) & np.isfinite(slope), error * (1 + 8 * UNIT), np.inf)


def _reach(
    last: _Map,
    passed: list[tuple[_Map, slice, np.ndarray, np.ndarray, np.ndarray]],
    nodes: int,
) -> np.ndarray:
    """What the roundings of all units do to the output, on cells.

    Where both the real and the executed unit are on, relu passes a perturbation as it is; where
    both are off, it passes nothing; else a part of it, between 0 and all. So a perturbation local
    to a unit reaches the output times the derivative along the cell's own pattern, here as a
    middle and a radius, which in deep networks is far less than the product of the |W|.
    """
    cells = passed[0][2].shape[1] if passed else 0
    middle, radius = np.zeros((nodes, cells)), np.zeros((nodes, cells))
    total = np.zeros((1, cells))
    if not passed:
        return np.zeros((1, 1))
    middle[last.used] = last.w.T
    for m, new, on, off, local in reversed(passed):
        a, r = middle[new], radius[new]
        size = np.abs(a)
        some = ~on & ~off
        r = np.where(some, (size / 2 + r) * (1 + 4 * UNIT), r)
        a = np.where(some, a / 2, a)
        a[off] = r[off] = 0.0
        size = np.abs(a)
        total = total + ((size + r) * local).sum(axis=0)
        gamma = 1.001 * (len(a) + 4) * UNIT
        middle[m.used] += m.w.T @ a
        # the sums above round, as do those of the blocks that were read before
        more = m.size.T @ (r + gamma * size) * (1 + 4 * gamma)
        radius[m.used] = (radius[m.used] + more) * (1 + 4 * UNIT) + 2 * UNIT * np.abs(
            middle[m.used]
        )
    return total * (1 + (nodes + 16) * UNIT) + nodes * LEAST


def bend(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """How far relu of a line is at most from the line through its end values.

    With end values p > 0 > -n it is p n/(p + n) at the kink, so at most min(p, n).

    Args:
        above: not below the larger end value.
        below: not above the smaller one.
    """
    return np.minimum(np.maximum(above, 0.0), np.maximum(-below, 0.0))


def _propagate(
    m: _Map, h: np.ndarray, d: np.ndarray, e: np.ndarray, executed: np.ndarray, floats: Floats
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """An affine map: values and their errors at points; deviations and roundings on cells.

    Last are the roundings of the map itself, without those of what it reads.
    """
    h, d, e = h[m.used], d[m.used], e[m.used]
    wide = 1 + 4 * m.gamma + 16 * UNIT
    # what underflow may take away, with room
    far = float(np.max(m.size, initial=0.0)) + 1.0
    z = m.w @ h + m.c
    tiny = 4 * (len(m.used) + 6) * LEAST * (far + np.max(np.abs(h), initial=0.0))
    dz = (m.size @ (d + m.gamma * np.abs(h)) + m.gamma * m.bias) * wide + (tiny + m.loose)
    ez = (m.size @ e) * wide + tiny
    if not floats.unit:
        none = np.zeros((1, ez.shape[1]))
        return z, dz, ez, none, none
    executed = executed[m.used]
    top = np.abs(h) + d
    top = (np.maximum(top[:, :-1], top[:, 1:]) + e + executed) * (1 + 8 * UNIT)
    own = 1.001 * m.terms * floats.unit / (1 - m.terms * floats.unit)
    # a unit of the first level is itself a sum of two terms
    whole = m.size @ top + (m.bias + m.hidden * (1 + 4 * floats.unit))
    if not np.max(whole, initial=0.0) * (1 + 4 * own) < floats.most:
        raise TooMuchWork(
            f"the network's values leave the range of {floats.name} on this interval",
            remedy="a shorter interval, or smaller weights",
        )
    flushed = 6 * (m.terms + 4) * floats.least * (far + np.max(top, initial=0.0))
    rest = own * (m.bias + m.hidden) + 5 * floats.unit * m.near
    local = (m.size @ (own * top) + rest) * wide + flushed * (1 + own)
    return z, dz, ez, (m.size @ executed) * wide + local, local
