"""Bad and extreme input: one clear error or a refusal, before any long work."""

import jax.numpy as jnp
import numpy as np
import pytest

import infsup as isp
from infsup.approximation import Approximate, PiecewiseLinear, SharedCoordinate
from infsup.approximation.bounds import structural_enclosure
from infsup.approximation.structure import NoStructure
from infsup.core.errors import HypothesisError, InfsupError, UsageError
from infsup.numerics.enclosure import DomainFault

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize(
    ("f", "domain", "eps", "words"),
    [
        ("sin(x)", (0, 1), 1e-20, "below the floor 2.4e-14"),
        ("sin(x)", (0, 1), 1e-300, "below the floor"),
        ("exp(x)", (1, 1 + 1e-6), 1e-14, "below the floor"),
        ("1e-320*x", (0, 1), 1e-322, "below the floor"),
        ("exp(x)", (0, 5e-324), 1e-6, "`domain`"),
        ("x*x", (-1e200, 1e200), 1e-6, "`domain`"),
        ("sin(x)", (0, 1e12), 1e-3, "needs about"),
        ("sin(1e6*x)", (0, 1), 1e-6, "needs about"),
    ],
)
@pytest.mark.parametrize("method", [SharedCoordinate(), PiecewiseLinear()])
def test_what_cannot_be_reached_is_refused_at_once(f, domain, eps, words, method):
    with pytest.raises(UsageError) as error:
        isp.solve(Approximate(f, domain, eps), method)
    assert words in str(error.value)
    assert "Try" in str(error.value)


def test_just_above_the_floor_it_is_proved():
    c = isp.solve(Approximate("exp(x)", (-1, 1), 8e-14)).certificate
    assert (c.verdict, c.upper <= 8e-14) == ("certified", True)


def test_kinks_are_rounded_to_the_dtype():
    s = isp.solve(Approximate("abs(x-0.3)", (-1, 1), 1e-6, dtype="float32"))
    assert s.certificate.verdict == "certified"
    assert s.certificate.upper <= 1e-6
    assert s.certificate.dtype == "executed in float32"
    assert s.answer.counts.units == 1


def test_tiny_domains_and_numpy_scalars():
    problem = Approximate("sin(x)", np.array([1.0, 1 + 1e-12]), np.float64(1e-6))
    assert isp.solve(problem).certificate.upper <= 1e-6


def test_a_network_without_its_own_structure_is_a_bug_in_words(monkeypatch):
    def lost(*_):
        raise NoStructure("unit 3 has no meaning")

    monkeypatch.setattr(structural_enclosure, "enclose", lost)
    with pytest.raises(InfsupError, match="does not show its own structure") as error:
        SharedCoordinate().find(Approximate("exp(x)", (0, 1), 1e-2), None, None)
    assert "bug of infsup" in str(error.value)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "given",
    [
        {"eps": float("inf")},
        {"eps": True},
        {"eps": "1e-3"},
        {"domain": (1, 0)},
        {"domain": (0, 1, 2)},
        {"domain": (0, float("nan"))},
        {"lipschitz": -1.0},
        {"lipschitz": float("nan")},
        {"budget": 0},
        {"budget": True},
        {"f": "x+y"},
        {"f": lambda x, y: x + y},
    ],
)
def test_fields(given):
    with pytest.raises(InfsupError):
        Approximate(**{"f": "x", "eps": 1e-3, **given})


@pytest.mark.parametrize(
    ("f", "eps", "dtype"),
    [
        ("x/3", 1e-16, "real"),
        ("1e6 + 1e-6*x", 1e-20, "real"),
        ("1", 1e-30, "real"),
        ("0*x", 1e-30, "real"),
        ("pi*x", 1e-14, "float64"),
    ],
)
def test_straight_lines_below_the_floor_of_samples(f, eps, dtype):
    s = isp.solve(Approximate(f, (0, 3), eps, dtype), progress=False)
    assert (s.certificate.verdict, s.certificate.met) == ("certified", "yes")
    assert s.answer.counts.units == 0


@pytest.mark.parametrize(
    ("f", "domain", "eps", "units"),
    [
        ("exp(-x**2)", (-1e4, 1e4), 1e-4, 60),
        pytest.param("exp(-1e6*(x - 0.3)**2)", (0, 1), 1e-2, 30, marks=pytest.mark.slow),
        pytest.param(
            "exp(-(x - 3)**2) + exp(-(x + 777.7)**2)",
            (-1e4, 1e4),
            1e-2,
            60,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_bumps_that_samples_miss(f, domain, eps, units):
    s = isp.solve(Approximate(f, domain, eps), progress=False)
    assert s.certificate.upper <= eps
    assert s.answer.counts.units <= units


def test_steep_layers_are_proved_and_checked(tmp_path):
    s = isp.solve(Approximate("tanh(1e6*x)", (-1, 1), 1e-2), progress=False)
    s.save(tmp_path / "s")
    assert s.certificate.upper <= 1e-2
    assert isp.check(tmp_path / "s").stands


def test_a_table_costs_about_one_unit_a_knot():
    places, values = np.array([-1.0, -0.3, 0.2, 1.0]), np.array([0.0, 2.0, -1.0, 0.5])
    f = lambda x: jnp.interp(x, jnp.asarray(places), jnp.asarray(values))  # noqa: E731
    s = isp.solve(Approximate(f, (-1, 1), 1e-4), progress=False)
    assert s.certificate.upper <= 1e-6
    assert s.answer.counts.units <= 3


@pytest.mark.parametrize(
    ("f", "error", "words"),
    [
        (np.abs, HypothesisError, "`lipschitz` is 0.5, but f"),
        (np.floor, HypothesisError, "No function with this constant"),
        (lambda x: x * np.ones(2), UsageError, "gives no number for a number"),
        (lambda x: np.where(x == 0, np.nan, x / 2), UsageError, "`f` is nan at x = 0"),
    ],
)
def test_a_wrong_lipschitz_constant_is_seen(f, error, words):
    with pytest.raises(error, match=words):
        Approximate(f, (-1, 1), 1e-3, lipschitz=0.5)


def test_what_a_lipschitz_constant_cannot_prove():
    problem = Approximate(lambda x: np.sin(np.asarray(x)), (0, 1), 1e-9, lipschitz=1.0)
    with pytest.raises(UsageError, match="4,000,000 samples and lipschitz = 1 prove no less than"):
        isp.solve(problem)


def test_jumps_are_refused_in_words():
    with pytest.raises(DomainFault, match="jumps"):
        Approximate(lambda x: jnp.where(x > 0.5, x, -x), (0, 1), 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("f", "domain", "eps", "units"),
    [("sin(1/x)", (1e-3, 1), 1e-6, 720), ("abs(x)**0.1", (-1, 1), 1e-8, 490)],
)
def test_hard_functions_in_seconds(f, domain, eps, units, tmp_path):
    s = isp.solve(Approximate(f, domain, eps), progress=False)
    s.save(tmp_path / "s")
    assert s.certificate.upper <= eps
    assert s.answer.counts.units <= units
    assert isp.check(tmp_path / "s").stands
