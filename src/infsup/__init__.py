"""infsup: every answer comes bracketed between an inf and a sup.

Nothing heavy is imported here; public names are imported when they are first used.
"""

from infsup.core.lazy import lazy

__version__ = "0.1.0"

PUBLIC = {
    # the verbs
    "solve": "core.verbs",
    "certify": "core.verbs",
    "run": "core.driver",
    "load": "core.files",
    "save": "core.files",
    "check": "core.check",
    "choose": "core.choose",
    "problem": "problems",
    # the nouns
    "Problem": "core.problem",
    "Method": "core.method",
    "DirectMethod": "core.method",
    "IterativeMethod": "core.method",
    "Outcome": "core.method",
    "Then": "core.method",
    "Bound": "core.bound",
    "Choice": "core.choose",
    "Certificate": "core.certificate",
    "Hypothesis": "core.certificate",
    "compose": "core.certificate",
    "Solution": "core.solution",
    # what answers speak
    "Function": "core.answers",
    "Sampler": "core.answers",
    "Point": "core.answers",
    "Draws": "core.answers",
    "Predictions": "core.answers",
    "Table": "core.answers",
    "evaluate": "core.answers",
    # data, delta, names
    "DataSet": "core.split",
    "Split": "core.split",
    "DeltaLedger": "core.ledger",
    "register": "core.registry",
    "checker": "core.check",
    "promises": "core.check",
    "fingerprint": "core.problem",
    # the loop
    "Steps": "core.stop",
    "Seconds": "core.stop",
    "Plateau": "core.stop",
    "Reach": "core.stop",
    "Checkpoint": "core.checkpoint",
    "Stop": "core.driver",
    "Event": "core.driver",
    "JSONLines": "core.callbacks",
    # the pillars
    "optimization": "optimization",
    "generalization": "generalization",
    "approximation": "approximation",
    "control": "control",
    "generative": "generative",
    "networks": "networks",
    "data": "data",
    "problems": "problems",
}

__getattr__, __dir__ = lazy(__name__, PUBLIC)
