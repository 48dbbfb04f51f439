"""The sawtooth of the literature: few units, many pieces."""

import numpy as np

from infsup.core.errors import UsageError
from infsup.networks.relu import ReLUNetwork

MOST = 25
"""More pieces than 2^25 are nobody's picture."""


def tent(iterations: int) -> ReLUNetwork:
    r"""The k-th iterate of g(x) = 2x on [0, 1/2], 2 - 2x on [1/2, 1]: 2^k pieces.

    Two units a level, g(x) = 2 relu(x) - 4 relu(x - 1/2) on [0, 1].

    Args:
        iterations: k, from 1 to 25.

    Source: M. Telgarsky, arXiv:1509.08101 (2015).
    """
    if not 1 <= iterations <= MOST:
        raise UsageError(f"`iterations` is {iterations}", f"It is from 1 to {MOST}.")
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
