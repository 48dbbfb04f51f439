"""A sampler that moves noise along a learned velocity, with the density of what it samples."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from infsup.core.errors import HypothesisError, UsageError
from infsup.core.registry import register
from infsup.generative import solvers
from infsup.generative.bridge import Bridge
from infsup.optimization import arguments

DENSE = 96
"""Largest dimension whose Jacobians are formed."""


@register
class FlowSampler(eqx.Module):
    r"""x = shift + scale * psi(z), z ~ N(0, I), psi the solver's n steps along dz/dt = v(t, z).

    Its law is that of the discrete sampler, not of the differential equation behind it. Each step
    is a map phi_k; where all are one to one the density is exact for every number of steps:

        log q(x) = log N(z; 0, I) - sum_k log|det D phi_k| - sum log scale.

    Args:
        velocity: module (t, z[d]) -> [d].
        shift, scale: [d], from the problem; scale > 0.
        bridge: what it was trained with.
        row: shape of one draw; d numbers.
        solver: "euler", "midpoint", "heun" or "rk4".
        steps: how many, of equal size.
    """

    velocity: Any
    shift: Any
    scale: Any
    bridge: Bridge = Bridge()
    row: tuple[int, ...] = eqx.field(static=True, default=())
    solver: str = eqx.field(static=True, default="midpoint")
    steps: int = eqx.field(static=True, default=20)

    def __check_init__(self):
        arguments.one_of("FlowSampler", "solver", self.solver, tuple(solvers.STAGES))
        arguments.whole("FlowSampler", "steps", self.steps, least=1)

    @property
    def dim(self) -> int:
        """The dimension d of the noise."""
        return len(self.shift)

    @property
    def law(self) -> str:
        """Which law `sample` draws from and `log_prob` speaks of."""
        return f"model@{self.solver}{self.steps}"

    def with_solver(self, solver: str, steps: int) -> "FlowSampler":
        """The same velocity under another solver: another law."""
        return FlowSampler(
            self.velocity, self.shift, self.scale, self.bridge, self.row, solver, steps
        )

    def astype(self, dtype: Any) -> "FlowSampler":
        """The same weights in another arithmetic."""

        def cast(a):
            inexact = hasattr(a, "dtype") and jnp.issubdtype(a.dtype, jnp.inexact)
            return a.astype(dtype) if inexact else a

        return jax.tree.map(cast, self)

    # -- drawing -----------------------------------------------------------------------------

    def push(self, z: Float[Array, "n d"]) -> Float[Array, " n *row"]:
        """Where noise goes; in the dtype of z."""
        end = jax.vmap(lambda y: solvers.flow(self.solver, self.velocity, y, self.steps))(z)
        return self._out(end)

    def sample(self, key: Key[Array, ""], n: int) -> Float[Array, " n *row"]:
        """Independent draws, in float32."""
        return self.push(jax.random.normal(key, (n, self.dim), jnp.float32))

    def _out(self, z: Array) -> Array:
        x = jnp.asarray(self.shift, z.dtype) + jnp.asarray(self.scale, z.dtype) * z
        return x.reshape(len(z), *self.row)

    def _in(self, x: Array) -> Array:
        flat = x.reshape(len(x), self.dim)
        return (flat - jnp.asarray(self.shift, x.dtype)) / jnp.asarray(self.scale, x.dtype)

    # -- densities ---------------------------------------------------------------------------

    def _base(self, z: Array) -> Array:
        volume = jnp.sum(jnp.log(jnp.asarray(self.scale, z.dtype)))
        return -0.5 * jnp.sum(z * z, 1) - 0.5 * self.dim * math.log(2 * math.pi) - volume

    def push_with_density(
        self, z: Float[Array, "n d"]
    ) -> tuple[Float[Array, " n *row"], Float[Array, " n"], Array]:
        """(where noise goes, log q there, whether every step kept its orientation [n])."""
        self._small_enough()
        end, logdet, upright = jax.vmap(
            lambda y: solvers.flow_with_density(self.solver, self.velocity, y, self.steps)
        )(z)
        return self._out(end), self._base(z) - logdet, upright

    def sample_and_log_prob(
        self, key: Key[Array, ""], n: int
    ) -> tuple[Float[Array, " n *row"], Float[Array, " n"]]:
        """Draws, and the log density of the discrete sampler at each; NaN where a step folds."""
        x, logs, upright = self.push_with_density(
            jax.random.normal(key, (n, self.dim), jnp.float32)
        )
        return x, jnp.where(upright, logs, jnp.nan)

    def pull(self, x: Float[Array, " n *row"]) -> tuple[Array, Array, Array]:
        """(log q(x) [n], whether every step kept its orientation [n], residual [n]).

        The residual is the largest distance by which an inverted step misses, in units of the
        noise: rounding where the step maps are invertible at x. Pure: for use under `jit`, `grad`.
        """
        self._small_enough()
        z, logdet, upright, residual = jax.vmap(
            lambda y: solvers.inverse_with_density(self.solver, self.velocity, y, self.steps)
        )(self._in(x))
        return self._base(z) - logdet, upright, residual

    def log_prob(self, x: Float[Array, " n *row"]) -> Float[Array, " n"]:
        """Log density of the discrete sampler (`law`) at given points, by inverting its steps.

        Raises:
            HypothesisError: a step map is not invertible at some point.
            UsageError: more dimensions than Jacobians are formed for.
        """
        logs, upright, residual = pulled(self, jnp.asarray(x))
        folded = ~np.asarray(invertible(upright, residual))
        if folded.any():
            raise HypothesisError(
                f"the steps of {self.law} cannot be inverted at {folded.sum()} of {len(folded)} "
                "points",
                "There the sampler folds, and has no density of this form.",
                f"with_solver({self.solver!r}, {2 * self.steps})",
            )
        return logs

    def _small_enough(self) -> None:
        if self.dim > DENSE:
            raise UsageError(
                f"this sampler has {self.dim} dimensions",
                f"Its density needs a determinant a step; that is done up to {DENSE}.",
                "W2ToHeldOut or CriticLower, which need no density",
            )


@eqx.filter_jit
def pulled(sampler: FlowSampler, x: Any) -> tuple[Array, Array, Array]:
    """`FlowSampler.pull`, compiled once."""
    return sampler.pull(x)


def invertible(upright: Any, residual: Any) -> Any:
    """Whether each point was pulled back: positive determinants, residuals of rounding size."""
    return np.asarray(upright) & (
        np.asarray(residual) <= 1e4 * np.finfo(np.asarray(residual).dtype).eps
    )
