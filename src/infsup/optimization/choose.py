"""Defaults for smooth objectives."""

from infsup.core.choose import Choice, choose
from infsup.optimization.bounds import Stationarity, SubOptimality
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
