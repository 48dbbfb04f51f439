"""Riccati against closed forms, SciPy and brute force; gaps of any law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate
from scipy.linalg import solve_continuous_are

import infsup as isp
from infsup import control
from infsup.control.bounds.riccati_gap import _simulated_gaps
from infsup.control.riccati import table_at, value_table
from infsup.core.errors import HypothesisError
from infsup.core.intervals import student_t

RNG = np.random.default_rng(0)


def system(d=3, m=2, horizon=1.0, sigma=0.0):
    a = RNG.normal(size=(d, d))
    return control.linear_quadratic(
        a - 0.5 * np.eye(d),
        RNG.normal(size=(d, m)),
        np.eye(d),
        np.eye(m),
        0.3 * np.eye(d),
        horizon=horizon,
        x0=RNG.normal(size=d),
        sigma=sigma,
    )


def value_of(p):
    table = value_table(p, control.structure_of(p), 1e-8)
    z = np.append(p.x0, 1.0)
    return float(z @ table.P[0] @ z)


@pytest.mark.parametrize("horizon", [0.1, 1.0, 3.0])
def test_scalar_closed_form(horizon):
    # x' = u, cost int x^2 + u^2: P = tanh(T - t)
    p = control.linear_quadratic(0.0, 1.0, 1.0, 1.0, 0.0, horizon=horizon, x0=[2.0])
    assert value_of(p) == pytest.approx(4 * np.tanh(horizon), rel=1e-12)
    law = isp.run(p, control.Riccati(), 0).answer
    for t in np.linspace(0.0, horizon, 7):
        u = float(law(t, jnp.array([2.0]))[0])
        assert u == pytest.approx(-2 * np.tanh(horizon - t), rel=1e-6, abs=1e-9)


def test_scalar_closed_form_with_noise():
    # noise s dW adds s^2 int tanh = s^2 ln cosh T
    p = control.linear_quadratic(0.0, 1.0, 1.0, 1.0, 0.0, horizon=2.0, x0=[2.0], sigma=0.5)
    exact = 4 * np.tanh(2.0) + 0.25 * np.log(np.cosh(2.0))
    assert value_of(p) == pytest.approx(exact, rel=1e-12)


def test_terminal_cost_alone():
    # x' = u, cost int u^2 + c x_T^2: P = c/(1 + c(T-t))
    p = control.linear_quadratic(0.0, 1.0, 0.0, 1.0, 3.0, horizon=2.0, x0=[1.0])
    assert value_of(p) == pytest.approx(3 / 7, rel=1e-12)


def test_long_horizon_meets_the_algebraic_equation():
    p = system(horizon=30.0)
    d = p.x0.size
    P = solve_continuous_are(p.drift.A, p.drift.B, np.eye(d), np.eye(2))
    found = isp.run(p, control.Riccati(), 0).evidence["value"][0]
    assert np.asarray(found)[:d, :d] == pytest.approx(P, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("sigma", [0.0, 0.4])
def test_random_systems_against_an_integrator(sigma):
    p = system(4, 2, 1.5, sigma)
    A, B = p.drift.A, p.drift.B
    d = 4

    def field(s, y):
        P = y[:-1].reshape(d, d)
        return np.append(
            (np.eye(d) + A.T @ P + P @ A - P @ B @ B.T @ P).ravel(), sigma**2 * np.trace(P)
        )

    start = np.append(0.3 * np.eye(d).ravel(), 0.0)
    end = integrate.solve_ivp(field, (0, 1.5), start, "DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
    exact = p.x0 @ end[:-1].reshape(d, d) @ p.x0 + end[-1]
    assert value_of(p) == pytest.approx(exact, rel=1e-10)


def varying(sigma=0.0):
    """Time-varying, affine and with cross terms: u tracks sin(t) on a drifting state."""
    return control.ControlProblem(
        drift=lambda t, x, u: jnp.array([x[1] + 0.1, -jnp.cos(t) * x[0] + u[0]]),
        running=lambda t, x, u: (u[0] - jnp.sin(t)) ** 2 + x[0] ** 2 * (1 + t) + x[1] * u[0] / 2,
        terminal=lambda x: (x[0] - 1) ** 2,
        horizon=1.5,
        x0=np.array([1.0, -0.5]),
        diffusion=sigma,
        controls=1,
    )


def simulated_cost(p, law):
    """Cost of a law without noise, by another integrator."""

    @jax.jit
    def field(t, y):
        u = law(t, y[:2])
        return jnp.append(p.drift(t, y[:2], u), p.running(t, y[:2], u))

    end = integrate.solve_ivp(field, (0, p.horizon), [*p.x0, 0.0], rtol=1e-9, atol=1e-10).y[:, -1]
    return end[2] + float(p.terminal(jnp.asarray(end[:2])))


def test_time_varying_affine_problem():
    p = varying()
    s = isp.solve(p)
    assert s.certificate.verdict in ("certified", "conditional")
    assert s.certificate.upper < 1e-12
    assert simulated_cost(p, s.answer) == pytest.approx(value_of(p), rel=1e-7)

    def other(t, x):
        return jnp.array([jnp.sin(t) - 0.3 * x[0]])

    gap = isp.certify(p, other, control.RiccatiGap())
    exact = simulated_cost(p, other) - value_of(p)
    assert gap.lower - 1e-6 <= exact <= gap.upper + 1e-6
    assert gap.width < 1e-6


@pytest.mark.slow
def test_noise_of_a_time_varying_problem():
    p, q = varying(0.3), varying()
    law = isp.run(p, control.Riccati(), 0)
    assert isp.certify(p, law, control.RiccatiGap()).upper < 1e-12
    assert value_of(p) > value_of(q)
    c = isp.certify(p, lambda t, x: jnp.tanh(x[:1]), control.RiccatiGap())
    assert c.verdict == "inapplicable"
    assert "constant" in c.reason


@pytest.mark.parametrize("sigma", [0.0, 0.4])
def test_gap_is_the_difference_of_costs(sigma):
    p = system(2, 2, 1.0, sigma)
    K = np.array([[1.0, 0.2], [0.0, 0.7]])
    c = isp.certify(p, lambda t, x: -jnp.asarray(K) @ x + 0.1, control.RiccatiGap())
    assert c.kind == "proved_real"
    A, B = p.drift.A, p.drift.B
    F = np.zeros((3, 3))
    F[:2, :2], F[:2, 2] = A - B @ K, B @ [0.1, 0.1]
    L = np.concatenate([-K, [[0.1], [0.1]]], 1)
    noise = np.diag([sigma**2, sigma**2, 0.0])

    def field(t, y):
        M = y[:-1].reshape(3, 3)
        run = np.trace(M[:2, :2]) + np.trace(L @ M @ L.T)
        return np.append((F @ M + M @ F.T + noise).ravel(), run)

    z = np.append(p.x0, 1.0)
    start = np.append(np.outer(z, z).ravel(), 0.0)
    end = integrate.solve_ivp(field, (0, 1), start, rtol=1e-11, atol=1e-12).y[:, -1]
    M = end[:-1].reshape(3, 3)
    exact = end[-1] + 0.3 * np.trace(M[:2, :2]) - value_of(p)
    assert c.lower - 1e-8 <= exact <= c.upper + 1e-8


def test_a_worse_law_has_a_larger_gap():
    p = system(3, 2, 1.0)
    best = isp.solve(p)
    assert best.certificate.lower == 0.0
    gaps = [
        isp.certify(p, lambda t, x, e=e: best.answer(t, x) + e, control.RiccatiGap())
        for e in (0.01, 0.1)
    ]
    assert 0 < gaps[0].lower <= gaps[0].upper < gaps[1].lower


def test_constant_offset_gap_exactly():
    # x' = u + noise, cost int u^2: V = 0, u = e costs e^2 T, and so is the gap
    p = control.linear_quadratic(0.0, 1.0, 0.0, 1.0, 0.0, horizon=2.0, x0=[1.0], sigma=0.7)
    c = isp.certify(p, lambda t, x: jnp.array([0.3]), control.RiccatiGap())
    assert c.lower <= 0.18 <= c.upper
    assert c.width < 1e-9


def test_simulated_gap_covers_the_integrated_one():
    p = system(2, 1, 1.0, 0.5)
    exact = isp.certify(p, lambda t, x: -0.5 * x[:1], control.RiccatiGap())

    def nonlinear(t, x, key):  # the same law, but nobody can see it
        return -0.5 * x[:1] + 0.0 * jax.random.normal(key, (1,))

    c = isp.certify(p, nonlinear, control.RiccatiGap(2048, 200))
    assert c.kind == "asymptotic"
    # held on steps: near the continuous law, within sampling and O(dt)
    assert c.lower * 0.97 - 0.01 <= exact.upper
    assert exact.lower <= c.upper * 1.03 + 0.01


def test_coverage_of_simulated_gaps():
    # doing nothing is the same held on steps or not, so the integrated gap is the simulated one's
    p = control.linear_quadratic(0.0, 1.0, 0.0, 1.0, 1.0, horizon=1.0, x0=[0.0], sigma=1.0)
    exact = isp.certify(p, control.ZeroControl(1), control.RiccatiGap())
    s = control.structure_of(p)
    idle = p.accept(lambda t, x, key: 0.0 * x)
    gaps = _simulated_gaps(p, s, idle, table_at(p, s, 4), 4, 200 * 64, jax.random.key(1))
    found = student_t(gaps.reshape(200, 64), 0.1)
    missed = (found.lower > exact.upper) | (found.upper < exact.lower)
    assert missed.sum() <= 41  # more have probability below 1e-6


def test_host_law():
    p = system(2, 1, 1.0)
    c = isp.certify(p, lambda t, x: -0.5 * np.asarray(x, float)[:1], control.RiccatiGap())
    d = isp.certify(p, lambda t, x: -0.5 * x[:1], control.RiccatiGap())
    assert c.upper == pytest.approx(d.upper, rel=1e-6)
    assert c.verdict == "conditional"
    assert d.verdict == "certified"


def test_a_conjugate_point_is_found():
    # x' = u, cost int u^2 - x^2: no minimum beyond T = pi/2
    long = control.linear_quadratic(0.0, 1.0, -1.0, 1.0, 0.0, horizon=2.0, x0=[1.0])
    with pytest.raises(HypothesisError, match="blows up"):
        isp.solve(long)
    c = isp.certify(long, control.ZeroControl(1), control.RiccatiGap())
    assert c.verdict == "inapplicable"
    short = control.linear_quadratic(0.0, 1.0, -1.0, 1.0, 0.0, horizon=1.0, x0=[1.0])
    s = isp.solve(short)
    assert value_of(short) == pytest.approx(-np.tan(1.0), rel=1e-11)
    assert s.certificate.verdict == "conditional"


def test_law_that_explodes():
    p = control.linear_quadratic(0.0, 1.0, 1.0, 1.0, 0.0, horizon=1.0, x0=[1.0])
    c = isp.certify(p, lambda t, x: 50 * x**3, control.RiccatiGap())
    assert c.verdict == "refused"


def test_stiff_and_unstable_systems():
    p = control.linear_quadratic(
        np.diag([-1000.0, 5.0]), np.ones((2, 1)), 1.0, 1.0, 0.0, horizon=3.0, x0=[1.0, 1.0]
    )
    P = solve_continuous_are(p.drift.A, p.drift.B, np.eye(2), np.eye(1))
    assert value_of(p) == pytest.approx(p.x0 @ P @ p.x0, rel=1e-8)


def test_thirty_independent_copies():
    p = control.linear_quadratic(
        -0.1, 1.0, 1.0, 1.0, 1.0, horizon=1.0, x0=np.full(30, 0.1), sigma=0.2
    )
    one = control.linear_quadratic(-0.1, 1.0, 1.0, 1.0, 1.0, horizon=1.0, x0=[0.1], sigma=0.2)
    assert value_of(p) == pytest.approx(30 * value_of(one), rel=1e-10)


def test_planted_bug_wrong_sign_of_the_cross_term():
    p = varying()
    flipped = control.ControlProblem(
        p.drift,
        lambda t, x, u: (u[0] - jnp.sin(t)) ** 2 + x[0] ** 2 * (1 + t) - x[1] * u[0] / 2,
        p.terminal,
        p.horizon,
        p.x0,
        controls=1,
    )
    wrong = isp.run(flipped, control.Riccati(), 0).answer
    assert isp.certify(p, wrong, control.RiccatiGap()).lower > 1e-3
