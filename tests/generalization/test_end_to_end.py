"""The whole path on real data: choose, fit, certify, compare, save, check."""

from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import infsup as isp
from infsup.generalization import EmpiricalRisk, HeldOutRate, HoldOut

DIGITS = isp.data.digits()


@pytest.fixture(scope="module")
def fitted():
    return isp.solve(EmpiricalRisk(DIGITS), progress=False)


def test_digits_are_learned_and_certified(fitted):
    c = fitted.certificate
    assert c.bound == "generalization.HoldOut"
    assert c.upper <= 0.07
    assert c.kind == "confidence"
    assert c.verdict == "conditional"  # independence of the rows is assumed, never known
    assert c.level >= 0.99
    assert fitted.stopped_by == "steps"
    assert "AdamW" in fitted.why


def test_the_rate_on_the_file_is_an_exact_count(fitted):
    exact = fitted.certificates[1]
    x, y = (np.asarray(fitted.problem.data.held_out[k]) for k in "xy")
    said = np.asarray(jax.vmap(fitted.answer)(jnp.asarray(x))).argmax(1)
    assert exact.lower == exact.upper == Fraction(int((said != y).sum()), len(y))
    assert (exact.kind, exact.verdict) == ("proved", "certified")
    assert fitted.certificate.lower <= float(exact.upper) <= fitted.certificate.upper


def test_the_majority_class_stands_beside(fitted):
    (name, c), *_ = fitted.comparators.items()
    assert name == "most frequent label"
    assert c.lower > 0.85


def test_saved_loaded_checked(fitted, tmp_path):
    fitted.save(tmp_path / "s")
    checked = isp.check(tmp_path / "s", replay=True)
    assert checked.stands, checked.findings
    again = isp.load(tmp_path / "s")
    assert again.certificates == fitted.certificates
    x = jnp.asarray(DIGITS.columns["x"][0])
    assert (np.asarray(again(x)) == np.asarray(fitted(x))).all()


def test_the_checker_finds_a_changed_count(fitted, tmp_path):
    c = fitted.certificate
    proof = {**c.proof, "wrong": c.proof["wrong"] + 3}
    wrong = fitted.replace(certificates=(eqx_replace(c, proof=proof), *fitted.certificates[1:]))
    wrong.save(tmp_path / "s")
    assert isp.check(tmp_path / "s").failed


def eqx_replace(record, **fields):
    import dataclasses

    return dataclasses.replace(record, **fields)


def test_rows_that_were_fitted_cannot_judge(fitted):
    other = EmpiricalRisk(DIGITS, key=1)
    with pytest.raises(isp.core.errors.RowsReused, match="were seen by the method"):
        isp.certify(other, fitted)


def test_a_start_that_saw_other_rows_is_refused(fitted):
    other = EmpiricalRisk(DIGITS, key=1)
    with pytest.raises(isp.core.errors.RowsReused):
        isp.solve(other, start=fitted, stop=isp.Steps(2), progress=False)


def test_answers_from_elsewhere_are_conditional_on_unseen():
    from sklearn.linear_model import LogisticRegression

    problem = EmpiricalRisk(DIGITS)
    x, y = (np.asarray(problem.data.fit[k]) for k in "xy")
    theirs = LogisticRegression(max_iter=300).fit(x, y)
    held = {k: np.asarray(v) for k, v in problem.data.held_out.items()}
    want = int((theirs.predict(held["x"]) != held["y"]).sum())
    for answer in (
        theirs,
        isp.Predictions(theirs.predict(held["x"])),
        isp.Predictions(theirs.predict_proba(held["x"])),
        isp.networks.affine(theirs.coef_.astype(np.float32), theirs.intercept_.astype(np.float32)),
    ):
        c = isp.certify(problem, answer)
        assert c.proof["wrong"] == want
        assert "the answer comes from elsewhere" in {h.evidence for h in c.hypotheses}


def test_a_function_of_numpy_is_judged_on_the_host():
    problem = EmpiricalRisk(DIGITS)
    w = np.random.default_rng(0).normal(size=(10, 64)).astype(np.float32)

    def theirs(x):
        return w @ np.asarray(x)

    c = isp.certify(problem, theirs, HeldOutRate())
    held = {k: np.asarray(v) for k, v in problem.data.held_out.items()}
    assert c.upper == Fraction(int(((held["x"] @ w.T).argmax(1) != held["y"]).sum()), 359)


def test_regression_without_a_range_is_asymptotic_and_beats_the_mean():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 3))
    y = np.sin(x[:, 0]) + x[:, 1] + 0.1 * rng.normal(size=600)
    problem = EmpiricalRisk((x, y))
    s = isp.solve(problem, isp.optimization.AdamW(steps=600), progress=False)
    c = s.certificate
    assert c.quantity == "mean squared error"
    assert (c.kind, c.verdict) == ("asymptotic", "conditional")
    assert c.upper < s.comparators["mean target"].lower
    exact = s.certificates[1]
    assert exact.verdict == "certified"
    assert c.lower <= exact.lower <= exact.upper <= c.upper
    ranged = isp.certify(problem, s, HoldOut(range=(0.0, 4.0)))
    assert ranged.kind == "confidence"
    short = isp.certify(problem, s, HoldOut(range=(0.0, 1e-4)))
    assert short.verdict == "inapplicable"
    assert not np.isfinite(short.upper)


def test_the_users_own_module_as_start_and_as_recipe():
    class Mine(eqx.Module):
        w: jax.Array

        def __init__(self, key):
            self.w = 0.1 * jax.random.normal(key, (10, 64), jnp.float32)

        def __call__(self, x):
            return jnp.tanh(self.w) @ x

    problem = EmpiricalRisk(DIGITS)
    mine = Mine(jax.random.key(3))
    s = isp.solve(problem, isp.optimization.AdamW(mine, rate=0.03, steps=300), progress=False)
    assert isinstance(s.answer, Mine)
    assert s.certificate.upper < 0.25
    assert s.answer.w.dtype == jnp.float32
    for model in (mine, Mine, lambda key: Mine(key)):
        method = isp.optimization.AdamW(model)
        method.suits(problem.fit)
        assert isinstance(method.init(problem.fit, None, jax.random.key(0)).model, Mine)
