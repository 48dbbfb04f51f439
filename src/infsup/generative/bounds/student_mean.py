"""Means of summands without a known range: the end of several bounds."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from infsup.core.certificate import Certificate
from infsup.core.intervals import student_t


def student_mean(
    claim: Callable[..., Certificate],
    values: np.ndarray,
    delta: float,
    proof: Mapping[str, Any],
    *,
    what: str,
    least: float = -math.inf,
    fault: str = "",
) -> Certificate:
    """The mean of independent draws by Student's interval, or a refusal.

    Args:
        claim: makes the certificate of kind `asymptotic` from its two ends and further fields.
        values: the summands, [n].
        delta: nominal probability of a miss.
        proof: from which the checker has the values again.
        what: the summands in words, for the reason why no stronger kind is claimed.
        least: the least possible value of the mean.
        fault: why there is no mean, if there is none.
    """
    if not fault and not np.isfinite(values).all():
        fault = f"{(~np.isfinite(values)).sum()} of {len(values)} {what} are not finite"
    found = None if fault else student_t(values, delta)
    if found is None or found.refused:
        reason = fault or (found.refused if found else "")
        return claim(-math.inf, math.inf, verdict="refused", reason=reason)
    lower, upper = max(float(found.lower), least), float(found.upper)
    return claim(
        lower,
        upper,
        budget={"sampling": upper - lower},
        proof=proof,
        reason=unbounded(what),
    )


def unbounded(what: str) -> str:
    """Why a mean has no interval that holds at this sample size."""
    return f"{what} have no known range, so no interval of their mean holds at every sample size"
