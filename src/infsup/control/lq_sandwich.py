"""The best law and the best dual of the quadratic class: two scalars, no training."""

from typing import ClassVar

from infsup.control import matched
from infsup.control.feedback import ScalarFeedback
from infsup.control.matched import QuadraticPenalty
from infsup.control.problem import ControlProblem
from infsup.control.structure import RADIAL, Structure, gain_of, structure_of
from infsup.core.method import DirectMethod, Outcome
from infsup.core.problem import Problem


class LQSandwich(DirectMethod):
    """Scalar linear feedback and quadratic dual penalty of a noise-matched radial problem.

    For dX = B u dt + s dW, cost E[int u'Qu dt + g(|X_T|)], B Q^-1 B' = 2 lam s^2 I. The answer is
    the law u = -c(t) K x, K = Q^-1 B'/2, c(t) = c/(1 + k(T-t)/T), k = lam s^2 c T, of least cost;
    the evidence `penalty` holds the c of the largest dual value. See `infsup.control.matched`.
    """

    problems: ClassVar = (ControlProblem,)
    needs_64_bit: ClassVar[bool] = True

    def suits(self, problem: Problem) -> None:
        """Raises `HypothesisError` unless the problem is noise-matched and radial."""
        require_radial(problem, structure_of(problem), "LQSandwich")

    def find(self, problem: ControlProblem, start: Outcome | None, key) -> Outcome:
        s = structure_of(problem)
        n = require_radial(problem, s, "LQSandwich")
        answer = scalar_feedback(problem, s, matched.best_policy(n))
        return Outcome(answer, {"penalty": QuadraticPenalty(matched.best_penalty(n))})


def require_radial(problem: Problem, s: Structure, who: str) -> matched.Normal:
    """The normal form.

    Raises:
        HypothesisError: the problem is not noise-matched and radial; with a witness.
    """
    lq = s.holds("affine drift", "quadratic running", "quadratic terminal")
    s.require(
        who,
        RADIAL,
        "control.Riccati()" if lq else "infsup list methods   for what else exists",
    )
    assert s.normal is not None
    return s.normal


def scalar_feedback(problem: ControlProblem, s: Structure, c: float) -> ScalarFeedback:
    """The law of a penalty's c: u = -c(t) K x."""
    n = s.normal
    assert n is not None
    rate = matched.stiffness(n, c) / float(problem.horizon)
    return ScalarFeedback(gain_of(problem, s), c, rate, float(problem.horizon))
