"""Which of two samplers gives the held-out rows more likelihood, row by row."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, Hypothesis
from infsup.core.intervals import student_t
from infsup.core.precision import enabled
from infsup.core.registry import name_of
from infsup.generative.bounds.kl_to_known import log_densities
from infsup.generative.drawing import who
from infsup.generative.problem import Transport
from infsup.optimization import arguments


class PairedDifference(Bound):
    r"""E log q_A - E log q_B in nats, on the law behind the rows, from the held-out ones.

    The entropy of an unknown law is not certifiable, so neither is a KL divergence from rows; the
    difference of two is: KL(p|B) - KL(p|A). What is hard for both cancels row by row. Both
    densities are those of the discrete samplers, at the same rows with the same grid noise.
    Student's interval, kind `asymptotic`.

    Args:
        against: sampler B, with a density; by default the fitted Gaussian.
        rows: how many held-out rows, at most.
    """

    problems: ClassVar = (Transport,)
    unseen: ClassVar = True

    against: Any = None
    rows: int = eqx.field(static=True, default=1024)

    def __check_init__(self):
        arguments.whole("PairedDifference", "rows", self.rows, least=2)

    def certify(self, problem, outcome, key, delta):
        other = problem.trivial()["fitted Gaussian"] if self.against is None else self.against
        other = problem.accept(other)
        dtype = jnp.float64 if enabled() else jnp.float32
        if problem.mixture is not None:
            x, where = problem.mixture.sample(key, self.rows).astype(dtype), problem.name
            assumed: tuple[Hypothesis, ...] = ()
        else:
            held = problem.held_out[: self.rows]
            x = problem.blurred(key, held).reshape(len(held), *problem.row).astype(dtype)
            where = f"the law behind {problem.name}"
            assumed = (Hypothesis("the rows are independent draws of one law", "assumed"),)
        a, fault_a, on_a = log_densities(outcome.answer, x)
        b, fault_b, on_b = log_densities(other, x)
        ours, theirs = who(outcome.answer), who(other)
        fields: dict[str, Any] = {
            "sense": "max",
            "level": 1 - delta,
            "dtype": str(np.dtype(dtype)),
            "hypotheses": tuple(dict.fromkeys(assumed + on_a + on_b)),
            "source": "Student 1908; change of variables, infsup.generative.flow_sampler",
        }
        quantity, name = f"log-likelihood of {ours} less that of {theirs}", name_of(type(self))
        fault = fault_a or fault_b
        if not fault and not np.isfinite(a - b).all():
            fault = "a density is 0 at a held-out row"
        found = None if fault else student_t(a - b, delta)
        if found is None or found.refused:
            fields |= {"verdict": "refused", "reason": fault or (found.refused if found else "")}
            return Certificate(quantity, where, -math.inf, math.inf, "asymptotic", name, **fields)
        return Certificate(
            quantity,
            where,
            float(found.lower),
            float(found.upper),
            "asymptotic",
            name,
            budget={"sampling": float(found.width)},
            proof={"a": a, "b": b, "delta": delta},
            **fields,
        )
