"""Smooth and composite minimisation: methods, and what an iterate is worth."""

from infsup.core.lazy import lazy

PROBLEMS = {"Minimize": "problem", "Composite": "composite"}

METHODS = {
    "GradientDescent": "gradient_descent",
    "SGD": "sgd",
    "AdamW": "adamw",
    "Muon": "muon",
    "Newton": "newton",
    "ISTA": "ista",
    "FISTA": "fista",
}

BOUNDS = {
    "SubOptimality": "bounds",
    "Stationarity": "bounds",
    "CompositeGap": "composite_gap",
}

OTHERS = {
    "Smooth": "problem",
    "FiniteSum": "problem",
    "L1": "composite",
    "Box": "composite",
    "frank_wolfe": "conditional_gradient",
}

PUBLIC = {**PROBLEMS, **METHODS, **BOUNDS, **OTHERS}

__getattr__, __dir__ = lazy(__name__, PUBLIC)
