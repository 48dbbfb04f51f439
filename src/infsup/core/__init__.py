"""The contract: problem, method, bound, solution, certificate, and the one loop."""

from infsup.core.lazy import lazy

PUBLIC = {
    "Accepted": "answers",
    "Certificate": "certificate",
    "DataSet": "split",
    "DeltaLedger": "ledger",
    "Draws": "answers",
    "Hypothesis": "certificate",
    "Predictions": "answers",
    "SeenRows": "split",
    "Split": "split",
    "Table": "answers",
    "Then": "method",
}

__getattr__, __dir__ = lazy(__name__, PUBLIC)
