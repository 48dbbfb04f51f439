"""Piecewise polynomials whose products are computed once, for all cells together."""

import math
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import numpy as np

from infsup.approximation import shared_basis
from infsup.approximation.bounds.structural_enclosure import enclosed, refuse_budget
from infsup.approximation.graph import (
    BITS,
    COORDINATE,
    FOLD,
    GATE,
    INPUT,
    KNOT,
    ONE,
    Form,
    Graph,
    form,
    numpy_dtype,
    piecewise,
    rounded,
)
from infsup.approximation.mesh import Cell, equal, graded
from infsup.approximation.piecewise_linear import (
    LINES,
    MOST_TRIES,
    bends,
    broken_line,
    draw,
    overlooked,
    straight,
)
from infsup.approximation.problem import Approximate, asked
from infsup.approximation.reach import (
    COUNTED,
    SURE,
    estimate,
    refuse_scale,
    refuse_stuck,
    refuse_unreachable,
)
from infsup.core.errors import HypothesisError, UsageError
from infsup.core.method import DirectMethod, Outcome
from infsup.core.program import Program

MANY = 500
"""Cells above which a mesh is not made even, which takes most of the time."""
SPLITS = (0.97, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
"""Shares of the error that interpolation may take; the rest is left to the squares."""


class SharedCoordinate(DirectMethod):
    """Polynomials of degree p on cells, whose products are computed once for all cells.

    A zigzag u runs from -1 to 1 and back, one tooth a cell. The powers of u that vanish at both
    ends of every cell are affine in p - 1 squares (`shared_basis`), each a chain of tent maps. A
    cell then costs two units: its knot and its gate, which is exact (lemma L3). So the size is
    twice the number of cells plus O(log 1/eps), where theorem networks multiply the two.

    Args:
        p: degree on a cell, 2, 4, 6 or 8; by default the one of fewest units, and broken lines
            (`PiecewiseLinear`) where they are smaller still.

    Raises:
        UsageError: more units than the problem's budget (says how many), or p is none of these.

    Source: squares by Yarotsky, Neural Networks 94 (2017); shared coordinate and exact gates
    derived here, see docs/guides/approximation.md.
    """

    problems: ClassVar = (Approximate,)
    needs_64_bit: ClassVar[bool] = True

    p: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.p is not None and self.p not in shared_basis.ORDERS:
            raise UsageError(f"`p` of SharedCoordinate is {self.p}", "It is 2, 4, 6 or 8.")

    def suits(self, problem):
        asked(problem, "SharedCoordinate")
        if not isinstance(problem.f, Program):
            raise HypothesisError(
                "`SharedCoordinate` needs the program of f", remedy="PiecewiseLinear()"
            )

    def find(self, problem, start, key):
        eps = asked(problem, "SharedCoordinate")
        refuse_scale(problem, "SharedCoordinate")
        if self.p is None and (line := straight(problem, eps)):
            return Outcome(line[0], {"roles": line[1]})
        refuse_unreachable(problem, "SharedCoordinate", eps)
        stops = bends(problem)
        sizes = self.sizes(problem, stops, eps)
        aim, best, tries = eps, None, 0
        for _ in range(MOST_TRIES):
            found = self.cheapest(problem, stops, aim, sizes)
            if found is None:
                break
            network, roles = found
            got = enclosed(problem, network, roles)
            rounding = float(got.executed.max())
            if best is None or got.upper < best[0] or rounding >= eps:
                best = got.upper, network, roles
            if got.upper <= eps or rounding >= eps or tries == 8:
                break
            if wider := overlooked(problem, stops, network, got, eps):
                stops = wider
                sizes = self.sizes(problem, stops, eps)
                continue
            tries += 1
            if not math.isfinite(got.upper):
                aim *= 0.25
            else:
                aim *= max(0.1, min(0.98, 0.99 * (eps - rounding) / (got.upper - rounding)))
        if best is None:
            raise UsageError(
                f"`SharedCoordinate` finds no network for eps = {eps:g}",
                "The function is too rough, or too close to the rounding of its float64 samples.",
                "a larger eps   or   PiecewiseLinear()",
            )
        return Outcome(best[1], {"roles": best[2]})

    def sizes(self, problem: Approximate, stops: list[float], eps: float) -> dict[int, float]:
        """About the units for each degree, 1 being a broken line.

        Raises:
            UsageError: all are far beyond the budget, or float64 cannot follow f.
        """
        degrees = (1, *shared_basis.ORDERS) if self.p is None else (self.p,)
        sizes, stuck = {}, None
        for p in degrees:
            got = estimate(problem.values, stops, p, 0.97 * eps)
            if got.stuck is None:
                sizes[p] = got.cells * (LINES if p == 1 else 2)
            else:
                stuck = got.stuck
        if stuck is not None and not sizes:
            refuse_stuck("SharedCoordinate", eps, stuck)
        least = min(sizes.values())
        if least > SURE * max(problem.budget, COUNTED):
            refuse_budget(problem, "SharedCoordinate", least)
        return sizes

    def cheapest(
        self, problem: Approximate, stops: list[float], eps: float, sizes: dict[int, float]
    ) -> Any:
        """The network of fewest units for a planned error of eps, and its roles."""
        most = 4 * max(problem.budget, COUNTED)
        worth = 1.5 * min(sizes.values()) + 200
        found: Plan | None = None
        for p in reversed(shared_basis.ORDERS if self.p is None else (self.p,)):
            if sizes.get(p, math.inf) > worth:
                continue
            better = plan(problem.values, stops, p, eps, found.units - 1 if found else most)
            found = better or found
        if self.p is None and sizes.get(1, math.inf) <= worth:
            room = found.units - 1 if found else problem.budget
            if line := broken_line(problem, stops, 0.99 * eps, min(room, problem.budget)):
                return draw(line, problem.dtype)
        if found is None:
            return None
        if found.units > problem.budget:
            refuse_budget(problem, "SharedCoordinate", found.units)
        return build(found, problem.dtype)


class Plan(NamedTuple):
    """What to build, and the units that it takes."""

    p: int
    cells: list[Cell]
    levels: tuple[int, ...]
    units: int


def units_of(p: int, cells: int, levels: tuple[int, ...]) -> int:
    """Units of a network: knots, coordinate, gates, and the squares."""
    total = 2 * cells if cells > 1 else 0  # K - 1 knots, 1 coordinate, K gates
    for chain, m in zip(shared_basis.CHAINS, levels, strict=False):
        total += chain.folded + m + (m - 1) // 3 + 1
    return total


def plan(f: Any, stops: list[float], p: int, eps: float, most: int) -> Plan | None:
    """The cheapest plan of degree p for an error of about eps, or None beyond `most` units."""
    best: Plan | None = None
    count, fewest = 0, ()
    for i, split in enumerate(SPLITS):
        if best is not None:
            # about so many cells more; their squares are no smaller than if cells had no error
            growth = (SPLITS[i - 1] / split) ** (1 / (p + 1))
            if units_of(p, int(0.98 * growth * count), fewest) >= best.units:
                break
        room = (best.units if best else most) // 2
        cells = graded(f, stops, p, split * eps, room)
        if cells is None:
            break
        if len(cells) == count:
            continue
        count = len(cells)
        if count <= MANY:
            cells = equal(f, stops, p, cells, split * eps)
        levels = _levels(p, cells, eps)
        if levels is None:
            continue
        units = units_of(p, len(cells), levels)
        if units <= most and (best is None or units < best.units):
            best = Plan(p, cells, levels, units)
            fewest = _levels(p, [c._replace(error=0.0) for c in cells], eps) or levels
    return best


def coefficients(p: int, cells: list[Cell]) -> np.ndarray:
    """[K, p - 1]: the cell functions in the squares; the coordinate runs down on odd cells."""
    bumps = np.stack([c.bumps for c in cells])
    bumps[1::2, 1::2] *= -1  # phi_3, phi_5, phi_7 are odd
    return bumps @ shared_basis.bump_matrix(p)[:, 1:]


def _levels(p: int, cells: list[Cell], eps: float) -> tuple[int, ...] | None:
    """Iterations of the tent map in each square, so that the whole error is at most eps."""
    basis = shared_basis.standard(p)
    u = np.cos(np.linspace(0, np.pi, 49))
    n = p - 1
    spread = np.zeros((n, n, len(u)))
    for k in range(n):
        for j in range(n):
            spread[k, j] = np.polyval([float(c) for c in basis.spread[k][j]][::-1], u)
    w = coefficients(p, cells)
    g = np.einsum("ik,kjs->isj", w, spread)
    left = np.array([0.999 * eps - c.error for c in cells])
    if np.any(left <= 0):
        return None
    # errors of the squares have one sign, so the two signs of g do not add
    rows = np.concatenate([np.maximum(g, 0), np.maximum(-g, 0)], 1) / left[:, None, None]
    rows = rows.reshape(-1, n)
    rows = rows[_leaders(rows)]
    # arguments that reach 1 only up to a margin must keep it
    for k, chain in enumerate(shared_basis.CHAINS[:n]):
        if chain.folded and chain.slope == 0:
            margin = 1 - _largest(basis.arguments[k])
            into = sum(float(c) * spread[j - 1] for j, c in chain.weights.items())
            rows = np.concatenate([rows, np.abs(into).T / (0.9 * margin)])

    if not np.isfinite(rows).all():
        return None
    # few rows decide: the largest of each square, and those that a choice turned out to violate
    active = np.unique(np.argpartition(-rows, min(8, len(rows)) - 1, axis=0)[:8])
    while True:
        found = _fewest_levels(rows[active])
        if found is None:
            return None
        sums = rows @ 4.0 ** -(np.array(found) + 1.0)
        violated = np.flatnonzero(sums > 1)
        if not len(violated):
            return found
        worst = violated[np.argsort(-sums[violated])[:16]]
        active = np.union1d(active, worst)


def _fewest_levels(rows: np.ndarray) -> tuple[int, ...] | None:
    """Levels m of about fewest units with rows @ 4^-(m + 1) <= 1, or None beyond 26."""
    n = rows.shape[1]

    def fits(ms: list[int]) -> bool:
        return bool(np.all(rows @ 4.0 ** -(np.array(ms) + 1.0) <= 1))

    start = 1
    while not fits([start] * n):
        start += 1
        if start > 26:
            return None
    best: tuple[int, list[int]] | None = None
    for more in (0, 1, 2):
        ms = [start + more] * n
        moved = True
        while moved:
            moved = False
            for k in range(n - 1, -1, -1):
                while ms[k] > 1 and fits([m - (i == k) for i, m in enumerate(ms)]):
                    ms[k] -= 1
                    moved = True
        cost = sum(m + (m - 1) // 3 for m in ms)
        if best is None or cost < best[0]:
            best = cost, ms
    assert best is not None
    return tuple(best[1])


def _leaders(rows: np.ndarray) -> np.ndarray:
    """Rows that can decide: none whose sum is tiny beside the largest."""
    size = rows.max(1, initial=0.0)
    top = float(size.max(initial=0.0))
    return np.flatnonzero(size >= 1e-3 * top) if top > 0 else np.arange(min(1, len(rows)))


def _largest(poly: shared_basis.Poly) -> float:
    u = np.linspace(-1, 1, 2001)
    return float(np.max(np.abs(np.polyval([float(c) for c in poly][::-1], u))))


# -- building -------------------------------------------------------------------------------------


def build(plan: Plan, dtype: str) -> tuple[Any, np.ndarray]:
    """The network of a plan, and the roles of its units; every weight is a number of the dtype."""
    bits = BITS[dtype]
    p, cells = plan.p, plan.cells
    knots = [Fraction(c.low) for c in cells] + [Fraction(cells[-1].high)]
    graph = Graph()
    nodes = [INPUT] + [
        graph.unit(form((1, INPUT), (-k, ONE)), KNOT, number=i) for i, k in enumerate(knots[1:-1])
    ]
    line, _ = piecewise(knots, nodes, [c.ends[0] for c in cells] + [cells[-1].ends[1]], bits)
    w = coefficients(p, cells)
    if not np.any(w):  # the straight pieces are enough
        return graph.network(line, numpy_dtype(dtype))
    up_and_down = [Fraction(2 * (i % 2)) for i in range(len(knots))]
    u_form, u_values = piecewise(knots, nodes, up_and_down, bits, inside=(0, 2))
    # one cell needs no unit for its coordinate, unless u - 1 and its multiples would be rounded
    short = Fraction(2) ** (bits - 8)
    if len(cells) > 1 or any((c * short).denominator > 1 for c in u_form.values()):
        u_form = {graph.unit(u_form, COORDINATE): Fraction(1)}
    u = form((1, u_form), (-1, ONE))
    squares: dict[int, int] = {}
    for k, (chain, m) in enumerate(zip(shared_basis.CHAINS[: p - 1], plan.levels, strict=True), 1):
        argument = form(
            (chain.slope, u),
            (chain.const, ONE),
            *((c, squares[j]) for j, c in chain.weights.items()),
        )
        v = argument
        if chain.folded:
            v = form((2, graph.unit(argument, FOLD, k)), (-1, argument))
        squares[k] = graph.square(v, m, k)
    out = _gated(graph, line, nodes, knots, u_values, squares, w, p, bits)
    return graph.network(out, numpy_dtype(dtype))


def _gated(
    graph: Graph,
    line: Form,
    nodes: list[int],
    knots: list[Fraction],
    u_values: list[Fraction],
    squares: dict[int, int],
    w: np.ndarray,
    p: int,
    bits: int,
) -> Form:
    """The output: straight pieces, one gate a cell, and what all gates were lifted by.

    Lemma L3: with b = 1 - A_1 >= 1 - |u| and cell functions q_i that vanish where |u| = 1 and
    have |q_i| <= M (1 - |u|), relu(q_i + M b - S dist(x, cell i)) is q_i + M b on cell i and 0
    elsewhere.
    """
    count = len(knots) - 1
    size = float(np.max(np.abs(w)))
    grid = Fraction(2) ** (math.frexp(size)[1] - min(bits - 6, 46))
    exact = [[Fraction(round(Fraction(float(c)) / grid)) * grid for c in row] for row in w]
    if count == 1:
        shift = sum((exact[0][k - 1] for k in squares if k in (1, 3)), Fraction(0))
        parts = [(c, squares[k]) for k, c in enumerate(exact[0], 1)]
        return _rounded_form(form((1, line), (-shift, ONE), *parts), bits)
    slopes = shared_basis.standard(p).slopes
    tails = [
        sum((abs(c) * slopes[k] for k, c in enumerate(row) if k), Fraction(0)) for row in exact
    ]
    lift = Fraction(0)
    if p > 2:
        room = 1 + Fraction(1, 2**12)
        lift = max(t * room + row[0] for t, row in zip(tails, exact, strict=True))
        lift = -_down(-lift, 6) if lift < 0 else _up(max(lift, grid), 6)
    gates: list[tuple[int, int]] = []
    for i, row in enumerate(exact):
        sign = 1
        if p == 2:
            if not row[0]:
                continue
            sign = -1 if row[0] > 0 else 1
        mine = [sign * c for c in row]
        mine[0] -= lift
        if not any(mine):  # with the lift there is nothing left to add
            continue
        const = -mine[0] - (mine[2] if p > 2 else 0)
        steep = sum((abs(c) * s for c, s in zip(mine, slopes, strict=True)), Fraction(0))
        parts: list[tuple[Fraction, int]] = [(c, squares[k]) for k, c in enumerate(mine, 1)]
        for side, at in ((1, i), (-1, i + 1)):
            if not 0 < at < count:
                continue
            beside = at - 1 if side == 1 else at
            width = knots[beside + 1] - knots[beside]
            change = abs(u_values[beside + 1] - u_values[beside])
            # a quarter more than L3 needs: closed by a margin, a gate stays closed when rounded
            barrier = _up(steep * max(change, Fraction(2)) * Fraction(5, 4) / width, 4)
            parts.append((-barrier, nodes[at]))
            if side == 1:
                parts.append((barrier, INPUT))
                const -= barrier * knots[at]
        gate = graph.unit(_rounded_form(form(*parts, (const, ONE)), bits), GATE, number=i)
        gates.append((sign, gate))
    return _rounded_form(form((1, line), (lift, squares[1]), (-lift, ONE), *gates), bits)


def _up(x: Fraction, bits: int) -> Fraction:
    """The least number of so many bits that is not below x >= 0."""
    y = rounded(x, bits)
    return y if y >= x else rounded(x * (1 + Fraction(1, 2 ** (bits - 1))), bits)


def _down(x: Fraction, bits: int) -> Fraction:
    """The greatest number of so many bits that is not above x >= 0."""
    y = rounded(x, bits)
    return y if y <= x else rounded(x * (1 - Fraction(1, 2 ** (bits - 1))), bits)


def _rounded_form(given: Form, bits: int) -> Form:
    return {node: rounded(c, bits) for node, c in given.items()}
