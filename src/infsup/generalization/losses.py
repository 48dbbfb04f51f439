"""Losses of one row: prediction and target to a number."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

LOSSES = ("cross_entropy", "logistic", "squared")
LABELLED = ("cross_entropy", "logistic")
"""Losses of labels 0..k-1; the others are of real targets."""


def cross_entropy(z: Any, y: Any) -> Any:
    """The loss log sum_k exp z_k - z_y, of logits z[k] and a label y in 0..k-1; >= 0."""
    return jax.nn.logsumexp(z) - z[y]


def logistic(z: Any, y: Any) -> Any:
    """The loss log(1 + exp z) - y z, of a scalar logit z and a label y in {0, 1}; >= 0."""
    # as softplus of the margin's negative: no difference of large numbers
    return jax.nn.softplus(jnp.where(y == 1, -z, z))


def squared(z: Any, y: Any) -> Any:
    """The loss |z - y|^2, of a value z and a target y of one shape; >= 0."""
    return jnp.sum(jnp.square(z - y))


def of(loss: str | Callable) -> Callable:
    """The function of a name; a function is itself."""
    table = {"cross_entropy": cross_entropy, "logistic": logistic, "squared": squared}
    return table[loss] if isinstance(loss, str) else loss


def self_concordance(loss: Any, longest: float) -> float | None:
    r"""R of the mean loss of an affine model with |D^3 f[u, v, v]| <= R |u| D^2 f[v, v].

    Derived here; `longest` is max_i |(x_i, 1)| (without the 1 where there is no bias), u a
    direction in the space of (W, b) with the Euclidean norm, a = U (x, 1) its logits.

    - cross entropy: the log-partition's second and third differentials are cumulants of a label
      drawn with the softmax probabilities, D^3[u, v, v] = E (a - Ea)(c - Ec)^2, at most
      max|a - Ea| <= max_k a_k - min_l a_l times the variance of c; and
      a_k - a_l = (e_k - e_l)^T U (x, 1) <= sqrt2 |U| |(x, 1)|. So R = sqrt2 longest.
    - logistic: f''' = (1 - 2s) f'' for one logit, and |a| <= |u| |(x, 1)|. So R = longest.
    - squared: D^3 = 0. So R = 0.

    A mean over rows keeps the inequality, and a ridge adds 0 on the left, >= 0 on the right.
    """
    if loss == "squared":
        return 0.0
    if loss not in LABELLED:
        return None
    # up by more than the rounding of the norm
    return (math.sqrt(2.0) if loss == "cross_entropy" else 1.0) * longest * (1.0 + 1e-12)
