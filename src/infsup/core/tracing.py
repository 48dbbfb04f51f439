"""From JAX code to a program and back."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun

from infsup.core.errors import UsageError
from infsup.core.keys import is_key
from infsup.core.program import (
    ELEMENTWISE,
    STRUCTURAL,
    Argument,
    Program,
    Step,
    Writer,
    evaluate,
    in_float64,
)

_AS_IT_IS = (
    "neg abs sign exp expm1 log log1p sqrt rsqrt square sin cos tan tanh sinh cosh asin acos atan "
    "asinh acosh atanh lgamma logistic erf erfc cbrt add sub mul div lt le gt ge eq ne and or not"
)
_SAME = {
    **{name: name for name in _AS_IT_IS.split()},
    "add_any": "add",
    "max": "maximum",
    "min": "minimum",
    "pow": "power",
}
"""JAX primitive -> operation, where nothing else changes."""
_NOTHING = ("copy", "copy_p", "stop_gradient", "optimization_barrier", "reduce_precision", "pvary")
MAX_LOOP = 256
_INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")
_TRUTH = ("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not")
_INSTEAD = {
    "searchsorted": "jnp.interp for a table; jnp.where, or sums of jnp.maximum(x - knot, 0)**k, "
    "for a spline",
    "while": "a loop of a fixed number of steps, such as lax.fori_loop with numbers as its ends",
    "argmax": "jnp.where",
    "cond": "jnp.where, or lax.cond with a comparison",
}
"""What to write in place of a primitive, or of a function of jax.numpy."""


def trace(f: Callable, *shapes: Any, names: Sequence[str] = (), text: str = "") -> Program:
    """The program of a function written in JAX.

    Constants are taken as the exact values of their floats. Conversions between floating types are
    dropped: a program speaks of real numbers.

    Args:
        f: traceable by JAX.
        shapes: shape and dtype of each argument, floating (`jax.ShapeDtypeStruct`).
        names: of the arguments; default x, or x0, x1, ...
        text: how to print it; default the expression itself.

    Raises:
        UsageError: JAX cannot trace it, a primitive has no enclosure (named), or there is not
            exactly one result.
    """
    if isinstance(f, Program):
        return f
    label = getattr(f, "__name__", type(f).__name__)
    try:
        closed = jax.make_jaxpr(f)(*shapes)
    except UsageError:
        raise
    except Exception as e:
        said = (str(e).splitlines() or [""])[0]
        raise UsageError(
            f"`{label}` cannot be traced by JAX: {said[:200]}",
            "A proof needs the function's program.",
            "jax.numpy in place of numpy and math inside it, or an expression as text",
        ) from e
    if len(closed.jaxpr.outvars) != 1:
        raise UsageError(f"`{label}` gives {len(closed.jaxpr.outvars)} arrays", "One is needed.")
    kind = closed.jaxpr.outvars[0].aval.dtype
    if kind == np.bool_ or kind.kind == "c":
        raise UsageError(f"`{label}` gives {kind} values", "Real numbers are needed.")
    names = names or (["x"] if len(shapes) == 1 else [f"x{i}" for i in range(len(shapes))])
    writer = _Writer(label, len(shapes))
    ins = tuple(Argument(n, tuple(s.shape)) for n, s in zip(names, shapes, strict=True))
    (out,) = writer.inline(closed.jaxpr, closed.consts, range(len(ins)))
    return Program(ins, tuple(writer.steps), out, writer.arrays, text)


class _Writer(Writer):
    """Writes the steps of a jaxpr."""

    def __init__(self, label: str, n_in: int):
        super().__init__(n_in)
        self.label = label
        self.arrays: dict[str, np.ndarray] = {}

    def constant(self, value: Any) -> int:
        if is_key(value):
            raise self.refuse("a random key")
        a = np.asarray(value)
        if a.dtype.kind not in "fiub" and a.dtype.name != "bfloat16":
            raise self.refuse(f"a constant of dtype {a.dtype}")
        if a.dtype.kind == "b":
            return self.array(a)
        a = a.astype(np.float64)
        if not np.isfinite(a).all():
            if a.ndim == 0:  # in comparisons and branches never taken, as jax.numpy guards itself
                return self.array(a)
            raise self.refuse("an array with infinite or undefined entries")
        if a.ndim == 0:
            return self.put("number", value=Fraction(float(a)))
        if a.size and (a == a.flat[0]).all():
            one = self.put("number", value=Fraction(float(a.flat[0])))
            return self.put("broadcast", one, shape=tuple(a.shape), axes=())
        return self.array(a)

    def array(self, a: np.ndarray) -> int:
        for name, b in self.arrays.items():
            if a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes():
                return self.put("array", name=name)
        name = f"c{len(self.arrays)}"
        self.arrays[name] = a
        return self.put("array", name=name)

    def refuse(self, what: str, instead: str = "write it with these") -> UsageError:
        return UsageError(
            f"`{self.label}` uses {what}, which has no enclosure",
            f"Known are {', '.join(sorted(set(ELEMENTWISE) - {'select', 'power_of'}))}, where, "
            "interp of a table, cond of a comparison, "
            f"loops of up to {MAX_LOOP} steps, and sums, products and shapes of arrays.",
            f"{instead}; or give its Lipschitz constant where the problem takes one "
            "(lipschitz=...)",
        )

    def inline(self, jaxpr: Any, consts: Sequence[Any], args: Sequence[int]) -> list[int]:
        slots: dict[Any, int] = dict(zip(jaxpr.invars, args, strict=True))
        for v, c in zip(jaxpr.constvars, consts, strict=True):
            slots[v] = self.constant(c)

        def read(v: Any) -> int:
            return self.constant(v.val) if hasattr(v, "val") else slots[v]

        for eqn in jaxpr.eqns:
            if all(type(v).__name__ == "DropVar" for v in eqn.outvars):
                continue
            got = self.equation(eqn, [read(v) for v in eqn.invars])
            slots.update(zip(eqn.outvars, got, strict=True))
        return [read(v) for v in jaxpr.outvars]

    def equation(self, eqn: Any, args: list[int]) -> list[int]:
        name, p = eqn.primitive.name, eqn.params
        if name == "scan":
            return self.unroll(p, args, eqn)
        if name == "cond":
            return self.either(p["branches"], args, eqn)
        called = str(p.get("name", "")).removeprefix("_")
        if called == "searchsorted":
            raise self.refuse("`jnp.searchsorted`", _INSTEAD["searchsorted"])
        if called == "interp" and (table := self.table(args, eqn)) is not None:
            return [table]
        inner = next((p[k] for k in _INNER if k in p), None)
        if inner is not None and name not in ("while", "cond"):
            consts = getattr(inner, "consts", ())
            return self.inline(getattr(inner, "jaxpr", inner), consts, args)
        return [self.one(name, p, args, eqn)]

    def either(self, branches: Any, args: list[int], eqn: Any) -> list[int]:
        """A choice between two programs by a comparison: both are written."""
        which, given = args[0], args[1:]
        known = which >= self.n_in and self.steps[which - self.n_in].op in _TRUTH
        if len(branches) != 2 or not known:
            raise self.refuse("`lax.switch` (a choice by an integer)", _INSTEAD["cond"])
        no, yes = (self.inline(b.jaxpr, b.consts, given) for b in branches)
        return [self.put("select", which, *pair) for pair in zip(no, yes, strict=True)]

    def table(self, args: list[int], eqn: Any) -> int | None:
        """`jnp.interp` at a number in a table of constants, constant beyond its ends.

        f_0 + sum_k (f_{k+1} - f_k) (clip(x, x_k, x_{k+1}) - x_k) / (x_{k+1} - x_k), which is seen
        to be continuous in any arithmetic.
        """
        if len(args) != 3 or eqn.invars[0].aval.shape:
            return None
        x, places, values = args
        at = self.given(places)
        if at is None or at.ndim != 1 or len(at) < 2 or not np.all(np.diff(at) > 0):
            return None
        outside = (at[0] - 1, at[-1] + 1)
        found = [jaxpr_as_fun(eqn.params["jaxpr"])(v, at, at)[0] for v in outside]
        if found != [at[0], at[-1]]:  # it extrapolates
            return None
        n = len(at)
        low, high = (self.part(places, i, n - 1 + i) for i in (0, 1))
        first, last = (self.part(values, i, n - 1 + i) for i in (0, 1))
        wide = self.put("broadcast", x, shape=(n - 1,), axes=())
        inside = self.put("minimum", self.put("maximum", wide, low), high)
        slope = self.put("div", self.put("sub", last, first), self.put("sub", high, low))
        rise = self.put("mul", slope, self.put("sub", inside, low))
        start = self.put("reshape", self.part(values, 0, 1), shape=())
        return self.put("add", start, self.put("sum", rise, axes=(0,)))

    def part(self, slot: int, start: int, stop: int) -> int:
        return self.put("slice", slot, start=(start,), stop=(stop,), stride=(1,))

    def given(self, slot: int) -> np.ndarray | None:
        """The entries, in float64, of what depends on no argument."""
        if slot < self.n_in:
            return None
        s = self.steps[slot - self.n_in]
        args = [self.given(a) for a in s.args]
        if any(a is None for a in args):
            return None
        with np.errstate(all="ignore"):
            return np.asarray(in_float64(s, args, self.arrays))

    def unroll(self, p: Any, args: list[int], eqn: Any) -> list[int]:
        """A loop of fixed length, step by step."""
        length, inner = p["length"], p["jaxpr"].jaxpr
        # by ranks, since the names of the counts differ from JAX to JAX: a row has lost an axis
        n_carry = _same_rank(inner.outvars, eqn.outvars)
        n_const = _same_rank(inner.invars, eqn.invars) - n_carry
        if length > MAX_LOOP:
            raise self.refuse(f"a loop of {length} steps (at most {MAX_LOOP} are unrolled)")
        consts, carry, rows = args[:n_const], args[n_const:][:n_carry], args[n_const + n_carry :]
        shapes = [v.aval.shape for v in eqn.invars[n_const + n_carry :]]
        kept: list[list[int]] = [[] for _ in eqn.outvars[n_carry:]]
        order = range(length)[::-1] if p["reverse"] else range(length)
        for i in order:
            at = [self.row(slot, shape, i) for slot, shape in zip(rows, shapes, strict=True)]
            got = self.inline(inner, p["jaxpr"].consts, [*consts, *carry, *at])
            carry = got[:n_carry]
            for k, slot in zip(kept, got[n_carry:], strict=True):
                k.append(slot)
        out = []
        for k, v in zip(kept, eqn.outvars[n_carry:], strict=True):
            k = k[::-1] if p["reverse"] else k
            out.append(self.stack(k, 0, tuple(v.aval.shape)))
        return [*carry, *out]

    def row(self, slot: int, shape: tuple[int, ...], i: int) -> int:
        start = (i, *(0 for _ in shape[1:]))
        stop, stride = (i + 1, *shape[1:]), (1,) * len(shape)
        cut = self.put("slice", slot, start=start, stop=stop, stride=stride)
        return self.put("reshape", cut, shape=tuple(shape[1:]))

    def stack(self, slots: list[int], axis: int, shape: tuple[int, ...]) -> int:
        one = tuple(1 if i == axis else n for i, n in enumerate(shape))
        parts = [self.put("reshape", s, shape=one) for s in slots]
        return self.put("concatenate", *parts, axis=axis)

    def one(self, name: str, p: Any, args: list[int], eqn: Any) -> int:
        out = eqn.outvars[0].aval
        if name in _NOTHING:
            return args[0]
        if name == "is_finite":
            return self.put("eq", args[0], args[0])
        if name in ("max", "min"):
            # jax.numpy starts some folds from the infinite end
            end = -math.inf if name == "max" else math.inf
            for here, other in ((0, 1), (1, 0)):
                known = self.given(args[here])
                if known is not None and known.ndim == 0 and known == end:
                    return args[other]
        if name == "atan2":
            # 2 atan(y / (|(x, y)| + x)), which is not defined where x <= 0 = y
            y, x = args
            squares = self.put("add", self.put("square", x), self.put("square", y))
            below = self.put("add", self.put("sqrt", squares), x)
            half = self.put("atan", self.put("div", y, below))
            return self.put("add", half, half)
        if name == "cumsum" and out.ndim == 1:
            ones = np.tri(out.shape[0])
            ones = ones.T if p["reverse"] else ones
            return self.put("dot", self.array(ones), args[0], contract=((1,), (0,)), batch=((), ()))
        if name in _SAME:
            if name in ("and", "or", "not") and out.dtype != np.bool_:
                raise self.refuse(f"`{name}` on integers")
            if name == "div" and out.dtype.kind in "iu":
                raise self.refuse("division of integers")
            if name == "pow" and (k := self.number(args[1])) is not None:
                return self.power(args[0], k)
            return self.put(_SAME[name], *args)
        if name == "integer_pow":
            return self.power(args[0], Fraction(int(p["y"])))
        if name == "one_minus_square":
            return self.put("sub", self.constant(1.0), self.put("square", args[0]))
        if name == "polynomial":
            x, *coefficients = args  # the constant term first
            value = coefficients[-1]
            for c in coefficients[-2::-1]:
                value = self.put("add", self.put("mul", value, x), c)
            return value
        if name == "exp2":
            return self.put("power", self.constant(2.0), args[0])
        if name == "convert_element_type":
            return self.convert(np.dtype(p["new_dtype"]), args[0], eqn.invars[0].aval)
        if name == "select_n" and len(args) == 3 and eqn.invars[0].aval.dtype == np.bool_:
            return self.put("select", *args)
        if name == "clamp":
            low, x, high = args
            return self.put("minimum", self.put("maximum", x, low), high)
        if name == "broadcast_in_dim":
            axes = tuple(map(int, p["broadcast_dimensions"]))
            if not out.shape:
                return args[0]
            return self.put("broadcast", args[0], shape=tuple(out.shape), axes=axes)
        if name in ("reshape", "squeeze", "expand_dims"):
            return self.put("reshape", args[0], shape=tuple(out.shape))
        if name == "transpose":
            return self.put("transpose", args[0], axes=tuple(map(int, p["permutation"])))
        folds = {"sum": "sum", "max": "largest", "min": "smallest", "prod": "product"}
        if name.removeprefix("reduce_") in folds and name.startswith("reduce_"):
            op = folds[name.removeprefix("reduce_")]
            return self.put(op, args[0], axes=tuple(map(int, p["axes"])))
        if name == "dot_general":
            contract, batch = (
                tuple(tuple(map(int, side)) for side in pair) for pair in p["dimension_numbers"]
            )
            return self.put("dot", *args, contract=contract, batch=batch)
        if name == "concatenate":
            return self.put("concatenate", *args, axis=int(p["dimension"]))
        if name == "stack":
            return self.stack(args, int(p["axis"]), tuple(out.shape))
        if name == "slice":
            stride = p["strides"] or (1,) * len(p["start_indices"])
            stop = tuple(map(int, p["limit_indices"]))
            start = tuple(map(int, p["start_indices"]))
            return self.put(
                "slice", args[0], start=start, stop=stop, stride=tuple(map(int, stride))
            )
        if name == "rev":
            return self.put("reverse", args[0], axes=tuple(map(int, p["dimensions"])))
        if name == "iota":
            shape, axis = p["shape"], p["dimension"]
            ramp = np.arange(shape[axis]).reshape(
                [-1 if i == axis else 1 for i in range(len(shape))]
            )
            return self.constant(np.broadcast_to(ramp, shape))
        raise self.refuse(f"the primitive `{name}`", *[_INSTEAD[name]] if name in _INSTEAD else [])

    def number(self, slot: int) -> Fraction | None:
        if slot < self.n_in:
            return None
        s = self.steps[slot - self.n_in]
        if s.op == "broadcast":
            return self.number(s.args[0])
        return s.params["value"] if s.op == "number" else None

    def power(self, base: int, k: Fraction) -> int:
        if k == 1:
            return base
        return self.put("square", base) if k == 2 else self.put("power_of", base, exponent=k)

    def convert(self, to: np.dtype, slot: int, aval: Any) -> int:
        came = aval.dtype
        if came == np.bool_ and to.kind == "f":
            one, zero = self.constant(1.0), self.constant(0.0)
            shape = tuple(aval.shape)
            if shape:
                one = self.put("broadcast", one, shape=shape, axes=())
                zero = self.put("broadcast", zero, shape=shape, axes=())
            return self.put("select", slot, zero, one)
        if to.kind in "iub" and came.kind == "f":
            raise self.refuse(f"a conversion from {came} to {to} (it rounds)")
        if to == np.bool_ and came != np.bool_:
            return self.put("ne", slot, self.constant(0.0))
        return slot


def _same_rank(inner: Sequence[Any], outer: Sequence[Any]) -> int:
    pairs = zip(inner, outer, strict=True)
    return sum(a.aval.ndim == b.aval.ndim for a, b in pairs)


# -- back to JAX ----------------------------------------------------------------------------------

_IN_JAX: dict[str, Callable] = {
    "neg": jnp.negative,
    "sub": jnp.subtract,
    "mul": jnp.multiply,
    "div": jnp.divide,
    "asin": jnp.arcsin,
    "acos": jnp.arccos,
    "atan": jnp.arctan,
    "asinh": jnp.arcsinh,
    "acosh": jnp.arccosh,
    "atanh": jnp.arctanh,
    "lgamma": jax.lax.lgamma,
    "rsqrt": jax.lax.rsqrt,
    "logistic": jax.nn.sigmoid,
    "erf": jax.scipy.special.erf,
    "erfc": jax.scipy.special.erfc,
    "lt": jnp.less,
    "le": jnp.less_equal,
    "gt": jnp.greater,
    "ge": jnp.greater_equal,
    "eq": jnp.equal,
    "ne": jnp.not_equal,
    "and": jnp.logical_and,
    "or": jnp.logical_or,
    "not": jnp.logical_not,
    "select": lambda c, no, yes: jnp.where(c, yes, no),
}


def evaluate_in_jax(program: Program, args: Sequence[Any]) -> jax.Array:
    """The program in JAX, in the floating type of its arguments; traceable and differentiable."""
    dtype = jnp.result_type(*args)
    dtype = dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)
    given = [jnp.asarray(a, dtype) for a in args]
    scalars = all(not a.shape for a in program.ins)
    if scalars and any(a.ndim for a in given) and any(s.op in STRUCTURAL for s in program.steps):
        given = jnp.broadcast_arrays(*given)
        inner = jnp.vectorize(lambda *a: evaluate_in_jax(program, a))
        return inner(*given)

    def step(s: Step, values: list[Any], arrays: Any) -> Any:
        if s.op == "number":
            return jnp.asarray(float(s.params["value"]), dtype)
        if s.op in ("pi", "e"):
            return jnp.asarray(getattr(math, s.op), dtype)
        if s.op == "array":
            a = arrays[s.params["name"]]
            return jnp.asarray(a, None if a.dtype == bool else dtype)
        if s.op == "power_of":
            k = s.params["exponent"]
            return values[0] ** (int(k) if k == int(k) else float(k))
        if s.op in STRUCTURAL:
            return _restructure(s, values)
        act: Callable = _IN_JAX.get(s.op) or getattr(jnp, s.op)
        return act(*values)

    return evaluate(program, given, step)


def _restructure(s: Step, args: list[Any]) -> Any:
    p, x = s.params, args[0]
    if s.op == "broadcast":
        return jax.lax.broadcast_in_dim(x, p["shape"], p["axes"])
    if s.op == "dot":
        sides, best = (p["contract"], p["batch"]), jax.lax.Precision.HIGHEST
        return jax.lax.dot_general(x, args[1], sides, precision=best)
    if s.op == "concatenate":
        return jnp.concatenate(args, axis=p["axis"])
    if s.op == "slice":
        return jax.lax.slice(x, p["start"], p["stop"], p["stride"])
    plain: dict[str, Callable] = {
        "reshape": lambda: x.reshape(p["shape"]),
        "transpose": lambda: x.transpose(p["axes"]),
        "reverse": lambda: jnp.flip(x, p["axes"]),
        "sum": lambda: jnp.sum(x, p["axes"]),
        "product": lambda: jnp.prod(x, p["axes"]),
        "largest": lambda: jnp.max(x, p["axes"]),
        "smallest": lambda: jnp.min(x, p["axes"]),
    }
    return plain[s.op]()
