"""Derives `PiecewiseEnclosure`'s bracket again, from the stored weights: no JAX, other arithmetic.

The proof gives a grid, a witness and the claimed upper end; nothing else is believed. The network
is evaluated at the grid points in balls of 256 bits, f in balls cell by cell, and cells are halved
until the claimed end is shown to hold on each.
"""

import contextlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import flint
import numpy as np
from flint import arb, arb_mat

from infsup.approximation import check_network
from infsup.approximation.check_function import Function, Open, lower, precision
from infsup.approximation.check_structure import ROUNDOFF
from infsup.core.encoding import Record
from infsup.core.errors import FileRejected

DOORS = ("core.Accepted",)
ACTIVATIONS = {
    "jax.nn.relu": ((1, 1.0, 1.0, 0),),
    "jax.nn.leaky_relu": ((1, 1.0, 1.0, 0), (-1, -1.0, 0.01, 0)),
    "jax.nn.relu6": ((1, 1.0, 1.0, 6),),
    "jax.nn.hard_tanh": ((1, 1.0, 1.0, 1), (-1, -1.0, 1.0, 1)),
    "jax.numpy.abs": ((1, 1.0, 1.0, 0), (-1, 1.0, 1.0, 0)),
}
"""Activation -> its halves: of z or -z, sign, slope, where it is capped (0: nowhere)."""
BITS = 256
STRIP = 256
UP = 1 + 1e-9


class Step(NamedTuple):
    """W [rows, nodes so far], b; and what was taken out of it on a strip of the grid.

    That is slope x + shift for each row, of `terms` units; `hidden` bounds the sum of their sizes.
    """

    w: np.ndarray
    b: np.ndarray
    relu: bool
    taken: tuple[tuple[arb, arb], ...] = ()
    hidden: Any = 0.0
    terms: int = 0


def PiecewiseEnclosure(problem: Any, answer: Any, proof: Mapping[str, Any]) -> tuple[float, float]:
    """The distance at the witness, and the claimed upper end where it holds on all cells."""
    f, dtype = Function(problem["f"]), problem["dtype"]
    a, b = (float(end) for end in problem["domain"])
    steps = _steps(answer, dtype)
    claimed, at = float(proof["upper"]), float(proof["witness"])
    grid = _grid(proof, a, b)
    if not (a <= at <= b) or (dtype == "float32" and float(np.float32(at)) != at):
        raise ValueError("the witness is no point of the domain in this dtype")
    with precision(BITS):
        y, _, executed = _network(steps, [arb(at), arb(at)], ROUNDOFF[dtype])
        low = lower(abs(f.ball(arb(at)) - y[0]).lower() - arb(executed[0]))
        for i in range(0, len(grid) - 1, STRIP):
            strip = grid[i : i + STRIP + 1]
            values, deviation, executed = _network(
                _without_first(steps, strip), strip, ROUNDOFF[dtype]
            )
            left = f.ball(strip[0]) - values[0]
            for k in range(len(strip) - 1):
                right = f.ball(strip[k + 1]) - values[k + 1]
                ends = (strip[k], left), (strip[k + 1], right)
                slope = (values[k + 1] - values[k]) / (strip[k + 1] - strip[k])
                room = arb(claimed) - arb(deviation[k]) - arb(executed[k])
                if not _holds(f, ends, slope, room, 24):
                    raise ValueError(f"the upper end is not shown near {float(strip[k].mid()):.9g}")
                left = right
    return max(low, 0.0), claimed


def _grid(proof: Mapping[str, Any], a: float, b: float) -> list[arb]:
    """The grid points, exactly: floats, and sums of two of them."""
    grid = np.asarray(proof["grid"], np.float64)
    points = {flint.fmpq(*v.as_integer_ratio()) for v in grid.tolist()}
    for high, rest in zip(proof.get("fine", ()), proof.get("fine_low", ()), strict=True):
        both = (flint.fmpq(*float(v).as_integer_ratio()) for v in (high, rest))
        points.add(sum(both, flint.fmpq(0)))
    ordered = sorted(points)
    ends = tuple(flint.fmpq(*v.as_integer_ratio()) for v in (a, b))
    if (ordered[0], ordered[-1]) != ends:
        raise ValueError("the grid does not cover the domain")
    return [arb(q) for q in ordered]


def _holds(f: Function, ends: Any, slope: arb, room: arb, depth: int) -> bool:
    """Whether |f - line| <= room between two points: by f'' there, or by halves."""
    (xl, left), (xr, right) = ends
    box, h = xl.union(xr), xr - xl
    top = abs(left).max(abs(right))

    def bent() -> bool:
        c = f.taylor(box, 2)[2] * h * h
        # left + (right - left) s - c s (1 - s), and its negative, at their largest
        return bool(c.abs_upper() / 4 + top <= room) or bool(
            _peak(left, right, (-c).upper()) <= room and _peak(-left, -right, c.upper()) <= room
        )

    def steep() -> bool:
        return bool(top + (f.slope(box) - slope).abs_upper() * h / 2 <= room)

    def flat() -> bool:
        line = (f.ball(xl) - left).union(f.ball(xr) - right)
        return bool((f.ball(box) - line).abs_upper() <= room)

    for shown in (bent, steep, flat):
        with contextlib.suppress(Open):
            if shown():
                return True
            break  # the next needs less, and shows less
    if depth == 0 or not top <= room:
        return False
    xm = ((xl + xr) / 2).mid()
    middle = xm, f.ball(xm) - ((f.ball(xl) - left) + slope * (xm - xl))
    halves = (ends[0], middle), (middle, ends[1])
    return all(_holds(f, half, slope, room, depth - 1) for half in halves)


def _peak(left: arb, right: arb, c: arb) -> arb:
    """Above left + (right - left) s + c s (1 - s) for all s in [0, 1]."""
    if abs(right - left) < c:
        return (left + right) / 2 + c / 4 + (right - left) ** 2 / (4 * c)
    return left.max(right) + (0 if abs(right - left) >= c else c.max(arb(0)) / 4)


# -- the network ----------------------------------------------------------------------------------


def _steps(answer: Any, dtype: str) -> list[Step]:
    """The affine maps of the stored network, each over the input and all nodes before it."""
    steps: list[Step] = []
    # the nodes whose signed sum is the value that comes out of what was read
    value = [(0, 1.0)]

    def put(w: np.ndarray, b: np.ndarray, relu: bool, of: list[tuple[int, float]]) -> int:
        """Makes nodes; says where they begin."""
        nodes = 1 + sum(len(s.b) for s in steps)
        wide = np.zeros((len(b), nodes))
        for start, sign in of:
            wide[:, start : start + w.shape[1]] += sign * w
        steps.append(Step(wide, b, relu))
        return nodes

    def array(x: Any) -> np.ndarray:
        x = np.asarray(x).astype(np.float32 if dtype == "float32" else np.float64)
        if not np.isfinite(x).all():
            raise ValueError("a weight is not finite")
        return x.astype(np.float64)

    answer = answer["answer"] if isinstance(answer, Record) and answer.name in DOORS else answer
    if isinstance(answer, Record) and answer.name == "networks.ReLUNetwork":
        for w, b in answer["levels"]:
            put(array(w), array(b), True, [(0, 1.0)])
        w, b = map(array, answer["out"])
        put(w, b, False, [(0, 1.0)])
    else:
        plain = check_network.Affine(np.eye(1), np.zeros(1))
        waiting: check_network.Affine | None = None
        for part in check_network.parts(answer, dtype == "float32"):
            if isinstance(part, check_network.Affine):
                if waiting is not None:
                    value = [(put(waiting.w, waiting.b, False, value), 1.0)]
                waiting = part
                continue
            if not isinstance(part, str) or part not in ACTIVATIONS:
                raise FileRejected("the answer has an activation that is not piecewise linear")
            n = len((waiting or (steps or (plain,))[-1]).b)
            w, b = waiting or check_network.Affine(np.eye(n), np.zeros(n))
            before, value, waiting = value, [], None
            for side, sign, slope, cap in ACTIVATIONS[part]:
                first = put(side * w, side * b, True, before)
                if slope != 1.0:
                    one = float(np.float32(slope)) if dtype == "float32" else slope
                    first = put(one * np.eye(n), np.zeros(n), True, [(first, 1.0)])
                value.append((first, sign))
                if cap:
                    over = put(np.eye(n), np.full(n, -float(cap)), True, [(first, 1.0)])
                    value.append((over, -sign))
        w, b = waiting or check_network.Affine(np.eye(1), np.zeros(1))
        put(w, b, False, value)
    if not steps or len(steps[-1].b) != 1:
        raise ValueError("the answer is no network of one variable")
    return steps


def _without_first(steps: list[Step], strip: list[arb]) -> list[Step]:
    """On a strip, a wide first level without those units that do not bend there."""
    first, n = steps[0], len(steps[0].b)
    if not first.relu or n <= STRIP or n * sum(len(s.b) for s in steps[1:]) > 100_000:
        return steps
    w, b, ends = first.w[:, 0], first.b, (float(strip[0].mid()), float(strip[-1].mid()))
    size = np.abs(w) * max(map(abs, ends)) + np.abs(b)
    z = np.stack([w * x + b for x in ends])
    on, off = z.min(0) > 1e-14 * size, z.max(0) < -1e-14 * size
    bent, near = ~on & ~off, on | (off & (z.max(0) > -1e-5 * size))
    pairs = arb_mat(int(on.sum()), 2, [arb(v) for v in np.stack([w, b], 1)[on].ravel().tolist()])
    found = [first._replace(w=first.w[bent], b=b[bent])]
    for s in steps[1:]:
        v = s.w[:, 1 : 1 + n]
        flat = [arb(x) for x in v[:, on].ravel().tolist()]
        sums = (arb_mat(len(v), int(on.sum()), flat) * pairs).entries()
        taken = tuple(zip(sums[::2], sums[1::2], strict=True))
        wide = np.concatenate([s.w[:, :1], v[:, bent], s.w[:, 1 + n :]], axis=1)
        hidden = np.abs(v[:, near]) @ size[near] * UP
        found.append(Step(wide, s.b, s.relu, taken, hidden[:, None], int(on.sum())))
    return found


def _network(steps: list[Step], x: list[arb], floats: tuple[float, float]) -> Any:
    """Values at points; on cells, how far from the lines between them, in reals and executed."""
    (unit, least), cells = floats, len(x) - 1
    h, y, zero = [list(x)], list(x), arb(0)
    e = r = np.zeros((1, cells))
    far = np.abs([float(v.mid()) for v in x])
    top = np.maximum(far[:-1], far[1:])[None] * UP
    passed: list[Any] = []
    for s in steps:
        used = np.flatnonzero(np.any(s.w != 0, axis=0))
        weights = arb_mat(len(s.b), len(used), [arb(v) for v in s.w[:, used].ravel().tolist()])
        z = (weights * arb_mat(len(used), len(x), [v for k in used for v in h[k]])).entries()
        taken = s.taken or ((zero, zero),) * len(s.b)
        rows = [
            [v + (c + p * q) for v, q in zip(z[i * len(x) : (i + 1) * len(x)], x, strict=True)]
            for i, (p, c) in enumerate(
                (p, c + arb(b)) for (p, c), b in zip(taken, s.b.tolist(), strict=True)
            )
        ]
        size, bias = np.abs(s.w[:, used]), np.abs(s.b)[:, None]
        terms = int(np.count_nonzero(s.w, axis=1).max(initial=0)) + s.terms + 2
        own = 1.001 * terms * unit / (1 - terms * unit)
        deviation = size @ e[used] * UP
        local = own * (size @ (top[used] + r[used]) + bias + s.hidden) + 6 * unit * s.hidden
        far = size.max(initial=0.0) + top[used].max(initial=0.0) + 2
        local = local * UP + 6 * (terms + 4) * least * far
        executed = size @ r[used] * UP + local
        at = np.array([[float(v.mid()) for v in row] for row in rows])
        wrong = np.array([[float(v.rad()) for v in row] for row in rows]) + np.abs(at) * 1e-15
        above = np.maximum((at + wrong)[:, :-1], (at + wrong)[:, 1:]) + 1e-300
        below = np.minimum((at - wrong)[:, :-1], (at - wrong)[:, 1:]) - 1e-300
        if s.relu:
            # signs are those of the balls; `above`, `below` bound what an undecided one bends
            sign = np.array([[1 if v >= 0 else -1 if v <= 0 else 0 for v in row] for row in rows])
            clear = (sign[:, :-1] == sign[:, 1:]) & (sign[:, :-1] != 0)
            bent = np.minimum(np.maximum(above, 0), np.maximum(-below, 0))
            deviation = np.where(clear, deviation, (deviation + bent) * UP)
            far = (deviation + executed) * UP
            passed.append((s, len(h), below - far > 0, above + far < 0, local))
            executed = np.where(above + far < 0, 0.0, executed)
            deviation = np.where(above + deviation * UP < 0, 0.0, deviation)
            rows = [[v if v >= 0 else zero if v <= 0 else v.max(zero) for v in row] for row in rows]
        else:
            passed.append((s, len(h), True | (above > 0), False & (above > 0), local))
        high = np.maximum(above, 0) if s.relu else np.maximum(above, -below)
        h, y = h + rows, rows[0]
        e, r = np.concatenate([e, deviation]), np.concatenate([r, executed])
        top = np.concatenate([top, (high + deviation) * UP])
    return y, e[-1], np.minimum(r[-1], _reach(passed, len(h))) if unit else np.zeros(cells)


def _reach(passed: list[Any], nodes: int) -> np.ndarray:
    """What the roundings of all units do to the output, by the derivatives of it on each cell.

    A unit passes all of a perturbation where it is on in reals and executed, nothing where it is
    off, else a part: derivatives are intervals, a middle and a radius.
    """
    shape = nodes, passed[0][-1].shape[1]
    middle, radius, total = np.zeros(shape), np.zeros(shape), np.zeros(shape[1])
    middle[-1] = 1.0
    for s, start, on, off, local in reversed(passed):
        here = slice(start, start + len(local))
        m, q = middle[here], radius[here]
        q = np.where(off, 0.0, np.where(on, q, q + np.abs(m) / 2))
        m = np.where(off, 0.0, np.where(on, m, m / 2))
        total = total + ((np.abs(m) + q) * local).sum(axis=0) * UP
        middle[:start] += s.w.T @ m
        radius[:start] += np.abs(s.w).T @ (q + 1e-10 * np.abs(m)) * UP
    return total
