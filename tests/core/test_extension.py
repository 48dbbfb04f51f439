"""A problem, two methods and a bound from outside the package, through everything."""

import os
import pathlib
import subprocess
import sys
from fractions import Fraction
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import infsup as isp
from infsup.core.errors import HypothesisError
from infsup.core.registry import name_of

SOURCE = pathlib.Path(isp.__file__).parents[1]
F32 = np.dtype("float32")


class SquareRoot(isp.Problem):
    """The positive root of x^2 = c."""

    c: float
    name_: str = eqx.field(static=True, default="root")

    @property
    def asks(self):
        return isp.Point(jax.ShapeDtypeStruct((), F32))

    def trivial(self):
        return {"one": jnp.ones((), F32)}

    def hypotheses(self):
        return (isp.Hypothesis("c > 0", "checked" if self.c > 0 else "violated"),)


class Heron(isp.IterativeMethod):
    """x <- (x + c/x) / 2."""

    problems: ClassVar = (SquareRoot,)
    every: ClassVar[int] = 2
    merit: ClassVar[str] = "residual"
    steps: int = 20

    def init(self, problem, start, key):
        return jnp.asarray(2.0 if start is None else start.answer, F32)

    def step(self, problem, x, key):
        return 0.5 * (x + problem.c / x), {"residual": jnp.abs(x * x - problem.c)}

    def done(self, problem, x):
        return jnp.abs(x * x - problem.c) < 1e-6 * problem.c

    def finish(self, problem, x, key):
        return isp.Outcome(x, {"slope": 2 * x})


class Table(isp.DirectMethod):
    """The nearest of a few numbers."""

    numbers: Any = (1.0, 1.5, 2.0)

    def find(self, problem, start, key):
        return isp.Outcome(min(self.numbers, key=lambda x: abs(x * x - problem.c)))


class Sign(isp.Bound):
    """The distance to the root, by the mean value theorem, in rationals."""

    problems: ClassVar = (SquareRoot,)

    def certify(self, problem, outcome, key, delta):
        x, c = float(outcome.answer), float(problem.c)
        proof = {"x": x, "c": c}
        lower, upper = ends(proof) if c > 0 else (0.0, np.inf)
        return isp.Certificate(
            "error",
            f"{x:g} as the root of {c:g}",
            lower,
            upper,
            "proved",
            name_of(Sign),
            sense="min",
            goal=1e-3,
            range=(0.0, np.inf),
            hypotheses=problem.hypotheses(),
            proof=proof,
            source="mean value theorem",
        )


def ends(proof):
    """|x^2 - c| = |x - r| (x + r), and r lies between 0 and 1 + c."""
    x, c = Fraction(proof["x"]), Fraction(proof["c"])
    gap = abs(x * x - c)
    return gap / (abs(x) + 1 + c), gap / max(abs(x), Fraction(1, 10**9))


@isp.checker(Sign)
def check_sign(problem, answer, proof):
    x, c = Fraction(float(answer)), Fraction(float(problem["c"]))
    return ends({"x": x, "c": c})


@isp.choose.register
def choose_root(problem: SquareRoot):
    return isp.Choice(Heron(), (Sign(),), "Heron's rule converges from any start above 0")


def test_the_default_is_found_and_says_why():
    choice = isp.choose(SquareRoot(3.0))
    assert isinstance(choice.method, Heron)
    s = isp.solve(SquareRoot(3.0))
    assert "Heron" in s.why
    assert s.stopped_by == "done"
    assert (s.certificate.verdict, s.certificate.kind, s.certificate.met) == (
        "certified",
        "proved",
        "yes",
    )
    assert s.certificate.lower <= abs(float(s.answer) - 3**0.5) <= s.certificate.upper
    assert s.comparators["one"].met == "no"


def test_through_a_chain_a_folder_and_a_check(tmp_path):
    method = isp.Then(Table(), Heron(steps=8))
    s = isp.solve(SquareRoot(2.0), method, key=4)
    s.save(tmp_path / "s")
    t = isp.load(tmp_path / "s")
    assert isp.fingerprint((t.problem, t.method, t.answer)) == isp.fingerprint(
        (s.problem, s.method, s.answer)
    )
    assert t.certificates == s.certificates
    assert isp.check(tmp_path / "s", replay=True).stands
    assert isp.fingerprint(isp.solve(t.problem, t.method, key=4).answer) == isp.fingerprint(
        s.answer
    )


def test_checked_in_a_process_that_has_only_the_checker(tmp_path):
    isp.solve(SquareRoot(2.0)).save(tmp_path / "s")
    code = f"""
import sys, infsup
from fractions import Fraction
@infsup.checker({name_of(Sign)!r})
def again(problem, answer, proof):
    x, c = Fraction(float(answer)), Fraction(float(problem["c"]))
    gap = abs(x * x - c)
    return gap / (x + 1 + c), gap / x
checked = infsup.check({str(tmp_path / "s")!r})
assert checked.stands, checked.findings
assert "jax" not in sys.modules
"""
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, timeout=120)


def test_any_answer_is_certified_and_hypotheses_are_heeded():
    c = isp.certify(SquareRoot(2.0), 1.5)
    assert c.lower <= 1.5 - 2**0.5 <= c.upper
    assert isp.certify(SquareRoot(-1.0), 1.5).verdict == "inapplicable"
    with pytest.raises(HypothesisError, match="not for"):
        isp.solve(SquareRoot(2.0), bounds=Other())


class Other(isp.Bound):
    """For another class of problem."""

    class Else(isp.Problem):
        @property
        def asks(self):
            return isp.Point(0)

    problems: ClassVar = (Else,)

    def certify(self, problem, outcome, key, delta):
        raise AssertionError


def test_a_wrong_bound_is_found_by_its_coverage(monkeypatch):
    def covered():
        grid = [(c, x) for c in (0.3, 1.0, 2.0, 7.5) for x in (0.1, 0.9, 1.4, 2.7, 9.0)]
        certificates = [
            (isp.certify(SquareRoot(c), x), abs(np.float32(x) - c**0.5)) for c, x in grid
        ]
        return all(k.lower - 1e-12 <= e <= k.upper + 1e-12 for k, e in certificates)

    assert covered()
    true = ends
    monkeypatch.setitem(globals(), "ends", lambda p: (0, true(p)[1] / 2))  # a lost factor
    assert not covered()
