"""Shapes are checked in every test, and 64-bit is on: INFSUP_TEST_X64=0 runs the suite without."""

import os
import signal

import hypothesis
import jax
import jaxtyping
import pytest

# Before anything imports infsup. A subprocess gets neither: it sees what a user sees.
jaxtyping.install_import_hook("infsup", "beartype.beartype")
jax.config.update("jax_enable_x64", os.environ.get("INFSUP_TEST_X64", "1") != "0")

# A shell starts its background jobs with Ctrl-C ignored; the tests send it to themselves.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The first example of a property compiles, so time says nothing.
hypothesis.settings.register_profile("infsup", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("infsup")


@pytest.fixture
def x64():
    """Skip the test where 64-bit is off."""
    if not jax.config.jax_enable_x64:
        pytest.skip("needs 64-bit")


@pytest.fixture
def unchecked():
    """Turns the shape checks off: infsup's own words for bad input are what is tested."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
