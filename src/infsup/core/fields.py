"""Whether the fields of our own problems, methods and bounds hold what their annotations say."""

import dataclasses
import types
import typing
from typing import Any

import jax
import numpy as np

from infsup.core.errors import UsageError

_WORDS = {"number": "a number", "text": "text", "truth": "True or False", "pair": "a tuple"}


def look_at_fields(cls: type) -> None:
    """Lets a class of ours look at its plain fields before its own checks, whatever they compare.

    Numbers, text, truth values and tuples are told apart; what a number may be is the class's own
    affair. Classes outside the package stay as they are.
    """
    if not cls.__module__.startswith("infsup."):
        return
    own = vars(cls).get("__check_init__")

    def __check_init__(self: Any) -> None:
        for field in dataclasses.fields(cls):
            kinds = _kinds(field.type)
            value = getattr(self, field.name, None)
            if kinds and not any(_fits(value, kind) for kind in kinds):
                words = [_WORDS.get(k, "None") for k in sorted(kinds, key=lambda k: k == "none")]
                shown = repr(value) if len(repr(value)) <= 60 else type(value).__name__
                raise UsageError(
                    f"`{field.name}` of {cls.__name__} is {shown}", f"It is {' or '.join(words)}."
                )
        if own is not None:
            own(self)

    cls.__check_init__ = __check_init__  # type: ignore[attr-defined]


def _kinds(annotation: Any) -> set[str]:
    """What an annotation of plain types admits; empty where it is not plain."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        parts = [_kinds(a) for a in typing.get_args(annotation) if a is not jax.Array]
        return set().union(*parts) if all(parts) else set()
    if typing.get_origin(annotation) is tuple or annotation is tuple:
        return {"pair"}
    plain = {float: "number", int: "number", str: "text", bool: "truth", type(None): "none"}
    return {plain[annotation]} if annotation in plain else set()


def _fits(value: Any, kind: str) -> bool:
    if kind == "number":
        if isinstance(value, (bool, np.bool_)):
            return False
        numeric = getattr(getattr(value, "dtype", None), "kind", "")
        # bfloat16 and its kin are of NumPy's kind V
        return isinstance(value, (int, float)) or (numeric in tuple("iufV") and np.ndim(value) == 0)
    if kind == "pair":
        return isinstance(value, (tuple, list, np.ndarray))
    if kind == "truth":
        return isinstance(value, (bool, np.bool_))
    return isinstance(value, str) if kind == "text" else value is None
