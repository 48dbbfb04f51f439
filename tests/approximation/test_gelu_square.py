"""The GELU square: the table of sizes, what is stored, and what it is not for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import infsup as isp
from infsup.approximation import (
    Approximate,
    ExactGELU,
    GELUSquare,
    SmoothEnclosure,
    check_smooth,
    gelu_square,
)
from infsup.core.encoding import decode
from infsup.core.errors import HypothesisError, UsageError
from infsup.core.storage import read_folder

pytestmark = pytest.mark.usefixtures("x64")


def square(method, domain=(-1.0, 1.0), **kw):
    return isp.solve(Approximate("x**2", domain, **kw), method, bounds=(SmoothEnclosure(),))


@pytest.mark.parametrize(
    ("units", "spread", "table"),
    [
        (4, 0.5, 1.23e-5),
        (6, 0.75, 2.1e-7),
        (8, 1.0, 5.3e-9),
        (10, 1.0, 1.8e-11),
        (12, 1.2, 4.8e-13),
    ],
)
def test_the_table_of_sizes(units, spread, table):
    c = square(GELUSquare(units, spread)).certificate
    assert c.verdict == "certified"
    assert c.kind == "proved"
    assert 0.97 * table <= c.lower <= c.upper <= 1.03 * table


@pytest.mark.parametrize(("units", "eps"), [(8, 1e-8), (12, 9.6e-13)])
def test_the_chosen_spread_is_at_least_as_good(units, eps):
    s = square(GELUSquare(units), eps=eps)
    assert s.certificate.met == "yes"
    assert s.certificate.upper < eps / 100
    network = s.answer
    assert network.width_size == units
    assert network.layers[0].weight.dtype == np.float64
    x = np.linspace(-1, 1, 501)
    assert np.abs(np.asarray(jax.vmap(network)(x)) - x**2).max() < eps


def test_it_is_even_and_other_intervals_are_scaled():
    s = square(GELUSquare(8), (-3.0, 5.0))
    assert s.certificate.upper < 25 * 2e-10
    assert abs(float(s.answer(jnp.asarray(2.5)) - s.answer(jnp.asarray(-2.5)))) < 1e-12


def test_in_float32_the_weights_are_float32():
    s = square(GELUSquare(10), dtype="float32", eps=1e-4)
    c = s.certificate
    assert s.answer.layers[0].weight.dtype == np.float32
    assert (c.verdict, c.met, c.dtype) == ("conditional", "yes", "executed in float32")
    assert any(h.state == "assumed" for h in c.hypotheses)
    x = np.linspace(-1, 1, 2001, dtype=np.float32)
    got = np.asarray(jax.vmap(s.answer)(x), np.float64)
    assert np.abs(got - x.astype(np.float64) ** 2).max() <= c.upper


def test_below_the_floor_of_float32_it_refuses():
    c = square(GELUSquare(10), dtype="float32", eps=1e-6).certificate
    assert c.verdict == "refused"
    assert "rounding in float32" in c.reason
    assert 'dtype="float64"' in c.reason


@pytest.mark.parametrize("f", ["x*x", "x**2", lambda x: x * x, jnp.square, "(x**3)/x + x - x"])
def test_what_is_a_square(f):
    domain = (0.5, 1.0) if f == "(x**3)/x + x - x" else (-1.0, 1.0)
    # x^3/x is x^2, which its balls do not show at 0
    assert gelu_square.is_square(Approximate(f, domain)) == (domain[0] < 0)


@pytest.mark.parametrize(
    "f", ["x**3", "x**2 + 1e-300", "abs(x)**2", "2*x**2", "x**2 + 1e-30*x**3", "x", "cos(x)"]
)
def test_other_functions_are_refused_before_work(f):
    with pytest.raises(HypothesisError, match=r"is for x\^2"):
        isp.solve(Approximate(f, (-1.0, 1.0)), GELUSquare(8), bounds=(SmoothEnclosure(),))


@pytest.mark.parametrize("bad", [{"units": 7}, {"units": 0}, {"units": 26}, {"spread": 0.0}])
def test_numbers_outside_their_range(bad, unchecked):
    with pytest.raises(UsageError, match=next(iter(bad))):
        GELUSquare(**bad)


def test_a_wrong_coefficient_is_found_out(monkeypatch):
    """Planted: one outer weight that is off by a unit in the sixth digit."""
    whole = gelu_square.fitted

    def off(*args):
        h, c = whole(*args)
        return h, c * np.where(np.arange(len(c)) == 1, 1 + 1e-6, 1.0)

    monkeypatch.setattr(gelu_square, "fitted", off)
    assert square(GELUSquare(8, 1.0)).certificate.lower > 100 * 5.3e-9


def test_it_is_stored_and_checked(tmp_path):
    s = square(GELUSquare(8))
    s.save(tmp_path / "s")
    document, arrays = read_folder(tmp_path / "s")
    problem, answer, claims = (
        decode(document[k], arrays) for k in ("problem", "answer", "certificates")
    )
    lower, upper = check_smooth.SmoothEnclosure(problem, answer, claims[0]["proof"])
    assert claims[0]["lower"] <= lower <= upper <= claims[0]["upper"]
    again = isp.load(tmp_path / "s")
    assert isinstance(again.answer.activation, ExactGELU)
    assert float(again.answer(jnp.asarray(0.3))) == float(s.answer(jnp.asarray(0.3)))


def test_harmful_changes_of_single_weights_are_rejected(tmp_path):
    """The truth of a changed network comes from SciPy's erf on a grid."""
    from scipy.special import erf

    s = square(GELUSquare(8, 1.0))
    s.save(tmp_path / "s")
    document, arrays = read_folder(tmp_path / "s")
    problem, answer, claims = (
        decode(document[k], arrays) for k in ("problem", "answer", "certificates")
    )
    claim, first, last = claims[0], *answer["layers"]
    x = np.linspace(-1, 1, 2001)
    rng = np.random.default_rng(0)
    harmful = 0
    for _ in range(12):
        layer, name = (first, last)[rng.integers(2)], ("weight", "bias")[rng.integers(2)]
        before = layer.fields[name]
        changed = before.copy()
        at = tuple(rng.integers(n) for n in changed.shape)
        changed[at] = (changed[at] + 1e-3) * (1 + 10.0 ** -rng.integers(1, 9))
        layer.fields[name] = changed
        z = x[:, None] * first["weight"].T + first["bias"]
        y = z / 2 * (1 + erf(z / np.sqrt(2))) @ last["weight"].T + last["bias"]
        _, upper = check_smooth.SmoothEnclosure(problem, answer, claim["proof"])
        if np.abs(y[:, 0] - x**2).max() > 1.001 * claim["upper"]:
            harmful += 1
            assert upper > claim["upper"]
        layer.fields[name] = before
    assert harmful > 8
