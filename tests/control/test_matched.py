"""The scalar theory against brute force, published values and planted bugs."""

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

from infsup import control
from infsup.control import matched
from infsup.control.matched import Normal
from infsup.core.errors import UsageError
from infsup.core.registry import register
from infsup.numerics.quadrature import gauss_rule

# reference/control.md, table 1.1: lam -> V(0, 0) of HJB-LQ at d = 100
PUBLISHED = {1: 4.5901617246, 5: 4.5485052533, 20: 4.3671390283, 50: 3.7241759228}
IDLE = 4.600225655


@register
class Spiky(control.Radial):
    """A well of width 1/20 at radius 2.03, in a flat cost."""

    depth: float = 1.0
    width: float = 0.05

    def profile(self, r: Any) -> Any:
        return -self.depth * jnp.exp(-(((r - 2.03) / self.width) ** 2) / 2)

    @property
    def floor(self) -> float:
        return -self.depth

    def curvature(self, low: Any, high: Any) -> tuple[Any, Any]:
        k = self.depth / self.width**2
        return -0.45 * k, 1.0 * k  # exp(-s^2/2)'' lies in [-1, 0.4463]


@register
class Bowl(control.Radial):
    """r^2: then the quadratic penalty and the scalar law are exact."""

    checked: ClassVar[bool] = True

    def profile(self, r: Any) -> Any:
        return r * r

    @property
    def floor(self) -> float:
        return 0.0

    def curvature(self, low: Any, high: Any) -> tuple[Any, Any]:
        return 2.0, 2.0


def normal(dim=100, lam=1.0, horizon=1.0, shift=0.0, radial=None):
    return Normal(dim, lam, horizon, shift, radial or control.LogRadial())


def cole_hopf(n):
    return matched.cole_hopf_value(
        lambda r: matched.profile(n.radial, r), n.dim, n.lam, n.horizon, n.shift
    )


def brute_dual(n, c, points=4001):
    """The same lower bound with the inner minimum on a fine grid: at least the true dual value."""
    law = matched.law(n, c)
    k = matched.stiffness(n, c)
    r, log_w = gauss_rule(law, 6, 200, 10.0)  # the argmin jumps: small panels
    grid = np.linspace(0.0, (1 + k) * r[-1] + 10, points)
    h = matched.profile(n.radial, grid) - c * grid**2 / 2
    four = 4 * n.lam * n.horizon / (1 + k)
    inner = ((grid - r[:, None]) ** 2 / four + h).min(1)
    return matched.start_value(n, c) + float(np.exp(log_w) @ inner)


@pytest.mark.parametrize("lam", PUBLISHED)
def test_published_values(lam):
    p = control.hjb_lq(100, float(lam))
    assert p.truth == pytest.approx(PUBLISHED[lam], abs=1e-9)
    low, high = matched.policy_cost(normal(), 0.0)
    assert low <= IDLE <= high
    assert high - low < 1e-6


def test_value_away_from_the_origin():
    # reference/control.md 1.1: V(0, |x|^2 = 100), V(.5, 100), V(.9, 180) at lam = 1
    for horizon, square, value in [
        (1.0, 100.0, 4.996107484),
        (0.5, 100.0, 4.595146808),
        (0.1, 180.0, 4.606382040),
    ]:
        x0 = np.zeros(100)
        x0[3] = np.sqrt(square)
        found = control.hjb_lq(100, 1.0, horizon, x0).truth
        assert found == pytest.approx(value, abs=1e-8)


CASES = [
    normal(),
    normal(lam=5.0),
    normal(lam=50.0),
    normal(shift=10.0),
    normal(dim=1, lam=2.0, horizon=0.7),
    normal(dim=2, lam=0.3, horizon=3.0, shift=1.5),
    normal(dim=3, lam=8.0, horizon=0.2, shift=2.0),
    normal(dim=3, lam=1.0, horizon=0.5, shift=1.0, radial=Spiky()),
    normal(dim=1, lam=5.0, horizon=1.0, radial=Spiky(3.0, 0.1)),
    normal(dim=4, lam=1.0, horizon=0.5, shift=1.0, radial=Bowl()),
]


@pytest.mark.parametrize("n", CASES, ids=str)
def test_the_enclosure_holds_for_every_parameter(n):
    value = cole_hopf(n)
    for c in (0.0, 0.01, 0.7):
        assert matched.dual_value(n, c) <= value + 1e-12
        low, high = matched.policy_cost(n, c)
        assert value <= high
        assert low <= high
    assert matched.dual_value(n, -0.1 / (2 * n.lam * n.horizon)) <= value


@pytest.mark.parametrize("n", CASES[:3], ids=str)
def test_dual_against_brute_force(n):
    for c in (0.005, 0.03):
        ours, brute = matched.dual_value(n, c), brute_dual(n, c)
        assert ours <= brute + 1e-12
        assert brute - ours < 2e-3  # the coarse grid's own error


@pytest.mark.parametrize("c", [0.0, 0.01, 0.2, -0.05])
@pytest.mark.parametrize("n", [normal(dim=3, lam=2.0, horizon=0.7, shift=1.2)], ids=str)
def test_cost_against_the_equations_of_motion(n, c):
    # J = lam int c(t)^2 E|X|^2 dt + E g(X_T); E|X|^2 and the mean by their own equations
    T, d = n.horizon, n.dim

    def gain(t):
        return c / (1 + 2 * n.lam * c * (T - t))

    def field(t, y):
        square, mean, _ = y
        k = gain(t)
        return [2 * d - 4 * n.lam * k * square, -2 * n.lam * k * mean, n.lam * k**2 * square]

    end = integrate.solve_ivp(field, (0, T), [n.shift**2, n.shift, 0.0], rtol=1e-11, atol=1e-12)
    square, mean, running = end.y[:, -1]
    variance = (square - mean**2) / d
    rng = np.polynomial.hermite_e.hermegauss(60)
    z, w = rng[0], rng[1] / rng[1].sum()
    # one coordinate carries the mean; the other two by polar symmetry need only |.|^2
    a = (mean + np.sqrt(variance) * z)[:, None, None] ** 2
    b = variance * (z[:, None] ** 2 + z[None, :] ** 2)[None]
    terminal = np.einsum("i,j,k,ijk", w, w, w, np.log((1 + a + b) / 2))
    low, high = matched.policy_cost(n, c)
    assert low - 1e-5 <= running + terminal <= high + 1e-5


def test_quadratic_terminal_is_exact():
    n = CASES[-1]
    k = 2 * n.lam * 2.0 * n.horizon
    value = n.dim / (2 * n.lam) * np.log1p(k) + n.shift**2 / (1 + k)
    assert matched.dual_value(n, 2.0) == pytest.approx(value, rel=1e-9)
    assert matched.policy_cost(n, 2.0)[1] == pytest.approx(value, rel=2e-6)
    assert cole_hopf(n) == pytest.approx(value, rel=1e-9)


def test_planted_bug_no_curvature_term():
    # on a spike the plain grid minimum lies above the true minimum; ours must not
    n = normal(dim=1, lam=1.0, horizon=0.5, radial=Spiky(1.0, 0.01))
    centre = np.array([2.03])
    exact = -1.0
    assert matched.inner_minima(n, 0.0, centre)[0] <= exact + 1e-12
    grid = 2.03 + 0.1 * (np.arange(-20, 20) + 0.5)
    plain = ((grid - centre) ** 2 / (4 * 0.5) + matched.profile(n.radial, grid)).min()
    assert plain > exact + 0.5


def test_planted_bug_wrong_window_variance(monkeypatch):
    # G = T in place of T/(1+k) breaks the lower bound
    n = CASES[-1]
    value = cole_hopf(n)
    assert matched.dual_value(n, 1.9) <= value
    broken = matched.NormLaw(n.dim, 2 * n.horizon, n.shift / (1 + matched.stiffness(n, 1.9)))
    monkeypatch.setattr(matched, "law", lambda n, c: broken)
    assert matched.dual_value(n, 1.9) > value + 0.01


def test_inner_minima_are_tight():
    n = normal(lam=3.0)
    r = np.linspace(0.0, 30.0, 101)
    found = matched.inner_minima(n, 0.01, r)
    grid = np.linspace(0.0, 60.0, 600_001)
    k = matched.stiffness(n, 0.01)
    h = np.log((1 + grid**2) / 2) - 0.01 * grid**2 / 2
    for a, m in zip(r, found, strict=True):
        exact = ((grid - a) ** 2 * (1 + k) / 12 + h).min()
        assert m <= exact + 1e-12
        assert exact - m < 1e-6


def test_log_radial_constants():
    g = control.LogRadial()
    r = np.linspace(0.0, 60.0, 200_001)
    f = np.asarray(g.profile(jnp.asarray(r)))
    second = np.diff(f, 2) / (r[1] - r[0]) ** 2
    low, high = g.curvature(jnp.asarray(r[:-2]), jnp.asarray(r[2:]))
    assert (second >= np.asarray(low) - 1e-5).all()
    assert (second <= np.asarray(high) + 1e-5).all()
    assert f.min() >= g.floor
    everywhere = [float(x) for x in g.curvature(jnp.asarray(0.0), jnp.asarray(jnp.inf))]
    assert everywhere == pytest.approx([-0.25, 2.0], abs=1e-12)


def test_a_penalty_that_blows_up_is_refused():
    with pytest.raises(UsageError, match="penalty"):
        matched.dual_value(normal(), -1.0)
