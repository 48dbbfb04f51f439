"""--json: one object on stdout whatever happens, and its schema."""

from fractions import Fraction

import pytest


def fields(document, *names):
    assert set(names) <= set(document), set(names) - set(document)


def test_solve(shell, own):
    name = own()
    said = shell("solve", name, "--json", "-s", "scale=2.5", "-s", "rate=0.2", "--key", 7)
    d = said.json
    fields(d, "schema", "command", "problem", "method", "key", "versions", "status", "certificate")
    fields(d, "certificates", "comparators", "cost", "path")
    assert (d["schema"], d["command"]) == (1, "solve")
    assert d["problem"]["id"] == name[:-3]
    assert d["problem"]["params"] == {"scale": 2.5}
    assert d["method"]["settings"] == {"rate": 0.2}
    assert d["key"] == [0, 7]
    fields(d["versions"], "infsup", "python", "jax", "numpy")
    assert d["status"] == {"verdict": "certified", "stopped_by": "steps", "exit": 0}
    c = d["certificate"]
    fields(c, "quantity", "of", "lower", "upper", "kind", "level", "dtype", "hypotheses")
    fields(c, "budget", "evidence_file", "verdict", "sense", "bound")
    assert d["certificates"][0] == c
    assert isinstance(c["lower"], str)
    assert 0 < float(c["lower"]) < float(c["upper"])
    assert d["comparators"][0]["name"] == "the origin"
    assert d["cost"]["steps"] == 20
    fields(d["cost"], "seconds", "compile_seconds", "evaluations", "peak_bytes")
    assert d["path"] == f"runs/{name[:-3]}-scale=2.5-7"


@pytest.mark.parametrize(
    ("lower", "upper", "texts"),
    [
        ("__import__('fractions').Fraction(1, 3)", "1.0", ("1/3", "1.0")),
        ("0.1", "np.inf", ("0.1", "inf")),
        ("0.1", "np.array(0.25)", ("0.1", "0.25")),
    ],
)
def test_ends_are_texts_that_read_back(shell, own, lower, upper, texts):
    c = shell("solve", own(lower=lower, upper=upper), "--json", "--no-save").json["certificate"]
    assert (c["lower"], c["upper"]) == texts
    Fraction(c["lower"])


def test_hypotheses_have_name_state_evidence(shell, own):
    name = own(more="hypotheses=(isp.Hypothesis('it is round', 'assumed', 'by eye'),)")
    d = shell("solve", name, "--json", "--no-save").json
    wanted = {"name": "it is round", "state": "assumed", "evidence": "by eye"}
    assert d["certificate"]["hypotheses"] == [wanted]
    assert d["certificate"]["verdict"] == "conditional"


def test_a_refusal_is_an_object_with_its_exit(shell, own):
    said = shell("solve", own(more="verdict='refused', reason='why'"), "--json", "--no-save")
    d = said.json
    assert said.code == d["status"]["exit"] == 3
    assert d["status"]["verdict"] == "refused"
    assert (d["certificate"]["lower"], d["certificate"]["upper"]) == ("-inf", "inf")


@pytest.mark.parametrize(
    "typed", ["solve digts", "slove", "check runs/none", "list zzzz", "solve --stpes 3 x"]
)
def test_an_error_is_an_object_too(shell, typed):
    said = shell(*typed.split(), "--json")
    status = said.json["status"]
    assert said.code == status["exit"]
    assert status["verdict"] == "error"
    assert status["what"]
    assert said.err


def test_the_flag_may_stand_before_the_command(shell):
    assert shell("--json", "list", "problems").json["command"] == "list"


def test_what_a_users_file_prints_does_not_reach_stdout(shell, own, tmp_path):
    name = own()
    text = (tmp_path / name).read_text().replace("import infsup", "print('hello')\nimport infsup")
    (tmp_path / name).write_text(text)
    said = shell("solve", name, "--json", "--no-save")
    assert said.json["status"]["exit"] == 0
    assert "hello" in said.err


def test_list(shell):
    d = shell("list", "--json").json
    fields(d, "pillars", "problems", "methods", "bounds", "data", "status")
    for entry in (*d["problems"], *d["methods"], *d["bounds"], *d["data"]):
        fields(entry, "name", "pillar", "text")
    assert {"digits", "hjb-lq-100"} <= {e["name"] for e in d["problems"]}
    one = shell("list", "methods", "newton", "--json").json
    assert [e["name"] for e in one["methods"]] == ["Newton"]
    assert "problems" not in one


def test_every_public_name_has_a_line(shell):
    d = shell("list", "--json").json
    bare = [e["name"] for k in ("methods", "bounds", "data") for e in d[k] if not e["text"]]
    assert not bare


def test_check(shell, own):
    shell("solve", own(), "-o", "runs/a")
    d = shell("check", "runs/a", "--json").json
    assert d["status"] == {"verdict": "stands", "exit": 0}
    fields(d["solutions"][0], "path", "exit", "stands", "replayed", "seconds", "findings")
    d = shell("check", "runs/a", "runs/none", "--json").json
    assert d["status"]["exit"] == 4
    assert len(d["solutions"]) == 2


def test_certify(shell, labels):
    d = shell("certify", "predictions", labels, "--column", "mine", "--json").json
    assert d["command"] == "certify predictions"
    assert d["rows"] == 300
    assert len(d["certificates"]) == 1
    c = d["certificate"]
    assert float(c["lower"]) < 10 / 300 < float(c["upper"])
    assert c["kind"] == "confidence"
    assert c["level"] == 0.99


def test_doctor(shell):
    d = shell("doctor", "--json").json
    fields(d, "versions", "cores", "64_bit", "compile_cache", "extras", "test")
    assert d["test"] is None
