"""Functions as Equinox modules, and recipes that make them."""

from infsup.core.lazy import lazy

OTHERS = {
    "MLP": "recipes",
    "Linear": "recipes",
    "affine": "recipes",
    "Flat": "recipes",
    "Standardised": "recipes",
    "trainable": "recipes",
    "ReLUNetwork": "relu",
    "Counts": "relu",
    "from_equinox": "relu",
    "identity": "relu",
    "parallel": "relu",
    "stack": "relu",
    "scalar_form": "scalar",
    "OfNumber": "scalar",
    "from_onnx": "onnx",
    "to_onnx": "onnx",
}

PUBLIC = {**OTHERS}

__getattr__, __dir__ = lazy(__name__, PUBLIC)
