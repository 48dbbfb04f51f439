"""The Riccati equation of an affine-quadratic problem, and the law that it gives."""

import math
import weakref
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy  # its parts are imported when they are first used

from infsup.control.feedback import AffineFeedback
from infsup.control.problem import ControlProblem
from infsup.control.structure import CONSTANT, LQ, Structure, affine_functions, structure_of
from infsup.core.errors import HypothesisError, UsageError
from infsup.core.method import DirectMethod, Outcome
from infsup.core.problem import Problem

LEAST, MOST = 32, 4096
"""Intervals of the table of gains."""
PANEL = 4
"""Gauss-Legendre nodes in an interval, for the integral of the noise."""


class Quadratic(NamedTuple):
    """Coefficients at one time, in z = (x, 1): dz = (F z + B u)dt + noise, l = z'Qz + 2z'Nu + u'Ru.

    Args:
        F: [d + 1, d + 1].
        B: [d + 1, m].
        Q: [d + 1, d + 1].
        N: [d + 1, m].
        R: [m, m].
        noise: sigma sigma' with a zero row and column, [d + 1, d + 1].
    """

    F: np.ndarray
    B: np.ndarray
    Q: np.ndarray
    N: np.ndarray
    R: np.ndarray
    noise: np.ndarray

    def gain(self, P: np.ndarray) -> np.ndarray:
        """K with u = -Kz the minimiser of l + grad V.(Fz + Bu): R^-1 (B'P + N')."""
        return np.linalg.solve(self.R, self.B.T @ P + self.N.T)

    def slope(self, P: np.ndarray) -> np.ndarray:
        """dP/dt = -(Q + F'P + PF - K'RK) - e e' tr(noise P), e the last unit vector."""
        K = self.gain(P)
        S = self.Q + self.F.T @ P + P @ self.F - K.T @ self.R @ K
        S = (S + S.T) / 2
        S[-1, -1] += float(np.sum(self.noise * P))
        return -S


class ValueTable(NamedTuple):
    """V(t, x) = z'P(t)z, z = (x, 1), and the optimal u = -K(t)z, at nodes of time.

    Args:
        times: [n + 1], from 0 to T.
        P: [n + 1, d + 1, d + 1].
        K: [n + 1, m, d + 1].
        dK: its time derivative.
        between: largest error of the cubic Hermite interpolant of K, seen at the midpoints.
        error: estimated error of z0'P(0)z0.
    """

    times: np.ndarray
    P: np.ndarray
    K: np.ndarray
    dK: np.ndarray
    between: float
    error: float

    @property
    def gain(self) -> Any:
        """The interpolant of K."""
        return scipy.interpolate.CubicHermiteSpline(self.times, self.K, self.dK)


def _in_z(parts: tuple, d: int, m: int) -> Quadratic:
    A, B, e, W, noise = (np.asarray(a, np.float64) for a in parts)
    F, S = np.zeros((d + 1, d + 1)), np.zeros((d + 1, d + 1))
    F[:d, :d], F[:d, d], S[:d, :d] = A, e, noise
    z, u = [*range(d), d + m], slice(d, d + m)
    return Quadratic(F, np.vstack([B, np.zeros((1, m))]), W[np.ix_(z, z)], W[z, u], W[u, u], S)


def coefficients_of(problem: Any, s: Structure) -> Callable[[float], tuple[Quadratic, Quadratic]]:
    """T -> coefficients and their time derivatives, NumPy."""
    d, m = problem.x0.size, problem.controls
    if not s.holds(*CONSTANT):
        functions = s.functions
        # asked thousands of times, so the arrays of the functions are constants here

        @jax.jit
        def with_rates(t):
            def parts(r):
                return affine_functions(functions, r, d, m)

            return jax.jvp(parts, (t,), (jnp.ones_like(t),))

        def at(t: float) -> tuple[Quadratic, Quadratic]:
            value, rate = with_rates(float(t))
            return _in_z(value, d, m), _in_z(rate, d, m)

        return at
    c = s.at_zero
    assert c is not None
    fixed = _in_z((c.A, c.B, c.e, c.W, c.noise), d, m)
    still = Quadratic(*(np.zeros_like(a) for a in fixed))
    return lambda t: (fixed, still)


_recent: list[tuple[weakref.ref, float, ValueTable]] = []
"""Bounds ask for the table of the same frozen problem several times in a row."""


def value_table(problem: Any, s: Structure, tolerance: float) -> ValueTable:
    """P and K at so many nodes that interpolated gains meet `tolerance` relative to the largest.

    Raises:
        HypothesisError: the solution blows up inside the horizon.
    """
    for known, met, table in _recent:
        if known() is problem and met == tolerance:
            return table
    table = _refined(problem, s, tolerance)
    _recent[:] = [(weakref.ref(problem), tolerance, table), *_recent[:1]]
    return table


def _refined(problem: Any, s: Structure, tolerance: float) -> ValueTable:
    at, horizon = coefficients_of(problem, s), float(problem.horizon)
    solve = _solver(problem, s, at)
    z = np.append(problem.x0, 1.0)
    nodes = LEAST
    coarse = _table(at, solve, np.linspace(0.0, horizon, nodes + 1))
    while True:
        nodes *= 2
        fine = _table(at, solve, np.linspace(0.0, horizon, nodes + 1))
        between = float(np.abs(coarse.gain(fine.times[1::2]) - fine.K[1::2]).max())
        size = max(float(np.abs(fine.K).max()), 1e-300)
        if between <= tolerance * size or nodes >= MOST:
            break
        coarse = fine
    if s.holds(*CONSTANT):
        other = coarse  # exponentials of twice the length
    else:
        rough = _solver(problem, s, at, 1e-10)
        other = _table(at, rough, coarse.times)
    error = abs(float(z @ (fine.P[0] - other.P[0]) @ z))
    error += 1e-13 * float(np.abs(z) @ np.abs(fine.P[0]) @ np.abs(z))
    # the finer interpolant errs by about a sixteenth of what the coarser one does
    nodal = float(np.abs(other.K - fine.K[::2]).max()) + 1e-14 * size
    return fine._replace(between=between / 8 + nodal, error=error)


def table_at(problem: Any, s: Structure, nodes: int) -> np.ndarray:
    """P at `nodes` + 1 equidistant times."""
    solve = _solver(problem, s, coefficients_of(problem, s))
    return solve(np.linspace(0.0, float(problem.horizon), nodes + 1))


def _table(at: Callable, solve: Callable, times: np.ndarray) -> ValueTable:
    P = solve(times)
    K, dK = [], []
    for t, p in zip(times, P, strict=True):
        q, rate = at(t)
        k = q.gain(p)
        turn = rate.B.T @ p + q.B.T @ q.slope(p) + rate.N.T - rate.R @ k
        K.append(k)
        dK.append(np.linalg.solve(q.R, turn))
    return ValueTable(times, P, np.asarray(K), np.asarray(dK), 0.0, 0.0)


def _solver(problem: Any, s: Structure, at: Callable, rtol: float = 1e-12) -> Callable:
    """Times -> P; raises `HypothesisError` where it blows up."""
    c = s.at_zero
    assert c is not None
    assert c.G is not None
    G = c.G
    constant = s.holds(*CONSTANT)
    dense = None if constant else _integrated(at, G, float(problem.horizon), rtol)

    def solve(times: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            P = _by_exponentials(at, G, times) if constant else dense and dense(times)
        if P is None or not np.isfinite(P).all():
            raise HypothesisError(
                "the Riccati solution blows up inside the horizon",
                "Then the cost has no minimum: V(0, x0) is -inf, or no control attains it.",
                "a shorter `horizon`, or a cost that is convex in (x, u)",
            )
        return P

    return solve


def _by_exponentials(at: Callable, G: np.ndarray, times: np.ndarray) -> np.ndarray | None:
    """Constant coefficients: P after r is Y X^-1, (X, Y) = exp(r H)(I, P), exact but for rounding.

    The noise adds int tr(noise P) to the constant, by Gauss-Legendre quadrature in each interval.
    """
    q, _ = at(0.0)
    n = len(q.F)
    F = q.F - q.B @ np.linalg.solve(q.R, q.N.T)
    Q = q.Q - q.N @ np.linalg.solve(q.R, q.N.T)
    H = np.block([[-F, q.B @ np.linalg.solve(q.R, q.B.T)], [Q, F.T]])
    h = times[1] - times[0]
    # a long interval is cut, so that no exponential grows past what float64 can hold beside 1
    cuts = max(1, math.ceil(h * float(np.linalg.norm(H, 2)) / 4))
    if cuts * len(times) > 10**6:
        return None
    h = h / cuts
    x, w = np.polynomial.legendre.leggauss(PANEL)
    noisy = bool(q.noise.any())
    steps = [scipy.linalg.expm(H * t) for t in (*(h * (x + 1) / 2 if noisy else ()), h)]
    P, constant, table = np.array(G), 0.0, [np.array(G)]
    for _ in times[1:]:
        for _ in range(cuts):
            moved = []
            for E in steps:
                X, Y = E[:n, :n] + E[:n, n:] @ P, E[n:, :n] + E[n:, n:] @ P
                # X starts as the identity; where its determinant changes sign P has passed infinity
                if not np.linalg.slogdet(X)[0] > 0:
                    return None
                new = np.linalg.solve(X.T, Y.T)
                moved.append((new + new.T) / 2)
            if noisy:
                constant += h / 2 * float(w @ [np.sum(q.noise * p) for p in moved[:-1]])
            P = moved[-1]
        full = P.copy()
        full[-1, -1] += constant
        table.append(full)
    return np.asarray(table[::-1])


def _integrated(at: Callable, G: np.ndarray, horizon: float, rtol: float) -> Callable | None:
    """Time-varying coefficients: Dormand-Prince 8(5,3) backward in time, dense."""
    n = len(G)

    def field(s, p):
        return -at(horizon - s)[0].slope(p.reshape(n, n)).ravel()

    options = {"dense_output": True, "rtol": rtol, "atol": rtol / 10}
    with np.errstate(all="ignore"):
        found = scipy.integrate.solve_ivp(field, (0.0, horizon), G.ravel(), "DOP853", **options)
    if not found.success:
        return None
    return lambda times: found.sol(horizon - times).T.reshape(-1, n, n)


class Riccati(DirectMethod):
    """The optimal law of affine dynamics and quadratic cost, by the Riccati equation.

    For f = A(t)x + B(t)u + e(t), l quadratic in (x, u) with d2l/du2 > 0, g quadratic, noise that
    does not depend on x and u: V = z'P(t)z with z = (x, 1), u = -R^-1(B'P + N')z. Constant
    coefficients are solved by the exponential of the Hamiltonian matrix, others by an integrator of
    order 8. The gains are kept at nodes, doubled until cubic Hermite interpolation meets
    `tolerance`. Evidence `value`: P at the nodes.

    Args:
        tolerance: error of interpolated gains relative to the largest, in (0, 1).

    Source: R.E. Kalman, Bol. Soc. Mat. Mexicana 5 (1960) 102-119; completion of squares.
    """

    tolerance: float = 1e-8

    problems: ClassVar = (ControlProblem,)
    needs_64_bit: ClassVar[bool] = True

    def __check_init__(self):
        if isinstance(self.tolerance, (int, float)) and not 0.0 < self.tolerance < 1.0:
            raise UsageError(f"`tolerance` is {self.tolerance!r}", remedy="tolerance=1e-8")

    def suits(self, problem: Problem) -> None:
        """Raises `HypothesisError` unless dynamics are affine and the cost quadratic."""
        structure_of(problem).require("Riccati", LQ, "infsup list methods   for what else exists")

    def find(self, problem: Problem, start: Outcome | None, key) -> Outcome:
        self.suits(problem)
        t = value_table(problem, structure_of(problem), float(self.tolerance))
        law = AffineFeedback(*(jnp.asarray(a) for a in (t.times, t.K, t.dK)))
        return Outcome(law, {"value": jnp.asarray(t.P)})
