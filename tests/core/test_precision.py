"""The 64-bit flag is the user's: refused in words, never touched."""

import ast
import functools
import os
import pathlib
import subprocess
import sys
import threading

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

import infsup as isp
from infsup.core import precision
from infsup.core.errors import PrecisionError

SOURCE = pathlib.Path(isp.__file__).parent
F32 = jnp.float32


looked = []


class Exact(isp.Problem):
    needs_64_bit = True

    @property
    def asks(self):
        looked.append("asks")
        return isp.Point(jax.ShapeDtypeStruct((), np.dtype("float64")))


def off():
    return jax.enable_x64(False)


def answers():
    """Answers that hold float64 in every place where one may stand."""
    wide = np.ones(3)
    leaf = eqx.nn.Linear(3, 1, key=jax.random.key(0), dtype=jnp.float64)

    def keyword(x, *, w=wide):
        return x @ w

    def inner(x):
        return x @ wide

    class Holder:
        def __init__(self, f):
            self.f = f

    return {
        "module": leaf,
        "array": wide,
        "tree": {"a": [jnp.ones(2, F32), jnp.ones(2, jnp.float64)]},
        "closure": lambda x: x @ wide,
        "closure of a closure": lambda x: inner(x) + 1,
        "default": lambda x, w=wide: x @ w,
        "keyword": keyword,
        "partial": functools.partial(jnp.dot, wide),
        "bound method": leaf.__call__,
        "jitted": jax.jit(lambda x: x @ wide),
        "scalar": np.float64(2.0),
    }


@pytest.mark.usefixtures("x64")
def test_a_float64_answer_is_refused_while_the_flag_is_off():
    for name, answer in answers().items():
        precision.guard(answer, name)
        with off(), pytest.raises(PrecisionError, match="jax_enable_x64"):
            precision.guard(answer, name)
    assert not precision.holds_float64([jnp.ones(2, F32), lambda x: x, None, 3.0, "x", np.int64(1)])


def test_functions_that_hold_themselves_end():
    def f(x):
        return f(x)

    box = []
    box.append(lambda: box)
    assert not precision.holds_float64(f)
    assert not precision.holds_float64(box)


@pytest.mark.usefixtures("x64")
def test_a_solution_made_with_the_flag_on_refuses_without_it():
    wide = eqx.nn.Linear(3, 1, key=jax.random.key(0), dtype=jnp.float64)
    f = isp.Function(
        (jax.ShapeDtypeStruct((3,), np.dtype("float64")),),
        jax.ShapeDtypeStruct((1,), np.dtype("float64")),
    )
    accepted = f.accept(wide)
    host = f.accept(lambda x: np.asarray(x[:1]))
    solution = isp.solve(toy.bowl(), toy.Centre(), bounds=toy.Distance()).replace(answer=wide)
    x = np.ones((5, 3))
    assert isp.evaluate(accepted, x).dtype == np.float64
    assert solution(x[0]).dtype == jnp.float64
    with off():
        for call in (
            lambda: isp.evaluate(accepted, x),
            lambda: isp.evaluate(host, x),
            lambda: solution(x[0].astype(np.float32)),
            lambda: f.accept(wide),
        ):
            with pytest.raises(PrecisionError):
                call()


@pytest.mark.usefixtures("x64")
def test_the_flag_is_read_in_the_thread_that_asks():
    seen = {}

    def ask(name):
        try:
            precision.guard(np.ones(2), name)
            seen[name] = "passes"
        except PrecisionError:
            seen[name] = "refused"

    def with_it_off():
        with off():
            ask("off")

    threads = [threading.Thread(target=with_it_off), threading.Thread(target=ask, args=("on",))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert seen == {"off": "refused", "on": "passes"}


def test_a_64_bit_problem_refuses_before_any_work():
    with off():
        for call in (isp.solve, lambda p: isp.certify(p, 1.0, toy.Distance())):
            with pytest.raises(PrecisionError) as e:
                call(Exact())
            assert precision.LINE in str(e.value)
    assert looked == []


def test_a_table_in_float64_is_not_cut():
    f = isp.Function(
        (jax.ShapeDtypeStruct((), np.dtype("int32")),),
        jax.ShapeDtypeStruct((), np.dtype("float64")),
    )
    with off(), pytest.raises(PrecisionError):
        f.accept(np.array([0.1, 0.2]))


def test_the_line_that_is_printed_works():
    code = (
        "import jax\n" + precision.LINE + "\nfrom infsup.core.precision import enabled\n"
        "assert enabled()\n"
    )
    env = {**os.environ, "PYTHONPATH": str(SOURCE.parent)}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, timeout=120)


# -- nothing in the library touches the flag ------------------------------------------------------


def touches(source):
    """Lines of a module that set JAX's configuration or open a scope of it."""
    found = []
    for node in ast.walk(ast.parse(source)):
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
        imported = [a.name for a in node.names] if isinstance(node, ast.ImportFrom) else []
        scope = {"enable_x64", "disable_x64", "experimental_x64_context"}
        if name in scope or scope & set(imported):
            found.append(node.lineno)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            target = ast.unparse(node.func)
            if target.endswith("config.update") or target == "config.update":
                found.append(node.lineno)
        if isinstance(node, ast.Assign):
            found += [node.lineno for t in node.targets if "jax_enable_x64" in ast.unparse(t)]
        if isinstance(node, ast.Constant) and node.value == "JAX_ENABLE_X64":
            found.append(node.lineno)
    return found


def test_no_module_but_the_shell_touches_the_flag():
    # a worker is a process of its own, which runs checks and nothing of the user's
    shell = {SOURCE / "theorems" / "worker.py", *(SOURCE / "cli").rglob("*.py")}
    bad = {
        str(p.relative_to(SOURCE)): touches(p.read_text())
        for p in SOURCE.rglob("*.py")
        if p not in shell
    }
    assert {k: v for k, v in bad.items() if v} == {}


@pytest.mark.parametrize(
    "planted",
    [
        'import jax\njax.config.update("jax_enable_x64", True)',
        'from jax import config\nconfig.update("jax_enable_x64", True)',
        "import jax\nwith jax.enable_x64(True):\n    pass",
        "from jax.experimental import enable_x64",
        "import jax\njax.config.jax_enable_x64 = True",
        'import os\nos.environ["JAX_ENABLE_X64"] = "1"',
    ],
)
def test_a_planted_touch_is_found(planted):
    assert touches(planted)
    assert not touches("import jax\nprint(jax.config.jax_enable_x64)\nd = {}\nd.update(a=1)")
