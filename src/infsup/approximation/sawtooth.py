"""The sawtooth networks of the literature, exactly: tents, squares, and products."""

import numpy as np

from infsup.core.errors import UsageError
from infsup.networks.relu import ReLUNetwork

MOST = 25
"""Levels up to which every weight and every product of weights is a short dyadic number."""


def tent(iterations: int) -> ReLUNetwork:
    r"""The k-th iterate of g(x) = 2x on [0, 1/2], 2 - 2x on [1/2, 1]: 2^k pieces.

    Two units a level, g(x) = 2 relu(x) - 4 relu(x - 1/2) on [0, 1].

    Args:
        iterations: k, from 1 to 25.

    Source: M. Telgarsky, arXiv:1509.08101 (2015).
    """
    _levels("iterations", iterations)
    levels, nodes = [], 1
    for k in range(iterations):
        w = np.zeros((2, nodes))
        if k == 0:
            w[:, 0] = 1.0
        else:
            w[:, -2:] = [2.0, -4.0]
        levels.append((w, np.array([0.0, -0.5])))
        nodes += 2
    out = np.zeros((1, nodes))
    out[0, -2:] = [2.0, -4.0]
    return ReLUNetwork(1, levels, (out, np.zeros(1)))


def sawtooth_square(m: int) -> ReLUNetwork:
    r"""f_m(x) = x - sum_{s <= m} g^s(x)/4^s on [0, 1], with skip connections to the output.

    It interpolates x^2 at the multiples of 2^-m, so sup |x^2 - f_m| = 4^-(m+1), at the midpoints.

    Args:
        m: levels, from 1 to 25.

    Source: D. Yarotsky, Neural Networks 94 (2017) 103-114, Proposition 2.
    """
    teeth = tent(m)
    out = np.zeros((1, 1 + 2 * m))
    out[0, 0] = 1.0
    for s in range(1, m + 1):
        out[0, 2 * s - 1 : 2 * s + 1] = [-2.0 * 4.0**-s, 4.0 * 4.0**-s]
    return ReLUNetwork(1, teeth.levels, (out, np.zeros(1)))


def narrow_square(m: int) -> ReLUNetwork:
    r"""The same function without skip connections: width 3, and 7m - 2 nonzero weights and biases.

    Derived here: what is carried is t_j = f_j + c_j g^j with c_j = -4^-j + 2^(-j-m), which is not
    negative on [0, 1], so relu keeps it; t_j = t_{j-1} + b_j relu(g^{j-1} - 1/2) with b_j = 4^(1-j)
    - 4 c_j, and t_m = f_m, as c_m = 0.

    Args:
        m: hidden layers, from 1 to 25.

    Source: P. Petersen and J. Zech, arXiv:2407.18384, Proposition 7.2, asks for width 3, depth m
    and size at most 7 m.
    """
    _levels("m", m)
    levels, nodes, size = [], 1, 1
    first = 2.0**-m
    for j in range(1, m + 1):
        width = 2 if j == 1 else 3
        w = np.zeros((width, nodes))
        bias = np.array([0.0, -0.5, 0.0])[:width]
        if j == 1:
            w[:, 0] = 1.0
        else:
            # g^(j-1) from the last two units, t_(j-1) from the carried one
            w[:2, nodes - size : nodes - size + 2] = [2.0, -4.0]
            w[2, -size:] = _carried(j - 1, m, first)
        levels.append((w, bias))
        nodes += width
        size = width
    out = np.zeros((1, nodes))
    out[0, -size:] = _carried(m, m, first)
    return ReLUNetwork(1, levels, (out, np.zeros(1)))


def _carried(j: int, m: int, first: float) -> list[float]:
    """The row that makes t_j of the units of level j: (g, tooth) or (g, tooth, t_(j-1))."""
    c = -(4.0**-j) + 2.0 ** (-j - m)
    b = 4.0 ** (1 - j) - 4.0 * c
    return [first, b] if j == 1 else [0.0, b, 1.0]


def sawtooth_product(m: int, bound: float = 1.0) -> ReLUNetwork:
    r"""About x y on [-M, M]^2: 2 M^2 (f_m(|x+y|/2M) - f_m(|x|/2M) - f_m(|y|/2M)).

    The errors of the three squares have one sign, so they do not add up: the error is at most, and
    exactly, 4 M^2 4^-(m+1); Yarotsky's estimate is 6 M^2 4^-(m+1). Zero where x or y is.

    Args:
        m: levels of the squares, from 1 to 20.
        bound: M, a power of two, so that all weights are exact.

    Source: D. Yarotsky, Neural Networks 94 (2017) 103-114, Proposition 3.
    """
    _levels("m", m)
    if not bound > 0 or np.frexp(bound)[0] != 0.5:
        raise UsageError(f"`bound` is {bound}", "A power of two, so that no weight is rounded.")
    square = sawtooth_square(m)

    def part(row: list[float]) -> ReLUNetwork:
        w = np.array([row, [-row[0], -row[1]]]) / (2 * bound)
        size = ReLUNetwork(2, ((w, np.zeros(2)),), (np.array([[0.0, 0.0, 1.0, 1.0]]), np.zeros(1)))
        return square @ size

    both, left, right = part([1.0, 1.0]), part([1.0, 0.0]), part([0.0, 1.0])
    return (2.0 * bound**2) * (both - left - right)


def _levels(name: str, k: int) -> None:
    if not 1 <= k <= MOST:
        raise UsageError(f"`{name}` is {k}", f"It is from 1 to {MOST}.")
