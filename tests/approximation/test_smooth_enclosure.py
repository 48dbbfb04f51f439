"""The sup-norm distance of smooth networks, against mpmath, closed forms and hidden spikes."""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from flint import arb

import infsup as isp
from infsup.approximation import (
    Approximate,
    ExactGELU,
    SmoothEnclosure,
    SoftmaxHead,
    check_smooth,
    rounding,
    smooth_network,
)
from infsup.approximation.bounds import smooth_enclosure
from infsup.core.encoding import decode
from infsup.core.errors import EmptyBracket, UsageError
from infsup.core.storage import read_folder
from infsup.networks.relu import ReLUNetwork
from infsup.numerics.enclosure import precision

pytestmark = pytest.mark.usefixtures("x64")

mp = mpmath.mp
TRUTH = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
    "softplus": lambda z: mpmath.log(1 + mpmath.exp(z)),
    "silu": lambda z: z / (1 + mpmath.exp(-z)),
    "gelu": lambda z: z * mpmath.ncdf(z),
    "gelu_by_tanh": lambda z: (
        z / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (z + mpmath.mpf("0.044715") * z**3)))
    ),
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "exp": mpmath.exp,
    "square": lambda z: z**2,
    "identity": lambda z: z,
}
IN_JAX = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "softplus": jax.nn.softplus,
    "silu": jax.nn.silu,
    "gelu": ExactGELU(),
    "gelu_by_tanh": jax.nn.gelu,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "square": jnp.square,
    "exp": jnp.exp,
}


def mlp(activation, key=0, width=5, depth=2, dtype=jnp.float64):
    key = jax.random.key(key)
    return eqx.nn.MLP("scalar", "scalar", width, depth, activation=activation, dtype=dtype, key=key)


def one_layer(activation, inner, shift, outer, bias=0.0):
    """sum_j outer_j activation(inner_j x + shift_j) + bias, with exactly these numbers."""
    n = len(inner)
    arrays = (
        np.array(inner, float).reshape(n, 1),
        np.array(shift, float),
        np.array(outer, float).reshape(1, n),
        np.array([bias], float),
    )
    return eqx.tree_at(
        lambda m: (m.layers[0].weight, m.layers[0].bias, m.layers[1].weight, m.layers[1].bias),
        mlp(activation, width=n, depth=1),
        arrays,
    )


class Given(isp.DirectMethod):
    """Hands out a network."""

    network: object

    def find(self, problem, start, key):
        return isp.Outcome(self.network)


# -- Taylor coefficients --------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(smooth_network.ACTIVATIONS))
def test_coefficients_contain_those_of_mpmath(name):
    act = smooth_network.ACTIVATIONS[name]
    assert name in TRUTH
    with precision(128), mp.workdps(40):
        for middle, radius in ((0.3, 0.0), (-1.7, 0.25), (2.5, 1.0), (0.0, 0.5)):
            z = [arb(middle, radius), arb(0.7), arb(-0.2), arb(0.1), arb(0), arb(0)]
            found = act(z)
            for s in (middle, middle - radius, middle + radius):
                # the truth along the curve z(t) = s + 0.7 t - 0.2 t^2 + 0.1 t^3
                def curve(t, s=s):
                    inner = s + mp.mpf(0.7) * t - mp.mpf(0.2) * t**2 + mp.mpf(0.1) * t**3
                    return TRUTH[name](inner)

                for k, c in enumerate(mpmath.taylor(curve, 0, 5)):
                    ball = found[k] + arb(0, 1e-12)  # mpmath differentiates numerically
                    assert ball.contains(arb(str(c))), (name, middle, radius, k)
            if radius == 0:
                assert all(c.rad() < 1e-30 for c in found)


def test_boxes_contain_what_points_give():
    network = smooth_enclosure.read(mlp(jnp.tanh, key=3))
    taylor = smooth_network.Taylor(network, 6)
    with precision(128):
        _, over = taylor.at(arb(0.5), arb(0.125))
        for s in np.linspace(0.375, 0.625, 9):
            point, _ = taylor.at(arb(float(s)), arb(0))
            assert all(
                a.overlaps(b) and a.contains(b.mid()) for a, b in zip(over, point, strict=False)
            )


# -- the distance ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(IN_JAX))
def test_the_bracket_is_narrow_and_samples_lie_below_it(name):
    answer = mlp(IN_JAX[name], key=5)
    problem = Approximate("sin(4*x) + exp(-x)", (-1.0, 1.5))
    c = isp.certify(problem, answer, SmoothEnclosure())
    assert c.verdict == "certified"
    assert c.kind == "proved"
    assert c.upper <= 1.0101 * c.lower
    x = np.linspace(-1, 1.5, 4001)
    seen = np.abs(np.asarray(jax.vmap(answer)(x)) - problem.values(x)).max()
    assert c.lower <= seen * (1 + 1e-4)
    assert seen <= c.upper


@pytest.mark.parametrize(
    ("f", "domain", "answer", "truth"),
    [
        # 1e-9 sin 4x is what is left of two amplitudes
        (
            "sin(4*x)",
            (-1.0, 1.0),
            lambda: one_layer(jnp.sin, [4.0], [0.0], [1.0 + 2.0**-30]),
            2.0**-30,
        ),
        ("tanh(x)", (-1.0, 2.0), lambda: one_layer(jnp.tanh, [1.0], [0.0], [0.0]), math.tanh(2)),
        ("abs(x)", (-1.0, 1.0), lambda: one_layer(jnp.tanh, [1.0], [0.0], [0.0], 0.25), 0.75),
        ("abs(x)", (-1.0, 0.5), lambda: one_layer(jnp.tanh, [1.0], [0.0], [0.0], 0.75), 0.75),
        ("sqrt(x)", (0.0, 1.0), lambda: one_layer(jnp.tanh, [1.0], [0.0], [0.0], 0.75), 0.75),
        (
            "maximum(x, 0)",
            (-3.0, 1.0),
            lambda: one_layer(jax.nn.softplus, [1.0], [0.0], [1.0]),
            math.log(2),
        ),
        ("x", (0.0, 3.0), lambda: SoftmaxHead(np.zeros(4), np.zeros(4), np.ones(4)), 2.0),
    ],
)
def test_known_distances(f, domain, answer, truth):
    c = isp.certify(Approximate(f, domain), answer(), SmoothEnclosure(rtol=1e-4))
    assert c.lower <= truth * (1 + 1e-15)
    assert c.upper >= truth * (1 - 1e-15)
    assert c.width <= 1.01e-4 * truth


def spike(at, height=1.0, steep=2.0**21):
    """About `height` within 1e-6 of `at`, and 0 elsewhere: between the points of any grid."""
    shift = [-steep * (at - 2.0**-20), -steep * (at + 2.0**-20)]
    return one_layer(jnp.tanh, [steep, steep], shift, [height / 2, -height / 2])


def misses_no_spike():
    for number, at in enumerate((0.123456, 0.5000021)):
        try:
            c = isp.certify(Approximate("0*x", (-1.0, 1.0)), spike(at), SmoothEnclosure())
        except EmptyBracket as alarm:
            return str(alarm)
        truth = math.tanh(2.0)
        if not c.lower <= truth <= c.upper * (1 + 1e-12):
            return f"spike {number}: [{c.lower}, {c.upper}]"
    return ""


def test_a_spike_that_samples_miss_is_found():
    x = np.linspace(-1, 1, 10001)
    assert np.abs(np.asarray(jax.vmap(spike(0.123456))(x))).max() < 1e-6
    assert misses_no_spike() == ""


def test_a_bound_without_its_remainder_is_found_out(monkeypatch):
    whole = smooth_enclosure.largest
    monkeypatch.setattr(smooth_enclosure, "largest", lambda c, top, r: whole(c, arb(0), r))
    assert misses_no_spike() != ""


def parabola():
    answer = one_layer(jnp.tanh, [1.0], [0.0], [0.0])
    return isp.certify(Approximate("x*(1-x)", (0.0, 0.9)), answer, SmoothEnclosure(budget=8))


def test_a_parabola_without_its_vertex_is_found_out(monkeypatch):
    def ends_only(c, top, r):
        sizes = [smooth_enclosure._size(c[0] + s * c[1] * r + c[2] * r**2) for s in (-1, 1)]
        return max(sizes)

    c = parabola()
    assert c.lower <= 0.25 <= c.upper
    monkeypatch.setattr(smooth_enclosure, "largest", ends_only)
    with pytest.raises(EmptyBracket):
        parabola()


# -- what it refuses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda: mlp(jax.nn.relu), "PiecewiseEnclosure"),
        (lambda: one_layer(jnp.tanh, [1.0], [math.nan], [1.0]), "not finite"),
        (lambda: lambda x: jnp.floor(x), "nor has it a program"),
    ],
)
def test_other_networks_are_inapplicable(answer, words):
    c = isp.certify(Approximate("sin(x)", (0.0, 1.0)), answer(), SmoothEnclosure())
    assert c.verdict == "inapplicable"
    assert words in c.reason
    assert c.upper == math.inf


def test_a_function_without_a_program_is_inapplicable():
    problem = Approximate(lambda x: np.sin(x.copy()), (0.0, 1.0), lipschitz=1.0)
    c = isp.certify(problem, mlp(jnp.tanh), SmoothEnclosure())
    assert c.verdict == "inapplicable"
    assert "program" in c.reason


def test_too_few_boxes_give_a_wider_bracket_not_a_wrong_one():
    problem = Approximate("abs(sin(20*x))", (0.0, 1.0))
    few = isp.certify(problem, mlp(jnp.tanh), SmoothEnclosure(budget=8))
    many = isp.certify(problem, mlp(jnp.tanh), SmoothEnclosure())
    assert few.upper >= many.upper >= many.lower >= few.lower
    assert few.width > 3 * many.width


@pytest.mark.parametrize("bad", [{"rtol": 0}, {"rtol": 1.5}, {"order": 2}, {"budget": 1}])
def test_numbers_outside_their_range(bad, unchecked):
    with pytest.raises(UsageError, match=next(iter(bad))):
        SmoothEnclosure(**bad)


def test_straight_lines_are_certified_beside_it():
    line = ReLUNetwork(1, (), (np.array([[2.0]]), np.array([1.0])))
    c = isp.certify(Approximate("x**2", (-1.0, 1.0)), line, SmoothEnclosure())
    assert c.lower <= 2.0 <= c.upper  # |x^2 - 2x - 1| at 1 and at -1


def test_sequential_and_partial_are_read():
    key = jax.random.key(0)
    gelu = eqx.nn.Lambda(functools.partial(jax.nn.gelu, approximate=False))
    layers = [eqx.nn.Linear("scalar", 4, key=key), gelu, eqx.nn.Linear(4, "scalar", key=key)]
    network = smooth_enclosure.read(eqx.nn.Sequential(layers))
    assert [layer.activation for layer in network] == ["gelu", "identity"]


def a_mish_network(x):
    w = np.linspace(-2.0, 2.0, 3)
    return jnp.dot(np.cos(w), jnp.tanh(jax.nn.softplus(w * x + 1)))


@pytest.mark.parametrize(
    "answer", [lambda: a_mish_network, lambda: mlp(jax.nn.elu, width=3, depth=1)]
)
def test_what_has_no_layers_that_are_known_is_taken_as_a_program(answer, tmp_path):
    answer = answer()
    problem = Approximate("sin(3*x)", (-1.0, 1.0))
    isp.solve(problem, Given(answer), bounds=(SmoothEnclosure(),)).save(tmp_path / "s")
    c = isp.load(tmp_path / "s").certificate
    x = np.linspace(-1, 1, 2001)
    seen = np.abs(np.asarray(jax.vmap(answer)(x)) - np.sin(3 * x)).max()
    assert c.verdict == "certified"
    assert c.lower <= seen * (1 + 1e-4)
    assert seen <= c.upper <= 1.0101 * c.lower
    failed = isp.check(tmp_path / "s").failed
    assert failed == ()
    executed = Approximate("sin(3*x)", (-1.0, 1.0), dtype="float32")
    assert isp.certify(executed, answer, SmoothEnclosure()).verdict == "inapplicable"


# -- executed -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["gelu", "softplus", "square"])
def test_the_executed_network_lies_in_its_bracket(name, dtype):
    """Against the network in real arithmetic (mpmath), at points of the dtype."""
    answer = mlp(IN_JAX[name], key=2, width=6, dtype=dtype)
    network = rounding.rounded(smooth_enclosure.read(answer), dtype)
    allowed = rounding.executed(network, 2.0, dtype)
    x = np.linspace(-2, 2, 60).astype(dtype)
    got = np.asarray(jax.jit(jax.vmap(answer))(x), np.float64)
    with mp.workdps(30):
        for at, y in zip(x.tolist(), got.tolist(), strict=True):
            h = [mp.mpf(at)]
            for W, b, act in network:
                rows = [mp.fdot(row, h) + c for row, c in zip(W.tolist(), b.tolist(), strict=True)]
                h = [TRUTH[act](z) for z in rows]
            assert abs(y - h[0]) <= allowed
    c = isp.certify(Approximate("sin(x)", (-2.0, 2.0), dtype=dtype), answer, SmoothEnclosure())
    assert c.verdict == "conditional"
    assert c.dtype == f"executed in {dtype}"
    assert allowed < (1e-3 if dtype == "float32" else 1e-11)


# -- the second derivation ------------------------------------------------------------------------


def stored(problem, answer, folder):
    isp.solve(problem, Given(answer), bounds=(SmoothEnclosure(),)).save(folder)
    document, arrays = read_folder(folder)
    parts = [decode(document[k], arrays) for k in ("problem", "answer", "certificates")]
    return *parts[:2], parts[2][0]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("gelu", "real"),
        ("gelu_by_tanh", "real"),
        ("silu", "real"),
        ("cos", "real"),
        ("tanh", "float32"),
        ("softplus", "float32"),
        ("exp", "float64"),
    ],
)
def test_the_checker_derives_it_again(name, dtype, tmp_path):
    answer = mlp(IN_JAX[name], key=1, dtype=jnp.float32)
    problem, answer, claim = stored(
        Approximate("abs(x) + sin(3*x)", (-1.0, 1.0), dtype=dtype), answer, tmp_path / "s"
    )
    lower, upper = check_smooth.SmoothEnclosure(problem, answer, claim["proof"])
    assert claim["lower"] <= lower <= upper <= claim["upper"]
    if name == "tanh":
        assert isp.check(tmp_path / "s").stands


def test_the_checker_finds_what_was_changed(tmp_path):
    answer = mlp(jnp.tanh, key=1)
    problem, answer, claim = stored(Approximate("sin(4*x)", (-1.0, 1.0)), answer, tmp_path / "s")
    proof = claim["proof"]

    def derived(answer=answer, **changed):
        return check_smooth.SmoothEnclosure(problem, answer, {**proof, **changed})

    assert derived()[1] <= claim["upper"]
    assert derived(upper=0.9 * claim["upper"])[1] > 0.9 * claim["upper"]
    assert derived(at=0.123)[0] < claim["lower"]
    for edges in (proof["edges"][:-1], proof["edges"][::-1], proof["edges"][1:]):
        with pytest.raises(ValueError, match="cover"):
            derived(edges=edges)
    with pytest.raises(ValueError, match="damaged"):
        derived(at=1.5)
    moved = answer["layers"][-1]["bias"] + 0.02 * np.sign(answer["layers"][-1]["bias"])
    answer["layers"][-1].fields["bias"] = moved
    lower, upper = derived()
    assert upper > claim["upper"] or lower < claim["lower"]
