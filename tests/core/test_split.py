"""Every row stands on one side, and what was seen is not called unseen."""

import os
import pathlib
import subprocess
import sys
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import infsup as isp
from infsup.core.errors import PrecisionError, RowsReused, UsageError
from infsup.core.split import DataSet, SeenRows, Split

F32 = np.float32
SOURCE = pathlib.Path(isp.__file__).parents[1]


def data(n=20, *, dtype=F32, shift=0.0, **fields):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((n, 3)) + shift).astype(dtype)
    return DataSet({"x": x, "y": np.arange(n, dtype=np.int32) % 2}, **fields)


class Mean(isp.Problem):
    """The mean of the rows, with a split."""

    split: Split

    @property
    def asks(self):
        return isp.Point(jax.ShapeDtypeStruct((3,), np.dtype("float32")))

    @property
    def fit(self):
        return Mean(self.split.only_fit())

    def rows(self, side):
        return self.split.rows(side)


class Average(isp.DirectMethod):
    def find(self, problem, start, key):
        assert problem.split.held_out is None
        assert problem.split.held_index is None
        return isp.Outcome(jnp.mean(problem.split.fit["x"], 0))


class Unseen(isp.Bound):
    """The mean distance on rows that were not seen."""

    problems: ClassVar = (Mean,)
    unseen: ClassVar[bool] = True

    def certify(self, problem, outcome, key, delta):
        x = np.asarray(problem.split.held_out["x"], np.float64)
        d = float(np.mean((x - np.asarray(outcome.answer, np.float64)) ** 2))
        return isp.Certificate("distance", "the mean", d, d, "estimate", "t:Unseen", sense="min")


def solved(problem, **kw):
    return isp.solve(problem, Average(), bounds=Unseen(), **kw)


# -- the cut --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 5, 10, 101, 1000])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.95])
def test_every_row_stands_on_one_side(n, share):
    d = data(n)
    cut = round(share * n)
    if cut in (0, n):
        with pytest.raises(UsageError, match="empty"):
            Split.random(d, share=share)
        return
    s = Split.random(d, 3, share)
    assert len(s.fit_index) == cut
    both = np.concatenate([s.fit_index, s.held_index])
    assert sorted(both) == list(range(n))
    for side, index in ((s.fit, s.fit_index), (s.held_out, s.held_index)):
        assert (np.asarray(side["x"]) == d.columns["x"][index]).all()
        assert side["x"].dtype == F32
        assert side["y"].dtype == np.int32


def test_the_key_decides():
    d = data(100)
    a, b = Split.random(d, 0), Split.random(d, 0)
    assert isp.fingerprint(a) == isp.fingerprint(b)
    assert isp.fingerprint(Split.random(d, 1)) != isp.fingerprint(a)
    assert isp.fingerprint(Split.random(d, jax.random.key(0))) == isp.fingerprint(a)


def test_the_split_does_not_depend_on_the_64_bit_flag():
    code = (
        "import numpy as np\nfrom infsup.core.split import DataSet, Split\n"
        "for n in (10, 999):\n"
        "    d = DataSet({'x': np.arange(n, dtype=np.float32), 'y': np.arange(n)})\n"
        "    s = Split.random(d, 7)\n"
        "    print(s.held_index.tolist(), s.rows('fit').prints.sum(), s.data_hash)\n"
    )
    out = []
    for flag in ("0", "1"):
        env = {**os.environ, "PYTHONPATH": str(SOURCE), "JAX_ENABLE_X64": flag}
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=120
        )
        assert run.returncode == 0, run.stderr
        out.append(run.stdout)
    assert out[0] == out[1]


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5, float("nan"), True])
@pytest.mark.usefixtures("unchecked")
def test_a_share_lies_inside_0_1(share):
    with pytest.raises(UsageError, match="share"):
        Split.random(data(), share=share)


def test_one_row_cannot_be_cut():
    assert len(data(1)) == 1
    with pytest.raises(UsageError, match="one side"):
        Split.random(data(1))


@pytest.mark.parametrize(
    ("fit", "held", "word"),
    [
        ([], [1], "fit"),
        ([1], [], "held_out"),
        ([0, 1], [1, 2], "1 rows stand on both sides"),
        ([-1], [0], "outside"),
        ([0], [20], "outside"),
        ([0], [2**32], "outside"),
        ([0.5], [1.5], "float64"),
        (np.arange(20) < 10, np.arange(20) >= 10, "flatnonzero"),
        (["0"], ["1"], "row numbers"),
    ],
)
def test_row_numbers_of_the_user_are_looked_at(fit, held, word):
    with pytest.raises(UsageError, match=word):
        Split.by_index(data(), fit, held)


def test_methods_see_nothing_held_out():
    s = Split.random(data())
    hidden = s.only_fit()
    assert hidden.held_out is None
    assert len(hidden.rows("held_out")) == 0
    assert len(hidden.rows("fit")) == len(s.rows("fit"))


# -- bad data -------------------------------------------------------------------------------------


def test_bad_values_name_column_and_row():
    for bad in (np.nan, np.inf, -np.inf):
        x = np.zeros((9, 2, 2), F32)
        x[4, 1, 0] = x[7, 0, 0] = bad
        with pytest.raises(UsageError, match=r"column `x` of mine.*first in row 4"):
            DataSet({"x": x}, name="mine")


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"x": np.zeros((3, 1)), "y": np.zeros(4)},
        {"x": np.zeros((0, 2))},
        {"x": 5.0},
        {"x": np.array(["a", "b"])},
        {"x": np.array([None, 1])},
        {"x": np.zeros(2, complex)},
        {"x": np.array(["2020-01-01"], "M8[D]")},
    ],
)
def test_what_is_no_table_is_refused(columns):
    with pytest.raises(UsageError):
        DataSet(columns)


@pytest.mark.usefixtures("x64")
def test_wide_columns_are_refused_while_the_flag_is_off():
    with jax.enable_x64(False):
        with pytest.raises(PrecisionError, match="data"):
            Split.random(data(dtype=np.float64))
        ids = DataSet({"x": np.arange(20) + 2**40})
        with pytest.raises(PrecisionError, match="`x`"):
            Split.random(ids)
        labels = DataSet({"y": np.arange(20)})  # int64, and small: the usual labels
        assert Split.random(labels).fit["y"].dtype == np.int32
    assert Split.random(data(dtype=np.float64)).fit["x"].dtype == np.float64


# -- names of data --------------------------------------------------------------------------------


def test_the_hash_is_of_names_dtypes_and_bytes():
    a = data()
    x, y = a.columns["x"], a.columns["y"]
    assert DataSet({"y": y, "x": x}).hash == a.hash  # the order of a dict is no content
    others = [
        DataSet({"x": x}),
        DataSet({"x": x, "z": y}),
        DataSet({"x": x[:, ::-1], "y": y}),
        DataSet({"x": x[::-1], "y": y}),
        DataSet({"x": x.astype(np.float64), "y": y}),
        DataSet({"x": x, "y": y.astype(np.int64)}),
        DataSet({"x": x.reshape(20, 3, 1), "y": y}),
        DataSet({"x": np.nextafter(x, 1), "y": y}),
    ]
    assert len({a.hash, *(d.hash for d in others)}) == len(others) + 1


# -- what was seen --------------------------------------------------------------------------------


def test_rows_that_were_fitted_are_not_called_unseen():
    d = data(50)
    one, other = Mean(Split.random(d, 0)), Mean(Split.random(d, 1))
    s = solved(one)
    assert s.certificate.hypotheses[0].state == "checked"
    with pytest.raises(RowsReused, match="held-out rows were seen"):
        isp.certify(other, s, Unseen())
    assert isp.certify(one, s, Unseen()).hypotheses[0].state == "checked"


def test_reuse_is_refused_across_runs(tmp_path):
    d = data(50)
    one, other = Mean(Split.random(d, 0)), Mean(Split.random(d, 1))
    solved(one).save(tmp_path / "s")
    with pytest.raises(RowsReused):
        isp.certify(other, isp.load(tmp_path / "s"), Unseen())


def test_reuse_through_a_start_is_refused_before_any_work():
    d = data(50)
    s = solved(Mean(Split.random(d, 0)))

    class Worked(Exception):
        pass

    class Never(isp.DirectMethod):
        def find(self, problem, start, key):
            raise Worked

    with pytest.raises(RowsReused):
        isp.solve(Mean(Split.random(d, 1)), Never(), bounds=Unseen(), start=s)
    with pytest.raises(Worked):
        isp.solve(Mean(Split.random(d, 0)), Never(), bounds=Unseen(), start=s)


def test_a_memory_that_forgets_is_found(monkeypatch):
    d = data(50)
    one, other = Mean(Split.random(d, 0)), Mean(Split.random(d, 1))
    monkeypatch.setattr(SeenRows, "reused", lambda self, rows: 0)
    with pytest.raises(pytest.fail.Exception), pytest.raises(RowsReused):
        isp.certify(other, solved(one), Unseen())


def test_of_an_answer_from_elsewhere_unseen_is_assumed():
    p = Mean(Split.random(data(50), 0))
    c = isp.certify(p, np.zeros(3, F32), Unseen())
    assert c.hypotheses[0].state == "assumed"
    assert "elsewhere" in c.hypotheses[0].evidence
    raw = solved(p).answer
    assert isp.certify(p, raw, Unseen()).hypotheses[0].state == "assumed"


def test_equal_content_across_data_sets_is_counted_in_words():
    a = data(40)
    x, y = a.columns["x"].copy(), a.columns["y"]
    for dtype in (F32, np.float64):  # the same numbers, in whatever dtype they were saved
        if dtype is np.float64 and not jax.config.jax_enable_x64:
            continue
        other = DataSet({"x": x[::-1].astype(dtype), "y": y[::-1]}, name="copied")
        s = solved(Mean(Split.random(a, 0)))
        p = Mean(Split.random(other, 1))
        c = isp.certify(p, s, Unseen())
        seen = {tuple(np.asarray(r)) for r in s.problem.split.fit["x"]}
        same = sum(tuple(np.asarray(r, F32)) in seen for r in p.split.held_out["x"])
        assert same > 0
        assert c.hypotheses[0].evidence == f"{same} equal a seen row in content"
    far = isp.certify(Mean(Split.random(data(40, shift=5.0), 1)), s, Unseen())
    assert far.hypotheses[0].evidence == ""


def test_seen_rows_join():
    a = SeenRows({"h": np.array([1, 2]), "g": np.array([5])}, np.array([3], np.uint64))
    b = SeenRows({"h": np.array([2, 9])}, np.array([1, 3], np.uint64))
    both = a | b
    assert len(both) == 4
    assert both.index["h"].tolist() == [1, 2, 9]
    assert both.prints.tolist() == [1, 3]
    assert a.reused(b) == 1
    assert (a | b).reused(a) == 3
    assert SeenRows().reused(a) == 0


@pytest.mark.parametrize(
    ("index", "prints"),
    [
        ({"h": [1]}, None),
        ({"h": np.zeros(2)}, None),
        ({"h": np.zeros((1, 1), int)}, None),
        ({3: np.zeros(1, int)}, None),
        ("h", None),
        ({}, np.zeros(1)),
        ({}, [1]),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_rows_from_a_file_are_looked_at(index: Any, prints: Any):
    with pytest.raises(UsageError):
        SeenRows(index, np.zeros(0, np.uint64) if prints is None else prints)
