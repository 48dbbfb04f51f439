"""Defaults for smooth and composite objectives."""

from infsup.core.choose import Choice, choose
from infsup.optimization.bounds import Stationarity, SubOptimality
from infsup.optimization.composite import Composite
from infsup.optimization.composite_gap import CompositeGap
from infsup.optimization.fista import FISTA
from infsup.optimization.newton import Newton
from infsup.optimization.problem import Minimize


@choose.register
def _(problem: Minimize) -> Choice:
    if problem.strong_convexity is None:
        why = (
            "no strong convexity is declared, so how far the value is from the least one cannot "
            "be known: Newton's method, and the size of the gradient"
        )
        return Choice(Newton(), (Stationarity(),), why)
    why = "strongly convex: Newton's method, and the distance to the least value from one solve"
    return Choice(Newton(), (SubOptimality(), Stationarity()), why)


@choose.register
def _(problem: Composite) -> Choice:
    why = (
        "convex and smooth plus a penalty with a proximal map: accelerated proximal steps, and the "
        "gap of the conditions of optimality"
    )
    return Choice(FISTA(), (CompositeGap(),), why)
