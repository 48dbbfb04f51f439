"""The bound that fits the answer: each kind of network finds its own."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import infsup as isp
from infsup.approximation import Approximate, AttentionHead, Enclosure

pytestmark = pytest.mark.usefixtures("x64")


def mlp(activation):
    key = jax.random.key(0)
    return eqx.nn.MLP("scalar", "scalar", 5, 1, activation=activation, key=key)


@pytest.mark.parametrize(
    ("answer", "by"),
    [
        (lambda: mlp(jax.nn.relu), "PiecewiseEnclosure"),
        (lambda: mlp(jnp.tanh), "SmoothEnclosure"),
        (lambda: isp.solve(Approximate("sin(x)", (0.0, 1.0), 1e-3)), "StructuralEnclosure"),
    ],
)
def test_each_network_finds_its_bound(answer, by):
    c = isp.certify(Approximate("sin(x)", (0.0, 1.0)), answer(), Enclosure())
    assert (c.verdict, c.kind, c.bound) == ("certified", "proved", "approximation.Enclosure")
    assert c.proof["by"] == f"approximation.{by}"
    assert 0 < c.lower <= c.upper


def test_it_says_why_none_applies():
    c = isp.certify(Approximate("sin(x)", (0.0, 1.0)), jnp.floor, Enclosure())
    assert c.verdict == "inapplicable"
    for name in (
        "StructuralEnclosure: ",
        "PiecewiseEnclosure: ",
        "SmoothEnclosure: ",
        "floor",
    ):
        assert name in c.reason


@pytest.mark.parametrize("method", [None, AttentionHead(8)])
def test_it_is_checked_again(method, tmp_path):
    s = isp.solve(Approximate("sin(x)", (0.0, 1.0), 1e-3), method, bounds=(Enclosure(),))
    s.save(tmp_path / "s")
    checked = isp.check(tmp_path / "s", replay=True)
    assert checked.stands, checked.findings
