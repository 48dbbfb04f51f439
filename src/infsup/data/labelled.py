"""Files of labels and predictions, of any classifier."""

import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from infsup.core.errors import FileRejected, UsageError
from infsup.data.tables import _arrays, _position, _read

LABELS = ("label", "labels", "y", "y_true", "target", "truth")


@dataclass(frozen=True)
class Labelled:
    """What stands in a file of predictions.

    Args:
        labels: array [n], integers or text.
        predictions: name of a predictor -> what it said [n].
        name: of the file.
    """

    labels: np.ndarray
    predictions: Mapping[str, np.ndarray]
    name: str


def predictions(
    path: Any,
    label: str | None = None,
    columns: Sequence[str] | None = None,
    *,
    delimiter: str = ",",
) -> Labelled:
    """Labels and predictions from a CSV or npz file with one column each.

    Args:
        path: the file; ".npz" is read as arrays, anything else as CSV with a header.
        label: the column of the true labels; by default the one called label, y, y_true, target
            or truth.
        columns: those of the predictions, one or two; by default all others.
        delimiter: of a CSV file.

    Returns:
        Labels and predictions: integers where both hold only whole numbers, else text.

    Raises:
        FileRejected: no such file, or it is damaged, ragged, or lacks a cell.
        UsageError: no such column, or no column of predictions.
    """
    path = pathlib.Path(path)
    if path.suffix == ".npz":
        path, found = _arrays(path)
        names = list(found)
        read = lambda i: _cells(found[names[i]], names[i], path)  # noqa: E731
    else:
        path, names, rows = _read(path, True, delimiter)
        read = lambda i: [r[i].strip() for r in rows]  # noqa: E731
    if label is None:
        label = next((n for n in names if n.lower() in LABELS), None)
        if label is None:
            raise UsageError(
                f"{path.name} has no column `label`",
                f"It has {', '.join(names[:20])}.",
                f"label={names[0]!r}" if names else "",
            )
    at = _position(label, names, path)
    chosen = [n for n in names if n != names[at]] if columns is None else list(columns)
    if not chosen:
        raise UsageError(f"{path.name} has no column of predictions beside `{names[at]}`")
    texts = {n: read(_position(n, names, path)) for n in (names[at], *chosen)}
    for n, cells in texts.items():
        if len(cells) != len(texts[names[at]]):
            raise FileRejected(
                f"`{n}` of {path.name} has {len(cells)} entries, the labels have "
                f"{len(texts[names[at]])}"
            )
        if "" in cells:
            raise FileRejected(
                f"`{n}` of {path.name} has no entry in row {cells.index('') + 1}",
                "A missing prediction is neither right nor wrong.",
                "decide what it counts as, and write that",
            )
    read_all = {n: np.asarray(c) for n, c in texts.items()}
    if all(_whole(c) for cells in texts.values() for c in cells):
        read_all = {n: np.array([int(float(c)) for c in cells]) for n, cells in texts.items()}
    return Labelled(read_all[names[at]], {n: read_all[n] for n in chosen}, path.name)


def _cells(a: np.ndarray, name: str, path: pathlib.Path) -> list[str]:
    if a.ndim != 1 or a.dtype.kind not in "fiubU":
        raise UsageError(
            f"`{name}` of {path.name} is {a.dtype}{list(a.shape)}",
            "It has one label a row.",
            "scores.argmax(1)" if a.ndim == 2 else "numbers or text",
        )
    return [str(int(v)) if isinstance(v, bool) else str(v) for v in a.tolist()]


def _whole(cell: str) -> bool:
    try:
        return float(cell).is_integer() and "_" not in cell
    except ValueError:
        return False
