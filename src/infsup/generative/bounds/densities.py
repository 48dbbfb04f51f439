"""Densities of samplers, at given points and at their own draws, in float64."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from infsup.core.certificate import Hypothesis
from infsup.core.errors import HypothesisError
from infsup.generative.drawing import OURS, check_finite, draws, pushed
from infsup.generative.flow_sampler import FlowSampler, invertible, pulled
from infsup.numerics.gaussian_mixture import GaussianMixture


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


@eqx.filter_jit
def _mixture(law: Any, x: Any) -> Any:
    return jax.vmap(law.log_density)(x)


def log_densities_of(law: GaussianMixture, x: Any) -> np.ndarray:
    """Log p at points x [n, *row], float64."""
    return np.asarray(_mixture(law, x.reshape(len(x), -1)), np.float64)


@eqx.filter_jit
def _pushed_with_density(answer: FlowSampler, z: Any) -> Any:
    return answer.push_with_density(z)


def own_log_densities(answer: Any, key: Any, n: int, dim: int) -> tuple[Any, np.ndarray, str]:
    """Draws of a sampler [n, *row], log q at them, and why there is none or "".

    In float64: rounded to float32 they would be draws of another law.

    Raises:
        HypothesisError: the answer has no density.
    """
    z = jax.random.normal(key, (n, dim), jnp.float64)
    if isinstance(answer, FlowSampler):
        x, logs, upright = _pushed_with_density(answer.astype(jnp.float64), z)
        check_finite(np.asarray(x).reshape(n, -1))
        folds = int((~np.asarray(upright)).sum())
        fault = f"a step of {answer.law} folds at {folds} of {n} draws" if folds else ""
        return x, np.asarray(logs, np.float64), fault
    x = jnp.asarray(pushed(answer, z) if hasattr(answer, "push") else draws(answer, key, n))
    logs, fault, _ = log_densities(answer, x)
    return x, logs, fault
