"""How far a network of our constructions is from its function, proved from its structure."""

import math
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np

from infsup.approximation import running_error
from infsup.approximation.cell_error import Piece, sup_error
from infsup.approximation.graph import KNOT
from infsup.approximation.lower_bound import fewest_pieces, fewest_units
from infsup.approximation.problem import Approximate, refuse_steeper
from infsup.approximation.reach import about
from infsup.approximation.structure import NoStructure, Structure, read
from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, Hypothesis
from infsup.core.errors import InfsupError, UsageError
from infsup.core.method import Outcome
from infsup.core.program import Program
from infsup.core.registry import name_of
from infsup.networks.relu import ReLUNetwork
from infsup.numerics.enclosure import DomainFault, Enclosure, exact, lower, precision

SOURCE = (
    "lemmas L1-L3: Yarotsky, Neural Networks 94 (2017) 103-114 for the square; shared coordinate "
    "and gates derived here; interpolation by Taylor's formula in balls"
)
WORDS = "sup |f - N|"
MOST_SAMPLES = 4_000_000
NOTHING = 1e-300
"""Bounds are no smaller, so that none is subnormal."""


class Enclosed(NamedTuple):
    """Both ends, and what they rest on.

    Args:
        lower, upper: of sup |f - N| over the domain.
        structure: of the network.
        cells: upper bounds of interpolation, per cell; what the errors of the squares add on
            average is counted to it.
        emulation: upper bounds of the errors of the squares about that.
        executed: likewise of what the dtype's rounding adds; 0 in real arithmetic.
        points: where |f - N| was evaluated for the lower end.
    """

    lower: float
    upper: float
    structure: Structure
    cells: np.ndarray
    emulation: np.ndarray
    executed: np.ndarray
    points: np.ndarray


def enclose(problem: Approximate, network: ReLUNetwork, roles: Any) -> Enclosed:
    """Both ends of sup |f - N|, of N in real arithmetic or as the problem's dtype executes it.

    Raises:
        NoStructure: the weights do not show one of our constructions.
    """
    a, b = problem.domain
    s = read(network.levels, network.out, roles, a, b)
    # a second reader, with other boxes and radii of 30 bits, must come to the same bound
    room = 2.0**-9 if len(s.chains) > 1 else 2.0**-24
    above, below = (side * (1 + room) for side in s.emulation())
    centres = (above - below) / 2
    emulation = np.maximum(above - centres, below + centres) * (1 + 2.0**-50)
    executed = np.zeros(len(emulation))
    if problem.dtype != "real":
        executed = running_error.executed(network, roles, s, problem.dtype)
    pieces = [
        Piece(low, high, [poly[0] + Fraction(centre), *poly[1:]], float(extra))
        for low, high, poly, centre, extra in zip(
            s.knots, s.knots[1:], s.polynomials(), centres, emulation + executed, strict=False
        )
    ]
    if not isinstance(problem.f, Program):
        return _between_samples(problem, network, s, executed)
    enclosure = Enclosure(problem.f)
    found = sup_error(enclosure, pieces, floor=1e-3 * (problem.eps or 0.0))
    cells = np.nextafter(np.array(found.cells) * (1 + 2.0**-14) + NOTHING, np.inf)
    slack = float(s.slack)
    upper = upper_end(cells, emulation + executed, slack)
    points, low = lower_end(enclosure, problem, network, found.point)
    low = max(low - float(executed.max()) * (1 + 2.0**-40), 0.0)
    return Enclosed(low, upper, s, cells, emulation, executed, points)


def _between_samples(
    problem: Approximate, network: ReLUNetwork, s: Structure, executed: np.ndarray
) -> Enclosed:
    """For a function known by its values and its Lipschitz constant L; not rounding-proof.

    On a cell with slope m the error g = f - N has the constant L + |m|, so between two samples at
    distance h it is at most (|g_0| + |g_1|) / 2 + (L + |m|) h / 2.
    """
    if s.chains:
        raise NoStructure("f is known by its values, so only broken lines are bracketed")
    knots = np.array([float(k) for k in s.knots])
    ends = np.array([[float(y) for y in line] for line in s.lines])
    widths = np.diff(knots)
    steep = (problem.lipschitz or 0.0) + np.abs(ends[:, 1] - ends[:, 0]) / widths
    aim = 0.05 * (problem.eps or np.max(np.abs(problem.values(knots) - network.values(knots))))
    counts = np.ceil(steep * widths / max(2 * aim, 1e-12 * problem.size())).astype(int) + 1
    if counts.sum() > MOST_SAMPLES:
        counts = np.maximum(1, counts * (MOST_SAMPLES / counts.sum())).astype(int)
    cells, best, point = np.zeros(len(widths)), 0.0, knots[0]
    noise = 1e-13 * (problem.size() + float(np.abs(ends).max()))
    for i, count in enumerate(counts):
        x = np.linspace(knots[i], knots[i + 1], count + 1)
        line = ends[i, 0] + (ends[i, 1] - ends[i, 0]) * ((x - knots[i]) / widths[i])
        y = problem.values(x)
        refuse_steeper(problem, x, y)
        gap = np.abs(y - line)
        cells[i] = np.max(gap[1:] + gap[:-1]) / 2 + steep[i] * widths[i] / count / 2 + noise
        if gap.max() > best:
            best, point = float(gap.max()), x[int(gap.argmax())]
    nothing = np.zeros(len(widths))
    low = max(best - noise - float(executed.max()), 0.0)
    upper = upper_end(cells, executed, 0.0)
    return Enclosed(low, upper, s, cells, nothing, executed, np.array([point]))


def knots_only(network: ReLUNetwork) -> np.ndarray:
    """The roles of units that all read the input: [units, 3]."""
    return np.tile(np.array([[KNOT, -1, -1]], np.int32), (sum(network.widths), 1))


def upper_end(cells: np.ndarray, emulation: np.ndarray, slack: float) -> float:
    """Their largest sum, rounded up."""
    return float(np.max(cells + emulation) * (1 + 2.0**-40)) + slack * (1 + 2.0**-40)


def lower_end(
    enclosure: Enclosure, problem: Approximate, network: ReLUNetwork, first: float
) -> tuple[np.ndarray, float]:
    """Points of large |f - N|, and the largest value there, rounded down."""
    a, b = problem.domain
    x = np.linspace(a, b, 4001)
    with np.errstate(all="ignore"):
        gap = np.abs(problem.values(x) - network.values(x))
    gap = np.where(np.isfinite(gap), gap, 0.0)
    tops = [first, *(float(v) for v in x[np.argsort(gap)[-6:]])]
    if problem.dtype == "float32":  # an executed network has such arguments only
        tops = [float(np.float32(p)) for p in tops]
    points, best = np.array(sorted({p for p in tops if a <= p <= b})), 0.0
    for p in points:
        try:
            with precision(160):
                there = abs(enclosure.ball(exact(p)) - exact(network.exact(float(p))[0]))
                best = max(best, lower(there))
        except DomainFault:
            continue
    return points, max(best * (1 - 2.0**-40), 0.0)


def enclosed(problem: Approximate, network: ReLUNetwork, roles: Any) -> Enclosed:
    """`enclose` of a network that was just built, so that its structure must be seen.

    Raises:
        InfsupError: it is not seen: a bug of this library, never of the input.
    """
    try:
        return enclose(problem, network, roles)
    except NoStructure as e:
        raise InfsupError(
            f"the network built for {problem.name} does not show its own structure: {e}",
            "This is a bug of infsup, not of your input; nothing wrong was certified.",
            "to report it with the function, the domain and eps;   PiecewiseLinear() meanwhile",
        ) from e


def refuse_budget(problem: Approximate, method: str, units: int | float) -> NoReturn:
    """Refuses a construction that is larger than the budget.

    Args:
        problem: it has an eps.
        method: by name.
        units: that it takes, an integer; or a float, an estimate.

    Raises:
        UsageError: always; says how many units it would take.
    """
    exactly = isinstance(units, int)
    remedy = "a larger eps" if units > 100_000 else f"budget={units}"
    if not exactly and units <= 100_000:
        remedy = f"budget={math.ceil(1.5 * units / 1000) * 1000}   or   a larger eps"
    raise UsageError(
        f"`{method}` needs {f'{units:,}' if exactly else f'about {about(units)}'} units "
        f"for eps = {problem.eps:g}; the budget is {problem.budget:,}",
        remedy=remedy,
    )


class StructuralEnclosure(Bound):
    """A proved bracket of sup |f - N| for a network of our constructions, at any depth.

    The network's parts are recognised in its stored weights, in exact arithmetic: knots, zigzag
    coordinate, tent chains, squares, gates. Each is a lemma with an error bound, so the network is
    a piecewise polynomial up to a known error, and its distance from f is bounded cell by cell with
    Taylor balls. Beside it the proof says how few units any network needs for this error. Where the
    evidence names no roles, networks of one hidden layer are recognised.

    With `dtype="real"` it speaks of the network in real arithmetic, else of the network as executed
    in that dtype: sums in any order, fused or not, subnormals flushed or not (`running_error`).
    """

    problems: ClassVar = (Approximate,)
    needs: ClassVar = ("roles",)
    spends: ClassVar[bool] = False
    needs_64_bit: ClassVar[bool] = True

    def certify(self, problem, outcome: Outcome, key, delta: float) -> Certificate:
        answer = getattr(outcome.answer, "answer", outcome.answer)
        name = name_of(type(self))
        fields: dict[str, Any] = {
            "sense": "min",
            "range": (0.0, math.inf),
            "goal": problem.eps,
            "source": SOURCE,
            "dtype": _executor(problem.dtype, False).removeprefix("in "),
        }
        of = f"this network, {problem.name}"

        def nothing(verdict: str, reason: str) -> Certificate:
            return Certificate(
                WORDS,
                of,
                -math.inf,
                math.inf,
                "proved",
                name,
                verdict=verdict,
                reason=reason,
                hypotheses=problem.hypotheses(),
                **fields,
            )

        if not isinstance(answer, ReLUNetwork):
            return nothing(
                "inapplicable", f"the answer is {type(answer).__name__}, not a ReLUNetwork"
            )
        known = isinstance(problem.f, Program)
        roles = outcome.evidence.get("roles")
        if roles is not None and len(roles) != sum(answer.widths):
            roles = None  # another network's
        single = problem.dtype == "float32" and answer.out[0].dtype != np.float32
        answer = answer.astype(np.float32) if single else answer
        try:
            got = enclose(problem, answer, roles)
        except NoStructure as e:
            reason = f"no known structure: {e}; PiecewiseEnclosure takes any ReLU network"
            return nothing("inapplicable", reason)
        if not math.isfinite(got.upper):
            return nothing("refused", "f could not be enclosed near a singularity")
        floor = float(got.executed.max())
        if problem.eps is not None and floor >= problem.eps:
            better = 'dtype="float64"' if problem.dtype == "float32" else 'dtype="real"'
            reason = f"rounding in {problem.dtype} may add {floor:.2g}; eps is {problem.eps:g}"
            return nothing("refused", f"{reason}. Try {better}, or eps above {2 * floor:.1g}")
        s = got.structure
        c = answer.counts
        worst = int(np.argmax(got.cells + got.emulation + got.executed))
        hypotheses = (
            *problem.hypotheses(),
            Hypothesis(
                "the weights are those of the construction, exactly",
                "checked",
                f"{c.units} units: {len(s.knots) - 2} knots, {len(s.levels)} squares, "
                f"{s.gates} gates",
            ),
        )
        return Certificate(
            WORDS,
            f"{of}, {_executor(problem.dtype, single)}",
            got.lower,
            got.upper,
            "proved" if known else "proved_real",
            name,
            hypotheses=hypotheses,
            budget={  # on the cell of the largest sum
                "interpolation": float(got.cells[worst]),
                "squares": float(got.emulation[worst]),
                "gates": float(s.slack),
                **({"rounding": float(got.executed[worst])} if floor else {}),
            },
            proof={
                "lemmas": ("L1 square", "L3 gate", "Taylor"),
                "roles": knots_only(answer) if roles is None else np.asarray(roles),
                "cells": np.nextafter(got.cells + got.emulation, np.inf),
                "points": got.points,
                "units": c.units,
                "nonzero": c.n_nonzero,
                "edges_and_units": c.n_weights_yarotsky,
                "layers": c.n_hidden,
                **({"fewest_units": _fewest(problem, got.upper)} if known else {}),
            },
            **fields,
        )


def _executor(dtype: str, rounded: bool) -> str:
    if dtype == "real":
        return "in real arithmetic"
    return f"{'its weights rounded to' if rounded else 'executed in'} {dtype}"


def _fewest(problem: Approximate, error: float) -> int:
    """Units that any ReLU network with this error has."""
    return fewest_units(fewest_pieces(Enclosure(problem.f), *problem.domain, error))
