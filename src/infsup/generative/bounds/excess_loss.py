"""How far a velocity is from the best one: the loss minus its floor."""

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
from infsup.generative.bridge import exact_velocity
from infsup.generative.couplings import Independent
from infsup.generative.drawing import normals, who
from infsup.generative.flow_sampler import FlowSampler
from infsup.generative.problem import Transport
from infsup.numerics.gaussian_mixture import Atoms
from infsup.optimization import arguments

SOURCE = (
    "E|v(t, x_t) - x_t'|^2 = E|v - u|^2 + E|u - x_t'|^2 with u = E[x_t' | x_t] (Lipman et al. "
    "2023, theorem 2); u in closed form, infsup.numerics.gaussian_mixture"
)


class ExcessLoss(Bound):
    r"""E|v - u|^2 over t in (0, 1) and x_t: the flow-matching loss less its floor.

    The loss that is minimised contains the conditional variance of dx_t/dt, which no velocity can
    remove and which is usually most of it. With the exact velocity u in closed form what is left
    is a mean of squares. For a Gaussian mixture it is the excess on the target itself; for rows
    it is that on the empirical law of the held-out rows, whose u is a softmax over them.

    Summands are unbounded: Student's interval, kind `asymptotic`.

    Args:
        draws: pairs (t, x_t).
    """

    problems: ClassVar = (Transport,)
    unseen: ClassVar = True

    draws: int = eqx.field(static=True, default=16384)

    def __check_init__(self):
        arguments.whole("ExcessLoss", "draws", self.draws, least=2)

    def judges_held_out(self, problem):
        return problem.mixture is None

    def certify(self, problem, outcome, key, delta):
        answer = outcome.answer
        if not isinstance(answer, FlowSampler):
            raise HypothesisError(
                f"`answer` is {type(answer).__name__}, which has no velocity",
                remedy="a FlowSampler, or W2ToHeldOut and CriticLower, which need none",
            )
        coupling = type(answer.bridge.coupling).__name__
        independent = Hypothesis(
            "noise and data are independent in training",
            "checked" if isinstance(answer.bridge.coupling, Independent) else "violated",
            coupling,
        )
        if problem.mixture is not None:
            law, where = problem.mixture, problem.name
        else:
            shift, scale = problem.frame
            rows = (jnp.asarray(problem.held_out) - shift) / scale
            law, where = Atoms(rows.astype(jnp.float32)), f"{len(rows)} held-out rows"

        def claim(lower: float, upper: float, **fields: Any) -> Certificate:
            return Certificate(
                "excess flow-matching loss",
                f"the velocity of {who(answer)} on {where}",
                lower,
                upper,
                "asymptotic",
                name_of(type(self)),
                sense="min",
                range=(0.0, math.inf),
                level=1 - delta,
                dtype="float32",
                hypotheses=(independent,),
                source=SOURCE,
                **fields,
            )

        if independent.state == "violated":
            return claim(-math.inf, math.inf)
        values = excess(answer, law, key, self.draws)
        proof = {"values": values, "delta": delta}
        return student_mean(claim, values, delta, proof, what="squared errors", least=0.0)


@eqx.filter_jit
def _squares(answer: FlowSampler, law: Any, t: Any, x0: Any, x1: Any, z: Any) -> Any:
    path = answer.bridge.path

    def one(t, x0, x1, z):
        x, _ = answer.bridge.point(t, x0, x1, z)
        return jnp.sum((answer.velocity(t, x) - exact_velocity(law, path, t, x)) ** 2)

    return jax.vmap(one)(t, x0, x1, z)


def excess(answer: FlowSampler, law: Any, key: Any, n: int) -> np.ndarray:
    """|v - u|^2 at n independent (t, x_t), float64."""
    k_t, k_0, k_1, k_z = jax.random.split(key, 4)
    t = jax.random.uniform(k_t, (n,), jnp.float32)
    x0, z = normals(k_0, n, law.dim), normals(k_z, n, law.dim)
    return np.asarray(_squares(answer, law, t, x0, law.sample(k_1, n), z), np.float64)
