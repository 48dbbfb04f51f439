"""KL divergence of a known target from a sampler whose density is exact."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from infsup.core.bound import Bound
from infsup.core.certificate import Certificate
from infsup.core.intervals import betting, student_t
from infsup.core.registry import name_of
from infsup.generative.bounds.densities import (
    log_densities,
    log_densities_of,
    own_log_densities,
)
from infsup.generative.bounds.student_mean import unbounded
from infsup.generative.bounds.w2_to_mixture import known
from infsup.generative.drawing import who
from infsup.generative.problem import Transport
from infsup.optimization import arguments

SOURCE = (
    "E_p[log(p/q) + min(q/p, 2) - 1] + E_q[(1 - 2 p/q)^+] = KL(p|q), derived in "
    "infsup.generative.bounds.kl_to_known; density of the discrete sampler by the change of "
    "variables, infsup.generative.flow_sampler"
)


class KLToKnown(Bound):
    r"""KL(target | model) in nats, of a Gaussian mixture p and a sampler with a density q.

    As E_p[min(q/p, 2)] = 1 - E_q[(1 - 2 p/q)^+],

        KL = E_p[log(p/q) + min(q/p, 2) - 1] + E_q[(1 - 2 p/q)^+].

    Where q is near p, the first summand is of second order, so that its mean has a fraction of the
    spread of that of log(p/q). Without the cut it would have no variance at all once q is wider
    than p by a factor sqrt(2), and its interval would miss (139 times of 200 at a level of 90 %,
    q three times as wide as p). The cut's cost lies in [0, 1]: betting, with half of delta. The
    rest is unbounded: Student's interval with the other half, kind `asymptotic`. q is the density
    of the discrete sampler, solver steps included: by inverting its steps at the draws of p, and
    along the way to its own.

    It is refused where a step cannot be inverted at some draw of the target.

    Args:
        draws: of the target.
        own: draws of the sampler.
    """

    problems: ClassVar = (Transport,)
    needs_64_bit: ClassVar = True

    draws: int = eqx.field(static=True, default=4096)
    own: int = eqx.field(static=True, default=16384)

    def __check_init__(self):
        for name in ("draws", "own"):
            arguments.whole("KLToKnown", name, getattr(self, name), least=2)

    def certify(self, problem, outcome, key, delta):
        law, answer = known(problem, "KLToKnown"), outcome.answer
        k_p, k_q = jax.random.split(key)
        x = law.sample(k_p, self.draws).astype(jnp.float64)
        logs, reason, hypotheses = log_densities(answer, x)
        log_ratio = log_densities_of(law, x) - logs

        def claim(lower: float, upper: float, **fields: Any) -> Certificate:
            return Certificate(
                "KL",
                f"{problem.name} from {who(answer)}, its weights in float64",
                lower,
                upper,
                "asymptotic",
                name_of(type(self)),
                sense="min",
                range=(0.0, math.inf),
                level=1 - delta,
                dtype="float64",
                hypotheses=hypotheses,
                source=SOURCE,
                **fields,
            )

        on_q = np.zeros(1)
        if not reason:
            y, own_logs, reason = own_log_densities(answer, k_q, self.own, law.dim)
            on_q = log_densities_of(law, y) - own_logs
        if not reason and not (np.isfinite(log_ratio).all() and np.isfinite(on_q).all()):
            reason = "a density is 0 at a draw"
        if reason:
            return claim(-math.inf, math.inf, verdict="refused", reason=reason)
        near = student_t(summands(log_ratio), delta / 2)
        if near.refused:
            return claim(-math.inf, math.inf, verdict="refused", reason=near.refused)
        cut = betting(cut_off(on_q), delta / 2)
        lower = max(float(near.lower) + float(cut.lower), 0.0)
        upper = float(near.upper) + float(cut.upper)
        return claim(
            lower,
            upper,
            budget={"sampling": upper - lower},
            proof={"log_ratio": log_ratio, "on_q": on_q, "delta": delta},
            reason=unbounded("density ratios"),
        )


CUT = 2.0


def summands(log_ratio: np.ndarray) -> np.ndarray:
    """log(p/q) + min(q/p, 2) - 1, without cancellation where p is near q."""
    return log_ratio + np.expm1(np.minimum(-log_ratio, math.log(CUT)))


def cut_off(log_ratio: np.ndarray) -> np.ndarray:
    """(1 - 2 p/q)^+, in [0, 1]."""
    return np.clip(-np.expm1(log_ratio + math.log(CUT)), 0.0, 1.0)
