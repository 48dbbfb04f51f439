"""Derives `SmoothEnclosure`'s bracket again: other formulas, no JAX.

The proof names a point, boxes that cover the domain, and the upper end. The distance at the point
is computed again; that the upper end holds on each box is shown again, with python-flint's own
functions of power series in place of the bound's recurrences, and boxes are halved where that is
needed.
"""

import contextlib
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from flint import arb, arb_mat, arb_series

from infsup.approximation import check_network, check_rounding
from infsup.approximation.check_function import Function, Open, lower, precision, upper
from infsup.core.errors import FileRejected
from infsup.core.program import Program

BITS = 160
DEEPEST = 20


def _tanh(z: arb_series) -> arb_series:
    if z[0].mid() < 0:
        return -_tanh(-z)
    e = (-2 * z).exp()
    return (1 - e) / (1 + e)


def _cubic(z: arb_series) -> arb_series:
    return z + arb(44715) / 10**6 * z * z * z


_ACTIVATIONS: dict[str, Callable] = {
    "identity": lambda z: z,
    "tanh": _tanh,
    "sigmoid": lambda z: (1 + _tanh(z / 2)) / 2,
    "softplus": lambda z: (1 + z.exp()).log(),
    "silu": lambda z: z / (1 + (-z).exp()),
    "sin": lambda z: z.sin(),
    "cos": lambda z: z.cos(),
    "exp": lambda z: z.exp(),
    "square": lambda z: z * z,
    "gelu": lambda z: z * (1 + (z / arb(2).sqrt()).erf()) / 2,
    "gelu_by_tanh": lambda z: z / 2 * (1 + _tanh((2 / arb.pi()).sqrt() * _cubic(z))),
}


def SmoothEnclosure(problem: Any, answer: Any, proof: Mapping[str, Any]) -> tuple[float, float]:
    """The distance at the proof's point, and the upper end where it holds on all boxes."""
    f, dtype = Function(problem["f"]), problem["dtype"]
    a, b = (float(end) for end in problem["domain"])
    edges, at, claimed = (
        np.asarray(proof["edges"], float),
        float(proof["at"]),
        float(proof["upper"]),
    )
    order = int(proof["order"])
    if not (edges.ndim == 1 and edges[0] == a and edges[-1] == b and (np.diff(edges) > 0).all()):
        raise ValueError("the boxes do not cover the domain")
    single = dtype == "float32"
    if not 3 <= order <= 20 or not a <= at <= b or (single and float(np.float32(at)) != at):
        raise ValueError("the point or the order is damaged")
    parts, program = _read(answer, dtype)
    with precision(BITS, order + 1):
        distance = _Distance(f, parts, order, program)
        least = max(lower(abs(distance.value(at))), 0.0)
        most = max(distance.upper(x, y, claimed) for x, y in itertools.pairwise(edges.tolist()))
    added = 0.0 if dtype == "real" else check_rounding.executed(parts, max(abs(a), abs(b)), dtype)
    return max(least - added, 0.0), most + added


def _read(answer: Any, dtype: str) -> tuple[list, Program | None]:
    """The layers of the network; or its program, where it has others or is none of layers."""
    stored = getattr(answer, "program", None)
    if dtype == "real" and isinstance(stored, Program):
        return [], stored
    try:
        return check_network.layers(answer, dtype == "float32"), None
    except FileRejected:
        if dtype != "real":
            raise
        return [], check_network.program(answer)


class _Distance:
    """Network minus f; the network by its parts, or by its program where it has none."""

    def __init__(self, f: Function, parts: list, order: int, program: Program | None):
        self.f, self.parts, self.order = f, parts, order
        self.network = Function(program) if program is not None else None
        self.mats = [arb_mat([[arb(v) for v in r] for r in w.tolist()]) for w, _, _ in parts]

    def value(self, x: float) -> arb:
        return self.series(arb(x), arb(0))[0][0] - self.f.ball(arb(x))

    def upper(self, x: float, y: float, claimed: float, depth: int = 0) -> float:
        """At most `claimed` on [x, y]: shown, or the bound that was shown instead."""
        middle, radius = (arb(x) + arb(y)) / 2, (arb(y) - arb(x)) / 2
        ball = middle + radius * arb(0, 1)
        point, over = self.series(middle, radius)
        bounds = []
        for attempt in (self.expanded, self.chord, self.plain):
            try:
                got = attempt(point, over, middle, radius, ball)
            except Open:
                continue
            if got.is_finite():
                bounds.append(upper(got))
                if bounds[-1] <= claimed:
                    return claimed
        with contextlib.suppress(Open):
            here = abs(point[0] - self.f.ball(middle))
            if lower(here) > claimed:  # no smaller box will show it
                return upper(here)
        cut = x / 2 + y / 2
        if depth >= DEEPEST or not x < cut < y:
            return min(bounds, default=math.inf)
        left = self.upper(x, cut, claimed, depth + 1)
        # one box that cannot be shown is enough
        return left if left > claimed else self.upper(cut, y, claimed, depth + 1)

    def expanded(self, point: list, over: list, middle: arb, radius: arb, ball: arb) -> arb:
        n = self.order
        there, around = self.f.taylor(middle, n), self.f.taylor(ball, n)
        c = [p - q for p, q in zip(point, there, strict=True)]
        rest = abs(over[n] - _nearer(around, there, radius)[n]) * radius**n
        rest += sum((abs(c[k]) * radius**k for k in range(3, n)), arb(0))
        if abs(c[1]) > 2 * abs(c[2]) * radius or c[2].contains(0):
            return abs(c[0]) + abs(c[1]) * radius + abs(c[2]) * radius**2 + rest
        # c0 + c2 (t + s)^2 - c2 s^2 with s = c1/(2 c2)
        s = c[1] / (2 * c[2])
        foot, reach = c[0] - c[2] * s**2, (abs(s) + radius) ** 2
        return (foot.union(foot + c[2] * reach)).abs_upper() + rest

    def chord(self, point: list, over: list, middle: arb, radius: arb, ball: arb) -> arb:
        slope = over[1] - self.f.slope(ball)
        return abs(point[0] - self.f.ball(middle) + slope * radius * arb(0, 1))

    def plain(self, point: list, over: list, middle: arb, radius: arb, ball: arb) -> arb:
        return abs(over[0] - self.f.ball(ball))

    def series(self, middle: arb, radius: arb) -> tuple[list, list]:
        """Taylor coefficients of the network at the middle, and over the box."""
        if self.network is not None:
            return self.known(self.network, middle, radius)
        rows = [[arb_series([m, 1])] for m in (middle, middle + radius * arb(0, 1))]
        for (_, shift, name), matrix in zip(self.parts, self.mats, strict=True):
            if name == "softmax":
                rows = self.near([[self.softmax(r[0], middle)] for r in rows], radius)
                continue
            rows = self.near([self.affine(matrix, shift, r) for r in rows], radius)
            rows = self.near([[_ACTIVATIONS[name](z) for z in r] for r in rows], radius)
        return self.coefficients(rows[0][0]), self.coefficients(rows[1][0])

    def known(self, network: Function, middle: arb, radius: arb) -> tuple[list, list]:
        """Likewise of a program; where it has a kink only its value, and range and slope."""
        box, n = middle + radius * arb(0, 1), self.order
        try:
            point = network.taylor(middle, n)
            return point, _nearer(network.taylor(box, n), point, radius)
        except Open:
            none = [arb.nan()] * n
        over = [network.ball(box), arb.nan(), *none[1:]]
        with contextlib.suppress(Open):
            over[1] = network.slope(box)
        return [network.ball(middle), *none], over

    def near(self, rows: list, radius: arb) -> list:
        point, over = rows
        pairs = zip(map(self.coefficients, over), map(self.coefficients, point), strict=True)
        return [point, [arb_series(_nearer(o, p, radius)) for o, p in pairs]]

    def coefficients(self, z: arb_series) -> list[arb]:
        return [z[k] for k in range(self.order + 1)]

    def affine(self, matrix: arb_mat, shift: np.ndarray, row: list) -> list:
        out = (matrix * arb_mat([self.coefficients(z) for z in row])).tolist()
        return [arb_series(c) + float(v) for c, v in zip(out, shift, strict=True)]

    def softmax(self, x: arb_series, middle: arb) -> arb_series:
        (slopes, values), offsets, _ = self.parts[0]
        k = int(np.argmax(slopes * float(middle) + offsets))
        above, below = arb_series([0]), arb_series([0])
        for s, o, v in zip(slopes.tolist(), offsets.tolist(), values.tolist(), strict=True):
            e = ((arb(s) - float(slopes[k])) * x + (arb(o) - float(offsets[k]))).exp()
            above, below = above + arb(v) * e, below + e
        return above / below


def _nearer(over: list, point: list, radius: arb) -> list:
    """c_k(s) lies in c_k(m) + (k + 1) c_{k+1}(box) [-r, r], since c_k' = (k + 1) c_{k+1}."""
    out = list(over)
    for k in reversed(range(len(over) - 1)):
        other = point[k] + (k + 1) * out[k + 1] * radius * arb(0, 1)
        if other.is_finite() and (not out[k].is_finite() or other.rad() < out[k].rad()):
            out[k] = other
    return out
