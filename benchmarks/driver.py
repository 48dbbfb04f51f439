"""The driver against a Python training loop in PyTorch, and against a jit-per-step loop in JAX.

The same network (64-h-h-10, ReLU), the same first weights, the same minibatches in the same order,
Adam at the same rate, and so the same final loss; compile time apart.
"""

import pathlib
import statistics
import tempfile
import time
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from harness import HERE, Claim, Row, Worker, alternate, environment, main, ratio, spread, versions

import infsup as isp

STEPS, RATE, ROUNDS = 1000, 1e-3, 5
BARS = {32: {"torch": 5.0, "jit per step": 1.5}, 128: {"torch": 2.0, "jit per step": 1.2}}


class Batches(isp.Problem):
    """Cross entropy over given minibatches."""

    x: Any
    y: Any
    index: Any  # [steps, batch]

    @property
    def asks(self):
        """Logits of one image."""
        return isp.Function(
            (jax.ShapeDtypeStruct((64,), np.float32),), jax.ShapeDtypeStruct((10,), np.float32)
        )


class State(NamedTuple):
    """Network, optimizer's state, step."""

    model: Any
    opt: Any
    n: Any


def loss_of(model, x, y):
    """Mean cross entropy."""
    return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(model)(x), y).mean()


class Adam(isp.IterativeMethod):
    """Adam over the given minibatches."""

    model: Any
    rate: float = RATE
    steps: int = STEPS
    every: ClassVar[int] = 100

    def init(self, problem, start, key):
        """The given weights."""
        state = optax.adam(self.rate).init(eqx.filter(self.model, eqx.is_array))
        return State(self.model, state, jnp.zeros((), jnp.int32))

    def step(self, problem, state, key):
        """One minibatch."""
        rows = problem.index[state.n]
        loss, g = eqx.filter_value_and_grad(loss_of)(state.model, problem.x[rows], problem.y[rows])
        updates, opt = optax.adam(self.rate).update(g, state.opt)
        return State(eqx.apply_updates(state.model, updates), opt, state.n + 1), {"loss": loss}

    def finish(self, problem, state, key):
        """The network."""
        return isp.Outcome(state.model)


class Loss(isp.Bound):
    """The final loss, for the comparison."""

    def certify(self, problem, outcome, key, delta):
        """The mean loss, as computed."""
        v = float(loss_of(outcome.answer.answer, problem.x, problem.y))
        return isp.Certificate("loss", "the network", v, v, "estimate", "benchmarks:Loss")


def contest(width: int, folder: pathlib.Path) -> tuple[list[Row], dict[str, Any], dict[str, str]]:
    """All contenders at one width (the batch is as large as the width)."""
    data = isp.data.digits()
    x = np.asarray(data.columns["x"], np.float32)
    y = np.asarray(data.columns["y"], np.int32)
    index = np.random.default_rng(0).integers(0, len(x), (STEPS, width)).astype(np.int32)
    model = eqx.nn.MLP(64, 10, width, 2, dtype=jnp.float32, key=jax.random.key(0))
    weights = {
        f"{n}{i}": a
        for i, v in enumerate(model.layers)
        for n, a in (("w", v.weight), ("b", v.bias))
    }
    np.savez(
        folder / f"{width}.npz",
        x=x,
        y=y,
        index=index,
        **{k: np.asarray(v) for k, v in weights.items()},
    )

    problem, method = Batches(jnp.asarray(x), jnp.asarray(y), jnp.asarray(index)), Adam(model)
    losses: dict[str, float] = {}

    def ours() -> float:
        s = isp.solve(problem, method, bounds=(Loss(),), progress=False)
        losses["ours"] = float(s.certificate.lower)
        return s.cost["seconds"]

    adam = optax.adam(RATE)

    @eqx.filter_jit
    def step(model, opt, rows):
        loss, g = eqx.filter_value_and_grad(loss_of)(model, problem.x[rows], problem.y[rows])
        updates, opt = adam.update(g, opt)
        return eqx.apply_updates(model, updates), opt, loss

    def jit_per_step() -> float:
        m, opt = model, adam.init(eqx.filter(model, eqx.is_array))
        t = time.perf_counter()
        for rows in problem.index:
            m, opt, _ = step(m, opt, rows)
        jax.block_until_ready(eqx.filter(m, eqx.is_array))
        seconds = time.perf_counter() - t
        losses["jit per step"] = float(loss_of(m, problem.x, problem.y))
        return seconds

    params, static = eqx.partition(model, eqx.is_array)

    @jax.jit
    def scanned(params, opt, index):
        def body(carry, rows):
            m, o, _ = step(eqx.combine(carry[0], static), carry[1], rows)
            return (eqx.filter(m, eqx.is_array), o), None

        return jax.lax.scan(body, (params, opt), index)[0]

    def bare_scan() -> float:
        t = time.perf_counter()
        m, _ = jax.block_until_ready(scanned(params, adam.init(params), problem.index))
        seconds = time.perf_counter() - t
        losses["bare scan"] = float(loss_of(eqx.combine(m, static), problem.x, problem.y))
        return seconds

    python = environment("torch")
    script = HERE / "peers" / "torch_loop.py"
    base = {"file": str(folder / f"{width}.npz"), "rate": RATE}
    workers = {
        "torch": Worker(python, script, {**base, "fused": None}),
        "torch, fused Adam": Worker(python, script, {**base, "fused": True}),
    }

    def of(name: str):
        def once() -> float:
            said = workers[name].round()
            losses[name] = said["loss"]
            return said["seconds"]

        return once

    peers = {"jit per step": jit_per_step, "bare scan": bare_scan} | {n: of(n) for n in workers}
    for warm in (ours, *peers.values()):
        warm()
    seconds = alternate(ours, peers, ROUNDS)
    for w in workers.values():
        w.close()
    rows = []
    for name in ("ours", *peers):
        values = {
            "us/step": spread(seconds[name], STEPS * 1e-6),
            "final loss": f"{losses[name]:.6f}",
        }
        bar = ""
        if name != "ours":
            m, lo, hi = ratio(seconds, name)
            values["ours is faster by"] = f"{m:.2f} ({lo:.2f}-{hi:.2f})"
            if (asked := BARS[width].get(name)) is not None:
                bar = f">= {asked:g}: {'reached' if m >= asked else 'MISSED'}"
        rows.append(Row(f"width {width}, {name}", values, bar))
    found = {k: v for w in workers.values() for k, v in w.hello.items()}
    raw = {"seconds": seconds, "loss": losses, "median": statistics.median(seconds["ours"])}
    return rows, raw, {"torch": str(found["torch"]), "torch threads": str(found["threads"])}


def claim() -> Claim:
    """Both widths."""
    rows, raw, found = [], {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for width in BARS:
            new, raw[str(width)], found = contest(width, pathlib.Path(folder))
            rows += new
    return Claim(
        f"Training a small network: {STEPS} Adam steps at width = batch = 32 and 128",
        rows,
        raw,
        {**versions("infsup", "jax", "equinox", "optax"), **found},
        f"Median of {ROUNDS} alternating rounds (least-largest); compile time apart; ours with its "
        "looks, history and finiteness test.",
    )


if __name__ == "__main__":
    main(claim, "driver")
