r"""Sizes of the constructions in the literature, for the same function and the same error.

The papers print rates with constants, not unit counts of one function. What stands here is the
construction as printed, with its own formulas for mesh, degree and accuracy, and its units counted
by us; each function says how. Counts are for comparison: they rest on sampled coefficients and
norms, and no certificate uses them. Everything a paper's network needs beside its products (the
hat functions of a partition of unity, carries from layer to layer) is left out, in its favour.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev

from infsup.core.errors import UsageError
from infsup.core.program import Program
from infsup.numerics.enclosure import DomainFault, Enclosure, NotSmooth, hull, upper

MOST_LEVELS = 80
MOST_DEGREE = 300
MOST_DERIVATIVES = 24
NORM_BOXES = 64
NODES = 2048
"""Chebyshev coefficients are read from this many points: enough for degree 1,000 in float64."""
BABY_STEPS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16)


@dataclass(frozen=True)
class Count:
    """How many ReLU units a construction of the literature needs.

    Args:
        units: their number.
        construction: its name.
        source: paper and number.
        counted: what was counted, in words.
        choices: its parameters (degree, mesh, levels) at the best choice.
    """

    units: int
    construction: str
    source: str
    counted: str
    choices: dict[str, int] = field(default_factory=dict)


def yarotsky(eps: float, n: int, norm: float, d: int = 1) -> Count:
    r"""Yarotsky's Theorem 1 for a function of d variables in [0, 1]^d with n derivatives.

    The construction: f/norm is replaced by sum_m phi_m P_m, with (N+1)^d products phi_m of hats
    and their Taylor polynomials P_m of degree n-1. The hats overlap 2^d-fold, and a Taylor
    remainder in the maximum norm of radius 1/N is at most d^n/n! N^-n, so the error is at most
    2^d d^n/n! N^-n. It is made eps/2 by

        N = ceil((n!/(2^d d^n) eps/2)^(-1/n)).

    The sum has at most d^n (N+1)^d terms, each a product of at most d + n - 1 factors of size at
    most 1, by as many products. Each is made with accuracy delta on factors of size at most
    M = d + n, and the errors of one term add to (d + n) delta. At most 2^d d^n terms are
    supported at a point, so delta = eps/(2^(d+1) d^n (d+n)) leaves eps/2.

    A product is xy = 2 M^2 [f_m(|x+y|/2M) - f_m(|x|/2M) - f_m(|y|/2M)] with the sawtooth square
    f_m, whose error 2^(-2m-2) gives at most 6 M^2 2^(-2m-2) <= delta.

    Args:
        eps: the sup-norm error, > 0.
        n: derivatives used, >= 1.
        norm: max over |k| <= n of sup |D^k f|.
        d: variables, >= 1.

    Returns:
        3 (2m + 2) units a product (two for an absolute value, two for a tooth), times terms, times
        d + n - 1 products a term.

    Source: D. Yarotsky, Error bounds for approximations with deep ReLU networks, Neural Networks
    94 (2017), Theorem 1 and Proposition 3.
    """
    e = eps / norm
    mesh = math.ceil((math.factorial(n) / (2**d * d**n) * e / 2) ** (-1.0 / n))
    accuracy = e / (2 ** (d + 1) * d**n * (d + n))
    levels = math.ceil(0.5 * math.log2(6 * (d + n) ** 2 / accuracy) - 1)
    terms = d**n * (mesh + 1) ** d
    return Count(
        terms * (d + n - 1) * 3 * (2 * levels + 2),
        "Yarotsky's Theorem 1",
        "Yarotsky 2017, Theorem 1 and Proposition 3",
        "3 (2m + 2) units a product; the hats are not counted",
        {"n": n, "mesh": mesh, "levels": levels},
    )


def best_yarotsky(eps: float, norms: Sequence[float], d: int = 1) -> Count:
    """The fewest units over the number of derivatives used.

    Args:
        eps: the sup-norm error, > 0.
        norms: entry n - 1 is the norm of `yarotsky` for n; infinite ones are passed over.
        d: variables.
    """
    counts = [yarotsky(eps, n, v, d) for n, v in enumerate(norms, 1) if math.isfinite(v)]
    return min(counts, key=lambda c: c.units)


def shallow_pieces(eps: float, integral: float) -> Count:
    r"""One hidden layer: the best continuous piecewise-linear function.

    On a short cell of length h the best line misses f by |f''| h^2/16. With error eps in every
    cell h = 4 sqrt(eps/|f''|), so the cells are (int sqrt|f''|)/(4 sqrt eps) in number as eps -> 0
    (the best continuous function attains the same: the errors at the knots have one sign and
    size). Derived here; the rate is classical (free-knot splines).

    Args:
        eps: the sup-norm error, > 0.
        integral: of sqrt|f''| over the domain.
    """
    return Count(
        max(1, math.ceil(integral / (4 * math.sqrt(eps)))),
        "best shallow piecewise-linear",
        "free-knot splines; constant derived in infsup.approximation.papers",
        "one unit a piece, as eps -> 0",
    )


# -- polynomials by squarings ---------------------------------------------------------------------

Form = tuple[dict[int, float], float]
"""An affine form: variable -> coefficient, and a constant; variable 0 is x, k > 0 a square."""


class Squarings:
    """A polynomial on [-1, 1] as affine forms and squares, with a bound for inexact squares.

    A square of |u| <= M by an m-fold sawtooth, shifted by half its error, misses u^2 by at most
    M^2 2^(-2m-3); an input that is e wrong adds 2 M e + e^2.
    """

    def __init__(self):
        self.squared: list[Form] = [({0: 1.0}, 0.0)]
        self.values = [np.array([0.0, 1.0])]
        self.sizes = [1.0]
        self.known: dict[Any, int] = {}

    def polynomial(self, f: Form) -> np.ndarray:
        """Chebyshev coefficients of a form."""
        total = np.array([f[1]])
        for k, c in f[0].items():
            total = chebyshev.chebadd(total, c * self.values[k])
        return total

    def square(self, f: Form) -> Form:
        key = (tuple(sorted(f[0].items())), f[1])
        if key not in self.known:
            p = self.polynomial(f)
            self.known[key] = len(self.squared)
            self.squared.append(f)
            self.values.append(chebyshev.chebmul(p, p))
            self.sizes.append(_largest(p))
        return {self.known[key]: 1.0}, 0.0

    def product(self, f: Form, g: Form) -> Form:
        """Two squares: f g = ab/4 [(f/a + g/b)^2 - (f/a - g/b)^2], a and b powers of two."""
        a, b = (_power_of_two(_largest(self.polynomial(h)) or 1.0) for h in (f, g))
        plus = self.square(total((1 / a, f), (1 / b, g)))
        minus = self.square(total((1 / a, f), (-1 / b, g)))
        return total((a * b / 4, plus), (-a * b / 4, minus))

    def polarised(self, f: Form, g: Form) -> Form:
        """One new square, where f^2 and g^2 are there: f g = [(f + g)^2 - f^2 - g^2]/2."""
        left, right = self.square(f), self.square(g)
        return total((0.5, self.square(total((1.0, f), (1.0, g)))), (-0.5, left), (-0.5, right))

    def used(self, out: Form) -> list[int]:
        """The squares on which a form depends."""
        found: set[int] = set()
        stack = [k for k in out[0] if k]
        while stack:
            k = stack.pop()
            if k not in found:
                found.add(k)
                stack += [i for i in self.squared[k][0] if i]
        return sorted(found)

    def error(self, out: Form, levels: dict[int, int]) -> float:
        """How far a form is wrong, when square k has `levels[k]` teeth."""
        wrong = {0: 0.0}
        for k, m in levels.items():
            e = sum(abs(c) * wrong[i] for i, c in self.squared[k][0].items())
            size = self.sizes[k]
            wrong[k] = 2 * size * e + e * e + (size + e) ** 2 * 2.0 ** (-2 * m - 3)
        return sum(abs(c) * wrong[k] for k, c in out[0].items())

    def plan(self, out: Form, eps: float, *, whole: bool = False) -> dict[int, int]:
        """Few teeth for a form to be right within eps: one number for all, then greedily fewer.

        Args:
            out: the form.
            eps: the error that is allowed.
            whole: also plan squares on which the form does not depend.
        """
        used = list(range(1, len(self.squared))) if whole else self.used(out)
        for m in range(1, MOST_LEVELS):
            levels = dict.fromkeys(used, m)
            if self.error(out, levels) <= eps:
                break
        else:
            raise ValueError(f"{MOST_LEVELS} levels do not suffice for {eps:g}")
        fewer = True
        while fewer:
            fewer = False
            for k in used:
                if levels[k] > 1:
                    levels[k] -= 1
                    if self.error(out, levels) <= eps:
                        fewer = True
                    else:
                        levels[k] += 1
        return levels


def total(*terms: tuple[float, Form]) -> Form:
    """A combination of forms."""
    coefficients: dict[int, float] = {}
    constant = 0.0
    for scale, (d, c) in terms:
        constant += scale * c
        for k, v in d.items():
            coefficients[k] = coefficients.get(k, 0.0) + scale * v
    return {k: v for k, v in coefficients.items() if v}, constant


def tree(c: np.ndarray, polarise: bool) -> tuple[Squarings, Form]:
    """sum_k c_k T_k by T_{a+b} = 2 T_a T_b - T_{a-b} with a - b in {0, 1}."""
    s = Squarings()
    chebs: list[Form] = [({}, 1.0), ({0: 1.0}, 0.0)]
    for k in range(2, len(c)):
        low, high = chebs[k // 2], chebs[k - k // 2]
        if k % 2 == 0:
            chebs.append(total((2.0, s.square(low)), (-1.0, chebs[0])))
        else:
            multiply = s.polarised if polarise else s.product
            chebs.append(total((2.0, multiply(low, high)), (-1.0, chebs[1])))
    return s, total(*((float(v), t) for v, t in zip(c, chebs, strict=False)))


def paterson_stockmeyer(c: np.ndarray, baby: int) -> tuple[Squarings, Form]:
    """sum_k c_k T_k with sqrt(degree) products: T_1, ..., T_baby, then division by T_{baby 2^j}.

    p = q T_K + r by T_K T_j = (T_{K+j} + T_{|K-j|})/2, both parts again so.
    """
    s = Squarings()
    chebs: dict[int, Form] = {0: ({}, 1.0), 1: ({0: 1.0}, 0.0)}

    def cheb(k: int) -> Form:
        if k not in chebs:
            low, high = cheb(k // 2), cheb(k - k // 2)
            if k % 2 == 0:
                chebs[k] = total((2.0, s.square(low)), (-1.0, chebs[0]))
            else:
                multiply = s.polarised if k + 1 <= baby else s.product
                chebs[k] = total((2.0, multiply(low, high)), (-1.0, chebs[1]))
        return chebs[k]

    def evaluate(c: np.ndarray) -> Form:
        c = np.trim_zeros(c, "b")
        n = len(c) - 1
        if n <= baby:
            return total(*((float(v), cheb(k)) for k, v in enumerate(c)))
        step = baby
        while 2 * step <= n:
            step *= 2
        quotient, rest = np.zeros(n - step + 1), c.copy()
        for j in range(n - step, 0, -1):
            quotient[j] = 2 * rest[step + j]
            rest[abs(step - j)] -= rest[step + j]
            rest[step + j] = 0.0
        quotient[0] = rest[step]
        left, right = evaluate(quotient), evaluate(rest[:step])
        if not left[0]:
            return total((left[1], cheb(step)), (1.0, right))
        return total((1.0, s.product(left, cheb(step))), (1.0, right))

    for k in range(2, baby + 1):
        cheb(k)
    return s, evaluate(np.asarray(c, float))


def _largest(c: np.ndarray) -> float:
    """The largest |p| on [-1, 1], from above, by values at 400 degree points (Ehlich-Zeller)."""
    from scipy.fft import dct

    degree = len(c) - 1
    if degree <= 0:
        return abs(float(c[0])) if len(c) else 0.0
    n = 400 * degree
    padded = np.zeros(n + 1)
    padded[: len(c)] = c
    padded[1:-1] /= 2
    values: Any = dct(padded, type=1)
    return float(np.abs(values).max()) / math.cos(degree * math.pi / (2 * n))


def _power_of_two(x: float) -> float:
    return 2.0 ** math.ceil(math.log2(x))


def truncated(c: np.ndarray, eps: float) -> tuple[np.ndarray, float]:
    """The shortest beginning of a Chebyshev series whose tail is at most eps/2, and that tail."""
    tails = np.append(np.cumsum(np.abs(c)[::-1])[::-1][1:], 0.0)
    n = int(np.argmax(tails <= eps / 2))
    return c[: n + 1], float(tails[n])


def chebyshev_tree(eps: float, c: np.ndarray, polarise: bool = False) -> Count:
    r"""The Chebyshev tree of Opschoor and Schwab.

    T_{m+n} = 2 T_m T_n - T_{|m-n|} makes all T_k up to the degree, and the output weights are the
    Chebyshev coefficients. Even degrees cost one square; odd ones cost a product, which is two
    squares, or one where the squares of both factors are there (`polarise`, not in the paper).
    Half of eps goes to the tail of the series; the number of teeth of every square is the least
    that our error propagation allows (the paper's bounds ask for more).

    Args:
        eps: the sup-norm error, > 0.
        c: Chebyshev coefficients on the domain mapped to [-1, 1].
        polarise: one square an odd degree in place of two.

    Returns:
        2m + 1 units a square with m teeth (two for the absolute value, two a tooth, of which the
        last needs one).

    Source: J. A. A. Opschoor and C. Schwab, Deep ReLU networks and high-order finite element
    methods II: Chebyshev emulation, arXiv 2310.07261, the construction; units counted by us.
    """
    kept, tail = truncated(c, eps)
    s, out = tree(kept, polarise)
    levels = s.plan(out, eps - tail, whole=True)
    return Count(
        sum(2 * m + 1 for m in levels.values()),
        "Chebyshev tree, polarised" if polarise else "Chebyshev tree",
        "Opschoor and Schwab, arXiv 2310.07261",
        "2m + 1 units a square of m teeth",
        {"degree": len(kept) - 1, "squares": len(levels)},
    )


def cheapest_polynomial(eps: float, c: np.ndarray) -> Count:
    r"""The cheapest of the Chebyshev trees and Paterson-Stockmeyer's method, as a whole network.

    Baby steps T_2, ..., T_k, then recursive division by T_{k 2^j}: about sqrt(degree) products in
    place of `degree`.

    Args:
        eps: the sup-norm error, > 0.
        c: Chebyshev coefficients on the domain mapped to [-1, 1].

    Returns:
        2m + 2 units a square with m teeth: those of the tree, and one that collects.

    Source: M. S. Paterson and L. J. Stockmeyer, SIAM J. Comput. 2 (1973), for the evaluation;
    in the Chebyshev basis, with ReLU squares, it is our own.
    """
    kept, tail = truncated(c, eps)
    babies = [k for k in BABY_STEPS if k < len(kept)]
    makers: list[tuple[str, Callable[[], tuple[Squarings, Form]]]] = [
        ("tree", lambda: tree(kept, False)),
        ("polarised tree", lambda: tree(kept, True)),
        *((f"{k} baby steps", lambda k=k: paterson_stockmeyer(kept, k)) for k in babies),
    ]
    found = []
    for name, make in makers:
        s, out = make()
        levels = s.plan(out, eps - tail)
        found.append((sum(2 * m + 1 for m in levels.values()), name, levels))
    _, name, levels = min(found, key=lambda f: f[0])
    return Count(
        sum(2 * m + 2 for m in levels.values()),
        f"Paterson-Stockmeyer ({name})",
        "Paterson and Stockmeyer 1973, in the Chebyshev basis with ReLU squares",
        "2m + 2 units a square of m teeth",
        {"degree": len(kept) - 1, "squares": len(levels)},
    )


def coefficients(values: Callable[[np.ndarray], np.ndarray], a: float, b: float) -> np.ndarray:
    """Chebyshev coefficients of the interpolant at `NODES` + 1 points of [a, b], by sampling."""
    from scipy.fft import dct

    t = np.cos(np.pi * np.arange(NODES + 1) / NODES)
    c: Any = dct(np.asarray(values((a + b) / 2 + (b - a) / 2 * t), np.float64), type=1)
    c = c / NODES
    c[0] /= 2
    c[-1] /= 2
    # what an even or odd function has of the other kind is rounding
    return np.where(np.abs(c) > 1e-16 * np.abs(c).max(), c, 0.0)


def sobolev_norms(f: Program, a: float, b: float) -> list[float]:
    """Norms of f in W^{n,inf}, n = 1, ..., 24, after [a, b] is mapped to [0, 1]: upper ends.

    Entry n - 1 is max over k <= n of sup |g^(k)| for g(t) = f(a + (b - a) t), by Taylor
    coefficients over 64 boxes; inf where a derivative is not bounded.
    """
    enclosure = Enclosure(f)
    edges = [a + (b - a) * i / NORM_BOXES for i in range(NORM_BOXES)] + [b]
    sizes = np.zeros(MOST_DERIVATIVES + 1)
    for low, high in itertools.pairwise(edges):
        box = hull(low, high)
        for n in (MOST_DERIVATIVES, 1):
            try:
                found = [upper(abs(c)) for c in enclosure.taylor(box, n)]
            except (NotSmooth, DomainFault):
                continue
            break
        else:
            found = []
        found += [math.inf] * (MOST_DERIVATIVES + 1 - len(found))
        sizes = np.maximum(sizes, found)
    scales = [math.factorial(k) * (b - a) ** k for k in range(MOST_DERIVATIVES + 1)]
    return np.maximum.accumulate(sizes * np.array(scales))[1:].tolist()


def papers_counts(problem: Any) -> dict[str, Count]:
    """What the constructions of the literature need for a problem with an eps.

    Args:
        problem: an `Approximate` whose f is a program and whose eps is given.

    Returns:
        Name -> count: "shallow", "Yarotsky", "Chebyshev tree", "Paterson-Stockmeyer"; those that
        do not fit (derivatives that are unbounded, coefficients that do not decay) are left out.

    Raises:
        UsageError: the problem has no eps, or no program.
    """
    if problem.eps is None or not isinstance(problem.f, Program):
        raise UsageError(
            "`problem` has no eps, or f is no program",
            "Sizes are compared at the same error.",
            'Approximate("exp(x)", (-1, 1), eps=1e-6)',
        )
    (a, b), eps = problem.domain, problem.eps
    found: dict[str, Count] = {}
    norms = sobolev_norms(problem.f, a, b)
    if math.isfinite(norms[1]):
        t = np.linspace(a, b, 20_001)
        bend = np.gradient(np.gradient(problem.values(t), t), t)
        integral = float(np.trapezoid(np.sqrt(np.abs(bend)), t))
        found["shallow"] = shallow_pieces(eps, integral)
    if math.isfinite(norms[0]):
        found["Yarotsky"] = best_yarotsky(eps, norms)
    c = coefficients(problem.values, a, b)
    decayed = np.isfinite(c).all() and len(truncated(c, eps)[0]) <= MOST_DEGREE
    if decayed and eps > 1e-14 * float(np.abs(c).sum()):
        found["Chebyshev tree"] = chebyshev_tree(eps, c)
        found["Paterson-Stockmeyer"] = cheapest_polynomial(eps, c)
    return found
