"""A function of one variable by one softmax attention head."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from infsup.approximation.problem import ROUNDOFF, Approximate
from infsup.core.errors import HypothesisError, UsageError
from infsup.core.method import DirectMethod, Outcome
from infsup.core.precision import guard
from infsup.core.registry import register

MARGINS = (0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""Keys beyond each end of the domain, in distances between keys."""
SHARPNESS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7)
"""beta times the squared distance between keys."""
FITTED, SAMPLED = 6, 16
"""Points a key to fit at and to choose with."""


@register
class SoftmaxHead(eqx.Module):
    """sum_j softmax(x slopes + offsets)_j values_j: one attention head, with a scalar query x.

    Args:
        slopes: [keys], query weight times key.
        offsets: [keys], what a key's bias adds to its score.
        values: [keys].
    """

    slopes: Any
    offsets: Any
    values: Any

    def __call__(self, x):
        guard(self, "the head")
        scores = jnp.asarray(x, np.asarray(self.slopes).dtype) * self.slopes + self.offsets
        weights = jax.nn.softmax(scores)
        return jnp.matmul(weights, self.values, precision=jax.lax.Precision.HIGHEST)

    @property
    def softmax_head(self):
        """Slopes, offsets and values, for whoever reads the numbers."""
        return self.slopes, self.offsets, self.values


class AttentionHead(DirectMethod):
    r"""One softmax head with fitted values.

    Scores 2 beta x k - beta k^2 differ from -beta (x - k)^2 by what softmax does not see, so the
    weights are a partition of unity by equal Gaussian bumps at the keys k. With the values
    v_k = f(k), as in the constructions of universal approximation, the error is that of a moving
    average. Here the values are the least-squares solution at Chebyshev points (SVD in float64),
    and beta and the margin of keys beyond the domain are those of a small table with the least
    sum of sampled error and rounding, u max |v| (u of the problem's dtype, of float64 for "real").
    Flat bumps and values of some size win by orders of magnitude: derived here, no rate is claimed.
    `SmoothEnclosure` says what the stored head is worth.

    Args:
        keys: how many, in [4, 256].

    Raises:
        UsageError: another number of keys.
        HypothesisError: f is not finite on the domain.
    """

    problems: ClassVar = (Approximate,)
    needs_64_bit: ClassVar = True

    keys: int = eqx.field(static=True, default=32)

    def __check_init__(self):
        if (
            not isinstance(self.keys, int)
            or isinstance(self.keys, bool)
            or not 4 <= self.keys <= 256
        ):
            raise UsageError(
                f"`keys` of AttentionHead is {self.keys!r}",
                "It is a number in [4, 256].",
                "keys=32",
            )

    def find(self, problem, start, key):
        a, b = problem.domain
        u = ROUNDOFF[problem.dtype] or ROUNDOFF["float64"]
        dtype = np.float32 if problem.dtype == "float32" else np.float64
        points, tests = (_chebyshev(a, b, n * self.keys) for n in (FITTED, SAMPLED))
        wanted, truth = problem.values(points), problem.values(tests)
        if not (np.isfinite(wanted).all() and np.isfinite(truth).all()):
            raise HypothesisError(
                f"{problem.text} is not finite in float64 at a point of the domain",
                "The values are fitted to samples.",
            )
        best: tuple[float, SoftmaxHead] | None = None
        for margin in MARGINS:
            if self.keys - 1 - 2 * margin < 1:
                continue
            distance = (b - a) / (self.keys - 1 - 2 * margin)
            place = a + distance * (np.arange(self.keys) - margin)
            # scores relative to the middle: offsets of the size of slopes, whatever the domain
            for sharpness in SHARPNESS:
                beta = sharpness / distance**2
                middle = (a + b) / 2
                slopes = (2 * beta * (place - middle)).astype(dtype).astype(np.float64)
                offsets = -beta * (place - middle) ** 2 - slopes * middle
                offsets = offsets.astype(dtype).astype(np.float64)
                values, *_ = np.linalg.lstsq(weights(slopes, offsets, points), wanted, rcond=1e-13)
                values = values.astype(dtype).astype(np.float64)
                error = np.abs(weights(slopes, offsets, tests) @ values - truth).max()
                score = float(error + u * np.abs(values).max())
                if best is None or score < best[0]:
                    head = SoftmaxHead(*(c.astype(dtype) for c in (slopes, offsets, values)))
                    best = score, head
        assert best is not None
        return Outcome(best[1])


def weights(slopes: np.ndarray, offsets: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The softmax weights [n, keys] at points x [n], in float64."""
    scores = np.outer(x, slopes) + offsets
    e = np.exp(scores - scores.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _chebyshev(a: float, b: float, n: int) -> np.ndarray:
    """Points of [a, b], both ends among them, denser near the ends."""
    x = (a + b) / 2 + (b - a) / 2 * np.cos(np.linspace(0.0, np.pi, n))
    return np.clip(x, a, b)
