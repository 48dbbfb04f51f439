"""Learning from rows: fit on some, and know the error on those to come."""

from infsup.core.lazy import lazy

PROBLEMS = {
    "EmpiricalRisk": "problem",
    "Classification": "records",
    "BoundedMean": "records",
}

METHODS: dict[str, str] = {}

BOUNDS = {
    "HoldOut": "bounds",
    "HeldOutRate": "bounds",
    "PairedHoldOut": "bounds",
    "Betting": "bounds",
}

OTHERS = {"certify_predictions": "files", "certify_mean": "files"}

PUBLIC = {**PROBLEMS, **METHODS, **BOUNDS, **OTHERS}

__getattr__, __dir__ = lazy(__name__, PUBLIC)
