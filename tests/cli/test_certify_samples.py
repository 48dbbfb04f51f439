"""`infsup certify samples`: a bracket, and one clear error for each bad input."""

import numpy as np
import pytest

RNG = np.random.default_rng(0)


@pytest.fixture
def files(tmp_path):
    x, y = RNG.normal(size=(1000, 2)), RNG.normal(size=(120, 2)) + np.array([1.5, 0.0])
    np.save(tmp_path / "draws.npy", x)
    np.savez(tmp_path / "rows.npz", x=y)
    for name, a, header in (("draws.csv", x, "a,b"), ("rows.csv", y[:, ::-1], "b,a")):
        np.savetxt(tmp_path / name, a, delimiter=",", header=header, comments="")
    np.savetxt(tmp_path / "bare.csv", y, delimiter=",")
    bad = x.copy()
    bad[4, 1] = np.nan
    np.save(tmp_path / "nan.npy", bad)
    np.save(tmp_path / "wide.npy", RNG.normal(size=(50, 3)))
    np.save(tmp_path / "few.npy", x[:5])
    np.save(tmp_path / "line.npy", x[:, 0])
    (tmp_path / "text.csv").write_text("a,b\n1,2\n3,cat\n")
    (tmp_path / "other.csv").write_text("a,c\n" + "1,2\n" * 20)
    np.savez(tmp_path / "two.npz", p=x, q=y)
    np.save(tmp_path / "none.npy", x[:0])
    np.save(tmp_path / "thin.npy", np.zeros((20, 0)))
    np.save(tmp_path / "huge.npy", 1e300 * x)
    (tmp_path / "text.npy").write_text("hello")
    np.save(tmp_path / "objects.npy", np.array([{}, 1], object), allow_pickle=True)
    rows = [f"id{i},{a},{b}" for i, (a, b) in enumerate(x[:60])]
    (tmp_path / "id.csv").write_text("\n".join(["id,a,b", *rows]))
    np.save(tmp_path / "mixed.npy", np.concatenate([x[:100], y[:50]]))


@pytest.mark.usefixtures("files")
def test_a_bracket_and_three_lower_bounds(shell):
    said = shell("certify", "samples", "draws.csv", "--held-out", "rows.csv", "--json")
    assert said.code == 0, said.err
    w2, tv, js, kl = said.json["certificates"]
    assert said.json["command"] == "certify samples"
    # columns go by name: crossed, the distance would be 2.1
    assert float(w2["lower"]) < 1.6 < float(w2["upper"]) < 2.1
    assert 0.05 < float(tv["lower"]) < 0.56  # TV of two normals 1.5 apart is 0.547
    assert float(js["upper"]) == pytest.approx(np.log(2))
    assert kl["upper"] == "inf"
    for c in said.json["certificates"]:
        assert c["verdict"] in ("conditional", "vacuous")
        assert "not seen in training" in str(c["hypotheses"])


@pytest.mark.usefixtures("files")
def test_equal_rows_are_counted(shell):
    said = shell("certify", "samples", "mixed.npy", "--held-out", "rows.npz")
    assert said.code == 0
    assert "50 draws equal a held-out row" in said.out
    assert "assumed" in said.out


@pytest.mark.parametrize(
    ("file", "held_out", "code", "word"),
    [
        ("wide.npy", "rows.npz", 2, "has 3 columns, `rows.npz` has 2"),
        ("nan.npy", "rows.npz", 4, "row 5, column 1: nan"),
        ("few.npy", "rows.npz", 2, "holds 5 rows"),
        ("draws.npy", "few.npy", 2, "holds 5 rows"),
        ("draws.npy", "draws.npy", 2, "hold the same rows, all 1000"),
        ("draws.npy", "draws.csv", 2, "hold the same rows"),
        ("line.npy", "rows.npz", 2, "float64[1000]"),
        ("text.csv", "rows.npz", 4, "'cat' is no number"),
        ("draws.csv", "other.csv", 2, "no column `b`"),
        ("two.npz", "rows.npz", 2, "has 2 arrays"),
        ("none.npy", "rows.npz", 2, "holds 0 rows"),
        ("thin.npy", "thin.npy", 2, "float64[20, 0]"),
        ("huge.npy", "rows.npz", 2, "loses its digits in float32"),
        ("text.npy", "rows.npz", 4, "begins otherwise"),
        ("objects.npy", "rows.npz", 4, "Python objects, which are not read"),
        ("id.csv", "rows.csv", 4, "--column a --column b"),
        ("nowhere.csv", "rows.npz", 4, "no file `nowhere.csv`"),
    ],
)
@pytest.mark.usefixtures("files")
def test_bad_input(shell, file, held_out, code, word):
    said = shell("certify", "samples", file, "--held-out", held_out)
    assert said.code == code, said.err
    assert word in said.err
    assert len(said.err.splitlines()) <= 6


@pytest.mark.usefixtures("files")
def test_the_rows_are_asked_for(shell):
    said = shell("certify", "samples", "draws.npy")
    assert said.code == 2
    assert "--held-out" in said.err


@pytest.mark.usefixtures("files")
def test_columns_of_a_table_that_holds_text(tmp_path):
    from infsup.cli.samples import rows

    values, names = rows(str(tmp_path / "id.csv"), ["b", "a"])
    assert names == ["b", "a"]
    assert np.allclose(values[:, ::-1], np.load(tmp_path / "draws.npy")[:60])


def test_tables_as_pandas_writes_them(tmp_path):
    # the number of the row is no coordinate of a draw, and a header of numbers is no draw
    from infsup.cli.samples import rows

    x = RNG.normal(size=(20, 3))
    lines = [",".join(map(str, row)) for row in x.tolist()]
    bare, counted = tmp_path / "bare.csv", tmp_path / "counted.csv"
    bare.write_text("\n".join(["0,1,2", *lines]))
    counted.write_text("\n".join([",0,1,2", *(f"{i},{line}" for i, line in enumerate(lines))]))
    for file in (bare, counted):
        values, names = rows(str(file))
        assert names == ["0", "1", "2"]
        assert np.array_equal(values, x)


@pytest.mark.usefixtures("files")
def test_a_known_range_gives_an_interval_at_this_sample_size(shell):
    said = shell(
        *("certify", "samples", "draws.npy", "--held-out", "rows.npz"),
        *("--within", "-9", "9", "--json"),
    )
    w2 = said.json["certificates"][0]
    assert w2["kind"] == "confidence"
    assert float(w2["lower"]) < 1.6 < float(w2["upper"])
    assert (
        shell(
            *("certify", "samples", "draws.npy", "--held-out", "rows.npz", "--within", "2", "1")
        ).code
        == 2
    )
