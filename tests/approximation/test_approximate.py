"""From a function to a network with a proved error: sizes, brackets, refusals, words."""

import jax.numpy as jnp
import numpy as np
import pytest

import infsup as isp
from infsup.approximation import (
    Approximate,
    PiecewiseLinear,
    SharedCoordinate,
    StructuralEnclosure,
)
from infsup.approximation.bounds.structural_enclosure import enclose
from infsup.core.errors import HypothesisError, PrecisionError, UsageError
from infsup.core.method import Outcome
from infsup.numerics.enclosure import DomainFault, Enclosure, exact, precision

pytestmark = pytest.mark.usefixtures("x64")


def build(f, domain, eps, method=None, **given):
    problem = Approximate(f, domain, eps, **given)
    outcome = (method or SharedCoordinate()).find(problem, None, None)
    bound = StructuralEnclosure()
    return problem, outcome.answer, bound.certify(problem, outcome, None, 0.01), outcome


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


# -- sizes: not more than the table of the design, and proved -----------------------------------


@pytest.mark.parametrize(
    ("f", "eps", "units"),
    [
        ("exp(x)", 1e-2, 11),
        ("exp(x)", 1e-4, 29),
        slow("exp(x)", 1e-6, 57),
        slow("exp(x)", 1e-8, 79),
        slow("exp(x)", 1e-10, 123),
        ("sin(4*x)", 1e-4, 53),
        slow("sin(4*x)", 1e-8, 127),
        slow("1/(1+25*x**2)", 1e-4, 53),
        slow("1/(1+25*x**2)", 1e-8, 147),
        slow("abs(x)**1.5", 1e-6, 77),
        slow("abs(x)**1.5", 1e-8, 133),
        slow("abs(x)**1.5", 1e-10, 255),
    ],
)
def test_the_table_of_sizes(f, eps, units):
    problem, network, c, _ = build(f, (-1, 1), eps)
    assert c.kind == "proved"
    assert c.verdict == "certified"
    assert c.upper <= eps
    assert network.counts.units <= units
    assert c.lower > 0.5 * c.upper
    # ends met at points that no proof chose
    x = np.sort(np.random.default_rng(0).uniform(-1, 1, 2000))
    assert np.max(np.abs(problem.values(x) - network.values(x))) <= c.upper + 1e-14
    assert c.proof["fewest_units"] <= network.counts.units


UNKNOWN = [
    slow("exp(-x)*sin(3*x)", (0, 6), 1e-8),
    slow("tanh(20*x)", (-1, 1), 1e-6),
    slow("log(x)", (1e-3, 1), 1e-6),
    slow("abs(sin(5*x))", (-1, 1), 1e-5),
    slow("sqrt(x)", (0, 1), 1e-4),
    slow("1/(1+x**2)", (-5, 5), 1e-8),
    slow("sin(1/(x+0.1))", (0, 1), 1e-5),
    slow("x**7", (-2, 2), 1e-6),
    ("maximum(x, x**2)", (-1, 2), 1e-6),
    ("2.5", (0, 1), 1e-6),
    ("3*x-1", (-7, 2), 1e-6),
    slow("cos(x/50)", (0, 1000), 1e-4),
    ("exp(x)", (3.0, 3.0001), 1e-10),
    slow("1000000*sin(x)", (0, 3), 1e-1),
    slow("0.000001*exp(x)", (-1, 1), 1e-12),
]


@pytest.mark.parametrize(("f", "domain", "eps"), UNKNOWN)
def test_functions_that_it_was_not_made_for(f, domain, eps):
    problem, network, c, _ = build(f, domain, eps)
    assert c.verdict == "certified"
    assert c.upper <= eps
    x = np.sort(np.random.default_rng(1).uniform(*domain, 3000))
    rounding = 1e-13 * (1 + problem.size())
    assert np.max(np.abs(problem.values(x) - network.values(x))) <= c.upper + rounding


def test_the_lower_end_is_met_by_the_exact_network():
    problem, network, c, _ = build("sin(4*x)", (-1, 1), 1e-4)
    enclosure, best = Enclosure(problem.f), 0.0
    with precision(200):
        for p in c.proof["points"]:
            gap = abs(enclosure.ball(exact(p)) - exact(network.exact(float(p))[0]))
            best = max(best, float(gap.upper()))
    assert c.lower <= best <= c.upper
    assert c.lower >= best * (1 - 1e-9)


def test_a_broken_line_has_about_the_fewest_pieces():
    # int sqrt|f''| / (4 sqrt eps), the shallow optimum to leading order
    for f, bend, eps in (
        ("exp(x)", lambda x: np.exp(x), 4e-3),
        ("1/(1+25*x**2)", lambda x: 50 * np.abs(75 * x**2 - 1) / (1 + 25 * x**2) ** 3, 4e-3),
    ):
        x = np.linspace(-1, 1, 100_001)
        integral = float(np.trapezoid(np.sqrt(bend(x)), x))
        _, network, c, _ = build(f, (-1, 1), eps, PiecewiseLinear())
        assert c.upper <= eps
        assert network.counts.units <= 1.03 * integral / (4 * np.sqrt(eps)) + 3
        assert network.counts.n_hidden == 1


def test_kinks_cost_a_broken_line_nothing():
    _, network, c, _ = build("abs(x-0.3)+abs(x+0.25)", (-1, 1), 1e-4, PiecewiseLinear())
    assert network.counts.units == 2
    assert c.upper <= 1e-4


def test_from_jax_and_by_name():
    s = isp.solve(Approximate(jnp.sin, domain=(0, 6), eps=1e-4))
    c = s.certificate
    assert c.upper <= 1e-4
    assert c.met == "yes"
    assert s.answer.counts.units <= 40
    assert float(s(1.25)) == pytest.approx(np.sin(1.25), abs=1e-4)
    assert set(s.comparators) == {"constant", "straight line"}
    assert min(x.lower for x in s.comparators.values()) > 0.9
    assert "fewest units" in s.why


# -- as executed ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "domain", "eps", "dtype"),
    [
        ("exp(x)", (-1, 1), 1e-4, "float32"),
        slow("sin(3*x)", (0, 2), 1e-3, "float32"),
        slow("exp(x)", (-1, 1), 1e-10, "float64"),
        slow("abs(x)**1.5", (-1, 1), 1e-7, "float64"),
    ],
)
def test_the_executed_network_stays_inside(f, domain, eps, dtype):
    import jax

    problem, network, c, outcome = build(f, domain, eps, dtype=dtype)
    assert c.verdict == "certified"
    assert c.upper <= eps
    assert c.budget["rounding"] > 0
    assert {str(np.asarray(w).dtype) for w, _ in network.levels} == {dtype}
    x = np.random.default_rng(0).uniform(*domain, 5_000).astype(dtype)
    got = np.asarray(jax.vmap(network)(x), np.float64)
    truth = problem.values(x.astype(np.float64))
    assert np.max(np.abs(got - truth)) <= c.upper + 1e-15
    # rounding against exact arithmetic, in JAX, in NumPy forwards and backwards
    few = x[:60]
    real = np.array([float(network.exact(float(v))[0]) for v in few])
    seen = np.max(np.abs(got[:60] - real))
    for order in (1, -1):
        seen = max(seen, np.max(np.abs(summed(network, few, order, dtype) - real)))
    floor = float(enclose(problem, network, outcome.evidence["roles"]).executed.max())
    assert seen <= floor
    assert floor <= 200 * max(seen, np.finfo(dtype).eps)


def summed(network, x, order, dtype):
    """The network in NumPy, every sum term by term from one side."""
    h = [x.astype(dtype)]
    for w, b in (*network.levels, network.out):
        fresh = []
        for row, shift in zip(np.asarray(w), np.asarray(b), strict=True):
            total = np.full_like(x, shift)
            for j in np.flatnonzero(row)[::order]:
                total = (total + row[j] * h[j]).astype(dtype)
            fresh.append(total)
        h += [np.maximum(v, np.zeros((), dtype)) for v in fresh]
    return fresh[0].astype(np.float64)


def test_below_the_floor_it_refuses_and_says_what_helps():
    _, _, c, _ = build("sin(x)", (0, 6), 1e-7, dtype="float32")
    assert c.verdict == "refused"
    assert np.isinf(c.upper)
    assert 'dtype="float64"' in c.reason
    assert "rounding in float32 may add" in c.reason


# -- refusals -------------------------------------------------------------------------------------


def test_other_networks_are_inapplicable():
    problem, network, _, _ = build("exp(x)", (-1, 1), 1e-3)
    bound = StructuralEnclosure()
    c = bound.certify(problem, Outcome(network), None, 0.01)
    assert c.verdict == "inapplicable"
    assert "no known structure" in c.reason
    c = bound.certify(problem, Outcome(jnp.exp), None, 0.01)
    assert c.verdict == "inapplicable"


def test_a_function_known_by_its_values_only():
    def f(x):
        return np.abs(np.sin(5 * x))

    problem = Approximate(f, (-1, 1), 1e-2, lipschitz=5.0)
    assert {h.state for h in problem.hypotheses()} == {"assumed"}
    outcome = PiecewiseLinear().find(problem, None, None)
    c = StructuralEnclosure().certify(problem, outcome, None, 0.01)
    assert (c.kind, c.verdict) == ("proved_real", "conditional")
    assert c.upper <= 1e-2
    with pytest.raises(HypothesisError, match="needs the program"):
        SharedCoordinate().suits(problem)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"eps": 0}, UsageError, "`eps` of Approximate is 0"),
        ({"eps": -1e-3}, UsageError, "is -0.001"),
        ({"eps": float("nan")}, UsageError, "finite number"),
        ({"domain": (1, 0)}, UsageError, "It is empty"),
        ({"domain": (1, 1)}, UsageError, "single point"),
        ({"domain": (0, float("inf"))}, UsageError, "the end inf"),
        ({"domain": 3}, UsageError, "It is two numbers"),
        ({"domain": (0, 2**53 + 1)}, UsageError, "no float64"),
        ({"dtype": "float16"}, UsageError, "`dtype`"),
        ({"budget": 0}, UsageError, "`budget`"),
        ({"lipschitz": -1}, UsageError, "`lipschitz`"),
        ({"f": 3}, UsageError, "`f` is a int"),
        ({"f": "1/x", "domain": (-1, 1)}, DomainFault, "1 / x"),
        ({"f": "log(x)"}, DomainFault, "log"),
        ({"f": "where(x)"}, UsageError, "where"),
        ({"f": lambda x: jnp.sort(jnp.stack([x, x]))[0]}, UsageError, "lipschitz"),
        ({"f": "exp(x)", "dtype": "float32", "eps": 1e-9}, UsageError, 'dtype="float64"'),
    ],
)
def test_words(given, kind, words):
    with pytest.raises(kind, match=None) as error:
        Approximate(**{"f": "x", **given})
    assert words in str(error.value)


def test_a_budget_is_kept_and_the_need_is_said():
    problem = Approximate("sin(4*x)", (-1, 1), 1e-5, budget=20)
    with pytest.raises(UsageError, match=r"needs \d+ units for eps = 1e-05; the budget is 20"):
        SharedCoordinate().find(problem, None, None)
    problem = Approximate("sin(4*x)", (-1, 1), 1e-3, budget=40)
    with pytest.raises(UsageError, match=r"needs 4\d units"):
        PiecewiseLinear().find(problem, None, None)


def test_without_an_eps_nothing_is_built():
    with pytest.raises(HypothesisError, match="needs an error to aim at"):
        SharedCoordinate().suits(Approximate("x"))
    with pytest.raises(UsageError, match="no default method"):
        isp.solve(Approximate("x"))


def test_it_refuses_to_begin_in_32_bits():
    import jax

    problem = Approximate("sin(x)", (0, 1), 1e-6)
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(PrecisionError):
            isp.solve(problem)
    finally:
        jax.config.update("jax_enable_x64", True)


def test_a_planted_bug_is_found():
    """Without the errors of the squares the bound would be refuted by its own lower end."""
    problem, network, c, outcome = build("exp(x)", (-1, 1), 1e-4, SharedCoordinate(p=8))
    got = enclose(problem, network, outcome.evidence["roles"])
    broken = float(got.cells.max())
    assert broken < got.lower <= got.upper
    assert c.upper == got.upper
