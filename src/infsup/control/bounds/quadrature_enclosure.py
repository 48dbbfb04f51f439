"""A two-sided enclosure of the value by one-dimensional integrals."""

from typing import Any, ClassVar

import numpy as np

from infsup.control import matched
from infsup.control.feedback import ScalarFeedback, ZeroControl
from infsup.control.lq_sandwich import scalar_feedback
from infsup.control.matched import QuadraticPenalty
from infsup.control.problem import ControlProblem
from infsup.control.structure import RADIAL, Structure, structure_of
from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, Hypothesis
from infsup.core.errors import UsageError
from infsup.core.method import Outcome
from infsup.core.registry import name_of
from infsup.numerics.polynomial_degree import degree_in

QUANTITY = "V(0, x0), the least cost"
SOURCE = (
    "upper end: exact cost by Ito's formula; lower end: pathwise dual of L.C.G. Rogers, "
    "SIAM J. Control Optim. 46 (2007) 1116-1132, with a quadratic penalty; derived in "
    "infsup.control.matched"
)


class QuadratureEnclosure(Bound):
    """Quadratic dual <= V <= exact cost of a scalar linear law, by one-dimensional quadrature.

    For noise-matched problems with a radial terminal cost; no sampling. The chord rules bound their
    integrals from the right side, so no quadrature error is left out. The answer must be a
    `ScalarFeedback` of this problem, or zero; other laws are simulated by `RogersDual` or
    `GirsanovSandwich`. Evidence `penalty` is used where it is given, else the best is sought.
    """

    problems: ClassVar = (ControlProblem,)
    spends: ClassVar = False
    needs: ClassVar = ("penalty",)
    needs_64_bit: ClassVar[bool] = True

    def certify(self, problem, outcome: Outcome, key, delta: float) -> Certificate:
        s = structure_of(problem)
        hypotheses = s.hypotheses(*RADIAL)
        fields: dict[str, Any] = {"sense": "min", "source": SOURCE}
        n = s.normal
        c = None if n is None else policy_parameter(problem, s, outcome.answer)
        text = "the answer is a ScalarFeedback of this problem, or zero"
        remedy = "" if c is not None else "another law is simulated: RogersDual, GirsanovSandwich"
        law = Hypothesis(text, "violated" if c is None else "checked", remedy)
        of = f"{problem.name}; the upper end is the exact cost of this control"
        if n is None or c is None:
            failing = (law,) if n is not None else ()
            return Certificate(
                QUANTITY,
                of,
                -np.inf,
                np.inf,
                "proved_real",
                name_of(type(self)),
                hypotheses=hypotheses + failing,
                **fields,
            )
        dual = penalty_parameter(n, outcome.evidence)
        lower = matched.dual_value(n, dual)
        cheap, upper = matched.policy_cost(n, c)
        nothing = matched.policy_cost(n, 0.0, matched.COARSE)[1]
        value = reference_value(n)
        return Certificate(
            QUANTITY,
            of,
            lower,
            upper,
            "proved_real",
            name_of(type(self)),
            hypotheses=(*hypotheses, law),
            range=(float(n.radial.floor), nothing),
            budget={
                "policy": max(cheap - value, 0.0),
                "dual": max(value - lower, 0.0),
                "quadrature": upper - cheap,
            },
            proof={**normal_proof(n), "policy": c, "penalty": dual},
            **fields,
        )


def normal_proof(n: matched.Normal) -> dict[str, Any]:
    """The normal form as numbers."""
    return {"dim": n.dim, "lam": n.lam, "horizon": n.horizon, "shift": n.shift}


def reference_value(n: matched.Normal) -> float:
    """The value by Cole-Hopf quadrature: an estimate, used to split widths only."""
    return matched.cole_hopf_value(
        lambda r: matched.profile(n.radial, r), n.dim, n.lam, n.horizon, n.shift
    )


def penalty_parameter(n: matched.Normal, evidence: dict[str, Any]) -> float:
    """The c of the given penalty, or of the best.

    Raises:
        UsageError: the evidence is no feasible penalty.
    """
    penalty = evidence.get("penalty")
    if penalty is None:
        return matched.best_penalty(n)
    if not isinstance(penalty, QuadraticPenalty) or np.ndim(penalty.terminal) != 0:
        raise UsageError(
            f"`evidence['penalty']` is {type(penalty).__name__}",
            remedy="infsup.control.QuadraticPenalty(0.01)",
        )
    matched.stiffness(n, float(penalty.terminal))
    return float(penalty.terminal)


def policy_parameter(problem: Any, s: Structure, answer: Any) -> float | None:
    """The c of an answer that is exactly a scalar law of this problem; 0 for zero control."""
    inner = getattr(answer, "answer", answer)
    if isinstance(inner, ZeroControl):
        return 0.0
    if isinstance(inner, ScalarFeedback):
        c = float(inner.terminal)
        try:
            asked = scalar_feedback(problem, s, c)
        except UsageError:
            return None
        fields = ("gain", "rate", "horizon")
        same = all(np.array_equal(getattr(inner, f), getattr(asked, f)) for f in fields)
        return c if same else None
    if getattr(answer, "random", False) or not getattr(answer, "traced", True):
        return None
    t, x, _ = problem.sample_shapes()
    if degree_in(inner, t, x, wrt=(0, 1)).value > 0:
        return None
    value = np.asarray(inner(np.zeros(()), np.zeros(x.shape)))
    return None if value.any() else 0.0
