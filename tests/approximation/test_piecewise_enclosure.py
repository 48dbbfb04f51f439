"""Any ReLU network of one variable: brackets that hold, refusals, a checker that finds harm."""

import dataclasses
import functools
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import infsup as isp
from infsup.approximation import Approximate, Given, PiecewiseEnclosure, check, check_pieces
from infsup.approximation import lower_bound as lb
from infsup.core.encoding import decode, encode
from infsup.core.errors import UsageError
from infsup.networks import ReLUNetwork, from_equinox, from_onnx, to_onnx
from infsup.networks.recipes import Standardised
from infsup.networks.scalar import scalar_form
from infsup.numerics import piecewise_linear as pl
from infsup.numerics.enclosure import Enclosure, program_of

pytestmark = pytest.mark.usefixtures("x64")


def mlp(width, depth, seed=0, dtype=jnp.float32, text="sin(3*x)", on=(-1.0, 1.0)):
    """A network with random features whose last layer is fitted to a function."""
    net = eqx.nn.MLP("scalar", "scalar", width, depth, key=jax.random.key(seed), dtype=dtype)
    x = np.linspace(*on, 300)
    h = x[:, None].astype(dtype)
    for layer in net.layers[:-1]:
        h = np.maximum(h @ np.asarray(layer.weight).T + np.asarray(layer.bias), 0)
    h = np.column_stack([h, np.ones(len(x))]).astype(np.float64)
    fit = np.linalg.lstsq(h, program_of(text)(x), rcond=1e-6)[0].astype(dtype)
    last = jnp.asarray(fit[None, :-1]), jnp.asarray(fit[-1:])
    return eqx.tree_at(lambda m: (m.layers[-1].weight, m.layers[-1].bias), net, last)


def read(x):
    """As a checker sees it."""
    arrays = {}
    return decode(encode(x, arrays, "x"), arrays)


def certify(problem, net, **settings):
    return isp.certify(problem, net, PiecewiseEnclosure(**settings))


def checked(problem, net, certificate):
    return check_pieces.PiecewiseEnclosure(read(problem), read(net), certificate.proof)


@pytest.mark.parametrize(
    ("width", "depth", "text", "on"),
    [
        (16, 1, "sin(3*x)", (-1.0, 1.0)),
        (12, 2, "abs(x)", (-1.0, 1.0)),
        (16, 3, "exp(-x)*sin(3*x)", (0.0, 6.0)),
        (10, 4, "1/(1+25*x**2)", (-1.0, 1.0)),
    ],
)
def test_trained_networks(width, depth, text, on):
    net = mlp(width, depth, width, text=text, on=on)
    problem = Approximate(text, on)
    c = certify(problem, net)
    assert (c.kind, c.verdict, c.sense) == ("proved", "certified", "min")
    exact = from_equinox(net)
    x = np.linspace(*on, 20_001)
    sampled = np.abs(problem.values(x) - exact.values(x)).max()
    # sampling always under-reports
    assert sampled <= c.upper
    assert c.upper - c.lower <= 0.01 * c.upper
    # the least upper end there can be, at the exact breakpoints
    xs, (ys,) = pl.exact_pieces(exact.levels, exact.out, *on)
    at = np.array([int(q.p) / int(q.q) for q in xs])
    values = np.array([int(q.p) / int(q.q) for q in ys])
    assert np.abs(problem.values(at) - values).max() <= c.upper * (1 + 1e-12)
    low, up = checked(problem, net, c)
    assert c.lower <= low <= up <= c.upper


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_as_executed(dtype):
    net = mlp(32, 3, 3)
    problem = Approximate("sin(3*x)", (-1.0, 1.0), dtype=dtype)
    c = certify(problem, net)
    assert c.dtype == f"executed in {dtype}"
    assert c.budget["rounding"] > 0
    kind = np.dtype(dtype)
    x = np.linspace(-1, 1, 5001).astype(kind)
    wide = jax.tree.map(lambda v: v.astype(kind) if eqx.is_inexact_array(v) else v, net)
    y = np.asarray(jax.jit(jax.vmap(wide))(x)).astype(np.float64)
    assert np.abs(problem.values(x.astype(np.float64)) - y).max() <= c.upper
    low, up = checked(problem, net, c)
    assert c.lower <= low <= up <= c.upper
    # a float64 network is cast first, and the certificate says so
    deep = mlp(8, 1, 5, jnp.float64)
    said = certify(problem, deep)
    assert ("rounded to float32" in said.of) == (dtype == "float32")
    assert checked(problem, deep, said)[0] >= said.lower


def test_every_door_that_a_network_comes_through(tmp_path):
    problem = Approximate("sin(3*x)", (-1.0, 1.0))
    net = mlp(8, 2, 1)
    ends = [
        (c.lower, c.upper)
        for c in (
            certify(problem, net),
            certify(problem, from_equinox(net)),
            certify(problem, from_onnx(to_onnx(net, tmp_path / "n.onnx"))),
            certify(problem, problem.accept(net)),
        )
    ]
    assert len(set(ends)) == 1
    layers = [eqx.nn.Linear("scalar", 4, key=jax.random.key(0)), eqx.nn.Lambda(jax.nn.relu)]
    layers += [eqx.nn.Linear(4, "scalar", use_bias=False, key=jax.random.key(1))]
    chain = eqx.nn.Sequential(layers)
    inner = eqx.nn.MLP(1, "scalar", 4, 1, final_activation=jax.nn.identity, key=jax.random.key(2))
    wrapped = Standardised(np.float32([0.3]), np.float32([1.7]), inner)
    for one in (chain, wrapped):
        for dtype in ("real", "float32"):
            asked = Approximate("sin(3*x)", (-1.0, 1.0), dtype=dtype)
            c = certify(asked, one)
            low, up = checked(asked, one, c)
            assert c.lower <= low <= up <= c.upper


def test_networks_of_arrays_of_one_number_are_taken_too():
    problem = Approximate("sin(3*x)", (-1.0, 1.0))
    keys = jax.random.split(jax.random.key(0), 3)
    one = eqx.nn.MLP(1, 1, 8, 2, key=keys[0])
    layers = [eqx.nn.Linear(1, 4, key=keys[1]), eqx.nn.Lambda(jax.nn.relu)]
    chain = eqx.nn.Sequential([*layers, eqx.nn.Linear(4, 1, key=keys[2])])
    single = eqx.nn.Sequential([eqx.nn.Linear(1, 1, key=keys[1])])
    wrapped = Standardised(np.float32([0.3]), np.float32([1.7]), one)
    for net in (one, chain, single, wrapped, eqx.nn.MLP(1, 1, 8, 0, key=keys[0])):
        c = certify(problem, net)
        assert c.verdict == "certified"
        x = np.float32(0.25)
        assert problem.accept(net)(x) == net(jnp.asarray([x]))[0]
        assert abs(float(problem.values(np.array([0.25]))[0]) - float(net(jnp.asarray([x]))[0])) < (
            c.upper + 1e-6
        )
    two = eqx.nn.MLP(2, 1, 8, 2, key=keys[0])
    with pytest.raises(UsageError, match="2 inputs"):
        scalar_form(two)
    assert scalar_form(jnp.sin) is jnp.sin


def test_what_it_is_not_for():
    problem = Approximate("sin(3*x)", (-1.0, 1.0))
    smooth = eqx.nn.MLP("scalar", "scalar", 4, 1, jnp.tanh, key=jax.random.key(0))
    c = certify(problem, smooth)
    assert c.verdict == "inapplicable"
    assert "tanh" in c.reason
    c = certify(problem, lambda x: x)
    assert (c.verdict, c.upper) == ("inapplicable", np.inf)
    rough = Approximate(lambda x: np.abs(np.sin(x)), (0.0, 1.0), lipschitz=1.0)
    if not hasattr(rough.f, "steps"):
        assert certify(rough, mlp(4, 1)).verdict == "inapplicable"
    with pytest.raises(UsageError, match="rtol"):
        PiecewiseEnclosure(0.0)
    with pytest.raises(UsageError):
        isp.certify(
            problem, eqx.nn.MLP(2, "scalar", 4, 1, key=jax.random.key(0)), PiecewiseEnclosure()
        )


def test_refusals():
    huge = ReLUNetwork(1, (), (np.array([[1e300]]), np.zeros(1)))
    single = Approximate("x", (0.0, 1.0), dtype="float32")
    c = certify(single, huge)
    assert c.verdict == "refused"
    assert "float32" in c.reason
    levels = [(np.array([[1e300]]), np.zeros(1))]
    beyond = ReLUNetwork(1, levels, (np.array([[0.0, 1e300]]), np.zeros(1)))
    assert certify(Approximate("x", (0.0, 1.0)), beyond).verdict == "refused"


def test_goal_and_notes():
    net = mlp(16, 1)
    worth = certify(Approximate("sin(3*x)", (-1.0, 1.0)), net)
    for eps, met in ((2 * worth.upper, "yes"), (worth.lower / 2, "no")):
        assert certify(Approximate("sin(3*x)", (-1.0, 1.0), eps), net).met == met
    inexact = from_equinox(net)
    inexact = ReLUNetwork(1, inexact.levels, inexact.out, notes=("divisions are rounded",))
    c = certify(Approximate("sin(3*x)", (-1.0, 1.0)), inexact)
    assert c.verdict == "conditional"


def test_saved_and_checked_in_a_process_without_jax(tmp_path):
    problem = Approximate("exp(-x)*sin(3*x)", (0.0, 6.0))
    solution = isp.solve(
        problem, Given("mine"), start=isp.Outcome(mlp(16, 2)), bounds=(PiecewiseEnclosure(),)
    )
    assert set(solution.comparators) == {"constant", "straight line"}
    solution.save(tmp_path / "s")
    assert isp.load(tmp_path / "s").certificate.upper == solution.certificate.upper
    code = (
        "import sys; from infsup.core.check import check; r = check(sys.argv[1]);"
        "assert r.stands, r; assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "s")], check=True, timeout=100)
    assert check.PiecewiseEnclosure is not None
    with pytest.raises(UsageError, match="start"):
        isp.solve(problem, Given(), bounds=(PiecewiseEnclosure(),))


def test_harmful_mutations_are_rejected():
    net = from_equinox(mlp(8, 2, 4))
    problem = Approximate("sin(3*x)", (-1.0, 1.0))
    c = certify(problem, net)
    rng, harmful = np.random.default_rng(0), 0
    x = np.linspace(-1, 1, 2001)
    for _ in range(40):
        pairs = [[w.copy(), b.copy()] for w, b in (*net.levels, net.out)]
        one = pairs[rng.integers(3)][rng.integers(2)]
        place = tuple(rng.integers(n) for n in one.shape)
        one[place] = one[place] * (1 + rng.choice([-1, 1]) * 10.0 ** rng.uniform(-4, 0)) + 1e-6
        mutant = ReLUNetwork(1, [tuple(p) for p in pairs[:-1]], tuple(pairs[-1]))
        if np.abs(problem.values(x) - mutant.values(x)).max() <= c.upper * (1 + 1e-9):
            continue
        harmful += 1
        with pytest.raises(ValueError, match="not shown"):
            checked(problem, mutant, c)
    assert harmful > 10


def test_a_proof_that_lies_is_rejected():
    net, problem = mlp(8, 2, 4), Approximate("sin(3*x)", (-1.0, 1.0))
    c = certify(problem, net)
    proof = dict(c.proof)
    for change in (
        {"upper": c.upper * 0.99},
        {"grid": proof["grid"][1:]},
        {"grid": proof["grid"][:2]},
        {"witness": 5.0},
    ):
        lie = dataclasses.replace(c, proof={**proof, **change})
        with pytest.raises(ValueError, match=r"shown|cover|witness"):
            checked(problem, net, lie)
    # a coarser grid proves nothing, it is only a hint
    coarse = {**proof, "grid": proof["grid"][[0, -1]]}
    with pytest.raises(ValueError, match="shown"):
        checked(problem, net, dataclasses.replace(c, proof=coarse))
    other = dataclasses.replace(c, proof={**proof, "witness": 0.0})
    assert checked(problem, net, other)[0] < c.lower


# -- what no network can do -----------------------------------------------------------------------


def test_the_curvature_bound_is_attained_by_the_square():
    f = Enclosure(program_of("x**2"))
    for p in (1, 2, 5, 16):
        eps = 1 / (8 * p * p)  # of the best line on each of p equal pieces
        assert lb.fewest_pieces(f, 0.0, 1.0, eps * (1 + 1e-9)) == p
        assert lb.fewest_pieces(f, 0.0, 1.0, eps * (1 - 1e-9)) == p + 1
        assert float(lb.least_error(2.0, 1.0, p)) == eps
    assert lb.fewest_pieces(Enclosure(program_of("abs(x)")), -1.0, 1.0, 1e-9) == 1
    assert lb.fewest_pieces(Enclosure(program_of("3*x+1")), -1.0, 1.0, 1e-9) == 1


def test_no_network_beats_the_count():
    for text, on in (("exp(x)", (-1.0, 1.0)), ("sin(3*x)", (-1.0, 1.0))):
        f = Enclosure(program_of(text))
        for n in (4, 40):
            knots = np.linspace(*on, n + 1)
            y = f.program(knots)
            slope = np.diff(y) / np.diff(knots)
            jumps = np.concatenate([[0.0, slope[0]], np.diff(slope)])[None]
            levels = [(np.ones((n, 1)), -knots[:-1])]
            net = ReLUNetwork(1, levels, (jumps, y[:1]))
            c = certify(Approximate(text, on), net)
            assert lb.fewest_pieces(f, *on, c.upper) <= n
            assert c.proof["fewest_units"] == lb.fewest_units(c.proof["fewest_pieces"])
            assert 0 <= c.proof["fewest_units"] <= n


def test_units_and_pieces():
    assert [lb.fewest_units(p) for p in (1, 2, 3, 4, 5, 8, 9)] == [0, 1, 2, 2, 3, 3, 4]
    assert lb.most_pieces((3, 4)) == 20
    net = from_equinox(mlp(6, 2, 9))
    assert net.pieces(-1.0, 1.0) <= lb.most_pieces(net.widths) <= 2**net.counts.units
    x = pl.rational(0.25)
    assert float(pl.point(net.levels, net.out, x)) == pytest.approx(net.values(np.array([0.25]))[0])


# -- activations and doors ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "dtype"),
    [
        (jax.nn.leaky_relu, "float32"),
        (jax.nn.relu6, "float32"),
        (jax.nn.hard_tanh, "real"),
        (jnp.abs, "real"),
    ],
)
def test_other_piecewise_linear_activations(activation, dtype):
    net = eqx.nn.MLP("scalar", "scalar", 8, 2, activation, key=jax.random.key(5))
    net = jax.tree.map(lambda v: 4 * v if eqx.is_inexact_array(v) else v, net)
    x = np.linspace(-1, 1, 501).astype(np.float32)
    y = np.asarray(jax.jit(jax.vmap(net))(x)).astype(float)
    np.testing.assert_allclose(from_equinox(net).values(x.astype(float)), y, rtol=1e-5, atol=1e-4)
    problem = Approximate("sin(3*x)", (-1.0, 1.0), dtype=dtype)
    c = certify(problem, net)
    assert c.verdict == "certified"
    room = 0.0 if dtype == "float32" else 1e-3
    assert np.abs(problem.values(x.astype(float)) - y).max() <= c.upper + room
    low, up = checked(problem, net, c)
    assert c.lower <= low <= up <= c.upper


@pytest.mark.parametrize(
    ("activation", "final"),
    [
        (jax.nn.elu, jax.nn.identity),
        (functools.partial(jax.nn.leaky_relu, negative_slope=0.2), lambda x: 2 * x),
        (jax.nn.relu, jax.nn.tanh),
    ],
)
def test_what_is_certified_by_its_program_is_checked_too(activation, final):
    net = eqx.nn.MLP(
        "scalar", "scalar", 6, 1, activation, final_activation=final, key=jax.random.key(2)
    )
    problem = Approximate("sin(3*x)", (-1.0, 1.0))
    c = isp.certify(problem, net)
    assert c.verdict == "certified"
    arrays = {}
    stored = decode(encode(net, arrays, "answer.answer"), arrays)
    low, up = check.Enclosure(read(problem), stored, c.proof)
    assert c.lower <= low <= up <= c.upper
    # another answer with the same proof
    other = eqx.tree_at(lambda m: m.layers[0].weight, net, replace_fn=lambda w: 3 * w)
    stored = decode(encode(other, arrays, "answer.answer"), arrays)
    low, up = check.Enclosure(read(problem), stored, c.proof)
    assert not (c.lower <= low and up <= c.upper)


def test_any_module_of_arrays_of_one_number_is_taken():
    keys = jax.random.split(jax.random.key(0), 3)
    relu = eqx.nn.Lambda(jax.nn.relu)
    two = [eqx.nn.Linear(1, 4, key=keys[1]), relu]
    last = eqx.nn.Linear(4, 1, key=keys[2])
    off = eqx.nn.Dropout(0.5, inference=True)
    nets = (
        eqx.nn.Sequential([eqx.nn.Sequential(two), last]),
        eqx.nn.Sequential([*two, last, relu]),
        eqx.nn.Sequential([*two, off, last]),
    )
    for net in nets:
        problem = Approximate("sin(3*x)", (-1.0, 1.0))
        c = certify(problem, net)
        assert c.verdict == "certified"
        taken = problem.accept(net)
        assert taken(np.float32(0.25)) == net(jnp.float32([0.25]))[0]
        if net is not nets[2]:
            low, up = checked(problem, taken, c)
            assert c.lower <= low <= up <= c.upper
    for wrong in (eqx.nn.MLP(1, 2, 4, 1, key=keys[0]), eqx.nn.MLP(2, 1, 4, 1, key=keys[0])):
        with pytest.raises(UsageError, match=r"2 (inputs|outputs)"):
            certify(problem, wrong)


def test_intervals_and_values_at_the_end_of_the_range():
    net = mlp(8, 1)
    for text, on in (
        ("arctan(x)", (-1e300, 1e300)),
        ("exp(x)", (0.0, 709.0)),
        ("x*1e300", (-1e8, 1e8)),
    ):
        c = certify(Approximate(text, on), net)
        assert c.verdict == "certified"
        x = np.linspace(*on, 1001)
        off = np.abs(Approximate(text, on).values(x) - from_equinox(net).values(x)).max()
        assert c.lower <= off * (1 + 1e-12) <= c.upper * (1 + 1e-11)
