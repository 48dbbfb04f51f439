"""Damaged and lying structural proofs: one clear rejection each, and nothing false accepted."""

from fractions import Fraction

import numpy as np
import pytest

from infsup.approximation import (
    Approximate,
    PiecewiseLinear,
    SharedCoordinate,
    Square,
    StructuralEnclosure,
    check,
    graph,
)
from infsup.core.encoding import Record
from infsup.core.errors import FileRejected
from infsup.core.program import Argument, Program, Step
from infsup.numerics.enclosure import program_of

pytestmark = pytest.mark.usefixtures("x64")

BASES = {
    "gates": ("exp(x)", (-1.0, 1.0), 1e-4, SharedCoordinate(p=4), "real"),
    "line": ("abs(sin(5*x))", (-1.0, 1.0), 5e-2, PiecewiseLinear(), "real"),
    "strict": ("x**2", (-1.0, 1.0), 1e-3, Square(strict=True), "real"),
    "executed": ("exp(x)", (-1.0, 1.0), 1e-3, SharedCoordinate(p=4), "float32"),
}


@pytest.fixture(scope="module")
def built():
    made = {}

    def get(name):
        if name not in made:
            f, domain, eps, method, dtype = BASES[name]
            problem = Approximate(f, domain, eps, dtype=dtype)
            outcome = method.find(problem, None, None)
            c = StructuralEnclosure().certify(problem, outcome, None, 0.01)
            net = outcome.answer
            made[name] = (
                {k: getattr(problem, k) for k in ("f", "domain", "eps", "dtype")},
                [(np.array(w), np.array(b)) for w, b in (*net.levels, net.out)],
                dict(c.proof),
                c,
            )
        problem, pairs, proof, c = made[name]
        pairs = [(w.copy(), b.copy()) for w, b in pairs]
        proof = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in proof.items()}
        return dict(problem), pairs, proof, c

    return get


def checked(problem, pairs, proof, name="networks.ReLUNetwork"):
    fields = {"n_inputs": 1, "levels": tuple(pairs[:-1]), "out": pairs[-1], "scalar": True}
    answer = Record(name, {**fields, "notes": ()})
    return check.StructuralEnclosure(Record("approximation.Approximate", problem), answer, proof)


def measured(problem, pairs):
    """The largest |f - N| at 20,001 points."""
    x = np.linspace(*problem["domain"], 20_001)
    h = x[None].astype(np.longdouble)
    for w, b in pairs[:-1]:
        h = np.concatenate([h, np.maximum(w.astype(np.longdouble) @ h + b[:, None], 0)])
    w, b = pairs[-1]
    return float(np.max(np.abs((w.astype(np.longdouble) @ h)[0] + b[0] - problem["f"](x))))


def put(field, at, value):
    def change(problem, pairs, proof):
        proof[field][at] = value

    return change


def instead(field, value):
    def change(problem, pairs, proof):
        proof[field] = value(proof[field]) if callable(value) else value

    return change


def asked(**fields):
    def change(problem, pairs, proof):
        problem.update(fields)

    return change


def weight(level, at, value):
    def change(problem, pairs, proof):
        pairs[level][0][at] = value

    return change


def weights(of):
    def change(problem, pairs, proof):
        pairs[:] = [(of(w), of(b)) for w, b in pairs]

    return change


def of_role(proof, role):
    return np.flatnonzero(proof["roles"][:, 0] == role)


def swapped(role, other):
    def change(problem, pairs, proof):
        i, j = of_role(proof, role)[0], of_role(proof, other)[-1]
        proof["roles"][[i, j]] = proof["roles"][[j, i]]

    return change


def numbered(role, column, value, first=0):
    def change(problem, pairs, proof):
        proof["roles"][of_role(proof, role)[first], column] = value

    return change


def exchanged_gates(problem, pairs, proof):
    gates = of_role(proof, graph.GATE)
    proof["roles"][gates[:2], 2] = proof["roles"][gates[:2][::-1], 2]


def chains_renamed(problem, pairs, proof):
    chain = proof["roles"][:, 1]
    chain[chain > 0] = 4 - chain[chain > 0]


def idle_unit(with_role):
    def change(problem, pairs, proof):
        w, b = pairs[-2]
        pairs[-2] = np.concatenate([w, np.zeros((1, w.shape[1]))]), np.append(b, 0.0)
        w, b = pairs[-1]
        pairs[-1] = np.concatenate([w, np.zeros((1, 1))], axis=1), b
        if with_role is not None:
            proof["roles"] = np.concatenate([proof["roles"], np.int32([with_role])])

    return change


def two_outputs(problem, pairs, proof):
    w, b = pairs[-1]
    pairs[-1] = np.concatenate([w, w]), np.concatenate([b, b])


def no_levels(problem, pairs, proof):
    del pairs[:-1]


def beyond(problem, pairs, proof):
    """Right on [-1, 1], and unknown beyond; the knots say nothing of it."""
    problem["domain"] = (-1.0, 4.0)


def transposed(problem, pairs, proof):
    pairs[-2] = pairs[-2][0].T, pairs[-2][1]


def wide(problem, pairs, proof):
    steps = (Step("broadcast", (0,), {"shape": (3,), "axes": ()}),)
    problem["f"] = Program((Argument("x", ()),), steps, 1)


DAMAGED = {
    "roles of two units swapped": ("gates", swapped(graph.FOLD, graph.TOOTH)),
    "a tooth is called a gate": ("gates", numbered(graph.TOOTH, 0, graph.GATE)),
    "a gate is called a coordinate": ("gates", numbered(graph.GATE, 0, graph.COORDINATE)),
    "a gate is called a collector": ("gates", numbered(graph.GATE, 0, graph.COLLECTOR)),
    "a knot is called a coordinate": ("gates", numbered(graph.KNOT, 0, graph.COORDINATE)),
    "a collector is called an accumulator of too many": (
        "gates",
        numbered(graph.COLLECTOR, 2, 40),
    ),
    "gates of each other's cells": ("gates", exchanged_gates),
    "a gate of cell -1": ("gates", numbered(graph.GATE, 2, -1)),
    "a gate of a cell beyond": ("gates", numbered(graph.GATE, 2, 2**31 - 1)),
    "chains in another order": ("gates", chains_renamed),
    "a chain 0": ("gates", numbered(graph.FOLD, 1, 0)),
    "a tooth of negative number": ("gates", numbered(graph.TOOTH, 2, -1)),
    "a tooth twice": ("gates", numbered(graph.TOOTH, 2, 1, first=1)),
    "a carried iterate of number -1": ("strict", numbered(graph.CARRY, 2, -1)),
    "an accumulator called a collector beyond": ("strict", numbered(graph.ACCUMULATOR, 2, 99)),
    "a role without meaning": ("gates", numbered(graph.TOOTH, 0, 8)),
    "a negative role": ("gates", numbered(graph.GATE, 0, -1)),
    "no roles": ("gates", instead("roles", np.zeros((0, 3), np.int32))),
    "too few roles": ("gates", instead("roles", lambda r: r[:-1])),
    "flat roles": ("gates", instead("roles", lambda r: r.ravel())),
    "roles in floats": ("gates", instead("roles", lambda r: r.astype(float))),
    "roles of text": ("gates", instead("roles", lambda r: r.astype(str))),
    "roles missing": ("gates", lambda problem, pairs, proof: proof.pop("roles")),
    "cells merged": ("gates", instead("cells", lambda c: c[:-1])),
    "a cell too many": ("line", instead("cells", lambda c: np.append(c, 1.0))),
    "cells in a column": ("line", instead("cells", lambda c: c[:, None])),
    "cells of no number": ("gates", put("cells", 0, np.nan)),
    "an infinite cell": ("gates", put("cells", 0, np.inf)),
    "a negative cell": ("line", put("cells", 3, -1e-9)),
    "a cell of 0": ("gates", put("cells", 1, 0.0)),
    "a cell lowered by a hundredth": ("line", instead("cells", lambda c: c * 0.99)),
    "cells of text": ("gates", instead("cells", np.array(["a", "b"]))),
    "cells of nothing": ("gates", instead("cells", None)),
    "a point outside": ("gates", put("points", 0, 1.5)),
    "a point of no number": ("gates", put("points", 0, np.nan)),
    "an infinite point": ("gates", put("points", 0, np.inf)),
    "a point that float32 does not hold": ("executed", put("points", 0, 0.1)),
    "points of text": ("gates", instead("points", np.array(["x"]))),
    "a weight that is no number": ("gates", weight(-1, (0, 0), np.nan)),
    "an infinite weight": ("gates", weight(0, (0, 0), np.inf)),
    "a weight of 1e300": ("gates", weight(-1, (0, 2), 1e300)),
    "a weight of 1e-300": ("gates", weight(-2, (0, 1), 1e-300)),
    "weights of 1e308": ("line", weights(lambda w: np.copysign(1e308, w))),
    "integer weights": ("line", weights(lambda w: w.astype(np.int64))),
    "complex weights": ("line", weights(lambda w: w + 1j)),
    "weights of 80 bits": ("line", weights(lambda w: w.astype(np.longdouble))),
    "weights of text": ("line", weights(lambda w: w.astype(str))),
    "weights of objects": ("line", weights(lambda w: w.astype(object))),
    "weights in lists": ("line", weights(lambda w: w.tolist())),
    "weights in float16": ("line", weights(lambda w: w.astype(np.float16))),
    "a knot moved beyond the domain": (
        "line",
        lambda problem, pairs, proof: np.put(pairs[0][1], 0, 2),
    ),
    "knots out of order": ("line", lambda problem, pairs, proof: pairs[0][1].sort()),
    "a unit without a role": ("gates", idle_unit(None)),
    "an idle unit called a tooth": ("gates", idle_unit((graph.TOOTH, 1, 1))),
    "an idle unit called a gate": ("gates", idle_unit((graph.GATE, -1, 7))),
    "two outputs": ("gates", two_outputs),
    "no levels": ("gates", no_levels),
    "a matrix transposed": ("gates", transposed),
    "another function": ("gates", asked(f=program_of("exp(x)+1e-4*x"))),
    "a function with a pole": ("gates", asked(f=program_of("1/x"))),
    "a function that is not defined everywhere": ("gates", asked(f=program_of("sqrt(x)"))),
    "a function of two": ("gates", asked(f=Program((Argument("x"), Argument("y")), (), 0))),
    "a function of many values": ("gates", wide),
    "no function": ("gates", asked(f=None)),
    "text for a function": ("gates", asked(f="exp(x)")),
    "a larger domain": ("gates", beyond),
    "a domain without a knot": ("gates", asked(domain=(-1.0, -0.9))),
    "an empty domain": ("gates", asked(domain=(1.0, 1.0))),
    "a domain the other way about": ("gates", asked(domain=(1.0, -1.0))),
    "a domain of no number": ("gates", asked(domain=(-1.0, np.nan))),
    "an infinite domain": ("gates", asked(domain=(-np.inf, 1.0))),
    "half a domain": ("gates", asked(domain=(1.0,))),
    "an unknown dtype": ("gates", asked(dtype="bfloat16")),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_damaged_is_refused_in_one_way(built, case):
    base, change = DAMAGED[case]
    problem, pairs, proof, _ = built(base)
    change(problem, pairs, proof)
    with pytest.raises(ValueError, match=r"."):
        checked(problem, pairs, proof)


@pytest.mark.parametrize("base", BASES)
def test_what_is_built_is_accepted(built, base):
    problem, pairs, proof, c = built(base)
    lower, upper = checked(problem, pairs, proof)
    assert c.lower <= lower <= upper <= c.upper


def shifted(problem, pairs, proof):
    pairs[-1][1][0] += 1e-6


HARMLESS = {
    "a point fewer": ("gates", instead("points", lambda p: p[:1])),
    "no points": ("gates", instead("points", np.zeros(0))),
    "cells raised": ("gates", instead("cells", lambda c: 2 * c)),
    "a cell lowered by one step": ("line", instead("cells", lambda c: np.nextafter(c, 0))),
    "an idle unit that is a coordinate": ("gates", idle_unit((graph.COORDINATE, -1, -1))),
    "the output raised": ("gates", shifted),
    "read in float64": ("executed", asked(dtype="float64")),
    "read as float32": ("line", asked(dtype="float32")),
    "a smaller domain": ("line", asked(domain=(-0.999, 1.0))),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_may_be_accepted_is_true(built, case):
    """A changed proof is refused, or its bracket is one of the distance."""
    base, change = HARMLESS[case]
    problem, pairs, proof, _ = built(base)
    change(problem, pairs, proof)
    truth = measured(problem, pairs)
    try:
        lower, upper = checked(problem, pairs, proof)
    except ValueError:
        return
    assert lower <= truth * (1 + 1e-6) + 1e-6 * (problem["dtype"] != "real")
    assert upper >= truth * (1 - 1e-9)


def test_squares_of_squares_of_squares_do_not_hang():
    """Each is a lemma, but their polynomials double their degree."""
    net = graph.Graph()
    v = {graph.INPUT: Fraction(1)}
    for k in range(1, 31):
        v = {net.square(v, 2, k): Fraction(1)}
    network, roles = net.network(v, np.dtype(np.float64))
    pairs = [(np.array(w), np.array(b)) for w, b in (*network.levels, network.out)]
    proof = {"roles": roles, "cells": np.ones(1), "points": np.zeros(1)}
    problem = {"f": program_of("x"), "domain": (0.0, 1.0), "eps": 1.0, "dtype": "real"}
    with pytest.raises(ValueError, match="squares of squares"):
        checked(problem, pairs, proof)


@pytest.mark.parametrize("exponent", [10**6, 10**400, -(10**9), Fraction(10**9, 7)])
def test_large_powers_do_not_hang(built, exponent):
    problem, pairs, proof, _ = built("line")
    steps = (Step("power_of", (0,), {"exponent": Fraction(exponent)}),)
    problem["f"] = Program((Argument("x", ()),), steps, 1)
    with pytest.raises(ValueError, match=r"."):
        checked(problem, pairs, proof)


def test_another_answer_is_refused(built):
    problem, pairs, proof, _ = built("gates")
    with pytest.raises(FileRejected, match="no stored ReLUNetwork"):
        checked(problem, pairs, proof, "equinox.nn.MLP")
    empty = Record("networks.ReLUNetwork", {})
    with pytest.raises(FileRejected, match="no field `levels`"):
        check.StructuralEnclosure(Record("approximation.Approximate", problem), empty, proof)
