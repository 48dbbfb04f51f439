"""Bad and extreme input: one clear error or a refusal, before any long work."""

import numpy as np
import pytest

import infsup as isp
from infsup.approximation import Approximate, PiecewiseLinear, SharedCoordinate
from infsup.approximation.bounds import structural_enclosure
from infsup.approximation.structure import NoStructure
from infsup.core.errors import InfsupError, UsageError

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
