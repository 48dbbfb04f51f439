"""Derives `StructuralEnclosure`'s bracket again: fractions, python-flint, NumPy; no JAX.

A network is read off its stored weights: every unit must be what the lemma of its role says, in
exact arithmetic. The proof's roles say where to look, its numbers what to show.
"""

import math
from fractions import Fraction
from typing import Any

import flint
import numpy as np
from flint import arb

from infsup.approximation.check_function import Function, Open, exact, precision
from infsup.approximation.check_rounding import (
    ACCUMULATOR,
    CARRY,
    COORDINATE,
    FOLD,
    GATE,
    KNOT,
    ROUNDOFF,
    SQUARE,
    TOOTH,
    executed_structure,
)
from infsup.core.errors import FileRejected

ONE, X, ZERO, HALF = ("1", 0), ("x", 0), Fraction(0), Fraction(1, 2)
PARTS = 1024


def StructuralEnclosure(problem: Any, answer: Any, proof: Any) -> tuple[float, float]:
    """Both ends of sup |f - N| for a network made of knots, squares (L1) and gates (L3)."""
    f, (a, b), (u, tiny) = Function(problem["f"]), problem["domain"], ROUNDOFF[problem["dtype"]]
    layers = _layers(answer, problem["dtype"])
    with precision(160):
        cells, slack, tree = _read(layers, np.asarray(proof["roles"]), Fraction(a), Fraction(b))
        claims = np.asarray(proof["interpolation"], np.float64)
        _need(claims.shape == (len(cells),) and np.isfinite(claims).all(), "one bound a cell")
        run = executed_structure(layers, tree, u, tiny) if u else np.zeros(len(cells))
        upper = float(slack) * (1 + 2.0**-50)
        centres = np.asarray(proof["centres"], np.float64)
        _need(centres.shape == claims.shape and np.isfinite(centres).all(), "one centre a cell")
        for (low, high, p), claim, c in zip(cells, claims.tolist(), centres.tolist(), strict=True):
            _within(f, low, high, [p[0] + Fraction(c), *p[1:]], claim)
        above, below = _emulated(tree)
        squares = np.maximum(above - centres, below + centres) * (1 + 2.0**-50)
        upper = math.nextafter((claims + squares + run).max() * (1 + 2.0**-50), math.inf) + upper
        lower = 0.0
        for x in np.ravel(np.asarray(proof["points"], np.float64)).tolist():
            _need(a <= x <= b and (tiny < 1e-40 or float(np.float32(x)) == x), "a point")
            gap = abs(f.ball(arb(x)) - exact(_value(layers, Fraction(x)))).lower()
            lower = max(lower, float(gap) * (1 - 2.0**-50) - run.max())
        return lower, math.nextafter(upper, math.inf)


def _need(condition: Any, what: str) -> None:
    if not condition:
        raise ValueError(f"not as the lemma needs it: {what}")


# -- the network ----------------------------------------------------------------------------------


def _layers(answer: Any, dtype: str) -> list[tuple[np.ndarray, np.ndarray]]:
    if getattr(answer, "name", "") != "networks.ReLUNetwork":
        raise FileRejected("the answer is no stored ReLUNetwork")
    layers, count = [], 1
    for w, c in (*answer["levels"], answer["out"]):
        kind = np.float32 if dtype == "float32" else np.float64
        w, c = (np.asarray(np.asarray(v).astype(kind), np.float64) for v in (w, c))
        _need(w.shape == (len(c), count) and np.isfinite([w.sum(), c.sum()]).all(), "weights")
        layers.append((w, c))
        count += len(c)
    _need(len(layers[-1][1]) == 1, "one output")
    return layers


def _value(layers: list, x: Fraction) -> Fraction:
    h, new = [x], []
    for w, c in layers:
        h += [max(v, ZERO) for v in new]
        new = [
            sum((Fraction(row[j]) * h[j] for j in np.flatnonzero(row)), Fraction(s))
            for row, s in zip(w, c, strict=True)
        ]
    return new[0]


def _sum(*terms: tuple[Any, dict]) -> dict:
    total: dict = {}
    for c, z in terms:
        for s, w in z.items():
            total[s] = total.get(s, ZERO) + c * w
    return {s: w for s, w in total.items() if w}


def _only(z: dict, kinds: str) -> bool:
    return all(s[0] in kinds for s in z)


def _read(layers: list, roles: np.ndarray, a: Fraction, b: Fraction) -> tuple:
    """Cells (low, high, polynomial of t in [-1, 1]), what gates leak, and the parts."""
    units = sum(len(c) for _, c in layers[:-1])
    if not len(roles) and len(layers) <= 2:
        roles = np.tile([[KNOT, 0, 0]], (units, 1))
    _need(roles.shape == (units, 3), "one role a unit")
    nodes, gates, number = [{X: Fraction(1)}], [], iter(roles.tolist())
    knots, folds, tents, depth = [a], {}, {}, {}
    for w, c in layers[:-1]:
        fresh = []
        for row, shift in zip(w, c, strict=True):
            parts = ((Fraction(row[j]), nodes[j]) for j in np.flatnonzero(row))
            z = _sum((Fraction(shift), {ONE: 1}), *parts)
            role, k, t = next(number)
            if role == KNOT:
                here = -z.get(ONE, ZERO)
                _need(z.get(X) == 1 and _only(z, "x1") and knots[-1] < here < b, "a knot")
                knots.append(here)
                z = {("k", len(knots) - 1): Fraction(1)}
            elif role == COORDINATE:
                _need(_only(z, "x1k") and min(_broken(z, [*knots, b])) >= 0, "a coordinate")
            elif role == FOLD:
                _need(_only(z, "x1ka") and k not in tents, "a fold")
                _need(folds.setdefault(k, z) in (z, _sum((-1, z))), "a fold and its mirror")
                z = _sum((HALF, {("v", k): Fraction(1)}), (HALF, z))
            elif role == TOOTH:
                _need(t == len(tents.get(k, [0])), "teeth in order")
                g = _sum((1, z), (HALF, {ONE: Fraction(1)}))
                first = {("v", k): Fraction(1)} if k in folds else g
                _need(g == tents.setdefault(k, [first])[-1] and k not in depth, "a tooth")
                z = {("t", k, len(tents[k])): Fraction(1)}
                tents[k].append(_sum((2, g), (-4, z)))
            elif role == CARRY:
                carried = tents[k][-1] if k in tents else {("v", k): Fraction(1)}
                _need(z == carried and (k in tents or k in folds), "a carried iterate")
            elif role == ACCUMULATOR:  # f_j + alpha g_j, not negative for alpha >= -4^-j
                _need(1 <= t < len(tents.get(k, [])), "an accumulator")
                rest, mark = _sum((1, z), (-1, _part(tents[k][: t + 1]))), ("t", k, t)
                alpha = rest.get(mark, ZERO) / tents[k][t][mark]
                _need(alpha >= -Fraction(1, 4**t) and rest == _sum((alpha, tents[k][t])), "alpha")
            elif role == SQUARE:
                _need(k in tents and k not in depth and z == _part(tents[k]), "a square")
                depth[k] = len(tents[k]) - 1
                z = {("a", k): Fraction(1)}
            else:
                _need(role == GATE and _only(z, "x1ka"), "a gate")
                gates.append(z)
                z = {("g", len(gates) - 1): Fraction(1)}
            fresh.append(z)
        nodes += fresh
    (row,), (shift,) = layers[-1]
    parts = ((Fraction(row[j]), nodes[j]) for j in np.flatnonzero(row))
    y = _sum((Fraction(shift), {ONE: 1}), *parts)
    knots.append(b)
    for k in [k for k in tents if k not in depth]:  # the output collects a last square itself
        depth[k], last = len(tents[k]) - 1, ("t", k, len(tents[k]) - 1)
        c = y.get(last, ZERO) / _part(tents[k])[last]
        y = _sum((1, y), (-c, _part(tents[k])), (c, {("a", k): Fraction(1)}))
    _need(_only(y, "x1kag") and sorted(depth) == list(range(1, len(tents) + 1)), "the output")
    squares = _squares({k: folds.get(k, tents[k][0]) for k in depth}, folds, depth, knots)
    ends, count, slack = _broken(y, knots), len(knots) - 1, ZERO
    lines = [[ends[i], ends[i + 1]] for i in range(count)]
    weights = [[y.get(("a", k), ZERO) for k in sorted(depth)] for _ in range(count)]
    mine, barriers = [-1] * count, []
    for g, z in enumerate(gates):
        i, const, leak, barrier = _gate(z, knots, squares)
        barriers.append(barrier)
        _need(mine[i] < 0, "one gate a cell")
        c, mine[i] = y.get(("g", g), ZERO), g
        lines[i] = [v + c * const for v in lines[i]]
        weights[i] = [v + c * z.get(("a", k + 1), ZERO) for k, v in enumerate(weights[i])]
        slack += abs(c) * leak
    cells = []
    for i, (left, right) in enumerate(lines):
        poly = [(left + right) / 2, (right - left) / 2]
        if any(weights[i]):
            u, v = squares["u"][i : i + 2]
            q = _plus(*([w * c for c in p] for w, p in zip(weights[i], squares["p"], strict=True)))
            poly = _plus(poly, _moved(q, (u + v) / 2, (v - u) / 2))
        cells.append((knots[i], knots[i + 1], poly))
    tree = {"w": weights, "barriers": barriers, "knots": knots, "roles": roles}
    return cells, slack, tree | squares


def _part(tents: list[dict]) -> dict:
    """F_m = v - sum_s g_s / 4^s of a chain of iterates v, g_1, ..., g_m."""
    return _sum((1, tents[0]), *((-Fraction(1, 4**s), g) for s, g in enumerate(tents) if s))


def _broken(z: dict, knots: list[Fraction]) -> list[Fraction]:
    """Values at the knots of the part that is piecewise linear in x."""
    slope = z.get(X, ZERO)
    found = [z.get(ONE, ZERO) + slope * knots[0]]
    for i in range(1, len(knots)):
        found.append(found[-1] + slope * (knots[i] - knots[i - 1]))
        slope += z.get(("k", i), ZERO)
    return found


def _squares(args: dict, folds: dict, depth: dict, knots: list[Fraction]) -> dict[str, Any]:
    """The squares as functions of u, the argument of the first; their ranges are checked."""
    s: dict[str, Any] = {k: [] for k in ("l", "p", "into", "steep", "ends")}
    s["u"], s["e"] = [], [4.0 ** -(depth[k] + 1) for k in sorted(depth)]
    if not depth:
        return s
    u = s["u"] = _broken(args[1], knots)
    _need(_only(args[1], "x1k") and args[1].get(X), "the coordinate")
    _need(all(abs(v) <= 1 and (1 in folds or v >= 0) for v in u), "the coordinate's range")
    for k in sorted(depth):
        slope = args[k].get(X, ZERO) / args[1][X]
        rest = _sum((1, args[k]), (-slope, args[1]))
        _need(_only(rest, "1a") and all(t == ONE or t[1] < k for t in rest), "an argument")
        const, into = rest.pop(ONE, ZERO), [(c, t[1] - 1) for t, c in rest.items()]
        s["l"].append(_plus([const, slope], *([c * v for v in s["p"][j]] for c, j in into)))
        s["p"].append(_times(s["l"][-1], s["l"][-1]))
        s["into"].append(into)
        inner = sum((abs(c) * s["steep"][j] for c, j in into), ZERO)
        s["steep"].append(2 * (abs(slope) + inner))
        at = [
            slope * (2 * side - 1) + const + sum((c * s["ends"][j][side] for c, j in into), ZERO)
            for side in (0, 1)
        ]
        low = const - abs(slope) + sum((min(c, ZERO) for c, _ in into), ZERO)
        high = const + abs(slope) + sum((max(c, ZERO) for c, _ in into), ZERO)
        if abs(slope) >= inner:  # monotone in u, the squares' own errors included
            low, high = min(at), max(at)
        least = -1 if k in folds else 0
        s.setdefault("open", []).append(k > 1 and not (low >= least and high <= 1))
        _need(not s["open"][-1] or k in folds, "an argument that is not negative")
        s["ends"].append([_square(abs(v), depth[k]) for v in at])
    return s


def _square(v: Fraction, m: int) -> Fraction:
    g, total = v, v
    for s in range(1, m + 1):
        g = min(2 * g, 2 - 2 * g)
        total -= g / 4**s
    return total


def _gate(z: dict, knots: list[Fraction], s: dict) -> tuple:
    """Lemma L3 for one gate: its cell, its constant there, what it leaks, and its barriers."""
    left, marks = z.get(X, ZERO), sorted(t[1] for t in z if t[0] == "k")
    _need(marks and s["u"], "a gate has a cell")
    i = marks[0] if left else 0
    right = -z.get(("k", i + 1), ZERO)
    _need(marks == [j for j, c in ((i, left), (i + 1, right)) if c], "a gate's barriers")
    _need(left >= 0 and right >= 0 and (not left or z[("k", i)] == -left), "a gate's barriers")
    _need((left or i == 0) and (right or i == len(knots) - 2), "a gate closes on both sides")
    c, u = [z.get(("a", k + 1), ZERO) for k in range(len(s["p"]))], s["u"]
    steep = sum((abs(w) * v for w, v in zip(c, s["steep"], strict=True)), ZERO)
    for barrier, j in ((left, i - 1), (right, i + 1)):
        if barrier:
            rise = max(abs(u[j + 1] - u[j]), Fraction(2))
            _need(barrier * (knots[j + 1] - knots[j]) >= steep * rise, "a gate is steep")
    _need(u[i] * u[i + 1] < 0, "the coordinate crosses the cell")  # so it is folded
    inner = min(abs(u[i]), abs(u[i + 1]))
    _need(-c[0] * inner >= steep - abs(c[0]) * s["steep"][0], "a gate is lifted")
    const, leak = z.get(ONE, ZERO) + left * knots[i], ZERO
    for end in (u[i], u[i + 1]):
        value = const + sum((w * v[end > 0] for w, v in zip(c, s["ends"], strict=True)), ZERO)
        leak = max(leak, abs(value) + steep * (1 - abs(end)))
    steep, leak = (float(v) * (1 + 2.0**-50) for v in (steep, leak))
    return i, const, Fraction(leak), (i, (float(left), float(right)), steep, leak)


def _emulated(s: dict) -> tuple[np.ndarray, np.ndarray]:
    """What the errors of the squares, each of one sign, add on each cell; ranges are finished.

    A_k = (l_k + D_k)^2 + r_k with 0 <= r_k <= e_k: to first order sum_j T_kj r_j, the rest is Q_k.
    """
    n, w = len(s["p"]), np.array([[float(c) for c in row] for row in s["w"]])
    if not n:
        return np.zeros(len(w)), np.zeros(len(w))
    mid, rad, late = np.zeros((n, n, PARTS)), np.zeros((n, n, PARTS)), np.zeros(n)
    for part in range(PARTS):
        box = arb(flint.fmpq(2 * part + 1 - PARTS, PARTS), flint.fmpq(1, PARTS))
        T, Q, E = [], [], []
        for k in range(n):
            q = _moved([exact(c) for c in s["l"][k]], box.mid(), box.rad())
            q = arb(q[0].mid(), sum((abs(c) for c in q[1:]), arb(q[0].rad())).upper())
            into = [sum((exact(c) * T[j][i] for c, j in s["into"][k]), arb(0)) for i in range(n)]
            second = sum((exact(c) * Q[j] for c, j in s["into"][k]), arb(0))
            D = sum((exact(c) * E[j] for c, j in s["into"][k]), arb(0))
            _need(not s["open"][k] or abs(q + D) <= 1, "an argument stays in [-1, 1]")
            T.append([2 * q * t + (i == k) for i, t in enumerate(into)])
            Q.append(2 * q * second + D * D)
            E.append(sum((t * arb(e / 2, e / 2) for t, e in zip(T[k], s["e"], strict=True)), Q[k]))
            for j, t in enumerate(T[k]):
                mid[k, j, part], rad[k, j, part] = float(t.mid()), float(t.rad().upper())
            late[k] = max(late[k], float(abs(Q[k]).upper()))
    reach = np.einsum("ik,kjs->ijs", abs(w), rad + 1e-13 * (abs(mid) + rad))
    mid = np.einsum("ik,kjs->ijs", w, mid)
    sides = [np.einsum("j,ijs->is", s["e"], np.maximum(m + reach, 0)).max(1) for m in (mid, -mid)]
    above, below = ((side + abs(w) @ late) * (1 + 1e-12) for side in sides)
    return above, below


def _plus(*polys: Any) -> list:
    out = [ZERO] * max(map(len, polys))
    for q in polys:
        for i, c in enumerate(q):
            out[i] += c
    return out


def _times(p: list, q: list) -> list:
    out = [ZERO] * (len(p) + len(q) - 1)
    for i, c in enumerate(p):
        for j, d in enumerate(q):
            out[i + j] += c * d
    return out


def _moved(p: list, centre: Any, scale: Any) -> list:
    """Coefficients of p(centre + scale t)."""
    c = list(p)
    for i in range(len(c) - 1):
        for k in range(len(c) - 2, i - 1, -1):
            c[k] = c[k] + centre * c[k + 1]
    return [v * scale**k if k else v for k, v in enumerate(c)]


# -- against the function ---


def _within(f: Function, low: Fraction, high: Fraction, poly: list, claim: float) -> None:
    """Shows |f - p| <= claim on a cell, by bisection."""
    todo, count, balls = [(low, high)], 0, [exact(c) for c in poly]
    centre, half = (low + high) / 2, (high - low) / 2
    while todo:
        x, y = todo.pop()
        middle, radius = (x + y) / 2, (y - x) / 2
        count += 1
        _need(count < 20_000 and radius * 2**140 > half, f"|f - p| <= {claim} at {float(x)}")
        p = _moved(balls, exact((middle - centre) / half), exact(radius / half))
        box = exact(x).union(exact(y))
        if not (_smooth(f, box, middle, radius, p, claim) or _flat(f, box, p, claim)):
            todo += [(x, middle), (middle, y)]


def _smooth(
    f: Function, box: arb, middle: Fraction, radius: Fraction, p: list, claim: float
) -> bool:
    n, r = len(p) + 2, exact(radius)
    try:
        d, rest = f.taylor(exact(middle), n - 1), f.taylor(box, n)[n]
    except Open:
        return False
    d = [c * r**k if k else c for k, c in enumerate(d)]
    d = [c - p[k] if k < len(p) else c for k, c in enumerate(d)]
    _need(not abs(d[0]) > claim, f"|f - p| <= {claim} at {float(middle)}")
    tail = sum((abs(c) for c in d[3:]), abs(rest) * r**n)
    top = abs(d[0] + d[2]) + abs(d[1])  # a quadratic is largest at an end or at its vertex
    if not 2 * abs(d[2]) <= abs(d[1]):
        vertex = abs(d[0] - d[1] * d[1] / (4 * d[2])) if abs(d[2]) > 0 else abs(d[0]) + abs(d[2])
        top = top.max(vertex + (0 if abs(d[2]) > 0 else abs(d[1])))
    return bool(top + tail <= claim)


def _flat(f: Function, box: arb, p: list, claim: float) -> bool:
    try:
        gap = abs(f.ball(box) - p[0])
    except Open:
        return False
    return bool(gap + sum((abs(c) for c in p[1:]), arb(0)) <= claim)
