"""Every method runs with the 64-bit flag on and off with the same dtypes, or refuses."""

import json
import subprocess
import sys

import pytest

from infsup.core import registry

CODE = """
import json, sys
import jax
jax.config.update("jax_enable_x64", sys.argv[1] == "1")
import infsup as isp
from infsup.core import registry
from infsup.core.errors import PrecisionError
import numpy as np
rng = np.random.default_rng(0)
x, y = rng.normal(size=(200, 4)).astype(np.float32), rng.integers(0, 3, 200)
makers = {
    "optimization": lambda: isp.generalization.EmpiricalRisk(
        (x, y), model=isp.networks.Linear(), ridge=1e-2
    ),
    "control": lambda: isp.problem("hjb-lq-100", dim=3),
    "approximation": lambda: isp.approximation.Approximate("x**2", (-1.0, 1.0), 1e-2),
    "generative": lambda: isp.generative.Transport(np.repeat(x, 2, 0) + rng.normal(size=(400, 4))),
}
riccati = lambda: isp.problem("double-integrator")
composite = lambda: isp.optimization.Composite(
    lambda w: (w**2).sum(), isp.optimization.Box(1.0, 2.0), np.zeros(3, np.float32), smoothness=2.0
)
said = {}
for name, home in registry.public("METHODS").items():
    cls = registry.named("METHODS", name)
    try:
        special = {"Riccati": riccati, "ISTA": composite, "FISTA": composite}
        problem = special.get(name, makers[home])()
        stop = isp.Steps(3) if issubclass(cls, isp.IterativeMethod) else None
        # a bound that needs 64 bits would refuse in the method's place
        bounds = {"optimization": "HoldOut", "generative": "W2ToHeldOut"}.get(home)
        bounds = None if special.get(name) is composite else bounds
        s = isp.solve(problem, cls(), stop=stop, bounds=bounds)
        leaves = [a for a in jax.tree.leaves(s.answer) if hasattr(a, "dtype")]
        said[name] = sorted({str(a.dtype) for a in leaves})
    except PrecisionError as e:
        said[name] = "refused: " + e.what
print(json.dumps(said))
"""


def run(flag):
    got = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE, flag],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert got.returncode == 0, got.stderr
    return json.loads(got.stdout)


@pytest.fixture(scope="module")
def both():
    return run("1"), run("0")


def test_every_public_method_is_tried(both):
    for said in both:
        assert set(said) == set(registry.public("METHODS"))


def test_the_flag_changes_no_dtype(both):
    on, off = both
    for name, with_flag in on.items():
        assert not str(with_flag).startswith("refused"), (name, with_flag)
        if not str(off[name]).startswith("refused"):
            assert off[name] == with_flag, name
        else:
            assert "needs 64-bit arithmetic" in off[name]
    assert off["AdamW"] == ["float32"]
