r"""What executing a smooth network in floating point may add to its error.

With unit roundoff u and gamma_k = k u/(1 - k u), a sum of n products and a bias, in any order and
fused or not, misses the real one by at most gamma_{n+1} (|W| |h| + |b|) (Higham, Accuracy and
Stability of Numerical Algorithms, 2nd ed. 2002, section 3.1), and by n + 1 times the smallest
normal number where subnormals are flushed. An error e of an activation's argument becomes at most
L e, with its Lipschitz constant L.

Of the library's exp, tanh, erf, ... no bound is proved. Assumed is that an activation, on its
rounded argument z, errs by at most `UNITS` u max(1, |z|), and exp by `UNITS` u of its value; on
3,000 arguments each of XLA's on a CPU erred by at most 2.2 such u, in both dtypes.
"""

import math

import numpy as np

from infsup.approximation.smooth_network import Head, Layer, Network
from infsup.core.certificate import Hypothesis
from infsup.core.program import Program

UNITS = 8
ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24}
SMALLEST = {"float64": 2.0**-1022, "float32": 2.0**-126}
STEEPEST = {
    "tanh": 1.0,
    "sigmoid": 0.25,
    "softplus": 1.0,
    "silu": 1.0999,
    "gelu": 1.1290,
    "gelu_by_tanh": 1.1291,
    "sin": 1.0,
    "cos": 1.0,
}
"""Lipschitz constants, rounded up. x Phi(x) is steepest at x = sqrt 2."""
BOUNDED = ("tanh", "sigmoid", "sin", "cos")
AT_ZERO = {"sigmoid": 0.5, "softplus": 0.6932, "cos": 1.0}
LARGEST_EXPONENT = 80.0
"""exp of more overflows in float32."""
OUTWARD = 1 + 1e-6
"""Far more than the rounding of the float64 sums of non-negative numbers below."""


def rounded(network: Network | Program, dtype: str) -> Network | Program:
    """The network whose weights are rounded to a dtype; itself for "real" and "float64"."""
    if dtype != "float32" or isinstance(network, Program):
        return network

    def cut(a: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return a.astype(np.float32).astype(np.float64)

    if isinstance(network, Head):
        return Head(*map(cut, network))
    return tuple(Layer(cut(W), cut(b), name) for W, b, name in network)


def hypotheses(network: Network, dtype: str) -> tuple[Hypothesis, ...]:
    """What the statement about the executed network rests on."""
    in_full = Hypothesis(f"products are summed in {dtype}, not in TF32 or bfloat16", "assumed")
    if not isinstance(network, Head) and {p.activation for p in network} <= {"identity", "square"}:
        return (in_full,)
    return (
        Hypothesis(
            f"the executor's activations err by at most {UNITS} u max(1, |z|), its exp by "
            f"{UNITS} u of its value; u is the roundoff of {dtype}",
            "assumed",
            "XLA on a CPU erred by at most 2.2 such u on 3,000 arguments each",
        ),
        in_full,
    )


def executed(network: Network, size: float, dtype: str) -> float:
    """An upper end of |network as executed - network| over |x| <= size.

    Args:
        network: its numbers, which the dtype holds.
        size: largest |x|.
        dtype: "float64" or "float32".
    """
    u, tiny = ROUNDOFF[dtype], SMALLEST[dtype]
    if isinstance(network, Head):
        return _head(network, size, u, tiny)
    h, e = np.array([size]), np.zeros(1)
    for W, b, name in network:
        weights, n, inputs = np.abs(W), W.shape[1], h + e
        # a flushed weight, input, product or sum is wrong by at most `tiny` each
        flushed = (n + 1) * tiny * (2 + inputs.max() + weights.max(initial=0.0))
        e = weights @ e + _gamma(n + 1, u) * (weights @ inputs + np.abs(b)) + flushed
        h = weights @ h + np.abs(b)
        h, e = _activated(name, h, e, u, tiny)
        h, e = h * OUTWARD, e * OUTWARD
    return float(e[0])


def _activated(
    name: str, z: np.ndarray, e: np.ndarray, u: float, tiny: float
) -> tuple[np.ndarray, np.ndarray]:
    """Size and error of an activation's values, from size and error of its arguments."""
    far = z + e
    if name == "identity":
        return z, e
    if name == "square":
        return z * z, 2 * far * e + u * far**2 + tiny
    if name == "exp":
        if far.max() > LARGEST_EXPONENT:
            return far, np.full_like(far, math.inf)
        moved = np.exp(far) * e
        return np.exp(z), moved + UNITS * u * np.exp(z) * (1 + moved) + tiny
    h = AT_ZERO.get(name, 0.0) + STEEPEST[name] * z
    h = np.minimum(h, 1.0) if name in BOUNDED else h
    return h, STEEPEST[name] * e + UNITS * u * np.maximum(1.0, far) + tiny


def _head(network: Head, size: float, u: float, tiny: float) -> float:
    """A softmax head: scores, differences to the largest, exponentials, quotient of two sums.

    A score is off by d, so a difference by 2 d + u |difference|, an exponential by that in
    relative terms and by `UNITS` u; numerator and denominator keep relative errors of their
    (positive) weights, so the value moves by at most 2 max|v| times the relative error.
    """
    slopes, offsets, values = (np.abs(a) for a in network)
    n = len(values)
    score = float((slopes * size + offsets).max())
    d = _gamma(2, u) * score + 3 * tiny * (2 + size + float(slopes.max()))
    off = 2 * d + u * (2 * score + 2 * d)
    if off > 0.1:
        return math.inf
    # below 1/2, so that r/(1 - r) <= r (1 + 2 r)
    relative = math.expm1(off) + 2 * UNITS * u + 2 * _gamma(n + 1, u) + 2 * u
    flushed = 4 * n * tiny
    most = float(values.max())
    return most * (2 * relative * (1 + 2 * relative) + flushed) * OUTWARD


def _gamma(k: int, u: float) -> float:
    return k * u / (1 - k * u)
