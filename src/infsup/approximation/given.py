"""A network that is there already, as the answer of a problem: it is certified and saved."""

from typing import ClassVar

import equinox as eqx

from infsup.approximation.problem import Approximate
from infsup.core.errors import UsageError
from infsup.core.method import DirectMethod


class Given(DirectMethod):
    """Takes the answer of `start` as it is: a trained network, or one of another library.

    Args:
        source: where it comes from, in words.

    Raises:
        UsageError: `solve` is called without `start`.
    """

    problems: ClassVar = (Approximate,)

    source: str = eqx.field(static=True, default="")

    def find(self, problem, start, key):
        if start is None:
            raise UsageError(
                "`Given` finds nothing by itself", remedy="solve(problem, Given(), start=network)"
            )
        return start
