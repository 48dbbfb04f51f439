"""Checking and listing must work where JAX is not even installed."""

import subprocess
import sys

SCRIPT = """
import sys
sys.modules["jax"] = sys.modules["equinox"] = None
import infsup.generalization.check, infsup.optimization.check
import infsup.data, infsup.networks, infsup.optimization, infsup.generalization
from infsup.core.registry import public
assert "HoldOut" in public("BOUNDS") and "Newton" in public("METHODS")
"""


def test_the_checkers_and_the_tables_need_no_jax():
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)
