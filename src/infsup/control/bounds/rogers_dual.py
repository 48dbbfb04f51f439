"""Primal simulation and pathwise dual, by Monte Carlo on shared noise."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import numpy as np

from infsup.control import matched
from infsup.control.bounds.quadrature_enclosure import QUANTITY, normal_proof, penalty_parameter
from infsup.control.problem import ControlProblem
from infsup.control.simulate import check_sizes, simulate
from infsup.control.structure import RADIAL, structure_of
from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, Hypothesis
from infsup.core.intervals import student_t
from infsup.core.method import Outcome
from infsup.core.registry import name_of

SOURCE = (
    "L.C.G. Rogers, SIAM J. Control Optim. 46 (2007) 1116-1132, with a quadratic penalty whose "
    "inner problem is solved by branch and bound (derived in infsup.control.matched); Student "
    "intervals"
)


class Sampled(NamedTuple):
    """Values whose means bound V: E above >= V >= E below, path by path on the same noise."""

    above: np.ndarray
    below: np.ndarray
    penalty: float


class RogersDual(Bound):
    """Simulated cost of any control law above V, quadratic pathwise dual below, by Monte Carlo.

    Upper: the law held on `steps` equal steps is admissible and its transitions are exact, so its
    cost bounds V; the martingale of the penalty is its control variate. Lower: one inner minimum a
    path, bounded from below. delta is halved between the ends; the intervals are
    Student's, so the kind is `asymptotic`. Where a quadratic penalty is far from the terminal cost
    on the scale of the noise (HJB-LQ at lam >= 10), `GirsanovSandwich` is tighter.

    Args:
        paths: n >= 2.
        steps: N >= 1.
    """

    paths: int = eqx.field(static=True, default=16384)
    steps: int = eqx.field(static=True, default=100)

    problems: ClassVar = (ControlProblem,)
    needs: ClassVar = ("penalty",)
    needs_64_bit: ClassVar[bool] = True

    def __check_init__(self):
        check_sizes(self)

    def certify(self, problem, outcome: Outcome, key, delta: float) -> Certificate:
        of = held_upper(problem, self.steps)
        fields: dict[str, Any] = {
            "sense": "min",
            "source": SOURCE,
            "hypotheses": sampling_hypotheses(problem),
        }
        name = name_of(type(self))
        n = structure_of(problem).normal
        if n is None:
            return Certificate(QUANTITY, of, -np.inf, np.inf, "asymptotic", name, **fields)
        values = sample(problem, n, outcome, self.paths, self.steps, key)
        if fault := not_finite(values.above):
            return Certificate(
                QUANTITY,
                of,
                -np.inf,
                np.inf,
                "asymptotic",
                name,
                verdict="refused",
                reason=fault,
                level=1 - delta,
                **fields,
            )
        upper, lower = student_t(values.above, delta), student_t(values.below, delta)
        return Certificate(
            QUANTITY,
            of,
            lower.lower,
            upper.upper,
            "asymptotic",
            name,
            level=1 - delta,
            range=(float(n.radial.floor), matched.policy_cost(n, 0.0, matched.COARSE)[1]),
            budget={
                "policy and dual": float(values.above.mean() - values.below.mean()),
                "sampling": float((upper.width + lower.width) / 2),
            },
            proof={
                **normal_proof(n),
                "delta": delta,
                "penalty": values.penalty,
                "above": values.above,
                "below": values.below,
            },
            **fields,
        )


def sample(
    problem: Any, n: matched.Normal, outcome: Outcome, paths: int, steps: int, key: Any
) -> Sampled:
    """Primal and dual values on the same noise."""
    c = penalty_parameter(n, outcome.evidence)
    s = structure_of(problem)
    p = simulate(problem, s, outcome.answer, matched.stiffness(n, c), steps, paths, key)
    below = matched.start_value(n, c) + matched.inner_minima(n, c, p.radius)
    return Sampled(p.cost + p.penalty, below, c)


def held_upper(problem: Any, steps: int) -> str:
    """Of what the bracket speaks."""
    return f"{problem.name}; the upper end is the cost of this control held on {steps} steps"


def not_finite(values: np.ndarray) -> str:
    """Why simulated costs cannot be used, or ""."""
    bad = int((~np.isfinite(values)).sum())
    return f"{bad} of {values.size} simulated costs are not finite" if bad else ""


def sampling_hypotheses(problem: Any) -> tuple[Hypothesis, ...]:
    """What the sampled sandwich of a radial problem rests on."""
    return structure_of(problem).hypotheses(*RADIAL)
