"""Flow matching: learn the velocity that carries noise to data."""

import math
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from infsup.core.answers import shape_of
from infsup.core.errors import UsageError
from infsup.core.method import IterativeMethod, Outcome
from infsup.core.sharding import spread
from infsup.generative import solvers
from infsup.generative.bridge import Bridge
from infsup.generative.couplings import BlockOptimalTransport
from infsup.generative.flow_sampler import FlowSampler
from infsup.generative.problem import Transport
from infsup.generative.velocities import TimeMLP
from infsup.networks.recipes import trainable
from infsup.optimization import arguments, first_order

TIMES = ("uniform", "logit_normal")


class State(NamedTuple):
    """Velocity, its average, the optimiser's memory, sums of a moving loss, pairs made before."""

    model: Any
    average: Any
    optimiser: Any
    losses: Any
    weights: Any
    count: Any
    bank: Any


class FlowMatching(IterativeMethod):
    r"""Regress v(t, x_t) on dx_t/dt along conditional paths x_t = a x1 + b x0 + c z, by AdamW.

    min_v E |v(t, x_t) - dx_t/dt|^2 has the solution v = E[dx_t/dt | x_t], whose flow carries the
    law of x_0 to that of x_1. The least value is not 0 but the conditional variance of dx_t/dt
    (`ExcessLoss` subtracts it). Weights are averaged over the steps; the answer is a
    `FlowSampler` of the average.

    Args:
        model: a recipe with `build(dim, key)`, a module, or `key -> module`, of v(t, x[d]).
        bridge: coupling and path.
        rate: step size, > 0.
        steps: the budget.
        batch: pairs a step, at most as many as there are rows.
        weight_decay: >= 0.
        schedule: of the rate: "constant", "linear", "cosine".
        average: decay of the weights' average, in [0, 1); 0 for none.
        times: of t in training: "uniform", or "logit_normal" (sigmoid of N(0.5, 1.2^2): more
            at the middle and near the data).
        solver: of the answer: "euler", "midpoint", "heun", "rk4".
        solver_steps: of the answer.

    Raises:
        UsageError: a number outside its range.

    Source: Y. Lipman et al., Flow matching for generative modeling, ICLR 2023; A. Tong et al.,
    TMLR 2024 (couplings); P. Esser et al., ICML 2024 (logit-normal times).
    """

    problems: ClassVar = (Transport,)
    merit: ClassVar = "loss_average"

    model: Any = TimeMLP()
    bridge: Bridge = Bridge()
    rate: Any = 2e-3
    steps: Any = 5000
    batch: int = eqx.field(static=True, default=256)
    weight_decay: Any = 0.0
    schedule: str = eqx.field(static=True, default="cosine")
    average: Any = 0.995
    times: str = eqx.field(static=True, default="uniform")
    solver: str = eqx.field(static=True, default="midpoint")
    solver_steps: int = eqx.field(static=True, default=20)

    def __check_init__(self):
        what = "FlowMatching"
        arguments.number(what, "rate", self.rate, above=0)
        arguments.whole(what, "steps", self.steps, least=1)
        arguments.whole(what, "batch", self.batch, least=1)
        arguments.number(what, "weight_decay", self.weight_decay, above=0, least=True)
        arguments.number(what, "average", self.average, above=0, least=True)
        if not isinstance(self.average, Tracer) and not self.average < 1:
            raise UsageError(f"`average` of {what} is {self.average!r}", "It lies in [0, 1).")
        arguments.one_of(what, "schedule", self.schedule, first_order.SCHEDULES)
        arguments.one_of(what, "times", self.times, TIMES)
        arguments.one_of(what, "solver", self.solver, tuple(solvers.STAGES))
        arguments.whole(what, "solver_steps", self.solver_steps, least=1)
        if not isinstance(self.bridge, Bridge):
            raise UsageError(
                f"`bridge` of {what} is {type(self.bridge).__name__}", remedy="Bridge()"
            )

    def suits(self, problem):
        if self.batch > problem.count:
            raise UsageError(
                f"`batch` of FlowMatching is {self.batch}, and there are {problem.count} rows to "
                "fit",
                remedy=f"batch={max(problem.count // 2, 1)}",
            )
        coupling = self.bridge.coupling
        if isinstance(coupling, BlockOptimalTransport) and coupling.block > problem.count:
            raise UsageError(
                f"`block` of BlockOptimalTransport is {coupling.block}, and there are "
                f"{problem.count} rows to fit",
                remedy=f"block={max(problem.count // 2, 2)}",
            )
        asked = jax.ShapeDtypeStruct((problem.dim,), jnp.float32)
        time = jax.ShapeDtypeStruct((), jnp.float32)
        try:
            net = eqx.filter_eval_shape(self._begin, problem, None, jax.random.key(0))
            got = eqx.filter_eval_shape(lambda m, t, x: m(t, x), net, time, asked)
        except (TypeError, ValueError) as e:
            raise UsageError(
                f"`model` of FlowMatching does not take (t, x): {str(e).splitlines()[0]}",
                "A velocity is a function of the time and one point.",
                "TimeMLP(width=64, depth=3)",
            ) from e
        if getattr(got, "shape", None) != (problem.dim,):
            raise UsageError(
                f"`model` of FlowMatching gives {shape_of(got)}",
                f"A velocity of {problem.dim} numbers is asked.",
            )

    def _begin(self, problem: Transport, start: Any, key: Any) -> Any:
        if start is not None and isinstance(start.answer, FlowSampler):
            return start.answer.velocity
        if hasattr(self.model, "build"):
            return self.model.build(problem.dim, key)
        return self.model if isinstance(self.model, eqx.Module) else self.model(key)

    def _transform(self):
        rate = first_order.schedule(self.schedule, self.rate, self.steps)
        return optax.adamw(rate, weight_decay=self.weight_decay)

    def init(self, problem, start, key):
        k_net, k_noise, k_data = jax.random.split(key, 3)
        net = self._begin(problem, start, k_net)
        bank = self.bridge.coupling.bank(
            lambda n: jax.random.normal(k_noise, (n, problem.dim), jnp.float32),
            lambda n: _passes(problem, k_data, n),
        )
        bank = None if bank is None else tuple(jnp.asarray(b) for b in bank)
        memory = self._transform().init(eqx.filter(net, trainable(net)))
        zero = jnp.zeros((), jnp.float32)
        return State(net, net, memory, zero, zero, zero, bank)

    def step(self, problem, state, key):
        k_pair, k_noise, k_t, k_z = jax.random.split(key, 4)
        shape = (self.batch, problem.dim)
        if state.bank is None:
            x0 = jax.random.normal(k_noise, shape, jnp.float32)
            x1 = problem.draw(k_pair, self.batch)
        else:
            i = jax.random.randint(k_pair, (self.batch,), 0, len(state.bank[0]), jnp.int32)
            x0, x1 = state.bank[0][i], state.bank[1][i]
        t = self._time(k_t, (self.batch, 1))
        z = jax.random.normal(k_z, shape, jnp.float32)
        x, slope = self.bridge.point(t, x0, x1, z)
        t, x, slope = spread((t[:, 0], x.astype(jnp.float32), slope.astype(jnp.float32)))
        params, fixed = eqx.partition(state.model, trainable(state.model))

        def loss_of(p):
            v = jax.vmap(eqx.combine(p, fixed))(t, x)
            return jnp.mean(jnp.sum((v - slope) ** 2, -1))

        loss, g = jax.value_and_grad(loss_of)(params)
        updates, memory = self._transform().update(g, state.optimiser, params)
        params = optax.apply_updates(params, updates)
        # a young average forgets its first weights quickly
        decay = jnp.minimum(self.average, (1.0 + state.count) / (10.0 + state.count))
        decay = jnp.asarray(decay, jnp.float32)
        old, _ = eqx.partition(state.average, trainable(state.average))
        average = jax.tree.map(
            lambda a, p: (decay * a + (1 - decay) * p).astype(a.dtype), old, params
        )
        m = first_order.MEMORY
        losses = m * state.losses + (1 - m) * loss.astype(jnp.float32)
        weights = m * state.weights + (1 - m)
        new = State(
            eqx.combine(params, fixed),
            eqx.combine(average, fixed),
            memory,
            losses,
            weights,
            state.count + 1.0,
            state.bank,
        )
        metrics = {"loss": loss, "loss_average": losses / weights, "gradient": first_order.norm(g)}
        return new, metrics

    def _time(self, key: Any, shape: tuple[int, ...]) -> Any:
        if self.times == "uniform":
            return jax.random.uniform(key, shape, jnp.float32)
        return jax.nn.sigmoid(0.5 + 1.2 * jax.random.normal(key, shape, jnp.float32))

    def finish(self, problem, state, key):
        shift, scale = problem.frame
        sampler = FlowSampler(
            state.average,
            shift,
            scale,
            self.bridge,
            tuple(problem.row),
            self.solver,
            self.solver_steps,
        )
        return Outcome(sampler)


def _passes(problem: Transport, key: Any, n: int) -> Any:
    """N draws in the frame: of rows, whole passes in random order."""
    if problem.mixture is not None:
        return problem.draw(key, n)
    order = np.concatenate(
        [
            np.asarray(jax.random.permutation(jax.random.fold_in(key, k), problem.count))
            for k in range(math.ceil(n / problem.count))
        ]
    )
    rows = problem.fitted_rows[order[:n]]
    return problem.framed(key, rows)
