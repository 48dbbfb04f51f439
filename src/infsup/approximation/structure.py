"""What a network of our constructions computes, read off its stored weights in exact arithmetic.

Each unit is expressed in symbols whose ranges are known: x, the knot units, |l| of a fold, the
teeth of a tent chain, squares, gates. A unit whose argument is such a symbol's own combination and
cannot be negative is that combination. What is found is a piecewise polynomial and the errors about
it.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from infsup.approximation import graph, shared_basis
from infsup.approximation.shared_basis import Basis, Chain, add, scale

ZERO = Fraction(0)
Symbols = dict[tuple, Fraction]
X, UNIT = ("x",), ("1",)
PARTS = 64
"""Equal parts of [-1, 1] on which factors of errors are bounded."""


class NoStructure(ValueError):
    """The network is not one of our constructions, as its weights show."""


@dataclass(frozen=True)
class Structure:
    """The network as lemmas see it: on cell i it is line + sum_k W_ik A_k(u), up to `slack`.

    Args:
        knots: [K + 1], with the ends of the domain.
        lines: [K] values of the affine part at both ends of the cell.
        u: [K + 1] values of the coordinate; empty without one.
        chains: of the squares.
        levels: iterations in each square.
        weights: [K][n].
        slack: what all gates together do outside their cells, or fail to do inside.
        barriers: of each gate its cell, its steepness to both sides, the Lipschitz constant in u of
            what it lets through, its leak; upper bounds in float64.
    """

    knots: list[Fraction]
    lines: list[tuple[Fraction, Fraction]]
    u: list[Fraction]
    chains: tuple[Chain, ...]
    levels: tuple[int, ...]
    weights: list[list[Fraction]]
    slack: Fraction
    barriers: list[tuple[int, tuple[float, float], float, float]]

    @property
    def gates(self) -> int:
        """How many."""
        return len(self.barriers)

    def polynomials(self) -> list[list[Fraction]]:
        """The exact polynomial of t in [-1, 1] on every cell, without the squares' errors."""
        squares = shared_basis.basis_of(self.chains).squares if self.chains else []
        found = []
        for i, (left, right) in enumerate(self.lines):
            line = [(left + right) / 2, (right - left) / 2]
            if not any(self.weights[i]):
                found.append(line)
                continue
            q = add(*(scale(w, squares[k]) for k, w in enumerate(self.weights[i])))
            centre, half = (self.u[i] + self.u[i + 1]) / 2, (self.u[i + 1] - self.u[i]) / 2
            found.append(add(line, _composed(q, centre, half)))
        return found

    def emulation(self) -> tuple[np.ndarray, np.ndarray]:
        """For every cell upper bounds of what the errors of the squares add, and take away: [K].

        The errors r of the squares have one sign, so N - (line + sum_k W_ik l_k^2) lies in
        [-below, above], above = max_u sum_j e_j max(sum_k W_ik spread[k][j](u), 0) + ...
        """
        if not self.chains:
            return np.zeros(len(self.lines)), np.zeros(len(self.lines))
        value, slope, rest = error_table(self.chains)
        e = np.array([4.0 ** -(m + 1) for m in self.levels])
        w = np.array([[float(c) for c in row] for row in self.weights])
        middle = np.einsum("ik,kjs->ijs", w, value)
        reach = np.abs(np.einsum("ik,kjs->ijs", w, slope))
        size = np.einsum("ik,kjs->ijs", np.abs(w), np.abs(value) + np.abs(slope) + rest)
        reach = reach + np.einsum("ik,kjs->ijs", np.abs(w), rest) + 1e-13 * size
        above = np.einsum("j,ijs->is", e, np.maximum(middle + reach, 0)).max(1)
        below = np.einsum("j,ijs->is", e, np.maximum(reach - middle, 0)).max(1)
        second = np.abs(w) @ np.array([float(q) for q in second_order(self.chains, self.levels)])
        return (above + second) * (1 + 1e-12), (below + second) * (1 + 1e-12)


# -- reading --------------------------------------------------------------------------------------


def read(levels: Sequence[Any], out: Any, roles: Any, a: float, b: float) -> Structure:
    """The structure of a network of one variable on [a, b].

    Args:
        levels: as a `ReLUNetwork` holds them.
        out: likewise.
        roles: [units, 3], or None where all units read the input alone.
        a: left end.
        b: right end.

    Raises:
        NoStructure: a unit does not compute what its role says; names it.
    """
    reader = _Reader(Fraction(a), Fraction(b))
    nodes: list[Symbols] = [{X: Fraction(1)}]
    number = 0
    units = sum(len(bias) for _, bias in levels)
    if roles is None:
        if len(levels) > 1:
            raise NoStructure("no roles are known, and units read other units")
        roles = np.tile([[graph.KNOT, -1, -1]], (units, 1))
    roles = np.asarray(roles)
    if roles.shape != (units, 3):
        raise NoStructure(f"{units} units have {len(roles)} roles")
    for w, bias in levels:
        fresh = []
        for row, shift in zip(np.asarray(w), np.asarray(bias), strict=True):
            fresh.append(reader.unit(_combined(row, shift, nodes), *map(int, roles[number])))
            number += 1
        nodes += fresh
    result = _combined(np.asarray(out[0])[0], np.asarray(out[1])[0], nodes)
    return reader.finish(result)


def _combined(row: np.ndarray, shift: Any, nodes: list[Symbols]) -> Symbols:
    total: Symbols = {UNIT: Fraction(float(shift))} if shift else {}
    for i in np.flatnonzero(row):
        w = Fraction(float(row[i]))
        for symbol, c in nodes[i].items():
            total[symbol] = total.get(symbol, ZERO) + w * c
    return {s: c for s, c in total.items() if c}


def _sum(*terms: tuple[Fraction | int, Symbols]) -> Symbols:
    total: Symbols = {}
    for factor, symbols in terms:
        for s, c in symbols.items():
            total[s] = total.get(s, ZERO) + factor * c
    return {s: c for s, c in total.items() if c}


class _Reader:
    """Reads unit after unit."""

    def __init__(self, a: Fraction, b: Fraction):
        self.a, self.b = a, b
        self.knots: list[Fraction] = []
        self.flat: list[Fraction] | None = None
        self.folds: dict[int, Symbols] = {}
        self.arguments: dict[int, Symbols] = {}
        self.folded: dict[int, bool] = {}
        self.iterates: dict[int, list[Symbols]] = {}
        self.levels: dict[int, int] = {}
        self.gates: list[Symbols] = []

    def unit(self, given: Symbols, role: int, chain: int, number: int) -> Symbols:
        """What a unit with this argument computes."""
        name = f"unit of role {role}, chain {chain}, number {number}"
        if role == graph.KNOT:
            return self.knot(given, name)
        if role == graph.COORDINATE:
            self.only(given, name, "k")
            if min(self.at_knots(given)) < 0:
                raise NoStructure(f"the {name} is not what it carries: its argument is negative")
            return given
        if role == graph.FOLD:
            self.only(given, name, "k", "a")
            self.earlier(given, chain, name)
            if chain in self.folds and given == _sum((-1, self.folds[chain])):
                return _sum((Fraction(1, 2), {("v", chain): Fraction(1)}), (Fraction(1, 2), given))
            if chain in self.folds or chain in self.iterates:
                raise NoStructure(f"the {name} is out of order")
            self.folds[chain] = given
            return _sum((Fraction(1, 2), {("v", chain): Fraction(1)}), (Fraction(1, 2), given))
        if role == graph.TOOTH:
            return self.tooth(given, chain, number, name)
        if role == graph.ACCUMULATOR:
            return self.accumulator(given, chain, number, name)
        if role == graph.CARRY and number == 0 and chain in self.folds:
            if given != {("v", chain): Fraction(1)}:
                raise NoStructure(f"the {name} does not carry the fold of its chain")
            return given
        if role == graph.CARRY:
            if given != self.iterate(chain, number, name):
                raise NoStructure(f"the {name} carries something else")
            return given
        if role == graph.COLLECTOR:
            return self.collector(given, chain, name)
        if role == graph.GATE:
            self.only(given, name, "k", "a")
            self.gates.append(given)
            return {("g", len(self.gates) - 1): Fraction(1)}
        raise NoStructure(f"the {name} has no meaning")

    def knot(self, given: Symbols, name: str) -> Symbols:
        slope, const = given.get(X, ZERO), given.get(UNIT, ZERO)
        if slope != 1 or set(given) - {X, UNIT} or not self.a < -const < self.b:
            raise NoStructure(f"the {name} is not relu(x - k) with k inside the domain")
        if self.knots and not self.knots[-1] < -const:
            raise NoStructure(f"the {name} is out of order")
        self.knots.append(-const)
        return {("k", len(self.knots) - 1): Fraction(1)}

    def only(self, given: Symbols, name: str, *kinds: str) -> None:
        if {s[0] for s in given} - {"x", "1", *kinds}:
            raise NoStructure(f"the {name} reads what it may not")

    def earlier(self, given: Symbols, chain: int, name: str) -> None:
        if chain < 1 or any(s[0] == "a" and s[1] >= chain for s in given):
            raise NoStructure(f"the {name} reads a later square")

    def at_knots(self, given: Symbols) -> list[Fraction]:
        """Values of the piecewise linear part at a, the knots, and b."""
        places = [self.a, *self.knots, self.b]
        value = given.get(UNIT, ZERO) + given.get(X, ZERO) * self.a
        slope = given.get(X, ZERO)
        found = [value]
        for i in range(1, len(places)):
            value += slope * (places[i] - places[i - 1])
            found.append(value)
            slope += given.get(("k", i - 1), ZERO)
        return found

    def tooth(self, given: Symbols, chain: int, number: int, name: str) -> Symbols:
        g = _sum((1, given), (Fraction(1, 2), {UNIT: Fraction(1)}))
        if number == 1:
            if chain in self.iterates:
                raise NoStructure(f"the {name} is out of order")
            if chain in self.folds:
                if g != {("v", chain): Fraction(1)}:
                    raise NoStructure(f"the {name} does not read the fold of its chain")
                self.arguments[chain], self.folded[chain] = self.folds[chain], True
            else:
                self.only(g, name, "k", "a")
                self.earlier(g, chain, name)
                self.arguments[chain], self.folded[chain] = g, False
            self.iterates[chain] = [g]
        elif g != self.iterate(chain, number - 1, name):
            raise NoStructure(f"the {name} does not read the iterate before it")
        self.iterates[chain].append(_sum((2, g), (-4, {("t", chain, number): Fraction(1)})))
        return {("t", chain, number): Fraction(1)}

    def iterate(self, chain: int, number: int, name: str) -> Symbols:
        found = self.iterates.get(chain, [])
        if not 0 <= number < len(found) or len(found) - 1 != number:
            raise NoStructure(f"the {name} is out of order")
        return found[number]

    def partial(self, chain: int, number: int) -> Symbols:
        """The square f_number of a chain in its symbols."""
        found = self.iterates[chain]
        terms = [(-Fraction(1, 4**s), found[s]) for s in range(1, number + 1)]
        return _sum((1, found[0]), *terms)

    def collector(self, given: Symbols, chain: int, name: str) -> Symbols:
        m = len(self.iterates.get(chain, [{}])) - 1
        if m < 1 or chain in self.levels or given != self.partial(chain, m):
            raise NoStructure(f"the {name} does not collect the square of its chain")
        self.levels[chain] = m
        return {("a", chain): Fraction(1)}

    def accumulator(self, given: Symbols, chain: int, number: int, name: str) -> Symbols:
        """F_j + alpha g_j >= 0 for alpha >= -4^-j.

        Both are affine between multiples of 2^-j; at an odd one g_j = 1 and f_j >= 4^-j, at an even
        one g_j = 0.
        """
        found = self.iterates.get(chain, [])
        if not 1 <= number < len(found):
            raise NoStructure(f"the {name} is out of order")
        rest = _sum((1, given), (-1, self.partial(chain, number)))
        g = found[number]
        mark = ("t", chain, number)
        alpha = rest.get(mark, ZERO) / g[mark]
        if rest != _sum((alpha, g)) or alpha < -Fraction(1, 4**number):
            raise NoStructure(f"the {name} may be negative")
        return given

    def inlined(self, result: Symbols) -> Symbols:
        """The output, a last square that no unit collects told as one."""
        open_ = [k for k in self.iterates if k not in self.levels]
        for chain in open_:
            m = len(self.iterates[chain]) - 1
            square, mark = self.partial(chain, m), ("t", chain, m)
            c = result.get(mark, ZERO) / square[mark]
            result = _sum((1, result), (-c, square), (c, {("a", chain): Fraction(1)}))
            self.levels[chain] = m
        return result

    # -- the whole --------------------------------------------------------------------------------

    def finish(self, result: Symbols) -> Structure:
        """The structure, with every hypothesis of the lemmas checked."""
        result = self.inlined(result)
        self.only(result, "output", "k", "a", "g")
        knots = [self.a, *self.knots, self.b]
        count = len(knots) - 1
        n = len(self.levels)
        if set(self.levels) != set(range(1, n + 1)):
            raise NoStructure("a chain has no collector")
        chains, u = self.coordinate() if n else ((), [])
        levels = tuple(self.levels[k] for k in range(1, n + 1))
        if n:
            _check_ranges(chains, levels)
        y = self.at_knots(result)
        lines = [(y[i], y[i + 1]) for i in range(count)]
        weights = [[result.get(("a", k), ZERO) for k in range(1, n + 1)] for _ in range(count)]
        slack, taken, barriers = ZERO, set(), []
        for number, gate in enumerate(self.gates):
            factor = result.get(("g", number), ZERO)
            cell, const, leak, steep, sides = self.gate(gate, knots, u, chains, levels)
            barriers.append((cell, sides, float(steep) * (1 + 1e-15), float(leak) * (1 + 1e-15)))
            if cell in taken:
                raise NoStructure(f"cell {cell} has two gates")
            taken.add(cell)
            slack += abs(factor) * leak
            left, right = lines[cell]
            lines[cell] = left + factor * const, right + factor * const
            for k in range(n):
                weights[cell][k] += factor * gate.get(("a", k + 1), ZERO)
        return Structure(knots, lines, u, chains, levels, weights, slack, barriers)

    def coordinate(self) -> tuple[tuple[Chain, ...], list[Fraction]]:
        """The chains in the coordinate u, which is the argument of the first one."""
        first = self.arguments[1]
        if any(s[0] == "a" for s in first):
            raise NoStructure("the first square is not of a piecewise linear function")
        values = self.at_knots(first)
        if any(abs(v) > 1 for v in values) or first.get(X, ZERO) == 0:
            raise NoStructure("the coordinate leaves [-1, 1]")
        chains = []
        for k in range(1, len(self.levels) + 1):
            given = self.arguments[k]
            slope = given.get(X, ZERO) / first[X]
            rest = _sum((1, given), (-slope, first))
            if any(s[0] in "xk" for s in rest):
                raise NoStructure(f"chain {k} is not a function of the coordinate")
            weights = {s[1]: c for s, c in rest.items() if s[0] == "a"}
            chains.append(Chain(slope, rest.get(UNIT, ZERO), weights, self.folded[k]))
        if not chains[0].folded and min(values) < 0:
            raise NoStructure("the coordinate is negative and not folded")
        return tuple(chains), values

    def gate(
        self,
        given: Symbols,
        knots: list[Fraction],
        u: list[Fraction],
        chains: tuple[Chain, ...],
        levels: tuple[int, ...],
    ) -> tuple[int, Fraction, Fraction, Fraction, tuple[float, float]]:
        """Its cell, its constant there, its leak, its steepness in u, and both barriers."""
        marks = sorted(s[1] for s in given if s[0] == "k")
        left = given.get(X, ZERO)
        if not chains or not marks or len(marks) > 2:
            raise NoStructure("a gate has no cell")
        if left == 0:
            cell, right = 0, -given[("k", marks[0])]
            fits = len(marks) == 1 and marks[0] == 0
        else:
            cell = marks[0] + 1
            fits = given[("k", marks[0])] == -left
            right = ZERO
            if len(marks) == 2:
                right = -given[("k", marks[1])]
                fits = fits and marks[1] == marks[0] + 1
            else:
                fits = fits and cell == len(knots) - 2
        if not fits or left < 0 or right < 0:
            raise NoStructure("a gate does not close on both sides of one cell")
        basis = shared_basis.basis_of(chains)
        c = [given.get(("a", k + 1), ZERO) for k in range(len(chains))]
        steep = sum((abs(w) * s for w, s in zip(c, basis.slopes, strict=True)), ZERO)
        for barrier, beside in ((left, cell - 1), (right, cell + 1)):
            if not barrier:
                continue
            width = knots[beside + 1] - knots[beside]
            change = max(abs(u[beside + 1] - u[beside]), Fraction(2))
            if barrier * width < steep * change:
                raise NoStructure(f"the gate of cell {cell} is not steep enough")
        const = given.get(UNIT, ZERO) + left * knots[cell]  # its knot units are 0 there
        ends = u[cell], u[cell + 1]
        if ends[0] * ends[1] >= 0:
            raise NoStructure(f"the coordinate does not cross cell {cell}")
        inner = min(map(abs, ends))
        others = steep - abs(c[0]) * basis.slopes[0]
        plain = chains[0] == Chain(Fraction(1), ZERO, {}, True)
        if not plain or -c[0] * inner < others:
            raise NoStructure(f"the gate of cell {cell} is not lifted enough")
        leak = ZERO
        for end in ends:
            at_one = squares_at(chains, levels, 1 if end > 0 else -1)
            z = const + sum((w * v for w, v in zip(c, at_one, strict=True)), ZERO)
            leak = max(leak, abs(z) + steep * (1 - abs(end)))
        return cell, const, leak, steep, (float(left), float(right))


@functools.lru_cache(maxsize=64)
def _squares_at(chains: tuple, levels: tuple[int, ...], u: int) -> tuple[Fraction, ...]:
    found: list[Fraction] = []
    for (slope, const, weights), m in zip(chains, levels, strict=True):
        v = abs(slope * u + const + sum((w * found[k - 1] for k, w in weights), ZERO))
        g, total = v, v
        for s in range(1, m + 1):
            g = 2 * g - 4 * max(g - Fraction(1, 2), ZERO)
            total -= g / 4**s
        found.append(total)
    return tuple(found)


def squares_at(chains: tuple[Chain, ...], levels: tuple[int, ...], u: int) -> tuple[Fraction, ...]:
    """The exact values of the squares f_m at u = 1 or -1."""
    key = tuple((c.slope, c.const, tuple(c.weights.items())) for c in chains)
    return _squares_at(key, levels, u)


# -- errors of the squares ------------------------------------------------------------------------


def _check_ranges(chains: tuple[Chain, ...], levels: tuple[int, ...]) -> None:
    """|l_k| <= 1, errors of the squares included; l_k >= 0 where it is not folded."""
    basis = shared_basis.basis_of(chains)
    inputs = _input_errors(chains, levels)
    for k, c in enumerate(chains[1:], 1):  # the first is the coordinate, seen at the knots
        least = 0 if not c.folded else -1
        low = c.const + sum((min(w, ZERO) for w in c.weights.values()), ZERO) - abs(c.slope)
        high = c.const + sum((max(w, ZERO) for w in c.weights.values()), ZERO) + abs(c.slope)
        if low >= least and high <= 1:
            continue
        others = sum((abs(w) * basis.slopes[j - 1] for j, w in c.weights.items()), ZERO)
        if abs(c.slope) >= others:  # monotone in u, so the ends decide
            ends = []
            for u in (-1, 1):
                at = squares_at(chains, levels, u)
                inner = sum((w * at[j - 1] for j, w in c.weights.items()), ZERO)
                ends.append(c.slope * u + c.const + inner)
            if min(ends) >= least and max(ends) <= 1:
                continue
        low, high = _range(basis.arguments[k])
        if low - inputs[k] >= least and high + inputs[k] <= 1:
            continue
        raise NoStructure(f"the argument of square {k + 1} may leave [{least}, 1]")


def _range(poly: list[Fraction]) -> tuple[Fraction, Fraction]:
    """Bounds of a polynomial on [-1, 1], by Taylor's formula on equal parts."""
    half = Fraction(1, PARTS)
    low, high = None, None
    for s in range(PARTS):
        c = _composed(poly, Fraction(2 * s + 1, PARTS) - 1, half)
        around = sum((abs(x) for x in c[1:]), ZERO)
        low = c[0] - around if low is None else min(low, c[0] - around)
        high = c[0] + around if high is None else max(high, c[0] + around)
    assert low is not None
    assert high is not None
    return low, high


def _composed(poly: list[Fraction], centre: Fraction, half: Fraction) -> list[Fraction]:
    """Coefficients of p(centre + half t)."""
    c = list(poly)
    n = len(c)
    for i in range(n - 1):
        for k in range(n - 2, i - 1, -1):
            c[k] += centre * c[k + 1]
    power = Fraction(1)
    for k in range(1, n):
        power *= half
        c[k] *= power
    return c


def _spreads(chains: tuple[Chain, ...]) -> list[list[Fraction]]:
    """Upper bounds of |spread[k][j]| on [-1, 1]."""
    basis = shared_basis.basis_of(chains)
    return [[max(map(abs, _range(p))) for p in row] for row in basis.spread]


def _input_errors(chains: tuple[Chain, ...], levels: tuple[int, ...]) -> list[Fraction]:
    """Upper bounds of the error of each argument l_k."""
    return [d for d, _ in _orders(chains, levels)]


def second_order(chains: tuple[Chain, ...], levels: tuple[int, ...]) -> list[Fraction]:
    """What the first order leaves out of the error of each square."""
    return [q for _, q in _orders(chains, levels)]


def _orders(chains: tuple[Chain, ...], levels: tuple[int, ...]) -> list[tuple[Fraction, Fraction]]:
    """(error of the argument, second-order part of the error of the square) for each chain.

    A_k = (l_k + D_k)^2 + r_k with 0 <= r_k <= e_k, so that A_k - l_k^2 = 2 l_k D_k + D_k^2 + r_k;
    its part that is linear in the r is `spread`, the rest is Q_k with
    |Q_k| <= 2 |l_k| sum |w| Q + D_k^2.
    """
    sizes = _cached_spreads(_key(chains))
    e = [Fraction(1, 4 ** (m + 1)) for m in levels]
    found: list[tuple[Fraction, Fraction]] = []
    for c in chains:
        later = sum((abs(w) * found[j - 1][1] for j, w in c.weights.items()), ZERO)
        first = sum(
            (
                abs(w) * sum((s * r for s, r in zip(sizes[j - 1], e, strict=True)), ZERO)
                for j, w in c.weights.items()
            ),
            ZERO,
        )
        d = first + later
        found.append((d, 2 * later + d * d))
    return found


def _key(chains: tuple[Chain, ...]) -> tuple:
    return tuple((c.slope, c.const, tuple(c.weights.items()), c.folded) for c in chains)


def _chains(key: tuple) -> tuple[Chain, ...]:
    return tuple(Chain(s, c, dict(w), f) for s, c, w, f in key)


@functools.lru_cache(maxsize=16)
def _cached_spreads(key: tuple) -> list[list[Fraction]]:
    return _spreads(_chains(key))


def error_table(chains: tuple[Chain, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """On every part of [-1, 1]: spread[k][j] at the centre, its linear term, a bound of the rest.

    Three arrays [n, n, PARTS], float64, each within one part in 2^52 of exact numbers.
    """
    return _cached_table(_key(chains))


@functools.lru_cache(maxsize=16)
def _cached_table(key: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    basis: Basis = shared_basis.basis_of(_chains(key))
    n = len(key)
    value, slope, rest = (np.zeros((n, n, PARTS)) for _ in range(3))
    for k in range(n):
        for j in range(k + 1):
            for s in range(PARTS):
                centre = Fraction(2 * s + 1, PARTS) - 1
                c = _composed(basis.spread[k][j], centre, Fraction(1, PARTS))
                value[k, j, s] = float(c[0])
                slope[k, j, s] = float(c[1]) if len(c) > 1 else 0.0
                rest[k, j, s] = float(sum((abs(x) for x in c[2:]), ZERO))
    return value, slope, rest
