"""Piecewise linear networks of one hidden layer, with knots where the function bends."""

import math
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import numpy as np

from infsup.approximation.bounds.structural_enclosure import (
    MOST_SAMPLES,
    Enclosed,
    enclosed,
    refuse_budget,
)
from infsup.approximation.graph import BITS, INPUT, KNOT, ONE, Graph, form, numpy_dtype, piecewise
from infsup.approximation.mesh import Values, shorter, stops_of
from infsup.approximation.problem import Approximate, asked
from infsup.approximation.reach import (
    COUNTED,
    SURE,
    estimate,
    refuse_scale,
    refuse_stuck,
    refuse_unreachable,
)
from infsup.core.errors import UsageError
from infsup.core.method import DirectMethod, Outcome
from infsup.core.program import Program
from infsup.numerics.enclosure import Enclosure, exact

CHECKS = 24
MOST_TRIES = 40
"""Networks that are built for one problem, where the proof shows what samples missed."""
LINES = 0.71
"""Pieces that start and end off the function, as a share of chords: 1 / sqrt 2 in the limit."""


class Segments(NamedTuple):
    """A broken line: knots [K + 1], ends of the interval included, and values there."""

    knots: list[float]
    values: list[float]

    @property
    def units(self) -> int:
        """One for each inner knot."""
        return len(self.knots) - 2


class PiecewiseLinear(DirectMethod):
    """The broken line of about fewest pieces within eps of f, as a network of one hidden layer.

    It is drawn through the tube |y - f| <= eps from left to right, each piece as long as the tube
    allows, starting where the one before it ends: on a convex stretch that is the free-knot spline
    of fewest pieces, int sqrt|f''| / (4 sqrt eps) of them to leading order. Kinks cost nothing
    extra. One unit for each inner knot.

    Args:
        slack: share of eps that is kept for what lies between samples, in (0, 1).

    Raises:
        UsageError: the problem has no eps, or would need more units than its budget.

    Source: H. Imai and M. Iri, J. Algorithms 1 (1986), for the greedy path in a tube; theory rows
    A02, A14 (free knots).
    """

    problems: ClassVar = (Approximate,)
    needs_64_bit: ClassVar[bool] = True

    slack: float = eqx.field(static=True, default=0.01)

    def __check_init__(self):
        if not 0 < self.slack < 1:
            raise UsageError(f"`slack` of PiecewiseLinear is {self.slack}", "It is in (0, 1).")

    def suits(self, problem):
        asked(problem, "PiecewiseLinear")

    def find(self, problem, start, key):
        eps = asked(problem, "PiecewiseLinear")
        refuse_scale(problem, "PiecewiseLinear")
        if line := straight(problem, eps):
            return Outcome(line[0], {"roles": line[1]})
        refuse_unreachable(problem, "PiecewiseLinear", eps)
        _refuse_unproved(problem, eps)
        stops = bends(problem)
        about = estimate(problem.values, stops, 1, eps)
        if about.stuck is not None:
            refuse_stuck("PiecewiseLinear", eps, about.stuck)
        needed = LINES * about.cells
        if needed > SURE * max(problem.budget, COUNTED):
            refuse_budget(problem, "PiecewiseLinear", needed)
        share, tries = 1 - self.slack, 0
        while True:
            found = broken_line(problem, stops, share * eps, problem.budget)
            if found is None:
                most = int(2 * SURE * max(problem.budget, COUNTED))
                _, found = _fewest(problem.values, stops, share * eps, most)
                refuse_budget(problem, "PiecewiseLinear", found.units if found else needed)
            network, roles = draw(found, problem.dtype)
            got = enclosed(problem, network, roles)
            tries += 1
            if got.upper <= eps or tries == MOST_TRIES:
                return Outcome(network, {"roles": roles})
            if wider := overlooked(problem, stops, network, got, eps):
                stops = wider
            elif tries >= 6:
                return Outcome(network, {"roles": roles})
            else:
                share *= min(0.97, 0.98 * eps / got.upper)


def _refuse_unproved(problem: Approximate, eps: float) -> None:
    """Refuses what a Lipschitz constant and as many samples as are taken cannot prove."""
    a, b = problem.domain
    least = (problem.lipschitz or 0.0) * (b - a) / (0.8 * MOST_SAMPLES)
    if not isinstance(problem.f, Program) and eps < least:
        raise UsageError(
            f"`eps` is {eps:g}; {MOST_SAMPLES:,} samples and lipschitz = {problem.lipschitz:g} "
            f"prove no less than {least:.2g}",
            "Of f nothing else is known.",
            "a larger eps   or   f as an expression or a JAX function",
        )


def straight(problem: Approximate, eps: float) -> tuple[Any, np.ndarray] | None:
    """The line through both ends of f, if it is proved to be within eps: no unit, at any eps.

    Its two numbers are rounded from balls, so it may be far nearer to f than float64 samples tell.
    """
    if not isinstance(problem.f, Program):
        return None
    a, b = problem.domain
    x = np.linspace(a, b, 257)
    y = problem.values(x)
    chord = y[0] + (y[-1] - y[0]) * ((x - a) / (b - a))
    if not np.max(np.abs(y - chord)) <= eps + 1e-13 * np.max(np.abs(y)):
        return None
    enclosure = Enclosure(problem.f, 256)
    ends = [Fraction(*_ratio(enclosure.ball(exact(end)))) for end in (a, b)]
    graph = Graph()
    try:
        line, _ = piecewise([Fraction(a), Fraction(b)], [INPUT], ends, BITS[problem.dtype])
        network, roles = graph.network(line, numpy_dtype(problem.dtype))
    except UsageError:  # beyond the range of the dtype
        return None
    return (network, roles) if enclosed(problem, network, roles).upper <= eps else None


def _ratio(ball: Any) -> tuple[int, int]:
    """The middle of a ball as a fraction, cut far below the least float64."""
    mantissa, exponent = (int(v) for v in ball.mid().man_exp())
    if exponent < -1200:
        mantissa, exponent = mantissa >> min(-1200 - exponent, 4000), -1200
    return (mantissa << exponent, 1) if exponent >= 0 else (mantissa, 1 << -exponent)


def overlooked(
    problem: Approximate, stops: list[float], network: Any, got: Enclosed, eps: float
) -> list[float] | None:
    """The stops, and the places between where the proof sees what samples missed; None without.

    A feature far narrower than its cell, such as a bump on a wide domain.
    """
    if not got.lower > 1.2 * eps:
        return None
    gap = np.abs(problem.values(got.points) - network.values(got.points))
    fresh = {float(x) for x in got.points[gap > 1.2 * eps]} - set(stops)
    if problem.dtype == "float32":
        fresh = {float(np.float32(x)) for x in fresh} - set(stops)
    return sorted({*stops, *(x for x in fresh if stops[0] < x < stops[-1])}) if fresh else None


def broken_line(problem: Approximate, stops: list[float], eps: float, most: int) -> Segments | None:
    """Within eps of f at samples, with about fewest pieces; None beyond `most` inner knots."""
    f = problem.values
    start, best = _fewest(f, stops, eps, most + 1)
    if best is None:
        return None
    # the least tube that allows so few, so that the certificate has room
    few = best.units < 200
    low, high = 2.0**-24 if few else 0.5, 1.0
    for _ in range(9 if few else 4):
        middle = math.sqrt(low * high)
        found = _line(f, stops, middle * eps, start, len(best.knots) - 1)
        if found is None:
            low = middle
        else:
            best, high = found, middle
    return best


def bends(problem: Approximate) -> list[float]:
    """The ends of the domain and between them the places of kinks, as the dtype holds them."""
    a, b = problem.domain
    if not isinstance(problem.f, Program):
        return [a, b]
    inner = stops_of(problem.f, a, b)[1:-1]
    if problem.dtype == "float32":
        inner = [float(np.float32(x)) for x in inner]
    return [a, *sorted({x for x in inner if a < x < b}), b]


def _fewest(f: Values, stops: list[float], eps: float, most: int) -> tuple[float, Segments | None]:
    """The best of a start above, below and on the function."""
    best, at = None, 0.0
    for start in (1.0, -1.0, 0.0):
        found = _line(f, stops, eps, start, most if best is None else len(best.knots) - 2)
        if found is not None and (best is None or len(found.knots) < len(best.knots)):
            best, at = found, start
    return at, best


def _line(f: Values, stops: list[float], eps: float, start: float, most: int) -> Segments | None:
    a, b = stops[0], stops[-1]
    inner = np.array(stops[1:-1])
    nodes = np.sort(1 - (1 - np.cos((np.arange(CHECKS) + 0.5) * np.pi / CHECKS)) / 2)
    nodes = np.append(nodes, 1.0)
    at, y = a, float(f(np.array([a]))[0]) + start * eps
    knots, values = [at], [y]
    width = b - a

    def slopes(end: float) -> tuple[float, float]:
        x = at + (end - at) * nodes
        x[-1] = end
        kinks = inner[(inner > at) & (inner < end)]
        if len(kinks):
            x = np.concatenate([x, kinks])
        value = f(x)
        step = x - at
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return float(np.max((value - eps - y) / step)), float(np.min((value + eps - y) / step))

    while at < b:
        if len(knots) > most:
            return None
        good, bad = None, math.inf
        step = min(b - at, 1.5 * width)
        for _ in range(60):
            end = b if at + step >= b else at + step
            if end <= at:
                break
            low, high = slopes(end)
            if low <= high:
                good = (end, (low + high) / 2)
                if end == b:
                    break
            else:
                bad = min(bad, end - at)
            reached = 0.0 if good is None else good[0] - at
            if good is not None and bad - reached <= 2e-3 * bad:
                break
            step = (reached + bad) / 2 if math.isfinite(bad) else 2 * reached
            if good is None:
                step = bad / 4
        if good is None:
            return None
        end, slope = good
        cut = shorter(at, end, b)
        # a piece that ends about a kink ends in it, or the next ones would creep up to it
        near = inner[np.abs(inner - end) <= 0.02 * (end - at)]
        if len(near) and (kink := float(near[-1])) > at:
            low, high = slopes(kink)
            if low <= high:
                cut, slope = kink, (low + high) / 2
        y += slope * (cut - at)
        width, at = cut - at, cut
        knots.append(at)
        values.append(y)
    return Segments(knots, values)


def _held(found: Segments, dtype: str) -> Segments:
    """The broken line with its inner knots rounded to what the dtype holds."""
    if dtype != "float32":
        return found
    old = np.array(found.knots)
    inner = np.unique(old[1:-1].astype(np.float32).astype(np.float64))
    inner = inner[(inner > old[0]) & (inner < old[-1])]
    knots = np.concatenate([old[:1], inner, old[-1:]])
    return Segments(knots.tolist(), np.interp(knots, old, found.values).tolist())


def draw(found: Segments, dtype: str) -> tuple[Any, np.ndarray]:
    """The network of a broken line, and the roles of its units."""
    graph = Graph()
    found = _held(found, dtype)
    knots = [Fraction(k) for k in found.knots]
    nodes = [INPUT] + [
        graph.unit(form((1, INPUT), (-k, ONE)), KNOT, number=i) for i, k in enumerate(knots[1:-1])
    ]
    line, _ = piecewise(knots, nodes, found.values, BITS[dtype])
    return graph.network(line, numpy_dtype(dtype))
