"""The 64-bit flag is the user's: it is looked at, never touched (DESIGN section 7)."""

import contextlib
import functools
import types
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
    """Whether an array of the tree is float64 or complex128, in what functions close over too."""
    return _wide(tree, set())


def _wide(tree: Any, seen: set[int]) -> bool:
    for x in jax.tree.leaves(tree):
        # not `dtype in (...)`: NumPy takes None for float64
        if str(getattr(x, "dtype", "")) in _WIDE:
            return True
        below = _held(x)
        if below and id(x) not in seen:
            seen.add(id(x))
            if _wide(below, seen):
                return True
    return False


def _held(x: Any) -> list[Any]:
    """What a function carries with it: closure, defaults, arguments of a partial, `self`."""
    held: list[Any] = []
    if isinstance(x, types.FunctionType):
        held += [*(x.__defaults__ or ()), *(x.__kwdefaults__ or {}).values()]
        for cell in x.__closure__ or ():
            with contextlib.suppress(ValueError):  # not filled yet
                held.append(cell.cell_contents)
    elif isinstance(x, types.MethodType):
        held += [x.__self__, x.__func__]
    elif isinstance(x, functools.partial):
        held += [x.func, *x.args, *x.keywords.values()]
    if callable(x) and (inner := getattr(x, "__wrapped__", None)) is not None:
        held.append(inner)
    return held


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
