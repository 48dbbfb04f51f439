"""Names for classes and functions that may stand in a file.

A closed list: reading imports nothing but infsup's own modules, and no name in a file is a path or
a class to look up.
"""

import importlib
import importlib.util
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from infsup.core.errors import FileRejected, UsageError, nearest

T = TypeVar("T")

_classes: dict[str, type] = {}
_functions: dict[str, Callable] = {}

HOMES = (
    "core",
    "data",
    "numerics",
    "networks",
    "optimization",
    "generalization",
    "approximation",
    "dynamics",
    "control",
    "continuum",
    "rl",
    "generative",
)
"""The packages whose `PUBLIC` table may be asked for a name that stands in a file."""

_EQUINOX = [
    "MLP",
    "Linear",
    "Identity",
    "Conv",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "AvgPool1d",
    "AvgPool2d",
    "MaxPool1d",
    "MaxPool2d",
    "LayerNorm",
    "RMSNorm",
    "GroupNorm",
    "Embedding",
    "MultiheadAttention",
    "GRUCell",
    "LSTMCell",
    "Sequential",
    "Lambda",
    "Dropout",
    "PReLU",
]
_FUNCTIONS = {
    "jax.nn": "relu gelu silu elu softplus sigmoid tanh leaky_relu selu celu softmax log_softmax "
    "swish relu6 soft_sign hard_tanh log_sigmoid identity",
    "jax.numpy": "sin cos tan exp log tanh sqrt abs square sinh cosh arctan",
}


def name_of(cls: type) -> str:
    """The name under which a class stands in files: `pillar.Class`, or `module:Class` outside."""
    module = cls.__module__
    if module.startswith("infsup."):
        return f"{module.split('.')[1]}.{cls.__qualname__}"
    return f"{module}:{cls.__qualname__}"


def remember(cls: type) -> None:
    """Enters a class without looking at its fields (they are not made yet in a class's body)."""
    _classes[name_of(cls)] = cls


def register(cls: type[T]) -> type[T]:
    """Lets instances of a user's class be stored by name and read back (a decorator).

    Problems, methods and bounds are registered when they are defined; answers (your own Equinox
    modules) and recipes need this decorator, else they are stored as `opaque`.

    Raises:
        UsageError: the class is not a dataclass or Equinox module, or is defined in a function.
    """
    if not isinstance(cls, type) or not hasattr(cls, "__dataclass_fields__"):
        got = getattr(cls, "__name__", type(cls).__name__)
        raise UsageError(
            f"`cls`: `{got}` is no class with fields to store",
            remedy="a subclass of equinox.Module, or a frozen dataclass",
        )
    remember(cls)
    return cls


def lookup(name: str) -> type:
    """The class of a name.

    Raises:
        FileRejected: the name is not in the registry.
    """
    if name in _classes:
        return _classes[name]
    if name.startswith("equinox.nn."):
        import equinox.nn as nn

        if name.removeprefix("equinox.nn.") in _EQUINOX:
            return getattr(nn, name.removeprefix("equinox.nn."))
    elif ":" not in name:
        _import_home(name)
        if name in _classes:
            return _classes[name]
    own = "import the module that defines it, then load again" if ":" in name else ""
    raise FileRejected(
        f"solution.json names `{name[:80]}`, which is not registered",
        "Nothing in a file is imported, except infsup's own modules.",
        own or nearest(name, _classes),
    )


def _import_home(name: str) -> None:
    """Imports the module of one of infsup's own public names."""
    home, _, cls = name.partition(".")
    if home in HOMES and importlib.util.find_spec(f"infsup.{home}") is not None:
        try:
            package = importlib.import_module(f"infsup.{home}")
            if cls in package.PUBLIC:
                getattr(package, cls)
        except ImportError as e:
            raise FileRejected(f"solution.json names `{name[:80]}`, which needs {e.name}") from e


def packaged(name: str) -> Any:
    """The data set of a name that comes inside the package, as `infsup.data` knows it.

    Raises:
        UsageError: there is no such data set.
    """
    return importlib.import_module("infsup.data").packaged(name)


def known(cls: type) -> str | None:
    """The name of a class whose instances can be stored by name, or None."""
    if cls.__module__.startswith("equinox.nn") and cls.__name__ in _EQUINOX:
        return f"equinox.nn.{cls.__name__}"
    name = name_of(cls)
    return name if _classes.get(name) is cls else None


def _load_functions() -> dict[str, Callable]:
    if not _functions:
        for module, names in _FUNCTIONS.items():
            m = importlib.import_module(module)
            _functions.update({f"{module}.{n}": getattr(m, n) for n in names.split()})
        # the default of `eqx.nn.MLP(final_activation=)` is a lambda of Equinox's own
        nn = importlib.import_module("equinox.nn")
        last = inspect.signature(nn.MLP.__init__).parameters["final_activation"].default
        _functions["equinox.nn.identity"] = last
    return _functions


def function_name(f: Any) -> str | None:
    """The name of a function of the closed list, or None.

    Only the very object has the name: `jax.grad(jnp.sin)` too points to `jnp.sin` as what it wraps.
    """
    return next((name for name, g in _load_functions().items() if g is f), None)


def function(name: str) -> Callable:
    """The function of a name.

    Raises:
        FileRejected: the name is not in the list.
    """
    table = _load_functions()
    if name not in table:
        raise FileRejected(f"solution.json names the function `{name[:80]}`, which is not known")
    return table[name]


def named(table: str, name: str) -> type:
    """The class of a public name, e.g. `named("METHODS", "AdamW")`.

    Raises:
        UsageError: there is no such name; says the nearest.
    """
    names = public(table)
    if name not in names:
        raise UsageError(
            f"there is no {table.lower().removesuffix('s')} `{name}`",
            remedy=nearest(name, names),
        )
    return getattr(importlib.import_module(f"infsup.{names[name]}"), name)


def public(table: str) -> dict[str, str]:
    """Public name -> package, for "PROBLEMS", "METHODS" or "BOUNDS". Imports no JAX."""
    found = {}
    for home in HOMES:
        if importlib.util.find_spec(f"infsup.{home}") is not None:
            package = importlib.import_module(f"infsup.{home}")
            found.update(dict.fromkeys(getattr(package, table, {}), home))
    return found


def fitting(table: str, problem: object) -> list[str]:
    """The public methods or bounds whose problem classes hold `problem`."""
    return [n for n in public(table) if isinstance(problem, named(table, n).problems)]
