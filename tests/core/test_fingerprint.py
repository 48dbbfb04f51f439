"""Two objects agree exactly when nothing that decides what they do differs."""

import functools
import math
import os
import pathlib
import subprocess
import sys
from fractions import Fraction
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest

import infsup as isp
from infsup.core import problem as problem_module
from infsup.core.errors import UsageError

SOURCE = pathlib.Path(isp.__file__).parents[1]
fp = isp.fingerprint


class Task(isp.Problem):
    f: Any
    x: Any = 0.0
    mode: str = eqx.field(static=True, default="a")

    @property
    def asks(self):
        raise NotImplementedError


class Inner(eqx.Module):
    w: Any
    n: int = eqx.field(static=True, default=1)


class Plain:
    def __init__(self, a):
        self.a = a

    def __call__(self, x):
        return self.a * x


class Slots:
    __slots__ = ("a",)

    def __init__(self, a):
        self.a = a


def make(code, **names):
    """A function of its own module's source, so that two of them share name and place."""
    space = {"jnp": jnp, "np": np, "jax": jax, "__name__": "user", **names}
    exec(compile(code, "user.py", "exec"), space)
    return space["f"]


def made(body, **names):
    """An instance of a user's problem whose class has this body; all of them share one name."""
    space = {"isp": isp, "jnp": jnp, "eqx": eqx, "__name__": "user", **names}
    lines = "\n".join("    " + line for line in body.splitlines())
    base = "class Base(isp.Problem):\n    asks = None\n    def parent(self): return 1\n"
    exec(compile(f"{base}class C(Base):\n    w: float = 1.0\n{lines}", "user.py", "exec"), space)
    return object.__new__(space["C"])


def closure(*held):
    return lambda x: (x, held)


def with_rule(k):
    @jax.custom_jvp
    def f(x):
        return x

    f.defjvp(lambda p, t: (p[0], k * t[0]))
    return f


def with_pullback(k):
    @jax.custom_vjp
    def f(x):
        return x

    f.defvjp(lambda x: (x, None), lambda r, g: (k * g,))
    return f


def plus(n):
    return lambda x: x + n


def nested(depth, n):
    f = plus(n)
    for _ in range(depth):
        f = functools.partial(lambda g, x: g(x), f)
    return f


def methods(a):
    return Plain(a).__call__


DIFFERENT = {
    "numbers": (1, 1.0, True, 1 + 0j, "1", b"1", None, 2, 1.0000000000000002, -0.0, 0.0, math.nan),
    "fractions": (Fraction(1, 2), Fraction(1, 3), 0.5),
    "containers": (
        (1, 2),
        [1, 2],
        (2, 1),
        {1, 2},
        {1: 2},
        {2: 1},
        (1, (2,)),
        ((1,), 2),
        (),
        [],
        {},
    ),
    "text": (("ab", "c"), ("a", "bc"), ("abc",), ("a\x1fbc",), ("\ud800",)),
    "arrays": (
        np.zeros(4, np.float32),
        np.zeros(4),
        np.zeros((2, 2), np.float32),
        np.array([0, 0, 0, -0.0], np.float32),
        np.zeros(4, np.int32),
        np.zeros(4, ml_dtypes.bfloat16),
        np.zeros(2, np.int64),
        np.arange(4, dtype=np.float32),
        np.array([0, 0, 0, None]),
        np.array([0, 0, 0, 1], object),
    ),
    "keys": (
        jax.random.key(0),
        jax.random.key(1),
        jax.random.key(0, impl="rbg"),
        np.zeros(2, np.uint32),
    ),
    "shapes": (
        jax.ShapeDtypeStruct((2,), np.dtype("float32")),
        jax.ShapeDtypeStruct((3,), np.dtype("float32")),
        jax.ShapeDtypeStruct((2,), np.dtype("int32")),
    ),
    "fields": (
        Task(None),
        Task(None, 1.0),
        Task(None, np.zeros(1)),
        Task(None, mode="b"),
        Task(Inner(np.ones(2))),
        Task(Inner(np.zeros(2))),
        Task(Inner(np.ones(2), 2)),
        Task(Inner(Inner(np.ones(2)))),
    ),
    "code": (
        make("def f(x): return x + 1"),
        make("def f(x): return x + 2"),
        make("def f(x): return x - 1"),
        make("def f(x): return x + y", y=1),
        make("def f(x): return x + y", y=2),
        make("def f(x): return x + y", y=np.ones(1)),
        make("def f(x, y=1): return x + y"),
        make("def f(x, y=2): return x + y"),
        make("def f(x, *, y=1): return x + y"),
        make("def f(x, *, y=2): return x + y"),
        make("def f(*x): return x"),
        make("def f(**x): return x"),
        make("def f(x): return jnp.sin(x)"),
        make("def f(x): return jnp.cos(x)"),
        make("def f(x): return [x + 1 for _ in 'ab']"),
        make("def f(x): return [x + 2 for _ in 'ab']"),
        make("def f(x):\n def g(): return x + y\n return g()", y=1),
        make("def f(x):\n def g(): return x + y\n return g()", y=2),
        make("g = lambda x: x\ndef f(x): return g(x)"),
        make("g = lambda x: -x\ndef f(x): return g(x)"),
        make("def f(x): return f(x)"),
        make("def f(x): return f(x + 1)"),
        make("async def f(x): return x + 1"),
    ),
    "classes": (
        made("pass"),
        made("def go(self): return 1"),
        made("def go(self): return 2"),
        made("def go(self): return super().go()"),
        made("def go(self): return self.inner()\ndef inner(self): return 3"),
        made("def go(self): return self.inner()\ndef inner(self): return 4"),
        made("@property\ndef go(self): return 1"),
        made("@property\ndef go(self): return 2"),
        made("@staticmethod\ndef go(): return 1"),
        made("@classmethod\ndef go(cls): return 2"),
        made("@eqx.filter_jit\ndef go(self): return 3"),
        made("@eqx.filter_jit\ndef go(self): return 4"),
        made("every = 1"),
        made("every = 2"),
        made("def parent(self): return 2"),
        made("def go(self): return f()", f=plus(1)),
        made("def go(self): return f()", f=plus(2)),
        made("def __call__(self): return 1"),
        made("def __check_init__(self): raise ValueError"),
        made("def __init__(self): self.w = 2.0"),
        made("def __init__(self): self.w = 3.0"),
    ),
    "one line": (lambda x: x + 1, lambda x: x + 2, lambda x: x * 1, lambda x, y: x + 1),
    "closures": (closure(1), closure(2), closure(1, 2), closure(np.ones(2)), closure(np.zeros(2))),
    "partials": (
        functools.partial(pow, 2),
        functools.partial(pow, 3),
        functools.partial(pow, exp=2),
        functools.partial(math.atan2, 2),
        jax.tree_util.Partial(pow, 2),
        nested(3, 1),
        nested(3, 2),
        nested(4, 1),
    ),
    "methods": (methods(1), methods(2), Plain(1), Plain(2), Slots(1), Slots(2)),
    "jitted": (
        jax.jit(lambda x: x),
        jax.jit(lambda x: x + 1),
        jax.jit(closure(1)),
        jax.jit(closure(2)),
        jax.jit(plus(1)),
        plus(1),
        eqx.filter_jit(plus(1)),
        eqx.filter_jit(plus(2)),
    ),
    "transformed": (
        jnp.sin,
        jax.grad(jnp.sin),
        jax.grad(jax.grad(jnp.sin)),
        jax.vmap(jnp.sin),
        jax.vmap(jnp.sin, in_axes=1),
        jnp.cos,
        np.sin,
        np.cos,
        math.sin,
        math.cos,
    ),
    "rules": (with_rule(1), with_rule(2), with_pullback(1), with_pullback(2)),
    "optimisers": (optax.adam(0.1), optax.adam(0.2), optax.sgd(0.1), optax.sgd(0.1, momentum=0.9)),
    "states": (np.random.default_rng(0), np.random.default_rng(1), slice(1, 2), slice(1, 3)),
    "ranges": (range(3), range(4)),
    "kinds": (int, float, Plain, Inner, np.dtype("float32"), np.dtype("float64"), print, len),
    "modules": (jax, math),
    "networks": tuple(
        eqx.nn.MLP(2, 2, 4, 1, key=jax.random.key(k), activation=a)
        for k, a in ((0, jax.nn.relu), (1, jax.nn.relu), (0, jnp.tanh), (0, plus(1)), (0, plus(2)))
    ),
}

TWICE = {
    "classes": lambda: made("def go(self): return super().go()\ndef s(self): return C", C=type),
    "numbers": lambda: (1, -0.0, math.nan, "é", Fraction(1, 3), 10**400),
    "sets": lambda: ({"a", "b", "c", (1, 2)}, frozenset("xyz"), {"b": 1, "a": {2: 3}}),
    "arrays": lambda: [np.arange(4), jnp.ones(2), jax.random.key(3), np.array([1, None])],
    "code": lambda: make("def f(x, y=1):\n return [x + y for _ in {'a', 'b', 'c'}]"),
    "closures": lambda: closure(np.ones(3), plus(2), {"a": plus(3)}),
    "partials": lambda: nested(5, 3),
    "methods": lambda: (methods(1), Slots((1, 2))),
    "jitted": lambda: (jax.jit(plus(1)), eqx.filter_jit(plus(1)), jax.jit(jax.grad(plus(1)))),
    "rules": lambda: (with_rule(3), with_pullback(4)),
    "optimisers": lambda: optax.chain(
        optax.clip(1.0), optax.adam(optax.cosine_decay_schedule(1, 9))
    ),
    "network": lambda: eqx.nn.MLP(2, 2, 4, 1, key=jax.random.key(0)),
    "problem": lambda: Task(plus(1), Inner([plus(2), plus(2)])),
    "generator": lambda: np.random.default_rng(3),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_whatever_differs_has_another_print(name):
    prints = [fp(x) for x in DIFFERENT[name]]
    same = [(i, j) for i, a in enumerate(prints) for j, b in enumerate(prints) if i < j and a == b]
    assert same == []


@pytest.mark.parametrize("name", TWICE)
def test_the_same_made_twice_has_the_same_print(name):
    assert fp(TWICE[name]()) == fp(TWICE[name]())


def test_shared_and_copied_parts_agree():
    f, g = plus(1), plus(1)
    assert fp((f, f)) == fp((f, g))
    a = [1]
    assert fp([a, a]) == fp([[1], [1]])


def test_numpy_and_jax_arrays_of_the_same_bytes_agree():
    assert fp(np.ones(3, np.float32)) == fp(jnp.ones(3, jnp.float32))
    assert fp(np.ones((4, 3))[::2].T) == fp(np.ones((3, 2)))


def test_running_a_function_does_not_change_it():
    f = make("def f(x):\n y = x\n for i in range(3):\n  y = y * 2 + i\n return y")
    before = fp(f)
    for i in range(10_000):  # the interpreter specialises its bytecode
        f(float(i))
    assert fp(f) == before
    g = jax.jit(plus(1))
    before = fp(g)
    g(1.0)
    assert fp(g) == before


def test_objects_that_hold_themselves_end():
    def f(n):
        return f(n - 1) if n else box

    box = [f]
    box.append(box)
    d = {}
    d["d"] = d

    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    p = Plain(None)
    p.a = p.__call__
    assert len({fp(f), fp(box), fp(d), fp(even), fp(odd), fp(p)}) == 6


def test_what_is_nested_without_end_is_refused():
    x: Any = 1
    for _ in range(5000):
        x = [x]
    with pytest.raises(UsageError, match="nested"):
        fp(x)


def test_objects_without_a_print_of_their_own_are_told_by_kind():
    import threading

    assert fp(threading.Lock()) == fp(threading.Lock())
    assert fp(object()) == fp(object())


def test_globals_that_only_count_do_not():
    """Dunders and modules change from run to run, and decide nothing."""
    code = "def f(x): return x, __name__, jnp"
    assert fp(make(code, __file__="a")) == fp(make(code, __file__="b"))


ACROSS = """
import sys; sys.path[:0] = [{tests!r}, {source!r}]
import importlib.util
spec = importlib.util.spec_from_file_location("test_fingerprint", {file!r})
module = importlib.util.module_from_spec(spec); sys.modules["test_fingerprint"] = module
spec.loader.exec_module(module)
{pad}
for name, make in module.TWICE.items():
    print(name, module.fp(make()))
for name, group in module.DIFFERENT.items():
    print(name, [module.fp(x) for x in group if not isinstance(x, type)])
"""


def test_prints_agree_across_processes():
    out = []
    for seed, pad in (("1", ""), ("2", "junk = [object() for _ in range(9999)]")):
        here = pathlib.Path(__file__)
        code = ACROSS.format(source=str(SOURCE), tests=str(here.parent), file=str(here), pad=pad)
        env = {**os.environ, "PYTHONHASHSEED": seed, "JAX_ENABLE_X64": "0"}
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            capture_output=True,
            text=True,
            env=env,
            timeout=200,
        )
        assert run.returncode == 0, run.stderr[-2000:]
        out.append(run.stdout.splitlines())
    assert [(a, b) for a, b in zip(*out, strict=True) if a != b] == []


@pytest.mark.parametrize(
    ("part", "group"),
    [
        ("function", "closures"),
        ("function", "code"),
        ("own_class", "classes"),
        ("thing", "partials"),
        ("thing", "rules"),
    ],
)
def test_a_print_that_overlooks_a_part_is_found(part, group, monkeypatch):
    def by_name(self, x):
        self.put(type(x).__name__, getattr(x, "__qualname__", ""))

    monkeypatch.setattr(problem_module._Print, part, by_name)
    assert len({fp(x) for x in DIFFERENT[group]}) < len(DIFFERENT[group])
