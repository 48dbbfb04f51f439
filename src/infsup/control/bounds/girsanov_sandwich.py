"""Importance weights give the exact value, if they are not too uneven."""

from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from infsup.control.bounds.quadrature_enclosure import QUANTITY
from infsup.control.bounds.rogers_dual import held_upper, not_finite
from infsup.control.problem import ControlProblem
from infsup.control.simulate import Paths, check_sizes, simulate
from infsup.control.structure import MATCHED, structure_of
from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, Hypothesis
from infsup.core.errors import UsageError
from infsup.core.intervals import (
    effective_sample_size,
    largest_weight,
    log_mean_exp,
    student_t,
)
from infsup.core.method import Outcome
from infsup.core.registry import name_of

SOURCE = (
    "M. Boue and P. Dupuis, Ann. Probab. 26 (1998) 1641-1659 (variational formula); Girsanov's "
    "theorem step by step, derived in infsup.control.bounds.girsanov_sandwich"
)


class GirsanovSandwich(Bound):
    r"""-(1/lam) ln E exp(-lam Y) = V <= E Y for any control law of a noise-matched problem.

    dX = B u dt + s dW, B Q^-1 B' = 2 lam s^2 I, any terminal cost g bounded below. Hold the law on
    steps, put theta = B u/s and Y = g(X_T) + (1/lam) sum(theta.dW + |theta|^2 dt/2). Each factor
    exp(-theta.dW - |theta|^2 dt/2) has conditional mean 1 and removes the drift of its step, so
    E exp(-lam Y) = E exp(-lam g(x0 + s W_T)) = exp(-lam V) exactly, for every number of steps; and
    E Y <= J(u), with equality where B is square. So the width is about (lam/2) Var Y + sampling.

    The lower end needs E exp(-lam Y) from above, which a sample shows only if weights are even: it
    is **refused** when the effective sample size falls below `min_ess` of the paths or one path
    holds more than `max_weight`. A guard selects lucky runs; what is promised is that a miss that
    is not refused has probability at most delta, over all runs. delta is halved between the ends.

    Args:
        paths: n >= 2.
        steps: N >= 1.
        min_ess: least accepted ESS/n; 0.1 is the limit below which intervals were seen to miss.
        max_weight: largest accepted share of one path.
    """

    paths: int = eqx.field(static=True, default=16384)
    steps: int = eqx.field(static=True, default=200)
    min_ess: float = eqx.field(static=True, default=0.25)
    max_weight: float = eqx.field(static=True, default=0.05)

    problems: ClassVar = (ControlProblem,)
    needs_64_bit: ClassVar[bool] = True

    def __check_init__(self):
        check_sizes(self)
        for name in ("min_ess", "max_weight"):
            got = getattr(self, name)
            if not isinstance(got, (int, float)) or not 0.0 < got <= 1.0:
                raise UsageError(
                    f"`{name}` is {got!r}",
                    "It is a share in (0, 1]; without a guard the interval lies.",
                    f"{name}={type(self).__dataclass_fields__[name].default}",
                )

    def certify(self, problem, outcome: Outcome, key, delta: float) -> Certificate:
        s = structure_of(problem)
        of = held_upper(problem, self.steps)
        fields: dict[str, Any] = {"sense": "min", "source": SOURCE}
        fields["hypotheses"] = (*s.hypotheses(*MATCHED), _bounded_below(s))
        name = name_of(type(self))
        if s.lam is None:
            return Certificate(QUANTITY, of, -np.inf, np.inf, "asymptotic", name, **fields)
        fields["level"] = 1 - delta
        if s.normal is not None:
            fields["range"] = (float(s.normal.radial.floor), np.inf)
        p = simulate(problem, s, outcome.answer, 0.0, self.steps, self.paths, key)
        logs = weights_of(p, s.lam)
        fault, weight = not_finite(p.cost) or not_finite(logs), None
        if not fault:
            weight = log_mean_exp(logs, delta / 2, min_ess=self.min_ess, max_weight=self.max_weight)
            fault = weight.refused
        if weight is None or fault:
            fields |= {"verdict": "refused", "reason": f"importance weights: {fault}"}
            return Certificate(QUANTITY, of, -np.inf, np.inf, "asymptotic", name, **fields)
        above = student_t(p.cost + p.girsanov, delta)
        lower = -float(weight.upper) / s.lam
        return Certificate(
            QUANTITY,
            of,
            lower,
            above.upper,
            "asymptotic",
            name,
            budget={
                "policy": max(float((p.cost + p.girsanov).mean() + _centre(logs) / s.lam), 0.0),
                "sampling": float(above.width / 2 + (weight.upper - _centre(logs)) / s.lam),
            },
            proof={
                "lam": s.lam,
                "delta": delta,
                "min_ess": self.min_ess,
                "max_weight": self.max_weight,
                "ess": float(effective_sample_size(logs)) / self.paths,
                "largest_weight": float(largest_weight(logs)),
                "above": p.cost + p.girsanov,
                "log_weights": logs,
            },
            **fields,
        )


def weights_of(p: Paths, lam: float) -> np.ndarray:
    """-lam Y, path by path."""
    return -lam * (p.matched_cost + p.girsanov)


def _centre(logs: np.ndarray) -> float:
    top = logs.max()
    return float(top + np.log(np.exp(logs - top).mean()))


def _bounded_below(s: Any) -> Hypothesis:
    text = "the terminal cost is bounded below"
    fact = s.facts["radial terminal"]
    if fact.holds:
        return Hypothesis(text, "assumed" if fact.assumed else "checked", "its floor is known")
    return Hypothesis(text, "assumed", "nothing is known of it")
