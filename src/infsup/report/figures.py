"""A figure of the core as SVG: two spines, labels at the curves, one accent, light and dark.

Written element by element, in the strokes and numbers of the brackets, so that both look alike and
a page of fifty figures stays small: a curve takes 3 kB, and no drawing library is loaded. The
colours are CSS variables; nothing in it has an id, so that figures never meet on a page.
"""

import html
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from infsup.core.bracket.axis import Axis, axis_of, ticks
from infsup.core.bracket.characters import clean
from infsup.core.bracket.numbers import exact, exponent, pretty, rounded, units, write
from infsup.core.bracket.signs import NAMESPACE
from infsup.core.bracket.strokes import fit, px, tag
from infsup.core.bracket.style import FONT, rules
from infsup.core.certificate import VERDICTS
from infsup.core.errors import UsageError, nearest
from infsup.core.figure import Curve, Figure
from infsup.report.labels import SIZE, Label, at_the_right, inside
from infsup.report.png import address, ink, sheet
from infsup.report.strokes import dense, element

WIDTH, HEIGHT = 420.0, 250.0
MOST_PIXELS = 4_000_000

_LEFT, _RIGHT, _TOP, _BOTTOM = 16.0, 14.0, 12.0, 24.0
_SLIM = 0.92
"""Of the upper estimate of a text's width, what the letters of a figure take."""

_INKS = {"accent": "a", "ink": "i", "grey": "g"}

DRAWING = (
    f".infsup-fig{{display:block;width:100%;height:auto;overflow:visible;font:11px/1 {FONT}}}"
    ".infsup-fig text{stroke:none;fill:var(--mute)}"
    ".infsup-fig .sp,.infsup-fig .tk{stroke:var(--mute);stroke-width:.8;fill:none}"
    ".infsup-fig .l{fill:none;stroke-width:1.7;stroke-linejoin:round;stroke-linecap:round}"
    ".infsup-fig .d{fill:none;stroke-width:1.2;stroke-dasharray:4.5 3}"
    ".infsup-fig .p{stroke-width:5;stroke-linecap:round;fill:none}"
    ".infsup-fig .p.s{stroke-width:2.4}"
    ".infsup-fig .r{stroke-width:2;fill:none}"
    ".infsup-fig .b{fill-opacity:.15;stroke-width:.8;stroke-opacity:.7}"
    ".infsup-fig .a{stroke:var(--c)}.infsup-fig .i{stroke:var(--ink)}"
    ".infsup-fig .g{stroke:var(--mute)}.infsup-fig .b.a,.infsup-fig text.a{fill:var(--c)}"
    ".infsup-fig .b.i,.infsup-fig text.i{fill:var(--ink)}"
    ".infsup-fig .b.g,.infsup-fig text.g{fill:var(--mute)}"
    ".infsup-fig text.a,.infsup-fig text.i,.infsup-fig text.g{stroke:none}"
    ".infsup-fig image{image-rendering:pixelated}"
    "@media (prefers-color-scheme:dark){.infsup-fig image{filter:invert(1)}}"
)
"""CSS of the figures. `draw(..., style=False)` leaves it out for pages that hold it once."""

STYLE = rules(".infsup-fig") + DRAWING


class _Scale(NamedTuple):
    """From values to units of the picture, along one axis."""

    axis: Axis
    low: float
    high: float

    def place(self, values: np.ndarray) -> np.ndarray:
        """[n] -> [n]; NaN where a logarithmic axis has no place."""
        start, stop = float(self.axis.start), float(self.axis.stop)
        with np.errstate(all="ignore"):
            if self.axis.log:
                values = np.log10(np.where(values > 0, values, np.nan))
            half = 0.5 if max(abs(start), abs(stop)) > 1e300 else 1.0  # the range may overflow
            share = (half * values - half * start) / (half * stop - half * start)
        share = np.where(np.isfinite(share), np.clip(share, -2.0, 3.0), np.nan)
        return self.low + (self.high - self.low) * share


def draw(
    figure: Figure,
    verdict: str = "certified",
    *,
    style: bool = True,
    height: float = HEIGHT,
    left: float = _LEFT,
) -> str:
    """The figure as one `<svg>` element, 420 units wide.

    Args:
        figure: what is to be seen. Values at most 0 are not drawn on logarithmic axes, infinite
            ones nowhere; more than 2,000 marks are drawn as the cells that they fall into.
        verdict: of `VERDICTS`, the colour of the accent.
        style: whether the style is written into it, as a file needs it; a page with many figures
            holds `DRAWING` once instead.
        height: in the same units, at least 90; pictures take their own.
        left: the least room left of the axes, so that figures above each other are in line.

    Returns:
        Well-formed XML without script, address or id; all words are escaped. The same figure gives
        the same text.

    Raises:
        UsageError: an unknown verdict, ink or stroke; a NaN; lengths that differ; pictures that are
            no grey values in four axes.
    """
    if verdict not in VERDICTS:
        raise UsageError(f"`verdict` is {verdict!r}", remedy=nearest(str(verdict), VERDICTS))
    if figure.images is not None:
        body, height = _pictures(figure.images)
    else:
        body = _axes(figure, height, left)
    css = f"<style>{STYLE}</style>" if style else ""
    said = clean(figure.caption) or clean(f"{figure.y} over {figure.x}")
    return tag(
        "svg", css + body, xmlns=NAMESPACE, viewBox=f"0 0 {WIDTH:g} {height:g}",
        class_=f"fig infsup-fig {verdict}", role="img", aria_label=said,
    )  # fmt: skip


# -- curves ----------------------------------------------------------------------------------------


class _Plain(NamedTuple):
    """A curve as float64 arrays, with the rest of it."""

    x: np.ndarray
    y: np.ndarray
    top: np.ndarray | None
    curve: Curve


def _plain(curve: Curve, number: int) -> _Plain:
    name = f"`curves[{number}]`" + (f" ({clean(curve.label)})" if curve.label else "")
    if curve.ink not in _INKS:
        raise UsageError(f"the ink of {name} is {curve.ink!r}", remedy=nearest(curve.ink, _INKS))
    known = ("solid", "dashed", "points", "steps", "band")
    if curve.stroke not in known:
        raise UsageError(
            f"the stroke of {name} is {curve.stroke!r}", remedy=nearest(curve.stroke, known)
        )
    if (curve.top is None) == (curve.stroke == "band"):
        raise UsageError(f"{name} is a band without `top`, or has one and is none")
    found = [_numbers(name, "x", curve.x), _numbers(name, "y", curve.y)]
    if curve.top is not None:
        found.append(_numbers(name, "top", curve.top))
    if len({len(a) for a in found}) > 1:
        raise UsageError(
            f"{name} has {len(found[0]):,} values of x and {len(found[1]):,} of y",
            "Each point needs one of either.",
        )
    if np.any(np.isinf(found[0])):
        raise UsageError(f"the x of {name} is infinite at {int(np.argmax(np.isinf(found[0])))}")
    return _Plain(found[0], found[1], found[2] if len(found) == 3 else None, curve)


def _numbers(name: str, which: str, values: Any) -> np.ndarray:
    try:
        a = np.atleast_1d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"the {which} of {name} holds something that is no number") from None
    if a.ndim != 1:
        raise UsageError(f"the {which} of {name} has shape {a.shape}", remedy="one axis")
    if np.any(np.isnan(a)):
        raise UsageError(
            f"the {which} of {name} is NaN at index {int(np.argmax(np.isnan(a)))}",
            "A picture of what could not be computed would mislead.",
        )
    return a


def _axes(figure: Figure, height: float, left: float) -> str:
    plains = [_plain(curve, number) for number, curve in enumerate(figure.curves)]
    points = any(p.curve.stroke == "points" for p in plains)
    x_axis = _axis([p.x for p in plains], figure.log_x, 0.03 if points else 0.0, flat=points)
    heights = [a for p in plains for a in (p.y, p.top) if a is not None]
    y_axis = _axis(heights, figure.log_y, 0.05, flat=False)
    if x_axis is None or y_axis is None:
        return tag("text", "nothing to draw", x=WIDTH / 2, y=height / 2, text_anchor="middle")
    if all(p.curve.stroke == "points" for p in plains) and not (figure.log_x or figure.log_y):
        x_axis, y_axis = _alike(x_axis, y_axis)
    x_said, x_ticks, x_small = _ticks(x_axis, figure.x)
    y_said, y_ticks, y_small = _ticks(y_axis, figure.y, max(2, min(5, int(height) // 35)))
    left = max([left, *(_width(words) + 10 for _, words in y_ticks)])
    top = _TOP + (14 if y_said else 0)
    bottom = height - _BOTTOM - (16 if x_said else 0)

    def scales(right: float) -> tuple[_Scale, _Scale]:
        return _Scale(x_axis, left, WIDTH - right), _Scale(y_axis, bottom, top)

    right = _RIGHT
    placed = _placed(plains, *scales(right))
    labels, obstacles = _labels(plains, placed)
    spots = inside(labels, obstacles, (left + 2, top - 2, WIDTH - right, bottom - 3))
    if None in spots:
        homeless = [label.width for label, spot in zip(labels, spots, strict=True) if spot is None]
        right = 10 + min(150.0, max(homeless))
        placed = _placed(plains, *scales(right))
        labels, obstacles = _labels(plains, placed)
        kept = [x if spot else None for x, spot in zip(labels, spots, strict=True)]
        spots = inside(kept, obstacles, (left + 2, top - 2, WIDTH - right, bottom - 3))
        spots = at_the_right(labels, spots, WIDTH - right, top + 4, bottom)
    out = [_frame(left, WIDTH - right, top, bottom)]
    out += _tick_marks(scales(right), x_ticks, x_small, y_ticks, y_small, left, bottom)
    drawn = "".join(
        element(lines, p.curve.stroke, _INKS[p.curve.ink])
        for p, lines in zip(plains, placed, strict=True)
    )
    out.append(
        tag(
            "svg",
            drawn,
            x=f"{left:g}",
            y=f"{top - 4:g}",
            width=f"{WIDTH - right - left + 4:g}",
            height=f"{bottom - top + 8:g}",
            viewBox=f"{left:g} {top - 4:g} {WIDTH - right - left + 4:g} {bottom - top + 8:g}",
        )
    )
    if x_said:
        middle = (left + WIDTH - right) / 2
        out.append(_text(x_said, middle, height - 5, anchor="middle", room=WIDTH - left))
    if y_said:
        out.append(_text(y_said, 2.0, 11.0, room=WIDTH - 4))
    for label, spot in zip(labels, spots, strict=True):
        if spot is not None:
            cls = _INKS[plains[label.curve].curve.ink]
            out.append(_text(label.words, spot.x, spot.y, cls=cls, room=WIDTH - spot.x))
    return "".join(out)


def _axis(values: Sequence[np.ndarray], log: bool, air: float, flat: bool) -> Axis | None:
    """The scale of all the values, with air; from 0 on where that is near. None without values."""
    shown = np.concatenate([np.empty(0), *values])
    shown = shown[np.isfinite(shown) & ((shown > 0) | (not log))]
    if not shown.size:
        return None
    lo, hi = float(shown.min()), float(shown.max())
    axis = axis_of(exact(lo), exact(hi), log=log)
    if lo == hi or (flat and not log and lo == 0):
        return axis
    span = axis.stop - axis.start
    start, stop = axis.start - Fraction(air) * span, axis.stop + Fraction(air) * span
    if not log and air and 0 <= lo <= 0.3 * hi:
        start = Fraction(0)
    return Axis(start, stop, log)


def _alike(x: Axis, y: Axis) -> tuple[Axis, Axis]:
    """Axes of nearly equal length get one scale, so that a cloud of points keeps its shape."""
    across, up = x.stop - x.start, y.stop - y.start
    if not Fraction(2, 3) < across / up < Fraction(3, 2):
        return x, y
    wide = up * Fraction(round(WIDTH - _LEFT - _RIGHT - 20), round(HEIGHT - _TOP - _BOTTOM - 30))
    if wide > across:
        middle = (x.start + x.stop) / 2
        return Axis(middle - wide / 2, middle + wide / 2, log=False), y
    return x, y


Tick = tuple[float, str]


def _ticks(axis: Axis, title: str, most: int = 5) -> tuple[str, list[Tick], list[float]]:
    """The title, (position in [0, 1], words) of the ticks, and positions of small ones."""
    title = clean(title)
    if not axis.log:
        found = _round_values(axis, most)
        if all(len(words) <= 10 for _, words in found):
            return title, found, []
        # so narrow that the numbers would not fit: count from the lower end
        unit = exponent(axis.stop - axis.start)
        start = units(axis.start, unit, -1) * Fraction(10) ** unit
        low = pretty(rounded(start, 0, Fraction(0)))
        moved = Axis(axis.start - start, axis.stop - start, log=False)
        return f"{title} − {low}".strip(), _round_values(moved, most), []
    first, last = math.floor(axis.start), math.ceil(axis.stop)
    if axis.stop - axis.start >= 2:
        found = ticks(axis, percent=False)
        small = []
        if last - first <= 6:
            values = (m * Fraction(10) ** k for k in range(first, last) for m in range(2, 10))
            small = [axis.at(v) for v in values if 0 <= axis.at(v) <= 1]
        return title, found, small
    values = [(m, k) for k in range(first, last + 1) for m in (1, 2, 5)]
    found = [
        (at, pretty(write(m, k, False)))
        for m, k in values
        if 0 <= (at := axis.at(m * Fraction(10) ** k)) <= 1
    ]
    if len(found) < 2:
        ends = [Fraction(10.0 ** float(e)) for e in (axis.start, axis.stop)]
        found = [
            (at, pretty(rounded(v, 0, v / 100))) for at, v in zip((0.0, 1.0), ends, strict=True)
        ]
    return title, found, []


def _round_values(axis: Axis, most: int) -> list[Tick]:
    """Half as many to `most` steps of them."""
    span = axis.stop - axis.start
    unit = exponent(span)
    step = next(
        m * Fraction(10) ** k
        for k in (unit - 1, unit)
        for m in (1, 2, 5)
        if span / (m * Fraction(10) ** k) <= most
    )
    values = [
        k * step for k in range(math.ceil(axis.start / step), math.floor(axis.stop / step) + 1)
    ]
    last = exponent(step)
    top = max((exponent(v) for v in values if v), default=0)
    return [(axis.at(v), pretty(write(units(v, last, 0), last, False, top))) for v in values]


def _frame(left: float, right: float, top: float, bottom: float) -> str:
    return tag("path", d=f"M{left:g} {top:g}V{bottom:g}H{right:g}", class_="sp")


def _tick_marks(
    scales: tuple[_Scale, _Scale],
    x_ticks: list[Tick],
    x_small: list[float],
    y_ticks: list[Tick],
    y_small: list[float],
    left: float,
    bottom: float,
) -> list[str]:
    x_scale, y_scale = scales
    xs = [x_scale.low + at * (x_scale.high - x_scale.low) for at, _ in x_ticks]
    ys = [y_scale.low + at * (y_scale.high - y_scale.low) for at, _ in y_ticks]
    marks = "".join(f"M{x:.1f} {bottom:g}v4" for x in xs)
    marks += "".join(f"M{left:g} {y:.1f}h-4" for y in ys)
    for at in x_small:
        marks += f"M{x_scale.low + at * (x_scale.high - x_scale.low):.1f} {bottom:g}v2.5"
    for at in y_small:
        marks += f"M{left:g} {y_scale.low + at * (y_scale.high - y_scale.low):.1f}h-2.5"
    out = [tag("path", d=marks, class_="tk")] if marks else []
    for x, (_, words) in zip(xs, x_ticks, strict=True):
        half = px(words, SIZE) / 2
        x = min(max(x, half), WIDTH - half)
        out.append(_text(words, x, bottom + 16, anchor="middle"))
    out += [_text(w, left - 7, y + 4, anchor="end") for y, (_, w) in zip(ys, y_ticks, strict=True)]
    return out


def _width(words: str) -> float:
    return _SLIM * px(words, SIZE)


def _text(
    words: str, x: float, y: float, *, anchor: str = "", cls: str = "", room: float = math.inf
) -> str:
    if _width(words) > room:
        words = fit(words, "", room / _SLIM, SIZE)
    return tag(
        "text", html.escape(words), x=f"{x:.1f}", y=f"{y:.1f}", class_=cls or None,
        text_anchor=anchor or None,
    )  # fmt: skip


def _placed(plains: list[_Plain], x: _Scale, y: _Scale) -> list[list[np.ndarray]]:
    """For each curve its lines [n, 2] in units of the picture; a band has two."""
    out = []
    for p in plains:
        across = x.place(p.x)
        edges = [p.y] if p.top is None else [_on(y.axis, p.y), p.top]
        out.append([np.stack([across, y.place(edge)], axis=1) for edge in edges])
    return out


def _on(axis: Axis, bottom: np.ndarray) -> np.ndarray:
    """The lower edge of a band; one at 0 or below ends where a logarithmic axis does."""
    return np.where(bottom > 0, bottom, 10.0 ** float(axis.start)) if axis.log else bottom


def _labels(
    plains: list[_Plain], placed: list[list[np.ndarray]]
) -> tuple[list[Label], list[np.ndarray]]:
    """What is to be placed, and for each curve dense points on everything drawn of it."""
    labels, obstacles = [], []
    for number, (p, lines) in enumerate(zip(plains, placed, strict=True)):
        points = [dense(line, p.curve.stroke) for line in lines]
        obstacles.append(np.concatenate(points))
        words = clean(p.curve.label)
        line = points[-1]
        # what has no place on the axes, such as 0 on a logarithmic one, gets no name either
        if words and len(line):
            labels.append(Label(words, _width(words), line, number))
    return labels, obstacles


# -- pictures --------------------------------------------------------------------------------------


def _pictures(images: Any) -> tuple[str, float]:
    """A sheet of small pictures, as wide as the figure; and its height."""
    a = np.asarray(images)
    if a.ndim != 4 or a.dtype.kind not in "fiub" or 0 in a.shape:
        raise UsageError(
            f"`images` is {a.dtype}{list(a.shape)}",
            "Pictures are grey values [rows, columns, height, width].",
            "images[None, :, :, :] for one row of them",
        )
    if a.size > MOST_PIXELS:
        raise UsageError(f"`images` holds {a.size:,} pixels", remedy=f"at most {MOST_PIXELS:,}")
    a = a.astype(np.float64)
    if not np.all((a >= 0) & (a <= 1)):  # NaN as well
        raise UsageError("`images` has grey values outside [0, 1]", remedy="np.clip(images, 0, 1)")
    whole = sheet(a, gap=max(1, round(0.15 * min(a.shape[2:]))))
    height = WIDTH * whole.shape[0] / whole.shape[1]
    picture = tag("image", href=address(ink(whole)), width=f"{WIDTH:g}", height=f"{height:g}")
    return picture, height
