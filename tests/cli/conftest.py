"""The shell in this process: what it prints, and its exit code."""

import json
import pathlib
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

SOURCE = pathlib.Path(__file__).parents[2] / "src"
TOY = pathlib.Path(__file__).parents[1] / "core"


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def reason(self) -> str:
        """The first line for people."""
        return self.err.splitlines()[0]


@pytest.fixture
def shell(capfd, tmp_path, monkeypatch):
    """Runs `infsup ...` in an empty folder, 80 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("INFSUP_TRACEBACK", raising=False)

    def run(*typed: object) -> Said:
        from infsup.cli import main

        capfd.readouterr()
        code = main([str(t) for t in typed])
        out, err = capfd.readouterr()
        return Said(code, out, err)

    return run


@pytest.fixture
def process(tmp_path):
    """Runs `infsup ...` in a process of its own, as a user's shell does."""

    def run(*typed: object, **environment: str) -> Said:
        import os

        clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "PYTHONPATH")}
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from infsup.cli import main; sys.exit(main())"]
            + [str(t) for t in typed],
            env={**clean, "PYTHONPATH": str(SOURCE), "COLUMNS": "80", **environment},
            cwd=tmp_path,
            capture_output=True,
            timeout=120,
        )
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


BOWL = """
import equinox as eqx, jax, jax.numpy as jnp, numpy as np
import infsup as isp

class {name}(isp.Problem):
    '''A point, and how far it is from the centre.'''
    scale: float = 1.0

    @property
    def asks(self):
        return isp.Point(jax.ShapeDtypeStruct((2,), np.dtype("float32")))

    def trivial(self):
        return {{"the origin": jnp.zeros(2, jnp.float32)}}

    @property
    def truth(self):
        return 0.0

class Go{name}(isp.IterativeMethod):
    '''Gradient steps.'''
    problems = ({name},)
    rate: float = 0.1
    steps: int = 20

    def init(self, problem, start, key):
        return jnp.zeros(2, jnp.float32) + 0.0 * problem.scale

    def step(self, problem, w, key):
        return w - self.rate * 2 * (w - 1.0), {{"value": jnp.sum((w - 1.0) ** 2)}}

    def finish(self, problem, w, key):
        return isp.Outcome(w)

class Far{name}(isp.Bound):
    '''The squared distance, by computing it.'''
    problems = ({name},)

    def certify(self, problem, outcome, key, delta):
        d = float(np.sum((np.asarray(outcome.answer, np.float64) - 1.0) ** 2))
        return isp.Certificate(
            "excess value", "the point", {lower}, {upper}, "proved_real", isp_name(type(self)),
            sense="min", range=(0.0, np.inf), {more}
        )

from infsup.core.registry import name_of as isp_name

@isp.checker(Far{name})
def check_far(problem, answer, proof):
    d = float(np.sum((np.asarray(answer, np.float64) - 1.0) ** 2))
    return d, d

problem = {name}()
method = Go{name}()
bounds = (Far{name}(),)
"""
_count = [0]


@pytest.fixture
def own(tmp_path):
    """Writes a problem file of the user's own under a module name that is new to this process."""

    def write(lower="0.99 * d", upper="1.01 * d", more="", text=None, stem=None) -> str:
        _count[0] += 1
        stem = stem or f"mine_{_count[0]}"
        name = stem.title().replace("_", "")
        body = BOWL.format(name=name, lower=lower, upper=upper, more=more) if text is None else text
        (tmp_path / f"{stem}.py").write_text(body)
        return f"{stem}.py"

    return write


@pytest.fixture
def labels(tmp_path):
    """A file of 300 labels and two columns of predictions; `mine` errs in 10 rows."""
    lines = ["label,mine,theirs"]
    for i in range(300):
        y = i % 7
        mine = (y + 1) % 7 if i % 30 == 0 else y
        theirs = (y + 2) % 7 if i % 5 == 0 else y
        lines.append(f"{y},{mine},{theirs}")
    (tmp_path / "p.csv").write_text("\n".join(lines) + "\n")
    return "p.csv"
