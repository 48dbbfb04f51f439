"""The elements that an SVG bracket is put together from: positions in percent, sizes in pixels."""

import functools
import html
from typing import Any

from infsup.core.bracket.characters import beginning, cell
from infsup.core.bracket.numbers import Real

DOT = '<circle r="4.5" class="tr"/>'
"""The truth."""
DIAMOND = '<path d="M0-5 5 0 0 5-5 0z" class="cm"/>'
"""A comparator."""


def px(text: str, size: Real) -> float:
    """An upper estimate of the width of a text in a system sans font."""
    return sum(map(_em, text)) * size


@functools.cache
def _em(ch: str) -> float:
    if cell(ch) == 2:
        return 1.05
    if ch in "WM@%mw…":
        return 0.95
    if ch in "il.,'|!:;j()[]frt ":
        return 0.4
    return 0.75 if ch.isupper() else 0.62 * cell(ch)


def fit(name: str, value: str, room: Real, size: Real = 12.5) -> str:
    """Name and value, the name cut so that both fit."""
    words = f"{name} {value}".strip()
    if not name or px(words, size) <= room:
        return words
    kept = beginning(name, room - px(f"… {value}", size), lambda ch: _em(ch) * size)
    return f"{kept.rstrip()}… {value}" if kept else value


def tag(name: str, content: str = "", **attributes: Any) -> str:
    """An element; attributes that are None are left out."""
    attrs = "".join(
        f' {k.rstrip("_").replace("_", "-")}="{html.escape(str(v))}"'
        for k, v in attributes.items()
        if v is not None
    )
    return f"<{name}{attrs}>{content}</{name}>" if content else f"<{name}{attrs}/>"


def at(fraction: float) -> str:
    """A position on the axis."""
    return f"{100 * fraction:.2f}%"


def say(x: str, y: Real, words: str, cls: str, anchor: str = "start", dx: Real = 0) -> str:
    """A text."""
    return tag(
        "text", html.escape(words), x=x, y=f"{y:g}", dx=f"{dx:g}" if dx else None, class_=cls,
        text_anchor=anchor,
    )  # fmt: skip


def spot(x: str, y: Real, shape: str) -> str:
    """A shape that keeps its size wherever it stands."""
    return tag("svg", shape, x=x, y=f"{y:g}", overflow="visible")


def baseline(y: Real) -> str:
    """The line that a bracket stands on."""
    return tag("line", x1="0", y1=y, x2="100%", y2=y, class_="hl", stroke_width=1)


def bar(kind: str, a: Real, b: Real, y: Real) -> str:
    """What fills the bracket between two positions: more ink, stronger promise."""
    if kind == "estimate":
        ends = {"x1": at(a), "x2": at(b), "y1": y, "y2": y}
        return tag("line", **ends, class_="pl", stroke_width=4) + tag(
            "line", **ends, class_="bl", stroke_width=3, stroke_dasharray="3 4"
        )
    height = 3 if kind == "proved_real" else 7
    filled = kind in ("proved", "proved_real")
    return tag(
        "rect", x=at(a), y=y - height / 2, width=at(b - a), height=height,
        class_="bf" if filled else "bo", stroke_dasharray="4 3" if kind == "asymptotic" else None,
    )  # fmt: skip


def post(x: Real, y: Real, thick: int = 2) -> str:
    """An end of the bracket; a thick one where both ends agree."""
    return tag("line", x1=at(x), y1=y - 9, x2=at(x), y2=y + 9, class_="bl", stroke_width=thick)


def arrow(y: Real, right: bool, x: Real) -> str:
    """A dashed arrow from x to the edge: nothing is claimed on that side."""
    shape = "M-8-6-1 0-8 6" if right else "M8-6 1 0 8 6"
    head = tag("path", d=shape, class_="bl", stroke_width=2)
    a, b = (at(x), "99.5%") if right else ("0.5%", at(x))
    line = tag("line", x1=a, y1=y, x2=b, y2=y, class_="bl", stroke_width=2, stroke_dasharray="6 4")
    return spot("100%" if right else "0", y, head) + line
