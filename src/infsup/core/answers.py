"""The protocols that answers speak, and the one door through which any answer comes in.

An answer is a function (a network, control, policy, path, value), a sampler, or a point. Answers of
other libraries come in as records: `Draws`, `Predictions`, `Table`.
"""

import contextlib
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from infsup.core.errors import HypothesisError, InfsupError, UsageError
from infsup.core.keys import key_from
from infsup.core.precision import guard
from infsup.core.registry import register

Shape = jax.ShapeDtypeStruct

_UNTRACEABLE = (
    jax.errors.TracerArrayConversionError,
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerBoolConversionError,
    jax.errors.TracerIntegerConversionError,
)


def shape_of(x: Any) -> str:
    """Shape and dtype in the short form of Equinox, e.g. `f32[8,2]`."""
    if not hasattr(x, "shape"):
        return type(x).__name__
    short = {"float": "f", "bfloat": "bf", "int": "i", "uint": "u", "bool": "bool"}
    name = str(x.dtype)
    for long in ("bfloat", "float", "uint", "int"):
        if name.startswith(long):
            name = short[long] + name.removeprefix(long)
            break
    return f"{name}[{','.join(map(str, x.shape))}]"


@register
class Draws(eqx.Module):
    """Samples from a file, as the answer of a problem that asks for a sampler.

    Args:
        x: array [n, *row].
    """

    x: Any


@register
class Predictions(eqx.Module):
    """What a predictor said of given rows, in their order, when the predictor itself is not here.

    Args:
        values: array [n] of labels (integers) or [n, *out] of predicted values.
        name: what to call the predictor in print.
    """

    values: Any
    name: str = eqx.field(static=True, default="predictions")


@register
class Table(eqx.Module):
    """A function of an integer, by its values.

    Args:
        values: array [n, *out]; `table(i)` is `values[i]`.
    """

    values: Any

    def __call__(self, i):
        return self.values[i]


@register
class Accepted(eqx.Module):
    """An answer that came through the door of a problem, with what was found out there.

    Args:
        answer: what came in.
        ins, out: one sample's arguments and result, as shapes and dtypes.
        random: whether a key is taken as the last argument.
        traced: whether JAX can trace it; else it goes through `jax.pure_callback`.
    """

    answer: Any
    ins: tuple[Shape, ...] = eqx.field(static=True)
    out: Shape = eqx.field(static=True)
    random: bool = eqx.field(static=True)
    traced: bool = eqx.field(static=True)

    def __call__(self, *args):
        if self.traced:
            return self.answer(*args)
        kind = None
        if self.random:  # a callback takes no typed key
            *args, key = args
            args = (*args, jax.random.key_data(key))
            kind = jax.random.key_impl(key)

        def call(*host):
            given: list[Any] = [np.array(a) for a in host]  # copies: the answer may write to them
            if self.random:
                given[-1] = key_from(given[-1], kind)
            return np.asarray(self.answer(*given), self.out.dtype).reshape(self.out.shape)

        return jax.pure_callback(call, self.out, *args, vmap_method="sequential")


@dataclass(frozen=True)
class Function:
    """A problem asks for a function of one sample: `f(*ins) -> out`, or `f(*ins, key) -> out`.

    Args:
        ins: shapes and dtypes of the arguments.
        out: shape and dtype of the result. A shape entry of -1 takes any length.
    """

    ins: tuple[Shape, ...]
    out: Shape

    def __str__(self) -> str:
        return f"a function ({', '.join(map(shape_of, self.ins))}) -> {shape_of(self.out)}"

    def accept(self, answer: Any) -> Accepted:
        """Looks once at shapes, randomness and traceability.

        Raises:
            UsageError: the answer is not such a function; says what came and what is asked.
            PrecisionError: a float64 answer while the 64-bit flag is off.
        """
        if isinstance(answer, Accepted):
            answer = answer.answer
        guard(answer, "`answer`")
        if eqx.is_array(answer) or isinstance(answer, np.ndarray):
            answer = Table(jnp.asarray(answer))
        if not callable(answer):
            raise UsageError(
                f"`answer` is {type(answer).__name__}",
                f"This problem asks for {self}.",
            )
        fault: Exception | None = None
        for random in (False, True):
            args = (*self.ins, jax.random.key(0)) if random else self.ins
            try:
                got, traced = eqx.filter_eval_shape(answer, *args), True
            except InfsupError:
                raise
            except Exception as e:
                # what cannot be traced may still run on the host; what cannot run is no answer
                got, traced = self._on_host(answer, random), False
                if got is None:
                    fault = fault if fault is not None and not _about_arguments(fault) else e
                    continue
            return Accepted(answer, self.ins, self._check(got), random, traced)
        assert fault is not None
        said = (str(fault).splitlines() or [""])[0] or type(fault).__name__
        if _about_arguments(fault):
            what = f"`answer` does not take ({', '.join(map(shape_of, self.ins))}): {said}"
        else:
            what = f"`answer` fails on ({', '.join(map(shape_of, self.ins))}): {said}"
        raise UsageError(
            what, f"This problem asks for {self}; functions see one sample, without a batch axis."
        ) from fault

    def _on_host(self, answer: Any, random: bool) -> np.ndarray | None:
        """A first value, at zero or, where that lies outside the answer's domain, at 1 or 1/2."""
        for at in (0, 1, 0.5):
            args = [np.full(s.shape, at, s.dtype) for s in self.ins]
            with np.errstate(all="ignore"), contextlib.suppress(Exception):
                got = answer(*args, jax.random.key(0)) if random else answer(*args)
                return np.asarray(got)
        return None

    def _check(self, got: Any) -> Shape:
        if isinstance(got, (bool, int, float, complex)):
            got = np.asarray(got)
        if not hasattr(got, "shape"):
            raise UsageError(
                f"`answer` gives a {type(got).__name__}",
                f"This problem asks for {self}.",
                "one array: jnp.stack(...) or jnp.concatenate(...)" if got is not None else "",
            )
        shape, asked = tuple(got.shape), tuple(self.out.shape)
        fits = len(shape) == len(asked) and all(
            b in (-1, a) for a, b in zip(shape, asked, strict=True)
        )
        if got.dtype.kind not in ("fiubVc" if self.out.dtype.kind == "c" else "fiubV"):
            fits = False  # V: bfloat16 and its like
        if not fits:
            raise UsageError(f"`answer` gives {shape_of(got)}", f"This problem asks for {self}.")
        # a host function computes in float64 whatever the flag says
        return Shape(shape, jax.dtypes.canonicalize_dtype(got.dtype))


def _about_arguments(e: Exception) -> bool:
    """Whether a call failed before the function began: too few or too many arguments."""
    return isinstance(e, TypeError) and (
        "argument" in str(e) and any(w in str(e) for w in ("missing", "takes", "positional"))
    )


@dataclass(frozen=True)
class Sampler:
    """A problem asks for a sampler: `sample(key, n) -> [n, *row]`, or an array of draws.

    Args:
        row: shape and dtype of one draw.
    """

    row: Shape

    def __str__(self) -> str:
        return f"a sampler of {shape_of(self.row)}, or an array of draws"

    def accept(self, answer: Any) -> Any:
        """The sampler itself, or `Draws`.

        Raises:
            UsageError: rows of another shape, or neither a sampler nor an array.
        """
        guard(answer, "`answer`")
        if hasattr(answer, "sample"):
            try:
                # n is a Python number: it sets a shape
                got = eqx.filter_eval_shape(lambda key: answer.sample(key, 3), jax.random.key(0))
            except _UNTRACEABLE:
                got = np.asarray(answer.sample(jax.random.key(0), 3))
            except (TypeError, ValueError, IndexError) as e:
                raise UsageError(
                    f"`answer.sample(key, 3)` fails: {(str(e).splitlines() or [''])[0]}",
                    f"This problem asks for {self}.",
                ) from e
            if getattr(got, "shape", None) != (3, *self.row.shape):
                raise UsageError(
                    f"`answer.sample(key, 3)` gives {shape_of(got)}",
                    f"This problem asks for {self}.",
                )
            return answer
        try:
            x = np.asarray(answer.x if isinstance(answer, Draws) else answer)
        except ValueError:  # rows of several lengths
            raise UsageError(
                f"`answer` is a ragged {type(answer).__name__}", f"This problem asks for {self}."
            ) from None
        if x.ndim and not len(x):
            raise UsageError("`answer` holds no draw")
        if x.dtype.kind not in "fiu" or x.shape[1:] != tuple(self.row.shape) or x.ndim == 0:
            raise UsageError(
                f"`answer` is {shape_of(x) if x.dtype != object else type(answer).__name__}",
                f"This problem asks for {self}.",
            )
        if not np.isfinite(x).all():
            raise UsageError("`answer` holds NaN or inf")
        return Draws(x)


@dataclass(frozen=True)
class Point:
    """A problem asks for a point of a vector space: a tree of arrays like `like`.

    Args:
        like: tree of shapes and dtypes.
    """

    like: Any

    def __str__(self) -> str:
        leaves = [shape_of(x) for x in jax.tree.leaves(self.like)]
        return f"a point {', '.join(leaves)}"

    def accept(self, answer: Any) -> Any:
        """The point as arrays of the asked dtypes.

        Raises:
            UsageError: another structure or shape, or a value that is not finite.
        """
        if jax.tree.structure(answer) != jax.tree.structure(self.like):
            raise UsageError(
                f"`answer` is {type(answer).__name__}", f"This problem asks for {self}."
            )
        guard(answer, "`answer`")
        guard(self.like, "the point that this problem asks for")
        for got, asked in zip(jax.tree.leaves(answer), jax.tree.leaves(self.like), strict=True):
            if tuple(np.shape(got)) != tuple(asked.shape):
                raise UsageError(
                    f"`answer` is {shape_of(np.asarray(got))}", f"This problem asks for {self}."
                )
            if not _same_kind(np.asarray(got).dtype, asked.dtype):
                raise UsageError(
                    f"`answer` is {shape_of(np.asarray(got))}", f"This problem asks for {self}."
                )
        with np.errstate(over="ignore"):
            point = jax.tree.map(lambda x, s: jnp.asarray(x, s.dtype), answer, self.like)
        for x in jax.tree.leaves(point):  # after the cast: 1e300 is no float32
            if not np.isfinite(np.asarray(x)).all():
                raise UsageError("`answer` holds NaN or inf")
        return point


def _same_kind(got: np.dtype, asked: np.dtype) -> bool:
    """Whether numbers of one dtype may stand for the other: no 0.5 where an integer is asked."""
    ranks = (jnp.bool_, jnp.integer, jnp.floating, jnp.complexfloating)

    def rank(dtype: np.dtype) -> int:
        return next((i for i, r in enumerate(ranks) if jnp.issubdtype(dtype, r)), len(ranks))

    return rank(got) <= rank(asked) < len(ranks)


@eqx.filter_jit
def _map_rows(f, columns):
    return jax.vmap(f)(*columns)


def evaluate(f: Accepted, *columns: Any, block: int = 4096) -> np.ndarray:
    """A deterministic function on every row, in blocks, as NumPy.

    Args:
        f: an accepted function.
        columns: one array [n, *in] for each argument.
        block: rows evaluated at a time (bounds the memory).

    Returns:
        Array [n, *out].

    Raises:
        HypothesisError: the function is random.
        UsageError: columns of different lengths.
        PrecisionError: it is float64 and the 64-bit flag is off by now.
    """
    if not isinstance(f, Accepted):
        raise UsageError(f"`f` is {type(f).__name__}", remedy="problem.accept(answer)")
    guard((f.answer, f.out), "`answer`")
    if f.random:
        raise HypothesisError("`answer` is random", "This bound needs one value for each row.")
    n = len(columns[0])
    rows = [np.asarray(c) for c in columns]
    if any(len(r) != n for r in rows):
        raise UsageError(f"`columns` have different numbers of rows: {[len(r) for r in rows]}")
    if n == 0:
        return np.zeros((0, *f.out.shape), f.out.dtype)
    if not f.traced:
        return np.stack([np.asarray(f.answer(*[r[i] for r in rows])) for i in range(n)])
    out = []
    for at in range(0, n, block):
        part = [r[at : at + block] for r in rows]
        short = block - len(part[0])
        if short and n > block:  # one shape for all blocks: one compilation
            part = [np.concatenate([p, np.repeat(p[-1:], short, 0)]) for p in part]
        out.append(np.asarray(_map_rows(f.answer, part))[: block - short])
    return np.concatenate(out)
