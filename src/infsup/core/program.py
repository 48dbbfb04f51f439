"""A function as data: the form in which functions stand in files, and in which proofs read them.

A program is a list of steps over whitelisted operations, as a compiler would write it down. It
denotes a function of real numbers: decimals and pi are exact, and how it is evaluated (floats,
balls, Taylor series, JAX) is the evaluator's affair. Imports no JAX: the checkers read with it.
"""

import functools
import hashlib
import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from infsup.core.errors import FileRejected, UsageError
from infsup.core.storage import number_to_text, text_to_number

MAX_STEPS = 20_000

_ONE = (
    "neg abs sign exp expm1 log log1p sqrt rsqrt square sin cos tan tanh sinh cosh asin acos atan "
    "asinh acosh atanh lgamma logistic erf erfc cbrt not"
)
_TWO = "add sub mul div maximum minimum power lt le gt ge eq ne and or"
ELEMENTWISE = {
    **dict.fromkeys(_ONE.split(), 1),
    **dict.fromkeys(_TWO.split(), 2),
    "power_of": 1,  # parameter `exponent`: an exact number
    "select": 3,  # (condition, where false, where true)
}
"""Operation -> number of arguments."""
STRUCTURAL = {
    "broadcast": ("shape", "axes"),  # axis i of the argument becomes axis axes[i]
    "reshape": ("shape",),
    "transpose": ("axes",),
    "sum": ("axes",),
    "largest": ("axes",),
    "smallest": ("axes",),
    "product": ("axes",),
    "dot": ("contract", "batch"),  # pairs of axes, as in lax.dot_general
    "concatenate": ("axis",),
    "slice": ("start", "stop", "stride"),
    "reverse": ("axes",),
}
LEAVES = {"number": ("value",), "pi": (), "e": (), "array": ("name",)}


@dataclass(frozen=True)
class Argument:
    """One argument of a program: its name and the shape of one sample."""

    name: str
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Step:
    """One operation.

    Args:
        op: a name of ELEMENTWISE, STRUCTURAL or LEAVES.
        args: slots; the arguments of the program come first, then the steps in their order.
        params: name -> int, tuple of ints, Fraction or text.
    """

    op: str
    args: tuple[int, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Program:
    """A function of real numbers, as steps.

    Args:
        ins: the arguments.
        steps: in an order in which each step reads earlier slots only.
        out: the slot of the result.
        arrays: name -> array of constants, float64 or bool.
        text: how its author wrote it, if that is known.

    Called with NumPy arrays or numbers it computes in float64, with JAX arrays in JAX. Where all
    arguments are scalars, arrays of one shape are mapped over.

    Raises:
        UsageError: a step is unknown, or reads what is not there yet.
    """

    ins: tuple[Argument, ...]
    steps: tuple[Step, ...]
    out: int
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    text: str = ""

    def __post_init__(self):
        n = len(self.ins)
        if len(self.steps) > MAX_STEPS:
            raise UsageError(
                f"a program of {len(self.steps)} steps", f"At most {MAX_STEPS} are taken."
            )
        for slot, s in enumerate(self.steps, n):
            _check_step(s, slot, self.arrays)
        if not 0 <= self.out < n + len(self.steps):
            raise UsageError(f"a program's result is slot {self.out}, which does not exist")

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of what it computes: arguments, steps and constants; not of its text."""
        h = hashlib.sha256(repr((self.ins, self.steps, self.out)).encode())
        for name in sorted(self.arrays):
            a = np.ascontiguousarray(self.arrays[name])
            h.update(f"{name}{a.dtype}{a.shape}".encode() + a.tobytes())
        return h.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __str__(self) -> str:
        return self.text or describe(self, self.out)

    def __call__(self, *args: Any) -> Any:
        if len(args) != len(self.ins):
            raise UsageError(
                f"`{self}` takes {len(self.ins)} arguments, not {len(args)}",
                remedy=", ".join(a.name for a in self.ins),
            )
        if any(type(a).__module__.startswith(("jax", "jaxlib")) for a in args):
            from infsup.core.tracing import evaluate_in_jax

            return evaluate_in_jax(self, args)
        given = [np.asarray(a, np.float64) for a in args]
        with np.errstate(all="ignore"):
            if any(a.ndim for a in given) and not any(a.shape for a in self.ins):
                given = np.broadcast_arrays(*given)
                found = evaluate(self, [a.ravel() for a in given], at_points)
                return np.broadcast_to(found, given[0].size).reshape(given[0].shape)
            return np.asarray(evaluate(self, given, in_float64))[()]


def _check_step(s: Step, slot: int, arrays: Mapping[str, np.ndarray]) -> None:
    if s.op in ELEMENTWISE:
        fits = len(s.args) == ELEMENTWISE[s.op]
        params = ("exponent",) if s.op == "power_of" else ()
    elif s.op in STRUCTURAL:
        fits = len(s.args) == {"dot": 2}.get(s.op, 1) or (s.op == "concatenate" and bool(s.args))
        params = STRUCTURAL[s.op]
    elif s.op in LEAVES:
        fits, params = not s.args, LEAVES[s.op]
    else:
        raise UsageError(f"a program's step `{str(s.op)[:40]}` is no operation")
    if not fits or set(s.params) != set(params):
        raise UsageError(f"a program's step `{s.op}` has the wrong arguments")
    if not all(type(a) is int and 0 <= a < slot for a in s.args):
        raise UsageError(f"a program's step `{s.op}` reads what is not there yet")
    if s.op == "array" and s.params["name"] not in arrays:
        raise UsageError("a program names an array that it does not have")


class Writer:
    """Writes the steps of a program; equal ones once.

    Args:
        n_in: how many arguments the program has.
    """

    def __init__(self, n_in: int):
        self.n_in = n_in
        self.steps: list[Step] = []
        self._seen: dict[str, int] = {}

    def put(self, op: str, *args: int, **params: Any) -> int:
        """The slot of a step, which is written if it is not there yet."""
        key = repr((op, args, sorted(params.items())))
        if key not in self._seen:
            self.steps.append(Step(op, args, params))
            self._seen[key] = self.n_in + len(self.steps) - 1
        return self._seen[key]


Arithmetic = Callable[[Step, list[Any], Mapping[str, np.ndarray]], Any]
"""(step, values of its arguments, the program's arrays) -> value."""


def evaluate(program: Program, args: Sequence[Any], arithmetic: Arithmetic) -> Any:
    """The result of a program, step by step, in any arithmetic."""
    return slots(program, args, arithmetic)[program.out]


def slots(program: Program, args: Sequence[Any], arithmetic: Arithmetic) -> list[Any]:
    """The values of all slots: arguments, then steps."""
    values = list(args)
    for s in program.steps:
        values.append(arithmetic(s, [values[a] for a in s.args], program.arrays))
    return values


# -- float64 --------------------------------------------------------------------------------------


def _logistic(x: Any) -> Any:
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), 1 - 1 / (1 + np.exp(-np.abs(x))))


def _special(name: str) -> Callable:
    def value(x: Any) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(x)

    return value


_NUMPY = (
    "abs sign exp expm1 log log1p sqrt square sin cos tan tanh sinh cosh add maximum minimum "
    "power cbrt"
)
_FLOAT64: dict[str, Callable] = {
    **{name: getattr(np, name) for name in _NUMPY.split()},
    "neg": np.negative,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "logistic": _logistic,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erf": _special("erf"),
    "erfc": _special("erfc"),
    "lgamma": _special("gammaln"),
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "select": lambda c, no, yes: np.where(c, yes, no),
}


def in_float64(s: Step, args: list[Any], arrays: Mapping[str, np.ndarray]) -> Any:
    """The arithmetic of NumPy's float64."""
    if s.op == "number":
        return np.float64(float(s.params["value"]))
    if s.op in ("pi", "e"):
        return np.float64(getattr(math, s.op))
    if s.op == "array":
        return arrays[s.params["name"]]
    if s.op == "power_of":
        k = s.params["exponent"]
        return args[0] ** (int(k) if k == int(k) else float(k))
    if s.op in STRUCTURAL:
        return restructure(s, args)
    return _FLOAT64[s.op](*args)


def at_points(s: Step, args: list[Any], arrays: Mapping[str, np.ndarray]) -> Any:
    """The same at many points at once: all values have a first axis, of the points or of length 1.

    The arguments of the program are scalars.
    """
    if s.op in LEAVES:
        return np.asarray(in_float64(s, args, arrays))[None]
    if s.op not in STRUCTURAL:
        return in_float64(s, aligned(args), arrays)
    n = max(a.shape[0] for a in args)
    if len(args) > 1:
        args = [np.broadcast_to(a, (n, *a.shape[1:])) for a in args]
    moved: dict[str, Any] = dict(s.params)
    if "axes" in moved:
        moved["axes"] = tuple(i + 1 for i in moved["axes"])
    if s.op in ("broadcast", "transpose"):
        moved["axes"] = (0, *moved["axes"])
    for name, first in (("shape", n), ("start", 0), ("stop", n), ("stride", 1)):
        if name in moved:
            moved[name] = (first, *moved[name])
    if s.op == "concatenate":
        moved["axis"] += 1
    if s.op == "dot":
        contract, batch = (
            tuple(tuple(i + 1 for i in side) for side in moved[k]) for k in ("contract", "batch")
        )
        moved |= {"contract": contract, "batch": tuple((0, *side) for side in batch)}
    return restructure(Step(s.op, s.args, moved), args)


def aligned(args: list[Any]) -> list[Any]:
    """Arrays of one rank, so that their first axes meet."""
    rank = max(a.ndim for a in args)
    return [a.reshape(a.shape + (1,) * (rank - a.ndim)) for a in args]


def restructure(s: Step, args: list[Any]) -> Any:
    """A structural step on NumPy arrays of any dtype, `object` included."""
    p = s.params
    if s.op == "dot":
        return _dot(args[0], args[1], p["contract"], p["batch"])
    if s.op == "concatenate":
        return np.concatenate([np.asarray(a) for a in args], axis=p["axis"])
    x = np.asarray(args[0])
    if s.op == "broadcast":
        shape = [1] * len(p["shape"])
        for i, axis in enumerate(p["axes"]):
            shape[axis] = x.shape[i]
        return np.broadcast_to(x.reshape(shape), p["shape"])
    if s.op == "reshape":
        return x.reshape(p["shape"])
    if s.op == "transpose":
        return x.transpose(p["axes"])
    if s.op == "slice":
        cut = zip(p["start"], p["stop"], p["stride"], strict=True)
        return x[tuple(slice(*c) for c in cut)]
    if s.op == "reverse":
        return np.flip(x, p["axes"])
    fold = {"sum": np.sum, "product": np.prod, "largest": np.max, "smallest": np.min}[s.op]
    return fold(x, axis=p["axes"])


def _dot(a: Any, b: Any, contract: Any, batch: Any) -> Any:
    a, b = np.asarray(a), np.asarray(b)
    (ca, cb), (ba, bb) = contract, batch
    free_a = [i for i in range(a.ndim) if i not in ca and i not in ba]
    free_b = [i for i in range(b.ndim) if i not in cb and i not in bb]
    # [batch, free a, contracted] times [batch, contracted, free b]
    left = a.transpose([*ba, *free_a, *ca])
    right = b.transpose([*bb, *cb, *free_b])
    head = left.shape[: len(ba)]
    n_free = left.shape[len(ba) : len(ba) + len(free_a)]
    m_free = right.shape[len(bb) + len(cb) :]
    k = math.prod(left.shape[len(ba) + len(free_a) :])
    left = left.reshape((*head, math.prod(n_free), k))
    right = right.reshape((*head, k, math.prod(m_free)))
    return (left @ right).reshape((*head, *n_free, *m_free))


# -- in words -------------------------------------------------------------------------------------

_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "lt": "<", "le": "<=", "gt": ">"}
_SIGNS |= {"ge": ">=", "eq": "==", "ne": "!="}


def describe(program: Program, slot: int, limit: int = 120) -> str:
    """A slot as an expression of the arguments, cut where it grows beyond `limit` characters."""

    def go(i: int, room: int) -> str:
        if i < len(program.ins):
            return program.ins[i].name
        if room <= 0:
            return "..."
        s = program.steps[i - len(program.ins)]
        if s.op == "number":
            return _number(s.params["value"])
        if s.op == "array" and program.arrays[s.params["name"]].ndim == 0:
            return str(program.arrays[s.params["name"]])
        if s.op in LEAVES:
            return s.params.get("name", s.op)
        inner = [go(a, (room - 4) // len(s.args)) for a in s.args]
        if s.op in _SIGNS:
            return f"({inner[0]} {_SIGNS[s.op]} {inner[1]})"
        if s.op == "neg":
            return f"-{inner[0]}"
        if s.op in ("square", "power_of"):
            return f"{inner[0]}**{_number(s.params.get('exponent', Fraction(2)))}"
        if s.op == "select":
            return f"where({', '.join(_bare(inner[i]) for i in (0, 2, 1))})"
        return f"{s.op}({', '.join(map(_bare, inner))})"

    return _bare(go(slot, limit))


def _bare(text: str) -> str:
    """Without brackets around the whole."""
    return text[1:-1] if text.startswith("(") and _closes_last(text) else text


def _closes_last(text: str) -> bool:
    """Whether the first bracket closes at the end."""
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return i == len(text) - 1
    return False


def _number(x: Fraction) -> str:
    return str(x.numerator) if x.denominator == 1 else f"{float(x):.6g}"


# -- in files -------------------------------------------------------------------------------------


def to_json(program: Program) -> dict[str, Any]:
    """The program without its arrays: JSON of lists, integers and text."""

    def plain(v: Any) -> Any:
        if isinstance(v, Fraction):
            return number_to_text(v)
        return [plain(w) for w in v] if isinstance(v, tuple) else v

    return {
        "ins": [[a.name, list(a.shape)] for a in program.ins],
        "steps": [
            [s.op, list(s.args), {k: plain(v) for k, v in s.params.items()}] for s in program.steps
        ],
        "out": program.out,
        "text": program.text,
    }


def from_json(doc: Any, arrays: Mapping[str, np.ndarray]) -> Program:
    """The program that `to_json` wrote; without its text, unless that says what the steps compute.

    Raises:
        FileRejected: the document is not of that form.
    """
    try:
        if set(doc) != {"ins", "steps", "out", "text"} or len(doc["steps"]) > MAX_STEPS:
            raise ValueError("other fields than it must have, or too long")
        if type(doc["out"]) is not int or not isinstance(doc["text"], str):
            raise ValueError("the result or the text")
        ins = tuple(Argument(_name(n), _sizes(shape)) for n, shape in doc["ins"])
        steps = tuple(
            Step(_name(op), _sizes(args), {_name(k): _param(k, v) for k, v in params.items()})
            for op, args, params in doc["steps"]
        )
        for a in arrays.values():
            if a.dtype.kind not in "fb":
                raise ValueError("an array that is neither of floats nor of truth values")
        program = Program(ins, steps, doc["out"], dict(arrays))
        return replace(program, text=doc["text"]) if _says(doc["text"], program) else program
    except FileRejected:
        raise
    except (TypeError, ValueError, KeyError, AttributeError) as e:
        raise FileRejected(f"solution.json: a damaged program: {e}") from e


def _says(text: str, program: Program) -> bool:
    """Whether a text is an expression of just these steps: a file may claim any."""
    expression = importlib.import_module("infsup.numerics.expression")
    try:
        return expression.parse(text, [a.name for a in program.ins]) == program
    except UsageError:
        return False


def _name(x: Any) -> str:
    if not isinstance(x, str) or len(x) > 200:
        raise ValueError("a name is not text")
    return x


def _sizes(x: Any) -> tuple[int, ...]:
    if not isinstance(x, list) or not all(type(n) is int and 0 <= n < 2**31 for n in x):
        raise ValueError("a list of sizes is none")
    return tuple(x)


def _param(key: str, v: Any) -> Any:
    if key in ("value", "exponent"):
        number = text_to_number(v if "/" in v else f"{v}/1")
        if not isinstance(number, Fraction):
            raise ValueError("a number is no number")
        return number
    if key in ("contract", "batch"):
        a, b = v
        return _sizes(a), _sizes(b)
    if key == "axis":
        return _sizes([v])[0]
    return _name(v) if key == "name" else _sizes(v)
