"""The tour's own logic; `make tour` itself runs in CI."""

import pathlib

import numpy as np
import pytest

import infsup as isp
from infsup import tour


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def without(monkeypatch, *stops):
    for stop in stops:
        monkeypatch.setattr(tour, stop, lambda taken: None)


def test_nearest_mean():
    x = np.array([[0.0, 0.0], [0.0, 2.0], [9.0, 9.0]])
    new = np.array([[0.0, 1.1], [7.0, 8.0]])
    assert tour.nearest_mean(x, np.array([0, 0, 1]), new).tolist() == [0, 1]


def test_every_stop_is_in_the_gallery():
    from infsup.problems import GALLERY

    assert {name for name, _ in tour.STOPS} <= set(GALLERY)


def test_a_stop_saves_and_is_in_the_table(here, x64, monkeypatch, capfd):
    monkeypatch.setattr(tour, "STOPS", (("double-integrator", "A cart"),))
    without(monkeypatch, "_files", "_approximate", "_verify")
    assert tour.tour() == 0
    out = capfd.readouterr().out
    assert "$ infsup solve double-integrator -o runs/tour/double-integrator" in out
    assert "The claim follows from the files." in out
    assert isp.check("runs/tour/double-integrator").stands
    table = out.partition("What is known now")[2]
    assert "double-integrator" in table
    assert "certified" in table
    assert "next" in table
    assert table.split()[-1] == "runs/tour/report/index.html"
    assert "double-integrator" in pathlib.Path(table.split()[-1]).read_text("utf-8")


def test_a_failed_claim_fails_the_tour(here, monkeypatch, capfd):
    monkeypatch.setattr(tour, "shell", lambda typed: 1)
    without(monkeypatch, "_files")
    assert tour.tour() == 1
    assert "✗ failed  infsup solve digits" in capfd.readouterr().out


def test_ctrl_c_ends_it(here, monkeypatch, capfd):
    typed = []
    monkeypatch.setattr(tour, "shell", lambda words: typed.append(words) or 130)
    assert tour.tour() == 130
    assert len(typed) == 1
    assert "interrupted" in capfd.readouterr().err


@pytest.mark.parametrize("columns", ["40", "80"])
def test_the_table_holds_the_width(here, monkeypatch, capfd, columns):
    monkeypatch.setenv("COLUMNS", columns)
    c = isp.Certificate("a", "b", 1.0, 2.0, "confidence", "x.Y", level=0.99)
    tour._table(tour.Tour(rows=[("network - nearest mean", c, 3.0)]), 12.0)
    assert max(map(len, capfd.readouterr().out.splitlines())) <= int(columns)


def test_a_function_is_typed_so_that_a_shell_would_read_it(here, monkeypatch, capfd):
    monkeypatch.setattr(tour, "shell", lambda words: 0)
    tour.Tour().type("approximate", *tour.FUNCTION)
    assert "$ infsup approximate 'exp(-x)*sin(3*x)' --on 0 6" in capfd.readouterr().out


@pytest.mark.slow
def test_the_whole_tour(here, x64, capfd):
    assert tour.main() == 0
    last = capfd.readouterr().out.split()[-1]
    assert last.endswith("runs/tour/report/index.html")
    assert pathlib.Path(last).is_file()


def test_the_table_names_the_way_to_the_command(here, monkeypatch, capfd):
    c = isp.Certificate("a", "b", 1.0, 2.0, "confidence", "x.Y", level=0.99)
    bin = pathlib.Path("my venv/bin").absolute()
    bin.mkdir(parents=True)
    (bin / "activate").touch()
    monkeypatch.setattr("sys.executable", str(bin / "python"))
    for found, wanted in ((None, True), ("/usr/bin/infsup", False)):
        monkeypatch.setattr("shutil.which", lambda name, found=found: found)
        tour._table(tour.Tour(rows=[("digits", c, 3.0)]), 12.0)
        assert ("source 'my venv/bin/activate'" in capfd.readouterr().out) is wanted
