"""ISTA, FISTA and their certificate, against minimisers that are known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import infsup as isp
from infsup.core.errors import HypothesisError, UsageError
from infsup.optimization import FISTA, ISTA, L1, Box, Composite, CompositeGap
from infsup.optimization import check as checks

CURVES = np.array([1.0, 3.0, 10.0, 0.5])
TARGET = np.array([2.0, -0.2, 0.7, 0.1])


def quadratic(w):
    return 0.5 * jnp.sum(jnp.asarray(CURVES, w.dtype) * (w - jnp.asarray(TARGET, w.dtype)) ** 2)


def value(w):
    return 0.5 * np.sum(CURVES * (w - TARGET) ** 2)


def l1(weight=0.5, floor=0.0, dtype=None):
    like = jnp.zeros(4, dtype)
    return Composite(quadratic, L1(weight), like, smoothness=10.0, floor=floor)


def box(low=-0.5, high=1.0):
    return Composite(quadratic, Box(low, high), jnp.zeros(4), smoothness=10.0)


def least_l1(weight):
    """Each coordinate alone: shrunk by weight/curvature."""
    w = np.sign(TARGET) * np.maximum(np.abs(TARGET) - weight / CURVES, 0)
    return w, value(w) + weight * np.abs(w).sum()


def least_box(low, high):
    w = np.clip(TARGET, low, high)
    return w, value(w)


@pytest.mark.parametrize("method", [ISTA(), FISTA(), ISTA(rate=0.05), FISTA(rate=0.1, steps=900)])
def test_they_find_the_minimiser(method):
    tolerance = 1e-9 if jax.config.jax_enable_x64 else 1e-4
    found = np.asarray(isp.run(l1(), method, 0).answer)
    np.testing.assert_allclose(found, least_l1(0.5)[0], atol=tolerance)
    # what is shrunk to zero is zero
    assert (found == 0).tolist() == [False, False, False, True]
    found = np.asarray(isp.run(box(), method, 0).answer)
    np.testing.assert_allclose(found, least_box(-0.5, 1.0)[0], atol=tolerance)


def test_a_tree_of_arrays_and_a_start():
    like = {"a": jnp.zeros(2), "b": jnp.zeros(())}
    problem = Composite(
        lambda w: jnp.sum((w["a"] - 3.0) ** 2) + (w["b"] + 4.0) ** 2, Box(1.0, 2.0), like, 2.0
    )
    for method in (ISTA(steps=5), FISTA(steps=5)):
        found = isp.run(problem, method, 0).answer
        assert found["a"].tolist() == [2.0, 2.0]
        assert float(found["b"]) == 1.0
        start = {"a": jnp.full(2, 2.0), "b": jnp.asarray(1.0)}
        again = isp.run(problem, method, 0, start=start).answer
        assert again["a"].tolist() == [2.0, 2.0]


def test_float32_stays():
    for method in (ISTA(steps=20), FISTA(steps=20)):
        assert isp.run(l1(dtype=jnp.float32), method, 0).answer.dtype == jnp.float32


@pytest.mark.usefixtures("x64")
def test_solve_certifies_and_the_files_derive_it_again(tmp_path):
    solution = isp.solve(l1())
    c = solution.certificate
    assert (c.verdict, c.kind) == ("conditional", "proved_real")
    assert 0 <= c.upper < 1e-9
    assert [h.text for h in c.hypotheses] == ["f is convex", "f is never below 0.0"]
    isp.save(solution, tmp_path / "lasso")
    assert isp.check(tmp_path / "lasso").failed == ()
    low, high = checks.CompositeGap(None, None, c.proof)
    assert c.lower <= low <= high <= c.upper


@pytest.mark.usefixtures("x64")
def test_the_gap_is_never_below_the_truth():
    rng = np.random.default_rng(0)
    tight = {"l1": np.inf, "box": np.inf}
    without = 0
    for k in range(30):
        w = rng.normal(size=4) * 10.0 ** rng.uniform(-3, 1)
        weight, scale = float(rng.uniform(0.1, 3)), 10.0 ** rng.uniform(-6, 0)
        near, best = least_l1(weight)
        for point in (w, near + scale * rng.normal(size=4) * (near != 0)):
            c = isp.certify(l1(weight), jnp.asarray(point), CompositeGap())
            gap = value(point) + weight * np.abs(point).sum() - best
            assert gap <= c.upper, k
            derived = checks.CompositeGap(None, None, c.proof)
            assert derived[1] <= c.upper
            tight["l1"] = min(tight["l1"], c.upper / max(gap, 1e-30))
            # planted bug: a slope beyond the weight is forgotten
            h = c.proof["gradient"]
            without += gap > max(float(np.sum(h * point + weight * np.abs(point))), 0.0) + 1e-12
        inside = np.clip(w, -0.5, 1.0)
        c = isp.certify(box(), jnp.asarray(inside), CompositeGap())
        gap = value(inside) - least_box(-0.5, 1.0)[1]
        assert gap <= c.upper
        tight["box"] = min(tight["box"], c.upper / max(gap, 1e-30))
    assert without > 5
    assert max(tight.values()) < 2.5


@pytest.mark.usefixtures("x64")
def test_what_it_refuses():
    def told(problem, point, word):
        c = isp.certify(problem, jnp.asarray(point), CompositeGap())
        assert c.verdict == "inapplicable", c
        assert word in c.reason
        assert c.upper == np.inf

    told(l1(floor=None), np.zeros(4), "Composite(..., floor=0)")
    told(l1(floor=1e6), np.zeros(4), "f is never below")
    told(box(), np.full(4, 2.0), "in the box [-0.5, 1]")
    bad = Composite(lambda w: jnp.sum(jnp.log(w)), Box(-1.0, 1.0), jnp.zeros(2), 1.0)
    c = isp.certify(bad, jnp.array([-0.5, 0.5]), CompositeGap())
    assert (c.verdict, c.upper) == ("refused", np.inf)
    proof = dict(isp.certify(box(), jnp.zeros(4), CompositeGap()).proof)
    with pytest.raises(ValueError, match="outside its box"):
        checks.CompositeGap(None, None, {**proof, "w": np.full(4, 2.0)})
    with pytest.raises(ValueError, match="damaged"):
        checks.CompositeGap(None, None, {**proof, "gradient": np.full(4, np.nan)})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: L1(0.0), "`weight` of L1"),
        (lambda: Box(1.0, 1.0), "`high` of Box"),
        (lambda: Box(-np.inf, 1.0), "`low` of Box"),
        (lambda: Composite(quadratic, "l1", jnp.zeros(4)), "`penalty` of Composite is str"),
        (lambda: Composite(3, L1(1.0), jnp.zeros(4)), "`f` of Composite is int"),
        (lambda: Composite(lambda w: w, L1(1.0), jnp.zeros(4)), "not one real number"),
        (lambda: Composite(quadratic, L1(1.0), jnp.zeros(4), smoothness=-1.0), "`smoothness`"),
        (lambda: Composite(quadratic, L1(1.0), jnp.zeros(4), floor=np.nan), "`floor`"),
        (lambda: ISTA(rate=0.0), "`rate` of ISTA"),
        (lambda: FISTA(rate=-1.0), "`rate` of FISTA"),
        (lambda: ISTA(steps=0), "`steps` of ISTA"),
        (lambda: FISTA(steps=0), "`steps` of FISTA"),
    ],
)
def test_words(make, words, unchecked):
    with pytest.raises(UsageError, match=words):
        make()


@pytest.mark.parametrize("method", [ISTA(), FISTA()])
def test_a_step_must_be_known(method):
    problem = Composite(quadratic, L1(1.0), jnp.zeros(4))
    with pytest.raises(HypothesisError, match="no `smoothness`"):
        isp.run(problem, method, 0)
