"""The share of the attainable improvement that a control leaves on the table."""

from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from infsup.control import matched
from infsup.control.bounds.girsanov_sandwich import weights_of
from infsup.control.bounds.quadrature_enclosure import SOURCE as RADIAL_SOURCE
from infsup.control.bounds.quadrature_enclosure import (
    normal_proof,
    penalty_parameter,
    policy_parameter,
)
from infsup.control.bounds.riccati_gap import RiccatiGap
from infsup.control.bounds.rogers_dual import not_finite
from infsup.control.feedback import ZeroControl
from infsup.control.problem import ControlProblem
from infsup.control.simulate import check_sizes, simulate
from infsup.control.structure import LQ, RADIAL, Structure, structure_of
from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, compose
from infsup.core.intervals import log_mean_exp, student_t
from infsup.core.method import Outcome
from infsup.core.registry import name_of

QUANTITY = "(J(u) - V)/(J(0) - V), the improvement left"


class ImprovementLeft(Bound):
    """(J(u) - V)/(J(0) - V): 0 at the optimum, 1 for doing nothing, above 1 for worse than that.

    Noise-matched radial problems: V from the quadratic dual below and the best scalar law above,
    J(0) by quadrature, J(u) by quadrature for a scalar law and by simulation for any other (then
    importance weights may raise the lower end, delta halved). Affine-quadratic problems: the ratio
    of two gaps of `RiccatiGap`. The ratio is monotone in each of J(u), J(0) and V, so its extremes
    lie at the ends of their brackets.

    Args:
        paths: of a simulated law, >= 2.
        steps: of a simulated law, >= 1.
    """

    paths: int = eqx.field(static=True, default=16384)
    steps: int = eqx.field(static=True, default=100)

    problems: ClassVar = (ControlProblem,)
    needs: ClassVar = ("penalty",)
    needs_64_bit: ClassVar[bool] = True

    def __check_init__(self):
        check_sizes(self)

    def certify(self, problem, outcome: Outcome, key, delta: float) -> Certificate:
        s = structure_of(problem)
        if s.normal is None and s.holds(*LQ):
            return self._by_riccati(problem, outcome, key, delta)
        of = f"this control, {problem.name}"
        name = name_of(type(self))
        fields: dict[str, Any] = {
            "sense": "min",
            "range": (0.0, np.inf),
            "source": RADIAL_SOURCE,
            "hypotheses": s.hypotheses(*RADIAL),
        }
        n = s.normal
        if n is None:
            return Certificate(QUANTITY, of, -np.inf, np.inf, "proved_real", name, **fields)
        penalty = penalty_parameter(n, outcome.evidence)
        helper = matched.best_policy(n)
        low, high = matched.dual_value(n, penalty), matched.policy_cost(n, helper)[1]
        proof: dict[str, Any] = {**normal_proof(n), "penalty": penalty, "helper": helper}
        c = policy_parameter(problem, s, outcome.answer)
        kind = "proved_real"
        if c is not None:
            cost = matched.policy_cost(n, c)
            proof["policy"] = c
        else:
            kind, fields["level"] = "asymptotic", 1 - delta
            of = f"this control held on {self.steps} steps, {problem.name}"
            cost, low, more = self._simulated(problem, s, outcome.answer, penalty, low, key, delta)
            proof |= more
            if cost is None:
                fields |= {"verdict": "refused", "reason": more["fault"]}
                return Certificate(QUANTITY, of, -np.inf, np.inf, kind, name, **fields)
        lower, upper = ratio(cost, matched.policy_cost(n, 0.0), (low, high))
        return Certificate(QUANTITY, of, lower, upper, kind, name, proof=proof, **fields)

    def _simulated(
        self,
        problem: Any,
        s: Structure,
        answer: Any,
        penalty: float,
        low: float,
        key: Any,
        delta: float,
    ) -> tuple[tuple[float, float] | None, float, dict[str, Any]]:
        """Interval of J(u), a lower end of V, and the proof."""
        assert s.normal is not None
        assert s.lam is not None
        k = matched.stiffness(s.normal, penalty)
        p = simulate(problem, s, answer, k, self.steps, self.paths, key)
        values, logs = p.cost + p.penalty, weights_of(p, s.lam)
        if fault := not_finite(values) or not_finite(logs):
            return None, low, {"fault": fault}
        found = student_t(values, delta / 2)
        if found.refused:
            return None, low, {"fault": found.refused}
        weight = log_mean_exp(logs, delta / 2)
        if not weight.refused:
            low = max(low, -float(weight.upper) / s.lam)
        proof = {"delta": delta, "cost": values, "log_weights": logs}
        return (float(found.lower), float(found.upper)), low, proof

    def _by_riccati(self, problem: Any, outcome: Outcome, key: Any, delta: float) -> Certificate:
        gap = RiccatiGap(self.paths, self.steps)
        ours = gap.certify(problem, outcome, key, delta)
        idle = Outcome(problem.accept(ZeroControl(problem.controls)))
        nothing = gap.certify(problem, idle, key, delta)
        if not ours.holds() or not nothing.holds():
            lower, upper = 0.0, np.inf
        else:
            lower = float(ours.lower) / nothing.upper if nothing.upper > 0 else 0.0
            upper = float(ours.upper) / nothing.lower if nothing.lower > 0 else np.inf
        return compose(
            (ours, nothing),
            quantity=QUANTITY,
            of=ours.of,
            lower=lower,
            upper=upper,
            bound=name_of(type(self)),
            sense="min",
            range=(0.0, np.inf),
            source=ours.source,
            proof={**{f"ours_{k}": v for k, v in ours.proof.items()}, "riccati": 1.0}
            | {f"nothing_{k}": v for k, v in nothing.proof.items()},
        )


def ratio(
    cost: tuple[float, float], idle: tuple[float, float], value: tuple[float, float]
) -> tuple[float, float]:
    """Ends of (J - V)/(J0 - V) for J in `cost`, J0 in `idle`, V in `value`, and V <= J, J0.

    For J >= V it rises in J and falls in J0; for given J, J0 it is monotone in V.
    """
    low, high = value[0], min(value[1], cost[1], idle[1])
    low = min(low, high)
    least = [
        max(cost[0] - v, 0.0) / (idle[1] - v) if idle[1] > v else 0.0
        for v in (low, min(high, cost[0]))
    ]
    most = [max(cost[1] - v, 0.0) / (idle[0] - v) if idle[0] > v else np.inf for v in (low, high)]
    return max(min(least), 0.0), max(most)
