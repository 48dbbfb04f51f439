"""One clear error for each argument that cannot be used; structure is found, never guessed."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import infsup as isp
from infsup import control
from infsup.core.errors import HypothesisError, PrecisionError, UsageError


def make(**changes):
    fields = {
        "drift": lambda t, x, u: x + u,
        "running": lambda t, x, u: u @ u,
        "terminal": lambda x: x @ x,
        "horizon": 1.0,
        "x0": np.zeros(2),
        "controls": 2,
    }
    return control.ControlProblem(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"horizon": 0.0}, "`horizon` is 0.0"),
        ({"horizon": -1.0}, "`horizon`"),
        ({"horizon": float("nan")}, "`horizon` is nan"),
        ({"horizon": float("inf")}, "`horizon` is inf"),
        ({"x0": np.zeros((2, 2))}, r"`x0` has shape \(2, 2\)"),
        ({"x0": [0.0, np.nan]}, "`x0` holds NaN"),
        ({"x0": "here"}, "`x0`"),
        ({"x0": []}, "`x0` has shape"),
        ({"controls": 0}, "`controls` is 0"),
        ({"drift": lambda t, x, u: u[:1]}, r"`drift` gives f64\[1\]"),
        ({"drift": lambda x: x}, "`drift` fails"),
        ({"drift": lambda t, x, u: np.asarray(x) + u}, "`drift` cannot be traced"),
        ({"running": lambda t, x, u: u}, "`running` gives"),
        ({"running": lambda t, x: x @ x}, "`running` fails"),
        ({"terminal": lambda x: x}, "`terminal` gives"),
        ({"terminal": lambda x: 1.0 if x[0] > 0 else 0.0}, "`terminal` cannot be traced"),
        ({"diffusion": -1.0}, "`diffusion` is -1.0"),
        ({"diffusion": np.eye(3)}, r"`diffusion` has shape \(3, 3\)"),
        ({"diffusion": np.zeros(2)}, "`diffusion` has shape"),
        ({"diffusion": float("nan")}, "`diffusion` is nan"),
        ({"diffusion": "much"}, "`diffusion`"),
        ({"diffusion": lambda t, x, u: x}, "`diffusion` gives"),
    ],
)
def test_bad_arguments(changes, says):
    with pytest.raises(UsageError, match=says):
        make(**changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"dim": 0}, "`dim`"),
        ({"lam": -1.0}, "`lam`"),
        ({"lam": float("nan")}, "`lam`"),
        ({"horizon": 0.0}, "`horizon`"),
    ],
)
def test_bad_hjb(changes, says):
    with pytest.raises(UsageError, match=says):
        control.hjb_lq(**changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"A": np.eye(3)}, "`A` has shape"),
        ({"B": np.ones((3, 1))}, "`B` has shape"),
        ({"Q": [[1.0, 2.0], [0.0, 1.0]]}, "`Q` is not symmetric"),
        ({"R": -1.0}, "`R` is not positive definite"),
        ({"R": 0.0}, "`R` is not positive definite"),
        ({"terminal_Q": np.full((2, 2), np.nan)}, "`terminal_Q` is NaN"),
    ],
)
def test_bad_linear_quadratic(changes, says):
    fields = {"A": np.eye(2), "B": np.eye(2), "Q": 1.0, "R": 1.0} | changes
    with pytest.raises(UsageError, match=says):
        control.linear_quadratic(**fields, horizon=1.0, x0=np.zeros(2))


def test_answers_come_through_the_door():
    p = make()
    with pytest.raises(UsageError, match="gives"):
        p.accept(lambda t, x: x[:1])
    assert p.accept(lambda t, x, key: jax.random.normal(key, (2,))).random


def test_a_callers_array_is_copied():
    x0 = np.zeros(2)
    p = make(x0=x0)
    x0[0] = 7.0
    assert p.x0[0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        p.x0[0] = 1.0


@pytest.mark.parametrize(
    ("changes", "fact", "holds"),
    [
        ({}, "affine drift", True),
        ({"drift": lambda t, x, u: jnp.sin(t) * x + u + 1}, "affine drift", True),
        ({"drift": lambda t, x, u: x + u**2}, "affine drift", False),
        ({"drift": lambda t, x, u: x * u}, "affine drift", False),
        # sampled at the origin alone this looks affine
        ({"drift": lambda t, x, u: x + u + jnp.maximum(x - 9, 0.0)}, "affine drift", False),
        ({}, "quadratic running", True),
        ({"running": lambda t, x, u: u @ u + x[0] * u[1] + 3}, "quadratic running", True),
        ({"running": lambda t, x, u: u @ u * x[0]}, "quadratic running", False),
        ({"running": lambda t, x, u: jnp.sqrt(1 + u @ u)}, "quadratic running", False),
        ({"terminal": lambda x: jnp.log(1 + x @ x)}, "quadratic terminal", False),
        ({"diffusion": 0.3}, "additive noise", True),
        ({"diffusion": lambda t, x, u: t * jnp.eye(2)}, "additive noise", True),
        ({"diffusion": lambda t, x, u: jnp.diag(x)}, "additive noise", False),
        ({"diffusion": 0.3}, "isotropic noise", True),
        ({"diffusion": np.array([[0.6, -0.8], [0.8, 0.6]])}, "isotropic noise", True),
        ({"diffusion": np.diag([1.0, 1.1])}, "isotropic noise", False),
        ({"diffusion": lambda t, x, u: (1 + t) * jnp.eye(2)}, "isotropic noise", False),
        ({}, "isotropic noise", False),
        ({}, "convex control", True),
        ({"running": lambda t, x, u: u[0] ** 2}, "convex control", False),
        ({"running": lambda t, x, u: (1 - 2 * t) * u @ u}, "convex control", False),
        ({"running": lambda t, x, u: (2 - t) * u @ u}, "convex control", True),
        ({"running": lambda t, x, u: (1 - 4 * t * (1 - t)) * u @ u}, "convex control", False),
        ({}, "control drift", False),
        ({"drift": lambda t, x, u: 2 * u}, "control drift", True),
        ({"drift": lambda t, x, u: t * u}, "control drift", False),
        ({"drift": lambda t, x, u: u + 1}, "control drift", False),
        ({}, "control cost", True),
        ({"running": lambda t, x, u: u @ u + x @ x}, "control cost", False),
        ({"running": lambda t, x, u: u @ u + 1}, "control cost", False),
        ({"drift": lambda t, x, u: u, "diffusion": 1.0}, "matched noise", True),
        (
            {"drift": lambda t, x, u: u * jnp.array([1.0, 2.0]), "diffusion": 1.0},
            "matched noise",
            False,
        ),
        (
            {
                "drift": lambda t, x, u: u * jnp.array([1.0, 2.0]),
                "running": lambda t, x, u: u[0] ** 2 + 4 * u[1] ** 2,
                "diffusion": 1.0,
            },
            "matched noise",
            True,
        ),
    ],
)
def test_structure(changes, fact, holds):
    assert control.structure_of(make(**changes)).facts[fact].holds is holds


def test_a_lying_derivative_rule_is_found():
    @jax.custom_jvp
    def f(x):
        return 2 * x

    f.defjvp(lambda p, t: (f(*p), 0.0 * t[0]))
    s = control.structure_of(make(drift=lambda t, x, u: f(x) + u))
    assert not s.facts["affine drift"].holds
    assert "contradicts" in s.facts["affine drift"].witness


def test_the_error_shows_a_witness():
    p = make(drift=lambda t, x, u: x + u**2)
    with pytest.raises(HypothesisError) as e:
        control.LQSandwich().suits(p)
    text = str(e.value)
    assert "`problem.drift` is not affine in u: d²f/du² = 2 at u = 0, t = 0, x = 0" in text
    assert "LQSandwich needs" in text
    with pytest.raises(HypothesisError, match="not affine in u"):
        control.Riccati().suits(p)
    with pytest.raises(HypothesisError, match="no default"):
        isp.choose(p)


def test_a_witness_far_from_the_origin_may_be_missing_but_the_reason_is_not():
    p = make(drift=lambda t, x, u: x + u + jnp.maximum(x - 9, 0.0))
    with pytest.raises(HypothesisError, match="`max`"):
        control.Riccati().suits(p)


def test_choose():
    assert isinstance(isp.choose(control.hjb_lq()).method, control.LQSandwich)
    assert isinstance(isp.choose(make()).method, control.Riccati)
    assert isinstance(isp.choose(make(diffusion=1.0)).method, control.Riccati)


def test_needs_64_bit():
    with jax.enable_x64(False), pytest.raises(PrecisionError, match="64-bit"):
        isp.solve(control.hjb_lq())


def test_public_names():
    for name in control.PUBLIC:
        assert getattr(control, name).__doc__.splitlines()[0].strip()


def test_a_second_value_compiles_nothing():
    from infsup.control import structure

    control.structure_of(control.hjb_lq(7, 1.0))
    before = structure._expand._cached._cache_size()
    control.structure_of(control.hjb_lq(7, 2.0))
    assert structure._expand._cached._cache_size() == before


def test_modules_are_frozen():
    with pytest.raises((AttributeError, eqx.EquinoxRuntimeError)):
        make().horizon = 2.0
