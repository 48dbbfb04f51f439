"""A run that is killed at any moment ends in the same bytes after it is resumed."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings

import jax.numpy as jnp
import numpy as np
import pytest
from toy import Bowl, Centre, Distance, Noise, NoisyDescent, PythonDescent, bowl

import infsup as isp
from infsup.core import storage
from infsup.core.errors import FileRejected

CHAIN = isp.Then(NoisyDescent(steps=4000), NoisyDescent(rate=0.01, steps=6000))

CHILD = """
import sys
sys.path.insert(0, {here!r})
from test_resume import *
import os, time
def slow(event):
    time.sleep(0.02)
    print(event.stage, event.step, flush=True)
path = {path!r}
keep, resume = isp.Checkpoint(path, seconds=0.0), path if os.path.exists(path) else None
s = isp.solve(bowl(), CHAIN, bounds=(Distance(),), callbacks=[slow], checkpoint=keep, resume=resume)
print("answer", isp.fingerprint((s.answer, [dict(x.history) for x in s.stages])), flush=True)
"""


def whole():
    s = isp.solve(bowl(), CHAIN, bounds=(Distance(),))
    return isp.fingerprint((s.answer, [dict(x.history) for x in s.stages]))


def run_and_kill(path, after):
    """Starts the child, kills it `after` seconds from its first step; its fingerprint or None."""
    code = CHILD.format(here=os.path.dirname(__file__), path=str(path))
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    child.stdout.readline()
    if after is not None:
        time.sleep(after)
        child.send_signal(signal.SIGKILL)
    out, err = child.communicate(timeout=120)
    assert child.returncode in (0, -signal.SIGKILL), err
    said = [line for line in out.splitlines() if line.startswith("answer")]
    return said[0].split()[1] if said else None


def kills(path, seed, count):
    rng = random.Random(seed)
    for _ in range(count):
        if (done := run_and_kill(path, rng.uniform(0.0, 0.25))) is not None:
            return done
    return run_and_kill(path, None)


def test_three_kills(tmp_path):
    assert kills(tmp_path / "run", seed=1, count=3) == whole()


@pytest.mark.slow
def test_hundred_kills(tmp_path):
    want, killed = whole(), 0
    seed = 100
    while killed < 100:
        path = tmp_path / f"run{seed}"
        assert kills(path, seed, count=5) == want
        killed += 5
        seed += 1


@pytest.mark.parametrize("at", [0, 1, 40, 3999, 4000, 4001, 9000, 10000])
def test_resume_from_any_step(tmp_path, at):
    class Killed(Exception):
        pass

    def kill(event):
        if event.stage * 4000 + event.step >= at and event.kind != "end":
            raise Killed

    path = tmp_path / "run"
    keep = isp.Checkpoint(path, seconds=0.0)
    with contextlib.suppress(Killed):
        isp.solve(bowl(), CHAIN, bounds=(Distance(),), callbacks=[kill], checkpoint=keep)
    resume = path if path.exists() else None
    s = isp.solve(bowl(), CHAIN, bounds=(Distance(),), resume=resume)
    assert isp.fingerprint((s.answer, [dict(x.history) for x in s.stages])) == whole()
    assert [x.steps for x in s.stages] == [4000, 6000]


@pytest.mark.parametrize("call", range(1, 60))
def test_a_failure_inside_a_save_leaves_a_checkpoint_that_resumes(tmp_path, call, monkeypatch):
    """The n-th system call of the second save fails; the first checkpoint must still serve."""
    path, method = tmp_path / "run", NoisyDescent(steps=400)
    count = {"n": 0, "saves": 0}

    class Counting:
        def __getattr__(self, name):
            f = getattr(os, name)
            if name not in ("write", "fsync", "rename", "mkdir", "open", "replace", "rmdir"):
                return f

            def call_it(*a, **k):
                if count["saves"] >= 1:
                    count["n"] += 1
                    if count["n"] == call:
                        raise OSError(28, "No space left on device")
                return f(*a, **k)

            return call_it

    def after(event):
        count["saves"] += event.kind == "chunk"

    monkeypatch.setattr(storage, "os", Counting())
    keep = isp.Checkpoint(path, seconds=0.0)
    failed = None
    try:
        isp.solve(bowl(), method, bounds=(Distance(),), checkpoint=keep, callbacks=[after])
    except OSError as e:
        failed = e
    monkeypatch.undo()
    if failed is None:
        return  # the call that was to fail is never made: the battery is at its end
    resume = path if path.exists() else None
    s = isp.solve(bowl(), method, bounds=(Distance(),), resume=resume)
    assert isp.fingerprint(s.answer) == isp.fingerprint(
        isp.solve(bowl(), method, bounds=(Distance(),)).answer
    )


def test_resume_after_ctrl_c_and_with_a_ledger(tmp_path):
    path = tmp_path / "run"
    method = NoisyDescent(steps=500)
    first = isp.solve(
        bowl(),
        method,
        bounds=(Noise(),),
        stop=isp.Reach(-1.0) | isp.Steps(300),
        checkpoint=path,
        delta=0.08,
    )
    s = isp.solve(bowl(), method, bounds=(Noise(),), stop=isp.Reach(-1.0), resume=path, delta=0.08)
    looks = [w for _, w in s.ledger.entries if w.startswith("look")]
    assert looks == [f"look {i + 1}" for i in range(7)]
    assert sum(d for d, _ in s.ledger.entries) <= 0.08
    assert isp.fingerprint(s.answer) == isp.fingerprint(
        isp.solve(bowl(), method, bounds=(Distance(),)).answer
    )
    assert first.steps == 300
    assert s.resumed.startswith("resumed from")


def test_host_and_direct_stages_resume(tmp_path):
    chain = isp.Then(Centre(), PythonDescent(steps=40))
    path = tmp_path / "run"
    isp.solve(bowl(), chain, bounds=(Distance(),), stop=isp.Steps(13), checkpoint=path)
    s = isp.solve(bowl(), chain, bounds=(Distance(),), resume=path)
    assert isp.fingerprint(s.answer) == isp.fingerprint(
        isp.solve(bowl(), chain, bounds=(Distance(),)).answer
    )


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    path = tmp_path / "run"
    isp.solve(bowl(), NoisyDescent(), bounds=(Distance(),), checkpoint=path)
    for problem, method, key in (
        (bowl(4), NoisyDescent(), 0),
        (Bowl(jnp.zeros(3, jnp.float32)), NoisyDescent(), 0),
        (bowl(), NoisyDescent(rate=0.2), 0),
        (bowl(), NoisyDescent(), 1),
    ):
        with pytest.raises(FileRejected, match="another problem, method, start or key"):
            isp.solve(problem, method, bounds=(Distance(),), key=key, resume=path)
    with pytest.raises(FileRejected):
        isp.solve(bowl(), NoisyDescent(), bounds=(Distance(),), resume=tmp_path / "nothing")
    with pytest.raises(FileRejected, match="is no solution but"):
        isp.load(path)


def test_another_machine_says_not_bit_identical(tmp_path, monkeypatch):
    from infsup.core import checkpoint

    path = tmp_path / "run"
    isp.solve(bowl(), NoisyDescent(), bounds=(Distance(),), stop=isp.Steps(30), checkpoint=path)
    here = checkpoint.surroundings()
    monkeypatch.setattr(checkpoint, "surroundings", lambda: {**here, "devices": 64})
    with pytest.warns(UserWarning, match="not bit-identical"):
        s = isp.solve(bowl(), NoisyDescent(), bounds=(Distance(),), resume=path)
    assert "not bit-identical (devices differ)" in s.resumed


def test_a_damaged_checkpoint_is_one_clean_error(tmp_path):
    path = tmp_path / "run"
    isp.solve(bowl(), NoisyDescent(), bounds=(Distance(),), checkpoint=path)
    for name in ("solution.json", "arrays.safetensors", "checksums"):
        copy = tmp_path / f"copy-{name}"
        shutil.copytree(path, copy)
        body = bytearray((copy / name).read_bytes())
        body[len(body) // 2] ^= 1
        (copy / name).write_bytes(bytes(body))
        with pytest.raises(FileRejected):
            isp.solve(bowl(), NoisyDescent(), bounds=(Distance(),), resume=copy)


def test_checkpoints_are_sparse_in_time(tmp_path):
    path = tmp_path / "run"
    before = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        isp.solve(bowl(), NoisyDescent(), bounds=(Distance(),), checkpoint=path)
    assert path.exists()
    assert time.monotonic() - before < 30
    assert np.isfinite(isp.solve(bowl(), NoisyDescent(), bounds=(Distance(),), resume=path).steps)


def test_a_run_whose_code_was_edited_is_not_resumed(tmp_path):
    def edited(by):
        class Own(NoisyDescent):
            def step(self, problem, state, key):
                state, seen = NoisyDescent.step(self, problem, state, key)
                return state._replace(w=state.w + by), seen

        return Own(steps=20)

    path = tmp_path / "run"
    isp.solve(bowl(), edited(0.0), bounds=(Distance(),), checkpoint=path)
    isp.solve(bowl(), edited(0.0), bounds=(Distance(),), resume=path)
    with pytest.raises(FileRejected, match="another problem, method"):
        isp.solve(bowl(), edited(1.0), bounds=(Distance(),), resume=path)
