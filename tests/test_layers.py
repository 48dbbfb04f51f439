"""Which module may import which (DESIGN section 3), read from the source, and what loads no JAX."""

import ast
import os
import pathlib
import subprocess
import sys

import pytest

import infsup

SOURCE = pathlib.Path(infsup.__file__).parent

ORDER = (
    ("tour",),
    ("cli",),
    ("report",),
    ("theorems",),
    ("problems",),
    ("generative",),
    ("rl",),
    ("continuum",),
    ("control",),
    ("dynamics",),
    ("approximation",),
    ("generalization",),
    ("optimization",),
    ("networks",),
    ("numerics",),
    ("data",),
    ("core",),
)
"""From the top down; the pillars stand here from the right to the left of DESIGN's line."""
HEIGHT = {name: -i for i, names in enumerate(ORDER) for name in names}

HEAVY = (
    *("diffrax", "optimistix", "scipy.stats", "scipy.optimize", "scipy.integrate", "matplotlib"),
    *("jinja2", "sklearn", "onnx", "onnxruntime", "ott", "clarabel", "gymnasium", "mujoco"),
    *("tensorboardX", "orbax"),
)
"""Imported where they are used, inside functions: each costs a user who does not need it."""

NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "stuff"}


def modules(root):
    for path in sorted(root.rglob("*.py")):
        yield path, path.relative_to(root).with_suffix("").parts


def imports(tree, parts):
    """(dotted name, line, whether it happens when the module is imported) of every import."""
    inner = {
        id(n)
        for f in ast.walk(tree)
        if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for n in ast.walk(f)
    }
    typing_only = {
        id(n)
        for f in ast.walk(tree)
        if isinstance(f, ast.If) and "TYPE_CHECKING" in ast.unparse(f.test)
        for b in f.body
        for n in ast.walk(b)
    }
    package = ("infsup", *parts[:-1])
    for node in ast.walk(tree):
        at_import = id(node) not in inner and id(node) not in typing_only
        if isinstance(node, ast.Import):
            for a in node.names:
                yield a.name, node.lineno, at_import
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            for a in node.names:
                yield f"{module}.{a.name}", node.lineno, at_import


def faults(root):
    """What the source does against the order of the layers."""
    found = []
    for path, parts in modules(root):
        at = "/".join(parts)
        if set(parts) & NAMELESS:
            found.append(f"{at}: a name that says nothing")
        if parts in (("__init__",), ("__main__",)):
            continue  # the public face: it hands out names of all layers, when they are used
        home = parts[0]
        if home not in HEIGHT:
            found.append(f"{at}: no layer of this name")
            continue
        for name, line, at_import in imports(ast.parse(path.read_text()), parts):
            there = name.split(".")
            if there[0] == "infsup" and len(there) > 1:
                if there[1] not in HEIGHT:
                    # the public face, where a layer above the pillars may use it
                    if HEIGHT[home] < HEIGHT["problems"] and there[1] != "__version__":
                        found.append(f"{at}:{line}: imports {name}, the public face")
                elif HEIGHT[there[1]] > HEIGHT[home]:
                    found.append(f"{at}:{line}: imports {name}, which stands above")
                elif there[1] != home and HEIGHT[there[1]] == HEIGHT[home]:
                    found.append(f"{at}:{line}: imports {name}, which stands beside")
            heavy = next((h for h in HEAVY if name == h or name.startswith(h + ".")), None)
            if heavy and at_import:
                found.append(f"{at}:{line}: imports {heavy} when it is imported")
    return found


def test_imports_go_downwards_and_heavy_ones_wait():
    assert faults(SOURCE) == []


@pytest.mark.parametrize(
    ("file", "line", "word"),
    [
        ("core/x.py", "from infsup.networks import MLP", "above"),
        ("core/x.py", "from infsup import networks", "above"),
        ("core/x.py", "import infsup.control.problem", "above"),
        ("core/x.py", "def f():\n    from infsup.report import look", "above"),
        ("core/x.py", "from ..control import problem", "above"),
        ("core/x.py", "from infsup import solve", "public face"),
        ("optimization/x.py", "from infsup.generalization.problem import EmpiricalRisk", "above"),
        ("control/x/y.py", "from ...rl import MDP", "above"),
        ("data/x.py", "from infsup.numerics import quadrature", "above"),
        ("control/x.py", "import scipy.optimize", "when it is imported"),
        ("control/x.py", "from scipy import stats", "when it is imported"),
        ("rl/x.py", "class A:\n    import diffrax", "when it is imported"),
        ("core/x.py", "if True:\n    import matplotlib.pyplot as plt", "when it is imported"),
        ("rl/utils.py", "", "says nothing"),
        ("helpers/x.py", "", "says nothing"),
        ("magic/x.py", "", "no layer"),
    ],
)
def test_a_planted_import_is_found(tmp_path, file, line, word):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x = 1\n")
    if word not in ("says nothing", "no layer"):
        assert faults(tmp_path) == []
    path.write_text(line + "\n")
    assert any(word in f for f in faults(tmp_path)), faults(tmp_path)


def test_what_is_allowed_passes(tmp_path):
    for file, line in (
        ("rl/x.py", "from infsup.control.problem import ControlProblem\nimport numpy"),
        ("control/x.py", "def f():\n    import scipy.optimize\n    import diffrax"),
        ("theorems/x.py", "import infsup as isp\nfrom infsup import solve"),
        ("cli/app.py", "import typer\nfrom infsup.report import html"),
        ("core/x.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import diffrax"),
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(line + "\n")
    assert faults(tmp_path) == []


# -- abstract or final ----------------------------------------------------------------------------

ROOTS = {"Problem", "Method", "Bound", "DirectMethod", "IterativeMethod"}


def classes(root):
    """Name -> (where, names of bases, names that its body defines, whether it is abstract)."""
    found = {}
    for path, parts in modules(root):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                bases = [ast.unparse(b).split("[")[0].split(".")[-1] for b in node.bases]
                body = ast.unparse(node)
                abstract = "abstractmethod" in body or "AbstractVar" in body or "ABC" in bases
                found[node.name] = ("/".join(parts), bases, abstract)
    return found


def concrete_parents(root):
    """Classes below Problem, Method or Bound whose parent has no abstract member of its own."""
    known = classes(root)

    def below(name, seen=()):
        if name in ROOTS:
            return True
        bases = known.get(name, ("", [], False))[1]
        return any(below(b, (*seen, name)) for b in bases if b not in seen)

    return sorted(
        f"{name} ({where}) is a {base}, which is concrete"
        for name, (where, bases, _) in known.items()
        if name not in ROOTS and below(name)
        for base in bases
        if base not in ROOTS and below(base) and not known[base][2]
    )


def test_problems_methods_and_bounds_are_abstract_or_final():
    assert concrete_parents(SOURCE) == []


def test_a_planted_child_of_a_concrete_class_is_found(tmp_path):
    (tmp_path / "core").mkdir()
    file = tmp_path / "core" / "x.py"
    text = (
        "class A(Problem):\n    @abc.abstractmethod\n    def f(self): ...\nclass B(A):\n    pass\n"
    )
    file.write_text(text)
    assert concrete_parents(tmp_path) == []
    file.write_text(text + "class C(x.B):\n    pass\n")
    assert concrete_parents(tmp_path) == ["C (core/x) is a B, which is concrete"]


# -- what loads no JAX ----------------------------------------------------------------------------


def light():
    """Modules that a second, small reader of our files uses: no JAX in their chains."""
    checks = [p.parent.name for p in sorted(SOURCE.glob("*/check.py"))]
    return [f"infsup.{c}.check" for c in checks] + [
        "infsup",
        "infsup.core",
        "infsup.core.intervals",
        "infsup.core.storage",
        "infsup.core.encoding",
        "infsup.core.certificate",
        "infsup.core.ledger",
        "infsup.core.bracket",
        "infsup.problems",
    ]


def loads(module, *words):
    """Those of `words` that are loaded after the import, in a process of its own."""
    code = f"import importlib, sys; importlib.import_module({module!r})\n"
    code += f"print(*[w for w in {words!r} if w in sys.modules])"
    env = {**os.environ, "PYTHONPATH": str(SOURCE.parent)}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=120
    )
    assert run.returncode == 0, run.stderr[-1500:]
    return run.stdout.split()


def test_the_small_readers_load_no_jax():
    for module in light():
        assert loads(module, "jax", "equinox", "matplotlib", "diffrax") == [], module


def test_the_probe_sees_jax():
    assert loads("infsup.core.problem", "jax", "diffrax") == ["jax"]
