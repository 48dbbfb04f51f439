"""Optimal control: deterministic and stochastic, with brackets of the value from both sides."""

from infsup.core.lazy import lazy

PROBLEMS = {
    "ControlProblem": "problem",
}
METHODS = {
    "LQSandwich": "lq_sandwich",
    "Riccati": "riccati",
}
BOUNDS = {
    "GirsanovSandwich": "bounds.girsanov_sandwich",
    "ImprovementLeft": "bounds.improvement_left",
    "PairedGap": "bounds.paired_gap",
    "QuadratureEnclosure": "bounds.quadrature_enclosure",
    "RiccatiGap": "bounds.riccati_gap",
    "RogersDual": "bounds.rogers_dual",
}
OTHERS = {
    "AffineFeedback": "feedback",
    "LinearDrift": "quadratic",
    "LogRadial": "radial",
    "QuadraticCost": "quadratic",
    "QuadraticPenalty": "matched",
    "QuadraticTerminal": "quadratic",
    "Radial": "radial",
    "ScalarFeedback": "feedback",
    "Structure": "structure",
    "ZeroControl": "feedback",
    "hjb_lq": "quadratic",
    "linear_quadratic": "quadratic",
    "structure_of": "structure",
}
PUBLIC = {**PROBLEMS, **METHODS, **BOUNDS, **OTHERS}

__getattr__, __dir__ = lazy(__name__, PUBLIC)
