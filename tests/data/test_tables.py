"""Users' files: every fault is named with its column and row, and nothing in a file is executed."""

import os
import pickle

import numpy as np
import pytest

import infsup as isp
from infsup.core.errors import FileRejected, UsageError
from infsup.data import digits, from_csv, from_npz, packaged, predictions


def write(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    ours, theirs = digits(), load_digits()
    assert len(ours) == 1797
    assert ours.columns["x"].dtype == np.float32
    assert ours.columns["y"].dtype == np.int32
    np.testing.assert_array_equal(ours.columns["x"], theirs.data / 16)
    np.testing.assert_array_equal(ours.columns["y"], theirs.target)
    assert packaged("infsup:digits").hash == packaged("digits").hash == ours.hash
    with pytest.raises(UsageError, match="Try  digits"):
        packaged("digit")


def test_a_table_with_text_labels(tmp_path):
    path = write(tmp_path, "a,b,kind\n1,2.5,cat\n3,4,dog\n-1,1e-3,cat\n")
    data = from_csv(path, target="kind")
    np.testing.assert_array_equal(
        data.columns["x"], np.array([[1, 2.5], [3, 4], [-1, 1e-3]], np.float32)
    )
    np.testing.assert_array_equal(data.columns["y"], [0, 1, 0])
    assert data.columns["y"].dtype == np.int32
    assert data.name == "t.csv"


def test_other_forms_of_tables(tmp_path):
    path = write(tmp_path, "\ufeffa;y\n1;0.5\n2;1.5\n")
    real = from_csv(path, "y", delimiter=";")
    assert real.columns["y"].dtype == np.float32
    bare = from_csv(write(tmp_path, "1,2,0\n3,4,1\n"), -1)
    assert bare.columns["x"].shape == (2, 2)
    quoted = from_csv(write(tmp_path, 'a,"b, c",y\n1,2,0\n3,"4",1\n'), "y", columns=["b, c"])
    np.testing.assert_array_equal(quoted.columns["x"], [[2], [4]])


CSV = [
    ("a,y\n1,0\nnan,1\n", "y", r"column `a` of t.csv holds 'nan' in row 2"),
    ("a,y\n1,0\n,1\n", "y", r"column `a` of t.csv holds 'nothing' in row 2"),
    ("a,y\n1,0\ninf,1\n", "y", r"`a` of t.csv holds 'inf' in row 2"),
    ("a,y\n1,0\n1e39,1\n", "y", r"`a` of t.csv holds 1e\+39 in row 2"),
    ("a,b,y\n1,x,0\n2,3,1\n", "y", r"column `b` of t.csv holds text, 'x' in row 1"),
    ("a,b,y\n1_0,1,0\n2,3,1\n", "y", r"column `a` of t.csv holds text, '1_0' in row 1"),
    ("a,y\n1,0\n2,3,1\n", "y", r"row 2 of t.csv has 3 cells, the first line has 2"),
    ("a,y\n1,0\n2\n", "y", r"row 2 of t.csv has 1 cells"),
    ("a,y\n1,3\n2,3\n", "y", r"target `y` of t.csv has one value only, '3'"),
    ("a,y\n1,\n2,3\n", "y", r"the target `y` of t.csv holds 'nothing' in row 1"),
    ("a,y\n1,0\n2,1\n", "z", r"t.csv has no column `z`"),
    ("a;y\n1;0\n2;1\n", "y", r"Try  delimiter=';'"),
    ("a,y\n1,0\n2,1\n", 2, r"column 2 of t.csv does not exist"),
    ("a,a,y\n1,2,0\n2,1,1\n", "y", r"two columns `a`"),
    ("a,,y\n1,2,0\n2,1,1\n", "y", r"column 1 of t.csv has no name"),
    ("a,y\n", "y", r"a header and no rows"),
    ("", "y", r"t.csv is empty"),
    ("y\n1\n2\n", "y", r"no input columns"),
    ('a,y\n"1,0\n2,1\n', "y", r"t.csv is no CSV file|row 1"),
]


@pytest.mark.parametrize(("text", "target", "words"), CSV)
def test_a_table_with_a_fault_is_refused(tmp_path, text, target, words):
    with pytest.raises((FileRejected, UsageError), match=words):
        from_csv(write(tmp_path, text), target)


def test_files_that_are_no_tables(tmp_path):
    write(tmp_path, "a,y\n1,0\n", "house.csv")
    with pytest.raises(FileRejected, match=r"there is no file .*hous\.csv\n  Try  house\.csv"):
        from_csv(tmp_path / "hous.csv", "y")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(FileRejected, match="no UTF-8"):
        from_csv(tmp_path / "b.csv", "y")
    with pytest.raises(UsageError, match="`columns` holds the target"):
        from_csv(tmp_path / "house.csv", "y", columns=["a", "y"])


def test_npz_in_and_out(tmp_path):
    x, y = np.arange(12.0).reshape(4, 3), np.array([0, 1, 1, 0])
    np.savez(tmp_path / "t.npz", x=x, y=y, t=y + 0.5, words=np.array(["b", "a", "a", "b"]))
    data = from_npz(tmp_path / "t.npz")
    assert data.columns["x"].dtype == np.float32
    assert data.columns["y"].dtype == np.int32
    assert from_npz(tmp_path / "t.npz", y="t").columns["y"].dtype == np.float32
    np.testing.assert_array_equal(
        from_npz(tmp_path / "t.npz", y="words").columns["y"], [1, 0, 0, 1]
    )
    with pytest.raises(UsageError, match=r"`y` = 'labels' is not in t\.npz"):
        from_npz(tmp_path / "t.npz", y="labels")
    np.savez(tmp_path / "bad.npz", x=np.where(x == 4, np.nan, x), y=y)
    with pytest.raises(FileRejected, match=r"`x` of bad\.npz holds nan in row 2"):
        from_npz(tmp_path / "bad.npz")
    np.savez(tmp_path / "short.npz", x=x, y=y[:3])
    with pytest.raises(UsageError, match="has shape"):
        from_npz(tmp_path / "short.npz")


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harm",)


def test_nothing_in_a_file_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("t.npz", x=np.array([Harm()], object), y=np.zeros(1))
    with pytest.raises(FileRejected, match="holds Python objects"):
        from_npz("t.npz")
    with open("p.npz", "wb") as f:
        pickle.dump(Harm(), f)
    with pytest.raises(FileRejected):
        from_npz("p.npz")
    (tmp_path / "z.npz").write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(FileRejected):
        from_npz("z.npz")
    np.save("one.npy", np.zeros(3))
    with pytest.raises(FileRejected, match="one array without a name"):
        from_npz("one.npy")
    assert not (tmp_path / "harm").exists()


def test_files_of_predictions(tmp_path):
    found = predictions(write(tmp_path, "id_model,label\n1,1\n0,1\n2,2\n"))
    np.testing.assert_array_equal(found.labels, [1, 1, 2])
    assert list(found.predictions) == ["id_model"]
    two = predictions(write(tmp_path, "truth,a,b\ncat,cat,dog\ndog,cat,dog\n"))
    assert list(two.predictions) == ["a", "b"]
    assert two.labels.tolist() == ["cat", "dog"]
    np.savez(tmp_path / "t.npz", y=np.array([0, 1]), mine=np.array([1.0, 1.0]))
    assert predictions(tmp_path / "t.npz").predictions["mine"].tolist() == [1, 1]
    with pytest.raises(UsageError, match="has no column `label`"):
        predictions(write(tmp_path, "a,b\n1,1\n"))
    with pytest.raises(FileRejected, match=r"`b` of t\.csv has no entry in row 2"):
        predictions(write(tmp_path, "label,b\n1,1\n0,\n"))
    with pytest.raises(UsageError, match="no column of predictions"):
        predictions(write(tmp_path, "label\n1\n0\n"))


def test_a_table_is_learned(tmp_path):
    from sklearn.datasets import load_wine

    wine = load_wine()
    lines = [",".join([*wine.feature_names, "kind"])]
    for row, k in zip(wine.data, wine.target, strict=True):
        lines.append(",".join([*map(repr, map(float, row)), wine.target_names[k]]))
    data = from_csv(write(tmp_path, "\n".join(lines)), "kind")
    s = isp.solve(isp.generalization.EmpiricalRisk(data, share=0.6), progress=False)
    # columns of sizes 0.1 to 1,000: the default model standardises its inputs
    assert s.certificates[1].upper <= 0.12
    assert s.certificate.upper < s.comparators["most frequent label"].lower
