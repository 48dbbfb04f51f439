"""Laws learned from rows: samplers whose distance to the target is bracketed."""

from infsup.core.lazy import lazy

PROBLEMS = {"Transport": "problem"}

METHODS = {"FlowMatching": "flow_matching"}

BOUNDS = {
    "W2ToHeldOut": "bounds.w2_to_held_out",
    "W2ToMixture": "bounds.w2_to_mixture",
    "KLToKnown": "bounds.kl_to_known",
    "DivergenceToKnown": "bounds.divergence_to_known",
    "ExcessLoss": "bounds.excess_loss",
    "CriticLower": "bounds.critic_lower",
    "PairedDifference": "bounds.paired_difference",
}

OTHERS = {
    "Bridge": "bridge",
    "exact_velocity": "bridge",
    "Independent": "couplings",
    "BlockOptimalTransport": "couplings",
    "Linear": "schedules",
    "Trigonometric": "schedules",
    "VariancePreserving": "schedules",
    "VarianceExploding": "schedules",
    "TimeMLP": "velocities",
    "ResidualVelocity": "velocities",
    "FlowSampler": "flow_sampler",
    "GaussianSampler": "samplers",
    "Resampler": "samplers",
    "Clipped": "samplers",
    "certify_samples": "files",
    "picture": "pictures",
}

PUBLIC = {**PROBLEMS, **METHODS, **BOUNDS, **OTHERS}

__getattr__, __dir__ = lazy(__name__, PUBLIC)
