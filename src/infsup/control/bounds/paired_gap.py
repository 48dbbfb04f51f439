"""How far a control is from the best, from differences along the same noise."""

from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from infsup.control.bounds.quadrature_enclosure import normal_proof
from infsup.control.bounds.rogers_dual import SOURCE, not_finite, sample, sampling_hypotheses
from infsup.control.problem import ControlProblem
from infsup.control.simulate import check_sizes
from infsup.control.structure import structure_of
from infsup.core.bound import Bound
from infsup.core.certificate import Certificate
from infsup.core.intervals import student_t
from infsup.core.method import Outcome
from infsup.core.registry import name_of


class PairedGap(Bound):
    """J(u) - V of any control law: the mean of primal minus dual along the same noise.

    The differences vary far less than either side, so this says more about the gap than the
    absolute bracket of `RogersDual` does. The lower end is 0 by the definition of V.

    Args:
        paths: n >= 2.
        steps: N >= 1; the law is held on N steps.
    """

    paths: int = eqx.field(static=True, default=16384)
    steps: int = eqx.field(static=True, default=100)

    problems: ClassVar = (ControlProblem,)
    needs: ClassVar = ("penalty",)
    needs_64_bit: ClassVar[bool] = True

    def __check_init__(self):
        check_sizes(self)

    def certify(self, problem, outcome: Outcome, key, delta: float) -> Certificate:
        n = structure_of(problem).normal
        of = f"this control held on {self.steps} steps, {problem.name}"
        fields: dict[str, Any] = {
            "sense": "min",
            "range": (0.0, np.inf),
            "source": SOURCE,
            "hypotheses": sampling_hypotheses(problem),
        }
        quantity, name = "J(u) - V, the excess cost", name_of(type(self))
        if n is None:
            return Certificate(quantity, of, -np.inf, np.inf, "asymptotic", name, **fields)
        values = sample(problem, n, outcome, self.paths, self.steps, key)
        if fault := not_finite(values.above):
            fields |= {"verdict": "refused", "reason": fault, "level": 1 - delta}
            return Certificate(quantity, of, -np.inf, np.inf, "asymptotic", name, **fields)
        gap = values.above - values.below
        # only the upper end is at risk, so it may use delta whole
        found = student_t(gap, min(2 * delta, 0.999))
        return Certificate(
            quantity,
            of,
            0.0,
            max(float(found.upper), 0.0),
            "asymptotic",
            name,
            level=1 - delta,
            budget={"policy and dual": float(gap.mean()), "sampling": float(found.width / 2)},
            proof={**normal_proof(n), "delta": delta, "penalty": values.penalty, "gap": gap},
            **fields,
        )
