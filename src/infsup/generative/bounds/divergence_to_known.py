"""Total variation and Jensen-Shannon divergence from a known target, from both sides."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from infsup.core.bound import Bound
from infsup.core.certificate import Certificate
from infsup.core.intervals import betting
from infsup.core.registry import name_of
from infsup.generative.bounds.densities import (
    log_densities,
    log_densities_of,
    own_log_densities,
)
from infsup.generative.bounds.w2_to_mixture import known
from infsup.generative.drawing import who
from infsup.generative.problem import Transport
from infsup.optimization import arguments

MEASURES = {"tv": "total variation", "js": "Jensen-Shannon divergence"}
SOURCE = (
    "TV = E_p (1 - q/p)^+ and JS = E_m (log 2 - H(p/(p + q))), m = (p + q)/2 (definitions); "
    "betting (Waudby-Smith and Ramdas 2024); density of the discrete sampler by the change of "
    "variables, infsup.generative.flow_sampler"
)


class DivergenceToKnown(Bound):
    r"""TV or JS between a Gaussian mixture p and a sampler with a density q, at this sample size.

    With both densities known, both are means of bounded summands,

        TV = E_p max(1 - q/p, 0)                          in [0, 1],
        JS = (E_p h + E_q h)/2, h = log 2 - H(p/(p + q))  in [0, log 2], H the binary entropy,

    so betting intervals hold for every number of draws (kind `confidence`), where a KL divergence
    has none. q is the density of the discrete sampler, by inverting its steps.

    It is refused where a step cannot be inverted at some draw.

    Args:
        measure: "tv" or "js" (nats).
        draws: of the target; for "js" as many of the sampler.
    """

    problems: ClassVar = (Transport,)
    needs_64_bit: ClassVar = True

    measure: str = eqx.field(static=True, default="tv")
    draws: int = eqx.field(static=True, default=4096)

    def __check_init__(self):
        arguments.one_of("DivergenceToKnown", "measure", self.measure, tuple(MEASURES))
        arguments.whole("DivergenceToKnown", "draws", self.draws, least=1)

    def certify(self, problem, outcome, key, delta):
        law, answer = known(problem, "DivergenceToKnown"), outcome.answer
        k_p, k_q = jax.random.split(key)
        x = law.sample(k_p, self.draws).astype(jnp.float64)
        logs, fault, hypotheses = log_densities(answer, x)
        ratios = [log_densities_of(law, x) - logs]
        if self.measure == "js" and not fault:
            y, own_logs, fault = own_log_densities(answer, k_q, self.draws, law.dim)
            ratios.append(log_densities_of(law, y) - own_logs)
        most = {"tv": 1.0, "js": math.log(2)}[self.measure]

        def claim(lower: float, upper: float, **fields: Any) -> Certificate:
            return Certificate(
                MEASURES[self.measure],
                f"{problem.name} and {who(answer)}, its weights in float64",
                lower,
                upper,
                "confidence",
                name_of(type(self)),
                sense="min",
                range=(0.0, most),
                level=1 - delta,
                dtype="float64",
                hypotheses=hypotheses,
                source=SOURCE,
                **fields,
            )

        if not fault and not all(np.isfinite(r).all() for r in ratios):
            fault = "a density is 0 at a draw"
        if fault:
            return claim(-math.inf, math.inf, verdict="refused", reason=fault)
        found = [
            betting(v, delta / len(ratios), lo=0.0, hi=most)
            for v in (summands(self.measure, r) for r in ratios)
        ]
        lower, upper = (float(np.mean([getattr(f, e) for f in found])) for e in ("lower", "upper"))
        proof = {"measure": self.measure, "delta": delta}
        proof |= dict(zip(("on_p", "on_q"), ratios, strict=False))
        return claim(lower, upper, budget={"sampling": upper - lower}, proof=proof)


def summands(measure: str, log_ratio: np.ndarray) -> np.ndarray:
    """Of the mean that is the divergence, at points with these log(p/q)."""
    if measure == "tv":
        return np.maximum(-np.expm1(-log_ratio), 0.0)
    share = special.expit(log_ratio)
    entropy = special.entr(share) + special.entr(special.expit(-log_ratio))
    return np.clip(math.log(2) - entropy, 0.0, math.log(2))
