"""What is asked, as data; and how any object of the library is told from another (`fingerprint`)."""

import abc
import dataclasses
import hashlib
import types
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from infsup.core.certificate import Hypothesis
from infsup.core.registry import remember
from infsup.core.split import SeenRows


class Problem(eqx.Module):
    """What is asked, as data. Subclasses are final, or abstract with no fields of their own."""

    needs_64_bit: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        remember(cls)

    @property
    @abc.abstractmethod
    def asks(self):
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

    Two objects agree exactly when types, static fields, array bytes and the code of functions
    agree. Modules with arrays neither hash nor compare; this serves resume, cache and ledger.
    """
    h = hashlib.sha256()
    _feed(h, tree, set())
    return h.hexdigest()[:16]


def _feed(h: Any, x: Any, seen: set[int]) -> None:
    def put(*text: object) -> None:
        h.update("\x1f".join(map(str, text)).encode() + b"\x1e")

    if x is None or isinstance(x, (bool, int, float, complex, str, bytes)):
        put(type(x).__name__, x.hex() if isinstance(x, float) else repr(x))
    elif isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        put("key", jax.random.key_impl(x))
        _feed(h, np.asarray(jax.random.key_data(x)), seen)
    elif isinstance(x, (jax.Array, np.ndarray, np.generic)):
        a = np.asarray(x)
        put("array", a.dtype, a.shape)
        h.update(np.ascontiguousarray(a).tobytes())
    elif isinstance(x, (tuple, list)):
        put(type(x).__name__, len(x))
        for v in x:
            _feed(h, v, seen)
    elif isinstance(x, (set, frozenset)):
        put("set", *sorted(fingerprint(v) for v in x))
    elif isinstance(x, dict):
        put("dict", len(x))
        for k in sorted(x, key=repr):
            put(repr(k))
            _feed(h, x[k], seen)
    elif dataclasses.is_dataclass(x) and not isinstance(x, type):
        put("record", type(x).__module__, type(x).__qualname__)
        for f in dataclasses.fields(x):
            put(f.name)
            _feed(h, getattr(x, f.name, None), seen)
    elif isinstance(x, types.MethodType):
        _feed(h, (x.__func__, x.__self__), seen)
    elif isinstance(x, types.FunctionType):
        _feed_function(h, x, seen)
    elif isinstance(x, types.CodeType):
        put("code", x.co_name, x.co_names, x.co_varnames)
        h.update(x.co_code)
        for c in x.co_consts:
            _feed(h, c, seen)
    elif isinstance(x, type):
        put("class", x.__module__, x.__qualname__)
    else:
        inner = getattr(x, "__wrapped__", None)
        put("object", type(x).__module__, getattr(x, "__qualname__", type(x).__qualname__))
        if inner is not None and id(inner) not in seen:
            _feed(h, inner, seen)


def _feed_function(h: Any, f: types.FunctionType, seen: set[int]) -> None:
    h.update(f"function {f.__module__}.{f.__qualname__}\x1e".encode())
    if id(f) in seen or f.__module__.split(".")[0] in ("jax", "jaxlib", "numpy", "optax"):
        return  # recursion, or a library whose version is recorded beside the fingerprint
    seen.add(id(f))
    _feed(h, f.__code__, seen)
    _feed(h, f.__defaults__, seen)
    for cell in f.__closure__ or ():
        try:
            _feed(h, cell.cell_contents, seen)
        except ValueError:  # a cell that is not filled yet
            h.update(b"empty cell\x1e")
