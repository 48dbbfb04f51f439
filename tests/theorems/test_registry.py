"""The list of theorems: complete, stated in MathML's reach, sourced, and read without JAX."""

import dataclasses
import json
import math
import os
import pathlib
import re
import subprocess
import sys
from fractions import Fraction

import math_core
import numpy as np
import pytest

import infsup
from infsup.core.errors import UsageError
from infsup.core.figure import Curve, Figure
from infsup.theorems import registry
from infsup.theorems.registry import Compared, Finding, figure_as_dict, find, judge, theorems

ROOT = pathlib.Path(__file__).parents[2]
OURS = [
    *("A01", "A02", "A03", "A04", "A06", "A09", "A10", "A12", "A14", "A26", "A32"),
    *("B04", "B05", "B08", "B09", "B13", "B19", "B20", "B21", "B22", "B23", "B36"),
    *("C13", "C20", "D04", "D05", "D07"),
    *("F07", "F13", "F14", "F15", "F17", "F20", "F22", "F27"),
]
LETTERS = {
    "A": "approximation",
    "B": "optimization",
    "C": "generalization",
    "D": "control",
    "F": "generative",
}
KNOWN = {i: t for i, t in theorems().items() if t.check.__module__.startswith("infsup.")}


def test_the_first_thirty_five_are_there():
    assert sorted(OURS) == list(KNOWN)
    assert len(OURS) == 35
    for i, t in KNOWN.items():
        assert t.id == i
        assert t.pillar == LETTERS[i[0]]
        assert t.kind in registry.KINDS
    assert len({t.title for t in KNOWN.values()}) == 35


@pytest.mark.parametrize("id", OURS)
def test_every_statement_becomes_mathml(id):
    convert = math_core.LatexToMathML(fancy_error=False)
    statement = KNOWN[id].statement
    found = convert.convert_with_local_state(statement, displaystyle=True)
    assert found.startswith("<math")
    assert "merror" not in found
    assert "$" not in statement


@pytest.mark.parametrize("id", OURS)
def test_every_theorem_says_why_and_whence(id):
    t = KNOWN[id]
    keys = set(re.findall(r"@\w+\{([^,]+),", (ROOT / "docs/references.bib").read_text("utf-8")))
    cited = re.findall(r"\[([a-z]+\d{4}[a-z]+)\]", t.source)
    assert set(cited) <= keys, set(cited) - keys
    assert cited or "derived here" in t.source.lower()
    assert t.hypotheses
    assert "Derivation" in t.derivation
    assert "Broken:" in t.derivation
    assert not t.title.endswith(".")
    file = pathlib.Path(infsup.__file__).parents[1] / t.file
    lines = file.read_text("utf-8").splitlines()
    assert lines[t.line - 1].startswith("@theorem(")
    assert t.code.startswith("@theorem(")
    json.dumps(t.as_dict(), allow_nan=False)


def test_the_bibliography_holds_each_key_once():
    keys = re.findall(r"@\w+\{([^,]+),", (ROOT / "docs/references.bib").read_text("utf-8"))
    assert len(keys) == len(set(keys))


def test_the_list_needs_no_jax():
    code = (
        "from infsup.theorems.registry import theorems; import sys;"
        "[t.as_dict() for t in theorems().values()];"
        "print(*[m for m in ('jax', 'scipy', 'equinox', 'flint') if m in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": str(pathlib.Path(infsup.__file__).parents[1])}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert run.stdout.split() == [], run.stdout + run.stderr


# -- patterns ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "ids"),
    [
        (["B05"], ["B05"]),
        (["b05", "A03"], ["A03", "B05"]),
        (["C*"], ["C13", "C20"]),
        (["?20"], ["B20", "C20", "F20"]),
        (["d"], ["D04", "D05", "D07"]),
        (["control"], ["D04", "D05", "D07"]),
        (["sinkhorn"], ["F27"]),
        (["B05", "B0*"], ["B04", "B05", "B08", "B09"]),
        ([], OURS),
    ],
)
def test_patterns(patterns, ids):
    assert [t.id for t in find(patterns, KNOWN)] == sorted(ids)


def test_a_pattern_without_a_match_says_the_nearest():
    with pytest.raises(UsageError, match="no theorem matches `B50`") as e:
        find(["B50"], KNOWN)
    assert e.value.remedy in KNOWN
    with pytest.raises(UsageError, match="`contrl`") as e:
        find(["contrl"], KNOWN)
    assert e.value.remedy == "control"
    with pytest.raises(UsageError):
        find([""], KNOWN)


# -- comparisons -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("c", "holds"),
    [
        (Compared("", 1.0, "<=", 1.0), True),
        (Compared("", math.nextafter(1.0, 2), "<=", 1.0), False),
        (Compared("", math.nextafter(1.0, 2), "<=", 1.0, 1e-15), True),
        (Compared("", 1.0, ">=", 2.0), False),
        (Compared("", 1.0, "==", 1.0 + 1e-9, 1e-8), True),
        (Compared("", 1.0, "==", 1.0 + 1e-9), False),
        (Compared("", Fraction(1, 3), "==", Fraction(1, 3)), True),
        (Compared("", Fraction(1, 3), "==", 1 / 3), False),
        (Compared("", 0.1, "<=", Fraction(1, 10)), False),
        (Compared("", math.nan, "<=", math.inf), False),
        (Compared("", 1.0, "<=", math.nan), False),
        (Compared("", math.inf, "<=", 1.0, 1.0), False),
        (Compared("", -math.inf, "<=", 1.0), True),
        (Compared("", math.inf, "==", math.inf), True),
        (Compared("", Fraction(3), "<=", 10**400), True),
    ],
)
def test_comparisons_are_exact(c, holds):
    assert c.holds is holds
    json.dumps(c.as_dict(), allow_nan=False)
    assert c.as_dict()["holds"] is holds


def test_verdicts():
    t = KNOWN["B05"]
    good, bad = Compared("", 1, "<=", 2), Compared("", 3, "<=", 2)
    assert judge(t, Finding((good,))) == "certified"
    assert judge(t, Finding((good, bad))) == "refuted"
    assert judge(t, Finding((good, bad), refused="too few")) == "refused"
    assert judge(dataclasses.replace(t, kind="estimate"), Finding((good,))) == "consistent"
    with pytest.raises(UsageError, match="compared nothing"):
        judge(t, Finding(()))


def test_an_id_is_given_once(monkeypatch):
    monkeypatch.setattr(registry, "_known", dict(registry._known))
    fields = {"statement": "x", "hypotheses": (), "source": "", "kind": "proved"}

    def mine(size, key, broken=False):
        return Finding(())

    assert registry.theorem("Z99", "t", **fields)(mine) is mine
    with pytest.raises(UsageError, match="B05 is taken"):
        registry.theorem("B05", "t", **fields)(mine)
    with pytest.raises(UsageError, match="kind"):
        registry.theorem("Z98", "t", **{**fields, "kind": "sure"})


def test_figures_become_plain_data():
    curve = Curve(np.arange(3), np.ones(3), "c", "accent", "band", np.full(3, 2.0))
    found = figure_as_dict(Figure((curve,), "x", "y", "see", True, images=np.zeros((1, 1, 2, 2))))
    assert found["curves"][0]["top"] == [2.0, 2.0, 2.0]
    assert found["images"] == [[[[0.0, 0.0], [0.0, 0.0]]]]
    json.dumps(found, allow_nan=False)
    assert figure_as_dict(None) is None
