"""Optimal transport between Gaussians, in closed form: the distance and the map."""

from typing import Any

import numpy as np
from jaxtyping import Float

from infsup.core.errors import HypothesisError, UsageError

TOLERANCE = 1e-10
"""Relative: an eigenvalue above -TOLERANCE |A| counts as 0, an asymmetry below it as rounding."""


def gaussian_w2(
    mean_a: Float[np.ndarray, "*batch d"],
    covariance_a: Float[np.ndarray, "*batch d d"],
    mean_b: Float[np.ndarray, "*batch d"],
    covariance_b: Float[np.ndarray, "*batch d d"],
) -> Float[np.ndarray, "*batch"] | float:
    r"""W2 between N(mean_a, A) and N(mean_b, B).

    Formula: W2^2 = |mean_a - mean_b|^2 + |A^(1/2) - B^(1/2) U|_F^2 with U the orthogonal polar
    factor of B^(1/2) A^(1/2). It equals tr(A + B - 2 (A^(1/2) B A^(1/2))^(1/2)), without its
    cancellation where A is near B.

    Args:
        mean_a: [..., d].
        covariance_a: [..., d, d], symmetric positive semidefinite; singular ones are taken.
        mean_b: as `mean_a`.
        covariance_b: as `covariance_a`.

    Returns:
        [...], float64.

    Raises:
        UsageError: shapes that do not fit, a matrix that is not symmetric positive semidefinite.

    Source: C. R. Givens and R. M. Shortt, Michigan Math. J. 31 (1984) 231-240; R. Bhatia, T. Jain
    and Y. Lim, Expo. Math. 37 (2019) 165-191, theorem 1 (the form with U).
    """
    a, b = _root(covariance_a, "covariance_a"), _root(covariance_b, "covariance_b")
    m = np.asarray(mean_a, np.float64) - np.asarray(mean_b, np.float64)
    if a.shape != b.shape or m.shape != a.shape[:-1]:
        raise UsageError(
            f"the means have shape {m.shape}, the covariances {a.shape} and {b.shape}",
            remedy="means [..., d] and covariances [..., d, d]",
        )
    left, _, right = np.linalg.svd(a @ b)
    gap = a - b @ np.swapaxes(left @ right, -1, -2)
    w2 = np.sqrt((m * m).sum(-1) + (gap * gap).sum((-1, -2)))
    return float(w2) if w2.ndim == 0 else w2


def gaussian_map(
    covariance_a: Float[np.ndarray, "*batch d d"], covariance_b: Float[np.ndarray, "*batch d d"]
) -> Float[np.ndarray, "*batch d d"]:
    r"""The matrix T of the optimal map x -> mean_b + T (x - mean_a) from N(., A) to N(., B).

    Formula: T = A^(-1/2) (A^(1/2) B A^(1/2))^(1/2) A^(-1/2), with the pseudo-inverse where A is
    singular: T A T = B, and T is symmetric positive semidefinite.

    Args:
        covariance_a: [..., d, d], symmetric positive semidefinite.
        covariance_b: likewise.

    Raises:
        UsageError: shapes that do not fit, a matrix that is not symmetric positive semidefinite.
        HypothesisError: B spreads where A does not, so that no map takes the one to the other.

    Source: I. Olkin and F. Pukelsheim, Linear Algebra Appl. 48 (1982) 257-263.
    """
    a, b = _root(covariance_a, "covariance_a"), _root(covariance_b, "covariance_b")
    if a.shape != b.shape:
        raise UsageError(f"`covariance_a` has shape {a.shape}, `covariance_b` {b.shape}")
    inverse = np.linalg.pinv(a, rcond=1e-8, hermitian=True)
    left, middle, _ = np.linalg.svd(a @ b)
    # a b (a b)' = a B a, so the root of a B a has the singular values of a b
    root = (left * middle[..., None, :]) @ np.swapaxes(left, -1, -2)
    found = inverse @ root @ inverse
    found = (found + np.swapaxes(found, -1, -2)) / 2
    wanted, got = b @ b, found @ a @ a @ found
    if (_size(got - wanted) > 1e-6 * (_size(wanted) + 1e-300)).any():
        raise HypothesisError(
            "`covariance_b` spreads in a direction in which `covariance_a` does not",
            "No map takes a law on a subspace to one outside it; a plan does.",
            "gaussian_w2, which needs no map",
        )
    return found


def _size(matrix: np.ndarray) -> Any:
    return np.sqrt((matrix * matrix).sum((-1, -2)))


def _root(covariance: np.ndarray, name: str) -> np.ndarray:
    """The symmetric root of positive semidefinite matrices [..., d, d]."""
    c = np.asarray(covariance)
    if c.ndim < 2 or c.shape[-1] != c.shape[-2] or c.dtype.kind not in "fiu":
        raise UsageError(f"`{name}` is {c.dtype}{list(c.shape)}", remedy="an array [..., d, d]")
    c = c.astype(np.float64)
    if not np.isfinite(c).all():
        raise UsageError(f"`{name}` holds NaN or inf")
    scale = np.abs(c).max((-1, -2), initial=0.0)
    if (np.abs(c - np.swapaxes(c, -1, -2)).max((-1, -2), initial=0.0) > TOLERANCE * scale).any():
        raise UsageError(f"`{name}` is not symmetric", remedy="(C + C.T) / 2")
    values, axes = np.linalg.eigh((c + np.swapaxes(c, -1, -2)) / 2)
    if (values[..., 0] < -TOLERANCE * scale).any():
        raise UsageError(
            f"`{name}` has the eigenvalue {values[..., 0].min():.3g}",
            "A covariance is positive semidefinite.",
        )
    return (axes * np.sqrt(np.maximum(values, 0.0))[..., None, :]) @ np.swapaxes(axes, -1, -2)
