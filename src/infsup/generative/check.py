"""The pillar's claims, derived again from their proofs: NumPy and `core/intervals` only."""

import math
from typing import Any

import numpy as np

from infsup.core.intervals import betting, clopper_pearson, student_t


def _root(squared: float) -> float:
    return math.sqrt(max(squared, 0.0))


def _array(proof: Any, name: str) -> np.ndarray:
    a = np.asarray(proof[name], np.float64)
    if a.size == 0 or not np.isfinite(a).all():
        raise ValueError(f"`{name}` is empty or not finite")
    return a


def W2ToHeldOut(problem: Any, answer: Any, proof: Any) -> tuple[Any, Any]:
    """From the matching costs, and from the values of the semidual."""
    delta = float(proof["delta"])
    least = student_t(_array(proof, "values"), delta)
    most = student_t(_array(proof, "costs"), delta)
    return _root(float(least.lower) + float(proof["mean_potential"])), _root(float(most.upper))


def W2ToMixture(problem: Any, answer: Any, proof: Any) -> tuple[Any, Any]:
    """From coupled pairs (or matching costs), from a potential's values, and bands of quantiles."""
    third, dual = float(proof["delta"]) / 3, 0.0
    if "costs" in proof:
        upper = _root(float(student_t(_array(proof, "costs"), 2 * third).upper))
    else:
        parts = (student_t(_array(proof, n), 2 * third) for n in ("gaps", "weighted"))
        upper = sum(_root(float(p.upper)) for p in parts)
        dual = _root(float(student_t(_array(proof, "dual"), third).lower))
    frames = _array(proof, "frames")
    turned = np.einsum("fij,fkj->fik", frames, frames)
    if np.abs(turned - np.eye(frames.shape[1])).max() > 1e-9:
        raise ValueError("the frames are not orthonormal")
    total = 0.0
    for low, high, exact in zip(
        *(proof["bands"][n] for n in ("low", "high", "exact")), strict=True
    ):
        gap = np.maximum(0.0, np.maximum(exact[:-1] - high, low - exact[1:]))
        total += math.fsum(gap * gap) / len(gap)
    return max(math.sqrt(total), dual), upper


def KLToKnown(problem: Any, answer: Any, proof: Any) -> tuple[Any, Any]:
    """From log(p/q) at the draws."""
    r = _array(proof, "log_ratio")
    found = student_t(r + np.expm1(-r), float(proof["delta"]))
    return max(float(found.lower), 0.0), float(found.upper)


def ExcessLoss(problem: Any, answer: Any, proof: Any) -> tuple[Any, Any]:
    """From the squares at the draws."""
    values = _array(proof, "values")
    if (values < 0).any():
        raise ValueError("a square is negative")
    found = student_t(values, float(proof["delta"]))
    return max(float(found.lower), 0.0), float(found.upper)


def CriticLower(problem: Any, answer: Any, proof: Any) -> tuple[Any, Any]:
    """From counts, or from the critic's values on rows and draws that it was not trained on."""
    half, measure = float(proof["delta"]) / 2, proof["measure"]
    if measure == "tv":
        (kp, n), (kq, m) = proof["p"], proof["q"]
        p = clopper_pearson(int(kp), int(n), half, side="lower")
        q = clopper_pearson(int(kq), int(m), half, side="upper")
        return min(max(float(p.lower) - float(q.upper), 0.0), 1.0), 1.0
    p, q = _array(proof, "p"), _array(proof, "q")
    if measure == "js":
        cap = 4.0
        lo, hi = -math.log1p(math.exp(cap)), -math.log1p(math.exp(-cap))
        parts = [
            betting(np.clip(-np.logaddexp(0.0, -s), lo, hi), half, lo=lo, hi=hi) for s in (p, -q)
        ]
        lower = math.log(2) + 0.5 * sum(float(b.lower) for b in parts)
        return min(max(lower, 0.0), math.log(2)), math.log(2)
    if measure != "kl":
        raise ValueError(f"no measure {measure!r}")
    above = betting(np.exp(q), half, lo=0.0, hi=math.exp(3.0) * (1 + 1e-12))
    return max(float(betting(p, half, lo=-3.0, hi=3.0).lower) - float(above.upper) + 1, 0), math.inf


def PairedDifference(problem: Any, answer: Any, proof: Any) -> tuple[Any, Any]:
    """From the log densities of the two at the rows."""
    found = student_t(_array(proof, "a") - _array(proof, "b"), float(proof["delta"]))
    return float(found.lower), float(found.upper)
