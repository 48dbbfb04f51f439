"""Values as JSON and arrays, and back. Imports no JAX: the checkers read with it.

Forms: null, true, numbers and text stand for themselves; everything else is an object with one
tag: `float`, `ratio`, `tuple`, `list`, `dict`, `items`, `array`, `key`, `dtype`, `shape`, `record`,
`function`, `program`, `split`, `opaque`.
"""

import base64
import dataclasses
import math
import sys
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np

from infsup.core.errors import FileRejected, UsageError
from infsup.core.program import Program, from_json, to_json
from infsup.core.storage import MAX_NUMBER, number_to_text, text_to_number

T = TypeVar("T")

SCHEMA = 1
"""Of `solution.json`: this version writes it, and reads it and all older ones."""


@dataclasses.dataclass(frozen=True)
class Record:
    """A stored record, read without its class: what a checker sees of problem and answer."""

    name: str
    fields: Mapping[str, Any]

    def __getitem__(self, field: str) -> Any:
        if field not in self.fields:
            raise FileRejected(f"solution.json: `{self.name}` has no field `{field}`")
        return self.fields[field]


@dataclasses.dataclass(frozen=True)
class Opaque:
    """A user's function or module that could not be stored by name.

    Args:
        name: what it was called.
        fingerprint: of the object that was stored.
        leaves: path inside the object -> array.
        program: what it computes, where that could be written down; then it can be called.
    """

    name: str
    fingerprint: str
    leaves: Mapping[str, Any]
    program: Program | None = None

    def __call__(self, *args: Any) -> Any:
        if self.program is not None:
            return self.program(*args)
        raise UsageError(
            f"`{self.name}` was not stored with the solution, only its fingerprint and arrays",
            remedy="infsup.load(path, like=an_object_of_the_same_structure)   or   problem=...",
        )


def check_header(document: Mapping[str, Any], kind: str, path: Any) -> None:
    """Kind and schema of a folder.

    Raises:
        FileRejected: another kind, or a newer schema.
    """
    if document.get("kind") != kind:
        raise FileRejected(
            f"{path} is no {kind} but {str(document.get('kind'))[:40]!r}",
            remedy="infsup.solve(..., resume=path)" if document.get("kind") == "checkpoint" else "",
        )
    schema = document.get("schema")
    if type(schema) is not int or schema < 1:
        raise FileRejected(f"{path}: the schema number is damaged")
    if schema > SCHEMA:
        raise FileRejected(
            f"{path} has schema {schema}, this infsup reads up to {SCHEMA}",
            remedy="pip install --upgrade infsup",
        )


# -- to JSON --------------------------------------------------------------------------------------


def encode(x: Any, arrays: dict[str, np.ndarray], path: str, *, copy_data: bool = False) -> Any:
    """`x` as JSON; its arrays go to `arrays` under names that begin with `path`.

    Args:
        x: a value, record or module.
        arrays: filled.
        path: name of `x` in the file.
        copy_data: whether rows of data sets are stored as well.
    """
    if isinstance(x, bool) or x is None or isinstance(x, str):
        return x
    if isinstance(x, int):
        # an integer beyond JSON's is a ratio without denominator
        return x if abs(x) < 2**63 else {"ratio": number_to_text(x).removesuffix("/1")}
    if isinstance(x, float):
        return {"float": "nan" if math.isnan(x) else number_to_text(float(x))}
    if isinstance(x, Fraction):
        return {"ratio": number_to_text(x)}
    if isinstance(x, np.dtype):
        return {"dtype": x.name}
    if _is_key(x):
        import jax

        name = _put(arrays, path, jax.random.key_data(x))
        return {"key": name, "impl": str(jax.random.key_impl(x))}
    if _is_array(x):
        form: dict[str, Any] = {"array": _put(arrays, path, x)}
        if isinstance(x, (np.ndarray, np.generic)):
            form["host"] = True if isinstance(x, np.ndarray) else "scalar"
        return form
    if type(x) in (tuple, list):
        items = [encode(v, arrays, f"{path}.{i}", copy_data=copy_data) for i, v in enumerate(x)]
        return {type(x).__name__: items}
    if isinstance(x, Mapping) and all(isinstance(k, str) for k in x):
        items = enumerate(x.items())
        return {
            "dict": {
                k: encode(v, arrays, f"{path}.{_tidy(k, i)}", copy_data=copy_data)
                for i, (k, v) in items
            }
        }
    if isinstance(x, Mapping):
        pairs = [
            [
                encode(k, arrays, f"{path}.key{i}", copy_data=copy_data),
                encode(v, arrays, f"{path}.{i}", copy_data=copy_data),
            ]
            for i, (k, v) in enumerate(x.items())
        ]
        return {"items": pairs}
    if isinstance(x, Program):
        own = {k: _put(arrays, f"{path}.{k}", a) for k, a in x.arrays.items()}
        return {"program": to_json(x), "arrays": own}
    if isinstance(x, (Opaque, Record)):
        return _encode_stored(x, arrays, path)
    return _encode_object(x, arrays, path, copy_data)


def _put(arrays: dict[str, np.ndarray], path: str, x: Any) -> str:
    """Enters an array under a name that is free and that the file takes; returns the name."""
    root, number = path.partition(".")[0], len(arrays)
    name = path if len(path) <= 150 else root
    while name in arrays:  # {"k1": a, "é": b} would use one name twice
        name, number = f"{root}.more{number}", number + 1
    arrays[name] = np.asarray(x)
    return name


def _tidy(key: str, number: int) -> str:
    """A key as part of an array's name."""
    return (
        key if key.replace("_", "").isalnum() and key.isascii() and len(key) < 60 else f"k{number}"
    )


def _encode_object(x: Any, arrays: dict[str, np.ndarray], path: str, copy_data: bool) -> Any:
    from infsup.core import registry

    if type(x).__name__ == "ShapeDtypeStruct":
        return {"shape": [int(n) for n in x.shape], "dtype": np.dtype(x.dtype).name}
    name = registry.known(type(x))
    if name == "core.Split" and not copy_data:
        return {"split": _encode_split(x, arrays, path)}
    if name is not None:
        fields = {
            f.name: encode(getattr(x, f.name), arrays, f"{path}.{f.name}", copy_data=copy_data)
            for f in dataclasses.fields(x)
        }
        return {"record": name, "fields": fields}
    if callable(x) and (function := registry.function_name(x)) is not None:
        return {"function": function}
    return _encode_opaque(x, arrays, path)


def _encode_opaque(x: Any, arrays: dict[str, np.ndarray], path: str) -> Any:
    import jax

    from infsup.core.problem import fingerprint

    leaves = {}
    for number, (where, leaf) in enumerate(jax.tree_util.tree_leaves_with_path(x)):
        if (value := leaf_as_array(leaf)) is not None:
            leaves[jax.tree_util.keystr(where)] = _put(arrays, f"{path}.leaf{number}", value)
    kind = x if isinstance(x, type) or hasattr(x, "__qualname__") else type(x)
    label = f"{kind.__module__}.{kind.__qualname__}"
    program = _as_program(x, arrays, path) if path.startswith("answer.") else {}
    return {"opaque": label, "fingerprint": fingerprint(x), "leaves": leaves, **program}


def _as_program(x: Any, arrays: dict[str, np.ndarray], path: str) -> dict[str, Any]:
    """A function of one number inside an answer, such as an activation, for a checker to read."""
    import jax

    from infsup.core.precision import enabled
    from infsup.core.tracing import trace

    if not callable(x) or isinstance(x, type) or not enabled():
        return {}
    try:
        program = trace(x, jax.ShapeDtypeStruct((), np.float64))
    except UsageError:
        return {}
    return encode(program, arrays, f"{path}.program")


def leaf_as_array(x: Any) -> np.ndarray | None:
    """A leaf of an opaque object as its file holds it: arrays, keys and Python numbers."""
    if _is_key(x):
        import jax

        return np.asarray(jax.random.key_data(x))
    if _is_array(x) or (isinstance(x, (bool, int, float)) and abs(x) < 2**63):
        return np.asarray(x)
    return None


def _encode_stored(x: Record | Opaque, arrays: dict[str, np.ndarray], path: str) -> Any:
    """What was read without its class is written as it came."""
    if isinstance(x, Record):
        fields = {k: encode(v, arrays, f"{path}.{k}") for k, v in x.fields.items()}
        return {"record": x.name, "fields": fields}
    leaves = {}
    for i, (k, v) in enumerate(x.leaves.items()):
        leaves[k] = _put(arrays, f"{path}.leaf{i}", v)
    program = encode(x.program, arrays, f"{path}.program") if x.program is not None else {}
    return {"opaque": x.name, "fingerprint": x.fingerprint, "leaves": leaves, **program}


def _encode_split(x: Any, arrays: dict[str, np.ndarray], path: str) -> Any:
    def index(side: str) -> Any:
        rows = getattr(x, f"{side}_index")
        if rows is None:
            return None
        return {"array": _put(arrays, f"{path}.{side}_index", rows), "host": True}

    first = x.fit if x.fit is not None else {}
    columns = {k: [np.dtype(a.dtype).name, [int(n) for n in a.shape[1:]]] for k, a in first.items()}
    return {
        "name": x.name,
        "source": x.source,
        "data_hash": x.data_hash,
        "columns": columns,
        "fit_index": index("fit"),
        "held_index": index("held"),
    }


# -- from JSON ------------------------------------------------------------------------------------


def decode(
    doc: Any,
    arrays: Mapping[str, np.ndarray],
    *,
    records: Callable[[str, dict[str, Any]], Any] | None = None,
    data: Callable[[dict[str, Any]], Any] | None = None,
) -> Any:
    """The value that `encode` wrote.

    Args:
        doc: JSON.
        arrays: the arrays of the file.
        records: (name, fields) -> object; default: `Record`s, without importing anything.
        data: description of a split -> split; default: a `Record` without rows.

    Raises:
        FileRejected: a form that `encode` does not write.
    """
    if doc is None or isinstance(doc, (bool, int, str)):
        return doc
    if not isinstance(doc, dict) or not doc:
        raise FileRejected(f"solution.json: {type(doc).__name__} where a value is expected")

    def deeper(x: Any) -> Any:
        return decode(x, arrays, records=records, data=data)

    tag = next((t for t in _READERS if t in doc), None)
    if tag is None:
        raise FileRejected(f"solution.json: unknown form {sorted(doc)[0][:40]!r}")
    try:
        if tag == "record":
            _only(doc, "record", "fields")
            name, fields = _text(doc["record"]), _dict(doc.get("fields"))
            values = {k: deeper(v) for k, v in fields.items()}
            return records(name, values) if records else Record(name, values)
        if tag == "split":
            _only(doc, tag)
            split = _dict(doc[tag])
            if set(split) != _SPLIT:
                raise FileRejected("solution.json: a split has other fields than it must")
            found = {k: deeper(v) if k.endswith("index") else v for k, v in split.items()}
            return data(found) if data else Record("core.Split", found)
        if tag in ("tuple", "list"):
            _only(doc, tag)
            items = [deeper(v) for v in _list(doc[tag])]
            return tuple(items) if tag == "tuple" else items
        if tag == "dict":
            _only(doc, tag)
            return {k: deeper(v) for k, v in _dict(doc[tag]).items()}
        if tag == "items":
            _only(doc, tag)
            pairs = [[deeper(v) for v in _list(pair)] for pair in _list(doc[tag])]
            found = {k: v for k, v in pairs}  # noqa: C416 - a pair of three must fail
            if len(found) != len(pairs):
                raise FileRejected("solution.json: has a key twice")
            return found
        return _READERS[tag](doc, arrays, records is not None)
    except RecursionError:
        raise FileRejected("solution.json: nested too deeply") from None
    except (TypeError, ValueError) as e:  # pairs that are none, keys that cannot be keys
        if isinstance(e, FileRejected):
            raise
        raise FileRejected(f"solution.json: damaged {tag}") from e


_SPLIT = {"name", "source", "data_hash", "columns", "fit_index", "held_index"}


def _only(doc: dict, *keys: str) -> None:
    if not set(doc) <= set(keys):
        raise FileRejected(f"solution.json: unknown key {sorted(set(doc) - set(keys))[0][:40]!r}")


def _text(x: Any, limit: int = 1000) -> str:
    if not isinstance(x, str) or len(x) > limit:
        raise FileRejected("solution.json: a name is not text")
    return x


def _list(x: Any) -> list:
    if not isinstance(x, list):
        raise FileRejected("solution.json: a list is not a list")
    return x


def _dict(x: Any) -> dict:
    if not isinstance(x, dict):
        raise FileRejected("solution.json: fields are not an object")
    return x


def _read_float(doc: dict, arrays: Mapping, live: bool) -> float:
    _only(doc, "float")
    if doc["float"] == "nan":
        return math.nan
    x = text_to_number(doc["float"])
    if isinstance(x, Fraction):
        raise FileRejected("solution.json: a fraction where a float is expected")
    return x


def _read_ratio(doc: dict, arrays: Mapping, live: bool) -> Fraction | int:
    _only(doc, "ratio")
    text = _text(doc["ratio"], MAX_NUMBER)
    if "/" in text:
        x = text_to_number(text)
        if isinstance(x, Fraction):
            return x
    whole = text_to_number(f"{text}/1")
    if not isinstance(whole, Fraction):
        raise FileRejected("solution.json: a ratio is not p/q")
    return int(whole)


def _array_of(doc: dict, tag: str, arrays: Mapping) -> np.ndarray:
    name = _text(doc[tag])
    if name not in arrays:
        raise FileRejected(f"solution.json names the array `{name[:80]}`, which is not in the file")
    return arrays[name]


def _read_array(doc: dict, arrays: Mapping, live: bool) -> Any:
    _only(doc, "array", "host")
    a = _array_of(doc, "array", arrays)
    host = doc.get("host", False)
    if host == "scalar" and a.ndim == 0:
        return a[()]
    if not isinstance(host, bool):
        raise FileRejected("solution.json: an array is neither the host's nor a device's")
    if host or not live:
        return a
    import jax
    import jax.numpy as jnp

    wide = a.dtype.kind in "fiuc" and a.dtype.itemsize // (2 if a.dtype.kind == "c" else 1) == 8
    if wide and not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        return a  # as NumPy: JAX would cut it to 32 bits
    return jnp.asarray(a)


def _read_key(doc: dict, arrays: Mapping, live: bool) -> Any:
    _only(doc, "key", "impl")
    a = _array_of(doc, "key", arrays)
    if not live:
        return a
    from infsup.core.keys import key_from

    impl = doc.get("impl")
    if impl not in ("fry", "threefry2x32", "rbg", "unsafe_rbg"):
        raise FileRejected("solution.json: unknown kind of random key")
    impl = "threefry2x32" if impl == "fry" else impl
    try:
        return key_from(a, impl)
    except Exception:  # what JAX raises here is not promised
        raise FileRejected("solution.json: a random key has the wrong shape") from None


def _read_dtype(doc: dict, arrays: Mapping, live: bool) -> np.dtype:
    _only(doc, "dtype")
    return _dtype(doc["dtype"])


_DTYPES = [
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint64",
    "uint32",
    "uint16",
    "uint8",
    "bool",
]


def _dtype(name: Any) -> np.dtype:
    if name not in _DTYPES:
        raise FileRejected("solution.json: unknown dtype")
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def _read_shape(doc: dict, arrays: Mapping, live: bool) -> Any:
    _only(doc, "shape", "dtype")
    shape, dtype = _list(doc["shape"]), _dtype(doc.get("dtype"))
    if not all(type(n) is int and -1 <= n < 2**48 for n in shape):
        raise FileRejected("solution.json: a shape is not a list of sizes")
    if not live:
        return Record("shape", {"shape": tuple(shape), "dtype": dtype})
    import jax

    return jax.ShapeDtypeStruct(tuple(shape), dtype)


def _read_function(doc: dict, arrays: Mapping, live: bool) -> Any:
    _only(doc, "function")
    name = _text(doc["function"])
    if not live:
        return Record("function", {"name": name})
    from infsup.core import registry

    return registry.function(name)


def _read_opaque(doc: dict, arrays: Mapping, live: bool) -> Opaque:
    _only(doc, "opaque", "fingerprint", "leaves", "program", "arrays")
    leaves = {k: _array_of({"a": v}, "a", arrays) for k, v in _dict(doc.get("leaves")).items()}
    program = None
    if "program" in doc:
        form = {"program": doc["program"], "arrays": doc.get("arrays")}
        program = _read_program(form, arrays, live)
    return Opaque(_text(doc["opaque"]), _text(doc.get("fingerprint")), leaves, program)


def _read_program(doc: dict, arrays: Mapping, live: bool) -> Program:
    _only(doc, "program", "arrays")
    own = {k: _array_of({"a": v}, "a", arrays) for k, v in _dict(doc.get("arrays")).items()}
    return from_json(_dict(doc["program"]), own)


_READERS: dict[str, Callable[[dict, Mapping, bool], Any]] = {
    "record": _read_opaque,  # handled in `decode`, as are split, tuple, list, dict, items
    "split": _read_opaque,
    "tuple": _read_opaque,
    "list": _read_opaque,
    "dict": _read_opaque,
    "items": _read_opaque,
    "float": _read_float,
    "ratio": _read_ratio,
    "array": _read_array,
    "key": _read_key,
    "shape": _read_shape,
    "dtype": _read_dtype,
    "function": _read_function,
    "opaque": _read_opaque,
    "program": _read_program,  # after `opaque`, whose form may hold one
}


# -- records that stand alone ---------------------------------------------------------------------


def to_plain_json(record: Any) -> dict[str, Any]:
    """A record of core types as one JSON object, arrays inline (base64 of little-endian bytes).

    Raises:
        UsageError: it holds what cannot be read back.
    """
    arrays: dict[str, np.ndarray] = {}
    fields = {
        f.name: encode(getattr(record, f.name), arrays, f.name) for f in dataclasses.fields(record)
    }
    if name := next(filter(None, map(_opaque_in, fields.values())), ""):
        raise UsageError(
            f"a {type(record).__name__} holds a {name}, which JSON cannot",
            remedy="numbers, text, arrays, and tuples, lists and dicts of them",
        )
    inline = {}
    for k, a in arrays.items():
        if a.dtype.name not in _DTYPES:
            raise UsageError(f"`{k}` of a {type(record).__name__} holds {a.dtype}")
        plain = np.ascontiguousarray(a.astype(a.dtype.newbyteorder("<"), copy=False))
        inline[k] = [a.dtype.name, list(a.shape), base64.b64encode(plain.tobytes()).decode()]
    return {"fields": fields, **({"arrays": inline} if inline else {})}


def _opaque_in(doc: Any) -> str:
    """What an encoded value holds as `opaque`, "" if nothing."""
    if isinstance(doc, dict):
        if "opaque" in doc:
            return str(doc["opaque"])
        below = doc.get("dict", doc.get("fields", doc))  # keys below these are the user's, no tags
        doc = list(below.values()) if isinstance(below, dict) else below
    return next(filter(None, map(_opaque_in, doc)), "") if isinstance(doc, list) else ""


def from_plain_json(doc: Mapping[str, Any], cls: type[T]) -> T:
    """The record that `to_plain_json` wrote.

    Raises:
        FileRejected: the document is not of that form.
    """
    if not isinstance(doc, Mapping) or not set(doc) <= {"fields", "arrays"} or "fields" not in doc:
        raise FileRejected(f"the JSON is not a stored {cls.__name__}")
    arrays = {}
    for name, entry in _dict(doc.get("arrays", {})).items():
        try:
            dtype, shape, body = entry
            raw = base64.b64decode(body, validate=True)
            if not all(type(n) is int and n >= 0 for n in shape):
                raise ValueError
            if dtype == "bool" and raw.strip(b"\0\1"):
                raise ValueError
            arrays[name] = np.frombuffer(raw, _dtype(dtype)).reshape(shape)
        except (ValueError, TypeError) as e:
            raise FileRejected(f"the array `{str(name)[:80]}` of the JSON is damaged") from e
    fields = {k: decode(v, arrays) for k, v in _dict(doc["fields"]).items()}
    return core_record(cls, fields)


def core_record(cls: type[T], fields: Mapping[str, Any]) -> T:
    """A record of a core class from decoded fields (records below it are built as well).

    Raises:
        FileRejected: fields are missing or unknown, or the record's own rules reject them.
    """
    from infsup.core.certificate import Hypothesis

    def build(x: Any) -> Any:
        if isinstance(x, Record) and x.name == "core.Hypothesis":
            return core_record(Hypothesis, x.fields)
        return tuple(build(v) for v in x) if isinstance(x, tuple) else x

    init = {f.name for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    if set(fields) != init:
        odd = sorted(set(fields) ^ init)[0]
        raise FileRejected(f"the JSON of a {cls.__name__} lacks or adds the field `{odd[:40]}`")
    try:
        return cls(**{k: build(v) for k, v in fields.items()})
    except FileRejected:
        raise
    except (ValueError, TypeError, ArithmeticError, AttributeError, RecursionError) as e:
        raise FileRejected(f"the JSON of a {cls.__name__} breaks its rules: {e}") from e


def _is_key(x: Any) -> bool:
    """What `keys.is_key` says, without importing JAX: the checkers read with this module."""
    jax = sys.modules.get("jax")
    return (
        jax is not None
        and isinstance(x, jax.Array)
        and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
    )


def _is_array(x: Any) -> bool:
    jax = sys.modules.get("jax")
    return isinstance(x, (np.ndarray, np.generic)) or (jax is not None and isinstance(x, jax.Array))
