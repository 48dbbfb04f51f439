"""`infsup verify`: what is chosen, what is told, and what a crash or a hang of a check does."""

import json
import pathlib
import subprocess
import sys

import pytest

from infsup.theorems import registry

MINE = '''
import os, sys, time
from infsup.theorems.registry import Compared, Finding, theorem

FIELDS = dict(statement="x = x", hypotheses=("none",), source="here", kind="proved")

@theorem("Z01", "It holds", **FIELDS)
def holds(size, key, broken=False):
    """Derivation: by looking."""
    print("noise on stdout")
    return Finding((Compared("key", key, "<=", -1 if broken else 10**9),))

@theorem("Z02", "It fails", **FIELDS)
def fails(size, key, broken=False):
    """Derivation: none."""
    wrong = not os.path.exists("repaired")
    return Finding((Compared("two", 2, "<=", 1 if wrong or broken else 3),))

@theorem("Z03", "It raises", **FIELDS)
def raises(size, key, broken=False):
    """Derivation: none."""
    raise ValueError("no number came")

@theorem("Z04", "It dies", **FIELDS)
def dies(size, key, broken=False):
    """Derivation: none."""
    sys.stderr.write("last words\\n")
    sys.stderr.flush()
    os._exit(7)

@theorem("Z05", "It hangs", **FIELDS)
def hangs(size, key, broken=False):
    """Derivation: none."""
    time.sleep(3600)

@theorem("Z06", "It cannot break", **FIELDS)
def unbreakable(size, key, broken=False):
    """Derivation: none."""
    return Finding((Compared("one", 1, "<=", 2),))

@theorem("Z07", "It refuses", **FIELDS)
def refuses(size, key, broken=False):
    """Derivation: none."""
    return Finding((), refused="too few draws")
'''


@pytest.fixture
def mine(shell, tmp_path, monkeypatch):
    """The shell with seven theorems more, of which some misbehave."""
    (tmp_path / "my_theorems.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("INFSUP_THEOREMS", "my_theorems")
    monkeypatch.setattr(registry, "_known", dict(registry._known))
    yield shell
    sys.modules.pop("my_theorems", None)


def saved(tmp_path, name="verify.json"):
    return json.loads((tmp_path / "runs" / "verify" / name).read_text())


def test_two_theorems_are_told_and_saved(shell, tmp_path):
    said = shell("verify", "C20", "A03", "--quick")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0].startswith("✓ A03  A network squares")
    assert lines[0].endswith(" s")
    assert "1/16 = 1/16" in lines[1]
    assert lines[2].startswith("✓ C20")
    assert "2 held, 0 refuted." in said.out
    assert lines[-1].split() == ["next", "infsup", "report", "--open"]
    record = saved(tmp_path)
    assert (record["kind"], record["schema"], record["size"]) == ("verify", 1, "quick")
    assert record["key"] == 0
    assert set(record["versions"]) >= {"infsup", "python", "jax"}
    a, c = record["theorems"]
    assert set(a) >= {
        *("id", "title", "statement", "hypotheses", "source", "pillar", "verdict", "compared"),
        *("figure", "notes", "seconds", "file", "line", "code"),
    }
    assert (a["id"], a["verdict"], a["compared"][0]["measured"]) == ("A03", "certified", "1/16")
    assert c["figure"]["curves"]
    assert [p.name for p in (tmp_path / "runs" / "verify").iterdir()] == ["verify.json"]


def test_broken_variants_must_fail(shell, tmp_path):
    said = shell("verify", "C20", "--quick", "--broken", "--json", "-o", "there")
    assert said.code == 0, said.err
    assert said.json["status"]["verdict"] == "done"
    assert said.json["theorems"][0]["verdict"] == "refuted"
    assert (tmp_path / "there" / "broken.json").exists()
    assert not (tmp_path / "there" / "verify.json").exists()


def test_a_crash_or_a_hang_is_that_theorem_alone(mine, tmp_path):
    said = mine("verify", "Z*", "--jobs", 2, "--timeout", 3, "--key", 5)
    assert said.code == 1
    found = {t["id"]: t for t in saved(tmp_path)["theorems"]}
    assert found["Z01"]["verdict"] == "certified"
    assert found["Z01"]["compared"][0]["measured"] == "5/1"
    assert found["Z02"]["verdict"] == "refuted"
    assert "ValueError: no number came" in found["Z03"]["error"]
    assert "code 7: last words" in found["Z04"]["error"]
    assert found["Z05"]["error"] == "no answer after 3 s"
    assert found["Z07"]["verdict"] == "refused"
    assert "noise on stdout" not in said.out
    assert "✗ Z02" in said.out
    assert "two: 2 > 1" in said.out
    assert "too few draws" in said.out
    assert "2 held" in said.out
    assert "Failed: Z02 Z03 Z04 Z05." in said.out
    assert "infsup verify --failed" in said.out
    # only those that failed are run again
    (tmp_path / "repaired").touch()
    again = mine("verify", "--failed", "Z02", "Z03", "--json")
    assert again.code == 1
    assert [t["id"] for t in again.json["theorems"]] == ["Z02", "Z03"]
    assert again.json["theorems"][0]["verdict"] == "certified"


def test_an_interrupt_keeps_what_was_found(shell, tmp_path, monkeypatch):
    answer = {"verdict": "certified", "compared": [], "figure": None, "notes": "", "error": ""}

    def one(theorems, **_):
        yield theorems[0], {**answer, "seconds": 0.1}
        raise KeyboardInterrupt

    monkeypatch.setattr("infsup.theorems.pool.run", one)
    said = shell("verify", "C", "--quick")
    assert said.code == 130
    assert [t["id"] for t in saved(tmp_path)["theorems"]] == ["C13"]
    assert "Interrupted: 1 of 2 were not run." in said.err


def test_a_variant_that_cannot_break_is_a_failure(mine, tmp_path):
    said = mine("verify", "Z01", "Z06", "--broken")
    assert said.code == 1
    assert "1 of 2 broken variants failed; Z06 did not." in said.out
    assert [t["verdict"] for t in saved(tmp_path, "broken.json")["theorems"]] == [
        "refuted",
        "certified",
    ]


def test_the_next_command_finds_its_folder(mine, tmp_path):
    said = mine("verify", "Z02", "-o", "my runs", "--quick")
    assert said.code == 1
    words = said.out.splitlines()[-1].split(maxsplit=1)[1]
    assert words == "infsup verify --failed --quick -o 'my runs'"
    (tmp_path / "repaired").touch()
    assert mine("verify", "--failed", "--quick", "-o", "my runs").code == 0


def test_list_and_explain_run_nothing(shell, tmp_path):
    said = shell("verify", "--list", "control")
    assert said.code == 0
    assert [x.split()[0] for x in said.out.splitlines()] == ["D04", "D05", "D07"]
    assert shell("verify", "--list", "--json").json["theorems"][0]["id"] == "A01"
    assert shell("verify", "B0?", "--list", "-q").out.split() == ["B04", "B05", "B08", "B09"]
    said = shell("verify", "--explain", "b05")
    assert said.code == 0
    for words in (
        r"\frac{L\,\|w_0-w^*\|^2}{4k+2}",
        "f convex",
        "Drori and Teboulle 2014",
        "Derivation",
    ):
        assert words in said.out
    assert "infsup/theorems/optimization.py:" in said.out
    assert not (tmp_path / "runs").exists()


def test_the_list_loads_no_jax(tmp_path):
    code = "from infsup.cli import main; main(['verify', '--list']); import sys; "
    done = subprocess.run(
        [sys.executable, "-c", code + "sys.exit(int('jax' in sys.modules))"],
        env={"PYTHONPATH": str(pathlib.Path(__file__).parents[2] / "src")},
        capture_output=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("typed", "code", "reason", "remedy"),
    [
        (["B50"], 5, "no theorem matches `B50`", "infsup verify B"),
        (["--explain", "nothing-like-it"], 5, "no theorem matches", "infsup verify --list"),
        (["--explain", "C*"], 2, "`C*` is C13 C20", "--explain C13"),
        (["--quick", "--full"], 2, "exclude each other", "one of them"),
        (["--key", "-1"], 2, "is not in [0, 2^32)", "--key 0"),
        (["--jobs", "0"], 2, "leaves nobody", "--jobs 2"),
        (["--timeout", "0"], 2, "is no time", "--timeout 60"),
        (["--failed"], 2, "there is no `runs/verify/verify.json`", "infsup verify"),
    ],
)
def test_words(shell, typed, code, reason, remedy):
    said = shell("verify", *typed)
    assert said.code == code, said.err
    assert reason in said.err
    assert remedy in said.err
    assert len(said.err.splitlines()) <= 4


def test_a_damaged_record_is_refused(shell, tmp_path):
    folder = tmp_path / "runs" / "verify"
    folder.mkdir(parents=True)
    for text in ("{", "[]", '{"theorems": [1], "broken": false}'):
        (folder / "verify.json").write_text(text)
        said = shell("verify", "--failed")
        assert said.code == 4, said.err
        assert "is not a record" in said.err
    (folder / "verify.json").write_text('{"theorems": [], "broken": false}')
    said = shell("verify", "--failed")
    assert (said.code, said.out) == (0, "nothing failed in the last run\n")
