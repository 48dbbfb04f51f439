"""What is asked, as data; and how any object is told from another (`fingerprint`)."""

import abc
import dataclasses
import dis
import hashlib
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from infsup.core.certificate import Hypothesis
from infsup.core.errors import UsageError
from infsup.core.fields import look_at_fields
from infsup.core.keys import is_key
from infsup.core.registry import remember
from infsup.core.split import SeenRows


class Problem(eqx.Module):
    """What is asked, as data. Subclasses are final, or abstract with no fields of their own."""

    needs_64_bit: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        remember(cls)
        look_at_fields(cls)

    @property
    @abc.abstractmethod
    def asks(self) -> Any:
        """What an answer looks like: a `Function`, `Sampler` or `Point`."""

    def accept(self, answer: Any) -> Any:
        """The one door for any answer: looks once at its shapes; errors in words."""
        return self.asks.accept(answer)

    @property
    def fit(self) -> "Problem":
        """What methods see: nothing held out. The problem itself unless it owns a split."""
        return self

    def rows(self, side: str) -> SeenRows:
        """The rows of one side of the split, "fit" or "held_out"; none without data."""
        del side
        return SeenRows()

    def dual(self) -> "Problem | None":
        """The problem whose answers bound this problem's value, or None."""
        return None

    def trivial(self) -> dict[str, Any]:
        """Name -> answer: the honest simple comparators (do nothing, the mean, the prior)."""
        return {}

    @property
    def truth(self) -> float | None:
        """The exact value, where it is known; its source stands in the class's docstring."""
        return None

    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """What the problem knows of itself (dimension, smoothness, convexity, ranges)."""
        return ()

    @property
    def name(self) -> str:
        """What to call the problem in print."""
        return type(self).__name__


def fingerprint(tree: Any) -> str:
    """SHA-256 over canonical text of the structure and the bytes of the arrays (16 hex digits).

    Two objects agree exactly when types (by name), static fields, array bytes and the code of
    functions agree, with what functions close over and the global values that they name; likewise
    the methods and constants of classes. Modules with arrays neither hash nor compare; this serves
    resume, cache and ledger. Functions of libraries, and classes of libraries and of infsup, count
    by name: their versions stand beside the fingerprint.
    """
    return _Print().of(tree)


_LIBRARIES = frozenset(sys.stdlib_module_names).union(
    ("jax", "jaxlib", "numpy", "scipy", "optax", "equinox", "lineax", "optimistix", "diffrax"),
    ("jaxtyping", "beartype"),
)


class _Print:
    """One walk over an object: hashes what it meets, and knows what it is inside of."""

    def __init__(self):
        self.hash = hashlib.sha256()
        self.inside: dict[int, int] = {}
        self.classes: dict[type, str] = {}

    def of(self, x: Any) -> str:
        self.feed(x)
        return self.hash.hexdigest()[:16]

    def put(self, *text: object) -> None:
        self.hash.update("\x1f".join(map(str, text)).encode("utf-8", "backslashreplace") + b"\x1e")

    def feed(self, x: Any) -> None:
        if x is None or isinstance(x, (bool, int, float, complex, str, bytes)):
            self.put(type(x).__name__, x.hex() if isinstance(x, float) else repr(x))
        elif is_key(x):
            self.put("key", jax.random.key_impl(x))
            self.feed(np.asarray(jax.random.key_data(x)))
        elif isinstance(x, (jax.Array, np.ndarray, np.generic)):
            self.array(np.asarray(x))
        elif isinstance(x, types.CodeType):
            self.code(x)
        elif isinstance(x, type) and _library(x):
            self.put("class", x.__module__, x.__qualname__)
        elif id(x) in self.inside:
            # a function that calls itself, a list that holds itself: said by how far up it began
            self.put("again", self.inside[id(x)])
        elif len(self.inside) > 100:
            raise UsageError(
                f"a {type(x).__name__} is nested more than 100 deep", "It has no fingerprint."
            )
        else:
            self.inside[id(x)] = len(self.inside)
            try:
                self.compound(x)
            finally:
                del self.inside[id(x)]

    def compound(self, x: Any) -> None:
        if isinstance(x, type):
            self.own_class(x)
        elif isinstance(x, (tuple, list)):
            self.put(type(x).__name__, len(x))
            for v in x:
                self.feed(v)
        elif isinstance(x, (set, frozenset)):
            self.put("set", *sorted(fingerprint(v) for v in x))
        elif isinstance(x, Mapping):
            self.put("dict", len(x))
            for _, k in sorted((repr(k) if isinstance(k, str) else fingerprint(k), k) for k in x):
                self.feed(k)
                self.feed(x[k])
        elif dataclasses.is_dataclass(x):
            self.feed(type(x))
            for f in dataclasses.fields(x):
                self.put(f.name)
                self.feed(getattr(x, f.name, None))
        elif isinstance(x, types.MethodType):
            self.put("method")
            self.feed(x.__func__)
            self.feed(x.__self__)
        elif isinstance(x, types.FunctionType):
            self.function(x)
        elif isinstance(x, types.ModuleType):
            self.put("module", x.__name__)
        elif isinstance(x, jax.ShapeDtypeStruct):
            self.put("shape", x.shape, x.dtype)
        else:
            self.thing(x)

    def own_class(self, cls: type) -> None:
        """A class of the user's: its name, and what it and those before it define."""
        if cls not in self.classes:
            inner = _Print()
            inner.inside, inner.classes = self.inside, self.classes
            inner.put("class", cls.__module__, cls.__qualname__)
            fields = getattr(cls, "__dataclass_fields__", {})
            for c in cls.__mro__:
                if _library(c):
                    inner.put("under", c.__module__, c.__qualname__)
                    continue
                made = getattr(vars(c).get("__dataclass_params__"), "init", False)
                for name, value in sorted(vars(c).items()):
                    if name not in fields and not (name == "__init__" and made):
                        for part in _defined(name, value):
                            inner.put("defines", name, type(value).__name__)
                            inner.feed(part)
            self.classes[cls] = inner.hash.hexdigest()
        self.put(self.classes[cls])

    def array(self, a: np.ndarray) -> None:
        self.put("array", a.dtype, a.shape)
        if a.dtype == object:
            for v in a.ravel():
                self.feed(v)
        else:
            self.hash.update(np.ascontiguousarray(a).tobytes())

    def function(self, f: types.FunctionType) -> None:
        self.put("function", f.__module__, f.__qualname__)
        # a library's closures count: `optax.adam(0.1)` and `optax.adam(0.2)` share their code
        if str(f.__module__).split(".")[0] not in _LIBRARIES:
            self.feed(f.__code__)
            for name in sorted(_global_names(f.__code__)):
                value = f.__globals__.get(name)
                if isinstance(value, _CONSTANTS) and not name.startswith("__"):
                    self.put("global", name)
                    self.feed(value)
        self.feed(f.__defaults__)
        self.feed(f.__kwdefaults__)
        for cell in f.__closure__ or ():
            try:
                self.feed(cell.cell_contents)
            except ValueError:  # a cell that is not filled yet
                self.put("empty cell")

    def code(self, c: types.CodeType) -> None:
        names = (c.co_name, c.co_names, c.co_varnames, c.co_freevars, c.co_cellvars)
        counts = (c.co_argcount, c.co_posonlyargcount, c.co_kwonlyargcount, c.co_flags)
        self.put("code", *names, *counts, len(c.co_code), len(c.co_consts))
        self.hash.update(c.co_code)
        for constant in c.co_consts:
            self.feed(constant)

    def thing(self, x: Any) -> None:
        """An object of a foreign class: what it wraps, or what pickling would keep of it."""
        name = getattr(x, "__qualname__", None) or getattr(x, "__name__", "")
        cls, module = type(x), getattr(x, "__module__", "")
        self.put("object", module, name)
        self.feed(cls)
        inner = getattr(x, "__wrapped__", None)
        if isinstance(inner, types.FunctionType) and type(x).__module__.startswith("jaxlib"):
            self.feed(inner)  # a jitted function; its caches are no part of it
            return
        state = {k: v for k, v in getattr(x, "__dict__", {}).items() if not k.startswith("__")}
        if state:
            self.feed(state)
            return
        try:
            reduced = x.__reduce_ex__(4)
        except Exception:  # locks, files, modules of C: only their kind is known
            return
        if isinstance(reduced, tuple):
            self.feed(tuple(list(v) if isinstance(v, Iterator) else v for v in reduced))
        else:
            self.put(reduced)


_CONSTANTS = (bool, int, float, complex, str, bytes, tuple, np.ndarray, np.generic, jax.Array)
_CONSTANTS += (types.FunctionType, eqx.Module, type)
"""Globals that count as part of a function that names them; modules and containers do not."""

_WRITTEN_BY_PYTHON = ("__eq__", "__hash__", "__repr__", "__replace__", "__setattr__", "__delattr__")


def _library(cls: type) -> bool:
    """Whether a class counts by name: its code is that of a version."""
    return cls.__module__.split(".")[0] in {*_LIBRARIES, "builtins", "infsup"}


def _defined(name: str, value: Any) -> list[Any]:
    """The functions and constants in one entry of a class's body."""
    if isinstance(value, property):
        return [f for f in (value.fget, value.fset) if f is not None]
    value = getattr(value, "__func__", value)  # of a static or class method
    value = getattr(value, "__wrapped__", value)
    if isinstance(value, types.FunctionType):
        return [] if name in _WRITTEN_BY_PYTHON else [value]
    return [value] if isinstance(value, _CONSTANTS) and not name.startswith("_") else []


def _global_names(code: types.CodeType) -> set[str]:
    names = {i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return names.union(*map(_global_names, inner))
