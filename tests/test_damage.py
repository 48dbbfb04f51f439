"""Saved solutions of every pillar, changed by strangers who also mend the checksums."""

import contextlib
import copy
import math
import random
import signal

import equinox as eqx
import jax
import numpy as np
import pytest

import infsup as isp
from infsup.approximation import Approximate, AttentionHead, GELUSquare, Given, PiecewiseEnclosure
from infsup.core.certificate import KINDS
from infsup.core.errors import InfsupError, UsageError
from infsup.core.storage import number_to_text, read_folder, write_folder

pytestmark = pytest.mark.usefixtures("x64")


def given():
    net = eqx.nn.MLP("scalar", "scalar", 4, 1, jax.nn.relu, key=jax.random.key(1))
    problem, start = Approximate("sin(x)", (-1, 1), dtype="float32"), isp.Outcome(net)
    return isp.solve(problem, Given("mine"), bounds=(PiecewiseEnclosure(),), start=start)


QUICK = {
    "network": lambda: isp.solve(Approximate("cos(2*x)", (0, 1), 1e-3, dtype="float32")),
    "given": given,
}
LONG = {
    "gelu": lambda: isp.solve(Approximate("x**2", (-1, 1)), GELUSquare(8, spread=1.0)),
    "attention": lambda: isp.solve(Approximate("sin(4*x)", (-1, 1)), AttentionHead(8)),
    "digits": lambda: isp.solve(isp.problem("digits"), stop=isp.Steps(20)),
    "softmax": lambda: isp.solve(isp.problem("digits-softmax")),
    "hjb": lambda: isp.solve(isp.problem("hjb-lq-100")),
    "riccati": lambda: isp.solve(isp.problem("double-integrator")),
    "flow": lambda: isp.solve(isp.problem("digits-flow"), stop=isp.Steps(20)),
}
ALL = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in LONG)]

HUGE = "1" + "0" * 7000
STRANGE = [
    None, True, 0, 1, -1, 2**31, 10**19, "", "real", "float16", "nan", "1/0", HUGE,
    f"1/{HUGE[:60]}",
    "../../etc/passwd", "é\u202e", "x" * 5000, [], {}, [1], [2**30, 2**30], [[0], [0]], "broadcast",
    {"float": "nan"}, {"float": "inf"}, {"float": "1e+308"}, {"float": "0.0"}, {"float": "-1.0"},
    {"ratio": HUGE}, {"ratio": "1/3"}, {"tuple": []}, {"dict": {}}, {"dtype": "float64"},
    {"shape": [2**40, 2**40], "dtype": "float64"}, {"function": "jax.nn.relu"},
]  # fmt: skip


@pytest.fixture(scope="module", params=ALL)
def saved(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("damage") / request.param
    {**QUICK, **LONG}[request.param]().save(path)
    assert isp.check(path).stands
    return read_folder(path)


def places(x):
    for k, v in list(x.items()) if isinstance(x, dict) else list(enumerate(x)):
        yield x, k
        if isinstance(v, (dict, list)):
            yield from places(v)


def damaged(rng, document, arrays):
    d, a = copy.deepcopy(document), dict(arrays)
    for _ in range(rng.choice([1, 1, 2, 4])):
        part = rng.choice([d, *(d[k] for k in ("problem", "answer", "certificates") if k in d)])
        if not isinstance(part, (dict, list)) or not part:
            continue
        box, k = rng.choice(list(places(part)))
        act = rng.randrange(7)
        if act == 0:
            box.pop(k)
        elif act == 1:
            other, j = rng.choice(list(places(d)))
            box[k] = copy.deepcopy(other[j])
        elif act < 4 and a:
            name = rng.choice(sorted(a))
            x = a[name]
            flat = x.reshape(-1)
            shapes = [flat, flat[:1], flat[:0], x[None], x.T, np.tile(flat, 3), x.astype(np.int8)]
            values = [np.full(x.shape, v) for v in (math.nan, math.inf, 0.0, 1e308, -1.0)]
            with np.errstate(all="ignore"):
                a[name] = rng.choice([*shapes, *values, x.astype(np.float16)])
        elif act == 4 and a:
            a.pop(rng.choice(sorted(a)))
        else:
            box[k] = copy.deepcopy(rng.choice(STRANGE))
    return d, a


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # casts of the damage itself
def test_damage_ends_in_an_error_in_words_or_in_a_finding(saved, tmp_path, request):
    def bell(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, bell)
    rng, ends = random.Random(0), set()
    for number in range(60 if request.node.callspec.params["saved"] in QUICK else 1500):
        try:
            write_folder(tmp_path / "s", *damaged(rng, *saved))
        except UsageError:  # the writer refuses it already
            continue
        for read in (isp.check, isp.load):
            signal.alarm(60)
            try:
                found = read(tmp_path / "s")
                ends.add(getattr(found, "stands", "loaded"))
                repr(found)
            except InfsupError:
                ends.add("refused")
            except Exception as e:
                raise AssertionError(f"number {number}, {read.__name__}") from e
            finally:
                signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    assert {False, "refused", "loaded"} <= ends


def number(x):
    return {"float": number_to_text(float(x))}


STRONGER = {
    "an end beyond the other": lambda c: {"upper": c["lower"], "lower": c["upper"]},
    "nothing is wrong": lambda c: {"lower": number(0), "upper": number(0)},
    "another quantity": lambda c: {"quantity": "everything"},
    "the other sense": lambda c: {"sense": "max"},
    "a goal that nobody asked": lambda c: {"goal": number(1e-12)},
    "surer": lambda c: {"level": number(1 - 1e-12)},
    "a stronger kind": lambda c: {
        "kind": KINDS[max(KINDS.index(c["kind"]) - 1, 0)], "level": number(1)
    },
    "without its assumption": lambda c: {"verdict": "certified", "hypotheses": {"tuple": []}},
}  # fmt: skip
SAME = {  # what is no change of a claim that is so already
    "without its assumption": lambda c: c["verdict"] == "certified",
    "surer": lambda c: c["level"] == number(1),
    "a stronger kind": lambda c: c["kind"] == "proved",
    "nothing is wrong": lambda c: c["lower"] == c["upper"] == number(0),
    "an end beyond the other": lambda c: c["lower"] == c["upper"],
}


def test_no_claim_is_strengthened_unseen(saved, tmp_path):
    document, arrays = saved
    for i, c in enumerate(c["fields"] for c in document["certificates"]["tuple"]):
        for what, change in STRONGER.items():
            if SAME.get(what, lambda c: False)(c):
                continue
            d = copy.deepcopy(document)
            d["certificates"]["tuple"][i]["fields"].update(change(c))
            write_folder(tmp_path / "s", d, arrays)
            with contextlib.suppress(InfsupError):
                assert not isp.check(tmp_path / "s").stands, (what, c["bound"])
