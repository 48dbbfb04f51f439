"""What a Lipschitz function may be between its known values, and the best guess."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from infsup.core.errors import HypothesisError, UsageError

BLOCK = 1 << 22
"""Distances held at a time."""


class Band(NamedTuple):
    """Where the function lies.

    Args:
        lower: f^l at the points, [n].
        upper: f^u at the points, [n].
    """

    lower: Float[np.ndarray, " n"]
    upper: Float[np.ndarray, " n"]

    @property
    def centre(self) -> Float[np.ndarray, " n"]:
        """(f^l + f^u)/2: of all guesses the one with the least worst error, `radius`."""
        return (self.lower + self.upper) / 2

    @property
    def radius(self) -> Float[np.ndarray, " n"]:
        """(f^u - f^l)/2; no guess from these values can promise less."""
        return (self.upper - self.lower) / 2


def lipschitz_band(
    x: Float[np.ndarray, "n d"],
    points: Float[np.ndarray, "m d"],
    values: Float[np.ndarray, " m"],
    lipschitz: float,
) -> Band:
    r"""The envelopes of all functions with |f(x) - f(y)| <= M |x - y| through known values.

    Formula: f^u(x) = min_i y_i + M|x - x_i|, f^l(x) = max_i y_i - M|x - x_i|. Both are such
    functions themselves, which is why the centre is optimal. Plain float64.

    Args:
        x: where to say something, [n, d].
        points: where the function is known, [m, d].
        values: its values there.
        lipschitz: M >= 0, in the Euclidean norm.

    Raises:
        UsageError: shapes that do not fit, or M out of its range.
        HypothesisError: two values differ by more than M allows; names them.

    Source: G. Beliakov, J. Comput. Appl. Math. 196 (2006) 20-44; A. G. Sukharev, Minimax
    Models in the Theory of Numerical Methods (1992).
    """
    x, points, values = (np.asarray(v, np.float64) for v in (x, points, values))
    if not 0 <= lipschitz < np.inf:
        raise UsageError(f"`lipschitz` is {lipschitz}", "It is finite and not negative.")
    if x.ndim != 2 or points.shape != (len(values), x.shape[1]) or len(values) == 0:
        raise UsageError(
            f"`x` is {list(x.shape)}, `points` {list(points.shape)}, `values` {list(values.shape)}",
            remedy="x [n, d], points [m, d], values [m]",
        )
    _consistent(points, values, lipschitz)
    parts = []
    step = max(1, BLOCK // len(values))
    for at in range(0, len(x), step):
        far = lipschitz * _distances(x[at : at + step], points)
        parts.append((np.max(values - far, 1), np.min(values + far, 1)))
    lower, upper = (np.concatenate(p) if parts else np.zeros(0) for p in zip(*parts, strict=True))
    return Band(lower, upper)


def _consistent(points: np.ndarray, values: np.ndarray, lipschitz: float) -> None:
    step = max(1, BLOCK // len(values))
    for at in range(0, len(values), step):
        far = _distances(points[at : at + step], points)
        room = lipschitz * far * (1 + 1e-12) + 1e-12 * np.abs(values).max()
        i, j = np.unravel_index(
            np.argmax(np.abs(values[at : at + step, None] - values) - room), far.shape
        )
        gap = abs(values[at + i] - values[j])
        if gap > room[i, j]:
            raise HypothesisError(
                f"`values` {at + i} and {j} differ by {gap:.6g} over a distance of {far[i, j]:.6g}",
                f"No function with the constant {lipschitz:g} does that.",
                f"lipschitz={gap / max(far[i, j], 1e-300):.6g} or more",
            )


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.sqrt(np.sum((x[:, None] - y) ** 2, -1))
