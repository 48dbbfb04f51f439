"""Defaults for approximation."""

from infsup.approximation.bounds.enclosure import Enclosure
from infsup.approximation.piecewise_linear import PiecewiseLinear
from infsup.approximation.problem import Approximate
from infsup.approximation.shared_coordinate import SharedCoordinate
from infsup.core.choose import Choice, choose
from infsup.core.program import Program


@choose.register
def _(problem: Approximate) -> Choice:
    if problem.eps is None:
        why = "no eps is asked, so nothing is built: what a given network is worth"
        return Choice(None, (Enclosure(),), why)
    if not isinstance(problem.f, Program):
        why = "f is known by its values and a Lipschitz constant: a broken line"
        return Choice(PiecewiseLinear(), (Enclosure(),), why)
    why = "the network of fewest units among piecewise polynomials of degree 1, 2, 4, 6, 8"
    return Choice(SharedCoordinate(), (Enclosure(),), why)
