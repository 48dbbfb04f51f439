"""A solution as a folder, and back. Nothing in a file is executed, and no name in it is a path or a
class to import: names are looked up in a closed registry, arrays and functions likewise.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np

from infsup.core.certificate import Certificate
from infsup.core.checkpoint import surroundings
from infsup.core.encoding import Opaque, decode, encode
from infsup.core.errors import FileRejected, UsageError
from infsup.core.ledger import DeltaLedger
from infsup.core.problem import fingerprint
from infsup.core.registry import lookup
from infsup.core.solution import Solution, Stage
from infsup.core.split import DataSet, SeenRows, Split
from infsup.core.storage import read_folder, write_folder

SCHEMA = 1
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
        "surroundings": surroundings(),
    }
    for name in _ENCODED:
        value = getattr(solution, name)
        document[name] = encode(value, arrays, name, copy_data=copy_data)
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
            _same_problem(document["problem"], problem, arrays)
            live["problem"] = problem
            continue
        live[name] = decode(document[name], arrays, records=_build, data=_data)
    if like is not None:
        live["answer"] = _like(live["answer"], like)
    stages = tuple(
        _build("solution.Stage", decode(s, arrays)) for s in _expect(document["stages"], list)
    )
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
        seconds=_expect(decode(document["seconds"], arrays), dict),
        why=str(document["why"]),
        resumed=str(document.get("resumed", "")),
        error=RuntimeError(document["error"]) if document.get("error") else None,
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


def _expect(x: Any, kind: type) -> Any:
    if not isinstance(x, kind):
        raise FileRejected(f"solution.json: {type(x).__name__} where a {kind.__name__} is expected")
    return x


def _build(name: str, fields: dict[str, Any]) -> Any:
    """An object of a registered class from its fields, through its own checks.

    Raises:
        FileRejected: other fields than the class has, or its checks reject them.
    """
    cls = Stage if name == "solution.Stage" else lookup(name)
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
        from infsup.data import packaged

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


def _like(stored: Any, like: Any) -> Any:
    """`like` with the stored arrays.

    Raises:
        UsageError: other paths, shapes or dtypes.
    """
    if not isinstance(stored, Opaque):
        raise UsageError("`like` is given, and the answer was stored by name", remedy="load(path)")
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    new = []
    for path, x in leaves:
        where = jax.tree_util.keystr(path)
        if not eqx.is_array(x):
            new.append(x)
            continue
        got = stored.leaves.get(where)
        if got is None or got.shape != x.shape or got.dtype != x.dtype:
            have = "nothing" if got is None else f"{got.dtype}{got.shape}"
            raise UsageError(f"`like` has {x.dtype}{x.shape} at {where}, the solution holds {have}")
        new.append(type_of(got, x))
    if len(stored.leaves) != sum(eqx.is_array(x) for _, x in leaves):
        raise UsageError("`like` has fewer arrays than the stored answer")
    return jax.tree.unflatten(structure, new)


def type_of(value: np.ndarray, like: Any) -> Any:
    """`value` as the kind of array that `like` is."""
    return np.array(value) if isinstance(like, np.ndarray) else jax.numpy.asarray(value)


def _same_problem(stored: Any, problem: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Whether a problem is the stored one, as far as its arrays and names tell.

    Raises:
        UsageError: it is another problem.
    """
    again: dict[str, np.ndarray] = {}
    document = encode(problem, again, "problem")
    old = {k: v for k, v in arrays.items() if k.startswith("problem")}
    same = document == stored and set(old) == set(again)
    if not same or any(fingerprint(np.asarray(old[k])) != fingerprint(v) for k, v in again.items()):
        raise UsageError(
            "`problem` is not the problem of this solution",
            "Its certificates would speak of something else.",
        )
