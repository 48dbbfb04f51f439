"""What check finds in a solution that somebody changed, and what only the replay can find."""

import copy
import json
import os
import pathlib
import subprocess
import sys
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

import infsup as isp
from infsup.core import check as check_module
from infsup.core.errors import FileRejected
from infsup.core.registry import name_of, public
from infsup.core.storage import read_folder, write_folder

SOURCE = pathlib.Path(isp.__file__).parents[1]


class Sampled(isp.Bound):
    """Hoeffding's interval for the share of coordinates below a draw: a claim with a delta."""

    problems: ClassVar = (toy.Bowl,)

    def certify(self, problem, outcome, key, delta):
        hits = int(jnp.sum(jax.random.uniform(key, (400,), jnp.float32) < 0.5))
        lower, upper = interval(hits, 400, delta)
        return isp.Certificate(
            "share",
            "uniform draws",
            lower,
            upper,
            "confidence",
            name_of(Sampled),
            sense="min",
            range=(0.0, 1.0),
            level=1 - delta,
            hypotheses=(isp.Hypothesis("the draws are independent", "assumed"),),
            proof={"hits": hits, "n": 400, "delta": delta},
        )


def interval(hits, n, delta):
    half = float(np.sqrt(np.log(2 / delta) / (2 * n)))
    return hits / n - half, hits / n + half


@isp.promises("confidence", "conditional", quantity="share", range=(0.0, 1.0))
def check_sampled(problem, answer, proof):
    return interval(proof["hits"], proof["n"], proof["delta"])


isp.checker(Sampled)(check_sampled)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("check") / "s"
    solve().save(path)
    return path


def solve(**kw):
    bounds = (toy.Distance(), Sampled())
    return isp.solve(toy.bowl(), toy.NoisyDescent(steps=30), **{"bounds": bounds, "key": 3, **kw})


def test_the_toys_claims_stand(folder):
    checked = isp.check(folder)
    assert checked.stands, checked.findings
    assert not checked.replayed
    replayed = isp.check(folder, replay=True)
    assert replayed.stands, replayed.findings
    assert len(replayed.findings) == len(checked.findings) + 3  # two bounds, one comparator


@pytest.mark.parametrize(
    "kw",
    [
        {"stop": isp.Reach(1e3)},
        {"stop": isp.Reach(1e-2), "bounds": toy.Distance()},
        {"bounds": (Sampled(), toy.Distance()), "stop": isp.Reach(1.0)},
        {"bounds": Sampled()},
        {"bounds": (Sampled(), Sampled(), toy.Distance())},
        {"stop": isp.Steps(3)},
        {"delta": 0.3},
    ],
)
def test_runs_of_all_sorts_stand(kw, tmp_path):
    solve(**kw).save(tmp_path / "s")
    assert isp.check(tmp_path / "s", replay=True).stands


# -- tampering ------------------------------------------------------------------------------------


def claim(document, number):
    return document["certificates"]["tuple"][number]["fields"]


def number(form):
    return float(form["float"])


def shift(number_, field, by):
    def act(d, a):
        fields = claim(d, number_)
        fields[field] = {"float": repr(number(fields[field]) + by)}

    return act


def put(number_, field, value):
    def act(d, a):
        claim(d, number_)[field] = value

    return act


def proof(number_, field, value):
    def act(d, a):
        claim(d, number_)["proof"]["dict"][field] = value

    return act


def array(word, change):
    def act(d, a):
        name = next(k for k in a if word in k)
        a[name] = change(a[name])

    return act


def ledger(entries=None, granted=None):
    def act(d, a):
        fields = d["ledger"]["fields"]
        if granted is not None:
            fields["granted"] = {"float": repr(granted)}
        if entries is not None:
            forms = [{"tuple": [{"float": repr(e)}, w]} for e, w in entries]
            fields["entries"] = {"tuple": forms}

    return act


def drop(number_):
    def act(d, a):
        del d["certificates"]["tuple"][number_]

    return act


def both(*acts):
    def act(d, a):
        for f in acts:
            f(d, a)

    return act


def comparator(field, value):
    def act(d, a):
        d["comparators"]["dict"]["the origin"]["fields"][field] = value

    return act


def stronger_sample(d, a):
    """Another proof, with the ends that follow from it, all consistent within the files."""
    lower, upper = interval(40, 400, number(claim(d, 1)["proof"]["dict"]["delta"]))
    put(1, "lower", {"float": repr(lower)})(d, a)
    put(1, "upper", {"float": repr(upper)})(d, a)
    proof(1, "hits", 40)(d, a)


def another_answer(d, a):
    """The answer of another run, with the claim that is true of it: an honest other solution."""
    name = d["answer"]["array"]
    a[name] = np.asarray([1, 2, 3], np.float32)
    put(0, "lower", {"float": "0.0"})(d, a)
    put(0, "upper", {"float": "0.0"})(d, a)


FOUND = {
    "the upper end is lower": shift(0, "upper", -1e-9),
    "the lower end is higher": shift(0, "lower", 1e-9),
    "both ends moved": both(shift(0, "lower", 1e-9), shift(0, "upper", 1e-9)),
    "a sampled end": shift(1, "upper", -1e-9),
    "an assumed hypothesis, and certified": put(1, "verdict", "certified"),
    "an estimate, and certified": put(
        0, "hypotheses", {"tuple": [{"record": "core.Hypothesis", "fields": {
            "text": "x", "state": "estimated", "evidence": ""}}]}
    ),
    "a violated hypothesis, and numbers": put(
        0, "hypotheses", {"tuple": [{"record": "core.Hypothesis", "fields": {
            "text": "x", "state": "violated", "evidence": ""}}]}
    ),
    "the level, but not the proof's delta": put(1, "level", {"float": "0.999999"}),
    "level and delta, but not the ends": both(
        put(1, "level", {"float": "0.999999"}), proof(1, "delta", {"float": repr(1e-6)})
    ),
    "the level is lower than what was spent": put(1, "level", {"float": "0.5"}),
    "the ledger has no entries": ledger(entries=[]),
    "the ledger spent less": ledger(entries=[(1e-4, "x")]),
    "the ledger overdraws": ledger(granted=1e-5),
    "the proof's counts": proof(1, "hits", 40),
    "the proof's size": proof(1, "n", 40_000),
    "the proof's delta": proof(1, "delta", {"float": "1e-09"}),
    "the proof's delta is a list": proof(1, "delta", {"list": []}),
    "a proof that is not there": put(1, "proof", {"dict": {}}),
    "the answer's bytes": lambda d, a: a.update({d["answer"]["array"]: np.zeros(3, np.float32)}),
    "the answer's shape": lambda d, a: a.update({d["answer"]["array"]: np.zeros(2, np.float32)}),
    "the answer is NaN": lambda d, a: a.update(
        {d["answer"]["array"]: np.full(3, np.nan, np.float32)}
    ),
    "the problem's bytes": lambda d, a: a.update(
        {d["problem"]["fields"]["centre"]["array"]: np.zeros(3, np.float32)}
    ),
    "another bound's name": put(0, "bound", name_of(Sampled)),
    "a bound that nobody knows": put(0, "bound", "approximation.Nothing"),
    "a function of ours as a bound": put(0, "bound", "core.check"),
    "a function of Python as a bound": put(0, "bound", "generalization.Fraction"),
    "a private name as a bound": put(0, "bound", "generalization.__builtins__"),
    "a hypothesis is gone": both(
        put(1, "hypotheses", {"tuple": []}), put(1, "verdict", "certified")
    ),
    "a hypothesis was checked, they say": both(
        lambda d, a: claim(d, 1)["hypotheses"]["tuple"][0]["fields"].update(state="checked"),
        put(1, "verdict", "certified"),
    ),
    "a promised kind is stronger": both(
        put(1, "kind", "proved_real"), put(1, "level", {"float": "1.0"})
    ),
    "a promised quantity has a grander name": put(1, "quantity", "share of everything"),
    "a promised sense is turned": put(1, "sense", "max"),
    "a promised range": put(1, "range", {"tuple": [{"float": "-9.0"}, {"float": "9.0"}]}),
    "a certificate is gone": drop(1),
    "the headline is gone": drop(0),
    "a certificate stands twice": lambda d, a: d["certificates"]["tuple"].append(
        copy.deepcopy(d["certificates"]["tuple"][0])
    ),
    "the bounds are gone": lambda d, a: d.update(bounds={"tuple": []}),
    "the ledger is gone": lambda d, a: d.update(ledger=None),
}  # fmt: skip

HARMLESS = {
    "a wider bracket": both(shift(0, "upper", 1e-9), shift(0, "lower", -1e-9)),
    "a lower level, covered by the ledger": both(
        put(1, "level", {"float": "0.9"}), ledger([(0.1, "x")], granted=0.1)
    ),
    "the proof's copy of the answer": array("proof.w", lambda x: x + 1),
    "an honest other answer": another_answer,
}
"""The claims that remain are true, or nothing rests on what was changed."""

REPLAYED = {
    "the kind is stronger": put(0, "kind", "proved"),
    "other counts with the ends that follow": stronger_sample,
    "the quantity has a grander name": put(0, "quantity", "distance to the best in the world"),
    "the object has a grander name": put(0, "of", "all points"),
    "the sense is turned": put(0, "sense", "max"),
    "a goal that nobody asked": put(0, "goal", {"float": "1.0"}),
    "the range": put(0, "range", {"tuple": [{"float": "-inf"}, {"float": "inf"}]}),
    "the dtype": put(0, "dtype", "float32"),
    "a refusal becomes silence": both(
        put(0, "verdict", "refused"), put(0, "reason", "looked bad"),
        put(0, "lower", {"float": "-inf"}), put(0, "upper", {"float": "inf"}),
    ),
    "the key": array("key", lambda x: x + np.uint32(1)),
    "the simple answer looks worse": both(
        comparator("lower", {"float": "99.0"}), comparator("upper", {"float": "100.0"})
    ),
    "the simple answer has another name": lambda d, a: d["comparators"]["dict"].update(
        {"a rival": d["comparators"]["dict"].pop("the origin")}
    ),
}  # fmt: skip
"""All files agree with each other; only the model, run again on the data, says otherwise.

Those on words are of a bound whose checker promises nothing."""

NEVER = ("why", "resumed", "seconds", "stages", "surroundings")
"""Words and clocks: no claim rests on them, and no run repeats them."""


def tampered(act, folder, path):
    document, arrays = read_folder(folder)
    act(document, arrays)
    write_folder(path, document, arrays)
    return path


def stands(path):
    """Whether the check has nothing to say; an end that passes the other is refused already."""
    try:
        return isp.check(path).stands
    except FileRejected:
        return False


@pytest.mark.parametrize("name", FOUND)
def test_tampering_that_the_files_betray(name, folder, tmp_path):
    assert not stands(tampered(FOUND[name], folder, tmp_path / "s"))


@pytest.mark.parametrize(
    "name", [n for n in FOUND if "bound" not in n and "ledger is gone" not in n]
)
def test_a_false_number_fails_and_is_not_merely_open(name, folder, tmp_path):
    path = tampered(FOUND[name], folder, tmp_path / "s")
    try:
        assert isp.check(path).failed
    except FileRejected as e:
        assert "empty" in str(e)  # noqa: PT017 - an end that passed the other one


@pytest.mark.parametrize("name", HARMLESS)
def test_tampering_that_makes_no_claim_false(name, folder, tmp_path):
    assert isp.check(tampered(HARMLESS[name], folder, tmp_path / "s")).stands


@pytest.mark.parametrize("name", REPLAYED)
def test_tampering_that_only_the_replay_finds(name, folder, tmp_path):
    path = tampered(REPLAYED[name], folder, tmp_path / "s")
    assert not isp.check(path).failed, "findable from the files: it belongs to FOUND"
    assert isp.check(path, replay=True).failed


def test_every_bound_of_ours_says_what_its_checker_promises():
    for name, home in public("BOUNDS").items():
        function = check_module._function(f"{home}.{name}")
        assert {"kind", "verdict", "sense"} <= set(function.promises), name


def test_a_check_that_compares_nothing_is_found(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(check_module, "_inside", lambda *_: True)
    missed = {n for n in FOUND if stands(tampered(FOUND[n], folder, tmp_path / "s"))}
    assert {"both ends moved", "the proof's counts", "the answer's bytes"} <= missed


def test_a_verdict_that_does_not_fit_its_hypotheses_is_told(folder, tmp_path):
    path = tampered(put(1, "verdict", "certified"), folder, tmp_path / "s")
    assert "its own hypotheses" in isp.check(path).failed[0].text


# -- what cannot be re-checked --------------------------------------------------------------------


class Lonely(isp.Bound):
    """A bound without a checker."""

    def certify(self, problem, outcome, key, delta):
        name = name_of(Lonely)
        return isp.Certificate("q", "f", 0.25, 0.5, "estimate", name, sense="min")


class Refuses(isp.Bound):
    def certify(self, problem, outcome, key, delta):
        name = name_of(Refuses)
        return isp.Certificate(
            "q", "f", 0.25, 0.5, "estimate", name, verdict="refused", reason="ESS"
        )


def test_a_bound_without_checker_is_never_said_to_agree(tmp_path):
    solve(bounds=(Lonely(),)).save(tmp_path / "s")
    checked = isp.check(tmp_path / "s")
    assert not checked.stands
    assert [f.verdict for f in checked.findings if "q" in f.what] == ["not re-checked"]
    assert all("q (" not in f.what for f in checked.findings if f.verdict == "agrees")


def test_a_refusal_stands(tmp_path):
    solve(bounds=(Refuses(),)).save(tmp_path / "s")
    checked = isp.check(tmp_path / "s", replay=True)
    assert checked.stands
    assert any("no number is claimed" in f.text for f in checked.findings)


def test_a_users_checker_is_found(tmp_path):
    solve(bounds=(Lonely(),)).save(tmp_path / "s")
    name = name_of(Lonely)
    try:
        isp.checker(Lonely)(lambda problem, answer, proof: (0.3, 0.4))
        assert isp.check(tmp_path / "s").stands
        for lower, upper in ((0.2, 0.4), (0.3, 0.6), (np.nan, 0.4), (0.3, np.nan), ("a", "b")):
            isp.checker(name)(lambda *_, ends=(lower, upper): ends)
            assert isp.check(tmp_path / "s").failed
        for odd in (None, 3, (1,), (1, 2, 3), (10**400, 10**400), ([0.3, 0.3], [0.4, 0.4])):
            isp.checker(name)(lambda *_, odd=odd: odd)
            assert isp.check(tmp_path / "s").failed
    finally:
        check_module._outside.pop(name, None)


def test_an_answer_that_was_not_stored_is_not_replayed_but_said(tmp_path):
    class Free(isp.Problem):
        @property
        def asks(self):
            s = jax.ShapeDtypeStruct((2,), np.dtype("float32"))
            return isp.Function((s,), s)

    class Own(isp.DirectMethod):
        def find(self, problem, start, key):
            return start

    f = lambda x: jnp.sort(x)  # noqa: E731 - no program holds this
    isp.solve(Free(), Own(), bounds=Lonely(), start=f).save(tmp_path / "s")
    replay = isp.check(tmp_path / "s", replay=True)
    assert any("not stored" in x.text for x in replay.open)
    assert isp.check(tmp_path / "s", replay=True, like=f).findings[-1].verdict == "agrees"


@pytest.mark.parametrize("field", ["problem", "answer", "bounds", "certificates", "ledger"])
def test_a_folder_that_lacks_a_part_is_refused(field, folder, tmp_path):
    def act(d, a):
        del d[field]

    with pytest.raises(FileRejected, match="lacks"):
        isp.check(tampered(act, folder, tmp_path / "s"))


# -- without JAX ----------------------------------------------------------------------------------


def run(code, *arguments):
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=env,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


CHECK = """
import json, sys, infsup
if "{plant}":
    import jax
@infsup.checker("toy:Distance")
def distance(problem, answer, proof):
    d = float(((answer.astype(float) - problem["centre"]) ** 2).sum())
    return d, d
checked = infsup.check(sys.argv[1])
heavy = [m for m in ("jax", "equinox", "scipy", "matplotlib") if m in sys.modules]
print(json.dumps([[f.what, f.verdict] for f in checked.findings] + [heavy]))
"""


def test_check_runs_without_jax(folder):
    *findings, heavy = json.loads(run(CHECK.replace("{plant}", ""), folder))
    assert heavy == []
    said = dict(findings)
    assert said["upper end of excess value (toy:Distance)"] == "agrees"
    assert [w for w, v in findings if v == "not re-checked"]  # Sampled has no checker over there
    assert "jax" in json.loads(run(CHECK.replace("{plant}", "x"), folder))[-1]
