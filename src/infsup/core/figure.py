"""A picture as data: what is to be seen, drawn elsewhere."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Ink = Literal["accent", "ink", "grey"]
Stroke = Literal["solid", "dashed", "points", "steps", "band"]


@dataclass(frozen=True)
class Curve:
    """One curve, set of points, or band.

    Args:
        x: [n], finite.
        y: [n]; for a band its lower edge.
        label: stands at the curve; there is no legend.
        ink: "accent" takes the colour of the verdict; only one curve should have it.
        stroke: "dashed" is for bounds and truths.
        top: [n], the upper edge of a band, else None.
    """

    x: np.ndarray
    y: np.ndarray
    label: str = ""
    ink: Ink = "ink"
    stroke: Stroke = "solid"
    top: np.ndarray | None = None


@dataclass(frozen=True)
class Figure:
    """One set of axes.

    Args:
        curves: drawn in order, the first at the back.
        x, y: axis titles, with units or ranges where they have some.
        caption: one sentence that says what to see.
        log_x, log_y: logarithmic axes; values at most 0 are not drawn there.
        images: [rows, columns, height, width] of grey values in [0, 1], in place of curves.
    """

    curves: tuple[Curve, ...] = ()
    x: str = ""
    y: str = ""
    caption: str = ""
    log_x: bool = False
    log_y: bool = False
    images: np.ndarray | None = None
