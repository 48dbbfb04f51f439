"""KL divergence of a known target from a sampler whose density is exact."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, Hypothesis
from infsup.core.errors import HypothesisError
from infsup.core.registry import name_of
from infsup.generative.bounds.student_mean import student_mean
from infsup.generative.bounds.w2_to_mixture import known
from infsup.generative.drawing import OURS, who
from infsup.generative.flow_sampler import FlowSampler, invertible, pulled
from infsup.generative.problem import Transport
from infsup.optimization import arguments

SOURCE = (
    "E_p[log(p/q) + q/p - 1] = KL(p|q) (Bregman form of the integrand, which is at least 0); "
    "density of the discrete sampler by the change of variables, infsup.generative.flow_sampler"
)


class KLToKnown(Bound):
    r"""KL(target | model) in nats, of a Gaussian mixture and a sampler with a density.

    KL = E_p[log(p/q) + q/p - 1], as E_p[q/p] = 1; each summand is at least 0 and of second order
    where q is near p, so the mean has a fraction of the spread of that of log(p/q). q is the
    density of the discrete sampler, solver steps included, by inverting its steps. Summands are
    unbounded: Student's interval, kind `asymptotic`.

    It is refused where a step cannot be inverted at some draw of the target.

    Args:
        draws: of the target.
    """

    problems: ClassVar = (Transport,)
    needs_64_bit: ClassVar = True

    draws: int = eqx.field(static=True, default=4096)

    def __check_init__(self):
        arguments.whole("KLToKnown", "draws", self.draws, least=2)

    def certify(self, problem, outcome, key, delta):
        law, answer = known(problem, "KLToKnown"), outcome.answer
        x = law.sample(key, self.draws).astype(jnp.float64)
        logs, reason, hypotheses = log_densities(answer, x)

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

        log_ratio = np.asarray(jax.vmap(law.log_density)(x)) - logs
        if not reason and not np.isfinite(log_ratio).all():
            reason = "a density is 0 at a draw of the target"
        return student_mean(
            claim,
            summands(log_ratio),
            delta,
            {"log_ratio": log_ratio, "delta": delta},
            what="density ratios",
            least=0.0,
            fault=reason,
        )


def summands(log_ratio: np.ndarray) -> np.ndarray:
    """log(p/q) + q/p - 1, without cancellation where p is near q."""
    return log_ratio + np.expm1(-log_ratio)


def log_densities(answer: Any, x: Any) -> tuple[np.ndarray, str, tuple[Hypothesis, ...]]:
    """Log q at points x, why there is none or "", and what it rests on.

    Raises:
        HypothesisError: the answer has no density.
    """
    if isinstance(answer, FlowSampler):
        logs, upright, residual = pulled(answer.astype(x.dtype), x)
        good = np.asarray(invertible(upright, residual))
        reason = (
            ""
            if good.all()
            else (
                f"the steps of {answer.law} cannot be inverted at {(~good).sum()} of "
                f"{len(good)} points"
            )
        )
        worst = float(np.max(residual))
        evidence = f"det > 0 at {good.sum()} of {len(good)} points, residual {worst:.1g}"
        one = Hypothesis("the sampler's steps are one to one", "assumed", evidence)
        return np.asarray(logs, np.float64), reason, (one,)
    if not hasattr(answer, "log_prob"):
        raise HypothesisError(
            f"`answer` is {type(answer).__name__}, which has no density",
            remedy="an answer with log_prob(x), such as FlowSampler; CriticLower needs none",
        )
    ours = type(answer).__module__.startswith(OURS)
    one = Hypothesis("log_prob is the log density of the law that sample draws from", "assumed")
    return np.asarray(answer.log_prob(x), np.float64), "", () if ours else (one,)
