"""The one door for answers of every sort."""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import infsup as isp
from infsup.core.answers import Accepted, Draws, Table
from infsup.core.clock import compilations
from infsup.core.errors import HypothesisError, PrecisionError, UsageError

F32, I32 = np.dtype("float32"), np.dtype("int32")
X = np.linspace(0.1, 1.0, 30, dtype=np.float32).reshape(10, 3)


def shape(*n, dtype=F32):
    return jax.ShapeDtypeStruct(n, dtype)


ASKS = isp.Function((shape(3),), shape(2))
SCALAR = isp.Function((shape(),), shape())


def mlp(**kw):
    return eqx.nn.MLP(3, 2, 4, 1, key=jax.random.key(0), dtype=jnp.float32, **kw)


class Counted:
    """A callable that only NumPy runs, counting its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        assert isinstance(x, np.ndarray)
        x[0] = 0.0  # it may write to what it is given
        return np.array([x.sum(), math.exp(x[1])], np.float32)


# -- functions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[:2],
        lambda x: jnp.stack([jnp.sum(x), jnp.max(x)]),
        functools.partial(lambda w, x: w * x[:2], 2.0),
        jax.jit(lambda x: x[1:]),
        mlp(),
    ],
)
def test_what_jax_can_trace(f):
    a = ASKS.accept(f)
    assert (a.traced, a.random) == (True, False)
    assert (a.out.shape, a.out.dtype) == ((2,), F32)
    assert np.allclose(isp.evaluate(a, X), [np.asarray(f(jnp.asarray(x))) for x in X], atol=1e-6)


def test_accepting_twice_is_accepting_once():
    f = mlp()
    a = ASKS.accept(ASKS.accept(f))
    assert not isinstance(a.answer, Accepted)


def test_numpy_only_goes_through_a_callback():
    f = Counted()
    a = ASKS.accept(f)
    assert (a.traced, a.random) == (False, False)
    expected = np.array([f(x.copy()) for x in X])
    assert np.array_equal(isp.evaluate(a, X), expected)
    assert np.array_equal(jax.jit(jax.vmap(a))(X), expected)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: math.sin(x),
        lambda x: np.sin(x),
        lambda x: float(x) + 1,
        lambda x: 1.0 if x > 0 else 2.0,
        lambda x: [3.0, 4.0][int(x)],
        lambda x: x.item(),
        lambda x: math.log(x),  # not defined at 0
        lambda x: 1 / (1 - x) if x != 1 else [][0],
    ],
)
def test_scalars_on_the_host(f):
    a = SCALAR.accept(f)
    assert not a.traced
    assert a.out.dtype in (F32, jnp.result_type(float))
    assert np.isfinite(jax.jit(a)(jnp.float32(0.5)))


def test_a_host_function_works_with_the_flag_off():
    with jax.enable_x64(False):
        a = SCALAR.accept(lambda x: float(x) + 1)
        assert a.out.dtype == F32
        assert jax.jit(a)(jnp.float32(0.5)) == 1.5


def test_python_floats_are_results():
    a = SCALAR.accept(lambda x: 3.0)
    assert a.traced
    assert isp.evaluate(a, np.zeros(5, F32)).tolist() == [3.0] * 5


def test_random_functions_take_a_key():
    f = lambda x, key: x[:2] + jax.random.normal(key, (2,), jnp.float32)  # noqa: E731
    a = ASKS.accept(f)
    assert a.random
    assert a(X[0], jax.random.key(1)).shape == (2,)
    with pytest.raises(HypothesisError, match="random"):
        isp.evaluate(a, X)
    # an optional key is not taken: the module is deterministic without it
    assert not ASKS.accept(mlp()).random


def test_random_functions_of_the_host_get_their_key():
    def f(x, key):
        seed = int(np.asarray(jax.random.key_data(key))[-1])
        return np.random.default_rng(seed).standard_normal(2).astype(np.float32) + float(x[0])

    a = ASKS.accept(f)
    assert (a.random, a.traced) == (True, False)
    one, two = (jax.jit(a)(jnp.zeros(3), jax.random.key(k)) for k in (1, 2))
    assert not np.array_equal(one, two)
    assert np.array_equal(one, f(np.zeros(3), jax.random.key(1)))


def test_tables():
    asks = isp.Function((shape(dtype=I32),), shape(2))
    values = np.arange(8, dtype=np.float32).reshape(4, 2)
    for table in (values, jnp.asarray(values), Table(values), Table(jnp.asarray(values))):
        a = asks.accept(table)
        assert np.array_equal(isp.evaluate(a, np.arange(4, dtype=np.int32)), values)
    with pytest.raises(UsageError, match=r"f32\[3\]"):
        asks.accept(np.zeros((4, 3), np.float32))


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda x: x, r"gives f32\[3\].*\n.*f32\[2\]"),
        (lambda x: x[:1], r"gives f32\[1\]"),
        (lambda x: jnp.sum(x), r"gives f32\[\]"),
        (lambda x: x[None, :2], r"gives f32\[1,2\]"),
        (lambda x: (x[0], x[1]), "gives a tuple"),
        (lambda x: [x[0], x[1]], "gives a list"),
        (lambda x: {"y": x[:2]}, "gives a dict"),
        (lambda x: None, "gives a NoneType"),
        (lambda x: "text", "gives a str"),
        (lambda x: x[:2] + 1j, r"gives c"),
        (lambda x, y: x[:2] + y["a"], "does not take|fails"),
        (lambda x, y, z: x[:2], "does not take"),
        (lambda: 0, "does not take"),
        (lambda x: x[:, :2], "batch axis"),
        (lambda x: x @ jnp.ones((5, 2)), "batch axis"),
        (lambda x: x.reshape(7), "fails on"),
        (lambda x: x.no_such_thing, "no_such_thing"),
        (lambda x: {}["missing"], "missing"),
        (lambda x: 1 // 0, "division"),
        (lambda x: math.log(-1.0), "math domain"),
        (eqx.nn.MLP(4, 2, 4, 1, key=jax.random.key(0)), "batch axis"),
        (eqx.nn.Sequential([eqx.nn.Linear(3, 2, key=jax.random.key(0))] * 2), "batch axis"),
        (object(), "answer` is object"),
        (3, "answer` is int"),
        (None, "answer` is NoneType"),
        ({"x": 3}, "answer` is dict"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(f, words):
    with pytest.raises(UsageError, match=words) as e:
        ASKS.accept(f)
    assert "This problem asks for" in str(e.value)


def test_the_batch_is_the_librarys_business():
    with pytest.raises(UsageError):
        ASKS.accept(lambda x: jax.vmap(lambda r: r[:2])(x))  # written for [n, 3]
    with pytest.raises(UsageError):
        isp.Function((shape(3),), shape()).accept(mlp())  # [2] where a scalar is asked


def test_any_length_where_one_is_asked():
    asks = isp.Function((shape(3),), shape(-1, 2))
    assert asks.accept(lambda x: jnp.zeros((7, 2))).out.shape == (7, 2)
    with pytest.raises(UsageError):
        asks.accept(lambda x: jnp.zeros((7, 3)))


def test_infsups_own_words_pass_through():
    def f(x):
        raise PrecisionError("mine")

    with pytest.raises(PrecisionError, match="mine"):
        ASKS.accept(f)


# -- evaluation in blocks -------------------------------------------------------------------------


def test_blocks_change_nothing():
    f = ASKS.accept(lambda x: jnp.stack([x[0] * 2, x[1] + 1]))
    for n in (1, 2, 7, 8, 9, 15, 16, 17, 24, 33):
        x = np.random.default_rng(n).standard_normal((n, 3)).astype(np.float32)
        want = np.stack([x[:, 0] * 2, x[:, 1] + 1], 1)
        got = isp.evaluate(f, x, block=8)
        assert got.shape == (n, 2)
        assert np.array_equal(got, want)


def test_no_rows_are_no_error():
    for f in (mlp(), lambda x: np.asarray(x[:2])):
        assert isp.evaluate(ASKS.accept(f), np.zeros((0, 3), F32)).shape == (0, 2)


def test_columns_of_different_lengths_are_refused():
    f = isp.Function((shape(), shape()), shape()).accept(lambda a, b: a + b)
    with pytest.raises(UsageError, match="rows"):
        isp.evaluate(f, np.zeros(3, F32), np.zeros(4, F32))


def test_one_compilation_for_all_blocks():
    f = ASKS.accept(lambda x: jnp.sin(x[:2]) * 3)
    x = np.random.default_rng(0).standard_normal((100, 3)).astype(np.float32)
    isp.evaluate(f, x, block=16)
    before = compilations.count
    for n in (17, 33, 64, 100):
        isp.evaluate(f, x[:n], block=16)
    assert compilations.count == before
    isp.evaluate(f, x[:5], block=16)  # fewer rows than one block: their own shape
    assert compilations.count > before


# -- samplers -------------------------------------------------------------------------------------


class Normal(eqx.Module):
    mean: jax.Array

    def sample(self, key, n):
        return self.mean + jax.random.normal(key, (n, *self.mean.shape), jnp.float32)


class OnHost:
    def __init__(self, width=3):
        self.width = width

    def sample(self, key, n):
        return np.random.default_rng(int(np.asarray(jax.random.key_data(key))[-1])).standard_normal(
            (n, self.width)
        )


LAW = isp.Sampler(shape(3))


def test_samplers():
    s = Normal(jnp.zeros(3, jnp.float32))
    assert LAW.accept(s) is s
    h = OnHost()
    assert LAW.accept(h) is h
    for bad in (Normal(jnp.zeros(2, jnp.float32)), Normal(jnp.zeros(())), OnHost(2)):
        with pytest.raises(UsageError, match=r"sample\(key, 3\)"):
            LAW.accept(bad)

    class Wrong:
        def __init__(self, sample):
            self.sample = sample

    for sample in (lambda: 0, lambda key: key, lambda key, n: (key, n), lambda key, n: None):
        with pytest.raises(UsageError, match=r"sample\(key, 3\)"):
            LAW.accept(Wrong(sample))


def test_draws():
    x = np.zeros((5, 3), np.float32)
    assert isinstance(LAW.accept(x), Draws)
    assert isinstance(LAW.accept(jnp.asarray(x)), Draws)
    assert LAW.accept(Draws(x)).x.shape == (5, 3)
    bad = x.copy()
    bad[3, 1] = np.nan
    for wrong in (
        bad,
        x[:, :2],
        x[0],
        x[:0],
        3.0,
        "text",
        None,
        [[1, 2, 3], [1, 2]],
        x.astype(str),
    ):
        with pytest.raises(UsageError):
            LAW.accept(wrong)


# -- points ---------------------------------------------------------------------------------------

POINT = isp.Point({"w": shape(2), "n": shape(dtype=I32)})


def test_points():
    got = (
        POINT.accept({"w": [1.0, 2.0], "n": 3}) if False else POINT.accept({"w": X[0, :2], "n": 3})
    )
    assert (got["w"].dtype, got["n"].dtype) == (F32, I32)
    assert isinstance(got["w"], jax.Array)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        3.0,
        [X[0, :2], 3],
        {"w": X[0, :2]},
        {"w": X[0, :2], "n": 3, "x": 1},
        {"w": X[0], "n": 3},
        {"w": X[0, :2], "n": np.array([3])},
        {"w": np.array([np.nan, 1], F32), "n": 3},
        {"w": np.array([np.inf, 1], F32), "n": 3},
        {"w": X[0, :2] * 1j, "n": 3},
        {"w": X[0, :2], "n": 0.5},
        {"w": np.array(["a", "b"]), "n": 3},
        {"w": np.array([None, 1]), "n": 3},
    ],
)
def test_points_of_another_sort_are_refused(answer):
    with pytest.raises(UsageError, match="answer"):
        POINT.accept(answer)


@pytest.mark.usefixtures("x64")
def test_a_point_is_finite_after_its_cast():
    with pytest.raises(UsageError, match="NaN or inf"):
        POINT.accept({"w": np.array([1e300, 0.0]), "n": 3})
    wide = isp.Point(shape(2, dtype=np.dtype("float64")))
    assert wide.accept(np.ones(2)).dtype == np.float64
    with jax.enable_x64(False), pytest.raises(PrecisionError):
        wide.accept(np.ones(2, F32))  # it would be handed on as float32


def test_bounds_see_the_accepted_form():
    saw = []

    class Asks(isp.Problem):
        @property
        def asks(self):
            return ASKS

    class Look(isp.Bound):
        def certify(self, problem, outcome, key, delta):
            saw.append(outcome.answer)
            return isp.Certificate("q", "f", 0.0, 1.0, "estimate", "t:Look")

    isp.certify(Asks(), mlp(), Look())
    isp.certify(Asks(), lambda x: np.asarray(x[:2]), Look())
    assert [type(a) for a in saw] == [Accepted, Accepted]
    assert [a.traced for a in saw] == [True, False]
