"""A run in the middle, as a folder: bytes from the file, structure from the method itself."""

import os
import pathlib
import platform
import time
import warnings
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from infsup.core.driver import Loop, drain, stage_key
from infsup.core.errors import FileRejected, UsageError
from infsup.core.keys import branch, is_key, key_from
from infsup.core.ledger import DeltaLedger
from infsup.core.method import DirectMethod, Outcome
from infsup.core.precision import enabled
from infsup.core.storage import read_folder, write_folder

SCHEMA = 1


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often a run is kept.

    Args:
        path: the folder; written whole or not at all.
        seconds: shortest time between two checkpoints; one is always written at the end.
    """

    path: str | pathlib.Path
    seconds: float = 30.0

    def __post_init__(self):
        if not isinstance(self.path, (str, os.PathLike)):
            raise UsageError(f"`path` of Checkpoint is {type(self.path).__name__}", remedy='"run"')
        if not isinstance(self.seconds, (int, float)) or not self.seconds >= 0:
            raise UsageError(f"`seconds` of Checkpoint is {self.seconds!r}", remedy=">= 0")


def surroundings() -> dict[str, Any]:
    """What must agree for a resumed run to end in the same bytes."""
    import infsup

    return {
        **{name: metadata.version(name) for name in ("jax", "equinox", "optax", "numpy")},
        "infsup": infsup.__version__,
        "machine": platform.machine(),
        "backend": jax.default_backend(),
        "devices": jax.local_device_count(),
        "64-bit": enabled(),
    }


class Keeper:
    """Writes and reads the checkpoints of one run."""

    def __init__(self, at: Checkpoint, fingerprint: str):
        self.at, self.fingerprint = at, fingerprint
        self.last = time.monotonic()

    def save(
        self,
        loop: Loop,
        tables: list[dict[str, np.ndarray]],
        seconds: float,
        force: bool,
        *,
        stage: int,
        start: Outcome | None,
        ledger: DeltaLedger,
        earlier: list[dict[str, Any]],
    ) -> None:
        """Writes a checkpoint when one is due, or when forced."""
        if not force and time.monotonic() - self.last < self.at.seconds:
            return
        # on the host, a loop has no metrics before its first step, so they are not kept
        metrics = {} if isinstance(loop.step, int) else loop.metrics
        arrays = _flatten("loop", loop._replace(rows={}, metrics=metrics))
        arrays |= {f"row.{i}.{k}": v for i, t in enumerate(tables) for k, v in t.items()}
        if start is not None:
            arrays |= _flatten("start", eqx.filter(start, eqx.is_array))
        stages = []
        for i, e in enumerate(earlier):
            arrays |= {f"history.{i}.{k}": np.asarray(v) for k, v in e["history"].items()}
            stages.append({k: v for k, v in e.items() if k != "history"})
        document = {
            "kind": "checkpoint",
            "schema": SCHEMA,
            "fingerprint": self.fingerprint,
            "surroundings": surroundings(),
            "stage": stage,
            "tables": len(tables),
            "seconds": float(seconds),
            "granted": float(ledger.granted),
            "ledger": [[float(d), w] for d, w in ledger.entries],
            "stages": stages,
        }
        write_folder(self.at.path, document, arrays)
        self.last = time.monotonic()


class Resume:
    """A checkpoint that was read and that belongs to this problem, method and key.

    Raises:
        FileRejected: damaged, no checkpoint, or of another problem, method or key.
    """

    def __init__(self, path: str | pathlib.Path, fingerprint: str):
        self.document, self.arrays = read_folder(path)
        doc = self.document
        if doc.get("kind") != "checkpoint" or doc.get("schema") != SCHEMA:
            raise FileRejected(
                f"{path} holds no checkpoint of this version", remedy="infsup.load for a solution"
            )
        if doc.get("fingerprint") != fingerprint:
            raise FileRejected(
                f"{path} is the checkpoint of another problem, method, start or key",
                "A resumed run must ask the same.",
                "the same arguments as before, or another `checkpoint` path",
            )
        now = surroundings()
        kept = doc.get("surroundings")
        odd = [k for k in now if not isinstance(kept, dict) or kept.get(k) != now[k]]
        self.note = f"resumed from {path}"
        if odd:
            self.note += f", not bit-identical ({', '.join(odd)} differ)"
            warnings.warn(self.note, stacklevel=4)
        try:
            self.stage = _count(doc["stage"])
            entries = tuple((float(d), str(w)) for d, w in doc["ledger"])
            self.ledger = DeltaLedger(float(doc["granted"]), entries)
            self.tables = _count(doc["tables"])
            self.seconds = float(doc["seconds"])
            self.stages = [
                {**_entry(s), "history": self._rows(f"history.{i}.")}
                for i, s in enumerate(doc["stages"])
            ]
            if len(self.stages) != self.stage or self.tables > len(self.arrays):
                raise ValueError("a stage")
        except (KeyError, TypeError, ValueError) as e:
            raise FileRejected(f"{path}: the checkpoint lacks {e}") from e

    def _rows(self, prefix: str) -> dict[str, np.ndarray]:
        return {k.removeprefix(prefix): v for k, v in self.arrays.items() if k.startswith(prefix)}

    def _tables(self) -> list[dict[str, np.ndarray]]:
        tables = [self._rows(f"row.{i}.") for i in range(self.tables)]
        for t in tables:
            shapes = {v.shape for v in t.values()}
            if t.keys() != tables[0].keys() or "step" not in t or len(shapes) != 1:
                raise FileRejected("the checkpoint's history is no table")
            if any(len(s) != 1 for s in shapes):
                raise FileRejected("the checkpoint's history is no table")
        return tables

    def restore(self, loop: Loop) -> tuple[Loop, list[dict], float]:
        """The loop with the bytes of the file, its history, and the seconds spent."""
        kept = _unflatten("loop", loop._replace(rows={}), self.arrays)
        tables = self._tables()
        return kept._replace(rows=loop.rows), tables, self.seconds

    def outcome(self, problem: Any, methods: list, start: Outcome | None, key: Any) -> Outcome:
        """The outcome of the stages before the kept one.

        The structure comes from abstract evaluation (no step is made), the bytes from the file; a
        direct method is run again, since it is deterministic in its key.
        """
        outcome = start
        for i, m in enumerate(methods):
            k = stage_key(key, i)
            if isinstance(m, DirectMethod):
                outcome = drain(m.find(problem, outcome, branch(k, "finish")))
                continue
            shape = eqx.filter_eval_shape(
                lambda m=m, o=outcome, k=k: m.finish(
                    problem, m.init(problem, o, branch(k, "init")), branch(k, "finish")
                )
            )
            outcome = jax.tree.map(
                lambda s: jnp.zeros(s.shape, s.dtype) if isinstance(s, jax.ShapeDtypeStruct) else s,
                shape,
                is_leaf=lambda s: isinstance(s, jax.ShapeDtypeStruct),
            )
        assert outcome is not None
        arrays, rest = eqx.partition(outcome, eqx.is_array)
        return eqx.combine(_unflatten("start", arrays, self.arrays), rest)


def _count(x: Any) -> int:
    if type(x) is not int or x < 0:
        raise ValueError("a number of stages")
    return x


def _entry(stage: Any) -> dict[str, Any]:
    """What a stage before the kept one left behind, as `Keeper.save` writes it."""
    kinds = {"method": str, "steps": int, "why": str, "seconds": float, "compile_seconds": float}
    if not isinstance(stage, dict) or {k: type(v) for k, v in stage.items()} != kinds:
        raise ValueError("a stage")
    return stage


def _flatten(prefix: str, tree: Any) -> dict[str, np.ndarray]:
    """Array leaves under numbered names (paths of user's trees need not be names)."""
    out = {}
    for i, x in enumerate(jax.tree.leaves(tree)):
        if is_key(x):
            x = jax.random.key_data(x)
        if not eqx.is_array_like(x):
            raise UsageError(
                f"`checkpoint` cannot keep a {type(x).__name__} in the state",
                remedy="a state of arrays, or no `checkpoint`",
            )
        out[f"{prefix}.{i}"] = np.asarray(x)
    return out


def _unflatten(prefix: str, like: Any, arrays: dict[str, np.ndarray]) -> Any:
    """A tree like `like` with the arrays of the file.

    Raises:
        FileRejected: an array is missing or has another shape or dtype.
    """
    leaves, structure = jax.tree.flatten(like)
    new = []
    for i, x in enumerate(leaves):
        a = arrays.get(f"{prefix}.{i}")
        want = np.asarray(jax.random.key_data(x) if is_key(x) else x)
        if a is None or a.shape != want.shape or a.dtype != want.dtype:
            raise FileRejected(
                f"the checkpoint's {prefix} does not fit this method: leaf {i} is "
                f"{'missing' if a is None else f'{a.dtype}{a.shape}'}, {want.dtype}{want.shape} "
                "is expected"
            )
        if is_key(x):
            new.append(key_from(a, jax.random.key_impl(x)))
        elif isinstance(x, (bool, int, float)):
            new.append(type(x)(a[()]))
        else:
            # copied: the file's bytes are read-only and must not be given away by donation
            new.append(jnp.array(a, copy=True) if isinstance(x, jax.Array) else np.array(a))
    return jax.tree.unflatten(structure, new)
