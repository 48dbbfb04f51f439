"""Every checkable result: stated, compared with what the library computes, and able to fail."""

from infsup.core.lazy import lazy

PUBLIC = {
    "Theorem": "registry",
    "Compared": "registry",
    "Finding": "registry",
    "theorem": "registry",
    "theorems": "registry",
    "find": "registry",
    "judge": "registry",
}

__getattr__, __dir__ = lazy(__name__, PUBLIC)
