"""The pillar's claims, derived again from their proofs: NumPy and `core/intervals` only."""

import math
from typing import Any

import numpy as np

from infsup.core.check import promises
from infsup.core.intervals import betting, clopper_pearson, student_t

_MEASURES = {
    "tv": ("total variation", 1.0),
    "js": ("Jensen-Shannon divergence", math.log(2)),
    "kl": ("KL divergence", math.inf),
}
"""Name and largest value."""


def _by_rows(problem: Any, answer: Any, proof: Any) -> str:
    """The strongest verdict on a law that may be known by rows only."""
    return "conditional" if problem["mixture"] is None else "certified"


def _invertible(problem: Any, answer: Any, proof: Any) -> str:
    """The strongest verdict that rests on a density: our sampler's steps may not be one to one."""
    return "conditional" if getattr(answer, "name", "") == "generative.FlowSampler" else "certified"


def _drawn(problem: Any, answer: Any, proof: Any) -> str:
    """The arithmetic of the draws."""
    if getattr(answer, "name", "") == "core.Draws":
        return str(np.asarray(answer["x"]).dtype)
    return "float32"


def _root(squared: float) -> float:
    return math.sqrt(max(squared, 0.0))


def _array(proof: Any, name: str) -> np.ndarray:
    a = np.asarray(proof[name], np.float64)
    if a.size == 0 or not np.isfinite(a).all():
        raise ValueError(f"`{name}` is empty or not finite")
    return a


@promises(
    lambda _, __, proof: "confidence" if "reach" in proof else "asymptotic",
    quantity="W2",
    range=(0.0, math.inf),
    dtype=_drawn,
)
def W2ToHeldOut(problem: Any, answer: Any, proof: Any) -> tuple[Any, Any]:
    """From the matching costs, and from the values of the semidual."""
    delta, shift = float(proof["delta"]), float(proof["mean_potential"])
    values, costs = _array(proof, "values"), _array(proof, "costs")
    if "reach" not in proof:
        least, most = student_t(values, delta), student_t(costs, delta)
        return _root(float(least.lower) + shift), _root(float(most.upper))
    lo, hi = (float(v) for v in proof["value_range"])
    lower = _root(float(betting(values, delta, lo=lo, hi=hi).lower) + shift)
    reach = float(proof["reach"])
    if math.isinf(reach):
        return lower, math.inf
    radius = reach * math.sqrt(math.log(2 / delta) / (2 * int(proof["movers"])))
    return lower, _root(min(float(costs.mean()) + radius, reach))


@promises("asymptotic", quantity="W2", range=(0.0, math.inf), dtype=_drawn)
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


@promises("asymptotic", _invertible, quantity="KL", range=(0.0, math.inf), dtype="float64")
def KLToKnown(problem: Any, answer: Any, proof: Any) -> tuple[Any, Any]:
    """From log(p/q) at draws of both."""
    half, r = float(proof["delta"]) / 2, _array(proof, "log_ratio")
    near = student_t(r + np.expm1(-np.maximum(r, -math.log(2))), half)
    cut = betting(np.maximum(0.0, 1 - 2 * np.exp(np.minimum(_array(proof, "on_q"), 0.0))), half)
    lower = float(near.lower) + float(cut.lower)
    return max(lower, 0.0), float(near.upper) + float(cut.upper)


@promises(
    "confidence",
    _invertible,
    quantity=lambda _, __, proof: _MEASURES[proof["measure"]][0],
    range=lambda _, __, proof: (0.0, _MEASURES[proof["measure"]][1]),
    dtype="float64",
)
def DivergenceToKnown(problem: Any, answer: Any, proof: Any) -> tuple[Any, Any]:
    """From log(p/q) at draws of the target, and of the sampler where both are needed."""
    delta = float(proof["delta"])
    if proof["measure"] == "tv":
        on_p = np.maximum(-np.expm1(-_array(proof, "on_p")), 0.0)
        found = betting(on_p, delta)
        return float(found.lower), float(found.upper)
    if proof["measure"] != "js":
        raise ValueError(f"no measure {proof['measure']!r}")
    lower, upper = 0.0, 0.0
    for side in ("on_p", "on_q"):
        share = 1 / (1 + np.exp(-np.abs(_array(proof, side))))  # the larger of the two shares
        entropy = -share * np.log(share) - (1 - share) * np.log(np.maximum(1 - share, 1e-300))
        values = np.clip(math.log(2) - entropy, 0.0, math.log(2))
        found = betting(values, delta / 2, lo=0.0, hi=math.log(2))
        lower, upper = lower + float(found.lower) / 2, upper + float(found.upper) / 2
    return lower, upper


@promises(
    "asymptotic", quantity="excess flow-matching loss", range=(0.0, math.inf), dtype="float32"
)
def ExcessLoss(problem: Any, answer: Any, proof: Any) -> tuple[Any, Any]:
    """From the squares at the draws."""
    values = _array(proof, "values")
    if (values < 0).any():
        raise ValueError("a square is negative")
    found = student_t(values, float(proof["delta"]))
    return max(float(found.lower), 0.0), float(found.upper)


@promises(
    "confidence",
    _by_rows,
    quantity=lambda _, __, proof: _MEASURES[proof["measure"]][0],
    range=lambda _, __, proof: (0.0, _MEASURES[proof["measure"]][1]),
    dtype=_drawn,
)
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


@promises("asymptotic", _by_rows, sense="max")
def PairedDifference(problem: Any, answer: Any, proof: Any) -> tuple[Any, Any]:
    """From the log densities of the two at the rows."""
    found = student_t(_array(proof, "a") - _array(proof, "b"), float(proof["delta"]))
    return float(found.lower), float(found.upper)
