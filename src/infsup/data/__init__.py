"""Real data that come inside the package, and readers for the user's own files."""

from infsup.core.lazy import lazy

DATA = {"digits": "shipped"}
"""Packaged data sets; `packaged("digits")`, and "infsup:digits" as a source."""

OTHERS = {
    "digits": "shipped",
    "packaged": "shipped",
    "from_csv": "tables",
    "from_npz": "tables",
    "predictions": "labelled",
    "Labelled": "labelled",
}

PUBLIC = {**OTHERS}

__getattr__, __dir__ = lazy(__name__, PUBLIC)
