"""Entropic optimal transport between finite laws, and a bracket of the unregularised cost."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from infsup.core.errors import UsageError

Cost = Float[np.ndarray, "n m"]
Rows = Float[np.ndarray, " n"]
Columns = Float[np.ndarray, " m"]


class Plan(NamedTuple):
    """What the iteration reached.

    Args:
        plan: exp((f + g - C)/eps) a b', [n, m]; its column sums are b, its row sums nearly a.
        f: potential of the rows, [n].
        g: potential of the columns, [m].
        changes: Hilbert's metric between the row scalings of successive iterations, [steps].
    """

    plan: Cost
    f: Rows
    g: Columns
    changes: np.ndarray


def sinkhorn(
    cost: Cost, a: Rows, b: Columns, eps: float, steps: int, start: Rows | None = None
) -> Plan:
    r"""Sinkhorn's iteration for min <P, C> + eps KL(P | a b') over plans P of a and b.

    Formula: f_i = -eps log sum_j b_j exp((g_j - C_ij)/eps), then g likewise; in logarithms. Each
    iteration contracts Hilbert's metric by tanh(R/(4 eps))^2, R = `oscillation`(C).

    Args:
        cost: C, finite.
        a: positive, sums to 1.
        b: likewise.
        eps: > 0.
        steps: >= 1.
        start: the first f; 0 by default.

    Raises:
        UsageError: shapes or numbers outside their ranges.

    Source: J. Franklin and J. Lorenz, Linear Algebra Appl. 114-115 (1989) 717-735; G. Peyre and M.
    Cuturi, Computational Optimal Transport (2019), section 4.
    """
    cost, a, b = _sound(cost, a, b)
    if not 0 < eps < np.inf:
        raise UsageError(f"`eps` is {eps}", remedy="eps=0.1")
    if steps < 1:
        raise UsageError(f"`steps` is {steps}", remedy="steps=100")
    f = np.zeros(len(a)) if start is None else np.asarray(start, np.float64)
    log_a, log_b, scaled = np.log(a), np.log(b), -cost / eps
    changes, g = [], np.zeros(len(b))
    for _ in range(steps):
        g = -eps * _log_sum(scaled + (f / eps + log_a)[:, None], 0)
        new = -eps * _log_sum(scaled + g / eps + log_b, 1)
        changes.append(np.ptp((new - f) / eps))
        f = new
    g = -eps * _log_sum(scaled + (f / eps + log_a)[:, None], 0)
    plan = np.exp(scaled + (f / eps + log_a)[:, None] + g / eps + log_b)
    return Plan(plan, f, g, np.array(changes))


def oscillation(cost: Cost) -> float:
    """R = max of C_il + C_kj - C_ij - C_kl over all rows and columns."""
    c = np.asarray(cost, np.float64)
    return float(max(np.ptp(c - row, axis=1).max() for row in c))


def transport_bracket(cost: Cost, a: Rows, b: Columns, plan: Cost, f: Rows) -> tuple[float, float]:
    r"""Below and above min <P, C> over plans of a and b, from any plan and any potential.

    Lower: <f, a> + <f^c, b>, f^c_j = min_i C_ij - f_i, feasible for the dual. Upper: the cost of
    `plan` after its rows and columns were shrunk to a and b and the rest was spread as a product.
    Plain float64.

    Args:
        cost: C.
        a: positive, sums to 1.
        b: likewise.
        plan: not negative.
        f: finite.

    Source: Kantorovich duality; the rounding is Algorithm 2 of J. Altschuler, J. Weed and P.
    Rigollet, NeurIPS 2017.
    """
    cost, a, b = _sound(cost, a, b)
    lower = f @ a + np.min(cost - np.asarray(f)[:, None], axis=0) @ b
    p = np.asarray(plan, np.float64)
    p = p * np.minimum(1.0, a / np.maximum(p.sum(1), 1e-300))[:, None]
    p = p * np.minimum(1.0, b / np.maximum(p.sum(0), 1e-300))
    left, right = a - p.sum(1), b - p.sum(0)
    rest = left.sum()
    if rest > 0:
        p = p + np.outer(left, right) / rest
    return float(lower), float(np.sum(p * cost))


def _log_sum(x: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(logsumexp(x, axis=axis))


def _sound(cost: Cost, a: Rows, b: Columns) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    cost, a, b = (np.asarray(x, np.float64) for x in (cost, a, b))
    if cost.shape != (len(a), len(b)) or not np.isfinite(cost).all():
        raise UsageError(
            f"`cost` has shape {cost.shape}, the laws have {len(a)} and {len(b)} atoms",
            remedy="finite numbers [n, m]",
        )
    for name, w in (("a", a), ("b", b)):
        if not (w > 0).all() or abs(w.sum() - 1) > 1e-9:
            raise UsageError(f"`{name}` is no law on atoms", remedy=f"{name} / {name}.sum()")
    return cost, a, b
