"""The strokes of a figure as SVG paths: short, and true to a tenth of a unit."""

import math
from collections.abc import Iterator

import numpy as np

from infsup.core.bracket.strokes import tag

MOST_MARKS = 2_000
"""Above this many, marks become cells of `_CELL` units, drawn in runs."""

_CELL = 2.0


def element(lines: list[np.ndarray], stroke: str, cls: str) -> str:
    """The SVG of a curve.

    Args:
        lines: [n, 2] in units of the picture, NaN where there is no place; a band has two.
        stroke: of `core.figure.Stroke`.
        cls: the class of its ink.
    """
    if stroke == "band":
        return _band(lines[0], lines[1], cls)
    (line,) = lines
    if stroke == "points" or np.isfinite(line).all(axis=1).sum() == 1:
        return _points(line[np.isfinite(line).all(axis=1)], cls)
    parts = [_steps(run) if stroke == "steps" else run for run in _runs(line)]
    d = "".join(_path(_bends(_thin(part))) for part in parts)
    return tag("path", d=d, class_=f"{'d' if stroke == 'dashed' else 'l'} {cls}") if d else ""


def _runs(line: np.ndarray) -> Iterator[np.ndarray]:
    """The pieces of a line between the points that have no place."""
    shown = np.isfinite(line).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], shown.astype(int), [0]])))
    for a, b in edges.reshape(-1, 2):
        yield line[a:b]


def _steps(run: np.ndarray) -> np.ndarray:
    """The value holds until the next point."""
    x = np.repeat(run[:, 0], 2)[1:]
    y = np.repeat(run[:, 1], 2)[:-1]
    return np.stack([x, y], axis=1)


def _thin(run: np.ndarray) -> np.ndarray:
    """The same line to half a unit with few points: in each column the first, least, most, last."""
    if len(run) <= 400:
        return run
    if np.any(np.diff(run[:, 0]) < 0):
        near = np.concatenate([[True], np.any(np.diff(np.round(2 * run), axis=0) != 0, axis=1)])
        run = run[near]
        return run[:: max(1, len(run) // 20_000)]
    column = np.floor(2 * run[:, 0]).astype(int)
    begins = np.flatnonzero(np.concatenate([[True], np.diff(column) > 0]))
    ends = np.concatenate([begins[1:], [len(run)]]) - 1
    order = np.lexsort((run[:, 1], column))
    keep = np.unique(np.concatenate([begins, ends, order[begins], order[ends]]))
    return run[keep]


def _bends(run: np.ndarray) -> list[tuple[float, float]]:
    """Where the line turns: what is left out lies on it to a tenth of a unit."""
    points: list[tuple[float, float]] = [(float(x), float(y)) for x, y in run]
    kept, last = points[:1], 0
    for i in range(1, len(points) - 1):
        (x0, y0), (x2, y2) = kept[-1], points[i + 1]
        far = math.hypot(x2 - x0, y2 - y0)
        # not more than some points in a row, so that no slow bend is lost
        near = far > 0 and i - last < 40
        for x1, y1 in points[last + 1 : i + 1] if near else ():
            if abs((x2 - x0) * (y0 - y1) - (x0 - x1) * (y2 - y0)) > 0.1 * far:
                near = False
                break
        if not near:
            kept.append(points[i])
            last = i
    return kept + points[1:][-1:]


def _path(points: list[tuple[float, float]]) -> str:
    said = [f"{x:.1f} {y:.1f}" for x, y in points]
    kept = [p for p, before in zip(said[1:], said, strict=False) if p != before]
    return f"M{said[0]}L{' '.join(kept)}" if kept else f"M{said[0]}h0" if said else ""


def _points(at: np.ndarray, cls: str) -> str:
    if not len(at):
        return ""
    if len(at) <= MOST_MARKS:
        spots = dict.fromkeys(f"M{x:.1f} {y:.1f}h0" for x, y in at)
        return tag("path", d="".join(spots), class_=f"p{' s' * (len(at) > 150)} {cls}")
    cells = np.unique(np.floor(at[:, ::-1] / _CELL).astype(int), axis=0)  # row by row
    begins = np.concatenate([[True], (np.diff(cells[:, 0]) != 0) | (np.diff(cells[:, 1]) != 1)])
    starts = np.flatnonzero(begins)
    lengths = np.diff(np.concatenate([starts, [len(cells)]]))
    d = "".join(
        f"M{_CELL * x:g} {_CELL * (y + 0.5):g}h{_CELL * n:g}"
        for (y, x), n in zip(cells[starts], lengths, strict=True)
    )
    return tag("path", d=d, class_=f"r {cls}")


def _band(bottom: np.ndarray, top: np.ndarray, cls: str) -> str:
    shown = np.isfinite(bottom).all(axis=1) & np.isfinite(top).all(axis=1)
    whole = np.where(shown.reshape(-1, 1), np.concatenate([bottom, top], axis=1), np.nan)
    d = ""
    for run in _runs(whole):
        low, high = (_bends(_thin(edge)) for edge in (run[:, :2], run[:, 2:]))
        d += _path(low + high[::-1]) + "Z"
    return tag("path", d=d, class_=f"b {cls}") if d else ""


def dense(line: np.ndarray, stroke: str) -> np.ndarray:
    """[m, 2], points at most some units apart on what is drawn of the line."""
    if stroke == "points":
        spots = line[np.isfinite(line).all(axis=1)]
        return spots if len(spots) <= MOST_MARKS else np.unique(np.round(spots / 2), axis=0) * 2
    pieces = [np.empty((0, 2))]
    for run in _runs(line):
        run = _thin(_steps(run) if stroke == "steps" else run)
        if len(run) > 1:
            length = np.concatenate([[0], np.cumsum(np.abs(np.diff(run, axis=0)).sum(axis=1))])
            at = np.linspace(0, length[-1], 2 + min(40_000, int(length[-1] / 3)))
            run = np.stack([np.interp(at, length, run[:, k]) for k in (0, 1)], axis=1)
        pieces.append(run)
    return np.concatenate(pieces)
