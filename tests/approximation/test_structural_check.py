"""The second reader accepts what was built, and no harmful change of it."""

import ast
import itertools
import pathlib
import subprocess
import sys
from fractions import Fraction
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb

import infsup as isp
from infsup.approximation import (
    Approximate,
    PiecewiseLinear,
    SharedCoordinate,
    Square,
    StructuralEnclosure,
    check,
    check_function,
    graph,
    shared_basis,
    shared_coordinate,
)
from infsup.approximation.bounds.structural_enclosure import enclose
from infsup.approximation.structure import NoStructure
from infsup.core.encoding import Record
from infsup.core.method import Outcome
from infsup.numerics.enclosure import program_of

pytestmark = pytest.mark.usefixtures("x64")

CASES = {
    "exp p=4": ("exp(x)", (-1, 1), 1e-3, SharedCoordinate(p=4)),
    "exp p=2": ("exp(x)", (-1, 1), 1e-2, SharedCoordinate(p=2)),
    "|x|^1.5 p=4": ("abs(x)**1.5", (-1, 1), 1e-3, SharedCoordinate(p=4)),
    "sin p=6": ("sin(3*x)", (0, 3), 1e-5, SharedCoordinate(p=6)),
    "runge p=8": ("1/(1+25*x**2)", (-1, 1), 1e-4, SharedCoordinate(p=8)),
    "square": ("x**2", (0, 1), 1e-3, Square(strict=True)),
    "line": ("abs(sin(5*x))", (-1, 1), 1e-2, PiecewiseLinear()),
}


LONG = ("|x|^1.5 p=4", "sin p=6", "line")


def record(network):
    pairs = [(np.array(w), np.array(b)) for w, b in (*network.levels, network.out)]
    fields = {"n_inputs": 1, "levels": tuple(pairs[:-1]), "out": pairs[-1], "scalar": True}
    return Record("networks.ReLUNetwork", {**fields, "notes": ()})


def problem_record(problem):
    fields = {k: getattr(problem, k) for k in ("f", "domain", "eps", "dtype")}
    return Record("approximation.Approximate", fields)


@pytest.fixture(scope="module")
def built():
    made = {}

    def get(name):
        if name not in made:
            f, domain, eps, method = CASES[name]
            problem = Approximate(f, domain, eps)
            outcome = method.find(problem, None, None)
            made[name] = (
                problem,
                outcome,
                StructuralEnclosure().certify(problem, outcome, None, 0.01),
            )
        return made[name]

    return get


def accepts(problem, answer, c):
    try:
        lower, upper = check.StructuralEnclosure(problem_record(problem), answer, c.proof)
    except ValueError:
        return False
    return lower >= c.lower and upper <= c.upper


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in LONG else []) for name in CASES],
)
def test_it_accepts_what_was_built(built, name):
    problem, outcome, c = built(name)
    assert c.verdict == "certified"
    assert accepts(problem, record(outcome.answer), c)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_accepts_statements_about_the_executed_network(dtype):
    problem = Approximate("exp(x)", (-1, 1), 1e-3, dtype=dtype)
    outcome = SharedCoordinate(p=4).find(problem, None, None)
    c = StructuralEnclosure().certify(problem, outcome, None, 0.01)
    assert c.budget["rounding"] > 0
    assert accepts(problem, record(outcome.answer), c)


def test_a_cell_that_needs_no_gate_has_none():
    """On [-1, 0] it is x^2 on some cells, which the lift of all gates is already."""
    problem = Approximate("maximum(sin(2*x), x**2)", (-1, 1), 1e-4)
    outcome = SharedCoordinate(p=4).find(problem, None, None)
    c = StructuralEnclosure().certify(problem, outcome, None, 0.01)
    assert c.verdict == "certified"
    assert accepts(problem, record(outcome.answer), c)


def values(answer, x):
    """In extended precision, by none of the library's code."""
    h = x[None].astype(np.longdouble)
    for w, b in answer["levels"]:
        z = np.asarray(w, np.longdouble) @ h + np.asarray(b, np.longdouble)[:, None]
        h = np.concatenate([h, np.maximum(z, 0)])
    w, b = answer["out"]
    return (np.asarray(w, np.longdouble) @ h)[0] + b[0]


def changed(answer, rng):
    """One weight or bias of a network changed: sign, size, last digits, or nothing left of it."""
    pairs = [(np.array(w), np.array(b)) for w, b in (*answer["levels"], answer["out"])]
    whole = [np.concatenate([w, b[:, None]], 1) for w, b in pairs]
    places = [(i, *at) for i, m in enumerate(whole) for at in zip(*np.nonzero(m), strict=True)]
    i, j, k = places[rng.integers(len(places))]
    old = whole[i][j, k]
    whole[i][j, k] = (
        -old,
        0.0,
        2 * old,
        old * (1 + 2.0 ** -rng.integers(1, 30)),
        old + rng.normal() * 2.0 ** -rng.integers(0, 25),
    )[rng.integers(5)]
    pairs = [(m[:, :-1], m[:, -1]) for m in whole]
    return Record(answer.name, {**answer.fields, "levels": tuple(pairs[:-1]), "out": pairs[-1]})


def slipped(problem, outcome, c, count, seed):
    """Harmful changes that are accepted, among `count` of them; harm is seen at 4,001 points."""
    rng = np.random.default_rng(seed)
    answer = record(outcome.answer)
    x = np.unique(np.concatenate([np.linspace(*problem.domain, 4001), c.proof["points"]]))
    f, found, seen = problem.values(x), 0, 0
    while seen < count:
        other = changed(answer, rng)
        if np.max(np.abs(values(other, x) - f)) > c.upper * (1 + 1e-9) + 1e-13:
            seen += 1
            found += accepts(problem, other, c)
    return found


@pytest.mark.parametrize("name", ["exp p=4", "exp p=2", "square"])
def test_no_harmful_change_is_accepted(built, name):
    assert slipped(*built(name), count=8, seed=1) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_none_of_a_thousand_harmful_changes_is_accepted(built, name):
    assert slipped(*built(name), count=143, seed=2) == 0


def test_a_claim_below_the_truth_is_not_accepted(built):
    problem, outcome, c = built("exp p=4")
    answer = record(outcome.answer)
    low = {**c.proof, "cells": c.proof["cells"] * 0.9}
    with pytest.raises(ValueError, match=r"\|f - N\|"):
        check.StructuralEnclosure(problem_record(problem), answer, low)
    for field in ("roles", "cells", "points"):
        with pytest.raises(ValueError, match=r"not as the lemma|cannot be read"):
            check.StructuralEnclosure(
                problem_record(problem),
                answer,
                {**c.proof, field: np.zeros((1, 3)) + 7},
            )


# -- twenty bugs of a compiler --------------------------------------------------------------------


def wrong_chain(k, **fields):
    def plant(monkeypatch):
        chains = list(shared_basis.CHAINS)
        chains[k] = chains[k]._replace(**fields)
        monkeypatch.setattr(shared_basis, "CHAINS", tuple(chains))

    return plant


def wrong_square(edit):
    """The text of `Graph.square` with one thing replaced."""

    def plant(monkeypatch):
        import inspect
        import textwrap

        old, new = edit
        text = textwrap.dedent(inspect.getsource(inspect.unwrap(graph.Graph.square)))
        assert old in text
        names: dict = {}
        exec(text.replace(old, new), vars(graph), names)
        monkeypatch.setattr(graph.Graph, "square", names["square"])

    return plant


def wrong_text(module, function, edit):
    def plant(monkeypatch):
        import inspect
        import textwrap

        old, new = edit
        given = inspect.unwrap(getattr(module, function))
        text = textwrap.dedent(inspect.getsource(given))
        assert old in text, old
        names: dict = {}
        exec(text.replace(old, new), vars(module), names)
        monkeypatch.setattr(module, function, names[function])

    return plant


F = Fraction
GATED = "_gated"
BUGS = {
    "the square's arguments are swapped in sign": wrong_chain(2, const=F(1, 2)),
    "a factor of the third argument": wrong_chain(2, weights={1: F(1)}),
    "the second square reads 1 + A_1": wrong_chain(1, weights={1: F(1)}),
    "the coordinate is halved": wrong_chain(0, slope=F(1, 2)),
    "the coordinate is doubled": wrong_chain(0, slope=F(2)),
    "a tooth at 1/4": wrong_square(("Fraction(-1, 2)", "Fraction(-1, 4)")),
    "a tooth with weight 3": wrong_square(("(-4, tooth)", "(-3, tooth)")),
    "no doubling": wrong_square(("(2, g)", "(1, g)")),
    "8^-s in place of 4^-s": wrong_square(("4**s", "8**s")),
    "one term too few": wrong_square(("range(1, m + 1)", "range(1, m)")),
    "the sum adds": wrong_square(("(-Fraction(1, 4**s), g)", "(Fraction(1, 4**s), g)")),
    "a carry forgets": wrong_square(("{carry: Fraction(1)}", "{carry: Fraction(1, 2)}")),
    "no lift": wrong_text(shared_coordinate, GATED, ("mine[0] -= lift", "mine[0] -= 0")),
    "half a lift": wrong_text(shared_coordinate, GATED, ("mine[0] -= lift", "mine[0] -= lift / 2")),
    "barriers too flat": wrong_text(shared_coordinate, GATED, ("Fraction(5, 4)", "Fraction(1, 4)")),
    "barriers of the wrong side": wrong_text(
        shared_coordinate, GATED, ("((1, i), (-1, i + 1))", "((1, i + 1), (-1, i))")
    ),
    "a barrier without its constant": wrong_text(
        shared_coordinate, GATED, ("const -= barrier * knots[at]", "const -= 0")
    ),
    "gates do not vanish at the ends": wrong_text(
        shared_coordinate, GATED, ("const = -mine[0]", "const = -mine[0] / 2")
    ),
    "the output forgets the lift": wrong_text(
        shared_coordinate, GATED, ("(lift, squares[1]), (-lift, ONE)", "(0, squares[1])")
    ),
    "odd cells keep their orientation": wrong_text(
        shared_coordinate, "coefficients", ("*= -1", "*= 1")
    ),
}


def test_there_are_twenty():
    assert len(BUGS) == 20


@pytest.fixture(scope="module")
def plans():
    problem = Approximate("sin(2*x)+x**3/4", (-1.0, 1.5), 1e-3)
    stops = [-1.0, 1.5]
    plan = shared_coordinate.plan(problem.values, stops, 4, 1e-3, 500)
    good, roles = shared_coordinate.build(plan, "real")
    outcome = Outcome(good, {"roles": roles})
    c = StructuralEnclosure().certify(problem, outcome, None, 0.01)
    assert accepts(problem, record(good), c)
    return problem, plan, c


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_of_the_compiler_is_found(plans, bug, monkeypatch):
    problem, plan, good = plans
    assert good.upper <= 1e-3
    BUGS[bug](monkeypatch)
    monkeypatch.setattr(shared_coordinate, "shared_basis", shared_basis)
    network, roles = shared_coordinate.build(plan, "real")
    monkeypatch.undo()
    x = np.linspace(*problem.domain, 4001)
    error = np.max(np.abs(problem.values(x) - network.values(x)))
    # the second reader, with the claims of the good network and either one's roles
    for given in (good.proof["roles"], np.asarray(roles)):
        claim = SimpleNamespace(
            proof={**good.proof, "roles": given}, lower=good.lower, upper=good.upper
        )
        assert not accepts(problem, record(network), claim) or error <= good.upper
    try:
        got = enclose(problem, network, roles)
    except NoStructure:
        return
    assert got.upper > 1e-3, "the bug was certified"
    assert error <= got.upper + 1e-12


CHECKERS = sorted(pathlib.Path(check.__file__).parent.glob("check*.py"))
NEEDED = {f"infsup.core.{name}" for name in ("errors", "encoding", "program", "check")}
NEEDED |= {f"infsup.approximation.{path.stem}" for path in CHECKERS if path.stem != "check"}


def foreign(text):
    """What a checker imports beyond NumPy, python-flint, the standard library and checkers."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "infsup.approximation":
            found |= {f"{node.module}.{a.name}" for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(f"{'.' * node.level}{node.module}")
    plain = {"numpy", "flint", *sys.stdlib_module_names}
    return {name for name in found - NEEDED if name.split(".")[0] not in plain}


@pytest.mark.parametrize("path", CHECKERS, ids=lambda p: p.stem)
def test_a_checker_needs_nothing_of_the_producer(path):
    assert foreign(path.read_text()) == set()


@pytest.mark.parametrize(
    "line",
    [
        "from infsup.numerics.enclosure import Enclosure",
        "from infsup.approximation import structure",
        "from infsup.core import tracing",
        "import jax.numpy as jnp",
        "def f():\n    from . import structure",
    ],
)
def test_a_planted_import_is_found(line):
    assert foreign(line)


def needed_by(stem):
    """The files of the pillar that a checker is made of, itself included."""
    found, todo = set(), {stem}
    while todo:
        name = todo.pop()
        found.add(name)
        for node in ast.walk(ast.parse((CHECKERS[0].parent / f"{name}.py").read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "infsup.approximation":
                todo |= {a.name for a in node.names}
            elif isinstance(node, ast.ImportFrom) and "approximation." in (node.module or ""):
                todo.add(node.module.rpartition(".")[2])
        todo -= found
    return found


def test_the_structural_checker_is_small_as_a_whole():
    """With the evaluator of f and with rounding, whatever of the pillar it needs."""
    needed = needed_by("check_structure")
    assert "check_function" in needed_by("check_pieces")
    assert needed == {"check_structure"}
    lines = {path.stem: len(path.read_text().splitlines()) for path in CHECKERS}
    assert sum(lines[name] for name in needed) <= 400
    assert max(lines.values()) <= 400


def test_the_structural_checker_runs_without_jax_and_without_the_producer():
    code = (
        "import sys\n"
        "from infsup.approximation import check_structure\n"
        "loaded = {n.removeprefix('infsup.') for n in sys.modules if n.startswith('infsup.')}\n"
        "mine = {n for n in loaded if n.startswith('approximation.')}\n"
        "print(sorted(mine), 'jax' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "['approximation.check_structure'] False"


# -- the evaluator of f -----------------------------------------------------------------------


def test_conditions_that_hold_on_a_box_are_decided(tmp_path):
    def sinc(x):  # as JAX 0.10 has it; later ones round
        t = jnp.where(x == 0, 1.0, jnp.pi * x)
        return jnp.where(x == 0, 1.0, jnp.sin(t) / t)

    isp.solve(Approximate(sinc, (0.1, 1.0), 1e-6)).save(tmp_path / "s")
    assert isp.check(tmp_path / "s").stands


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        *[(f"{f}(x)", 0.3, 0.7) for f in ("exp", "log", "sin", "cos", "tan", "arctan")],
        *[(f"{f}(x)", 0.3, 0.7) for f in ("sqrt", "tanh", "sinh", "cosh", "erf", "abs")],
        ("x**3-x**2", -0.5, 0.75),
        ("1/(1+25*x**2)", 0.25, 0.5),
        ("abs(x)**1.5", 0.25, 0.5),
        ("abs(x-0.5)", 0.25, 1.0),
        ("maximum(x, x**2)", 0.5, 1.5),
        ("minimum(sin(x), 1-x)", 0.25, 1.0),
    ],
)
def test_the_evaluator_encloses(text, low, high):
    """Values, difference quotients and Taylor's formula at points, in 160 bits."""
    f = check_function.Function(program_of(text))
    box, points = arb(low).union(arb(high)), np.linspace(low, high, 9).tolist()
    with check_function.precision(160):
        values = [f.ball(arb(x)) for x in points]
        assert all(f.ball(box).contains(v.mid()) for v in values)
        steps = [arb(y) - arb(x) for x, y in itertools.pairwise(points)]
        for step, (v, w) in zip(steps, itertools.pairwise(values), strict=True):
            assert f.slope(box).overlaps((w - v) / step)
        try:
            rest = f.taylor(box, 3)[3]
        except check_function.Open:
            assert any(word in text for word in ("-0.5)", "maximum", "minimum"))
            return
        for x, v in zip(points, values, strict=True):
            c, t = f.taylor(arb(points[0]), 2), arb(x) - arb(points[0])
            assert (c[0] + c[1] * t + c[2] * t * t + rest * t**3).overlaps(v)
