"""One attention head: its certified error, its symmetries, and where it fits badly."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import infsup as isp
from infsup.approximation import (
    Approximate,
    AttentionHead,
    SmoothEnclosure,
    SoftmaxHead,
    attention,
)
from infsup.approximation.bounds import smooth_enclosure
from infsup.core.errors import UsageError

pytestmark = pytest.mark.usefixtures("x64")


def head(f, domain=(-1.0, 1.0), keys=32, **kw):
    problem = Approximate(f, domain, **kw)
    return isp.solve(problem, AttentionHead(keys), bounds=(SmoothEnclosure(),))


def test_sin_4x_with_32_keys():
    s = head("sin(4*x)", eps=5e-6)
    c = s.certificate
    assert (c.verdict, c.kind, c.met) == ("certified", "proved", "yes")
    assert c.upper < 1e-10
    assert c.upper <= 1.0101 * c.lower
    assert len(s.answer.values) == 32
    x = np.linspace(-1, 1, 1001)
    assert np.abs(np.asarray(jax.vmap(s.answer)(x)) - np.sin(4 * x)).max() < 1e-10


@pytest.mark.parametrize(
    ("f", "domain", "keys", "bar"),
    [
        ("exp(x)", (0.0, 3.0), 16, 1e-9),
        ("1/(1 + 25*x**2)", (-1.0, 1.0), 32, 1e-4),
        ("sin(4*x)", (100.0, 102.0), 16, 1e-8),
        ("sin(4*x)", (-1.0, 1.0), 8, 1e-4),
    ],
)
def test_other_functions(f, domain, keys, bar):
    c = head(f, domain, keys).certificate
    assert c.upper <= bar
    assert c.upper <= 1.02 * c.lower


def test_kinks_cost_and_that_is_said():
    c = head("abs(x)", (-1.0, 1.5), 16, eps=1e-3).certificate
    assert c.verdict == "certified"
    assert c.met == "no"
    assert 0.01 < c.lower <= c.upper < 0.1


def test_fitted_values_beat_sampled_ones():
    """The construction of the universal-approximation proofs, on the same keys and scores."""
    s = head("sin(4*x)", keys=16)
    slopes, offsets, _values = s.answer.softmax_head
    # the key of each score is the point at which its Gaussian is centred
    step = np.diff(slopes)[0] / 2
    place = -np.diff(offsets) / (2 * step)
    place = np.interp(np.arange(16), np.arange(15) + 0.5, place)
    sampled = SoftmaxHead(slopes, offsets, np.sin(4 * place))
    c = isp.certify(s.problem, sampled, SmoothEnclosure())
    assert c.lower > 1e6 * s.certificate.upper


def test_the_head_against_mpmath():
    rng = np.random.default_rng(0)
    given = SoftmaxHead(50 * rng.normal(size=5), 10 * rng.normal(size=5), rng.normal(size=5))
    network = smooth_enclosure.read(given)
    x = 0.37

    def value(t):
        e = [mpmath.exp(s * t + o) for s, o in zip(network.slopes, network.offsets, strict=True)]
        return mpmath.fdot(network.values.tolist(), e) / sum(e)

    with mpmath.workdps(50):
        truth = mpmath.taylor(value, x, 4)
    taylor = smooth_enclosure.Taylor(network, 4)
    with smooth_enclosure.precision(128):
        point, _ = taylor.at(smooth_enclosure.arb(x), smooth_enclosure.arb(0))
    for got, c in zip(point, truth, strict=True):
        assert abs(float(got) - float(c)) <= 1e-9 * (1 + abs(float(c)))
    assert abs(float(given(jnp.asarray(x))) - float(truth[0])) < 1e-12


def test_a_score_without_its_bias_is_found_out(monkeypatch):
    """Planted: the keys' biases are left out, as if softmax saw only x k."""
    whole = smooth_enclosure.read
    answer = head("sin(4*x)", keys=8).answer
    monkeypatch.setattr(
        smooth_enclosure, "read", lambda a: whole(a)._replace(offsets=np.zeros(len(a.offsets)))
    )
    wrong = isp.certify(Approximate("sin(4*x)", (-1.0, 1.0)), answer, SmoothEnclosure())
    x = np.linspace(-1, 1, 201)
    seen = np.abs(np.asarray(jax.vmap(answer)(x)) - np.sin(4 * x)).max()
    assert not wrong.lower <= 1.1 * seen


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_executed(dtype):
    s = head("sin(4*x)", keys=12, dtype=dtype)
    assert s.answer.values.dtype == dtype
    assert s.certificate.verdict == "conditional"
    x = np.linspace(-1, 1, 4001, dtype=dtype)
    got = np.asarray(jax.jit(jax.vmap(s.answer))(x), np.float64)
    assert np.abs(got - np.sin(4 * x.astype(np.float64))).max() <= s.certificate.upper


def test_it_is_stored_and_checked(tmp_path):
    s = head("sin(4*x)", keys=8)
    s.save(tmp_path / "s")
    checked = isp.check(tmp_path / "s")
    assert checked.stands, checked.findings
    again = isp.load(tmp_path / "s").answer
    assert float(again(jnp.asarray(0.3))) == float(s.answer(jnp.asarray(0.3)))


@pytest.mark.parametrize("keys", [3, 257, 8.0])
def test_numbers_outside_their_range(keys, unchecked):
    with pytest.raises(UsageError, match="keys"):
        AttentionHead(keys)


def test_weights_are_a_partition_of_unity():
    w = attention.weights(np.linspace(-9, 9, 7), np.zeros(7), np.linspace(-3, 3, 11))
    assert w.shape == (11, 7)
    assert np.allclose(w.sum(1), 1)
