"""Smooth minimisation: methods on top of Optax, and what an iterate is worth."""

from infsup.core.lazy import lazy

PROBLEMS = {"Minimize": "problem"}

METHODS = {
    "GradientDescent": "gradient_descent",
    "SGD": "sgd",
    "AdamW": "adamw",
    "Muon": "muon",
    "Newton": "newton",
}

BOUNDS = {"SubOptimality": "bounds", "Stationarity": "bounds"}

OTHERS = {"Smooth": "problem", "FiniteSum": "problem", "frank_wolfe": "conditional_gradient"}

PUBLIC = {**PROBLEMS, **METHODS, **BOUNDS, **OTHERS}

__getattr__, __dir__ = lazy(__name__, PUBLIC)
