"""What each command does when all is well."""

import io
import json
import sys

import numpy as np
import pytest

import infsup as isp


def test_solve_chooses_by_name_and_says_why(shell, x64):
    said = shell("solve", "double-integrator", "--no-save")
    assert said.code == 0, said.err
    assert "method" in said.out
    assert "Riccati (" in said.out
    said = shell("solve", "double-integrator", "Riccati", "--no-save")
    assert "Riccati, as you asked" in said.out


def test_parameters_reach_problem_and_method(shell, own):
    name = own()
    a = shell("solve", name, "--json", "--no-save", "-s", "rate=0.01").json
    b = shell("solve", name, "--json", "--no-save", "-s", "rate=0.4").json
    assert float(b["certificate"]["upper"]) < float(a["certificate"]["lower"])
    c = shell("solve", name, "--json", "--no-save", "--steps", "3").json
    assert c["cost"]["steps"] == 3


def test_bounds_of_the_file_by_name(shell, own):
    name = own()
    bound = "Far" + name[:-3].title().replace("_", "")
    said = shell("solve", name, "--bound", bound, "--bound", bound, "--no-save", "--json")
    assert len(said.json["certificates"]) == 2


def test_reach_and_seconds_stop(shell, own):
    name = own()
    d = shell("solve", name, "--reach", "0.5", "-s", "steps=4000", "--json", "--no-save").json
    assert d["status"]["stopped_by"] in ("reached", "steps")
    said = shell("solve", name, "--seconds", "0.2", "-s", "steps=2000000000", "--no-save")
    assert said.code == 0, said.err
    assert "by the clock" in said.out


def test_a_checkpoint_resumes_to_the_same_bytes(shell, own, tmp_path):
    name = own()
    assert shell("solve", name, "-o", "runs/a", "--checkpoint", "state").code == 0
    said = shell("solve", name, "-o", "runs/b", "--resume", "state")
    assert said.code == 0, said.err
    files = [(tmp_path / "runs" / x / "arrays.safetensors").read_bytes() for x in "ab"]
    assert "resumed" in said.out
    assert files[0] == files[1] or "not bit-identical" in said.out


def test_the_log_has_a_line_a_look(shell, own, tmp_path):
    assert shell("solve", own(), "--log", "log.jsonl", "--steps", 9000, "--no-save").code == 0
    lines = [json.loads(x) for x in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines
    assert {"stage", "step", "value"} <= set(lines[0])


def test_other_parameters_have_another_folder(shell, own, tmp_path):
    name = own()
    shell("solve", name)
    shell("solve", name, "-s", "scale=2")
    assert {p.name for p in (tmp_path / "runs").iterdir()} == {
        f"{name[:-3]}-0",
        f"{name[:-3]}-scale=2.0-0",
    }


def test_what_was_found_is_shown_even_where_it_cannot_be_saved(shell, own, monkeypatch):
    def full(self, path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(isp.Solution, "save", full)
    said = shell("solve", own(), "-o", "runs/a")
    assert said.code == 4
    assert "✓ certified" in said.out
    assert "No space left" in said.reason


def test_list_for_a_problem(shell, x64):
    said = shell("list", "--for", "double-integrator")
    assert said.code == 0, said.err
    assert "Riccati" in said.out
    assert "AdamW" not in said.out
    assert "default" in said.out
    assert shell("list", "bounds", "--for", "double-integrator", "-q").out.split()
    assert shell("list", "methods", "AdamW", "--for", "double-integrator").code == 5


def test_list_by_pattern_and_pillar(shell):
    assert shell("list", "methods", "*descent*", "-q").out.split() == ["GradientDescent"]
    found = shell("list", "--pillar", "control", "-q").out.split()
    assert "LQSandwich" in found
    assert "AdamW" not in found


def test_list_names_what_is_not_a_kind(shell):
    assert "Newton" in shell("list", "newton").out


def test_check_replays(shell, own):
    name = own()
    shell("solve", name, "-o", "runs/a")
    said = shell("check", "runs/a", "--replay", "--with", name)
    assert said.code == 0, said.err + said.out
    assert "replay of" in said.out
    assert "with JAX" in said.out


def test_certify_two_classifiers_paired(shell, labels):
    said = shell("certify", "predictions", labels)
    assert said.code == 0, said.err
    assert "mine minus that of theirs" in said.out
    assert "all 3 hold with 99 % confidence" in said.out
    d = shell("certify", "predictions", labels, "--json").json
    assert float(d["certificate"]["upper"]) < 0


def test_certify_against_another_file(shell, labels, tmp_path):
    rows = [r.split(",") for r in (tmp_path / labels).read_text().split()]
    (tmp_path / "a.csv").write_text("\n".join(f"{r[0]},{r[1]}" for r in rows))
    (tmp_path / "b.csv").write_text("\n".join(r[2] for r in rows))
    (tmp_path / "c.csv").write_text("\n".join(f"{r[0]};{r[2]}" for r in rows))
    wanted = shell("certify", "predictions", labels, "--json").json["certificate"]["upper"]
    for other in ("b.csv", "c.csv"):
        d = shell("certify", "predictions", "a.csv", "--against", other, "--json").json
        assert d["certificate"]["upper"] == wanted


@pytest.mark.parametrize("form", ["npz", "npy", "bare csv", "text"])
def test_certify_takes_what_people_have(shell, tmp_path, form):
    y = np.arange(200) % 4
    said = np.where(np.arange(200) % 20 == 0, (y + 1) % 4, y)
    more = []
    if form == "npz":
        np.savez(tmp_path / "f.npz", label=y, net=said)
        file = "f.npz"
    elif form == "npy":
        np.save(tmp_path / "f.npy", np.stack([y, said], 1))
        file, more = "f.npy", ["--label", "0"]
    elif form == "bare csv":
        np.savetxt(tmp_path / "f.csv", np.stack([y, said], 1), fmt="%d", delimiter=",")
        file, more = "f.csv", ["--label", "0"]
    else:
        names = np.array(["cat", "dog", "eel", "fox"])
        lines = ["truth\tnet", *(f"{a}\t{b}" for a, b in zip(names[y], names[said], strict=True))]
        (tmp_path / "f.tsv").write_text("\n".join(lines))
        file = "f.tsv"
    d = shell("certify", "predictions", file, *more, "--json").json
    assert float(d["certificate"]["lower"]) < 0.05 < float(d["certificate"]["upper"])
    assert d["rows"] == 200


@pytest.mark.parametrize("form", ["npy", "npz", "txt", "csv", "stdin"])
def test_certify_the_mean_of_any_file_of_numbers(shell, tmp_path, monkeypatch, form):
    x = np.random.default_rng(0).uniform(0, 1, 500)
    more, file = [], f"x.{form}"
    if form == "npy":
        np.save(tmp_path / file, x)
    elif form == "npz":
        np.savez(tmp_path / file, a=x, b=-x)
        more = ["--column", "a"]
    elif form == "txt":
        np.savetxt(tmp_path / file, x)
    elif form == "csv":
        (tmp_path / file).write_text("return,note\n" + "\n".join(f"{v!r},fine" for v in x.tolist()))
        more = ["--column", "return"]
    else:
        (tmp_path / "x").write_text("\n".join(map(repr, x.tolist())))
        monkeypatch.setattr(sys, "stdin", io.StringIO((tmp_path / "x").read_text()))
        file = "-"
    said = shell("certify", "mean", file, "--range", "0", "1", *more, "--json")
    assert said.code == 0, said.err
    c = said.json["certificate"]
    assert float(c["lower"]) < x.mean() < float(c["upper"])
    assert shell("certify", "mean", "none.txt", "--range", "0", "1").code == 4


def test_the_level_is_what_was_asked(shell, labels):
    d = shell("certify", "predictions", labels, "--column", "mine", "--level", ".9", "--json").json
    assert d["certificate"]["level"] == 0.9
    wide = shell("certify", "predictions", labels, "--gap", "0.001")
    assert wide.code == 3
    assert "not met" in wide.out


def test_doctor_tests(shell, x64):
    said = shell("doctor", "--test")
    assert said.code == 0, said.out
    assert "✓ double-integrator" in said.out
    assert "extras" in said.out


def test_doctor_finds_a_fault(shell, x64, monkeypatch):
    monkeypatch.setattr("infsup.core.check._inside", lambda *a: False)
    said = shell("doctor", "--test")
    assert said.code == 1
    assert "✗" in said.out


def test_bench_runs_the_scripts_of_a_clone(shell, tmp_path):
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "good.py").write_text("if __name__ == '__main__':\n    print('12 ms')\n")
    (folder / "bad.py").write_text("if __name__ == '__main__':\n    raise SystemExit(3)\n")
    (folder / "harness.py").write_text("x = 1\n")
    assert shell("bench", "--list").out.split() == ["bad", "good"]
    said = shell("bench", "good")
    assert said.code == 0
    assert "12 ms" in said.out
    assert shell("bench").code == 1
    d = shell("bench", "--json").json
    assert d["benchmarks"] == {"bad": 3, "good": 0}
    assert "good" in shell("bench", "god").err


def test_help_of_every_command_says_what_it_does(shell):
    for typed in ([], ["list"], ["solve"], ["check"], ["certify"], ["certify", "mean"], ["bench"]):
        said = shell(*typed, "--help")
        assert said.code == 0
        assert "Usage: infsup" in said.out
        assert "\\b" not in said.out
    assert "  infsup solve hjb-lq-100 -s lam=20\n" in shell("solve", "--help").out
    assert "executed" in shell("solve", "--help").out
    assert "130" in shell("--help").out
    assert shell("--version").out.strip() == f"infsup {isp.__version__}"
    assert shell().code == 0
