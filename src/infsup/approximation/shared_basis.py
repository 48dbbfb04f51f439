"""The squares that the cells share: their polynomials, and what an error in one does to others.

In the coordinate u in [-1, 1] square k is A_k = f_m(|l_k|), where l_k is affine in u and in earlier
squares; without the errors of the f_m, l_k and A_k are polynomials. With w = u^2 - 1 the functions
that vanish at both ends of a cell are spanned, up to degree p = 2, 4, 6 or 8, by the first p - 1 of

    phi_2 = w, phi_3 = u w, phi_4 = w^2, phi_5 = u w^2, phi_6 = u^2 w^2, phi_7 = u w^3, phi_8 = w^4,

and each of these is affine in the squares

    A_1 = u^2,  A_2 = w^2,  A_3 = (u + w/2)^2,  A_4 = (s u w)^2,  A_5 = (a w + b u w)^2,
    A_6 = w^4,  A_7 = (c u w + d w^2)^2.

The factors s, a, b, c, d make |l_k| <= 1 with room for errors; l_1 and l_3 reach 1 at the ends
exactly. (Lemmas L1-L3 of the design; polarised products.)
"""

import functools
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

Poly = list[Fraction]
"""Coefficients of 1, u, u^2, ..."""

ORDERS = (2, 4, 6, 8)


class Chain(NamedTuple):
    """The argument l of one square: slope u + const + sum weights[k] A_k.

    Args:
        slope, const, weights: exact.
        folded: whether l takes both signs, so that |l| needs a unit; else l >= 0.
    """

    slope: Fraction
    const: Fraction
    weights: dict[int, Fraction]
    folded: bool


_UW = {3: Fraction(1), 1: Fraction(-1), 2: Fraction(-1, 4)}
"""u w in the squares."""
_S = Fraction(5, 2)
_A, _B = Fraction(39, 64), Fraction(88, 64)
_C, _D = Fraction(3, 2), Fraction(43, 64)


def _chain(slope, const, folded, *parts: tuple[Fraction, dict[int, Fraction]]) -> Chain:
    weights: dict[int, Fraction] = {}
    for factor, part in parts:
        for k, w in part.items():
            weights[k] = weights.get(k, Fraction(0)) + factor * w
    return Chain(Fraction(slope), Fraction(const), {k: w for k, w in weights.items() if w}, folded)


_ONE = Fraction(1)
CHAINS = (
    _chain(1, 0, True),
    _chain(0, 1, False, (-_ONE, {1: _ONE})),
    _chain(1, Fraction(-1, 2), True, (Fraction(1, 2), {1: _ONE})),
    _chain(0, 0, True, (_S, _UW)),
    _chain(0, -_A, True, (_A, {1: _ONE}), (_B, _UW)),
    _chain(0, 0, False, (_ONE, {2: _ONE})),
    _chain(0, 0, True, (_C, _UW), (_D, {2: _ONE})),
)

_UW2 = {4: 1 / _S**2}  # (u w)^2
BUMPS: dict[int, tuple[Fraction, dict[int, Fraction]]] = {
    2: (-_ONE, {1: _ONE}),
    3: (Fraction(0), _UW),
    4: (Fraction(0), {2: _ONE}),
    5: (
        Fraction(0),
        _chain(0, 0, True, (1 / (2 * _A * _B), {5: _ONE, 2: -(_A**2)}), (-_B / (2 * _A), _UW2))[2],
    ),
    6: (Fraction(0), _UW2),
    7: (
        Fraction(0),
        _chain(0, 0, True, (1 / (2 * _C * _D), {7: _ONE, 6: -(_D**2)}), (-_C / (2 * _D), _UW2))[2],
    ),
    8: (Fraction(0), {6: _ONE}),
}
"""phi_j = const + sum weights[k] A_k."""


@dataclass(frozen=True)
class Basis:
    """Polynomials of the first n squares.

    Args:
        arguments: l_k as polynomials.
        squares: A_k = l_k^2.
        spread: spread[k][j](u), the factor with which an error r_j of square j enters A_k, to first
            order: A_k - l_k^2 = sum_j spread[k][j] r_j + O(r^2).
        slopes: Lipschitz constants of the A_k in u, the squares f_m included.
    """

    arguments: list[Poly]
    squares: list[Poly]
    spread: list[list[Poly]]
    slopes: list[Fraction]


def basis_of(chains: tuple[Chain, ...]) -> Basis:
    """The polynomials of some chains; squares are numbered from 1."""
    return _basis_of(tuple((c.slope, c.const, tuple(c.weights.items())) for c in chains))


@functools.lru_cache(maxsize=16)
def _basis_of(chains: tuple) -> Basis:
    arguments: list[Poly] = []
    squares: list[Poly] = []
    spread: list[list[Poly]] = []
    slopes: list[Fraction] = []
    for number, (slope, const, weights) in enumerate(chains):
        line = add([const, slope], *(scale(w, squares[k - 1]) for k, w in weights))
        arguments.append(line)
        squares.append(times(line, line))
        twice = scale(Fraction(2), line)
        row = [
            times(twice, add(*(scale(w, spread[k - 1][j]) for k, w in weights)))
            for j in range(number)
        ]
        spread.append([*row, [Fraction(1)], *([[Fraction(0)]] * (len(chains) - number - 1))])
        slopes.append(2 * (abs(slope) + sum(abs(w) * slopes[k - 1] for k, w in weights)))
    return Basis(arguments, squares, spread, slopes)


def standard(p: int) -> Basis:
    """The basis for cell functions of degree p, one of `ORDERS`."""
    return basis_of(CHAINS[: p - 1])


@functools.cache
def bump_matrix(p: int) -> np.ndarray:
    """[p - 1, p]: row j - 2 holds phi_j as (const, A_1, ..., A_{p-1}), in float64."""
    rows = np.zeros((p - 1, p))
    for j in range(2, p + 1):
        const, weights = BUMPS[j]
        rows[j - 2, 0] = float(const)
        for k, w in weights.items():
            rows[j - 2, k] = float(w)
    return rows


def add(*polys: Poly) -> Poly:
    """Their sum."""
    out = [Fraction(0)] * max((len(p) for p in polys), default=1)
    for p in polys:
        for i, c in enumerate(p):
            out[i] += c
    return out


def scale(c: Fraction, p: Poly) -> Poly:
    """C times a polynomial."""
    return [c * x for x in p]


def times(p: Poly, q: Poly) -> Poly:
    """Their product, without leading zeros."""
    out = [Fraction(0)] * (len(p) + len(q) - 1)
    for i, a in enumerate(p):
        if a:
            for j, b in enumerate(q):
                out[i + j] += a * b
    while len(out) > 1 and not out[-1]:
        out.pop()
    return out
