"""The brackets: the issue's numbers, foreign laws, refusals, coverage, and the checkers."""

import dataclasses
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import infsup as isp
from infsup import control
from infsup.control import check as checkers
from infsup.control import matched
from infsup.control.bounds import girsanov_sandwich, rogers_dual
from infsup.control.bounds.girsanov_sandwich import weights_of
from infsup.control.bounds.improvement_left import ratio
from infsup.control.simulate import simulate
from infsup.core.encoding import decode, encode
from infsup.core.errors import FileRejected, HypothesisError, UsageError

HJB = {lam: control.hjb_lq(100, float(lam)) for lam in (1, 20, 50)}
SMALL = control.hjb_lq(3, 2.0, 0.7, x0=[1.0, 0.5, 0.0])


@pytest.fixture(scope="module")
def law():
    """The scalar law of HJB-LQ at lam = 1."""
    return isp.run(HJB[1], control.LQSandwich(), 0).answer


@pytest.fixture(scope="module")
def best():
    """The scalar law of the small problem."""
    return isp.run(SMALL, control.LQSandwich(), 0).answer


@pytest.fixture(scope="module")
def paths(best):
    """100 samples of 256 paths of 8 steps of the small problem, with the penalty c = 0.05."""
    s = control.structure_of(SMALL)
    k = 2 * s.lam * 0.05 * s.normal.horizon
    return simulate(SMALL, s, SMALL.accept(best), k, 8, 100 * 256, jax.random.key(7))


@pytest.fixture(scope="module")
def uneven():
    """A law at lam = 50, and 8 samples of 2048 paths of 20 steps under it."""
    answer = isp.run(HJB[50], control.LQSandwich(), 0).answer
    s = control.structure_of(HJB[50])
    accepted = HJB[50].accept(answer)
    return answer, simulate(HJB[50], s, accepted, 0.0, 20, 8 * 2048, jax.random.key(5))


def piece(paths, i, n):
    return type(paths)(*(a[i * n : (i + 1) * n] for a in paths))


def certified_on(p, bound, answer, part, delta):
    """The bound's own certificate of given paths."""
    module = girsanov_sandwich if isinstance(bound, control.GirsanovSandwich) else rogers_dual
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "simulate", lambda *a: part)
        evidence = {"penalty": control.QuadraticPenalty(0.05)}
        return isp.certify(p, answer, bound, evidence=evidence, delta=delta)


def contains(c, value):
    return c.lower <= value <= c.upper


def relative_width(c, p):
    return c.width / p.truth


# -- by quadrature --------------------------------------------------------------------------------


def test_the_closed_sandwich():
    p = HJB[1]
    s = isp.solve(p)
    c, left = s.certificates
    assert c.kind == "proved_real"
    assert c.verdict == "certified"
    assert contains(c, 4.5901617246)
    assert relative_width(c, p) <= 0.000092
    assert contains(s.comparators["do nothing"], p.truth)
    assert s.comparators["do nothing"].upper == pytest.approx(4.600225655, abs=1e-6)
    assert 0.0 <= left.lower <= left.upper <= 0.041
    true = (4.59026158 - p.truth) / (4.600225655 - p.truth)
    assert contains(left, true)
    assert sum(v for v in c.budget.values()) == pytest.approx(c.width, rel=1e-3)


@pytest.mark.slow
def test_seconds():
    isp.solve(HJB[1], bounds=control.QuadratureEnclosure())
    cpu = time.process_time()
    isp.solve(control.hjb_lq(100, 1.1), bounds=control.QuadratureEnclosure())
    assert time.process_time() - cpu < 1.0


@pytest.mark.parametrize(
    ("lam", "dim", "horizon", "start"), [(5.0, 100, 1.0, 0.0), (50.0, 3, 0.3, 2.0)]
)
def test_enclosures_contain_the_truth(lam, dim, horizon, start):
    x0 = np.zeros(dim)
    x0[0] = start
    p = control.hjb_lq(dim, lam, horizon, x0)
    s = isp.solve(p)
    assert contains(s.certificate, p.truth)
    idle = isp.certify(p, lambda t, x: jnp.zeros_like(x), control.QuadratureEnclosure())
    assert contains(idle, p.truth)
    assert idle.upper >= s.certificate.upper


def test_the_general_normal_form():
    # b, s, q and a rotation: lam = b^2/(2 q s^2), T' = s^2 T/2
    b, q, s, T = 1.3, 0.7, 0.9, 1.7
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    x0 = np.array([0.3, -1.0])
    p = control.ControlProblem(
        drift=control.LinearDrift(0.0, b * turn),
        running=control.QuadraticCost(0.0, q),
        terminal=control.LogRadial(),
        horizon=T,
        x0=x0,
        diffusion=s,
        controls=2,
    )
    truth = control.hjb_lq(2, b**2 / (2 * q * s**2), s**2 * T / 2, x0).truth
    out = isp.solve(p)
    assert contains(out.certificate, truth)
    for bound in (control.RogersDual(256, 8), control.GirsanovSandwich(256, 8)):
        assert contains(isp.certify(p, out, bound), truth)


@pytest.mark.slow
def test_more_controls_than_noise():
    b, q, s, T = 1.3, 0.7, 0.9, 1.7
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    x0 = np.array([0.3, -1.0])
    truth = control.hjb_lq(2, b**2 / (2 * q * s**2), s**2 * T / 2, x0).truth
    wide = control.ControlProblem(
        drift=lambda t, x, u: b * u[:2],
        running=lambda t, x, u: q * u @ u,
        terminal=control.LogRadial(),
        horizon=T,
        x0=x0,
        diffusion=s * turn,
        controls=3,
    )
    assert contains(isp.solve(wide).certificate, truth)
    waste = isp.certify(
        wide, lambda t, x: jnp.array([0.0, 0.0, 1.0]), control.GirsanovSandwich(256, 8)
    )
    assert waste.upper > truth + q * T - 0.2  # pays for the control that does nothing
    assert waste.lower <= truth


def test_inapplicable_names_the_remedy(law):
    c = isp.certify(HJB[1], lambda t, x: -0.01 * x, control.QuadratureEnclosure())
    assert c.verdict == "inapplicable"
    assert "RogersDual" in c.reason
    wrong = dataclasses.replace(law, rate=law.rate * 1.01)
    assert isp.certify(HJB[1], wrong).verdict == "inapplicable"


def test_declared_constants_make_it_conditional():
    class Declared(control.Radial):
        def profile(self, r):
            return jnp.sqrt(1 + r * r)

        @property
        def floor(self):
            return 1.0

        def curvature(self, low, high):
            return 0.0, 1.0

    p = control.ControlProblem(
        lambda t, x, u: 2 * u, lambda t, x, u: u @ u, Declared(), 0.5, np.zeros(2), 2.0**0.5, 2
    )
    c = isp.solve(p).certificate
    assert c.verdict == "conditional"
    assert c.kind == "proved_real"


@pytest.mark.parametrize("evidence", [{"penalty": 0.01}, {"penalty": control.QuadraticPenalty(-9)}])
def test_evidence_is_checked(evidence, law):
    with pytest.raises(UsageError, match="penalty"):
        isp.certify(HJB[1], law, control.QuadratureEnclosure(), evidence=evidence)


def test_any_penalty_bounds_the_value(law):
    for c in (-0.3, 0.0, 0.3):
        found = isp.certify(HJB[1], law, evidence={"penalty": control.QuadraticPenalty(c)})
        assert found.lower < HJB[1].truth


# -- by Monte Carlo -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lam", "bound", "width"),
    [
        (1, control.RogersDual(), 5e-4),
        (1, control.GirsanovSandwich(), 5e-4),
        (20, control.GirsanovSandwich(), 2e-3),
    ],
    ids=["rogers-1", "girsanov-1", "girsanov-20"],
)
def test_the_simulated_sandwich(lam, bound, width):
    p = HJB[lam]
    found = isp.run(p, control.LQSandwich(), 0)
    cpu = time.process_time()
    c = isp.certify(p, found, bound)
    assert time.process_time() - cpu < 60.0
    assert c.kind == "asymptotic"
    assert c.level == 0.99
    assert contains(c, p.truth)
    assert relative_width(c, p) <= width


@pytest.mark.parametrize("guard", [0.25, 0.1])
def test_uneven_weights_are_refused(uneven, guard):
    answer, paths = uneven
    bound = control.GirsanovSandwich(2048, 20, min_ess=guard)
    for i in range(8):
        c = certified_on(HJB[50], bound, answer, piece(paths, i, 2048), 0.01)
        assert c.verdict == "refused"
        assert c.width == np.inf
        assert "ESS" in c.reason
        assert c.level == 0.99
        assert not c.proof


def test_without_the_guard_the_interval_lies(uneven):
    # the planted bug: at lam = 50 the unguarded interval misses more often than it may
    missed = 0
    for logs in weights_of(uneven[1], 50.0).reshape(8, -1):
        w = np.exp(logs - logs.max())
        mean, spread = w.mean(), w.std(ddof=1) / w.size**0.5
        missed += -(np.log(mean + 2.807 * spread) + logs.max()) / 50.0 > HJB[50].truth
    assert missed >= 2


@pytest.mark.parametrize("bound", [control.RogersDual(256, 8), control.GirsanovSandwich(256, 8)])
def test_coverage(bound, best, paths):
    # 100 runs at delta = .1: more than 27 misses have probability below 1e-6
    missed = 0
    for i in range(100):
        c = certified_on(SMALL, bound, best, piece(paths, i, 256), 0.1)
        missed += not contains(c, SMALL.truth)
    assert missed <= 27


@pytest.mark.slow
@pytest.mark.parametrize("lam", [1, 5, 20])
def test_coverage_in_a_hundred_dimensions(lam):
    # 200 runs at delta = .01: fewer than 195 hits would be an alarm
    p = control.hjb_lq(100, float(lam))
    answer = isp.run(p, control.LQSandwich(), 0).answer
    s = control.structure_of(p)
    total = simulate(p, s, p.accept(answer), 0.0, 20, 200 * 512, jax.random.key(lam))
    bound = control.GirsanovSandwich(512, 20)
    pieces = (piece(total, i, 512) for i in range(200))
    hits = sum(contains(certified_on(p, bound, answer, x, 0.01), p.truth) for x in pieces)
    assert hits >= 195


def test_a_bad_law_gets_no_better_upper_end():
    best = isp.solve(SMALL).certificate
    for bound in (control.RogersDual(256, 8), control.GirsanovSandwich(256, 8)):
        c = isp.certify(SMALL, lambda t, x: 0.3 * x - 2 * jnp.sin(9 * x), bound)
        if c.holds():
            assert c.upper > best.upper
            assert contains(c, SMALL.truth)


def test_the_control_variates_have_mean_zero_and_the_right_sign(paths):
    # the planted bug: with the other sign, or without it, the spread grows
    for martingale in (paths.penalty, paths.girsanov):
        assert abs(martingale.mean()) < 4.5 * martingale.std() / martingale.size**0.5
        assert (paths.cost + martingale).std() < 0.97 * paths.cost.std()
        assert (paths.cost - martingale).std() > 1.03 * paths.cost.std()


def test_the_dual_radius_has_its_law(paths):
    n = control.structure_of(SMALL).normal
    law = matched.law(n, 0.05)
    square = paths.radius**2
    error = 4.5 * square.std() / square.size**0.5
    assert abs(square.mean() - law.second_moment) < error
    mass, _, _ = law.partial_moments(np.array([0.5, 1.0, 1.5, 2.0, 3.0]))
    seen = (paths.radius[:, None] <= [0.5, 1.0, 1.5, 2.0, 3.0]).mean(0)
    assert np.abs(seen - mass).max() < 2.5 / paths.radius.size**0.5


def test_foreign_laws_of_every_kind():
    bound = control.RogersDual(256, 8)

    def host(t, x):
        return -0.01 * np.asarray(x, dtype=float)

    def random(t, x, key):
        return -0.01 * x + 0.3 * jax.random.normal(key, x.shape)

    a, b = (isp.certify(SMALL, f, bound) for f in (host, random))
    assert b.upper > a.upper
    assert contains(a, SMALL.truth)
    assert contains(b, SMALL.truth)


def test_a_law_that_explodes_is_refused():
    c = isp.certify(SMALL, lambda t, x: x / 0.0, control.RogersDual(256, 8))
    assert c.verdict == "refused"
    assert "not finite" in c.reason


@pytest.mark.slow
def test_paired_gap():
    found = isp.run(HJB[1], control.LQSandwich(), 0)
    gap = isp.certify(HJB[1], found, control.PairedGap(1024, 20))
    wide = isp.certify(HJB[1], found, control.RogersDual(1024, 20))
    assert gap.lower == 0.0
    assert gap.upper < 0.8 * wide.width
    assert gap.upper > 0.0001


@pytest.mark.slow
def test_improvement_left_of_a_foreign_law():
    bound = control.ImprovementLeft(1024, 100)
    c = isp.certify(HJB[20], lambda t, x: -0.07 * x, bound)
    assert c.kind == "asymptotic"
    assert 0.0 <= c.lower < c.upper
    assert c.upper < 0.5  # importance weights, where the quadratic dual says only 0.75
    worse = isp.certify(SMALL, lambda t, x: 0.5 * x, control.ImprovementLeft(1024, 20))
    assert worse.lower > 1.0
    assert np.isfinite(worse.upper)


def test_ratio_by_brute_force():
    rng = np.random.default_rng(0)
    for _ in range(300):
        V, dj, d0 = rng.normal(), rng.exponential(), rng.exponential() + 0.05
        J, J0 = V + dj, V + d0
        e = rng.exponential(0.05, 6)
        lower, upper = ratio((J - e[0], J + e[1]), (J0 - e[2], J0 + e[3]), (V - e[4], V + e[5]))
        assert lower - 1e-12 <= (J - V) / (J0 - V) <= upper + 1e-12


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: control.RogersDual(paths=1), "`paths` is 1"),
        (lambda: control.RogersDual(steps=0), "`steps` is 0"),
        (lambda: control.GirsanovSandwich(paths=True), "`paths` of GirsanovSandwich is True"),
        (lambda: control.GirsanovSandwich(min_ess=0.0), "`min_ess` is 0.0"),
        (lambda: control.GirsanovSandwich(max_weight=2.0), "`max_weight` is 2.0"),
    ],
)
def test_bad_sizes(make, says):
    with pytest.raises(UsageError, match=says):
        make()


def test_a_deterministic_problem_is_not_for_the_sandwich():
    p = control.linear_quadratic(0.0, 1.0, 0.0, 1.0, 1.0, horizon=1.0, x0=[1.0])
    with pytest.raises(HypothesisError, match="deterministic"):
        control.LQSandwich().suits(p)
    c = isp.certify(p, lambda t, x: -x, control.GirsanovSandwich(16, 4))
    assert c.verdict == "inapplicable"


# -- the checkers ---------------------------------------------------------------------------------


def stored(x):
    arrays = {}
    doc = encode(x, arrays, "x")
    return decode(doc, arrays)


PROBLEMS = [
    HJB[1],
    control.hjb_lq(100, 50.0),
    SMALL,
    control.hjb_lq(1, 2.0, 0.7),
    control.linear_quadratic(0.5, 1.0, 1.0, 1.0, 0.5, horizon=1.0, x0=[1.0, 2.0], sigma=0.3),
]


@pytest.mark.parametrize("p", PROBLEMS, ids=lambda p: p.name)
def test_claims_are_derived_again_and_tampering_is_found(p):
    s = isp.solve(p)
    records = stored(p), stored(s.answer)
    for c in s.certificates:
        low, high = getattr(checkers, c.bound.split(".")[1])(*records, stored(dict(c.proof)))
        slack = 1e-12 * max(abs(c.lower), abs(c.upper))
        assert c.lower <= low + slack
        assert high <= c.upper + slack
        if "Riccati" not in c.bound and "riccati" not in c.proof:
            # a ratio of small differences is that much wider
            step = (1e-3 if "Left" in c.bound else 1e-6) * max(abs(c.lower), abs(c.upper))
            assert high > c.upper - step
            if c.lower != 0.0:
                assert low < c.lower + step


def test_sampled_claims_are_derived_again():
    bounds = (
        control.RogersDual(256, 8),
        control.PairedGap(256, 8),
        control.GirsanovSandwich(256, 8),
    )
    s = isp.solve(SMALL, bounds=bounds)
    for c in s.certificates:
        check = getattr(checkers, c.bound.split(".")[1])
        low, high = check(stored(SMALL), stored(s.answer), stored(dict(c.proof)))
        assert low == pytest.approx(c.lower, rel=1e-13)
        assert high == pytest.approx(c.upper, rel=1e-13)


def test_checkers_reject_what_they_cannot_read():
    s = isp.solve(SMALL)
    c = s.certificate
    foreign = stored(lambda t, x: x)
    with pytest.raises(FileRejected):
        checkers.QuadratureEnclosure(stored(SMALL), foreign, c.proof)
    with pytest.raises(ValueError, match="another law"):
        checkers.QuadratureEnclosure(stored(SMALL), stored(s.answer), {**c.proof, "policy": 0.1})
    with pytest.raises(ValueError, match="another problem"):
        checkers.QuadratureEnclosure(stored(SMALL), stored(s.answer), {**c.proof, "lam": 0.1})
    wrong = dataclasses.replace(s.answer, rate=s.answer.rate * 1.01)
    with pytest.raises(ValueError, match="not the one"):
        checkers.QuadratureEnclosure(stored(SMALL), stored(wrong), c.proof)


def test_the_whole_way_through_a_file(tmp_path):
    isp.solve(SMALL).save(tmp_path / "run")
    assert isp.check(tmp_path / "run").stands
    again = isp.load(tmp_path / "run")
    assert contains(again.certificate, SMALL.truth)


def test_checkers_need_no_jax():
    code = "import sys, infsup.control.check; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
