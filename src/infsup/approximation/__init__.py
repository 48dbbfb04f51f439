"""From a function to a network with a proved sup-norm error."""

from infsup.core.lazy import lazy

PROBLEMS = {"Approximate": "problem"}

METHODS = {}

BOUNDS = {}

OTHERS = {}

PUBLIC = {**PROBLEMS, **METHODS, **BOUNDS, **OTHERS}

__getattr__, __dir__ = lazy(__name__, PUBLIC)
