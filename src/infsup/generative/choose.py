"""Defaults for making samplers."""

from infsup.core.choose import Choice, choose
from infsup.generative.bounds.critic_lower import CriticLower
from infsup.generative.bounds.excess_loss import ExcessLoss
from infsup.generative.bounds.kl_to_known import KLToKnown
from infsup.generative.bounds.w2_to_held_out import W2ToHeldOut
from infsup.generative.bounds.w2_to_mixture import W2ToMixture
from infsup.generative.flow_matching import FlowMatching
from infsup.generative.problem import Transport
from infsup.generative.velocities import ResidualVelocity

FEW = 16
"""Up to so many dimensions a plain network of (x, t) will do."""


@choose.register
def _(problem: Transport) -> Choice:
    method = FlowMatching(batch=min(256, max(problem.count // 2, 1)), steps=8000)
    network = "a small network"
    if problem.dim >= FEW:
        network = "a residual network"
        method = FlowMatching(
            model=ResidualVelocity(),
            rate=1e-3,
            steps=2000,
            batch=min(128, max(problem.count // 2, 1)),
            average=0.998,
            times="logit_normal",
            solver_steps=12,
        )
    if problem.mixture is not None:
        why = (
            f"a mixture, so the exact velocity is known: {network} by flow matching, judged on "
            "both sides in W2 and KL, and by its loss above the floor"
        )
        return Choice(method, (W2ToMixture(), KLToKnown(), ExcessLoss()), why)
    why = (
        f"rows only: {network} by flow matching, judged by its distance to the rows held out, "
        "and by what a critic can still tell apart"
    )
    return Choice(method, (W2ToHeldOut(), CriticLower()), why)
