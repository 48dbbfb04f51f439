"""Networks written unit by unit, with rational weights, and the parts that our constructions share.

A form is an affine combination of nodes, `{node: weight}` with the constant under `ONE`; node 0 is
the input. Each unit has a role, which a proof names: what the unit is meant to compute.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from infsup.core.errors import UsageError
from infsup.networks.relu import ReLUNetwork

BITS = {"real": 53, "float64": 53, "float32": 24}
"""Of the weights, by what the certificate speaks of."""
ONE = -1
INPUT = 0
KNOT, COORDINATE, FOLD, TOOTH, CARRY, COLLECTOR, GATE, ACCUMULATOR = range(8)
"""Roles. KNOT: relu(x - k). COORDINATE: x -> u + 1 >= 0. FOLD: relu(l) or relu(-l). TOOTH:
relu(g - 1/2) of an iterate g of the tent map. CARRY: an iterate itself. COLLECTOR: a square. GATE:
one cell. ACCUMULATOR: part of a square, f_j + alpha g_j with alpha >= -4^-j."""

Form = dict[int, Fraction]


def form(*terms: tuple[Fraction | int | float, "Form | int"]) -> Form:
    """The combination of forms or nodes with factors: `form((2, a), (-1, 3))`."""
    out: Form = {}
    for factor, term in terms:
        c = Fraction(factor)
        for node, w in (term if isinstance(term, dict) else {term: Fraction(1)}).items():
            out[node] = out.get(node, Fraction(0)) + c * w
    return {node: w for node, w in out.items() if w}


def constant(c: Fraction | int | float) -> Form:
    """A form without nodes."""
    return {ONE: Fraction(c)} if c else {}


def rounded(x: Fraction | float, bits: int) -> Fraction:
    """The nearest number of so many bits: exact where the weights of a dtype have them."""
    x = Fraction(x)
    if not x:
        return x
    shift = bits - 1 - _exponent(abs(x))
    scaled = x * Fraction(2) ** shift
    return Fraction(round(scaled)) / Fraction(2) ** shift


def _exponent(x: Fraction) -> int:
    """The e with 2^e <= x < 2^(e+1)."""
    e = x.numerator.bit_length() - x.denominator.bit_length()
    return e if Fraction(2) ** e <= x else e - 1


class Graph:
    """A network under construction; its first nodes are the inputs."""

    def __init__(self, inputs: int = 1):
        self.inputs = inputs
        self.forms: list[Form] = [{}] * inputs
        self.levels: list[int] = [0] * inputs
        self.roles: list[tuple[int, int, int]] = [(-1, -1, -1)] * inputs

    def unit(self, given: Form, role: int, chain: int = -1, number: int = -1) -> int:
        """A new unit relu(form); returns its node."""
        level = 1 + max((self.levels[node] for node in given if node != ONE), default=0)
        self.forms.append(given)
        self.levels.append(level)
        self.roles.append((role, chain, number))
        return len(self.forms) - 1

    def square(self, v: Form, m: int, chain: int = 0, every: int = 3) -> int:
        """A unit that is f_m(v) for a form v in [0, 1]: 0 <= f_m(v) - v^2 <= 4^-(m+1).

        f_m = v - sum_{s<=m} g_s / 4^s with the iterates g_s of the tent map; each iterate costs a
        unit relu(g - 1/2), and each `every`-th one more, which carries the iterate, so that weights
        stay below 2^(every+2).

        Source: Yarotsky, Neural Networks 94 (2017), Proposition 2.
        """
        g = v
        total = v
        for s in range(1, m + 1):
            tooth = self.unit(form((1, g), (Fraction(-1, 2), ONE)), TOOTH, chain, s)
            g = form((2, g), (-4, tooth))
            total = form((1, total), (-Fraction(1, 4**s), g))
            if s % every == 0 and s < m:
                carry = self.unit(g, CARRY, chain, s)
                # what was summed so far stays; the rest is told by the carried iterate
                g = {carry: Fraction(1)}
        return self.unit(total, COLLECTOR, chain, m)

    def network(self, out: Form, dtype: np.dtype) -> tuple[ReLUNetwork, np.ndarray]:
        """The network and its roles [units, 3], in the order of its nodes.

        Raises:
            UsageError: a weight is not a number of the dtype.
        """
        order = sorted(range(self.inputs, len(self.forms)), key=lambda i: (self.levels[i], i))
        place = {i: i for i in range(self.inputs)}
        place |= {node: i for i, node in enumerate(order, self.inputs)}
        levels = []
        done, at = self.inputs, 0
        while at < len(order):
            level = self.levels[order[at]]
            here = [n for n in order[at:] if self.levels[n] == level]
            w, b = np.zeros((len(here), done), dtype), np.zeros(len(here), dtype)
            for row, node in enumerate(here):
                _put(self.forms[node], place, w, b, row, dtype)
            levels.append((w, b))
            done += len(here)
            at += len(here)
        w, b = np.zeros((1, done), dtype), np.zeros(1, dtype)
        _put(out, place, w, b, 0, dtype)
        roles = np.array([self.roles[n] for n in order], np.int32).reshape(-1, 3)
        return ReLUNetwork(self.inputs, levels, (w, b)), roles


def _put(
    given: Mapping[int, Fraction],
    place: Mapping[int, int],
    w: np.ndarray,
    b: np.ndarray,
    row: int,
    dtype: np.dtype,
) -> None:
    for node, value in given.items():
        try:
            with np.errstate(over="ignore", under="ignore"):
                number = np.asarray(float(value), np.float64).astype(dtype)
        except OverflowError:
            number = np.asarray(math.inf, dtype)
        if not np.isfinite(number) or Fraction(float(number)) != value:
            single, larger = dtype == np.float32, 'dtype="float64"'
            size = rounded(value, 4)
            words = f"{float(size):.2g}" if abs(size) < 2**1000 else "beyond 1e300"
            raise UsageError(
                f"a weight of the construction, of size {words}, is no {np.dtype(dtype).name}",
                "It needs more digits or range than that, and what is stored must be what is "
                "proved.",
                "a larger eps   or   " + (larger if single else "x and f in other units"),
            )
        if node == ONE:
            b[row] = number
        else:
            w[row, place[node]] = number


def numpy_dtype(dtype: str) -> np.dtype:
    """The dtype of the stored weights."""
    return np.dtype(np.float32 if dtype == "float32" else np.float64)


def piecewise(
    knots: list[Fraction],
    nodes: list[int],
    values: list[Any],
    bits: int,
    inside: tuple[int, int] | None = None,
) -> tuple[Form, list[Fraction]]:
    """A piecewise linear form with weights of so many bits, and its exact values at the knots.

    What rounding does at one knot is made good at the next, so errors do not add.

    Args:
        knots: K + 1.
        nodes: K: the input, then the units relu(x - k) of the inner knots.
        values: wanted at the knots.
        bits: of the weights.
        inside: an interval that the values may not leave.
    """
    values = [Fraction(v) for v in values]
    low, high = inside or (-math.inf, math.inf)
    slope = rounded((values[1] - values[0]) / (knots[1] - knots[0]), bits)
    while True:
        const = rounded(values[0] - slope * knots[0], bits)
        while not low <= const + slope * knots[0] <= high:
            const = _next(const, 1 if const + slope * knots[0] < low else -1, bits)
        end = const + slope * knots[1]
        if low <= end <= high:
            break
        slope = _next(slope, 1 if end < low else -1, bits)
    weights: Form = {ONE: const, nodes[0]: slope}
    got = [const + slope * knots[0], end]
    total = slope
    for j, node in enumerate(nodes[1:], 1):
        at, width = got[-1], knots[j + 1] - knots[j]
        step = rounded((values[j + 1] - at) / width - total, bits)
        while not low <= at + (total + step) * width <= high:
            step = _next(step, 1 if at + (total + step) * width < low else -1, bits)
        total += step
        weights[node] = step
        got.append(at + total * width)
    return {node: c for node, c in weights.items() if c}, got


def _next(x: Fraction, sign: int, bits: int) -> Fraction:
    """The next number of so many bits (of half a unit in the last place at least)."""
    if not x:
        return Fraction(sign, 2**60)
    return rounded(x + sign * abs(x) * Fraction(3, 2 ** (bits + 1)), bits)
