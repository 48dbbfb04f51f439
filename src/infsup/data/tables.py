"""The user's own tables, CSV and npz files, as data sets.

Strict: every cell is right or the file is not read; nothing in a file is executed.
"""

import csv
import math
import os
import pathlib
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from infsup.core.errors import FileRejected, UsageError, nearest
from infsup.core.split import DataSet

MISSING = ("", "na", "nan", "null", "none", "n/a", "?")


def from_csv(
    path: Any,
    target: str | int,
    *,
    columns: Sequence[str] | None = None,
    header: bool | None = None,
    delimiter: str = ",",
    name: str | None = None,
) -> DataSet:
    """A CSV file as rows (x, y).

    Args:
        path: the file, UTF-8.
        target: the column to predict, by its name in the header or by its number from 0 (negative
            ones from the end).
        columns: names of the input columns; by default all others.
        header: whether the first line has names; by default it has, if one of its cells is no
            number.
        delimiter: one character.
        name: what to call the data in print; by default the file's name.

    Returns:
        Columns "x" float32 [n, d]; "y" int32 [n] where the target is whole numbers, float32 [n]
        where it is others, and int32 numbers of the sorted names where it is text.

    Raises:
        FileRejected: no such file, rows of different lengths, empty or repeated names, an input
            that is text or missing (names the column and the row; rows count from 1 after the
            header).
        UsageError: no such column, or a target with one value only.
    """
    path, names, rows = _read(path, header, delimiter)
    at = _position(target, names, path)
    inputs = [i for i in range(len(names)) if i != at]
    if columns is not None:
        inputs = [_position(c, names, path) for c in columns]
        if at in inputs:
            raise UsageError(
                f"`columns` holds the target `{names[at]}`",
                "The answer would be handed to the method.",
            )
    if not inputs:
        raise UsageError(f"{path.name} has no input columns beside `{names[at]}`")
    x = np.empty((len(rows), len(inputs)), np.float32)
    for j, i in enumerate(inputs):
        x[:, j] = _numbers([r[i] for r in rows], names[i], path)
    y = _target([r[at] for r in rows], names[at], path)
    return DataSet({"x": x, "y": y}, name=name or path.name, source=str(path))


def from_npz(path: Any, x: str = "x", y: str = "y", *, name: str | None = None) -> DataSet:
    """Two arrays of an npz file as rows (x, y). Pickled objects are refused.

    Args:
        path: the file.
        x: name of the inputs [n, ...] in it.
        y: name of the labels or targets [n] or [n, m].
        name: what to call the data in print; by default the file's name.

    Returns:
        Columns "x" float32; "y" int32 where the targets are whole numbers, else float32, and
        int32 numbers of the sorted names where they are text.

    Raises:
        FileRejected: no such file, not an npz file, damaged, or holding objects.
        UsageError: no such array, or arrays that are no rows.
    """
    path, found = _arrays(path)
    for label, key in (("x", x), ("y", y)):
        if key not in found:
            raise UsageError(
                f"`{label}` = {key!r} is not in {path.name}",
                f"It has {', '.join(found) or 'nothing'}.",
                f"{label}={nearest(key, found)!r}" if found else "",
            )
    inputs, targets = found[x], found[y]
    if inputs.ndim < 2 or inputs.dtype.kind not in "fiub":
        raise UsageError(
            f"`{x}` of {path.name} is {inputs.dtype}{list(inputs.shape)}",
            "Inputs are numbers, one row a sample: an array [n, ...].",
        )
    if targets.ndim == 0 or len(targets) != len(inputs):
        raise UsageError(
            f"`{y}` of {path.name} has shape {list(targets.shape)}, `{x}` has {len(inputs)} rows"
        )
    if targets.dtype.kind in "US":
        targets = _target([str(t) for t in targets.astype(str)], y, path)
    elif targets.dtype.kind in "iub":
        targets = targets.astype(np.int32)
    elif targets.dtype.kind == "f":
        targets = _as_labels_if_whole(targets)
    else:
        raise UsageError(f"`{y}` of {path.name} holds {targets.dtype}", remedy="numbers or text")
    columns = {"x": _float32(inputs, x, path), "y": targets}
    return DataSet(columns, name=name or path.name, source=str(path))


# -- files ------------------------------------------------------------------------------------


def _existing(path: Any) -> pathlib.Path:
    if not isinstance(path, (str, os.PathLike)) or "\0" in os.fspath(path):
        raise UsageError(f"`path` is {type(path).__name__}", remedy='"rows.csv"')
    path = pathlib.Path(path)
    if not path.is_file():
        near = [p.name for p in path.parent.glob(f"*{path.suffix}")] if path.parent.is_dir() else []
        raise FileRejected(
            f"there is no file {path}", remedy=nearest(path.name, near[:50]) if near else ""
        )
    return path


def _read(
    path: Any, header: bool | None, delimiter: str
) -> tuple[pathlib.Path, list[str], list[list[str]]]:
    """Names and rows of a CSV file, all of one length."""
    path = _existing(path)
    if len(delimiter) != 1:
        raise UsageError(f"`delimiter` is {delimiter!r}", "It is one character.", 'delimiter=";"')
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            lines = [r for r in csv.reader(stream, delimiter=delimiter, strict=True) if r]
    except UnicodeDecodeError:
        raise FileRejected(
            f"{path.name} is no UTF-8 text", remedy="from_npz, or save it anew"
        ) from None
    except csv.Error as e:
        raise FileRejected(f"{path.name} is no CSV file: {e}") from e
    if not lines:
        raise FileRejected(f"{path.name} is empty")
    first = [c.strip() for c in lines[0]]
    if header is None:
        header = any(_number(c) is None for c in first)
    names = first if header else [str(i) for i in range(len(first))]
    rows = lines[1:] if header else lines
    if not rows:
        raise FileRejected(f"{path.name} has a header and no rows")
    _check_names(names, path)
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            hint = ""
            if len(names) == 1:
                other = next((d for d in ";\t|" if d in names[0] or d in ",".join(row)), "")
                hint = f"delimiter={other!r}" if other else ""
            raise FileRejected(
                f"row {number} of {path.name} has {len(row)} cells, the first line has "
                f"{len(names)}",
                "All rows of a table have one length.",
                hint,
            )
    return path, names, rows


def _check_names(names: list[str], path: pathlib.Path) -> None:
    for i, n in enumerate(names):
        if not n:
            raise FileRejected(
                f"column {i} of {path.name} has no name", remedy="header=False, if there is none"
            )
        if n in names[:i]:
            raise FileRejected(f"{path.name} has two columns `{n}`", remedy="give one another name")


def _position(wanted: str | int, names: list[str], path: pathlib.Path) -> int:
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        if not -len(names) <= wanted < len(names):
            raise UsageError(
                f"column {wanted} of {path.name} does not exist", f"It has {len(names)} columns."
            )
        return wanted % len(names)
    if wanted not in names:
        other = ""
        if len(names) == 1:
            other = next((f"delimiter={d!r}" for d in ";\t|" if d in names[0]), "")
        raise UsageError(
            f"{path.name} has no column `{wanted}`",
            f"It has {', '.join(names[:20])}.",
            other or nearest(str(wanted), names),
        )
    return names.index(wanted)


def _number(cell: str) -> float | None:
    """The number in a cell; NaN where one is missing; None where it is text."""
    text = cell.strip()
    if text.lower() in MISSING:
        return math.nan
    if "_" in text:
        return None  # Python reads 1_000, other programs do not
    try:
        return float(text)
    except ValueError:
        return None


def _numbers(cells: list[str], name: str, path: pathlib.Path) -> np.ndarray:
    """A column of numbers, as float32."""
    values = [_number(c) for c in cells]
    for row, (v, cell) in enumerate(zip(values, cells, strict=True), 1):
        if v is None:
            raise FileRejected(
                f"column `{name}` of {path.name} holds text, {cell[:40]!r} in row {row}",
                "Inputs are numbers.",
                f"columns=[...] without `{name}`, or encode it as numbers",
            )
        if not math.isfinite(v):
            raise FileRejected(
                f"column `{name}` of {path.name} holds {cell.strip()[:40] or 'nothing'!r} in row "
                f"{row}",
                "A loss over this row is no number.",
                f"drop or fill the row, or columns=[...] without `{name}`",
            )
    return _float32(np.asarray(values, np.float64), name, path)


def _float32(a: np.ndarray, name: str, path: pathlib.Path) -> np.ndarray:
    """As float32.

    Raises:
        FileRejected: NaN, infinity, or a number beyond float32.
    """
    with np.errstate(over="ignore"):
        small = a.astype(np.float32)
    if not np.isfinite(small).all():
        row = int(np.argmax(~np.isfinite(small.reshape(len(small), -1)).all(1)))
        value = a.reshape(len(a), -1)[row]
        value = value[~np.isfinite(small.reshape(len(small), -1)[row])][0]
        raise FileRejected(
            f"`{name}` of {path.name} holds {value:g} in row {row + 1}",
            "" if not np.isfinite(value) else "It is beyond the range of float32.",
            "drop or fill the row" if not np.isfinite(value) else "another unit",
        )
    return small


def _target(cells: list[str], name: str, path: pathlib.Path) -> np.ndarray:
    """Labels or values of a column: numbers where all are, else names."""
    values = [_number(c) for c in cells]
    for row, (v, cell) in enumerate(zip(values, cells, strict=True), 1):
        if v is not None and not math.isfinite(v):
            raise FileRejected(
                f"the target `{name}` of {path.name} holds {cell.strip()[:40] or 'nothing'!r} in "
                f"row {row}",
                "A row without its label teaches nothing.",
                "drop the row",
            )
    if any(v is None for v in values):
        known, y = np.unique([c.strip() for c in cells], return_inverse=True)
        y, distinct = y.astype(np.int32), len(known)
    else:
        y = _as_labels_if_whole(np.asarray(values, np.float64))
        distinct = len(np.unique(y))
    if distinct < 2:
        raise UsageError(
            f"the target `{name}` of {path.name} has one value only, {cells[0].strip()[:40]!r}",
            "There is nothing to learn.",
            "target=... another column",
        )
    return y


def _as_labels_if_whole(y: np.ndarray) -> np.ndarray:
    whole = np.isfinite(y).all() and (y == np.round(y)).all() and (np.abs(y) < 2**31).all()
    with np.errstate(over="ignore"):
        return y.astype(np.int32 if whole else np.float32)


def _arrays(path: Any) -> tuple[pathlib.Path, dict[str, np.ndarray]]:
    """All arrays of an npz file."""
    path = _existing(path)
    try:
        with path.open("rb") as stream:
            stored = np.load(stream, allow_pickle=False)
            if isinstance(stored, np.ndarray):
                raise FileRejected(
                    f"{path.name} holds one array without a name",
                    remedy="np.savez(path, x=numbers, y=numbers)",
                )
            with stored:
                return path, {k: stored[k] for k in stored.files}
    except FileRejected:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, KeyError) as e:
        if "allow_pickle" in str(e) or "pickled" in str(e) or "Object arrays" in str(e):
            raise FileRejected(
                f"{path.name} holds Python objects",
                "Reading them would execute what is in the file.",
                "np.savez(path, x=numbers, y=numbers)",
            ) from e
        raise FileRejected(f"{path.name} is no npz file: {str(e)[:100]}") from e
