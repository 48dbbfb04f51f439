"""Hold-out bounds: coverage, sample sizes, refusals, and planted faults that are found."""

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

import infsup as isp
from infsup.core.errors import HypothesisError, UsageError
from infsup.core.split import Split
from infsup.generalization import (
    Betting,
    BoundedMean,
    Classification,
    EmpiricalRisk,
    HeldOutRate,
    HoldOut,
    PairedHoldOut,
    bounds,
    certify_mean,
    certify_predictions,
    check,
    files,
)
from infsup.networks import affine


def noisy(n, error, seed):
    """Labels, and predictions that err with a known probability."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return y, np.where(rng.random(n) < error, (y + 1) % 3, y)


def misses(bound, truth, n, error, times, delta):
    count = 0
    for seed in range(times):
        y, said = noisy(n, error, seed)
        c = isp.certify(Classification(y), said, bound, delta=delta)
        count += not c.lower <= truth <= c.upper
    return count


@pytest.mark.parametrize(("n", "error"), [(20, 0.02), (100, 0.1), (300, 0.5)])
def test_coverage_of_a_known_error_rate(n, error):
    from scipy.stats import binomtest

    got = misses(HoldOut(), error, n, error, 200, 0.1)
    assert binomtest(got, 200, 0.1, alternative="greater").pvalue > 1e-3


def test_coverage_of_a_paired_difference():
    rng = np.random.default_rng(0)
    times, bad = 100, 0
    for _ in range(times):
        y = rng.integers(0, 2, 150)
        a = np.where(rng.random(150) < 0.10, 1 - y, y)
        b = np.where(rng.random(150) < 0.25, 1 - y, a)
        truth = 0.10 - (0.10 * 0.75 + 0.25)
        # b is wrong where its own coin says so, else where a is
        truth = 0.10 - (0.25 + 0.75 * 0.10)
        bound = PairedHoldOut(against=isp.Predictions(b))
        c = isp.certify(Classification(y), isp.Predictions(a), bound, delta=0.1)
        bad += not c.lower <= truth <= c.upper
    assert bad <= 22


def problem_with_counts():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1000, 2)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int32)
    flip = rng.random(1000) < 0.1
    return EmpiricalRisk((x, np.where(flip, 1 - y, y)), share=0.8)


ANSWER = affine(np.array([[-1.0, 0.0], [1.0, 0.0]], np.float32), np.zeros(2, np.float32))


def test_sample_size_is_that_of_the_held_out_rows(monkeypatch):
    """PBB took the whole file's n, which made its certificates too small (learning_theory 2.1)."""

    def faithful():
        problem = problem_with_counts()
        c = isp.certify(problem, ANSWER)
        wrong = int(Fraction(isp.certify(problem, ANSWER, HeldOutRate()).upper) * 200)
        return (c.proof["rows"], c.proof["wrong"]) == (200, wrong)

    assert faithful()
    wrong_rows = bounds._wrong

    def planted(problem, answer):
        whole = np.zeros(1000, bool)
        found = wrong_rows(problem, answer)
        whole[: len(found)] = found
        return whole

    monkeypatch.setattr(bounds, "_wrong", planted)
    assert not faithful()


def test_the_statement_speaks_of_the_law_or_of_the_file():
    problem = problem_with_counts()
    law, file = isp.certify(problem, ANSWER), isp.certify(problem, ANSWER, HeldOutRate())
    assert "law behind" in law.of
    assert law.verdict == "conditional"
    assert "held-out rows of" in file.of
    assert "computed here (jax" in file.of
    assert (file.verdict, file.kind, file.width) == ("certified", "proved", 0.0)
    assert file.lower == Fraction(file.proof["wrong"], 200)


def test_ties_and_nan_among_the_logits():
    rows = {"x": jnp.zeros((4, 1), jnp.float32), "y": jnp.array([0, 1, 0, 1], jnp.int32)}
    split = Split(rows, rows, np.arange(4), np.arange(4, 8), "t", "memory", "0")
    problem = EmpiricalRisk(split)
    scores = np.array([[0, 0], [0, 0], [np.nan, 1], [0, np.nan]], np.float32)
    c = isp.certify(problem, isp.Predictions(scores), HeldOutRate())
    assert c.lower == Fraction(3, 4)  # a tie says the first label; a NaN is wrong, whatever it says


def test_losses_in_a_range_and_without():
    problem = problem_with_counts()
    mild = affine(np.array([[-1.0, 0], [1.0, 0]], np.float32), np.zeros(2, np.float32))
    plain = isp.certify(problem, mild, HoldOut("cross_entropy"))
    assert (plain.kind, plain.quantity) == ("asymptotic", "mean cross entropy")
    ranged = isp.certify(problem, mild, HoldOut("cross_entropy", (0.0, 20.0)))
    assert (ranged.kind, ranged.verdict) == ("confidence", "conditional")
    assert ranged.lower <= (plain.lower + plain.upper) / 2 <= ranged.upper
    short = isp.certify(problem, mild, HoldOut("cross_entropy", (0.0, 0.5)))
    assert short.verdict == "inapplicable"
    assert "in all" in short.reason
    for c in (plain, ranged):
        lower, upper = check.HoldOut(None, None, c.proof)
        assert c.lower <= lower <= upper <= c.upper
    broken = affine(np.full((2, 2), np.inf, np.float32), np.zeros(2, np.float32))
    assert isp.certify(problem, broken, HoldOut("cross_entropy")).verdict == "refused"
    with pytest.raises(HypothesisError, match="takes logits"):
        isp.certify(problem, isp.Predictions(np.zeros(200, int)), HoldOut("cross_entropy"))
    with pytest.raises(UsageError, match="`loss` of HoldOut is 'zero-one'"):
        HoldOut("zero-one")
    with pytest.raises(UsageError, match="`range` of HoldOut"):
        HoldOut("squared", (1.0, 0.0))


def test_a_bare_fit_cannot_be_judged():
    problem = problem_with_counts()
    with pytest.raises(UsageError, match="holds no rows out"):
        isp.certify(problem.fit, ANSWER)


def test_one_file_of_predictions():
    y, said = noisy(400, 0.1, 0)
    (c,) = certify_predictions(y, said, names=("net", ""), of="mine.csv")
    assert c.of == "net on the law behind mine.csv"
    assert c.proof["wrong"] == int((y != said).sum())
    text = np.array(["cat", "dog", "eel"])
    (t,) = certify_predictions(text[y], text[said])
    assert (t.lower, t.upper) == (c.lower, c.upper)
    assert isp.certify(Classification(y), said, HeldOutRate()).upper == Fraction(
        c.proof["wrong"], 400
    )


def test_two_files_of_predictions_share_one_delta(monkeypatch):
    y, a = noisy(500, 0.1, 0)
    b = np.where(np.arange(500) % 9 == 0, (y + 1) % 3, a)

    def spent():
        found = certify_predictions(y, a, b, delta=0.03)
        return found, sum(1 - Fraction(c.level) for c in found)

    found, total = spent()
    assert [c.quantity for c in found] == [
        "error rate of A minus that of B",
        "error rate",
        "error rate",
    ]
    assert total <= Fraction(0.03) + Fraction(1, 2**50)
    assert found[0].width < found[1].width + found[2].width
    lower, upper = check.PairedHoldOut(None, None, found[0].proof)
    assert (lower, upper) == (found[0].lower, found[0].upper)

    class Forgetful(files.DeltaLedger):
        def share(self, parts):
            return self.granted

        def spend(self, delta, what):
            return self

    monkeypatch.setattr(files, "DeltaLedger", Forgetful)
    assert spent()[1] > Fraction(0.04)  # the planted fault is found


def test_predictions_that_do_not_fit():
    y = np.array([0, 1, 2, 1])
    with pytest.raises(UsageError, match="holds 3 predictions for 4 labels"):
        certify_predictions(y, y[:3])
    with pytest.raises(UsageError, match=r"0\.3, which is no label"):
        certify_predictions(y, np.array([0.3, 0.2, 1.0, 0.0]))
    with pytest.raises(UsageError, match="`labels` holds nan in row 1"):
        Classification(np.array([0.0, np.nan]))
    with pytest.raises(UsageError, match="`labels` is"):
        Classification(np.zeros((2, 2)))
    (c,) = certify_predictions(y, np.array([0.0, np.nan, 2.0, 1.0]))
    assert c.proof["wrong"] == 1
    (c,) = certify_predictions(["a", "b"], ["a", "z"])
    assert c.proof["wrong"] == 1
    with pytest.raises(UsageError, match="`against` of PairedHoldOut is missing"):
        PairedHoldOut()


def test_the_mean_of_bounded_numbers():
    rng = np.random.default_rng(0)
    x = rng.beta(2, 5, 2000) * 4 - 1
    c = certify_mean(x, (-1.0, 3.0), of="yields")
    assert c.lower <= 4 * 2 / 7 - 1 <= c.upper
    assert (c.kind, c.verdict, c.of) == ("confidence", "conditional", "the law behind 2000 yields")
    lower, upper = check.Betting(None, None, c.proof)
    assert (lower, upper) == (c.lower, c.upper)
    outside = certify_mean(x, (-1.0, 1.0))
    assert outside.verdict == "inapplicable"
    assert outside.upper == np.inf
    assert f"in row {int(np.argmax(x > 1))}" in outside.reason
    vacuous = certify_mean([0.4], (0.0, 1.0))
    assert vacuous.verdict == "vacuous"
    with pytest.raises(UsageError, match="NaN, first in row 1"):
        certify_mean([0.1, np.nan], (0.0, 1.0))
    with pytest.raises(UsageError, match="`lo` = 1"):
        BoundedMean(1, 0)
    with pytest.raises(UsageError, match="`answer` is"):
        isp.certify(BoundedMean(), np.zeros((2, 2)), Betting())


X, Y = np.zeros((6, 2)), np.array([0, 1, 0, 1, 2, 2])
BAD = [
    (lambda: EmpiricalRisk(3), "`data` is int"),
    (lambda: EmpiricalRisk((X, Y[:5])), "different numbers of rows"),
    (lambda: EmpiricalRisk((X * np.nan, Y)), "column `x` of data holds NaN"),
    (lambda: EmpiricalRisk((X[:, 0], Y)), r"`x` is f32\[6\]"),
    (lambda: EmpiricalRisk((X, Y - 1)), "holds the label -1"),
    (lambda: EmpiricalRisk((X, Y * 2)), "lacks the label 1, and has 4"),
    (lambda: EmpiricalRisk((X, Y * 0)), "one class only"),
    (lambda: EmpiricalRisk((X, Y), classes=2), "holds the label 2"),
    (lambda: EmpiricalRisk((X, Y + 0.5), loss="cross_entropy"), r"`y` holds 0\.5 in row 0"),
    (lambda: EmpiricalRisk((X, Y), loss="logistic"), "has 3 classes"),
    (lambda: EmpiricalRisk((X, Y), loss="hinge"), "`loss` is 'hinge'"),
    (lambda: EmpiricalRisk((X, Y), ridge=-1.0), r"`ridge` of EmpiricalRisk is -1\.0"),
    (lambda: EmpiricalRisk((X, Y), share=1.0), r"`share` is 1\.0"),
    (lambda: EmpiricalRisk((X, np.array(list("aabbcc")))), "`y` of the data holds <U1"),
    (lambda: EmpiricalRisk((X, np.eye(3)[Y]), loss="cross_entropy"), "takes one label a row"),
    (lambda: isp.certify(EmpiricalRisk((X, Y)), isp.Predictions(np.zeros(5))), "held-out rows"),
    (lambda: isp.certify(EmpiricalRisk((X, Y)), lambda x: x), "`answer` gives"),
]


@pytest.mark.parametrize(("call", "words"), BAD)
def test_bad_data_is_refused_in_words(call, words):
    with pytest.raises(UsageError, match=words):
        call()


@pytest.mark.parametrize("loss", ["cross_entropy", "logistic", "squared"])
def test_self_concordance_of_the_losses(x64, loss):
    """|D^3 f[u, v, v]| <= R |u| D^2 f[v, v] along random directions, by automatic derivatives."""
    import jax

    rng = np.random.default_rng(5)
    x = rng.normal(size=(20, 3)) * 2
    y = rng.integers(0, 2, 20) if loss != "squared" else rng.normal(size=20)
    y[:2] = 0, 1
    from infsup.networks import Linear

    problem = EmpiricalRisk((x, y), loss=loss, model=Linear(), ridge=0.01)
    r, largest = problem.self_concordance, 0.0
    scalar = loss != "cross_entropy"
    shape = (3,) if scalar else (2, 3)

    def along(w, b, du, db, dv, dc):
        def f(s, t):
            net = affine(w + s * du + t * dv, b + s * db + t * dc)
            return problem.objective(net)

        second = lambda s: jax.grad(jax.grad(f, 1), 1)(s, 0.0)  # noqa: E731
        return jax.value_and_grad(second)(0.0)

    along = jax.jit(along)
    for _ in range(100):
        size = () if scalar else (2,)
        w, du, dv = (rng.normal(size=shape) * 3 for _ in range(3))
        b, db, dc = (rng.normal(size=size) for _ in range(3))
        two, three = along(w, b, du, db, dv, dc)
        length = np.sqrt((du**2).sum() + (db**2).sum())
        largest = max(largest, abs(float(three)) / (length * float(two)))
    assert largest <= r
    assert r == 0 or largest > 0.05 * r
