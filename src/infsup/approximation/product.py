"""Products of two numbers by squares, with their exact errors."""

from fractions import Fraction
from typing import Any

import numpy as np

from infsup.approximation.graph import FOLD, Form, Graph, form
from infsup.core.errors import UsageError
from infsup.networks.relu import ReLUNetwork

U, V = 0, 1
"""The nodes of the two inputs."""


def two_square_product(size_u: float | int, size_v: float | int, n: int) -> ReLUNetwork:
    """(u, v) -> about u v on [-size_u, size_u] x [-size_v, size_v], by two squares of n tent maps.

        M_u M_v (f_n(|a + b|) - f_n(|a - b|)),  a = u / (2 M_u),  b = v / (2 M_v)

    Both squares err to the same side, so the error is at most M_u M_v 4^-(n+1) (lemma L2). It is
    exactly 0 where u = 0 or v = 0, and on the edges |u| = M_u, |v| = M_v, because f_n(t) - t^2 is
    even about t = 1/2.

    Args:
        size_u: M_u, a power of two.
        size_v: M_v, a power of two.
        n: tent maps, >= 1.

    Raises:
        UsageError: a size is no power of two, or n < 1.
    """
    mu, mv = _size("size_u", size_u), _size("size_v", size_v)
    graph = Graph(2)
    a, b = form((1 / (2 * mu), U)), form((1 / (2 * mv), V))
    plus = _square_of(graph, form((1, a), (1, b)), _count(n), 1)
    minus = _square_of(graph, form((1, a), (-1, b)), n, 2)
    network, _ = graph.network(form((mu * mv, plus), (-mu * mv, minus)), np.dtype(np.float64))
    return network


def two_square_error(size_u: float | int, size_v: float | int, n: int) -> Fraction:
    """The sup of |two_square_product - u v|, exactly: M_u M_v 4^-(n+1)."""
    return Fraction(size_u) * Fraction(size_v) / 4 ** (n + 1)


def three_square_product(size: float | int, n: int) -> ReLUNetwork:
    """Yarotsky's form on [-M, M]^2: 2 M^2 (f_n(|u+v|/2M) - f_n(|u|/2M) - f_n(|v|/2M)).

    With delta = 4^-(n+1) its error is at most 6 M^2 delta by the triangle inequality and at most
    4 M^2 delta in truth, since all three squares err to the same side (theory row A04).

    Source: Yarotsky, Neural Networks 94 (2017), Proposition 3.
    """
    m = _size("size", size)
    graph = Graph(2)
    u, v = form((1 / (2 * m), U)), form((1 / (2 * m), V))
    parts = [(2 * m * m, form((1, u), (1, v))), (-2 * m * m, u), (-2 * m * m, v)]
    out = form(*((c, _square_of(graph, z, _count(n), k)) for k, (c, z) in enumerate(parts, 1)))
    network, _ = graph.network(out, np.dtype(np.float64))
    return network


def _square_of(graph: Graph, argument: Form, n: int, chain: int) -> int:
    fold = graph.unit(argument, FOLD, chain)
    return graph.square(form((2, fold), (-1, argument)), n, chain)


def _size(name: str, x: Any) -> Fraction:
    size = Fraction(x)
    if size <= 0 or 2 ** round(float(np.log2(float(size)))) != size:
        raise UsageError(
            f"`{name}` of a product is {x}", "Weights are exact for a power of two.", f"{name}=2.0"
        )
    return size


def _count(n: int) -> int:
    if not isinstance(n, int) or n < 1:
        raise UsageError(f"`n` of a product is {n!r}", "It counts tent maps, >= 1.")
    return n
