"""The bracket as SVG."""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from infsup.core.bracket.axis import Axis, axis_of, coordinate, open_at, ticks
from infsup.core.bracket.characters import clean
from infsup.core.bracket.components import NO_NUMBER, SILENT, ends_in_words
from infsup.core.bracket.labels import Edge, Pin, mark_labels, number_labels, tick_labels
from infsup.core.bracket.numbers import Number, Real, exact, finite, pretty
from infsup.core.bracket.scene import Scene, scene_of
from infsup.core.bracket.signs import NAMESPACE
from infsup.core.bracket.strokes import (
    DIAMOND,
    DOT,
    arrow,
    at,
    bar,
    baseline,
    fit,
    post,
    px,
    say,
    spot,
    tag,
)
from infsup.core.bracket.style import STYLE
from infsup.core.bracket.words import strength
from infsup.core.certificate import Certificate

NARROW = 360
"""Pixels from which on the labels of an SVG may not collide."""


def svg(
    c: Certificate,
    *,
    truth: Any = None,
    comparators: Mapping[str, Any] | None = None,
    width: int | None = None,
    log: bool | None = None,
    style: bool = True,
) -> str:
    """The bracket as inline SVG: positions in percent, text in pixels, no script, no address.

    Args:
        c: the certificate.
        truth: the true value, as for `text`.
        comparators: name -> number or certificate.
        log: whether the axis is logarithmic, as for `text`.
        width: pixels; default: the width of what it stands in, from 360 px on.
        style: whether `STYLE` is written into it; a page with many brackets holds it once instead.

    Returns:
        One `<svg>` element, well-formed as XML; everything that a caller named is escaped.
    """
    room = float(max(200, min(width or NARROW, NARROW)))
    claim = c.verdict if c.verdict in SILENT else f"{strength(c)}, {c.verdict}"
    words = [f"{clean(c.quantity)} of {clean(c.of)}: {ends_in_words(c)}, {claim}"]
    if c.verdict in SILENT:
        body, height = _nothing()
    else:
        scene = scene_of(c, truth, comparators)
        if scene.single and scene.truth is not None:
            words.append(f"exact {scene.ends.mark(scene.truth)}")
        words += [m.words for m in scene.marks]
        body, height = (_single if scene.single else _array)(c, scene, room, log)
    css = f"<style>{STYLE}</style>" if style else ""
    return tag(
        "svg", css + "".join(body), xmlns=NAMESPACE, class_=f"br infsup-br {c.verdict}", role="img",
        aria_label="; ".join(words), width=width or "100%", height=f"{height:g}",
    )  # fmt: skip


def _nothing() -> tuple[list[str], Real]:
    line = tag("line", x1="0", y1=25, x2="100%", y2=25, class_="hl", stroke_dasharray="2 5")
    return [line, say("0", 11, NO_NUMBER, "nb")], 38


def _single(c: Certificate, scene: Scene, room: Real, log: bool | None) -> tuple[list[str], Real]:
    """The inside of the SVG of a single number, and its height."""
    e, truth = scene.ends, scene.truth
    axis, place = _scale(c, scene, log)
    a = place(e.lo) if finite(e.lo) else 0.0
    b = place(e.hi) if finite(e.hi) else 1.0
    numbers, y = number_labels(e, a, b, room)
    out = [baseline(y)]
    pins, edges = [], []
    shown = [] if truth is None else [(truth, ("exact", pretty(e.mark(truth))), "tr")]
    for v, said, cls in (*shown, *((m.at, (m.name, pretty(m.value)), "cm") for m in scene.marks)):
        x = place(v) if v is not None else math.inf
        if 0 <= x <= 1:
            pins.append(Pin(x, said, cls))
        else:
            edges.append(Edge(x > 1, said))
    if scene.left:
        edges.append(Edge(True, ("", f"{scene.left} more")))

    top = y + 28
    if axis is not None:
        drawn, top = tick_labels(ticks(axis, e.percent), axis.log, (a, b), pins, y, room)
        out += drawn
    if e.exact:
        out.append(post(a, y, 4))
    else:
        if finite(e.lo) or finite(e.hi):
            from_, to = a if finite(e.lo) else 0.14, b if finite(e.hi) else 0.86
            out.append(bar(c.kind, from_, to, y))
            out += [post(x, y) for x, end in ((a, e.lo), (b, e.hi)) if finite(end)]
        if not finite(e.lo):
            out.append(arrow(y, False, 0.14 if finite(e.hi) else 0.5))
        if not finite(e.hi):
            out.append(arrow(y, True, 0.87 if finite(e.lo) else 0.5))
    more, height = mark_labels(pins, edges, y, top, room)
    return [*out, *numbers, *more], height


def _scale(
    c: Certificate, scene: Scene, log: bool | None
) -> tuple[Axis | None, Callable[[Number], float]]:
    """The axis for ticks, None where positions carry no scale; and value -> position."""
    e = scene.ends
    if finite(e.lo) and finite(e.hi):
        tight = axis_of(e.lo, e.hi, log=log)
        w = e.hi - e.lo
        near: list[Fraction] = []
        for v, reach in ((scene.truth, 8), *((m.at, 2) for m in scene.marks)):
            if not finite(v):
                continue
            if tight.log:
                close = -reach <= tight.at(v) <= 1 + reach
            else:
                close = w == 0 or e.lo - reach * w <= v <= e.hi + reach * w
            if close:
                near.append(v)
        axis = axis_of(e.lo, e.hi, near, tight.log, 0.9)
        air = (axis.stop - axis.start) / 30
        start, stop = axis.start - air, axis.stop + air
        # an impossible value needs no room, unless something impossible was claimed or seen
        shown = [e.lo, e.hi, *near]
        least, most = (exact(x) for x in c.range)
        if finite(least) and least <= min(shown) and (least > 0 or not axis.log):
            start = max(start, coordinate(least, axis.log) - air)
        if finite(most) and most >= max(shown) and (most > 0 or not axis.log):
            stop = min(stop, coordinate(most, axis.log) + air)
        axis = Axis(start, stop, axis.log)
        return (axis if not e.exact or near else None), axis.at

    def place(v: Number) -> float:
        if v == e.lo:
            return 0.14 if finite(e.lo) else -math.inf
        if v == e.hi:
            return 0.86 if finite(e.hi) else math.inf
        if v < e.lo:
            return 0.05 if finite(v) else -math.inf
        if v > e.hi:
            return 0.95 if finite(v) else math.inf
        return 0.16 + 0.68 * open_at(v, e)

    return None, place


def _array(c: Certificate, scene: Scene, room: Real, log: bool | None) -> tuple[list[str], Real]:
    """One row per component on a common scale, its numbers above it at the left."""
    out: list[str] = []
    y = 0.0
    axis = axis_of(min(scene.values), max(scene.values), log=log, air=0.05)
    for name, e, known in scene.rows:
        pieces = [f"= {pretty(e.low)}"] if e.exact else [pretty(e.low), f"… {pretty(e.high)}"]
        pieces += [] if known is None else [f"(exact {pretty(e.mark(known))})"]
        out.append(say("0", y + 11, name, "tk"))
        edge, said = px(name, 11) + 8, ""
        for piece in pieces:
            longer = f"{said} {piece}".strip()
            if said and edge + px(longer, 13.5) > room:
                out.append(say("0", y + 11, said, "nb", dx=edge))
                y, longer = y + 16, piece
            said = longer
        out.append(say("0", y + 11, said, "nb", dx=edge))
        mid = y + 25
        out.append(baseline(mid))
        a = axis.at(e.lo) if finite(e.lo) else 0.04
        b = axis.at(e.hi) if finite(e.hi) else 0.96
        if e.exact:
            out.append(post(a, mid, 4))
        elif finite(e.lo) or finite(e.hi):
            out.append(bar(c.kind, a, max(a, b), mid))
        if not finite(e.lo):
            out.append(arrow(mid, False, 0.04 if finite(e.hi) else 0.5))
        elif not e.exact:
            out.append(post(a, mid))
        if not finite(e.hi):
            out.append(arrow(mid, True, 0.96 if finite(e.lo) else 0.5))
        elif not e.exact:
            out.append(post(b, mid))
        if known is not None and 0 <= axis.at(known) <= 1:
            out.append(spot(at(axis.at(known)), mid, DOT))
        y += 44
    if axis.log:
        out.append(say("0", y + 7, "log", "tk"))
        y += 14
    if scene.more:
        out.append(say("0", y + 11, f"… {scene.more:,} more", "cl"))
        y += 18
    for m in scene.marks:
        out.append(spot("6", y + 7, DIAMOND))
        out.append(say("16", y + 11, fit(m.name, pretty(m.value), room - 16), "cl"))
        y += 16
    if scene.left:
        out.append(say("16", y + 11, f"{scene.left} more", "cl"))
        y += 16
    return out, max(18.0, y - 4)
