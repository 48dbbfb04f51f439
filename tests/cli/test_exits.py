"""Every exit code, by a command that earns it."""

import json
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from infsup.cli import exits
from infsup.core import errors

SOURCE = pathlib.Path(__file__).parents[2] / "src"


def test_solving_certifies_prints_and_saves(shell, own, tmp_path):
    said = shell("solve", own(), "--steps", "50", "-o", "runs/a")
    assert said.code == 0, said.err
    assert "✓ certified" in said.out
    assert "the origin" in said.out
    assert "saved" in said.out
    assert said.out.splitlines()[-1].endswith("infsup check runs/a")
    assert (tmp_path / "runs/a/solution.json").is_file()


def test_the_default_folder_is_named_after_problem_and_key(shell, own, tmp_path):
    name = own()
    assert shell("solve", name, "--key", 3).code == 0
    assert (tmp_path / "runs" / f"{name[:-3]}-3" / "solution.json").is_file()


def test_an_older_solution_of_the_name_is_replaced(shell, own):
    name = own()
    assert shell("solve", name, "-o", "runs/a").code == 0
    assert shell("solve", name, "-o", "runs/a", "-s", "rate=0.2").code == 0
    assert shell("check", "runs/a").code == 0


def test_refuted_is_1(shell, own):
    said = shell("solve", own(lower="-2.0", upper="-1.0"), "--no-save")
    assert said.code == 1
    assert "✗ refuted" in said.out


def test_a_rejecting_check_is_1(shell, own):
    name = own(lower="0.2 * d", upper="0.9 * d")
    assert shell("solve", name, "-o", "runs/a").code == 0
    said = shell("check", "runs/a")
    assert said.code == 1
    assert "✗ upper end" in said.out
    assert "[exit 1]" in said.out


def test_usage_is_2(shell):
    assert shell("solve", "hjb-lq-100", "--level", "2").code == 2
    assert shell("slove").code == 2


@pytest.mark.parametrize("more", ["verdict='refused', reason='too few paths'"])
def test_refused_is_3_and_prints_no_number(shell, own, more):
    said = shell("solve", own(more=more), "--no-save")
    assert said.code == 3
    assert "⊘ refused" in said.out
    assert "no number" in said.out.lower()


def test_inapplicable_is_3(shell, own):
    more = "hypotheses=(isp.Hypothesis('it is round', 'violated', 'it is square'),)"
    said = shell("solve", own(more=more), "--no-save")
    assert said.code == 3
    assert "it is square" in said.out


def test_wider_than_the_gap_is_3(shell, own):
    name = own()
    assert shell("solve", name, "--no-save", "--gap", "10").code == 0
    said = shell("solve", name, "--no-save", "--gap", "1e-30")
    assert said.code == 3
    assert "not met" in said.out


def test_what_was_not_rechecked_is_3(shell, own, process, tmp_path):
    assert shell("solve", own(), "-o", "runs/a").code == 0
    said = process("check", "runs/a")  # there, the user's checker is not known
    assert said.code == 3
    assert "not re-checked" in said.out
    assert "does not count as agreeing" in said.out


def test_a_corrupt_file_is_4(shell, own, tmp_path):
    assert shell("solve", own(), "-o", "runs/a").code == 0
    stored = next((tmp_path / "runs/a").glob("arrays*"))
    data = bytearray(stored.read_bytes())
    data[-1] ^= 1
    stored.write_bytes(data)
    said = shell("check", "runs/a")
    assert said.code == 4
    assert "✗" in said.reason


def test_nothing_matched_is_5(shell):
    assert shell("list", "no-such-thing").code == 5
    assert shell("bench").code == 5


def test_a_fault_of_infsup_is_101(shell, monkeypatch):
    monkeypatch.setattr("infsup.cli.listing.entries", lambda kind: 1 / 0)
    said = shell("list", "methods")
    assert said.code == 101
    assert said.reason.startswith("✗ ZeroDivisionError")
    assert "test_exits.py" in said.err or "listing.py" in said.err
    assert "Traceback" not in said.err
    monkeypatch.setenv("INFSUP_TRACEBACK", "full")
    assert "Traceback" in shell("list", "methods").err


def test_check_of_several_gives_the_worst(shell, own):
    good, bad = own(), own(lower="0.2 * d", upper="0.9 * d")
    shell("solve", good, "-o", "runs/good")
    shell("solve", bad, "-o", "runs/bad")
    assert shell("check", "runs/good", "runs/good").code == 0
    assert shell("check", "runs/good", "runs/none").code == 4
    assert shell("check", "runs/none", "runs/good", "runs/bad").code == 1


def test_every_error_has_a_code():
    found = {
        errors.UsageError("a"): 2,
        errors.RowsReused("a"): 2,
        errors.DeltaExhausted("a"): 2,
        errors.MissingExtra("a"): 2,
        errors.HypothesisError("a"): 3,
        errors.PrecisionError("a"): 3,
        errors.NotCertified("a"): 3,
        errors.FileRejected("a"): 4,
        errors.EmptyBracket("a"): 1,
        OSError(13, "Permission denied", "x"): 4,
        KeyboardInterrupt(): 130,
        RuntimeError("a"): 101,
    }
    for error, code in found.items():
        assert exits.in_words(error).code == code


SLOW = """
import time
import numpy as np
import jax.numpy as jnp
import infsup as isp
import importlib
base = importlib.import_module("base")
problem = base.problem

class Slow(isp.IterativeMethod):
    problems = (type(problem),)
    steps: int = 100_000
    every = 1
    host = True

    def init(self, problem, start, key):
        return {"w": np.zeros(2, np.float32)}

    def step(self, problem, state, key):
        time.sleep(0.005)
        return {"w": state["w"] + 0.001 * (1 - state["w"])}, {"value": float(state["w"][0])}

    def finish(self, problem, state, key):
        return isp.Outcome(jnp.asarray(state["w"]))

method = Slow()
bounds = base.bounds
print("ready", flush=True)
"""


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_is_130_and_terminated_143_with_the_best_so_far_saved(
    own, tmp_path, sign, code
):
    own(stem="base")
    own(text=SLOW, stem="slow")
    run = subprocess.Popen(
        [
            *(sys.executable, "-c", "import sys; from infsup.cli import main; sys.exit(main())"),
            *("solve", "slow.py", "--json", "-o", "runs/slow", "--log", "log.jsonl"),
        ],
        env={"PYTHONPATH": str(SOURCE), "PATH": "", "JAX_PLATFORMS": "cpu"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = tmp_path / "log.jsonl"
    until = time.monotonic() + 60
    while not (log.exists() and log.read_text()) and time.monotonic() < until:
        time.sleep(0.1)
    run.send_signal(sign)
    out, err = run.communicate(timeout=60)
    assert run.returncode == code, err
    document = json.loads(out)
    assert document["status"]["exit"] == code
    assert document["status"]["verdict"] == "certified"
    assert (tmp_path / "runs/slow/solution.json").is_file()
