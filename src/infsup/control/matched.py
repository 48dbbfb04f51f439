r"""The scalar theory of noise-matched control with a radial terminal cost, in NumPy.

Normal form. dX = B u dt + s dW, cost E[int u'Qu dt + g(X_T)] with B Q^-1 B' = 2 lam s^2 I has the
HJB equation V_t + (s^2/2)(Delta V - lam |grad V|^2) = 0: by Cole-Hopf V is -(1/lam) ln E
exp(-lam g). In the time s^2 t/2, of horizon T = s^2 horizon/2, it is dX = 2 sqrt(lam) a dt +
sqrt(2) dW with cost |a|^2.

Quadratic penalty. phi(t,x) = alpha(t) + c(t)|x|^2/2 with c(t) = c/(1 + k(T-t)/T),
k = 2 lam c T > -1, alpha(t) = d/(2 lam) ln(1 + k(T-t)/T) solves the HJB equation (c' = 2 lam c^2,
alpha' = -d c). By Ito's formula, for every adapted a = -sqrt(lam) grad phi + b of finite cost

    J(a) = phi(0,x0) + E[int |b|^2 dt + h(X_T)],    h = g - c|x|^2/2,

and X_T = xi + y with y = 2 sqrt(lam) int Phi b dt, xi ~ N(Phi_0 x0, 2G I),
Phi(t) = 1/(1 + k(T-t)/T), Phi_0 = 1/(1 + k), G = int Phi^2 = T/(1 + k). Two consequences (derived
here; the second is the dual of L.C.G. Rogers, SIAM J. Control Optim. 46 (2007) 1116-1132, with the
penalty phi):

    b = 0:            J = phi(0,x0) + E h(xi), the exact cost of u = -sqrt(lam) c(t) x;
    Cauchy-Schwarz:   int |b|^2 >= |y|^2/(4 lam G), so with R = |xi|
                      V >= phi(0,x0) + E min_{r >= 0} [(r - R)^2/(4 lam G) + h(r)].

No anticipating calculus is needed. The inner function is, but for a constant,
(r - (1+k)R)^2/(4 lam T) + g(r) - (c/2)(1+k)R^2, so its minimiser lies within
sqrt(4 lam T (g((1+k)R) - floor)) of (1+k)R.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy  # its parts are imported when they are first used
from jaxtyping import Array, Float
from scipy import special

from infsup.core.errors import UsageError
from infsup.core.registry import register
from infsup.numerics.quadrature import NormLaw, chords, gauss_rule, mean_lower, mean_upper

FINE, COARSE = 6144, 256
"""Nodes of the chord rule: for the certificate, and while searching."""
CELLS, KEPT, PARTS, ROUNDS = 64, 4, 16, 3
"""Branch and bound of the inner minimum: first cells, cells kept, parts of a kept cell, rounds."""


class Normal(NamedTuple):
    """A matched radial problem in its normal form.

    Args:
        dim: d.
        lam: lambda > 0.
        horizon: T in normalised time.
        shift: |x0|.
        radial: the terminal cost.
    """

    dim: int
    lam: float
    horizon: float
    shift: float
    radial: Any


@register
class QuadraticPenalty(eqx.Module):
    """phi(t, x) = alpha(t) + c(t)|x|^2/2, an exact solution of the HJB equation: a dual point.

    Args:
        terminal: c = c(T); feasible when 1 + 2 lam c T > 0 in normalised time.
    """

    terminal: Array = eqx.field(converter=jnp.asarray)


def stiffness(n: Normal, c: float) -> float:
    """The number k = 2 lam c T.

    Raises:
        UsageError: k <= -1: the penalty blows up inside the horizon.
    """
    k = 2.0 * n.lam * c * n.horizon
    if not -1.0 < k < math.inf:
        raise UsageError(
            f"`penalty.terminal` is {c}: 1 + 2 lam c T = {1 + k:g}",
            "It must be positive, or phi blows up inside the horizon.",
        )
    return k


def start_value(n: Normal, c: float) -> float:
    """phi(0, x0) = d/(2 lam) ln(1+k) + c |x0|^2 / (2 (1+k))."""
    k = stiffness(n, c)
    return n.dim / (2 * n.lam) * math.log1p(k) + c * n.shift**2 / (2 * (1 + k))


def law(n: Normal, c: float) -> NormLaw:
    """The law of |xi|."""
    k = stiffness(n, c)
    return NormLaw(n.dim, 2 * n.horizon / (1 + k), n.shift / (1 + k))


@eqx.filter_jit
def _profile(radial: Any, r: Array) -> Array:
    return jax.vmap(radial.profile)(r)


def profile(radial: Any, r: np.ndarray) -> Float[np.ndarray, " n"]:
    """The radial cost at many radii, in float64."""
    return np.asarray(_profile(radial, jnp.asarray(r)), np.float64)


@eqx.filter_jit
def _curvature(radial: Any, low: Array, high: Array) -> tuple[Array, Array]:
    a, b = radial.curvature(low, high)
    return jnp.broadcast_to(a, low.shape), jnp.broadcast_to(b, low.shape)


def curvature(
    radial: Any, low: np.ndarray, high: np.ndarray
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Bounds of g'' on many intervals."""
    a, b = _curvature(radial, jnp.asarray(low), jnp.asarray(high))
    return np.asarray(a, np.float64), np.asarray(b, np.float64)


@eqx.filter_jit
def _inner(radial: Any, centres: Array, four_lam_t: Array) -> Array:
    """Lower bounds of min_r (r - centre)^2/(4 lam T) + g(r), by branch and bound in cells of r.

    On a cell of width w where psi'' <= M, psi - M r^2/2 is concave, so psi is at least the smaller
    of its end values less max(M, 0) w^2/8. Cells that are not kept keep their bound.
    """

    def one(centre: Array) -> Array:
        def bounds(ends):
            values = (ends - centre) ** 2 / four_lam_t + radial.profile(ends)
            a, b = ends[:-1], ends[1:]
            m = jnp.maximum(2.0 / four_lam_t + radial.curvature(a, b)[1], 0.0)
            return jnp.minimum(values[:-1], values[1:]) - m * (b - a) ** 2 / 8

        reach = _reach(radial, centre, four_lam_t)
        low, high = jnp.maximum(centre - reach, 0.0), centre + reach
        ends = low + (high - low) * jnp.arange(CELLS + 1) / CELLS
        found, left, right, rest = bounds(ends), ends[:-1], ends[1:], jnp.inf
        for _ in range(ROUNDS):
            top, index = jax.lax.top_k(-found, KEPT + 1)
            rest = jnp.minimum(rest, -top[KEPT])
            a, b = left[index[:KEPT]], right[index[:KEPT]]
            grid = a[:, None] + (b - a)[:, None] * jnp.arange(PARTS + 1) / PARTS
            found = jax.vmap(bounds)(grid).ravel()
            left, right = grid[:, :-1].ravel(), grid[:, 1:].ravel()
        return jnp.minimum(rest, found.min())

    return jax.lax.map(one, centres, batch_size=256)


def _reach(radial: Any, centre: Any, four_lam_t: Any) -> Any:
    """Beyond this distance from `centre` the inner function exceeds its value at `centre`."""
    return jnp.sqrt(four_lam_t * jnp.maximum(radial.profile(centre) - radial.floor, 0.0))


@eqx.filter_jit
def _window_curvature(radial: Any, centres: Array, four_lam_t: Array) -> Array:
    """The largest g'' where a minimiser may lie, for centres in each cell of `centres`."""
    a, b = centres[:-1], centres[1:]
    # between its ends g exceeds them by at most -min(g'') w^2/8
    least = jnp.minimum(radial.curvature(a, b)[0], 0.0)
    highest = jnp.maximum(radial.profile(a), radial.profile(b)) - least * (b - a) ** 2 / 8
    reach = jnp.sqrt(four_lam_t * jnp.maximum(highest - radial.floor, 0.0))
    return radial.curvature(jnp.maximum(a - reach, 0.0), b + reach)[1] + jnp.zeros_like(a)


def inner_minima(n: Normal, c: float, big_r: np.ndarray) -> Float[np.ndarray, " n"]:
    """Lower bounds of min_r [(r - R)^2/(4 lam G) + g(r) - c r^2/2], one for each R."""
    k = stiffness(n, c)
    found = _inner(n.radial, jnp.asarray((1 + k) * big_r), jnp.asarray(4 * n.lam * n.horizon))
    return np.asarray(found, np.float64) - 0.5 * c * (1 + k) * big_r**2


def dual_value(n: Normal, c: float, nodes: int = FINE) -> float:
    """A lower bound of V(0, x0) by the quadratic penalty c; no quadrature error is left.

    Where the minimiser lies in a region with g'' - c <= b, the inner minimum m(R) is an infimum of
    functions with second derivative at most b/(1 + 2 lam G b) (of 1/(2 lam G), whatever b is).
    Beyond the last node m(R) >= floor - (c/2)(1+k)R^2.
    """
    k = stiffness(n, c)
    two_lam_g = 2 * n.lam * n.horizon / (1 + k)
    rule = chords(law(n, c), nodes)
    centres = jnp.asarray((1 + k) * rule.nodes)
    b = np.asarray(_window_curvature(n.radial, centres, jnp.asarray(4 * n.lam * n.horizon))) - c
    curvature = np.where(b > 0, 1 / (1 / np.where(b > 0, b, 1.0) + two_lam_g), 0.0)
    values = inner_minima(n, c, rule.nodes)
    tail = (n.radial.floor, -0.5 * c * (1 + k))
    return start_value(n, c) + mean_lower(rule, values, curvature, tail)


def policy_cost(n: Normal, c: float, nodes: int = FINE) -> tuple[float, float]:
    """Both ends of the exact cost of u = -sqrt(lam) c(t) x; c = 0 is doing nothing.

    Beyond the last node N: g(r) <= g(N) + s r + (b/2) r^2 <= g(N) + s/2 + ((s + b)/2) r^2, where
    s >= |g'(N)| follows from the last chord; likewise from below.
    """
    rule = chords(law(n, c), nodes)
    r = rule.nodes
    g = profile(n.radial, r)
    low, high = curvature(n.radial, r, np.append(r[1:], np.inf))
    a, b = float(low[-1]), float(high[-1])
    low, high = low[:-1], high[:-1]
    steep = abs(g[-1] - g[-2]) / (r[-1] - r[-2])
    steep += max(abs(low[-1]), abs(high[-1])) * (r[-1] - r[-2])
    above = (g[-1] + steep / 2, (steep + max(b, 0.0)) / 2)
    below = (g[-1] - steep / 2, -(steep + max(-a, 0.0)) / 2)
    rest = start_value(n, c) - 0.5 * c * rule.law.second_moment
    return rest + mean_lower(rule, g, high, below), rest + mean_upper(rule, g, low, above)


def _largest_curvature(radial: Any) -> float:
    return float(curvature(radial, np.zeros(1), np.full(1, np.inf))[1][0])


def best(n: Normal, worth: Callable[[float], float]) -> float:
    """The c in [0, max g''] that makes `worth` largest, near enough (any c is valid)."""
    top = max(_largest_curvature(n.radial), 1e-6)
    grid = np.concatenate([[0.0], top * 2.0 ** -np.arange(12.0, -0.5, -1.0)])
    values = [worth(c) for c in grid]
    i = int(np.argmax(values))
    low, high = grid[max(i - 1, 0)], grid[min(i + 1, len(grid) - 1)]
    found = scipy.optimize.minimize_scalar(
        lambda c: -worth(c), bounds=(low, high), method="bounded", options={"xatol": 1e-3 * high}
    )
    return float(found.x) if -found.fun > values[i] else float(grid[i])


def best_policy(n: Normal) -> float:
    """The scalar gain of least cost."""
    return best(n, lambda c: -policy_cost(n, c, COARSE)[1])


def best_penalty(n: Normal) -> float:
    """The quadratic penalty of largest dual value."""
    return best(n, lambda c: dual_value(n, c, COARSE))


def cole_hopf_value(
    g: Callable[[np.ndarray], np.ndarray], dim: int, lam: float, horizon: float, shift: float
) -> float:
    """V = -(1/lam) ln E exp(-lam g(|x0 + sqrt(2T) Z|)) by Gauss-Legendre quadrature, an estimate.

    Args:
        g: profile, vectorised, NumPy.
        dim: d of the normal form.
        lam: lambda of the normal form.
        horizon: T of the normal form.
        shift: |x0|.
    """
    r, log_w = gauss_rule(NormLaw(dim, 2 * horizon, shift))
    return -float(np.asarray(special.logsumexp(log_w - lam * g(r)))) / lam
