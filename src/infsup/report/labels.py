"""Where the label of a curve stands: at its curve, far from the others, inside the picture."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SIZE = 11
"""Of the letters, in the units of the picture."""

_UP, _DOWN = 8.5, 3.0
_NEAR = 5.0
_FAR = 12.0
_LINE = 13.0


class Label(NamedTuple):
    """A text to be placed.

    Args:
        words: what it says.
        width: an upper estimate.
        line: [n, 2], points on the curve that it belongs to, from its first to its last.
        curve: the number of that curve.
    """

    words: str
    width: float
    line: np.ndarray
    curve: int


class Spot(NamedTuple):
    """Left end of the text, and its baseline."""

    x: float
    y: float


Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def _box(spot: Spot, width: float) -> Box:
    return spot.x, spot.y - _UP, spot.x + width, spot.y + _DOWN


def inside(
    labels: Sequence[Label | None], curves: Sequence[np.ndarray], frame: Box
) -> list[Spot | None]:
    """A spot for each label near its curve; None where every one of them would hide something.

    Args:
        labels: in the order in which they choose; None chooses nothing.
        curves: for each curve [m, 2], points so dense that no letter fits between two.
        frame: what the labels may not leave.
    """
    order = [i for i, label in enumerate(labels) if label is not None]
    first = _in_turn(labels, order, curves, frame)
    homeless = [i for i in order if first[i] is None]
    if not homeless:
        return first
    # those that found nothing choose before the others, if that helps
    second = _in_turn(labels, homeless + [i for i in order if i not in homeless], curves, frame)
    return min((first, second), key=lambda spots: sum(spots[i] is None for i in order))


def _in_turn(
    labels: Sequence[Label | None], order: list[int], curves: Sequence[np.ndarray], frame: Box
) -> list[Spot | None]:
    taken: list[Box] = []
    found: list[Spot | None] = [None] * len(labels)
    for i in order:
        label = labels[i]
        assert label is not None
        spot = found[i] = _best(label, curves, taken, frame)
        if spot is not None:
            taken.append(_box(spot, label.width))
    return found


def _best(label: Label, curves: Sequence[np.ndarray], taken: list[Box], frame: Box) -> Spot | None:
    """The first spot that is plainly nearer to its own curve than to others; else the clearest."""
    others = np.concatenate([c for i, c in enumerate(curves) if i != label.curve] or [_NOTHING])
    best, most = None, -1.0
    for spot in _candidates(label, frame):
        box = _box(spot, label.width)
        if any(_meet(box, t) for t in taken) or _distance(box, curves[label.curve]) < 1.5:
            continue
        clear = _distance(box, others)
        if clear >= _FAR:
            return spot
        if clear > max(most, 2.0):
            best, most = spot, clear
    return best


_NOTHING = np.empty((0, 2))


def _candidates(label: Label, frame: Box) -> list[Spot]:
    """Spots above and below the curve, those over its last third first."""
    line, width = label.line, label.width
    places = np.linspace(0.02, 0.98, 33)
    spots = []
    for far in (0.0, 4.0, 9.0):
        for place in places[np.argsort(np.abs(places - 0.7), kind="stable")]:
            x, y = map(float, line[round(place * (len(line) - 1))])
            for left in (x - width / 2, x + _NEAR, x - width - _NEAR):
                spots.append(Spot(left, y - _NEAR - _DOWN - far))
                spots.append(Spot(left, y + _NEAR + _UP + far))
    x0, y0, x1, y1 = frame
    boxes = ((s, _box(s, width)) for s in spots)
    return [s for s, b in boxes if b[0] >= x0 and b[1] >= y0 and b[2] <= x1 and b[3] <= y1]


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] + 4 and b[0] - 4 < a[2] and a[1] < b[3] + 3 and b[1] < a[3] + 3


def _distance(box: Box, points: np.ndarray) -> float:
    """From a box to the nearest of some points; 0 where one lies in it."""
    if not len(points):
        return np.inf
    across = np.maximum(np.maximum(box[0] - points[:, 0], points[:, 0] - box[2]), 0)
    down = np.maximum(np.maximum(box[1] - points[:, 1], points[:, 1] - box[3]), 0)
    return float(np.sqrt(np.min(across**2 + down**2)))


def at_the_right(
    labels: Sequence[Label], spots: Sequence[Spot | None], edge: float, top: float, bottom: float
) -> list[Spot]:
    """The spots, and one right of the frame for each label without: none of them on another.

    Args:
        labels: all of them.
        spots: those found inside the frame.
        edge: where the frame ends.
        top: the highest baseline.
        bottom: the lowest one.
    """
    heights = [min(max(float(x.line[-1][1]) + 3.5, top), bottom) for x in labels]
    order = [i for i, spot in enumerate(spots) if spot is None]
    order.sort(key=lambda i: heights[i])
    for before, after in itertools.pairwise(order):
        heights[after] = max(heights[after], heights[before] + _LINE)
    # pushed below the frame: back up, from the lowest
    limit = bottom
    for i in reversed(order):
        heights[i] = min(heights[i], limit)
        limit = heights[i] - _LINE
    return [spot or Spot(edge + 6, heights[i]) for i, spot in enumerate(spots)]
