"""Derives the brackets of this pillar again from their proofs: other formulas, no JAX.

One function a bound, `(problem, answer, proof) -> (lower, upper)`; a claim stands when its bracket
contains the derived one. What a checker cannot read (a user's function) raises `FileRejected`.
"""

import contextlib
import itertools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import scipy  # its parts are imported when they are first used
from scipy import special

from infsup.core.check import promises
from infsup.core.encoding import Record
from infsup.core.errors import FileRejected
from infsup.core.intervals import log_mean_exp, student_t

Ends = tuple[float, float]


class _Normal(NamedTuple):
    dim: int
    lam: float
    horizon: float
    shift: float
    gain: np.ndarray
    real_horizon: float


def _named(x: Any, name: str, what: str) -> Record:
    if not isinstance(x, Record) or x.name != name:
        got = getattr(x, "name", type(x).__name__)
        raise FileRejected(f"{what} is {got}, whose program the checker does not have")
    return x


MOST = 4096
"""Dimension up to which the checker makes matrices."""
MOST_CALLS, MOST_NUMBERS = 200_000, 10**8
"""Of the right side of an equation, and of what it writes, before its integration is given up."""


def _matrix(a: Any, rows: int, columns: int) -> np.ndarray:
    a = np.asarray(a, np.float64)
    a = float(a) * np.eye(rows, columns) if a.ndim == 0 else a
    if a.shape != (rows, columns) or not np.isfinite(a).all():
        raise ValueError(f"a matrix is no finite one of {rows} rows and {columns} columns")
    return a


def _quadratic(problem: Record) -> tuple[np.ndarray, ...]:
    """A, B, Q, R, sigma sigma', x0 of a problem made of stored modules."""
    drift = _named(problem["drift"], "control.LinearDrift", "the drift")
    running = _named(problem["running"], "control.QuadraticCost", "the running cost")
    x0 = np.asarray(problem["x0"], np.float64)
    d, m = x0.size, int(problem["controls"])
    if x0.ndim != 1 or not np.isfinite(x0).all() or not 0 < float(problem["horizon"]) < math.inf:
        raise ValueError("the start or the horizon is damaged")
    if not (0 < d <= MOST and 0 < m <= MOST):
        raise FileRejected(f"the checker takes up to {MOST} dimensions, not {d} and {m}")
    sigma = problem["diffusion"]
    if not isinstance(sigma, (int, float, np.ndarray, np.generic)):
        raise FileRejected("the diffusion is a function, whose program the checker does not have")
    sigma = np.asarray(sigma, np.float64)
    sigma = _matrix(sigma, d, sigma.shape[1] if sigma.ndim == 2 else d)
    noise = sigma @ sigma.T
    A, B = _matrix(drift["A"], d, d), _matrix(drift["B"], d, m)
    return A, B, _matrix(running["Q"], d, d), _matrix(running["R"], m, m), noise, x0


def _normal(problem: Record, proof: Mapping[str, Any]) -> _Normal:
    """The normal form, from the problem; the proof must name the same one."""
    A, B, Q, R, noise, x0 = _quadratic(problem)
    _named(problem["terminal"], "control.LogRadial", "the terminal cost")
    d = x0.size
    s2, kappa = noise[0, 0], (B @ np.linalg.inv(R) @ B.T)
    exact = not A.any() and not Q.any() and np.allclose(noise, s2 * np.eye(d), 1e-11, 0)
    if not exact or s2 <= 0 or not np.allclose(kappa, kappa[0, 0] * np.eye(d), 1e-11, 1e-11):
        raise ValueError("the problem is not noise-matched")
    T = float(problem["horizon"])
    n = _Normal(
        d,
        float(kappa[0, 0] / (2 * s2)),
        float(s2) * T / 2,
        float(np.sqrt(x0 @ x0)),
        np.linalg.inv(R) @ B.T / 2,
        T,
    )
    for name in ("dim", "lam", "horizon", "shift"):
        if not math.isclose(getattr(n, name), float(proof[name]), rel_tol=1e-11, abs_tol=1e-12):
            raise ValueError(f"the proof speaks of another problem: `{name}` differs")
    return n


def _sampled(problem: Record, proof: Mapping[str, Any]) -> None:
    """Whether sampled values are said to be of this problem, where the checker can read it."""
    with contextlib.suppress(FileRejected):
        if "dim" in proof:
            _normal(problem, proof)
        _, B, _, R, noise, _ = _quadratic(problem)
        matched = np.trace(B @ np.linalg.inv(R) @ B.T) / (2 * np.trace(noise))
        if not math.isclose(matched, float(proof["lam"]), rel_tol=1e-9):
            raise ValueError("the proof speaks of another problem: `lam` differs")


def _policy(n: _Normal, answer: Any, proof: Mapping[str, Any]) -> float:
    """The parameter c of the stored law; the proof must name the same one."""
    c = float(proof["policy"])
    if isinstance(answer, Record) and answer.name == "control.ZeroControl":
        found = 0.0
    else:
        law = _named(answer, "control.ScalarFeedback", "the answer")
        found = float(law["terminal"])
        m, d = n.gain.shape
        rate = 2 * n.lam * found * n.horizon / n.real_horizon
        same = np.allclose(_matrix(law["gain"], m, d), n.gain, 1e-11, 1e-13)
        near = math.isclose(float(law["rate"]), rate, rel_tol=1e-11, abs_tol=1e-13)
        if not same or not near or not math.isclose(float(law["horizon"]), n.real_horizon):
            raise ValueError("the law is not the one that the theorem is about")
    if found != c:
        raise ValueError("the proof speaks of another law")
    return c


def _rule(n: _Normal, c: float) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Radii and weights for the law of |xi|, k, and phi(0, x0)."""
    k = 2 * n.lam * c * n.horizon
    if not k > -1:
        raise ValueError("the penalty blows up")
    v, shift = 2 * n.horizon / (1 + k), n.shift / (1 + k)
    x, w = np.polynomial.legendre.leggauss(10)
    centre = math.sqrt(shift**2 + v * n.dim)
    ends = np.linspace(max(0.0, centre - 11 * math.sqrt(v)), centre + 11 * math.sqrt(v), 2001)
    half = np.diff(ends)[:, None] / 2
    r = (ends[:-1, None] + half * (1 + x)).ravel()
    # density of the noncentral chi by its Bessel form
    q, nu = r / v, n.dim / 2 - 1
    if shift == 0.0:
        logs = (n.dim - 1) * np.log(r) - r**2 / (2 * v)
        logs -= nu * math.log(2) + special.gammaln(n.dim / 2) + n.dim / 2 * math.log(v)
    else:
        bessel = special.ive(nu, shift * q)
        safe = np.maximum(bessel, 1e-300)
        logs = np.log(q) - (r - shift) ** 2 / (2 * v) + nu * np.log(r / shift) + np.log(safe)
        logs = np.where(bessel > 0, logs, -np.inf)
    weights = (half * w).ravel() * np.exp(logs)
    if not abs(weights.sum() - 1) < 1e-9:
        raise FileRejected("the checker's quadrature does not resolve this law")
    phi = n.dim / (2 * n.lam) * math.log1p(k) + c * n.shift**2 / (2 * (1 + k))
    return r, weights, k, phi


def _g(r: np.ndarray) -> np.ndarray:
    return np.log((1 + r * r) / 2)


def _cost(n: _Normal, c: float) -> float:
    """J of the scalar law: phi(0, x0) + E[g(R) - c R^2/2]."""
    r, w, _, phi = _rule(n, c)
    return phi + float(w @ (_g(r) - c * r * r / 2))


def _dual(n: _Normal, c: float) -> float:
    """phi(0, x0) + E min_r: the stationary points are the roots of a cubic."""
    big_r, w, k, phi = _rule(n, c)
    a = 4 * n.lam * n.horizon
    C = (1 + k) * big_r
    # (r - C)/(a/2) + 2r/(1 + r^2) = 0
    companion = np.zeros((C.size, 3, 3))
    companion[:, 1, 0] = companion[:, 2, 1] = 1.0
    companion[:, 0, 2], companion[:, 1, 2], companion[:, 2, 2] = C, -(1 + a), C
    roots = np.maximum(np.linalg.eigvals(companion).real, 0.0)
    candidates = np.concatenate([roots, np.zeros((C.size, 1)), C[:, None]], 1)
    inner = ((candidates - C[:, None]) ** 2 / a + _g(candidates)).min(1)
    return phi + float(w @ (inner - c / 2 * (1 + k) * big_r**2))


@promises("proved_real", quantity="V(0, x0), the least cost", dtype="float64")
def QuadratureEnclosure(problem: Any, answer: Any, proof: Mapping[str, Any]) -> Ends:
    """Dual value and cost by Gauss-Legendre quadrature of the density, minima by a cubic."""
    n = _normal(problem, proof)
    return _dual(n, float(proof["penalty"])), _cost(n, _policy(n, answer, proof))


@promises("asymptotic", quantity="V(0, x0), the least cost", dtype="float64")
def RogersDual(problem: Any, answer: Any, proof: Mapping[str, Any]) -> Ends:
    """Student intervals from the values of the paths."""
    _sampled(problem, proof)
    delta = float(proof["delta"])
    return (
        float(student_t(proof["below"], delta).lower),
        float(student_t(proof["above"], delta).upper),
    )


@promises(
    "asymptotic", quantity="J(u) - V, the excess cost", range=(0.0, math.inf), dtype="float64"
)
def PairedGap(problem: Any, answer: Any, proof: Mapping[str, Any]) -> Ends:
    """A one-sided Student interval from the differences of the paths."""
    _sampled(problem, proof)
    found = student_t(proof["gap"], min(2 * float(proof["delta"]), 0.999))
    return 0.0, max(float(found.upper), 0.0)


@promises("asymptotic", quantity="V(0, x0), the least cost", dtype="float64")
def GirsanovSandwich(problem: Any, answer: Any, proof: Mapping[str, Any]) -> Ends:
    """Student above, the guarded log-mean-exp of the weights below."""
    _sampled(problem, proof)
    delta = float(proof["delta"])
    weight = log_mean_exp(
        proof["log_weights"],
        delta / 2,
        min_ess=float(proof["min_ess"]),
        max_weight=float(proof["max_weight"]),
    )
    if weight.refused:
        raise ValueError(f"the weights fail their own test: {weight.refused}")
    above = student_t(proof["above"], delta)
    return -float(weight.upper) / float(proof["lam"]), float(above.upper)


@promises(
    lambda _, __, proof: "asymptotic" if "paths" in proof else "proved_real",
    quantity="J(u) - V, the excess cost",
    range=(0.0, math.inf),
    dtype="float64",
)
def RiccatiGap(problem: Any, answer: Any, proof: Mapping[str, Any]) -> Ends:
    """The gap by integrating the Riccati equation itself; a Student interval where sampled."""
    if "paths" in proof:
        found = student_t(proof["paths"], float(proof["delta"]))
        spare = 2 * float(proof["value_error"])
        return max(float(found.lower) - spare, 0.0), float(found.upper) + spare
    A, B, Q, R, noise, x0 = _quadratic(problem)
    G = _named(problem["terminal"], "control.QuadraticTerminal", "the terminal cost")
    d, m = x0.size, R.shape[0]
    T = float(problem["horizon"])
    G, inverse = _matrix(G["Q"], d, d), np.linalg.inv(R)

    calls, most = itertools.count(), min(MOST_CALLS, MOST_NUMBERS // d**2)

    def count() -> None:
        if next(calls) > most:
            raise FileRejected("the checker's integrator takes too many steps")

    def back(s, y):
        count()
        P = y.reshape(d, d)
        return (Q + A.T @ P + P @ A - P @ B @ inverse @ B.T @ P).ravel()

    options = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-14}
    value = scipy.integrate.solve_ivp(back, (0, T), G.ravel(), dense_output=True, **options)
    law = _law(answer, d, m)

    def forward(t, y):
        count()
        M = y[:-1].reshape(d + 1, d + 1)
        K = law(t)
        best = np.concatenate([inverse @ B.T @ value.sol(T - t).reshape(d, d), np.zeros((m, 1))], 1)
        F = np.zeros((d + 1, d + 1))
        F[:d] = -B @ K
        F[:d, :d] += A
        turn = F @ M
        turn = turn + turn.T
        turn[:d, :d] += noise
        off = K - best
        return np.append(turn.ravel(), np.sum((off.T @ R @ off) * M))

    z = np.append(x0, 1.0)
    start = np.append(np.outer(z, z).ravel(), 0.0)
    run = scipy.integrate.solve_ivp(
        forward,
        (0, T),
        start,
        method="DOP853",
        rtol=1e-10,
        atol=np.append(np.full(start.size - 1, 1e-10), 1e-16),
        max_step=T / 64,
    )
    if not value.success or not run.success:
        raise FileRejected("the checker's integrator gave up")
    return float(run.y[-1, -1]), float(run.y[-1, -1])


def _law(answer: Any, d: int, m: int) -> Any:
    if isinstance(answer, Record) and answer.name == "control.ZeroControl":
        return lambda t: np.zeros((m, d + 1))
    table = _named(answer, "control.AffineFeedback", "the answer")
    times, values = np.asarray(table["times"]), np.asarray(table["gains"])
    curve = _cubic(times, values, np.asarray(table["slopes"]))
    return lambda t: curve(t)


def _cubic(times: np.ndarray, values: np.ndarray, slopes: np.ndarray) -> Any:
    return scipy.interpolate.CubicHermiteSpline(times, values, slopes)


@promises(
    lambda _, __, proof: (
        "asymptotic" if {"delta", "ours_paths", "nothing_paths"} & set(proof) else "proved_real"
    ),
    quantity="(J(u) - V)/(J(0) - V), the improvement left",
    range=(0.0, math.inf),
    dtype="float64",
)
def ImprovementLeft(problem: Any, answer: Any, proof: Mapping[str, Any]) -> Ends:
    """The extremes of the ratio over the ends of its three brackets."""
    if "riccati" in proof:
        zero = Record("control.ZeroControl", {"controls": problem["controls"]})
        parts = []
        for law, prefix in ((answer, "ours_"), (zero, "nothing_")):
            own = {k.removeprefix(prefix): v for k, v in proof.items() if k.startswith(prefix)}
            parts.append(RiccatiGap(problem, law, own))
        (a, b), (x, y) = parts
        return (a / y if y > 0 else 0.0), (b / x if x > 0 else np.inf)
    n = _normal(problem, proof)
    low, idle = _dual(n, float(proof["penalty"])), _cost(n, 0.0)
    high = _cost(n, float(proof["helper"]))
    if "policy" in proof:
        cost = (_cost(n, _policy(n, answer, proof)),) * 2
    else:
        delta = float(proof["delta"])
        found = student_t(proof["cost"], delta / 2)
        cost = (float(found.lower), float(found.upper))
        weight = log_mean_exp(proof["log_weights"], delta / 2)
        if not weight.refused:
            low = max(low, -float(weight.upper) / n.lam)
    high = max(min(high, cost[1], idle), low)
    ends = [(max(cost[0] - v, 0.0) / (idle - v) if idle > v else 0.0) for v in (low, high)]
    tops = [(max(cost[1] - v, 0.0) / (idle - v) if idle > v else np.inf) for v in (low, high)]
    if cost[0] <= high:
        ends.append(0.0)
    return max(min(ends), 0.0), max(tops)
