"""Rows to fit and rows held out, and the memory of which rows an answer has seen."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from infsup.core.errors import UsageError
from infsup.core.keys import open_key
from infsup.core.precision import guard, require_64_bit
from infsup.core.registry import register


def _row_prints(columns: Mapping[str, Any]) -> np.ndarray:
    """A 64-bit print of each row's content, over all columns.

    Of the numbers, not of their dtype: the 3 of an int64 is that of a float32, and 0.0 is -0.0.
    """
    parts = [np.asarray(columns[k]) for k in sorted(columns)]
    prints = []
    for i in range(len(parts[0])):
        row = [np.asarray(p[i], np.float64).ravel() + 0.0 for p in parts]
        prints.append(hashlib.blake2b(np.concatenate(row).tobytes(), digest_size=8).digest())
    return np.frombuffer(b"".join(prints), np.uint64)


@register
@dataclass(frozen=True)
class SeenRows:
    """Rows that an answer has seen: by data hash and index, and by content.

    Args:
        index: data hash -> sorted row numbers.
        prints: sorted 64-bit prints of the rows' contents.
    """

    index: Mapping[str, np.ndarray] = field(default_factory=dict)
    prints: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))

    def __post_init__(self):
        index = self.index if isinstance(self.index, Mapping) else {"": None}
        for data, rows in index.items():
            kind = rows.dtype.kind if isinstance(rows, np.ndarray) and rows.ndim == 1 else ""
            if not isinstance(data, str) or kind not in tuple("iu"):
                raise UsageError("`index` of the rows seen is not data hash -> row numbers")
        if not isinstance(self.prints, np.ndarray) or self.prints.dtype != np.uint64:
            raise UsageError("`prints` of the rows seen are no uint64 numbers")

    def __or__(self, other: "SeenRows") -> "SeenRows":
        both = {
            h: np.union1d(self.index.get(h, []), other.index.get(h, [])).astype(np.int64)
            for h in {*self.index, *other.index}
        }
        return SeenRows(both, np.union1d(self.prints, other.prints))

    def __len__(self) -> int:
        return sum(len(i) for i in self.index.values())

    def reused(self, rows: "SeenRows") -> int:
        """How many of `rows` have been seen: the same row of the same data."""
        return sum(
            len(np.intersect1d(self.index[h], i)) for h, i in rows.index.items() if h in self.index
        )

    def equal_content(self, rows: "SeenRows") -> int:
        """How many of `rows` equal a seen row in content, whatever data they stand in."""
        return int(np.isin(rows.prints, self.prints).sum())


@register
class DataSet(eqx.Module):
    """Named columns of equal length, with where they come from.

    Args:
        columns: name -> array [n, ...]; "x" the inputs, "y" the labels or targets.
        name: what to call the data in print.
        source: "infsup:<name>" for packaged data, else a file name or "memory".

    Raises:
        UsageError: no rows, lengths that differ, a dtype that is not a number, NaN or inf (names
            the column and the first bad row).
    """

    columns: dict[str, Any]
    name: str = eqx.field(static=True, default="data")
    source: str = eqx.field(static=True, default="memory")

    def __check_init__(self):
        if not isinstance(self.columns, dict) or not self.columns:
            got = "empty" if isinstance(self.columns, dict) else type(self.columns).__name__
            raise UsageError(f"`columns` of a data set is {got}", remedy='{"x": x, "y": y}')
        lengths = {k: np.shape(a)[0] if np.ndim(a) else 0 for k, a in self.columns.items()}
        if len(set(lengths.values())) != 1:
            raise UsageError(f"`columns` have different numbers of rows: {lengths}")
        if 0 in lengths.values():
            raise UsageError(f"{self.name} has no rows")
        for k, a in self.columns.items():
            if isinstance(a, Tracer):
                continue
            a = np.asarray(a)
            if a.dtype.kind not in "fiub":
                raise UsageError(
                    f"column `{k}` of {self.name} holds {a.dtype}",
                    remedy="numbers; encode text labels as 0, 1, 2, ...",
                )
            if a.dtype.kind == "f" and not np.isfinite(a).all():
                bad = int(np.argmax(~np.isfinite(a.reshape(len(a), -1)).all(1)))
                raise UsageError(
                    f"column `{k}` of {self.name} holds NaN or inf, first in row {bad}",
                    "A loss over these rows is no number.",
                    "drop or fill these rows before",
                )

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def hash(self) -> str:
        """SHA-256 over names, dtypes, shapes and bytes of the columns."""
        h = hashlib.sha256()
        for k in sorted(self.columns):
            a = np.ascontiguousarray(np.asarray(self.columns[k]))
            h.update(f"{k} {a.dtype} {a.shape}\n".encode() + a.tobytes())
        return h.hexdigest()

    def take(self, index: np.ndarray) -> dict[str, Any]:
        """The rows of some numbers, as JAX arrays of the columns' own dtypes.

        With the 64-bit flag off, integers become 32 bits wide where they fit.

        Raises:
            PrecisionError: float64, or integers that need 64 bits, while the flag is off.
        """
        guard(self.columns, f"{self.name}")
        for k, a in self.columns.items():
            a = np.asarray(a)
            if a.dtype.kind in "iu" and a.dtype.itemsize == 8 and a.size:
                short = np.iinfo(a.dtype.kind + "4")
                if a.min() < short.min or a.max() > short.max:
                    require_64_bit(f"column `{k}` of {self.name}", "Its integers need 64 bits.")
        return {k: jnp.asarray(np.asarray(a)[index]) for k, a in self.columns.items()}


@register
class Split(eqx.Module):
    """A data set cut in two: methods see `fit`, bounds that need unseen rows see `held_out`.

    Args:
        fit, held_out: columns of the two sides; `held_out` is None in what a method sees.
        fit_index, held_index: their row numbers in the data set.
        name, source, data_hash: of the data set.
    """

    fit: dict[str, Any] | None
    held_out: dict[str, Any] | None
    fit_index: Any
    held_index: Any
    name: str = eqx.field(static=True)
    source: str = eqx.field(static=True)
    data_hash: str = eqx.field(static=True)

    @classmethod
    def random(cls, data: DataSet, key: Any = 0, share: float = 0.8) -> "Split":
        """Cuts at random: `share` of the rows to fit, the rest held out.

        Args:
            data: the rows.
            key: int or typed key; the same key gives the same split, with the 64-bit flag on or
                off.
            share: the share of the rows to fit, inside (0, 1).

        Raises:
            UsageError: a share outside (0, 1), or a side that would be empty.
        """
        if not 0.0 < share < 1.0:
            raise UsageError(f"`share` is {share}", "It lies inside (0, 1).", "share=0.8")
        n = len(data)
        cut = round(share * n)
        if cut in (0, n):
            raise UsageError(
                f"`share` = {share} of {n} rows leaves one side of the split empty",
                remedy="more rows, or another share",
            )
        bits = jax.random.bits(open_key(key), (n,), jnp.uint32)
        order = np.argsort(np.asarray(bits), kind="stable")
        return cls.by_index(data, np.sort(order[:cut]), np.sort(order[cut:]))

    @classmethod
    def by_index(cls, data: DataSet, fit: Any, held_out: Any) -> "Split":
        """Cuts by given row numbers.

        Raises:
            UsageError: an empty side, a number outside the data, or a row on both sides.
        """
        fit, held_out = np.unique(fit), np.unique(held_out)
        for side, index in (("fit", fit), ("held_out", held_out)):
            if len(index) == 0:
                raise UsageError(f"`{side}` of the split is empty")
            if index.dtype.kind not in "iu":
                raise UsageError(
                    f"`{side}` holds {index.dtype}, not row numbers",
                    remedy="np.flatnonzero(mask)" if index.dtype == bool else "whole numbers",
                )
            if index[0] < 0 or index[-1] >= len(data):
                raise UsageError(f"`{side}` names rows outside 0..{len(data) - 1}")
        fit, held_out = fit.astype(np.int32), held_out.astype(np.int32)
        if common := len(np.intersect1d(fit, held_out)):
            raise UsageError(f"{common} rows stand on both sides of the split")
        return cls(
            data.take(fit),
            data.take(held_out),
            fit,
            held_out,
            data.name,
            data.source,
            data.hash,
        )

    def only_fit(self) -> "Split":
        """What a method may see: the rows to fit, with their numbers for the ledger of rows."""
        return Split(self.fit, None, self.fit_index, None, self.name, self.source, self.data_hash)

    def rows(self, side: str) -> SeenRows:
        """The rows of one side, "fit" or "held_out", by number and content."""
        columns, index = (
            (self.fit, self.fit_index) if side == "fit" else (self.held_out, self.held_index)
        )
        if columns is None or index is None:
            return SeenRows()
        return SeenRows({self.data_hash: np.asarray(index)}, np.sort(_row_prints(columns)))
