"""Which method and bounds a control problem gets, and why."""

from infsup.control.problem import ControlProblem
from infsup.control.structure import LQ, RADIAL, structure_of
from infsup.core.choose import Choice, choose
from infsup.core.errors import HypothesisError


@choose.register
def _(problem: ControlProblem) -> Choice:
    s = structure_of(problem)
    if s.holds(*RADIAL):
        from infsup.control.bounds.improvement_left import ImprovementLeft
        from infsup.control.bounds.quadrature_enclosure import QuadratureEnclosure
        from infsup.control.lq_sandwich import LQSandwich

        why = (
            "the cost is quadratic in the control, λ matches the noise and the terminal cost is "
            "radial: two scalars enclose the value"
        )
        return Choice(LQSandwich(), (QuadratureEnclosure(), ImprovementLeft()), why)
    if s.holds(*LQ):
        from infsup.control.bounds.improvement_left import ImprovementLeft
        from infsup.control.bounds.riccati_gap import RiccatiGap
        from infsup.control.riccati import Riccati

        why = "the dynamics are affine and the cost quadratic: the Riccati equation is exact"
        return Choice(Riccati(), (RiccatiGap(), ImprovementLeft()), why)
    first = next(f for n in (*LQ, *RADIAL) if not (f := s.facts[n]).holds)
    raise HypothesisError(
        f"there is no default for this control problem: {first.witness}",
        "So far affine-quadratic problems (Riccati) and noise-matched radial ones (LQSandwich) "
        "are solved.",
        "infsup list methods",
    )
