"""A solution as a folder, and back.

Nothing in a file is executed, and no name in it is a path or a class to import: names are looked up
in a closed registry, arrays and functions likewise.
"""

import dataclasses
import math
import platform
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np

from infsup.core.answers import Function
from infsup.core.bound import Bound
from infsup.core.certificate import Certificate
from infsup.core.checkpoint import surroundings
from infsup.core.encoding import SCHEMA, Opaque, check_header, decode, encode, leaf_as_array
from infsup.core.errors import FileRejected, PrecisionError, UsageError
from infsup.core.keys import is_key, key_from
from infsup.core.ledger import DeltaLedger
from infsup.core.method import Method
from infsup.core.precision import enabled
from infsup.core.problem import Problem, fingerprint
from infsup.core.registry import lookup, packaged
from infsup.core.solution import Solution, Stage
from infsup.core.split import DataSet, SeenRows, Split
from infsup.core.storage import read_folder, write_folder
from infsup.core.tracing import trace

_ENCODED = (
    "problem",
    "method",
    "bounds",
    "answer",
    "evidence",
    "certificates",
    "comparators",
    "ledger",
    "seen",
    "key",
)


MAX_PROGRAM = 1_000_000
"""Constants that the program of an unnamed answer may hold; its arrays are stored beside them."""


def save(solution: Solution, path: Any, *, copy_data: bool = False) -> None:
    """Writes a solution as a folder: whole or not at all.

    Args:
        solution: what `solve` returned.
        path: the folder. An older solution there is exchanged in one step.
        copy_data: whether the rows of the data are copied into it.

    Raises:
        FileRejected: the path holds something that is not a solution.
        OSError: the disk is full, or the place cannot be written; what was there stays.
    """
    if not isinstance(solution, Solution):
        raise UsageError(f"`solution` is {type(solution).__name__}, not a Solution")
    import infsup

    arrays: dict[str, np.ndarray] = {}
    document: dict[str, Any] = {
        "kind": "solution",
        "schema": SCHEMA,
        "infsup": infsup.__version__,
        "python": _python(),
        "surroundings": surroundings(),
    }
    for name in _ENCODED:
        value = getattr(solution, name)
        document[name] = encode(value, arrays, name, copy_data=copy_data)
    if "opaque" in document["answer"]:
        document["answer"] |= _as_program(solution, arrays)
    stages = []
    for i, stage in enumerate(solution.stages):
        entry = {f.name: getattr(stage, f.name) for f in dataclasses.fields(stage)}
        entry["history"] = dict(entry["history"])
        stages.append(encode(entry, arrays, f"stages.{i}"))
    document["stages"] = stages
    document["seconds"] = encode(dict(solution.seconds), arrays, "seconds")
    document["why"] = solution.why
    document["resumed"] = solution.resumed
    document["error"] = repr(solution.error) if solution.error else ""
    write_folder(path, document, arrays)


def _as_program(solution: Solution, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """An answer that has no name as a program, for those who read the file without its code."""
    asked = solution.problem.asks
    if not isinstance(asked, Function):
        return {}
    try:
        accepted = asked.accept(solution.answer)
        if accepted.random or not accepted.traced:
            return {}
        program = trace(accepted.answer, *accepted.ins)
    except (UsageError, PrecisionError):  # it uses what no program holds: its arrays are stored
        return {}
    if sum(a.size for a in program.arrays.values()) > MAX_PROGRAM:
        return {}
    return encode(program, arrays, "answer.program")


def load(path: Any, *, problem: Any = None, like: Any = None) -> Solution:
    """Reads a solution that `save` wrote.

    Args:
        path: the folder.
        problem: the problem, where its functions could not be stored by name; its fingerprint is
            compared with the stored one.
        like: an answer of the same structure (an Equinox module), where the stored one is a
            user's unregistered module; its arrays are exchanged for the stored ones.

    Raises:
        FileRejected: damaged, hostile, of a newer schema, or naming what is not registered.
        UsageError: `problem` or `like` does not fit what is stored.
    """
    document, arrays = read_folder(path)
    check_header(document, "solution", path)
    live: dict[str, Any] = {}
    missing = [k for k in (*_ENCODED, "stages", "seconds", "why") if k not in document]
    if missing:
        raise FileRejected(f"{path}: solution.json lacks `{missing[0]}`")
    for name in _ENCODED:
        if name == "problem" and problem is not None:
            _same_problem(document, problem, arrays)
            live["problem"] = problem
            continue
        live[name] = decode(document[name], arrays, records=_build, data=_data)
    _expect(live["problem"], Problem)
    _expect(live["method"], Method)
    if not all(isinstance(b, Bound) for b in _expect(live["bounds"], tuple)):
        raise FileRejected(f"{path}: the bounds are no bounds")
    if live["key"] is not None and not is_key(live["key"]):
        raise FileRejected(f"{path}: the key is no random key")
    _expect(live["evidence"], dict)
    if like is not None:
        live["answer"] = _like(live["answer"], like, document)
    stages = tuple(
        _stage(_expect(decode(s, arrays), dict)) for s in _expect(document["stages"], list)
    )
    seconds = _expect(decode(document["seconds"], arrays), dict)
    if not all(isinstance(v, float) and 0 <= v < math.inf for v in seconds.values()):
        raise FileRejected(f"{path}: the seconds are no numbers")
    certificates = _expect(live["certificates"], tuple)
    comparators = _expect(live["comparators"], dict)
    if not certificates or not all(
        isinstance(c, Certificate) for c in (*certificates, *comparators.values())
    ):
        raise FileRejected(f"{path}: solution.json holds no certificates")
    if not isinstance(live["ledger"], (DeltaLedger, type(None))):
        raise FileRejected(f"{path}: solution.json holds no ledger")
    if not isinstance(live["seen"], (SeenRows, type(None))):
        raise FileRejected(f"{path}: the rows seen are no rows")
    return Solution(
        **live,
        stages=stages,
        seconds=seconds,
        why=str(document["why"]),
        resumed=str(document.get("resumed", "")),
        error=RuntimeError(document["error"]) if document.get("error") else None,
    )


def _expect(x: Any, kind: type) -> Any:
    if not isinstance(x, kind):
        raise FileRejected(f"solution.json: {type(x).__name__} where a {kind.__name__} is expected")
    return x


def _stage(fields: dict[str, Any]) -> Stage:
    kinds = {"method": str, "steps": int, "why": str, "seconds": float, "compile_seconds": float}
    if set(fields) != {*kinds, "history"}:
        raise FileRejected("solution.json: a stage lacks or adds a field")
    for name, kind in kinds.items():
        _expect(fields[name], kind)
        if kind is not str and not 0 <= fields[name] < math.inf:
            raise FileRejected(f"solution.json: `{name}` of a stage is {fields[name]}")
    if not all(isinstance(v, np.ndarray) for v in _expect(fields["history"], dict).values()):
        raise FileRejected("solution.json: a history is no table of numbers")
    return Stage(**fields)


def _build(name: str, fields: dict[str, Any]) -> Any:
    """An object of a registered class from its fields, through its own checks.

    Raises:
        FileRejected: other fields than the class has, or its checks reject them.
    """
    cls = lookup(name)
    expected = {f.name for f in dataclasses.fields(cls)}
    if set(fields) != expected:
        odd = sorted(set(fields) ^ expected)[0]
        raise FileRejected(f"solution.json: `{name}` lacks or adds the field `{odd[:40]}`")
    try:
        if not issubclass(cls, eqx.Module):
            return cls(**fields)
        # a module's constructor may take other arguments than its fields
        module = object.__new__(cls)
        for k, v in fields.items():
            object.__setattr__(module, k, v)
        for c in reversed(cls.__mro__):
            if "__check_init__" in vars(c):
                c.__check_init__(module)  # type: ignore[attr-defined]
        return module
    except FileRejected:
        raise
    except Exception as e:  # the class's own words for what is wrong with its fields
        raise FileRejected(f"solution.json: `{name}` rejects its fields: {e}") from e


def _data(stored: dict[str, Any]) -> Split:
    """A split from its description: packaged data are read again, others stay away.

    Raises:
        FileRejected: the description is damaged, or the packaged data are others by now.
    """
    texts = [stored[k] for k in ("name", "source", "data_hash")]
    if not all(isinstance(t, str) for t in texts):
        raise FileRejected("solution.json: a split is not described by text")
    fit, held = stored["fit_index"], stored["held_index"]
    for index in (fit, held):
        if index is not None and (not isinstance(index, np.ndarray) or index.dtype != np.int32):
            raise FileRejected("solution.json: the rows of a split are not int32")
    name, source, data_hash = texts
    if source.startswith("infsup:"):
        try:
            data: DataSet = packaged(source.removeprefix("infsup:"))
        except UsageError as e:
            raise FileRejected(f"solution.json: {e.what}") from e
        if data.hash != data_hash:
            raise FileRejected(f"the packaged data {name[:40]!r} differ from those of the solution")
        if fit is not None and held is not None:
            try:
                return Split.by_index(data, fit, held)
            except UsageError as e:
                raise FileRejected(f"solution.json: {e.what}") from e
    return Split(None, None, fit, held, name, source, data_hash)


def _like(stored: Any, like: Any, document: Mapping[str, Any]) -> Any:
    """`like` with the stored arrays and numbers.

    Raises:
        UsageError: other paths, shapes or dtypes; or other functions or static fields.
    """
    if not isinstance(stored, Opaque):
        raise UsageError("`like` is given, and the answer was stored by name", remedy="load(path)")
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    new, used = [], set()
    for path, x in leaves:
        where = jax.tree_util.keystr(path)
        want, got = leaf_as_array(x), stored.leaves.get(where)
        if want is None:
            new.append(x)
            continue
        if got is None or got.shape != want.shape or got.dtype != want.dtype:
            have = "nothing" if got is None else f"{got.dtype}{got.shape}"
            raise UsageError(
                f"`like` has {want.dtype}{want.shape} at {where}, the solution holds {have}"
            )
        new.append(type_of(got, x))
        used.add(where)
    if len(stored.leaves) != len(used):
        raise UsageError("`like` has fewer arrays than the stored answer")
    answer = jax.tree.unflatten(structure, new)
    # bytecode differs from Python to Python, so there only the arrays are compared
    if document.get("python") == _python() and fingerprint(answer) != stored.fingerprint:
        raise UsageError(
            "`like` differs from the stored answer in a function or a static field",
            "The certificates would speak of something else.",
        )
    return answer


def type_of(value: np.ndarray, like: Any) -> Any:
    """`value` as the kind of array, key or number that `like` is."""
    if isinstance(like, (bool, int, float)):
        return type(like)(value[()])
    if is_key(like):
        return key_from(value, jax.random.key_impl(like))
    if isinstance(like, (np.ndarray, np.generic)) or (value.dtype.itemsize == 8 and not enabled()):
        return np.array(value)  # JAX would cut it to 32 bits
    return jax.numpy.asarray(value)


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def _same_problem(
    document: Mapping[str, Any], problem: Any, arrays: Mapping[str, np.ndarray]
) -> None:
    """Whether a problem is the stored one, as far as its arrays, names and functions tell.

    Raises:
        UsageError: it is another problem.
    """
    if not isinstance(problem, Problem):
        raise UsageError(f"`problem` is {type(problem).__name__}, not a Problem")
    old = {k: v for k, v in arrays.items() if k.partition(".")[0] == "problem"}
    by_code = document.get("python") == _python()
    stored = _comparable(document["problem"], by_code)
    for copied in (False, True):  # the rows of its data may have been stored as well
        again: dict[str, np.ndarray] = {}
        now = _comparable(encode(problem, again, "problem", copy_data=copied), by_code)
        if now == stored and set(old) == set(again):
            prints = {k: fingerprint(np.asarray(v)) for k, v in again.items()}
            if all(fingerprint(np.asarray(old[k])) == p for k, p in prints.items()):
                return
    raise UsageError(
        "`problem` is not the problem of this solution",
        "Its certificates would speak of something else.",
    )


def _comparable(form: Any, by_code: bool) -> Any:
    """An encoded value without the prints of functions, where another Python compiled them."""
    if isinstance(form, dict):
        drop = {"fingerprint"} if "opaque" in form and not by_code else set()
        return {k: _comparable(v, by_code) for k, v in form.items() if k not in drop}
    return [_comparable(v, by_code) for v in form] if isinstance(form, list) else form
