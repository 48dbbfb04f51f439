"""The bracket in lines of a terminal: posts, fill, and what stands inside and outside."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infsup.core.bracket.axis import Axis, axis_of, open_at
from infsup.core.bracket.characters import cells, cut, plain
from infsup.core.bracket.components import NO_NUMBER, SILENT
from infsup.core.bracket.numbers import Ends, Number, finite, typeset
from infsup.core.bracket.scene import Mark, Row, Scene, scene_of
from infsup.core.certificate import KINDS, Certificate

FILLS: dict[str, str] = dict(zip(KINDS, "━─═╌·", strict=True))
"""Kind -> what fills the bracket in a terminal."""

ASCII_FILLS: dict[str, str] = dict(zip(KINDS, ("#", "-", "=", "- ", "."), strict=True))
"""Kind -> what fills the bracket, for terminals without Unicode."""

FEW_COLUMNS = 60
"""Below this width the numbers of a bracket stand on their own line."""


@dataclass(frozen=True)
class _Style:
    ascii: bool
    fill: str
    gap: str
    left: str
    right: str
    post: str
    truth: str
    comparator: str
    before: str
    beyond: str

    def number(self, s: str) -> str:
        return s if self.ascii else typeset(s)

    def name(self, s: str) -> str:
        return plain(s) if self.ascii else s

    def bar(
        self, e: Ends, axis: Axis, n: int, truth: Number | None = None, marks: Sequence[Mark] = ()
    ) -> tuple[str, int]:
        """Posts, fill and what lies inside; and the column of the truth."""
        solid = n if e.closed else n * 5 // 7 if finite(e.lo) or finite(e.hi) else 0
        inner = [(self.fill * n)[:solid], (self.gap * n)[: n - solid]]
        body = list("".join(inner if finite(e.lo) else reversed(inner)))

        def column(v: Number) -> int:
            f = axis.at(v) if e.closed else open_at(v, e)
            return max(0, min(n - 1, math.floor(f * n)))

        for m in marks:
            if m.at is not None and m.at in e:
                body[column(m.at)] = self.comparator
        spot = 0
        if truth is not None and truth in e:
            spot = column(truth)
            body[spot] = self.truth
        left = self.left if finite(e.lo) else "<"
        right = self.right if finite(e.hi) else ">"
        return left + "".join(body) + right, spot + 1


def _style(kind: str, ascii: bool) -> _Style:
    if ascii:
        return _Style(True, ASCII_FILLS[kind], "- ", "|", "|", "|", "o", "x", "<", ">")
    return _Style(False, FILLS[kind], "╌", "├", "┤", "│", "●", "◇", "◂", "▸")


def text(
    c: Certificate,
    *,
    truth: Any = None,
    comparators: Mapping[str, Any] | None = None,
    width: int = 80,
    ascii: bool = False,
    log: bool | None = None,
) -> str:
    """The bracket in lines of a terminal, without escape codes.

    Args:
        c: the certificate.
        truth: the true value where it is known: a number, an array for an array, a certificate.
        comparators: name -> number or certificate.
        width: columns; at least 24 are used.
        ascii: whether nothing but ASCII may be printed.
        log: whether the axis is logarithmic; None: where lower > 0 and upper > 100 lower.

    Returns:
        Lines of at most `width` columns, joined.
    """
    if c.verdict in SILENT:
        return NO_NUMBER
    width, s = max(24, width), _style(c.kind, ascii)
    drawing = _Drawing(scene_of(c, truth, comparators), width, s, log)
    return "\n".join(drawing.single() if drawing.scene.single else drawing.array())


@dataclass(frozen=True)
class _Drawing:
    scene: Scene
    width: int
    s: _Style
    log: bool | None

    def single(self) -> list[str]:
        e, truth, marks = self.scene.ends, self.scene.truth, self.scene.marks
        s, width = self.s, self.width
        outside = None if truth in e else truth
        if e.exact and outside is None:
            return self._beside(f"= {s.number(e.low)} (exact)")
        low, high = s.number(e.low), s.number(e.high)
        axis = axis_of(e.lo, e.hi, log=self.log)
        tail = "  log" if axis.log else ""
        room = width - len(low) - len(high) - 2 - len(tail)
        if outside is not None or width < FEW_COLUMNS or room < 15:
            return self._tall(axis, outside)
        listed = [s.name(m.words) for m in marks if m.at not in e]
        reserve = max((cells(_bullet(s, s.beyond, w, width // 2)) + 3 for w in listed), default=0)
        n = min(31, room - reserve if room - reserve >= 21 else room) - 2
        bar, spot = s.bar(e, axis, n, truth, marks)
        lines = self._beside(f"{low} {bar} {high}{tail}")
        if truth is not None:
            label = cut(f"exact {s.number(e.mark(truth))}", width, s.ascii)
            lines.insert(1, _under(label, len(low) + 1 + spot, width))
        return lines

    def _beside(self, first: str) -> list[str]:
        """The line with the comparators after it, or below where they do not fit."""
        bullets = self._bullets(self.width // 2)
        if len(bullets) == 1 and cells(first) + 3 + cells(bullets[0]) <= self.width:
            return [f"{first}   {bullets[0]}"]
        return [first, *self._listed()]

    def _listed(self) -> list[str]:
        """Comparators in lines of their own, as many in one as fit."""
        lines: list[str] = []
        for b in self._bullets(self.width):
            if lines and cells(lines[-1]) + 3 + cells(b) <= self.width:
                lines[-1] += "   " + b
            else:
                lines.append(b)
        return lines

    def _bullets(self, width: int) -> list[str]:
        out, s = [], self.s
        for m in self.scene.marks:
            sign = s.comparator if m.at in self.scene.ends else s.beyond
            if m.at is not None and m.at < self.scene.ends.lo:
                sign = s.before
            value = s.number(m.value)
            room = max(4, width - 3 - cells(value))
            if cells(value) > width - 8:
                out.append(_bullet(s, sign, f"{s.name(m.name)} {value}", width))
            else:
                out.append(f"{sign} {cut(s.name(m.name), room, s.ascii)} {value}")
        if self.scene.left:
            out.append(f"... {self.scene.left} more")
        return out

    def _tall(self, axis: Axis, outside: Number | None) -> list[str]:
        """Numbers above the posts; what lies outside stands on the same scale."""
        e, s, truth = self.scene.ends, self.s, self.scene.truth
        low, high = s.number(e.low), s.number(e.high)
        wide = min(self.width, FEW_COLUMNS)
        if outside is not None:
            scale = axis_of(e.lo, e.hi, [outside], self.log)
            # a truth below zero may not cost the bracket its log axis
            if self.log is not None or scale.log == axis.log:
                axis = scale
        tail = " log" if axis.log else ""
        stacked = len(low) + len(high) + 8 > wide
        below = outside is not None and outside < e.lo
        above = outside is not None and outside > e.hi
        first = 0 if stacked or below else len(low) - 1
        last = wide - 1 if stacked or above else wide - len(high)
        last = min(last, wide - 1 - len(tail))
        if outside is not None:
            row, p, q, spot = self._row_outside(outside, axis, first, last)
        else:
            bar, spot = s.bar(e, axis, last - first - 1, truth, self.scene.marks)
            row, p, q, spot = " " * first + bar, first, last, first + spot
        start = max(0, p - len(low) + 1)
        other = min(max(q, start + len(low) + 2), wide - len(high))
        start = min(start, other - len(low) - 1)
        if e.exact:
            lines = [_under(f"= {low} (exact)", p, wide)]
        elif stacked or start < 0:
            lines = [f"from {low}", f"to   {high}"]
        else:
            lines = [(" " * start + low).ljust(other) + high]
        lines.append(row + tail)
        if truth is not None:
            lines.append(_under(f"exact {s.number(e.mark(truth))}", spot, self.width))
        return [cut(x, self.width, s.ascii) for x in (*lines, *self._listed())]

    def _row_outside(
        self, truth: Number, axis: Axis, first: int, last: int
    ) -> tuple[str, int, int, int]:
        """The claim with the truth outside: the line, the columns of the posts and of the truth."""
        e, s, n = self.scene.ends, self.s, last - first
        least = 0 if e.exact else 4
        above = truth > e.hi
        if e.closed and not math.isinf(axis.at(truth)):
            near, far = axis.at(e.lo), axis.at(e.hi)
        else:
            near, far = (0.0, 0.6) if above else (0.4, 1.0)
        p, q = first + round(near * n), first + round(far * n)
        if above:  # the bracket keeps some columns however far the truth lies
            q = min(max(q, p + least), last - 2)
            p, spot = min(p, q), last
        else:
            p = max(min(p, q - least), first + 2)
            q, spot = max(p, q), first
        row = [" "] * (last + 1)
        if p == q:
            row[p] = s.post
        else:
            inner = axis_of(e.lo, e.hi, log=axis.log or None)
            row[p : q + 1] = s.bar(e, inner, q - p - 1, marks=self.scene.marks)[0]
        row[spot] = s.truth
        return "".join(row).rstrip(), p, q, spot

    def array(self) -> list[str]:
        """One line per component on a common scale, so that they can be compared."""
        lines = self._rows()
        if self.scene.more:
            lines.append(f"... {self.scene.more:,} more")
        return [*(cut(x, self.width, self.s.ascii) for x in lines), *self._listed()]

    def _rows(self) -> list[str]:
        s, rows, values = self.s, self.scene.rows, self.scene.values
        numbers = [(s.number(row.ends.low), s.number(row.ends.high)) for row in rows]
        names = max(len(row.name) for row in rows)
        lows, highs = (max(map(len, column)) for column in zip(*numbers, strict=True))
        axis = axis_of(min(values), max(values), log=self.log)
        tail = "  log" if axis.log else ""
        n = min(41, self.width - names - lows - highs - 3) - len(tail)
        if n < 9 or min(values) == max(values):
            return [_row_in_words(row, names, self.width, s) for row in rows]
        lines = []
        for (name, e, truth), (low, high) in zip(rows, numbers, strict=True):
            row = [" "] * n
            p = round(axis.at(e.lo) * (n - 1)) if finite(e.lo) else 0
            q = round(axis.at(e.hi) * (n - 1)) if finite(e.hi) else n - 1
            if truth is not None and e.lo < truth < e.hi and q - p < 2:
                q = min(n - 1, p + 2)  # the dot needs a column
                p = q - 2
            if q - p >= 1:
                row[p : q + 1] = s.bar(e, axis, q - p - 1)[0]
            else:
                row[p] = s.post
            if truth is not None:
                spot = round(max(0.0, min(1.0, axis.at(truth))) * (n - 1))
                if truth < e.lo:
                    spot = min(spot, p - 1)
                elif truth > e.hi:
                    spot = max(spot, q + 1)
                elif q - p >= 2:
                    spot = max(p + 1, min(q - 1, spot))
                if 0 <= spot < n and (row[spot] not in (s.left, s.right) or q - p < 2):
                    row[spot] = s.truth
            lines.append(
                f"{name.rjust(names)} {low.rjust(lows)} {''.join(row)} {high}{tail}".rstrip()
            )
        return lines


def _under(label: str, column: int, width: int) -> str:
    """The label centred on the column, within the width."""
    start = max(0, min(column - cells(label) // 2, width - cells(label)))
    return " " * start + label


def _bullet(s: _Style, sign: str, words: str, width: int) -> str:
    return f"{sign} {cut(words, max(4, width - 2), s.ascii)}"


def _row_in_words(row: Row, names: int, width: int, s: _Style) -> str:
    """A component where there is no room, or no scale, to draw it."""
    name, e, truth = row
    low, high = s.number(e.low), s.number(e.high)
    words = s.number(f"= {low} (exact)") if e.exact else f"[{low}, {high}]"
    line = f"{name.rjust(names)} {words}"
    mark = "" if truth is None else f"   exact {s.number(e.mark(truth))}"
    return line + mark if cells(line + mark) <= width else line
