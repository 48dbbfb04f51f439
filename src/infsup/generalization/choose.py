"""Defaults for learning from rows."""

from infsup.core.choose import Choice, choose
from infsup.generalization.bounds import Betting, HeldOutRate, HoldOut
from infsup.generalization.problem import EmpiricalRisk
from infsup.generalization.records import BoundedMean, Classification
from infsup.networks.recipes import MLP
from infsup.optimization.adamw import AdamW
from infsup.optimization.bounds import SubOptimality
from infsup.optimization.newton import Newton


@choose.register
def _(problem: EmpiricalRisk) -> Choice:
    rows = (HoldOut(), HeldOutRate())
    if problem.strong_convexity is not None and problem.self_concordance is not None:
        why = (
            "an affine model with a ridge makes the problem strongly convex: Newton's method finds "
            "the minimum, one linear solve tells how far away it is, and the rows held out tell "
            "the error on rows to come"
        )
        return Choice(Newton(), (SubOptimality(), *rows), why)
    why = (
        "data only, and no class of functions with a known minimum: a small network by AdamW, "
        "judged by counting its errors on the rows held out"
        if problem.labelled
        else "data only: a small network by AdamW, judged by its loss on the rows held out"
    )
    model = MLP() if problem.model is None else None
    return Choice(AdamW(model=model, batch=min(64, problem.count)), rows, why)


@choose.register
def _(problem: Classification) -> Choice:
    why = "the predictions are there: their errors are counted"
    return Choice(None, (HoldOut(), HeldOutRate()), why)


@choose.register
def _(problem: BoundedMean) -> Choice:
    return Choice(None, (Betting(),), "a range is known: betting adapts to the variance")
