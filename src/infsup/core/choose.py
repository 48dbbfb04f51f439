"""Which method and which bounds, and why: pure in structure, dimension, dtype and eps."""

import importlib
import importlib.util
import sys
from functools import singledispatch
from typing import NamedTuple

from infsup.core.bound import Bound
from infsup.core.errors import UsageError
from infsup.core.method import Method


class Choice(NamedTuple):
    """A method, bounds (the headline first), and the reason in one sentence."""

    method: Method | None
    bounds: tuple[Bound, ...]
    why: str


@singledispatch
def choose(problem) -> Choice:
    """The default method and bounds of a problem.

    Each pillar registers its problem types in its `choose.py`, which is imported when a problem of
    that pillar is first asked about, so the answer does not depend on what was imported before.
    Outside the package: `@infsup.choose.register`.

    Raises:
        UsageError: nothing is registered for this class of problem.
    """
    for cls in type(problem).__mro__:
        home = cls.__module__.rpartition(".")[0] + ".choose"
        if home.startswith("infsup.") and home != __name__ and home not in sys.modules:
            if importlib.util.find_spec(home) is None:
                continue
            importlib.import_module(home)
            return choose(problem)
    raise UsageError(
        f"no default is registered for `{type(problem).__name__}`",
        remedy="solve(problem, method, bounds=(bound,))   or   @infsup.choose.register",
    )
