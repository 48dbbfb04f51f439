"""Hyper-parameters are tested where they are given; traced ones belong to a caller's `vmap`."""

from typing import Any

import numpy as np
from jax.core import Tracer

from infsup.core.errors import UsageError, nearest


def number(what: str, name: str, value: Any, *, above: float | int, least: bool = False) -> None:
    """Raises unless `value` is a finite number > `above` (>= with `least`)."""
    if isinstance(value, Tracer):
        return
    try:
        fits = np.ndim(value) == 0 and (value >= above if least else value > above)
        fits = bool(fits) and bool(np.isfinite(value)) and not isinstance(value, bool)
    except TypeError:
        fits = False
    if not fits:
        sign = ">=" if least else ">"
        raise UsageError(f"`{name}` of {what} is {value!r}", f"It is a number {sign} {above:g}.")


def whole(what: str, name: str, value: Any, *, least: int) -> None:
    """Raises unless `value` is a whole number >= `least`."""
    if isinstance(value, Tracer):
        return
    integral = isinstance(value, (int, np.integer)) or (
        hasattr(value, "dtype") and np.ndim(value) == 0 and np.dtype(value.dtype).kind in "iu"
    )
    if isinstance(value, bool) or not integral or value < least:
        raise UsageError(
            f"`{name}` of {what} is {value!r}", f"It is a whole number, {least} or more."
        )


def one_of(what: str, name: str, value: Any, known: tuple[str, ...]) -> None:
    """Raises unless `value` is one of some words."""
    if not isinstance(value, str) or value not in known:
        raise UsageError(f"`{name}` of {what} is {value!r}", remedy=nearest(str(value), known))
