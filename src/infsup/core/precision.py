"""The 64-bit flag is the user's: it is looked at, never touched (DESIGN section 7)."""

from typing import Any

import jax

from infsup.core.errors import PrecisionError

_WIDE = ("float64", "complex128")
LINE = 'jax.config.update("jax_enable_x64", True)'


def enabled() -> bool:
    """Whether JAX computes in 64 bits at present."""
    return bool(jax.config.jax_enable_x64)  # type: ignore[attr-defined]


def require_64_bit(what: str, why: str = "Its error bound lies below float32 rounding.") -> None:
    """Refuses while the flag is off, before any work.

    Raises:
        PrecisionError: with the line to add.
    """
    if not enabled():
        raise PrecisionError(
            f"{what} needs 64-bit arithmetic and JAX's flag is off",
            why,
            f"{LINE}   before the first use of JAX",
        )


def holds_float64(tree: Any) -> bool:
    """Whether an array of the tree is float64 or complex128."""
    # not `dtype in (...)`: NumPy takes None for float64
    return any(str(getattr(x, "dtype", "")) in _WIDE for x in jax.tree.leaves(tree))


def guard(answer: Any, what: str) -> None:
    """Refuses to evaluate a float64 answer in 32 bits.

    With the flag off JAX computes in float32 without a word, so the certificate of the float64
    answer would speak of another function.

    Raises:
        PrecisionError: with the line to add.
    """
    if not enabled() and holds_float64(answer):
        raise PrecisionError(
            f"{what} is float64 and JAX's 64-bit flag is off",
            "It would be computed in float32, which its certificate does not cover.",
            LINE,
        )
