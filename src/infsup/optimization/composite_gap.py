"""What a point of a composite problem is worth, from its conditions of optimality."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from infsup.core.answers import Accepted
from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, Hypothesis
from infsup.core.driver import traced
from infsup.core.registry import name_of
from infsup.optimization.bounds import OUTWARD, UNITS, wide
from infsup.optimization.composite import L1, Composite, flat


class CompositeGap(Bound):
    r"""F(w) - min F from the conditions of Karush, Kuhn and Tucker at one point, whoever made it.

    With h = grad f(w) and f convex, F(w) - F(s) <= <h, w - s> + g(w) - g(s) for every s:

    1. `Box`: the largest value over the box is sum_i max(h_i (w_i - low), h_i (w_i - high)). It is
       zero exactly at a minimiser: h_i = 0, or w_i at the end that -h_i points to. The ends are
       taken as the problem's dtype has them.
    2. `L1`, weight c: the right side is at most sum_i (h_i w_i + c |w_i|) + (|h|_inf - c) |s|_1.
       With f >= floor, a minimiser has c |s|_1 <= F(w) - floor, so the second term is at most
       max(|h|_inf - c, 0) (F(w) - floor)/c. Zero at a minimiser: h_i = -c sign(w_i) where w_i is
       not 0, |h_i| <= c elsewhere.

    The upper end is moved outward for the rounding of h, taken to err by at most 16 units of the
    last place of |h| + |w| in the Euclidean norm. The lower end is 0.

    Source: derived here; for sets it is the gap of M. Jaggi, Revisiting Frank-Wolfe, ICML 2013.
    """

    problems: ClassVar = (Composite,)
    spends: ClassVar = False
    needs_64_bit: ClassVar = True

    def certify(self, problem, outcome, key, delta):
        answer = outcome.answer
        point = wide(answer.answer if isinstance(answer, Accepted) else answer)
        f, slopes = _slope(traced(problem), point)
        value, w, h = float(f), flat(point), flat(slopes)
        stated = problem.hypotheses()
        common: dict[str, Any] = {
            "sense": "min",
            "range": (0.0, math.inf),
            "dtype": "float64 arithmetic",
            "source": "derived in infsup.optimization.CompositeGap",
        }
        head = "distance to the least objective", f"the point in {problem.name}"

        def without(**why):
            return Certificate(
                *head, -math.inf, math.inf, "proved_real", name_of(type(self)), **why, **common
            )

        if not (np.isfinite(h).all() and math.isfinite(value)):
            return without(verdict="refused", reason="the objective or its gradient is not finite")
        penalty = problem.penalty
        if isinstance(penalty, L1):
            weight = float(penalty.weight)
            proof = {"w": w, "gradient": h, "weight": weight}
            if problem.floor is None:
                text = "a number is known that f is never below"
                why = "say Composite(..., floor=0) for a sum of squares"
                return without(hypotheses=(*stated, Hypothesis(text, "violated", why)))
            above = value - float(problem.floor)
            if above < 0:
                text = f"f is never below {problem.floor}"
                why = f"f = {value:g} at the answer"
                return without(hypotheses=(*stated[:1], Hypothesis(text, "violated", why)))
            proof["above"] = above
        else:
            dtype = jax.tree.leaves(problem.like)[0].dtype
            low, high = (float(np.asarray(x, dtype)) for x in (penalty.low, penalty.high))
            proof = {"w": w, "gradient": h, "low": low, "high": high}
            if w.min() < low or w.max() > high:
                text = f"the point is in the box [{low:g}, {high:g}]"
                why = f"it has coordinates in [{w.min():g}, {w.max():g}]"
                return without(hypotheses=(*stated, Hypothesis(text, "violated", why)))
        gap, reach = _gap(proof)
        slack = UNITS * (float(np.linalg.norm(h) + np.linalg.norm(w)) * reach)
        upper = (gap + slack) * (1 + OUTWARD)
        return Certificate(
            *head,
            0.0,
            upper,
            "proved_real",
            name_of(type(self)),
            hypotheses=stated,
            budget={"optimisation": upper - slack, "rounding": slack},
            proof={**proof, "slack": slack},
            **common,
        )


@eqx.filter_jit
def _slope(problem: Composite, point: Any) -> tuple[Any, Any]:
    return jax.value_and_grad(problem.f)(point)


def _gap(proof: dict[str, Any]) -> tuple[float, float]:
    """The gap, and how far in the Euclidean norm the comparison reaches from w."""
    w, h = proof["w"], proof["gradient"]
    if "weight" in proof:
        c = proof["weight"]
        radius = (proof["above"] + c * float(np.abs(w).sum())) / c
        held = float(np.sum(h * w + c * np.abs(w)))
        beyond = max(float(np.abs(h).max()) - c, 0.0)
        return max(held, 0.0) + beyond * radius, float(np.linalg.norm(w)) + radius
    low, high = proof["low"], proof["high"]
    gap = float(np.sum(np.maximum(h * (w - low), h * (w - high))))
    return gap, float(np.linalg.norm(np.maximum(w - low, high - w)))
