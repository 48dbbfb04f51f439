"""Batches over several devices: the same numbers to rounding, and really spread."""

import os
import pathlib
import subprocess
import sys

import jax.numpy as jnp

import infsup as isp
from infsup.core.sharding import spread

SOURCE = pathlib.Path(isp.__file__).parents[1]

RUN = """
from typing import Any, ClassVar
import equinox as eqx, jax, jax.numpy as jnp, numpy as np
import infsup as isp
from infsup.core.sharding import spread

class Lines(isp.Problem):
    x: Any
    y: Any
    @property
    def asks(self):
        return isp.Point(jax.ShapeDtypeStruct((self.x.shape[1],), np.dtype("float32")))

class Minibatch(isp.IterativeMethod):
    steps: int = 200
    spread: bool = eqx.field(static=True, default=True)
    batch: ClassVar[int] = 32
    merit: ClassVar[str] = "loss"
    def init(self, problem, start, key):
        return jnp.zeros(problem.x.shape[1], jnp.float32)
    def step(self, problem, state, key):
        at = jax.random.randint(key, (self.batch,), 0, problem.x.shape[0], jnp.int32)
        rows = problem.x[at], problem.y[at]
        x, y = spread(rows) if self.spread else rows
        jax.debug.inspect_array_sharding(x, callback=lambda s: layouts.append(len(s.device_set)))
        loss = lambda w: jnp.mean((x @ w - y) ** 2)
        value, slope = jax.value_and_grad(loss)(state)
        return state - 0.1 * slope, {"loss": value}
    def finish(self, problem, state, key):
        return isp.Outcome(state)

layouts = []
rng = np.random.default_rng(0)
x = rng.standard_normal((256, 5)).astype(np.float32)
w = np.arange(5, dtype=np.float32)
problem = Lines(jnp.asarray(x), jnp.asarray(x @ w))
answer = isp.run(problem, Minibatch(), 0).answer
wide = max(layouts)
layouts.clear()
isp.run(problem, Minibatch(spread=False), 0)
print(jax.local_device_count(), wide, max(layouts), *np.asarray(answer, np.float64))
"""


def run(devices):
    env = {
        **os.environ,
        "PYTHONPATH": str(SOURCE),
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN], capture_output=True, text=True, env=env, timeout=200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    count, spread_over, planted, *answer = done.stdout.split()
    return int(count), int(spread_over), int(planted), [float(v) for v in answer]


def test_four_devices_agree_with_one_to_rounding():
    one, four = run(1), run(4)
    assert one[:2] == (1, 1)
    assert four[:2] == (4, 4)  # the batch lies on all of them inside the compiled step
    assert four[2] == 1  # and where nothing spreads it, the same look says so
    assert max(abs(a - b) for a, b in zip(one[3], four[3], strict=True)) < 1e-5
    assert max(abs(v - i) for i, v in enumerate(four[3])) < 1e-3


def test_on_one_device_nothing_changes():
    rows = {"x": jnp.ones((6, 2)), "y": jnp.ones(6)}
    assert spread(rows) is rows
