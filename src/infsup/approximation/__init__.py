"""From a function to a network with a proved sup-norm error."""

from infsup.core.lazy import lazy

PROBLEMS = {"Approximate": "problem"}

METHODS = {
    "SharedCoordinate": "shared_coordinate",
    "PiecewiseLinear": "piecewise_linear",
    "Square": "square",
    "AttentionHead": "attention",
    "GELUSquare": "gelu_square",
}

BOUNDS = {
    "Enclosure": "bounds.enclosure",
    "StructuralEnclosure": "bounds.structural_enclosure",
    "SmoothEnclosure": "bounds.smooth_enclosure",
    "PiecewiseEnclosure": "bounds.piecewise_enclosure",
}

OTHERS = {
    "two_square_product": "product",
    "two_square_error": "product",
    "three_square_product": "product",
    "Band": "lipschitz_reconstruction",
    "lipschitz_band": "lipschitz_reconstruction",
    "StepNetwork": "random_steps",
    "barron_steps": "random_steps",
    "bump": "random_steps",
    "fourier_moment": "random_steps",
    "step_variation": "random_steps",
    "taylor_patches": "local_taylor",
    "tent": "sawtooth",
    "Count": "papers",
    "ExactGELU": "gelu_square",
    "Given": "given",
    "SoftmaxHead": "attention",
    "papers_counts": "papers",
}

PUBLIC = {**PROBLEMS, **METHODS, **BOUNDS, **OTHERS}

__getattr__, __dir__ = lazy(__name__, PUBLIC)
