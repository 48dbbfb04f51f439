"""Which of two samplers gives the held-out rows more likelihood, row by row."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, Hypothesis
from infsup.core.precision import enabled
from infsup.core.registry import name_of
from infsup.generative.bounds.densities import log_densities
from infsup.generative.bounds.student_mean import student_mean
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

    def judges_held_out(self, problem):
        return problem.mixture is None

    def certify(self, problem, outcome, key, delta):
        other = problem.trivial()["fitted Gaussian"] if self.against is None else self.against
        other = problem.accept(other)
        dtype = jnp.float64 if enabled() else jnp.float32
        if problem.mixture is not None:
            x, where = problem.mixture.sample(key, self.rows).astype(dtype), problem.name
            assumed: tuple[Hypothesis, ...] = ()
        else:
            k_rows, k_noise = jax.random.split(key)
            # a part of the rows is a random one: files are often sorted
            held = problem.held_out
            held = held[np.asarray(jax.random.permutation(k_rows, len(held)))[: self.rows]]
            x = problem.blurred(k_noise, held).reshape(len(held), *problem.row).astype(dtype)
            where = f"the law behind {problem.name}"
            assumed = (Hypothesis("the rows are independent draws of one law", "assumed"),)
        a, fault_a, on_a = log_densities(outcome.answer, x)
        b, fault_b, on_b = log_densities(other, x)
        ours, theirs = who(outcome.answer), who(other)

        def claim(lower: float, upper: float, **fields: Any) -> Certificate:
            return Certificate(
                f"log-likelihood of {ours} less that of {theirs}",
                where,
                lower,
                upper,
                "asymptotic",
                name_of(type(self)),
                sense="max",
                level=1 - delta,
                dtype=str(np.dtype(dtype)),
                hypotheses=tuple(dict.fromkeys(assumed + on_a + on_b)),
                source="Student 1908; change of variables, infsup.generative.flow_sampler",
                **fields,
            )

        fault = fault_a or fault_b
        if not fault and not np.isfinite(a - b).all():
            fault = "a density is 0 at a row"
        proof = {"a": a, "b": b, "delta": delta}
        return student_mean(claim, a - b, delta, proof, what="log densities", fault=fault)
