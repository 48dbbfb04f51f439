"""Where the numbers, ticks and names of an SVG bracket stand, so that nothing collides."""

from collections.abc import Sequence
from typing import NamedTuple

from infsup.core.bracket.numbers import Ends, Real, finite, pretty
from infsup.core.bracket.strokes import DIAMOND, DOT, at, fit, px, say, spot, tag


class Pin(NamedTuple):
    """A mark on the axis: its position, name and value, and class."""

    at: float
    said: tuple[str, str]
    cls: str


class Edge(NamedTuple):
    """A mark beyond the axis, at its right or its left end."""

    right: bool
    said: tuple[str, str]


_LABELS = {"tr": "tl", "cm": "cl"}
_SHAPES = {"tr": DOT, "cm": DIAMOND}
_MOST_ROWS = 40


def number_labels(e: Ends, a: Real, b: Real, room: Real) -> tuple[list[str], Real]:
    """The numbers above the posts, and the height of the axis below them."""
    low, high = pretty(e.low), pretty(e.high)
    if e.exact:
        said = f"= {low}"
        half = px(said, 13.5) / 2
        x, anchor = at(a), "middle"
        if a * room < half:
            x, anchor = "0", "start"
        elif (1 - a) * room < half:
            x, anchor = "100%", "end"
        return [say(x, 11, said, "nb", anchor)], 25
    wl, wh = px(low, 13.5), px(high, 13.5)
    apart = 3 if (b - a) * room < 6 else -1
    # outward from the post first, then inward; at the edge where neither fits or there is no post
    lefts = [(a, "end", -apart, a * room - wl), (a, "start", -1, a * room)]
    rights = [(b, "start", apart, b * room), (b, "end", 1, b * room - wh)]
    lefts = [x for x in lefts if x[3] >= -1 and x[3] + wl <= room + 1 and finite(e.lo)]
    rights = [x for x in rights if x[3] >= -1 and x[3] + wh <= room + 1 and finite(e.hi)]
    lefts, rights = lefts or [(0.0, "start", 0, 0.0)], rights or [(1.0, "end", 0, room - wh)]
    pairs = [(i + j, left, right) for i, left in enumerate(lefts) for j, right in enumerate(rights)]
    pairs.sort(key=lambda pair: pair[0])
    for _, left, right in pairs:
        if left[3] + wl + 6 <= right[3] or (left[1] == "end" and right[1] == "start"):
            break
    else:
        left, right = lefts[0], rights[0]
        return [_number(low, left, 11), _number(high, right, 27)], 42
    return [_number(low, left, 11), _number(high, right, 11)], 25


def _number(number: str, place: tuple[Real, str, Real, Real], y: Real) -> str:
    x, anchor, dx, _ = place
    return say(at(x), y, number, "nb", anchor, dx)


def tick_labels(
    ticks: Sequence[tuple[float, str]],
    log: bool,
    posts: Sequence[float],
    pins: Sequence[Pin],
    y: Real,
    room: Real,
) -> tuple[list[str], Real]:
    """Ticks and those of their labels that no leader crosses; and where the next row begins."""
    out, taken = [], []
    if log:
        out.append(say("0", y + 16, "log", "tk"))
        taken.append((0.0, px("log", 11)))
    # no label where a leader passes, nor where the number of a post says the same
    leaders = [pin.at * room for pin in pins]
    for place, said in ticks:
        if not 0 <= place <= 1:
            continue
        x, middle, half = at(place), place * room, px(said, 11) / 2
        out.append(tag("line", x1=x, y1=y - 3, x2=x, y2=y + 3, class_="hl", stroke_width=1))
        a, b = middle - half, middle + half
        free = all(b + 8 < p or q + 8 < a for p, q in taken)
        free &= all(abs(middle - p * room) > 8 for p in posts)
        if free and a >= 0 and b <= room and not any(a - 4 < p < b + 4 for p in leaders):
            out.append(say(x, y + 16, said, "tk", "middle"))
            taken.append((a, b))
    return out, y + 34 if taken else y + 28


def _rows_of_labels(
    pins: Sequence[Pin], edges: Sequence[Edge], y: Real, top: Real, room: Real
) -> tuple[list[str], int, list[Pin]]:
    """Labels and leaders placed one after another; the rows they take; which marks have one.

    What is free at `room` pixels is free at more: positions move apart, text keeps its size.
    """
    rows: list[list[tuple[float, float]]] = [[] for _ in range(_MOST_ROWS)]
    waiting = [pin.at * room for pin in pins]
    leaders: list[tuple[float, int]] = []
    out: list[str] = []

    def free(row: int, a: Real, b: Real, leader: float | None) -> bool:
        crossed = [x for x, r in leaders if r > row]
        if leader is not None:
            crossed += waiting
            if any(p - 4 < leader < q + 4 for r in rows[:row] for p, q in r):
                return False
        return not (
            any(a < q + 8 and p - 8 < b for p, q in rows[row])
            or any(a - 4 < x < b + 4 for x in crossed)
        )

    def put(words: str, cls: str, options: list[tuple[str, str, float]], pin: Pin | None) -> bool:
        leader = pin and pin.at * room
        w = px(words, 12.5)
        for row in range(8 if pin else _MOST_ROWS):
            for x, anchor, a in options:
                if free(row, a, a + w, leader):
                    rows[row].append((a, a + w))
                    base = top + 16 * row
                    if pin and leader is not None:
                        leaders.append((leader, row))
                        ends = {"x1": at(pin.at), "y1": y + 5, "x2": at(pin.at), "y2": base - 11}
                        out.append(tag("line", **ends, class_="ld"))
                    out.append(say(x, base, words, cls, anchor))
                    return True
        return False

    placed = []
    for pin in pins:
        words = fit(*pin.said, room)
        x, w = pin.at * room, px(words, 12.5)
        waiting.remove(x)
        anchors = (("middle", x - w / 2), ("start", x), ("end", x - w))
        options = [(at(pin.at), anchor, a) for anchor, a in anchors if a >= 0 and a + w <= room]
        # at the edge only where the leader still meets the label on a wide page
        options += [("0", "start", 0.0)] if x < w and pin.at < 0.06 else []
        options += [("100%", "end", room - w)] if x > room - w and pin.at > 0.94 else []
        if put(words, _LABELS[pin.cls], options, pin):
            placed.append(pin)
    for right, said in edges:
        words = fit(*said, room)
        side = ("100%", "end", room - px(words, 12.5)) if right else ("0", "start", 0.0)
        put(words, "cl", [side], None)
    return out, max((i for i, r in enumerate(rows) if r), default=-1) + 1, placed


def mark_labels(
    pins: Sequence[Pin], edges: Sequence[Edge], y: Real, top: Real, room: Real
) -> tuple[list[str], Real]:
    """Marks on the axis with their labels below, in rows in which nothing collides."""
    orders = [
        sorted(pins, key=lambda pin: -abs(pin.at - 0.5)),
        sorted(pins, key=lambda pin: abs(pin.at - 0.5)),
        sorted(pins, key=lambda pin: pin.at),
        sorted(pins, key=lambda pin: -pin.at),
    ]
    tried = [_rows_of_labels(order, edges, y, top, room) for order in orders]
    out, used, placed = min(
        tried, key=lambda t: (-len(t[2]), all(pin.cls != "tr" for pin in t[2]), t[1])
    )
    for pin in pins:
        if pin not in placed:  # no leader reaches it: it is listed
            base = top + 16 * used
            out.append(spot("6", base - 4, _SHAPES[pin.cls]))
            out.append(say("16", base, fit(*pin.said, room - 16), _LABELS[pin.cls]))
            used += 1
    # the truth lies on top
    for pin in sorted(pins, key=lambda pin: pin.cls == "tr"):
        out.append(spot(at(pin.at), y, _SHAPES[pin.cls]))
    for right in sorted({edge.right for edge in edges}):
        shape = "M-7-5 0 0-7 5z" if right else "M7-5 0 0 7 5z"
        out.append(spot("100%" if right else "0", y, tag("path", d=shape, class_="ot")))
    return out, (top + 16 * (used - 1) + 5) if used else top - 14
