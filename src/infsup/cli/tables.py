"""The files that `certify` takes. What is wrong with one is said in one error, with the row."""

import contextlib
import csv
import io
import math
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from infsup.cli.exits import UNREADABLE, ShellError
from infsup.core.errors import FileRejected, UsageError, nearest
from infsup.data.labelled import LABELS, Labelled
from infsup.data.labelled import predictions as read_predictions


def _there(file: str) -> pathlib.Path:
    path = pathlib.Path(file)
    if path.is_file():
        return path
    if path.is_dir():
        raise ShellError(f"`{file}` is a folder", remedy="a file in it", code=UNREADABLE)
    near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
    close = nearest(path.name, near[:200]) if near else ""
    remedy = str(path.parent / close) if close in near else "ls"
    raise ShellError(f"there is no file `{file}`", remedy=remedy, code=UNREADABLE)


def _cells(file: str) -> list[list[str]]:
    """The lines of a CSV file, or of stdin, as cells."""
    try:
        text = sys.stdin.read() if file == "-" else _there(file).read_text("utf-8-sig")
        sample = text[:4096]
        delimiter = next((d for d in ",;\t" if d in sample), ",")
        found = [r for r in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True) if r]
    except UnicodeDecodeError:
        raise ShellError(
            f"`{file}` is no UTF-8 text", code=UNREADABLE, remedy="CSV, npz, npy"
        ) from None
    except csv.Error as e:
        raise ShellError(f"`{file}` is no CSV file: {e}", code=UNREADABLE) from e
    if not found:
        raise ShellError(f"`{file}` is empty", remedy="one number a row", code=UNREADABLE)
    return found


def _number(cell: str) -> float | None:
    text = cell.strip()
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return None


def _arrays(file: str) -> dict[str, np.ndarray]:
    """The arrays of an npz file, or the one of an npy file under an empty name."""
    path = _there(file)
    try:
        with path.open("rb") as stream:
            found = np.load(stream, allow_pickle=False)
            if hasattr(found, "files"):
                return {k: found[k] for k in found.files}
            return {"": found}
    except Exception as e:
        why, begin = "", b""
        with contextlib.suppress(OSError), path.open("rb") as stream:
            begin = stream.read(6)
        if begin and begin != b"\x93NUMPY" and begin[:2] != b"PK":
            why = "It begins otherwise than such a file."
        elif "pickle" in str(e).lower() or "object" in str(e).lower():
            why = "It holds Python objects, which are not read: reading would execute them."
        raise ShellError(
            f"`{file}` is no {path.suffix[1:]} file of numbers",
            why or str(e)[:70],
            "np.save, np.savez",
            UNREADABLE,
        ) from e


def numbers(file: str, column: str | None) -> tuple[np.ndarray, str]:
    """Numbers in the order of the file, and what to call them.

    Args:
        file: CSV, txt, npy, npz, or "-" for stdin.
        column: which column or array, where there are several.
    """
    base = "stdin" if file == "-" else pathlib.Path(file).name
    if file.endswith((".npy", ".npz")):
        found = _arrays(file)
        name = _pick(file, list(found), column)
        values = found[name]
        if values.ndim != 1 or values.dtype.kind not in "fiub":
            raise ShellError(
                f"`{name or base}` of {file} is {values.dtype}{list(values.shape)}",
                "One number a row is needed: an array [n].",
                "np.save(file, values.ravel())" if values.dtype.kind in "fiub" else "",
            )
        values = values.astype(np.float64)
        _finite(values, file, [f"{v:g}" for v in values] if len(values) < 10**6 else None)
    else:
        lines = _cells(file)
        header = all(_number(c) is None for c in lines[0])
        names = [c.strip() for c in lines[0]] if header else [str(i) for i in range(len(lines[0]))]
        rows = lines[1:] if header else lines
        name = _pick(file, names, column)
        at = names.index(name)
        values = np.empty(len(rows))
        for number, row in enumerate(rows):
            if len(row) != len(names):
                raise ShellError(
                    f"`{file}`, row {number + 1}: {len(row)} cells, the first has {len(names)}",
                    code=UNREADABLE,
                )
            value = _number(row[at])
            if value is None:
                raise ShellError(
                    f"`{file}`, row {number + 1}: {row[at].strip()[:40]!r} is no number",
                    remedy="drop what is no number, or --column another",
                    code=UNREADABLE,
                )
            values[number] = value
        _finite(values, file, [r[at] for r in rows])
        name = name if header else ""
    if len(values) < 2:
        raise ShellError(
            f"`{file}` holds {len(values)} number{'s' * (len(values) != 1)}",
            "A mean cannot be bracketed from so few.",
            "at least 2 rows, better hundreds",
        )
    return values, f"{name} in {base}" if name else base


def _finite(values: np.ndarray, file: str, cells: Sequence[str] | None) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(bad.argmax())
        shown = cells[row].strip() if cells else f"{values[row]}"
        raise ShellError(
            f"`{file}`, row {row + 1}: {shown!r} is no finite number",
            "A missing or infinite value has no place in a range.",
            "find out why it is missing; dropping it changes what the mean is of",
            UNREADABLE,
        )


def _pick(file: str, names: list[str], wanted: str | None) -> str:
    if wanted is None:
        if len(names) == 1:
            return names[0]
        shown = ", ".join(names[:12])
        raise ShellError(
            f"`{file}` has {len(names)} columns", f"They are {shown}.", f"--column {names[-1]}"
        )
    if wanted not in names:
        close = nearest(wanted, names)
        raise ShellError(
            f"`{file}` has no column `{wanted}`",
            f"It has {', '.join(names[:12]) or 'none'}.",
            f"--column {close if close in names else names[0]}",
        )
    return wanted


def labelled(
    file: str, label: str | None, columns: Sequence[str] | None, labels: Any = None
) -> Labelled:
    """Labels and predictions of a file.

    Args:
        file: CSV (with a header or not), npz, or npy [n, columns].
        label: column of the labels; None for the one of the usual names.
        columns: those of the predictions; None for all others.
        labels: labels that are known already, where the file may lack them.
    """
    path = _there(file)
    bare = _bare(file)
    if labels is not None and label is None and not _has_label(file, bare):
        return _only_predictions(file, bare, labels)
    if bare is None:
        try:
            found = read_predictions(path, label, columns or None, delimiter=_delimiter(path))
        except (UsageError, FileRejected) as e:
            remedy = e.remedy.replace("label='", "--label ").replace("'", "")
            code = UNREADABLE if isinstance(e, FileRejected) else 2
            if "has no column" in e.what and not remedy.startswith("--"):
                wanted = e.what.rpartition("`")[0].rpartition("`")[2]
                flag = "--label" if wanted == label else "--column"
                remedy = f"{flag} {remedy}"
            raise ShellError(e.what, e.why, remedy, code) from e
        _some(file, found.labels)
        return found
    names = [str(i) for i in range(bare.shape[1])]
    if label is None:
        raise ShellError(
            f"`{file}` has no header, so which column is the label?",
            f"Its columns are {', '.join(names[:12])}.",
            f"--label {names[0]}",
        )
    at = _pick_label(file, names, label)
    chosen = list(columns) if columns else [n for n in names if n != at]
    for n in chosen:
        _pick(file, names, n)
    if not chosen:
        raise ShellError(f"`{file}` has no column of predictions beside {at}")
    picked = {n: _whole(bare[:, int(n)]) for n in (at, *chosen)}
    _some(file, picked[at])
    return Labelled(picked[at], {n: picked[n] for n in chosen}, path.name)


def _some(file: str, labels: np.ndarray) -> None:
    if len(labels) < 2:
        raise ShellError(
            f"`{file}` holds {len(labels)} row{'s' * (len(labels) != 1)}",
            "An error rate cannot be bracketed from so few.",
            "at least 2 rows, better hundreds",
        )


def _pick_label(file: str, names: list[str], label: str) -> str:
    if label not in names:
        raise ShellError(
            f"`{file}` has no column `{label}`",
            f"It has {', '.join(names[:12])}.",
            f"--label {names[0]}",
        )
    return label


def _delimiter(path: pathlib.Path) -> str:
    if path.suffix == ".npz":
        return ","
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        first = stream.readline()
    return next((d for d in ",;\t" if d in first), ",")


def _bare(file: str) -> np.ndarray | None:
    """The cells of a table without a header, as text [n, columns]; None where there is one."""
    if file.endswith(".npz"):
        return None
    if file.endswith(".npy"):
        values = _arrays(file)[""]
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or values.dtype.kind not in "fiubU":
            raise ShellError(f"`{file}` is {values.dtype}{list(values.shape)}, no table of labels")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row = int((~np.isfinite(values).all(1)).argmax())
            raise ShellError(
                f"`{file}`, row {row + 1}: NaN or inf is no label",
                remedy="decide what a missing prediction counts as",
                code=UNREADABLE,
            )
        return values.astype(str)
    lines = _cells(file)
    if not all(_number(c) is not None for c in lines[0]):
        return None
    for number, row in enumerate(lines):
        if len(row) != len(lines[0]):
            raise ShellError(
                f"`{file}`, row {number + 1}: {len(row)} cells, the first line has {len(lines[0])}",
                code=UNREADABLE,
            )
        for cell in row:
            v = _number(cell)
            if not cell.strip() or (v is not None and not math.isfinite(v)):
                raise ShellError(
                    f"`{file}`, row {number + 1}: {cell.strip()!r} is no label",
                    "A missing prediction is neither right nor wrong.",
                    "decide what it counts as, and write that",
                    UNREADABLE,
                )
    return np.array([[c.strip() for c in row] for row in lines])


def _has_label(file: str, bare: np.ndarray | None) -> bool:
    if bare is not None:
        return False
    if file.endswith(".npz"):
        return any(n.lower() in LABELS for n in _arrays(file))
    return any(c.strip().lower() in LABELS for c in _cells(file)[0])


def _only_predictions(file: str, bare: np.ndarray | None, labels: Any) -> Labelled:
    """A file of predictions alone, for labels that stand in another."""
    path = pathlib.Path(file)
    if bare is None and file.endswith(".npz"):
        found = {n: np.asarray(a).astype(str) for n, a in _arrays(file).items()}
    elif bare is None:
        lines = _cells(file)
        found = {
            n.strip(): np.array([row[i].strip() if i < len(row) else "" for row in lines[1:]])
            for i, n in enumerate(lines[0])
        }
    else:
        found = {
            path.stem if bare.shape[1] == 1 else str(i): bare[:, i] for i in range(bare.shape[1])
        }
    return Labelled(np.asarray(labels), {n: _whole(c) for n, c in found.items()}, path.name)


def _whole(cells: np.ndarray) -> np.ndarray:
    """Labels as integers where all are whole numbers, else as text."""
    values = [_number(c) for c in cells.tolist()]
    if all(v is not None and v.is_integer() for v in values):
        return np.array([int(v) for v in values if v is not None])
    return cells


def same_rows(file: str, first: Labelled, against: str, second: Labelled) -> None:
    """Whether two files speak of the same rows in the same order."""
    for values in (second.labels, *second.predictions.values()):
        if len(values) != len(first.labels):
            raise ShellError(
                f"`{against}` has {len(values)} rows, `{file}` has {len(first.labels)}",
                "Two classifiers are compared on the same rows.",
                "files with the same rows in the same order",
            )
    other = second.labels != first.labels
    if np.any(other):
        row = int(np.argmax(other))
        raise ShellError(
            f"`{against}` has the label {second.labels[row]} in row {row + 1}, `{file}` has "
            f"{first.labels[row]}",
            "Two classifiers are compared on the same rows.",
            "files with the same rows in the same order",
        )
