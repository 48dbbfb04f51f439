"""Solutions as folders: everything comes back, and nothing that a stranger wrote gets through."""

import contextlib
import copy
import functools
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

import infsup as isp
from infsup.core import encoding, files
from infsup.core.certificate import Certificate
from infsup.core.encoding import Opaque
from infsup.core.errors import FileRejected, InfsupError, PrecisionError, UsageError
from infsup.core.method import Then
from infsup.core.registry import function_name
from infsup.core.split import DataSet, SeenRows, Split
from infsup.core.storage import read_folder, write_folder

FIXTURE = pathlib.Path(__file__).parent / "fixtures" / "schema-1"
F32 = np.dtype("float32")


def same(a, b):
    return isp.fingerprint(a) == isp.fingerprint(b)


class Curve(isp.Problem):
    """A function R^2 -> R^2, with a function of the user's and everything that a field may be."""

    f: Any = None
    extra: Any = None

    @property
    def asks(self):
        s = jax.ShapeDtypeStruct((2,), F32)
        return isp.Function((s,), s)


class Give(isp.DirectMethod):
    """Hands out what it was given."""

    answer: Any = eqx.field(static=True, default=None)
    evidence: Any = eqx.field(static=True, default=None)

    def find(self, problem, start, key):
        return isp.Outcome(self.answer or start.answer, self.evidence or {})


class Claim(isp.Bound):
    """Whatever certificate it was made with."""

    fields: Any = ()

    def certify(self, problem, outcome, key, delta):
        return Certificate("q", "f", 0.0, 1.0, "estimate", "t:Claim", **dict(self.fields))


class Mine(eqx.Module):
    """A user's module that is not registered."""

    w: jax.Array
    scale: float
    power: int = eqx.field(static=True, default=1)
    f: Any = eqx.field(static=True, default=jnp.sin)

    def __call__(self, x):
        return self.scale * self.f(self.w * x) ** self.power


@isp.register
class Known(eqx.Module):
    """A user's module that is registered."""

    w: Any
    name: str = eqx.field(static=True, default="a")

    def __call__(self, x):
        return self.w * x


def mlp(**kw):
    return eqx.nn.MLP(2, 2, 4, 2, key=jax.random.key(0), dtype=jnp.float32, **kw)


def solved(answer=None, problem=None, **kw):
    start = mlp() if answer is None else answer
    return isp.solve(problem or Curve(), Give(), bounds=Claim(), start=start, **kw)


def there_and_back(solution, path, **kw):
    solution.save(path)
    return isp.load(path, **kw)


# -- round trips ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [
        toy.Centre(),
        toy.NoisyDescent(steps=40),
        toy.PythonDescent(steps=10),
        Then(toy.NoisyDescent(steps=20), Then(toy.Centre(), toy.NoisyDescent(rate=0.01, steps=9))),
    ],
)
def test_solutions_come_back(method, tmp_path):
    kw = {"bounds": (toy.Distance(), toy.Noise()), "key": 5, "delta": 0.02}
    s = isp.solve(toy.bowl(), method, **kw)
    t = there_and_back(s, tmp_path / "s")
    for name in ("problem", "method", "answer", "bounds", "evidence", "key", "seen", "stages"):
        assert same(getattr(t, name), getattr(s, name)), name
    assert t.certificates == s.certificates
    assert t.comparators == s.comparators
    assert t.ledger == s.ledger
    assert t.seconds == s.seconds
    assert (t.why, t.resumed, t.error, t.cost) == (s.why, s.resumed, s.error, s.cost)
    assert str(t) == str(s)
    again = isp.solve(t.problem, t.method, **kw)
    assert same(again.answer, s.answer)


def test_saving_twice_gives_the_same_bytes(tmp_path):
    s = isp.solve(toy.bowl(), toy.NoisyDescent(steps=20), bounds=toy.Distance())
    s.save(tmp_path / "a")
    isp.load(tmp_path / "a").save(tmp_path / "b")
    for file in os.listdir(tmp_path / "a"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize(
    "kw",
    [
        {},
        {"activation": jnp.tanh},
        {"activation": jax.nn.gelu, "final_activation": jnp.abs},
        {"activation": jax.nn.silu, "use_bias": False},
        {"final_activation": jax.nn.identity},
    ],
)
def test_networks_of_equinox_are_stored_by_name(kw, tmp_path):
    s = solved(mlp(**kw))
    t = there_and_back(s, tmp_path / "s")
    assert same(t.answer, s.answer)
    x = jnp.array([0.3, -0.7], jnp.float32)
    assert np.array_equal(t(x), s(x))
    document, _ = read_folder(tmp_path / "s")
    assert document["answer"]["record"] == "equinox.nn.MLP"


def test_other_modules_of_equinox(tmp_path):
    k = jax.random.key(1)
    nn = eqx.nn
    modules = nn.Sequential([nn.Linear(2, 8, key=k), nn.LayerNorm(8), nn.Lambda(jnp.tanh)])
    model = nn.Sequential([modules, nn.Linear(8, 2, key=k), nn.Identity(), nn.Dropout(0.1)])
    model = nn.inference_mode(model)
    t = there_and_back(solved(model), tmp_path / "s")
    assert same(t.answer, model)


@pytest.mark.parametrize(
    "f",
    [
        jax.grad(lambda x: jnp.sum(jnp.sin(x))),
        functools.wraps(jnp.sin)(lambda x: 2 * jnp.sin(x)),
        functools.partial(jnp.multiply, 2.0),
        jax.jit(lambda x: x + 1),
    ],
)
def test_what_wraps_a_known_function_is_not_that_function(f, tmp_path):
    assert function_name(f) is None
    s = solved(mlp(activation=f))
    s.save(tmp_path / "s")
    document, _ = read_folder(tmp_path / "s")
    assert "opaque" in document["answer"]["fields"]["activation"]
    assert function_name(jax.grad(jnp.sin)) is None
    assert function_name(jnp.sin) == "jax.numpy.sin"


VALUES = {
    "key": jax.random.key(3),
    "keys": jax.random.split(jax.random.key(3, impl="rbg"), 3),
    "bfloat16": jnp.arange(3, dtype=jnp.bfloat16),
    "0-d": jnp.float32(2.0),
    "0-d of the host": np.array(2.0, np.float32),
    "scalar": np.float32(0.1),
    "empty": np.zeros((0, 3), np.int8),
    "big-endian": np.arange(3, dtype=">i4").astype("<i4"),
    "bool": np.array([True, False]),
    "ints": [0, -1, 2**62, 2**200, True, None],
    "floats": (0.1, -0.0, float("inf"), float("nan"), 5e-324),
    "fractions": Fraction(10**60, 7),
    "text": "é\n\x00\U0001f600",
    "dicts": {"a.b": np.ones(1), "k0": np.zeros(1), "": 1, "0": [()]},
    "keys of a dict": {1: "a", 3: np.ones(2), -1: {}},
    "pairs as keys": {(1, "a"): 2, (2, "b"): [np.ones(1)]},
    "shape": jax.ShapeDtypeStruct((2, 3), np.dtype("int8")),
    "dtype": np.dtype("float16"),
    "function": jax.nn.relu,
    "module": Known(np.ones(2)),
    "nested": Known({"a": [Known((1, jnp.ones(1)))]}),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_of_all_sorts_come_back(name, tmp_path):
    x = VALUES[name]
    t = there_and_back(solved(problem=Curve(extra=x)), tmp_path / "s")
    assert same(t.problem.extra, x)
    assert type(t.problem.extra) is type(x)
    s = solved()
    t = there_and_back(s.replace(evidence={"é x": x}), tmp_path / "s")
    assert same(t.evidence, {"é x": x})


def test_certificates_of_all_sorts_come_back(tmp_path):
    s = solved()
    c = [
        Certificate("q", "é", np.zeros(2), np.ones(2), "proved", "x", proof={"w": np.ones(3)}),
        Certificate("q", "f", Fraction(1, 3), 10**300, "proved", "x", goal=Fraction(1, 7)),
        Certificate("q", "f", 0, 1, "confidence", "x", level=0.9, verdict="refused", reason="ESS"),
        Certificate("q", "f", 2, 3, "proved", "x", range=(0.0, 1.0)),
    ]
    s = s.replace(certificates=(*s.certificates, *c), comparators={"nothing é": c[0], "": c[2]})
    t = there_and_back(s, tmp_path / "s")
    assert t.certificates == s.certificates
    assert t.comparators == s.comparators


def test_an_error_and_rows_seen_come_back(tmp_path):
    seen = SeenRows({"h": np.array([1, 5])}, np.array([2**63 + 1], np.uint64))
    s = solved().replace(error=RuntimeError("the simulator is gone"), seen=seen)
    t = there_and_back(s, tmp_path / "s")
    assert "the simulator is gone" in str(t.error)
    assert same(t.seen, seen)
    assert there_and_back(s.replace(seen=None, ledger=None), tmp_path / "s").seen is None


def test_saving_over_an_older_solution(tmp_path):
    for n in (5, 9):
        isp.solve(toy.bowl(), toy.NoisyDescent(steps=n), bounds=toy.Distance()).save(tmp_path / "s")
        assert isp.load(tmp_path / "s").steps == n
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(UsageError):
        solved().save(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "x"


# -- what is not stored by name -------------------------------------------------------------------


def test_an_unregistered_module_is_opaque_and_loads_with_like(tmp_path):
    def no_program(x):
        return jnp.sort(x)

    s = solved(Mine(jnp.array([1.0, 2.0], jnp.float32), 3.0, f=no_program))
    t = there_and_back(s, tmp_path / "s")
    assert isinstance(t.answer, Opaque)
    with pytest.raises(UsageError, match="like="):
        t(jnp.ones(2))
    # arrays and numbers come from the file, whatever `like` holds
    t = isp.load(tmp_path / "s", like=Mine(jnp.zeros(2, jnp.float32), 9.0, f=no_program))
    assert same(t.answer, s.answer)
    assert t.answer.scale == 3.0
    # an opaque answer that is saved again is the same
    u = isp.load(tmp_path / "s")
    u.save(tmp_path / "u")
    assert same(isp.load(tmp_path / "u", like=s.answer).answer, s.answer)


@pytest.mark.parametrize(
    "like",
    [
        Mine(jnp.zeros(3, jnp.float32), 1.0),
        Mine(jnp.zeros(2, jnp.float16), 1.0),
        Mine(jnp.zeros(2, jnp.float32), 1),
        Mine(jnp.zeros(2, jnp.float32), 1.0, 2),
        Mine(jnp.zeros(2, jnp.float32), 1.0, f=jnp.cos),
        Mine(jnp.zeros(2, jnp.float32), 1.0, f=lambda x: x),
        mlp(),
        {"w": jnp.zeros(2, jnp.float32)},
        3.0,
        None,
    ],
)
def test_another_like_is_refused(like, tmp_path):
    solved(Mine(jnp.ones(2, jnp.float32), 3.0)).save(tmp_path / "s")
    if like is None:
        return
    with pytest.raises(UsageError, match="like"):
        isp.load(tmp_path / "s", like=like)


def test_like_for_what_was_stored_by_name_is_refused(tmp_path):
    solved().save(tmp_path / "s")
    with pytest.raises(UsageError, match="by name"):
        isp.load(tmp_path / "s", like=mlp())


def test_keys_inside_an_opaque_module(tmp_path):
    class Noisy(eqx.Module):
        key: Any

        def __call__(self, x):
            return x + jax.random.normal(self.key, (2,), jnp.float32)

    s = solved(Noisy(jax.random.key(7)))
    s.save(tmp_path / "s")
    assert same(isp.load(tmp_path / "s", like=Noisy(jax.random.key(0))).answer, s.answer)


def test_a_registered_module_comes_back_by_name(tmp_path):
    s = solved(Known(jnp.ones(2, jnp.float32), "b"))
    assert same(there_and_back(s, tmp_path / "s").answer, s.answer)


def test_a_problem_with_a_function_is_compared(tmp_path):
    def made(k, w=1.0):
        return Curve(lambda x: k * x, np.full(3, w))

    s = solved(problem=made(2))
    t = there_and_back(s, tmp_path / "s")
    assert isinstance(t.problem.f, Opaque)
    t = isp.load(tmp_path / "s", problem=made(2))
    assert t.problem.f(3) == 6
    for other in (made(3), made(2, 5.0), Curve(lambda x: x), toy.bowl(), Curve()):
        with pytest.raises(UsageError, match="not the problem"):
            isp.load(tmp_path / "s", problem=other)


@pytest.mark.usefixtures("unchecked")
def test_a_problem_that_is_none(tmp_path):
    solved().save(tmp_path / "s")
    with pytest.raises(UsageError, match="not a Problem"):
        isp.load(tmp_path / "s", problem=3)
    with pytest.raises(UsageError, match="not a Solution"):
        isp.save(3, tmp_path / "x")


def test_another_python_compiles_other_bytecode(tmp_path):
    """Then functions cannot be compared, and only arrays and names are."""
    f = lambda x: x  # noqa: E731
    solved(Mine(jnp.ones(2, jnp.float32), 3.0, f=f), problem=Curve(f)).save(tmp_path / "s")
    document, arrays = read_folder(tmp_path / "s")
    document["python"] = "3.99"
    document["problem"]["fields"]["f"]["fingerprint"] = "0" * 16
    document["answer"]["fingerprint"] = "0" * 16
    write_folder(tmp_path / "s", document, arrays)
    like = Mine(jnp.zeros(2, jnp.float32), 3.0, f=f)
    assert isp.load(tmp_path / "s", problem=Curve(f), like=like).answer.scale == 3.0
    with pytest.raises(UsageError):
        isp.load(tmp_path / "s", problem=Curve(f, 1.0), like=like)
    document["python"] = files._python()
    write_folder(tmp_path / "s", document, arrays)
    with pytest.raises(UsageError):
        isp.load(tmp_path / "s", problem=Curve(f), like=like)


# -- data and precision ---------------------------------------------------------------------------


class Rows(isp.Problem):
    split: Split

    @property
    def asks(self):
        return Curve().asks

    def rows(self, side):
        return self.split.rows(side)


def rows():
    x = np.arange(20, dtype=np.float32).reshape(10, 2)
    return Rows(Split.random(DataSet({"x": x}, name="mine", source="mine.csv")))


def test_data_stay_away_unless_they_are_asked_for(tmp_path):
    s = solved(problem=rows()).replace(seen=rows().rows("fit"))
    s.save(tmp_path / "s")
    _, arrays = read_folder(tmp_path / "s")
    assert all(a.dtype != np.float32 for k, a in arrays.items() if k.startswith("problem"))
    t = isp.load(tmp_path / "s")
    assert t.problem.split.fit is None
    assert t.problem.split.data_hash == s.problem.split.data_hash
    assert (t.problem.split.fit_index == s.problem.split.fit_index).all()
    assert same(t.seen, s.seen)
    assert len(t.seen) == 8
    assert same(isp.load(tmp_path / "s", problem=rows()).problem, s.problem)


def test_data_are_copied_on_request(tmp_path):
    s = solved(problem=rows())
    s.save(tmp_path / "s", copy_data=True)
    assert same(isp.load(tmp_path / "s").problem, s.problem)
    assert same(isp.load(tmp_path / "s", problem=rows()).problem, s.problem)


def test_packaged_data_are_read_again(tmp_path):
    digits = isp.data.digits()
    s = solved(problem=Rows(Split.random(digits)))
    s.save(tmp_path / "s")
    assert same(isp.load(tmp_path / "s").problem, s.problem)
    document, arrays = read_folder(tmp_path / "s")
    split = document["problem"]["fields"]["split"]["split"]
    for field, value in (
        ("source", "infsup:../../x"),
        ("source", "infsup:no such data"),
        ("data_hash", "0" * 64),
        ("name", 3),
        ("fit_index", None),
        ("fit_index", {"array": "seen.prints", "host": True}),
        ("held_index", split["fit_index"]),
    ):
        other = copy.deepcopy(document)
        other["problem"]["fields"]["split"]["split"][field] = value
        write_folder(tmp_path / "t", other, arrays)
        if value is None:
            assert isp.load(tmp_path / "t").problem.split.fit is None
            continue
        with pytest.raises(FileRejected):
            isp.load(tmp_path / "t")


@pytest.mark.usefixtures("x64")
def test_float64_loads_and_refuses_to_run_while_the_flag_is_off(tmp_path):
    wide = eqx.nn.Linear(2, 2, key=jax.random.key(0), dtype=jnp.float64)
    solved(wide, problem=Curve(extra=jnp.arange(3, dtype=jnp.int64) + 2**40)).save(tmp_path / "s")
    mine = Mine(np.array([1.0, 2.0]), 3.0)
    solved(mine).save(tmp_path / "m")
    with jax.enable_x64(False):
        t = isp.load(tmp_path / "s")
        assert same(t.answer, wide)  # the bytes are all there
        assert t.problem.extra[0] == 2**40
        with pytest.raises(PrecisionError):
            t(np.ones(2, np.float32))
        t.save(tmp_path / "u")
        m = isp.load(tmp_path / "m", like=Mine(np.zeros(2), 0.0))
        assert same(m.answer, mine)
    assert same(isp.load(tmp_path / "u").answer, wide)


# -- schemas --------------------------------------------------------------------------------------


def fixture():
    """The solution of the stored folder; made once, by `python test_files.py fixture`."""
    s = isp.solve(
        toy.bowl(),
        Then(toy.NoisyDescent(steps=21), toy.Centre()),
        bounds=(toy.Distance(), toy.Noise()),
        key=3,
    )
    proof = {"w": np.arange(3.0), "n": 2**70, "é": {1: np.float32(0.5), "k1": (Fraction(1, 3), [])}}
    c = Certificate("q", "f", Fraction(-1, 3), np.float64(0.5), "proved", "x", proof=proof)
    seen = SeenRows({"h" * 64: np.arange(3)}, np.arange(3, dtype=np.uint64))
    evidence = {
        "net": mlp(),
        "bf": jnp.ones(2, jnp.bfloat16),
        "key": jax.random.key(1),
        "none": None,
    }
    return s.replace(certificates=(*s.certificates, c), seen=seen, evidence=evidence)


def test_the_first_schema_keeps_loading():
    t = isp.load(FIXTURE)
    assert t.steps == 22
    assert [c.bound for c in t.certificates] == ["toy:Distance", "toy:Noise", "x"]
    assert t.certificates[0].verdict == "certified"
    assert t.certificates[2].lower == Fraction(-1, 3)
    assert t.certificates[2].proof["é"][1] == np.float32(0.5)
    assert t.certificates[2].proof["n"] == 2**70
    assert t.comparators.keys() == {"the origin"}
    assert t.evidence["bf"].dtype == jnp.bfloat16
    assert same(t.evidence["net"].activation, jax.nn.relu)
    assert len(t.seen) == 3
    assert np.array_equal(t.answer, [1, 2, 3])
    checked = isp.check(FIXTURE)
    assert [f.what for f in checked.failed] == ["bounds"]  # one certificate more than bounds


def test_newer_and_damaged_schemas_end_cleanly(tmp_path):
    document, arrays = read_folder(FIXTURE)
    for schema, words in ((2, "upgrade"), (10**6, "upgrade"), (0, "damaged"), (True, "damaged")):
        write_folder(tmp_path / "s", {**document, "schema": schema, "new": 1}, arrays)
        for read in (isp.load, isp.check):
            with pytest.raises(FileRejected, match=words):
                read(tmp_path / "s")
    for schema in ("1", None, [1], 1.0):
        write_folder(tmp_path / "s", {**document, "schema": schema}, arrays)
        for read in (isp.load, isp.check):
            with pytest.raises(FileRejected, match="damaged"):
                read(tmp_path / "s")
    for kind in ("checkpoint", "x", None, 3, ["solution"]):
        write_folder(tmp_path / "s", {**document, "kind": kind}, arrays)
        for read in (isp.load, isp.check):
            with pytest.raises(FileRejected, match="no solution"):
                read(tmp_path / "s")


# -- hostile folders with right checksums ---------------------------------------------------------

ROOTS = ("problem", "method", "bounds", "answer", "evidence", "certificates", "comparators")
STRANGE = [
    None, True, 0, -1, 2**62, 1.5, "", "nan", "x" * 2000, "../../etc/passwd", "os.system", [], {},
    [[]], {"float": "nan"}, {"float": "inf"}, {"float": "0.10"}, {"ratio": "1/3"}, {"ratio": "x"},
    {"ratio": "9" * 5000}, {"array": "no such"}, {"array": "answer"}, {"array": 3}, {"tuple": []},
    {"list": [[1]]}, {"list": None}, {"dict": []}, {"dict": {"": None}}, {"items": [[1]]},
    {"items": [[{"list": []}, 1]]}, {"split": 3}, {"split": {}},
    {"record": "os.system", "fields": {}},
    {"record": "core.Certificate", "fields": {}}, {"record": "core.Hypothesis"},
    {"record": "core.SeenRows", "fields": {"index": {"dict": {}}, "prints": None}},
    {"record": "core.DataSet", "fields": {"columns": {"dict": {"x": 3}}, "name": 1, "source": 1}},
    {"record": "generative.FlowMatching", "fields": {}}, {"record": "core.", "fields": {}},
    {"record": "approximation.X", "fields": {}}, {"record": "data.digits", "fields": {}},
    {"record": "optimization.Muon", "fields": {}}, {"record": "..x.y", "fields": {}},
    {"record": "equinox.nn.MLP", "fields": {}},
    {"record": "equinox.nn.Lambda", "fields": {"fn": 3}},
    {"record": "toy:Bowl", "fields": {"centre": "x"}}, {"record": "toy:Centre", "fields": {}},
    {"record": "core.Then", "fields": {"first": 1, "second": 2}},
    {"record": "core.Split", "fields": {}}, {"record": "core.Outcome", "fields": {}},
    {"opaque": "x", "fingerprint": "y", "leaves": {}}, {"opaque": "x", "leaves": 3}, {"opaque": 3},
    {"key": "answer", "impl": "fry"}, {"key": "key"}, {"key": "key", "impl": ["fry"]},
    {"shape": [-7], "dtype": "float32"}, {"shape": [2**40], "dtype": "int8"}, {"shape": "x"},
    {"dtype": "O"}, {"dtype": ["float32"]}, {"function": "os.system"}, {"function": []},
    {"unknown": 1}, {"float": "1.0", "array": "key"}, {"": 1},
]  # fmt: skip


def nodes(tree):
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for k, v in list(items):
        yield tree, k
        if isinstance(v, (dict, list)):
            yield from nodes(v)


def mutate(rng, document, arrays):
    """A document that means something else; one to three changes."""
    d, a = copy.deepcopy(document), dict(arrays)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        where = list(nodes(d))
        box, k = rng.choice(where)
        act = rng.randrange(8)
        if act == 0:
            del box[k]
        elif act == 1 and isinstance(box, dict):
            box[rng.choice(["fields", "x", "float", "record", "é", "level", "record "])] = box.pop(
                k
            )
        elif act == 2:  # a piece of elsewhere
            other, j = rng.choice(where)
            with contextlib.suppress(KeyError, IndexError):
                box[k] = copy.deepcopy(other[j])
        elif act == 3 and rng.random() < 0.5:
            d[rng.choice(ROOTS)] = copy.deepcopy(d.get(rng.choice(ROOTS)))
        elif act == 4 and a:
            name = rng.choice(sorted(a))
            x = a[name]
            a[name] = rng.choice(
                [
                    x.reshape(-1)[:1],
                    x[None],
                    x.astype(np.int8),
                    np.zeros((0,), np.float64),
                    np.full(x.shape, np.nan, np.float32),
                    np.array(True),
                ]
            )
        elif act == 5 and a:
            a.pop(rng.choice(sorted(a)))
        else:
            box[k] = copy.deepcopy(rng.choice(STRANGE))
    return d, a


def hostile(tries, seed, folder, source, reads):
    """(refused, read, other exceptions, longest) over mutated folders with right checksums."""
    rng = random.Random(seed)
    document, arrays = read_folder(source)
    refused, passed, other, longest = 0, 0, [], 0.0
    for number in range(tries):
        d, a = mutate(rng, document, arrays)
        try:
            write_folder(folder, d, a)
        except UsageError:
            continue  # the writer itself refuses, e.g. a number that JSON lacks
        for read in reads:
            begun = time.perf_counter()
            try:
                read(folder)
                passed += 1
            except InfsupError:
                refused += 1
            except Exception as e:
                other.append((number, getattr(read, "__name__", "load"), type(e).__name__, str(e)))
            longest = max(longest, time.perf_counter() - begun)
    return refused, passed, other, longest


def valid(path):
    """Loads, and looks whether what came back is a solution that can be shown and asked."""
    s = isp.load(path)
    assert isinstance(s.problem, isp.Problem)
    assert isinstance(s.method, isp.Method)
    assert all(isinstance(b, isp.Bound) for b in s.bounds)
    assert all(isinstance(c, Certificate) for c in (*s.certificates, *s.comparators.values()))
    assert all(c.width >= 0 for c in s.certificates)
    assert s.ledger is None or s.ledger.left >= 0
    assert s.seen is None or len(s.seen) >= 0
    assert s.steps + s.cost["total"] >= 0 if "total" in s.seconds else s.steps is not None
    assert all(len(repr(c)) > 0 for c in s.certificates)
    return s


def targets(folder):
    solved(problem=Curve(extra=VALUES["nested"])).save(folder / "net")
    solved(problem=rows()).save(folder / "data", copy_data=True)
    return [FIXTURE, folder / "net", folder / "data"]


def battery(tries, seed, without=""):
    """In a process of its own: without the shape checks, and with one guard of ours taken away."""
    if without:
        setattr(encoding, without, lambda x, *_, **__: x)
    fast = "/dev/shm" if os.path.isdir("/dev/shm") else None
    total = [0, 0, [], 0.0]
    with tempfile.TemporaryDirectory(dir=fast) as name:
        folder = pathlib.Path(name)
        for source in targets(folder):
            found = hostile(tries, seed, folder / "h", source, (valid, isp.check))
            total = [*(a + b for a, b in zip(total[:3], found[:3], strict=True)), found[3]]
    refused, passed, other, longest = total
    print(json.dumps([refused, passed, other[:20], longest]))


def run_battery(*arguments):
    env = {**os.environ, "PYTHONPATH": str(pathlib.Path(isp.__file__).parents[1])}
    run = subprocess.run(
        [sys.executable, __file__, "battery", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=env,
        timeout=3600,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout.splitlines()[-1])


def test_hostile_meanings():
    refused, passed, other, longest = run_battery(170, 0)
    assert other == []
    assert refused > 500
    assert passed > 100
    assert longest < 1.0  # 0.1 s where nothing else runs


@pytest.mark.slow
def test_hostile_meanings_at_length():
    seed = random.randrange(2**32)
    refused, passed, other, _ = run_battery(4000, seed)
    assert other == [], seed
    assert refused + passed > 20_000


def test_the_battle_finds_a_reader_that_forgets_a_guard():
    assert run_battery(30, 0, "_dict")[2]


@pytest.mark.parametrize(
    "name",
    ["approximation.X", "continuum.", "core.os", "os.system", "a:b", "core", "", ".", "x" * 900],
)
def test_names_are_looked_up_and_never_imported(name, tmp_path):
    document, arrays = read_folder(FIXTURE)
    document["answer"] = {"record": name, "fields": {}}
    write_folder(tmp_path / "s", document, arrays)
    before = set(sys.modules)
    with pytest.raises(FileRejected):
        isp.load(tmp_path / "s")
    assert all(m.startswith("infsup") for m in set(sys.modules) - before)


def test_hostile_fields_of_a_registered_class(tmp_path):
    """A network without layers loads or is refused; it never takes the reader down."""
    solved().save(tmp_path / "s")
    document, arrays = read_folder(tmp_path / "s")
    for field in document["answer"]["fields"]:
        for value in ("x", None, {"array": "key"}, {"tuple": []}, {"shape": [2], "dtype": "int8"}):
            d = copy.deepcopy(document)
            d["answer"]["fields"][field] = value
            write_folder(tmp_path / "t", d, arrays)
            with contextlib.suppress(FileRejected):
                isp.load(tmp_path / "t")


def test_deep_and_wide_documents_end_cleanly(tmp_path):
    document, arrays = read_folder(FIXTURE)
    deep: Any = 1
    for i in range(45):
        deep = {"list": [deep]} if i % 2 else {"tuple": [deep]}
    for value in (deep, {"list": [1] * 10_000}, {"dict": {str(i): i for i in range(10_000)}}):
        write_folder(tmp_path / "s", {**document, "evidence": value}, arrays)
        with contextlib.suppress(FileRejected):
            isp.load(tmp_path / "s")


@pytest.mark.parametrize("form", ["nan", "inf", "-1.0"])
def test_clocks_that_no_run_has_are_refused(form, tmp_path):
    document, arrays = read_folder(FIXTURE)
    for part in (lambda d: d["seconds"], lambda d: d["stages"][0]):
        d = copy.deepcopy(document)
        box = part(d)["dict"]
        box["seconds" if "seconds" in box else next(iter(box))] = {"float": form}
        write_folder(tmp_path / "s", d, arrays)
        with pytest.raises(FileRejected):
            isp.load(tmp_path / "s")


# -- checkpoints ----------------------------------------------------------------------------------


def chained(**kw):
    method = Then(toy.NoisyDescent(steps=20), toy.NoisyDescent(rate=0.05, steps=30))
    return isp.solve(toy.bowl(), method, bounds=toy.Distance(), **kw)


def test_checkpoints_of_strangers_end_cleanly(tmp_path):
    whole = chained(checkpoint=isp.Checkpoint(tmp_path / "c", seconds=0.0))
    document, arrays = read_folder(tmp_path / "c")
    assert document["stage"] == 1
    assert same(chained(resume=tmp_path / "c").answer, whole.answer)
    stage = document["stages"][0]
    changes = [
        {"stage": 7}, {"stage": -1}, {"stage": True}, {"stage": 0}, {"stage": "1"}, {"stages": []},
        {"stages": [3]}, {"stages": [{}]}, {"stages": [{**stage, "new": 1}]}, {"stages": None},
        {"stages": [{**stage, "steps": "x"}]}, {"tables": -1}, {"tables": 10**9}, {"tables": None},
        {"granted": 7.0}, {"granted": "x"}, {"ledger": [[1]]}, {"ledger": 3}, {"seconds": "x"},
        {"ledger": [[-5.0, "a debt"]]}, {"schema": 2}, {"kind": "solution"}, {"fingerprint": "x"},
    ]  # fmt: skip
    for change in changes:
        write_folder(tmp_path / "d", {**document, **change}, arrays)
        with pytest.raises(FileRejected):
            chained(resume=tmp_path / "d", checkpoint=tmp_path / "e")
    for name in arrays:
        rest = {k: v for k, v in arrays.items() if k != name}
        for x in (None, arrays[name].astype(np.float16), arrays[name][..., None]):
            write_folder(tmp_path / "d", document, rest if x is None else {**rest, name: x})
            with contextlib.suppress(FileRejected):  # a row of the history may be missing
                chained(resume=tmp_path / "d", checkpoint=tmp_path / "e")


def test_a_resumed_run_was_granted_its_delta(tmp_path):
    chained(checkpoint=tmp_path / "c", delta=0.02)
    with pytest.raises(UsageError, match=r"delta=0\.02"):
        chained(resume=tmp_path / "c", delta=0.05)


class Armed(isp.Problem):
    """What a loader that ran a constructor, or unpickled, would set off."""

    fired: ClassVar[list] = []
    x: Any

    def __init__(self, x):
        Armed.fired.append(x)
        self.x = x

    @property
    def asks(self):
        return Curve().asks


def test_nothing_of_a_file_is_executed(tmp_path):
    solved(problem=Armed(1)).save(tmp_path / "s")
    Armed.fired.clear()
    isp.load(tmp_path / "s")
    assert Armed.fired == []


def test_a_process_that_does_not_know_the_class_refuses(tmp_path):
    solved().save(tmp_path / "s")
    path = str(tmp_path / "s")
    code = f"import infsup\ntry: infsup.load({path!r})\nexcept Exception as e: print(repr(e))"
    env = {**os.environ, "PYTHONPATH": str(pathlib.Path(isp.__file__).parents[1])}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=100
    )
    assert run.stdout.startswith("FileRejected")
    assert "import the module that defines it" in run.stdout


if __name__ == "__main__":
    if sys.argv[1:] == ["fixture"]:
        fixture().save(FIXTURE)
    else:
        battery(int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])


def test_an_answer_of_the_users_own_is_also_stored_as_a_program(tmp_path):
    weights = jnp.asarray([1.0, -2.0], jnp.float32)
    s = solved(lambda x: jnp.tanh(weights * x) ** 2)
    t = there_and_back(s, tmp_path / "s")
    assert isinstance(t.answer, Opaque)
    x = jnp.asarray([0.3, 0.4], jnp.float32)
    np.testing.assert_allclose(t(x), s(x), rtol=1e-6)
    np.testing.assert_allclose(t.answer(np.asarray(x)), s(x), rtol=1e-6)
    u = there_and_back(t, tmp_path / "u")
    assert u.answer.program == t.answer.program
