"""Draws certificates: as words, as lines of a terminal, as SVG, as an HTML card.

One language everywhere: the more ink between the posts, the stronger the promise. Strings only, so
that a certificate prints itself with nothing but NumPy at hand; colours are added by the caller.
"""

import functools
import html
import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeGuard

import numpy as np

from infsup.core.certificate import Certificate

SIGNS: dict[str, str] = {
    "certified": "✓",
    "conditional": "✓",
    "consistent": "≈",
    "vacuous": "○",
    "inapplicable": "–",
    "refused": "⊘",
    "refuted": "✗",
}
"""Verdict -> sign. The word always goes with it."""

ASCII_SIGNS: dict[str, str] = {
    "certified": "+",
    "conditional": "+",
    "consistent": "~",
    "vacuous": "o",
    "inapplicable": "-",
    "refused": "/",
    "refuted": "x",
}
"""Verdict -> sign, for terminals without Unicode."""

COLOURS: dict[str, tuple[str, str]] = {
    "certified": ("#0072B2", "#56B4E9"),
    "conditional": ("#0072B2", "#56B4E9"),
    "consistent": ("#007a5e", "#2ecfa6"),
    "vacuous": ("#6b6b6b", "#a8a8a8"),
    "inapplicable": ("#6b6b6b", "#a8a8a8"),
    "refused": ("#a05a00", "#E69F00"),
    "refuted": ("#b3400f", "#ff8a5c"),
    "ink": ("#1a1a1a", "#e8e8e6"),
    "paper": ("#fff", "#14161a"),
    "mute": ("#5c5f63", "#a3a7ad"),
    "hair": ("#d9d9d4", "#363a41"),
}
"""Verdict, or part of the drawing -> (colour on light paper, colour on dark paper)."""

FILLS: dict[str, str] = {
    "proved": "━",
    "proved_real": "─",
    "confidence": "═",
    "asymptotic": "╌",
    "estimate": "·",
}
"""Kind -> what fills the bracket in a terminal."""

ASCII_FILLS: dict[str, str] = {
    "proved": "#",
    "proved_real": "-",
    "confidence": "=",
    "asymptotic": "- ",
    "estimate": ".",
}
"""Kind -> what fills the bracket, for terminals without Unicode."""

NO_NUMBER = "no number"
UNBROKEN = "\u00a0"
SILENT = ("refused", "inapplicable")
"""The verdicts that carry no number."""

MOST_DIGITS = 24
MOST_COMPONENTS = 6
MOST_COMPARATORS = 6
WIDENING = Fraction(1, 100)
"""By how much of its width the printed bracket may be wider than the true one."""
FEW_COLUMNS = 60
"""Below this width the numbers of a bracket stand on their own line."""

Real = float | int
Number = Fraction | float
"""Exact; a float only where it is infinite."""


# ----------------------------------------------------------------------------------------- numbers


def _exact(x: Any) -> Number:
    """The number as a fraction; +-inf and NaN as floats.

    A float64 is read as its canonical text, the shortest decimal that reads back to it, as files
    hold it: 0.07 prints as 0.07, though as a binary number it lies 7e-18 above.
    """
    if isinstance(x, (Fraction, int)):
        return Fraction(x)
    x = float(np.asarray(x))
    return Fraction(repr(x)) if math.isfinite(x) else x


def _finite(x: Any) -> TypeGuard[Fraction]:
    return isinstance(x, Fraction)


def _exponent(x: Fraction) -> int:
    """floor(log10 |x|) for x != 0, exactly and for any size."""
    p, q = abs(x.numerator), x.denominator
    e = math.floor((p.bit_length() - q.bit_length()) * math.log10(2))
    while Fraction(10) ** e > abs(x):
        e -= 1
    while Fraction(10) ** (e + 1) <= abs(x):
        e += 1
    return e


def _log10(x: Fraction) -> float:
    return math.log10(x.numerator) - math.log10(x.denominator)


def _units(x: Fraction, unit: int, way: int) -> int:
    """`x` in units of 10**unit, rounded down (-1), up (+1) or to nearest (0)."""
    scaled = x * Fraction(10) ** -unit
    return math.floor(scaled) if way < 0 else math.ceil(scaled) if way > 0 else round(scaled)


def _write(n: int, unit: int, percent: bool, reference: int | None = None) -> str:
    """The number n * 10**unit; the exponent `reference` decides between 0.0098 and 9.8e-3."""
    unit += 2 if percent else 0
    sign, digits = "-" if n < 0 else "", str(abs(n))
    e = len(digits) - 1 + unit
    judge = e if reference is None else reference + (2 if percent else 0)
    if n == 0:
        body = "0"
    elif unit <= 0 and -2 <= judge < 16:
        digits = digits.rjust(1 - unit, "0")
        body = digits[:unit] + "." + digits[unit:] if unit else digits
    elif unit > 0 and e < 5:
        body = digits + "0" * unit
    else:
        body = digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + f"e{e}"
    return sign + body + (" %" if percent else "")


def _rounded(
    x: Number,
    way: int,
    error: Fraction,
    percent: bool,
    keep: Number | None = None,
    reference: int | None = None,
) -> str:
    """The fewest digits that move `x` by at most `error` in the given way, and not past `keep`."""
    if not isinstance(x, Fraction):
        return "nan" if x != x else "inf" if x > 0 else "-inf"
    if x == 0:
        return _write(0, 0, percent)
    top = _exponent(x)
    unit = top + 1 if error >= abs(x) else top
    while True:
        n = _units(x, unit, way)
        p = n * Fraction(10) ** unit
        kept = keep is None or (keep < p if keep < x else keep > p)
        if (n and abs(p - x) <= error and kept) or unit <= top - MOST_DIGITS:
            break
        unit -= 1
    return _write(n, unit, percent, reference)


def _whole(x: Any, percent: bool) -> str:
    """An exactly known number: p/q, or the shortest decimal that reads back to the same float."""
    if not isinstance(x, Fraction):
        x = float(x)
        if not math.isfinite(x):
            return "inf" if x > 0 else "-inf"
        _, figures, unit = Decimal(repr(x)).normalize().as_tuple()
        n = int("".join(map(str, figures))) * (-1 if x < 0 else 1)
        decimal = _write(n, int(unit), percent)
        f = Fraction(x)
        ratio = f"{f.numerator}/{f.denominator}" if f.denominator < 10**5 else decimal
        return ratio if len(ratio) < len(decimal) else decimal
    # the sizes first: Python refuses to print very long integers
    if x.numerator.bit_length() + x.denominator.bit_length() <= 64:
        return str(x)
    unit = _exponent(x) - 11
    cut = _write(_units(abs(x), unit, -1) * (-1 if x < 0 else 1), unit, False)
    head, e, tail = cut.partition("e")
    return f"{head}...{e}{tail}"


@dataclass(frozen=True)
class _Ends:
    """Two ends and how they are printed: in ASCII, outward, as many digits as the width shows."""

    lo: Number
    hi: Number
    low: str
    high: str
    exact: str
    unit: int | None
    percent: bool

    def mark(self, v: Number) -> str:
        """A value near the bracket, in digits that keep it on its side of both printed ends."""
        if not isinstance(v, Fraction):
            return "inf" if v > 0 else "-inf"
        if self.lo <= v <= self.hi:
            if self.unit is not None:
                n = _units(v, self.unit, 0)
                if abs(n * Fraction(10) ** self.unit - v) <= abs(v) / 10:
                    return _write(n, self.unit, self.percent, self._reference())
            return _rounded(v, 0, abs(v) / 200, self.percent)
        near = self.lo if v < self.lo else self.hi
        distance = abs(v - near) if isinstance(near, Fraction) else abs(v)
        return _rounded(v, 0, min(distance / 100, abs(v) / 20), self.percent)

    def _reference(self) -> int | None:
        return max((_exponent(x) for x in (self.lo, self.hi) if x), default=None)  # type: ignore


def _apart(lo: Number, hi: Number) -> bool:
    """Whether the ends have one sign and lie more than a factor of 100 apart."""
    if not (_finite(lo) and _finite(hi)):
        return False
    return bool(lo > 0 and hi > 100 * lo) or bool(hi < 0 and lo < 100 * hi)


def _ends(lower: Any, upper: Any, percent: bool, truth: Number | None = None) -> _Ends:
    lo, hi = _exact(lower), _exact(upper)
    outside = truth if truth is not None and not lo <= truth <= hi else None
    if lo == hi:
        whole = _whole(lower if isinstance(lower, Fraction) else upper, percent)
        return _Ends(lo, hi, whole, whole, whole, None, percent)
    if isinstance(lo, Fraction) and isinstance(hi, Fraction) and not _apart(lo, hi):
        reference = max(_exponent(x) for x in (lo, hi) if x)
        last = reference - MOST_DIGITS
        for unit in range(max(_exponent(hi - lo), last), last - 1, -1):
            a, b = _units(lo, unit, -1), _units(hi, unit, +1)
            step = Fraction(10) ** unit
            if outside is not None and a * step <= outside <= b * step:
                continue
            shown = (a != 0 or lo == 0) and (b != 0 or hi == 0)
            if unit == last or (shown and (b - a) * step - (hi - lo) <= WIDENING * (hi - lo)):
                low = _write(a, unit, percent, reference)
                high = _write(b, unit, percent, reference)
                return _Ends(lo, hi, low, high, "", unit, percent)
    texts = []
    for x, way in ((lo, -1), (hi, +1)):
        beyond = outside if outside is not None and (outside < x) == (way < 0) else None
        slack = abs(x) / 200 if isinstance(x, Fraction) else Fraction(0)
        texts.append(_rounded(x, way, slack, percent, beyond))
    return _Ends(lo, hi, texts[0], texts[1], "", None, percent)


def _percent(c: Certificate) -> bool:
    """Whether the quantity is a rate: its range is [0, 1], and so is what is claimed of it."""
    if c.range != (0.0, 1.0):
        return False
    ends = [_exact(x) for x in (*np.ravel(c.lower), *np.ravel(c.upper))]
    known = [x for x in ends if isinstance(x, Fraction)]
    return bool(known) and min(known) >= 0 and max(known) <= 1 and max(known) >= Fraction(1, 10**4)


# ------------------------------------------------------------------------------------------- words


def ends_in_words(c: Certificate) -> str:
    """The two ends in ASCII, rounded outward, e.g. `[4.589845, 4.590262]`.

    Args:
        c: the certificate; of an array, the worst component by the defended end is taken.

    Returns:
        `= 1/1024 (exact)` where the ends agree, `>= 0.03` or `<= 7.0 %` where one is open,
        `no number` where nothing is claimed.
    """
    if c.verdict in SILENT:
        return NO_NUMBER
    parts = _components(c)
    if not parts:
        return "no components"
    if len(parts) == 1:
        return _words(_ends(parts[0][1], parts[0][2], _percent(c)))
    return f"{_words(_worst(c))}, worst of {len(parts):,} components"


def _words(e: _Ends) -> str:
    if e.exact:
        return f"= {e.exact} (exact)"
    if not _finite(e.hi) and _finite(e.lo):
        return f">= {e.low}"
    if not _finite(e.lo) and _finite(e.hi):
        return f"<= {e.high}"
    return f"[{e.low}, {e.high}]"


def _worst(c: Certificate) -> _Ends:
    """The component whose defended end is worst; the widest where no end is defended."""

    def badness(part: tuple[str, Any, Any]) -> Number:
        lo, hi = _exact(part[1]), _exact(part[2])
        if c.sense == "none":
            return hi - lo if lo != hi else Fraction(0)
        return hi if c.sense == "min" else -lo

    _, lower, upper = max(_components(c), key=badness)
    return _ends(lower, upper, _percent(c))


def _components(c: Certificate) -> list[tuple[str, Any, Any]]:
    """(name, lower, upper) of every component; the name of a single one is empty."""
    if not isinstance(c.lower, np.ndarray) or c.lower.size == 1:
        return [("", _scalar(c.lower), _scalar(c.upper))]
    upper = np.asarray(c.upper)
    return [
        (str(list(i)).replace(" ", ""), float(c.lower[i]), float(upper[i]))
        for i in np.ndindex(c.lower.shape)
    ]


def _scalar(x: Any) -> Any:
    return float(x.reshape(())) if isinstance(x, np.ndarray) else x


def _level(level: float) -> str:
    """A probability in percent, rounded down, e.g. `99 %`."""
    p = Fraction(level).limit_denominator(10**9)  # 0.9650000000000001 is the sum of 0.035
    if abs(p - Fraction(level)) > Fraction(1, 10**14):
        p = Fraction(level)
    miss = 1 - p
    unit = -2
    while unit > -18 and p - _units(p, unit, -1) * Fraction(10) ** unit > WIDENING * miss:
        unit -= 1
    return _write(_units(p, unit, -1), unit, percent=True)


def strength(c: Certificate) -> str:
    """The kind in words, e.g. `99 % confidence (confidence)`."""
    if c.kind == "proved":
        return f"proved for every execution in {clean(c.dtype)}"
    if c.kind == "proved_real":
        return f"a theorem, evaluated in {clean(c.dtype)} (proved_real)"
    if c.kind == "confidence":
        return f"{_level(c.level)} confidence (confidence)"
    if c.kind == "asymptotic":
        return f"{_level(c.level)}, by the central limit theorem (asymptotic)"
    return "an estimate: no theorem covers it"


# ------------------------------------------------------------------------------- text in a terminal

_PLAIN = {
    "−": "-", "–": "-", "—": "-", "‑": "-", "·": "*", "×": "x", "…": "...", "≤": "<=", "≥": ">=",
    "≈": "~", "≠": "!=", "∞": "inf", "√": "sqrt", "→": "->", "∈": "in", "∂": "d", "∇": "grad ",
    "∫": "int ", "Σ": "sum", "±": "+-", "‖": "||", "’": "'", "‘": "'", "“": '"', "”": '"',
    "⁻": "^-", "ß": "ss", "▸": ">", "◂": "<", "◇": "x", "●": "o", "ø": "o", "æ": "ae",
}  # fmt: skip
_SUPER = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def clean(text: Any) -> str:
    """One line without controls, escape codes, text directions, or what XML may not contain."""
    kept = []
    for ch in str(text):
        if ch.isspace():
            kept.append(" ")
        elif unicodedata.category(ch) not in ("Cc", "Cf", "Cs") and not _noncharacter(ord(ch)):
            kept.append(ch)
    return " ".join("".join(kept).split())


def _noncharacter(code: int) -> bool:
    # variation selectors make the width of a cell depend on the terminal
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF or 0xFE00 <= code <= 0xFE0F


def plain(text: str) -> str:
    """The text in pure ASCII: signs of mathematics spelled out, the rest as `?`."""
    out = []
    for ch in text:
        if ch.isascii():
            out.append(ch)
        elif ch in _PLAIN:
            out.append(_PLAIN[ch])
        elif unicodedata.name(ch, "").startswith("GREEK") and "LETTER" in unicodedata.name(ch):
            name = unicodedata.name(ch).split("LETTER ")[1].split()[0].lower()
            out.append("lambda" if name == "lamda" else name)
        else:
            base = unicodedata.normalize("NFKD", ch).encode("ascii", "ignore").decode()
            out.append(base or "?")
    return "".join(out)


def cells(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(map(_cell, text))


@functools.cache
def _cell(ch: str) -> int:
    if ch.isascii():
        return 1
    if unicodedata.combining(ch) or unicodedata.category(ch) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(ch) in "WF" else 1


def _cut(text: str, width: int, ascii: bool = False) -> str:
    """The text in at most `width` columns; what is left out is marked."""
    if cells(text) <= width:
        return text
    end = "..." if ascii else "…"
    if width <= cells(end):
        return "." * width
    room, kept = width - cells(end), []
    for ch in text:
        room -= _cell(ch)
        if room < 0:
            break
        kept.append(ch)
    return "".join(kept).rstrip() + end


def wrap(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` columns; too long words are broken."""
    lines, line = [], ""
    for word in text.split(" "):
        if line and cells(line) + 1 + cells(word) <= width:
            line += " " + word
            continue
        if line:
            lines.append(line)
        line = word
        while cells(line) > width:
            head = ""
            for ch in line:
                if cells(head) + _cell(ch) > width and head:
                    break
                head += ch
            lines.append(head)
            line = line[len(head) :]
    return [*lines, line] if line or not lines else lines


# ------------------------------------------------------------------------------------------- marks


@dataclass(frozen=True)
class _Mark:
    """The truth or a comparator: where it stands (None: nowhere) and what is written of it."""

    name: str
    at: Number | None
    value: str

    @property
    def words(self) -> str:
        return f"{self.name} {self.value}".strip()


def _known(x: Any, index: str = "") -> Number | None:
    """One number out of what a caller may hand in as truth; None where there is none."""
    if x is None:
        return None
    if isinstance(x, Certificate):
        if x.verdict in SILENT:
            return None
        parts = {name: (lo, hi) for name, lo, hi in _components(x)}
        lo, hi = (_exact(end) for end in parts.get(index) or next(iter(parts.values())))
        if _finite(lo) and _finite(hi):
            return (lo + hi) / 2
        return lo if _finite(lo) else hi if _finite(hi) else None
    if not isinstance(x, (Fraction, int)):
        a = np.asarray(x, np.float64)
        if a.size != 1:
            where = tuple(int(i) for i in index.strip("[]").split(",") if i)
            if len(where) != a.ndim or any(i >= n for i, n in zip(where, a.shape, strict=True)):
                return None
            a = a[where]
        x = float(a.reshape(()))
    v = _exact(x)
    return None if v != v else v


def _comparators(
    given: Mapping[str, Any] | None, ends: _Ends, index: str = ""
) -> tuple[list[_Mark], int]:
    """The comparators as marks, and how many were left out."""
    marks = []
    for name, x in (given or {}).items():
        at = _known(x, index)
        if isinstance(x, Certificate) and (at is None or not _is_point(x)):
            value = ends_in_words(x)
        elif at is None:
            value = NO_NUMBER
        else:
            value = ends.mark(at)
        marks.append(_Mark(clean(name), at, value))
    return marks[:MOST_COMPARATORS], max(0, len(marks) - MOST_COMPARATORS)


def _is_point(c: Certificate) -> bool:
    return bool(np.all(np.asarray(c.lower == c.upper)))


def _typeset(number: str) -> str:
    """The number with a true minus and infinity; exponents stay as they are typed."""
    number = number.replace("inf", "∞")
    return "−" + number[1:] if number.startswith("-") else number


# -------------------------------------------------------------------------------------------- axis


@dataclass(frozen=True)
class _Axis:
    """From values to positions in [0, 1], monotone; `lo` and `hi` are the bracket's ends."""

    lo: Number
    hi: Number
    start: Fraction
    stop: Fraction
    log: bool

    def at(self, v: Number) -> float:
        if not isinstance(v, Fraction):
            return math.inf if v > 0 else -math.inf
        if self.log:
            if v <= 0:
                return -math.inf
            return (_log10(v) - float(self.start)) / float(self.stop - self.start)
        try:
            return float((v - self.start) / (self.stop - self.start))
        except OverflowError:
            return math.inf if v > self.stop else -math.inf


def _axis(
    ends: _Ends, marks: Sequence[Number], log: bool | None, before: Real = 0, after: Real = 0
) -> _Axis:
    """The scale that shows the bracket and the marks, with air around it.

    Args:
        ends: the bracket.
        marks: the values that are to stand on the scale.
        log: None leaves the choice to the rule: lo > 0 and hi > 100 lo.
        before: least air below, in units of the bracket's width.
        after: least air above.
    """
    finite = [x for x in (ends.lo, ends.hi) if isinstance(x, Fraction)]
    shown = [*finite, *(m for m in marks if isinstance(m, Fraction))]
    if log is None:
        log = len(finite) == 2 and finite[0] > 0 and finite[1] > 100 * finite[0]
    log = log and bool(shown) and min(shown) > 0
    if log:
        shown = [Fraction(_log10(x)) for x in shown]
        finite = [Fraction(_log10(x)) for x in finite]
    if not finite:
        finite = shown or [Fraction(0)]
        shown = shown or finite
    size = finite[-1] - finite[0]
    if size == 0:
        size = max((abs(x - finite[0]) for x in shown), default=Fraction(0)) / 2
        size = size or (Fraction(1) if log else abs(finite[0]) / 2 or Fraction(1))
    a = min(min(shown), finite[0] - Fraction(before) * size)
    b = max(max(shown), finite[-1] + Fraction(after) * size)
    if a == b:
        a, b = a - size, b + size
    return _Axis(ends.lo, ends.hi, a, b, bool(log))


# ------------------------------------------------------------------------------------ the bracket


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
        return s if self.ascii else _typeset(s)

    def name(self, s: str) -> str:
        return plain(s) if self.ascii else s

    def filled(self, n: int) -> str:
        return (self.fill * n)[:n]

    def dashed(self, n: int) -> str:
        return (self.gap * n)[:n]


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
    width, s = max(24, width), _style(c.kind, ascii)
    if c.verdict in SILENT:
        return NO_NUMBER
    parts = _components(c)
    if not parts:
        return "no components"
    if len(parts) > 1:
        lines = _array_lines(c, parts, truth, width, s, log)
        worst = _worst(c)
        marks, left = _comparators(comparators, worst)
        return "\n".join([*lines, *_listed(marks, left, worst, width, s)])
    known = _known(truth)
    ends = _ends(parts[0][1], parts[0][2], _percent(c), known)
    marks, left = _comparators(comparators, ends)
    return "\n".join(_lines(ends, known, marks, left, width, s, log))


def _lines(
    e: _Ends,
    truth: Number | None,
    marks: list[_Mark],
    left: int,
    width: int,
    s: _Style,
    log: bool | None,
) -> list[str]:
    outside = truth is not None and not e.lo <= truth <= e.hi
    if e.exact and not outside:
        first = f"= {s.number(e.exact)} (exact)"
        return _beside(first, marks, left, e, width, s)
    low, high = s.number(e.low), s.number(e.high)
    axis = _axis(e, [], log)
    tail = "  log" if axis.log else ""
    room = width - len(low) - len(high) - 2 - len(tail)
    if outside or width < FEW_COLUMNS or room < 15:
        return _tall(e, truth, marks, left, width, s, log)
    listed = [s.name(m.words) for m in marks if not _inside(m, e)]
    reserve = max((cells(_bullet(s, s.beyond, w, width // 2)) + 3 for w in listed), default=0)
    n = min(31, room - reserve if room - reserve >= 21 else room) - 2
    bar, spots = _bar(e, truth, marks, axis, n, s)
    lines = _beside(f"{low} {bar} {high}{tail}", marks, left, e, width, s)
    if truth is not None:
        label = _cut(f"exact {s.number(e.mark(truth))}", width, s.ascii)
        at = len(low) + 1 + spots
        lines.insert(1, _under(label, at, width))
    return lines


def _inside(m: _Mark, e: _Ends) -> bool:
    return m.at is not None and e.lo <= m.at <= e.hi


def _under(label: str, column: int, width: int) -> str:
    """The label centred on the column, within the width."""
    start = max(0, min(column - cells(label) // 2, width - cells(label)))
    return " " * start + label


def _open_at(v: Number, e: _Ends) -> float:
    """Where a value stands inside a bracket with an open end, in [0, 1], monotone."""
    if not isinstance(v, Fraction):
        return 1.0 if v > 0 else 0.0
    if isinstance(e.lo, Fraction):
        d, scale = v - e.lo, abs(e.lo) or Fraction(1)
        return float(d / (d + scale))
    if isinstance(e.hi, Fraction):
        d, scale = e.hi - v, abs(e.hi) or Fraction(1)
        return 1.0 - float(d / (d + scale))
    return 0.5 + float(v / (1 + abs(v))) / 2


def _bar(
    e: _Ends, truth: Number | None, marks: list[_Mark], axis: _Axis, n: int, s: _Style
) -> tuple[str, int]:
    """Posts, fill and what lies inside; and the column of the truth."""
    closed = _finite(e.lo) and _finite(e.hi)
    solid = n if closed else n * 5 // 7 if _finite(e.lo) or _finite(e.hi) else 0
    if _finite(e.lo) or closed:
        inner = s.filled(solid) + s.dashed(n - solid)
    else:
        inner = s.dashed(n - solid) + s.filled(solid)
    body = list(inner)

    def column(v: Number) -> int:
        f = axis.at(v) if closed else _open_at(v, e)
        return max(0, min(n - 1, math.floor(f * n)))

    for m in marks:
        if m.at is not None and e.lo <= m.at <= e.hi:
            body[column(m.at)] = s.comparator
    spot = 0
    if truth is not None and e.lo <= truth <= e.hi:
        spot = column(truth)
        body[spot] = s.truth
    left = s.left if _finite(e.lo) else "<"
    right = s.right if _finite(e.hi) else ">"
    return left + "".join(body) + right, spot + 1


def _bullet(s: _Style, sign: str, words: str, width: int) -> str:
    return f"{sign} {_cut(words, max(4, width - 2), s.ascii)}"


def _bullets(marks: list[_Mark], left: int, e: _Ends, width: int, s: _Style) -> list[str]:
    out = []
    for m in marks:
        sign = s.comparator if _inside(m, e) else s.beyond
        if m.at is not None and m.at < e.lo:
            sign = s.before
        value = s.number(m.value)
        room = max(4, width - 3 - cells(value))
        if cells(value) > width - 8:
            out.append(_bullet(s, sign, f"{s.name(m.name)} {value}", width))
        else:
            out.append(f"{sign} {_cut(s.name(m.name), room, s.ascii)} {value}")
    if left:
        out.append(f"... {left} more")
    return out


def _listed(marks: list[_Mark], left: int, e: _Ends, width: int, s: _Style) -> list[str]:
    """Comparators in lines of their own, as many in one as fit."""
    lines: list[str] = []
    for b in _bullets(marks, left, e, width, s):
        if lines and cells(lines[-1]) + 3 + cells(b) <= width:
            lines[-1] += "   " + b
        else:
            lines.append(b)
    return lines


def _beside(
    first: str, marks: list[_Mark], left: int, e: _Ends, width: int, s: _Style
) -> list[str]:
    """The line with the comparators after it, or below where they do not fit."""
    bullets = _bullets(marks, left, e, width // 2, s)
    if len(bullets) == 1 and cells(first) + 3 + cells(bullets[0]) <= width:
        return [f"{first}   {bullets[0]}"]
    return [first, *_listed(marks, left, e, width, s)]


def _tall(
    e: _Ends,
    truth: Number | None,
    marks: list[_Mark],
    left: int,
    width: int,
    s: _Style,
    log: bool | None,
) -> list[str]:
    """Numbers above the posts; what lies outside stands on the same scale."""
    low, high = s.number(e.low), s.number(e.high)
    outside = truth is not None and not e.lo <= truth <= e.hi
    wide = min(width, FEW_COLUMNS)
    axis = _axis(e, [truth] if outside and truth is not None else [], log)
    if log is None and axis.log is False and _apart(e.lo, e.hi) and e.lo > 0:
        axis = _axis(e, [], None)  # a truth below zero may not cost the bracket its log axis
    tail = " log" if axis.log else ""
    stacked = len(low) + len(high) + 8 > wide
    below = outside and truth < e.lo  # type: ignore[operator]
    above = outside and not below
    first = 0 if stacked or below else len(low) - 1
    last = wide - 1 if stacked or above else wide - len(high)
    last = min(last, wide - 1 - len(tail))
    lines = []
    if not outside:
        bar, spot = _bar(e, truth, marks, axis, last - first - 1, s)
        p, q, spot = first, last, first + spot
        row = " " * first + bar
    else:
        assert truth is not None
        row, p, q, spot = _row_outside(e, truth, marks, axis, first, last, s)
    if e.exact:
        lines.append(_under(f"= {low} (exact)", p, wide))
    elif stacked:
        lines += [f"from {low}", f"to   {high}"]
    else:
        start = max(0, p - len(low) + 1)
        other = min(max(q, start + len(low) + 2), wide - len(high))
        if other < start + len(low) + 1:
            start = other - len(low) - 1
        if start < 0:
            lines += [f"from {low}", f"to   {high}"]
        else:
            lines.append((" " * start + low).ljust(other) + high)
    lines.append(row + tail)
    if truth is not None:
        lines.append(_under(f"exact {s.number(e.mark(truth))}", spot, width))
    lines += _listed(marks, left, e, width, s)
    return [_cut(x, width, s.ascii) for x in lines]


def _row_outside(
    e: _Ends,
    truth: Number,
    marks: list[_Mark],
    axis: _Axis,
    first: int,
    last: int,
    s: _Style,
) -> tuple[str, int, int, int]:
    """The claim with the truth outside: the line, the columns of the posts and of the truth."""
    n = last - first
    least = 2 if e.exact else 4
    above = truth > e.hi
    if _finite(e.lo) and _finite(e.hi):
        near, far = axis.at(e.lo), axis.at(e.hi)
    else:
        near, far = (0.0, 0.6) if above else (0.4, 1.0)
    if math.isinf(axis.at(truth)) and not math.isinf(near):
        near, far = (0.0, 0.6) if above else (0.4, 1.0)
    p, q = first + round(near * n), first + round(far * n)
    if above:  # the bracket keeps some columns however far the truth lies
        q = min(max(q, p + (0 if e.exact else least)), last - 2)
        p = min(p, q)
        spot = last
    else:
        p = max(min(p, q - (0 if e.exact else least)), first + 2)
        q = max(p, q)
        spot = first
    row = [" "] * (last + 1)
    if p == q:
        row[p] = s.post
    else:
        inside = [m for m in marks if _inside(m, e)]
        bar, _ = _bar(e, None, inside, _axis(e, [], axis.log or None), q - p - 1, s)
        row[p : q + 1] = bar
    row[spot] = s.truth
    return "".join(row).rstrip(), p, q, spot


def _array_lines(
    c: Certificate,
    parts: list[tuple[str, Any, Any]],
    truth: Any,
    width: int,
    s: _Style,
    log: bool | None,
) -> list[str]:
    """One line per component on a common scale, so that they can be compared."""
    shown = parts[:MOST_COMPONENTS]
    percent = _percent(c)
    rows = []
    for name, lower, upper in shown:
        known = _known(truth, name)
        e = _ends(lower, upper, percent, known)
        rows.append((name, e, known, s.number(e.low), s.number(e.high)))
    names = max(len(r[0]) for r in rows)
    lows, highs = max(len(r[3]) for r in rows), max(len(r[4]) for r in rows)
    values = [v for _, e, known, *_ in rows for v in (e.lo, e.hi, known) if isinstance(v, Fraction)]
    whole = _Ends(min(values), max(values), "", "", "", None, False) if values else None
    n = min(41, width - names - lows - highs - 3)
    lines = []
    axis = _axis(whole, [], log) if whole and whole.lo < whole.hi else None
    tail = "  log" if axis is not None and axis.log else ""
    n -= len(tail)
    for name, e, known, low, high in rows:
        if n < 9 or axis is None:
            words = s.number(f"= {low} (exact)") if e.exact else f"[{low}, {high}]"
            mark = "" if known is None else f"   exact {s.number(e.mark(known))}"
            line = f"{name.rjust(names)} {words}"
            lines.append(line + mark if cells(line + mark) <= width else line)
            continue
        row = [" "] * n
        p = 0 if not _finite(e.lo) else round(axis.at(e.lo) * (n - 1))
        q = n - 1 if not _finite(e.hi) else round(axis.at(e.hi) * (n - 1))
        if known is not None and e.lo < known < e.hi and q - p < 2:
            q = min(n - 1, p + 2)  # the dot needs a column
            p = q - 2
        if q - p >= 1:
            bar, _ = _bar(e, None, [], axis, q - p - 1, s)
            row[p : q + 1] = bar
        else:
            row[p] = s.post
        if known is not None:
            spot = round(max(0.0, min(1.0, axis.at(known))) * (n - 1))
            if known < e.lo:
                spot = min(spot, p - 1)
            elif known > e.hi:
                spot = max(spot, q + 1)
            elif q - p >= 2:
                spot = max(p + 1, min(q - 1, spot))
            if 0 <= spot < n and (row[spot] not in (s.left, s.right) or q - p < 2):
                row[spot] = s.truth
        lines.append(f"{name.rjust(names)} {low.rjust(lows)} {''.join(row)} {high}{tail}".rstrip())
    if len(parts) > len(shown):
        lines.append(f"... {len(parts) - len(shown):,} more")
    return [_cut(x, width, s.ascii) for x in lines]


# ----------------------------------------------------------------------------------- certificates


@dataclass(frozen=True)
class Line:
    """One labelled statement of a certificate, for who adds colour or another layout.

    Args:
        label: what stands in the left column: "certified", "width", "hypotheses", ...
        text: the statement; paragraphs are separated by newlines.
        verdict: the verdict whose sign and colour the label takes; empty for the other lines.
    """

    label: str
    text: str
    verdict: str = ""


def statements(c: Certificate) -> tuple[Line, ...]:
    """What is printed below the bracket: verdict, width, hypotheses, source, in this order."""
    reason = clean(c.reason)
    out = []
    if c.verdict == "refused":
        out.append(Line(c.verdict, f"{_sentence(reason)}\nNo number is given.", c.verdict))
    elif c.verdict == "inapplicable":
        out.append(Line(c.verdict, reason, c.verdict))
    elif c.verdict == "refuted":
        out.append(Line(c.verdict, reason or "the truth lies outside the claim", c.verdict))
        out.append(Line("claimed", strength(c)))
    elif c.verdict == "vacuous":
        lo, hi = (_rounded(_exact(x), 0, Fraction(0), False) for x in c.range)
        out.append(Line(c.verdict, f"{strength(c)}; no better than [{lo}, {hi}]", c.verdict))
    else:
        out.append(Line(c.verdict, strength(c), c.verdict))
        if reason:
            out.append(Line("reason", reason))
    if c.verdict not in SILENT and (width := _width_in_words(c)):
        out.append(Line("width", width))
    if c.goal is not None:
        goal = _whole(c.goal, _percent(c))
        sign = ">=" if c.sense == "max" else "<="
        met = {"yes": "met", "no": "not met", "open": "open"}[c.met or "open"]
        out.append(Line("asked", f"{sign} {goal}: {met}"))
    # what is violated is the reason of an inapplicable one already
    if any(h.state != "violated" or clean(h.text) not in reason for h in c.hypotheses):
        out.append(Line("hypotheses", _hypotheses_in_words(c)))
    if c.source:
        out.append(Line("source", clean(c.source)))
    return tuple(out)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."


def _hypotheses(c: Certificate) -> Iterator[tuple[str, list[str]]]:
    """(state, hypotheses in that state), with what the check saw."""
    for state in ("violated", "checked", "estimated", "assumed"):
        found = [
            clean(h.text) + (f" ({clean(h.evidence)})" if h.evidence else "")
            for h in c.hypotheses
            if h.state == state
        ]
        if found:
            yield state, found


def _hypotheses_in_words(c: Certificate) -> str:
    groups = dict(_hypotheses(c))
    words = [f"{state}: {'; '.join(found)}" for state, found in groups.items()]
    if "assumed" not in groups:
        words.append(f"assumed:{UNBROKEN}none")
    return ". ".join(words)


def _short(x: Any, way: int = 0) -> str:
    """A size in two digits."""
    v = _exact(x)
    if not isinstance(v, Fraction) or v == 0:
        return _rounded(v, way, Fraction(0), False)
    return _rounded(v, way, abs(v) / 20, False)


def _width_in_words(c: Certificate) -> str:
    """`4.2e-4 (0.0091 %): policy 1.0e-4 + dual 3.2e-4`; empty where the width says nothing."""
    parts = _components(c)
    if not parts:
        return ""
    ends = [(_exact(lo), _exact(hi)) for _, lo, hi in parts]
    lo, hi = max(ends, key=lambda x: x[1] - x[0] if x[0] != x[1] else Fraction(0))
    budget = _budget(c.budget)
    if not (_finite(lo) and _finite(hi)):
        return budget
    if lo == hi:
        return ""
    assert isinstance(lo, Fraction)
    assert isinstance(hi, Fraction)
    w = hi - lo
    if _percent(c):
        words = _short(100 * w, +1) + " points"  # of a percentage
    else:
        words = _short(w, +1)
        least = min(abs(lo), abs(hi))
        if lo * hi > 0 and w < least:
            share = w / least
            # 0.0091 % reads easier than 9.1e-3 %
            plainly = 0 if share > Fraction(1, 10**6) else None
            words += f" ({_rounded(share, +1, share / 20, True, reference=plainly)})"
    if len(parts) > 1:
        words += " at most"
    return f"{words}: {budget}" if budget else words


def _budget(budget: Mapping[str, Any]) -> str:
    words = []
    for name, x in budget.items():
        if isinstance(x, (int, float, Fraction, np.number)) and not isinstance(x, bool):
            words.append(f"{clean(name)} {_short(x)}")
        elif isinstance(x, np.ndarray) and x.size and x.dtype.kind in "fiu":
            words.append(f"{clean(name)} {_short(x.max())}")
        elif x is not None:
            words.append(f"{clean(name)} {_cut(clean(x), 24)}")
    return " + ".join(words)


def describe(
    c: Certificate,
    *,
    title: str | None = None,
    truth: Any = None,
    comparators: Mapping[str, Any] | None = None,
    width: int = 80,
    ascii: bool = False,
    log: bool | None = None,
) -> str:
    """Title, bracket and statements of a certificate, as a block of text without escape codes.

    Args:
        c: the certificate.
        title: what stands at the left of the first line; default: what the certificate is of.
        truth: the true value, as for `text`.
        comparators: name -> number or certificate.
        width: columns.
        ascii: whether nothing but ASCII may be printed.
        log: whether the axis is logarithmic, as for `text`.

    Returns:
        Lines of at most `width` columns, joined.
    """
    width = max(24, width)
    indent = "  " if width >= FEW_COLUMNS else " "
    drawn = text(
        c, truth=truth, comparators=comparators, width=width - len(indent), ascii=ascii, log=log
    )
    lines = [*headline(c, title=title, width=width, ascii=ascii), ""]
    lines += [(indent + x).rstrip() for x in drawn.split("\n")]
    lines.append("")
    for line in statements(c):
        lines += column(line, width=width, ascii=ascii)
    return "\n".join(lines)


def headline(
    c: Certificate, *, title: str | None = None, width: int = 80, ascii: bool = False
) -> list[str]:
    """The object at the left and the quantity at the right, below each other where it is narrow."""
    left, right = clean(c.of if title is None else title), clean(c.quantity)
    if ascii:
        left, right = plain(left), plain(right)
    if cells(left) + 3 + cells(right) <= width:
        return [left + " " * (width - cells(left) - cells(right)) + right if right else left]
    lines = []
    for part in (left, right):
        wrapped = wrap(part, width)
        if len(wrapped) > 2:
            wrapped = [wrapped[0], _cut(" ".join(wrapped[1:]), width, ascii)]
        lines += wrapped
    return lines


def column(line: Line, *, width: int = 80, ascii: bool = False) -> list[str]:
    """A statement with its label in the left column of 14, wrapped beside it."""
    label, body = line.label, line.text
    if line.verdict:
        label = f"{(ASCII_SIGNS if ascii else SIGNS)[line.verdict]} {label}"
    if ascii:
        label, body = plain(label), UNBROKEN.join(plain(x) for x in body.split(UNBROKEN))
    edge = max(14, len(label) + 2) if width >= FEW_COLUMNS else 2
    paragraphs = body.split("\n")
    if edge == 2:  # narrow: the label leads, the rest hangs
        paragraphs[0] = f"{label}  {paragraphs[0]}"
        wrapped = wrap(paragraphs[0], width)
        if len(wrapped) > 1:
            head = wrapped[0]
            wrapped = [head, *wrap(paragraphs[0][len(head) :].strip(), width - 2)]
        rest = [x for p in paragraphs[1:] for x in wrap(p, width - 2)]
        rows = [wrapped[0], *("  " + x for x in (*wrapped[1:], *rest))]
        return [x.replace(UNBROKEN, " ") for x in rows]
    rows = [x for p in paragraphs for x in wrap(p, width - edge)]
    rows = [(label.ljust(edge) if i == 0 else " " * edge) + x for i, x in enumerate(rows)]
    return [x.replace(UNBROKEN, " ") for x in rows]


# --------------------------------------------------------------------------------------------- SVG

_SHAPES = {
    "certified": '<path d="M3 8.5 6.5 12 13 4.5"/>',
    "conditional": '<circle cx="8" cy="8" r="5"/>'
    '<path d="M8 3a5 5 0 0 0 0 10z" fill="currentColor" stroke="none"/>',
    "consistent": '<path d="M2.5 6.5c2-2 3.5-2 5.5-.7s3.5 1.3 5.5-.8'
    'M2.5 11c2-2 3.5-2 5.5-.7s3.5 1.3 5.5-.8"/>',
    "vacuous": '<circle cx="8" cy="8" r="5"/>',
    "inapplicable": '<path d="M3 8h10"/>',
    "refused": '<circle cx="8" cy="8" r="5.3"/><path d="M4.3 11.7 11.7 4.3"/>',
    "refuted": '<path d="M3.5 3.5l9 9M12.5 3.5l-9 9"/>',
}

NAMESPACE = "http://www.w3.org/2000/svg"


def sign(verdict: str) -> str:
    """The sign of a verdict as inline SVG of 16 x 16 units, in the colour of the text around it."""
    return (
        f'<svg xmlns="{NAMESPACE}" class="sign" viewBox="0 0 16 16" width="1em" height="1em" '
        'aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2" '
        f'stroke-linecap="round" stroke-linejoin="round">{_SHAPES[verdict]}</svg>'
    )


def _variables(names: Mapping[str, tuple[str, str]]) -> str:
    """Custom properties for light paper, and for both where the browser knows `light-dark`."""
    return ";".join(f"--{k}:{light}" for k, (light, _) in names.items())


def _both(names: Mapping[str, tuple[str, str]]) -> str:
    return ";".join(f"--{k}:light-dark({a},{b})" for k, (a, b) in names.items())


_GREYS = {k: COLOURS[k] for k in ("ink", "paper", "mute", "hair")}
_KNOWS = "@supports (color:light-dark(#000,#fff))"


def _rules(scope: str) -> str:
    """The colours below one class; a page that sets the same variables itself may leave it out."""
    own = "".join(f"{scope}.{v}{{--c:{COLOURS[v][0]}}}" for v in _SHAPES)
    both = "".join(f"{scope}.{v}{{--c:light-dark({','.join(COLOURS[v])})}}" for v in _SHAPES)
    return f"{scope}{{{_variables(_GREYS)}}}{own}{_KNOWS}{{{scope}{{{_both(_GREYS)}}}{both}}}"


_DRAWING = (
    ".infsup-br{display:block;width:100%;overflow:visible;font:12.5px/1 system-ui,-apple-system,"
    '"Segoe UI",Roboto,"Noto Sans",Ubuntu,sans-serif;font-variant-numeric:tabular-nums lining-nums}'
    ".infsup-br .hl{stroke:var(--hair)}.infsup-br .ld{stroke:var(--mute);stroke-width:.8}"
    ".infsup-br .bl{stroke:var(--c);fill:none}.infsup-br .bf{fill:var(--c)}"
    ".infsup-br .bo{fill:var(--paper);stroke:var(--c);stroke-width:1.6}"
    ".infsup-br .pl{stroke:var(--paper)}"
    ".infsup-br .tr{fill:var(--ink);stroke:var(--paper);stroke-width:2}"
    ".infsup-br .cm{fill:var(--paper);stroke:var(--ink);stroke-width:1.4}"
    ".infsup-br .ot{fill:none;stroke:var(--ink);stroke-width:1.4}"
    ".infsup-br text{fill:var(--ink);stroke:none}"
    ".infsup-br .nb{font-weight:600;font-size:13.5px;fill:var(--c)}"
    ".infsup-br .tk{fill:var(--mute);font-size:11px}.infsup-br .cl{fill:var(--mute)}"
)

STYLE: str = _rules(".infsup-br") + _DRAWING
"""CSS of the brackets. `svg(..., style=False)` leaves it out for pages that hold it once.

Without < > and &, which HTML and XML read differently inside a style.
"""

_LABELS = {"tr": "tl", "cm": "cl"}
_Item = tuple[float, tuple[str, str], str]
"""Position, name and value, and class of a mark on the axis."""

NARROW = 360
"""Pixels from which on the labels of an SVG may not collide."""


def _px(text: str, size: Real) -> float:
    """An upper estimate of the width of a text in a system sans font."""
    return sum(map(_em, text)) * size


@functools.cache
def _em(ch: str) -> float:
    if _cell(ch) == 2:
        return 1.05
    if ch in "WM@%mw…":
        return 0.95
    if ch in "il.,'|!:;j()[]frt ":
        return 0.4
    return 0.75 if ch.isupper() else 0.62 * _cell(ch)


def _fit_px(name: str, value: str, size: Real, room: Real) -> str:
    """Name and value, the name cut so that both fit."""
    words = f"{name} {value}".strip()
    if not name or _px(words, size) <= room:
        return words
    left, kept = room - _px(f"… {value}", size), 0
    for ch in name:
        left -= _em(ch) * size
        if left < 0:
            break
        kept += 1
    return f"{name[:kept].rstrip()}… {value}" if kept else value


def _pretty(number: str) -> str:
    """The number as in print: 9.45·10⁻⁴."""
    head, e, tail = number.partition("e")
    if e and tail.split(" ")[0].lstrip("-").isdigit():
        power, space, percent = tail.partition(" ")
        number = f"{head}·10{power.translate(_SUPER)}{space}{percent}"
        number = number.replace("1·10", "10", 1) if head in ("1", "-1") else number
    return _typeset(number)


def _tag(name: str, content: str = "", **attributes: Any) -> str:
    attrs = "".join(
        f' {k.rstrip("_").replace("_", "-")}="{html.escape(str(v))}"'
        for k, v in attributes.items()
        if v is not None
    )
    return f"<{name}{attrs}>{content}</{name}>" if content else f"<{name}{attrs}/>"


def _at(fraction: float) -> str:
    return f"{100 * fraction:.2f}%"


def _say(x: str, y: Real, words: str, cls: str, anchor: str = "start", dx: Real = 0) -> str:
    return _tag(
        "text", html.escape(words), x=x, y=f"{y:g}", dx=f"{dx:g}" if dx else None, class_=cls,
        text_anchor=anchor,
    )  # fmt: skip


def _spot(x: str, y: Real, shape: str) -> str:
    return _tag("svg", shape, x=x, y=f"{y:g}", overflow="visible")


def _bar_svg(kind: str, a: Real, b: Real, y: Real) -> str:
    """What fills the bracket between two positions: more ink, stronger promise."""
    x, span = _at(a), _at(b - a)
    if kind == "proved":
        return _tag("rect", x=x, y=y - 3.5, width=span, height=7, class_="bf")
    if kind == "proved_real":
        return _tag("rect", x=x, y=y - 1.5, width=span, height=3, class_="bf")
    if kind in ("confidence", "asymptotic"):
        dash = "4 3" if kind == "asymptotic" else None
        return _tag(
            "rect", x=x, y=y - 3.5, width=span, height=7, class_="bo", stroke_dasharray=dash
        )
    ends = {"x1": x, "x2": _at(b), "y1": y, "y2": y}
    return _tag("line", **ends, class_="pl", stroke_width=4) + _tag(
        "line", **ends, class_="bl", stroke_width=3, stroke_dasharray="3 4"
    )


def _post(x: Real, y: Real, thick: int = 2) -> str:
    return _tag("line", x1=_at(x), y1=y - 9, x2=_at(x), y2=y + 9, class_="bl", stroke_width=thick)


def _arrow(y: Real, right: bool, x: Real) -> str:
    """A dashed arrow from x to the edge: nothing is claimed on that side."""
    shape = "M-8-6-1 0-8 6" if right else "M8-6 1 0 8 6"
    head = _tag("path", d=shape, class_="bl", stroke_width=2)
    a, b = (_at(x), "99.5%") if right else ("0.5%", _at(x))
    line = _tag("line", x1=a, y1=y, x2=b, y2=y, class_="bl", stroke_width=2, stroke_dasharray="6 4")
    return _spot("100%" if right else "0", y, head) + line


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
    room = float(min(width or NARROW, NARROW)) if (width or NARROW) >= 200 else 200.0
    body, height, words = _drawn(c, truth, comparators, room, log)
    label = (
        f"{clean(c.quantity)} of {clean(c.of)}: {ends_in_words(c)}, "
        f"{c.verdict if c.verdict in SILENT else strength(c) + ', ' + c.verdict}"
    )
    css = f"<style>{STYLE}</style>" if style else ""
    head = _tag(
        "svg", "\0", xmlns=NAMESPACE, class_=f"br infsup-br {c.verdict}", role="img",
        aria_label="; ".join([label, *words]), width=width or "100%", height=f"{height:g}",
    )  # fmt: skip
    return head.replace("\0", css + body)


def _drawn(
    c: Certificate,
    truth: Any,
    comparators: Mapping[str, Any] | None,
    room: Real,
    log: bool | None,
) -> tuple[str, Real, list[str]]:
    """The inside of the SVG, its height, and what a reader who does not see it is told."""
    if c.verdict in SILENT:
        line = _tag("line", x1="0", y1=25, x2="100%", y2=25, class_="hl", stroke_dasharray="2 5")
        return line + _say("0", 11, NO_NUMBER, "nb"), 38, []
    parts = _components(c)
    if len(parts) != 1:
        return _drawn_array(c, parts, truth, comparators, room, log)
    known = _known(truth)
    e = _ends(parts[0][1], parts[0][2], _percent(c), known)
    marks, left = _comparators(comparators, e)
    words = [] if known is None else [f"exact {e.mark(known)}"]
    words += [m.words for m in marks]
    axis, place = _scale(c, e, known, marks, log)
    out: list[str] = []

    a = place(e.lo) if _finite(e.lo) else 0.0
    b = place(e.hi) if _finite(e.hi) else 1.0
    numbers, y = _number_labels(e, a, b, room)
    out.append(_tag("line", x1="0", y1=y, x2="100%", y2=y, class_="hl", stroke_width=1))
    items: list[_Item] = []
    edges: list[tuple[bool, tuple[str, str]]] = []
    if known is not None:
        at = place(known)
        said = ("exact", _pretty(e.mark(known)))
        if 0 <= at <= 1:
            items.append((at, said, "tr"))
        else:
            edges.append((at > 1, said))
    for m in marks:
        said = (m.name, _pretty(m.value))
        at = place(m.at) if m.at is not None else math.inf
        if m.at is not None and 0 <= at <= 1:
            items.append((at, said, "cm"))
        else:
            edges.append((at > 1, said))
    if left:
        edges.append((True, ("", f"{left} more")))

    ticks = _ticks(axis, e.percent) if axis is not None else []
    drawn, top = _tick_labels(ticks, axis, items, y, room)
    out += drawn
    solid = (0.14 if not _finite(e.lo) else a, 0.86 if not _finite(e.hi) else b)
    if e.exact:
        out.append(_post(a, y, 4))
    elif _finite(e.lo) or _finite(e.hi):
        out.append(_bar_svg(c.kind, *solid, y))
        out += [_post(x, y) for x, end in ((a, e.lo), (b, e.hi)) if _finite(end)]
    if not _finite(e.lo) and not e.exact:
        out.append(_arrow(y, False, 0.14 if _finite(e.hi) else 0.5))
    if not _finite(e.hi) and not e.exact:
        out.append(_arrow(y, True, 0.87 if _finite(e.lo) else 0.5))
    out += numbers
    more, height = _labels(items, edges, y, top, room)
    return "".join([*out, *more]), height, words


def _scale(
    c: Certificate, e: _Ends, truth: Number | None, marks: list[_Mark], log: bool | None
) -> tuple[_Axis | None, Any]:
    """The axis for ticks, None where positions carry no scale; and value -> position."""
    near: list[Number] = []
    if _finite(e.lo) and _finite(e.hi):
        assert isinstance(e.lo, Fraction)
        assert isinstance(e.hi, Fraction)
        plain_axis = _axis(e, [], log)
        w = e.hi - e.lo
        for v, reach in ((truth, 8), *((m.at, 2) for m in marks)):
            if not isinstance(v, Fraction):
                continue
            if plain_axis.log:
                close = v > 0 and -reach <= plain_axis.at(v) <= 1 + reach
            else:
                close = w == 0 or e.lo - reach * w <= v <= e.hi + reach * w
            if close:
                near.append(v)
        axis = _axis(e, near, plain_axis.log, 0.9, 0.9)
        start, stop = axis.start, axis.stop
        air = (stop - start) / 30
        first, last = start - air, stop + air
        # an impossible value needs no room, unless something impossible was claimed or seen
        shown = [e.lo, e.hi, *near]
        least, most = (_exact(x) for x in c.range)
        if _finite(least) and least <= min(shown) and (least > 0 or not axis.log):
            first = max(first, (Fraction(_log10(least)) if axis.log else least) - air)
        if _finite(most) and most >= max(shown) and (most > 0 or not axis.log):
            last = min(last, (Fraction(_log10(most)) if axis.log else most) + air)
        axis = _Axis(e.lo, e.hi, first, last, axis.log)
        return (axis if not e.exact or near else None), axis.at

    def place(v: Number) -> float:
        if v == e.lo:
            return 0.14 if _finite(e.lo) else -math.inf
        if v == e.hi:
            return 0.86 if _finite(e.hi) else math.inf
        if v < e.lo:
            return 0.05 if _finite(v) else -math.inf
        if v > e.hi:
            return 0.95 if _finite(v) else math.inf
        return 0.16 + 0.68 * _open_at(v, e)

    return None, place


def _number_labels(e: _Ends, a: Real, b: Real, room: Real) -> tuple[list[str], Real]:
    """The numbers above the posts, and the height of the axis below them."""
    low, high = _pretty(e.low), _pretty(e.high)
    if e.exact:
        said = f"= {_pretty(e.exact)}"
        w = _px(said, 13.5)
        if a * room < w / 2:
            return [_say("0", 11, said, "nb")], 25
        if (1 - a) * room < w / 2:
            return [_say("100%", 11, said, "nb", "end")], 25
        return [_say(_at(a), 11, said, "nb", "middle")], 25
    wl, wh = _px(low, 13.5), _px(high, 13.5)
    apart = 3 if (b - a) * room < 6 else -1
    # outward from the post first, then inward; at the edge where neither fits or there is no post
    lefts = [(a, "end", -apart, a * room - wl), (a, "start", -1, a * room)]
    rights = [(b, "start", apart, b * room), (b, "end", 1, b * room - wh)]
    lefts = [x for x in lefts if x[3] >= -1 and x[3] + wl <= room + 1 and _finite(e.lo)]
    rights = [x for x in rights if x[3] >= -1 and x[3] + wh <= room + 1 and _finite(e.hi)]
    lefts, rights = lefts or [(0.0, "start", 0, 0.0)], rights or [(1.0, "end", 0, room - wh)]
    pairs = [(i + j, left, right) for i, left in enumerate(lefts) for j, right in enumerate(rights)]
    for _, (xl, al, dl, sl), (xr, ar, dr, sr) in sorted(pairs, key=lambda x: x[0]):
        if sl + wl + 6 <= sr or (al == "end" and ar == "start"):
            return [
                _say(_at(xl), 11, low, "nb", al, dl),
                _say(_at(xr), 11, high, "nb", ar, dr),
            ], 25
    (xl, al, dl, _), (xr, ar, dr, _) = lefts[0], rights[0]
    return [_say(_at(xl), 11, low, "nb", al, dl), _say(_at(xr), 27, high, "nb", ar, dr)], 42


def _ticks(axis: _Axis, percent: bool) -> list[tuple[float, str]]:
    """(position, text) of some round values."""
    if axis.log:
        first, last = math.ceil(axis.start), math.floor(axis.stop)
        step = max(1, -(-(last - first) // 4))
        powers = range(first + (-first) % step, last + 1, step)
        return [(axis.at(Fraction(10) ** k), _power_of_ten(k, percent)) for k in powers]
    span = axis.stop - axis.start
    steps = [m * Fraction(10) ** (_exponent(span) - 1) for m in (2, 5, 10, 20, 50)]
    step = next(x for x in steps if span / x <= 4)
    unit = _exponent(step)
    first, last = math.ceil(axis.start / step), math.floor(axis.stop / step)
    out = []
    top = max((_exponent(k * step) for k in range(first, last + 1) if k), default=0)
    for k in range(first, last + 1):
        n = _units(k * step, unit, 0)
        said = _pretty(_write(n, unit, percent, top))
        if len(said) > 12:
            return []
        out.append((axis.at(k * step), said))
    return out


def _power_of_ten(k: int, percent: bool) -> str:
    shown = k + 2 if percent else k
    if -1 <= shown <= 2:
        return _write(1, k, percent)
    return f"10{str(shown).translate(_SUPER)}" + (" %" if percent else "")


def _tick_labels(
    ticks: list[tuple[float, str]],
    axis: _Axis | None,
    items: list[_Item],
    y: Real,
    room: Real,
) -> tuple[list[str], Real]:
    """Ticks and those of their labels that no leader crosses; and where the next row begins."""
    log = axis is not None and axis.log
    if not ticks and not log:
        return [], y + 28
    out, taken = [], []
    if log:
        out.append(_say("0", y + 16, "log", "tk"))
        taken.append((0.0, _px("log", 11)))
    # no label where a leader passes, nor where the number of a post says the same
    leaders = [at * room for at, _, _ in items]
    posts = [axis.at(x) * room for x in (axis.lo, axis.hi)] if axis is not None else []
    for at, said in ticks:
        if not 0 <= at <= 1:
            continue
        x = _at(at)
        out.append(_tag("line", x1=x, y1=y - 3, x2=x, y2=y + 3, class_="hl", stroke_width=1))
        half = _px(said, 11) / 2
        a, b = at * room - half, at * room + half
        free = all(b + 8 < p or q + 8 < a for p, q in taken)
        free &= all(abs(at * room - p) > 8 for p in posts)
        if free and a >= 0 and b <= room and not any(a - 4 < p < b + 4 for p in leaders):
            out.append(_say(x, y + 16, said, "tk", "middle"))
            taken.append((a, b))
    return out, y + 34 if taken else y + 28


def _rows_of_labels(
    items: Sequence[_Item],
    edges: Sequence[tuple[bool, tuple[str, str]]],
    y: Real,
    top: Real,
    room: Real,
) -> tuple[list[str], int, list[_Item]]:
    """Labels and leaders placed one after another; the rows they take; which marks have one.

    What is free at `room` pixels is free at more: positions move apart, text keeps its size.
    """
    rows: list[list[tuple[float, float]]] = []
    waiting = [at * room for at, _, _ in items]
    leaders: list[tuple[float, int]] = []
    out: list[str] = []

    def free(row: int, a: Real, b: Real, leader: float | None) -> bool:
        while len(rows) <= row:
            rows.append([])
        crossed = [x for x, r in leaders if r > row]
        if leader is not None:
            crossed += waiting
            if any(p - 4 < leader < q + 4 for r in rows[:row] for p, q in r):
                return False
        return not (
            any(a < q + 8 and p - 8 < b for p, q in rows[row])
            or any(a - 4 < x < b + 4 for x in crossed)
        )

    def put(words: str, cls: str, options: list[tuple[str, str, float]], at: float | None) -> bool:
        leader = None if at is None else at * room
        w = _px(words, 12.5)
        for row in range(8 if at is not None else 40):
            for x, anchor, a in options:
                if free(row, a, a + w, leader):
                    rows[row].append((a, a + w))
                    base = top + 16 * row
                    if at is not None and leader is not None:
                        leaders.append((leader, row))
                        ends = {"x1": _at(at), "y1": y + 5, "x2": _at(at), "y2": base - 11}
                        out.append(_tag("line", **ends, class_="ld"))
                    out.append(_say(x, base, words, cls, anchor))
                    return True
        return False

    placed = []
    for item in items:
        at, said, kind = item
        words = _fit_px(*said, 12.5, room)
        x, w = at * room, _px(words, 12.5)
        waiting.remove(x)
        options = [(_at(at), "middle", x - w / 2), (_at(at), "start", x), (_at(at), "end", x - w)]
        options = [o for o in options if o[2] >= 0 and o[2] + w <= room]
        # at the edge only where the leader still meets the label on a wide page
        options += [("0", "start", 0.0)] if x < w and at < 0.06 else []
        options += [("100%", "end", room - w)] if x > room - w and at > 0.94 else []
        if put(words, _LABELS[kind], options, at):
            placed.append(item)
    for right, said in edges:
        words = _fit_px(*said, 12.5, room)
        side = ("100%", "end", room - _px(words, 12.5)) if right else ("0", "start", 0.0)
        put(words, "cl", [side], None)
    return out, max((i for i, r in enumerate(rows) if r), default=-1) + 1, placed


def _labels(
    items: list[_Item],
    edges: list[tuple[bool, tuple[str, str]]],
    y: Real,
    top: Real,
    room: Real,
) -> tuple[list[str], Real]:
    """Marks on the axis with their labels below, in rows in which nothing collides."""
    shapes = {
        "tr": '<circle r="4.5" class="tr"/>',
        "cm": '<path d="M0-5 5 0 0 5-5 0z" class="cm"/>',
    }
    orders = [
        sorted(items, key=lambda i: -abs(i[0] - 0.5)),
        sorted(items, key=lambda i: abs(i[0] - 0.5)),
        sorted(items, key=lambda i: i[0]),
        sorted(items, key=lambda i: -i[0]),
    ]
    tried = [_rows_of_labels(order, edges, y, top, room) for order in orders]
    out, used, placed = min(
        tried, key=lambda t: (-len(t[2]), all(i[2] != "tr" for i in t[2]), t[1])
    )
    for item in items:
        if item not in placed:  # no leader reaches it: it is listed
            _, said, kind = item
            base = top + 16 * used
            out.append(_spot("6", base - 4, shapes[kind]))
            out.append(_say("16", base, _fit_px(*said, 12.5, room - 16), _LABELS[kind]))
            used += 1
    out += [_spot(_at(at), y, shapes[kind]) for at, _, kind in items if kind == "cm"]
    out += [_spot(_at(at), y, shapes[kind]) for at, _, kind in items if kind == "tr"]
    for right in {right for right, _ in edges}:
        shape = "M-7-5 0 0-7 5z" if right else "M7-5 0 0 7 5z"
        out.append(_spot("100%" if right else "0", y, _tag("path", d=shape, class_="ot")))
    return out, (top + 16 * (used - 1) + 5) if used else top - 14


def _drawn_array(
    c: Certificate,
    parts: list[tuple[str, Any, Any]],
    truth: Any,
    comparators: Mapping[str, Any] | None,
    room: float,
    log: bool | None,
) -> tuple[str, Real, list[str]]:
    """One row per component on a common scale, its numbers above it at the left."""
    out: list[str] = []
    percent = _percent(c)
    shown = []
    for name, lower, upper in parts[:MOST_COMPONENTS]:
        known = _known(truth, name)
        shown.append((name, _ends(lower, upper, percent, known), known))
    values = [v for _, e, known in shown for v in (e.lo, e.hi, known) if isinstance(v, Fraction)]
    y = 0.0
    lowest, highest = min(values, default=Fraction(0)), max(values, default=Fraction(0))
    axis = _axis(_Ends(lowest, highest, "", "", "", None, percent), [], log, 0.05, 0.05)
    for name, e, known in shown:
        pieces = [f"= {_pretty(e.exact)}"] if e.exact else [_pretty(e.low), f"… {_pretty(e.high)}"]
        pieces += [] if known is None else [f"(exact {_pretty(e.mark(known))})"]
        out.append(_say("0", y + 11, name, "tk"))
        edge, said = _px(name, 11) + 8, ""
        for piece in pieces:
            longer = f"{said} {piece}".strip()
            if said and edge + _px(longer, 13.5) > room:
                out.append(_say("0", y + 11, said, "nb", dx=edge))
                y, longer = y + 16, piece
            said = longer
        out.append(_say("0", y + 11, said, "nb", dx=edge))
        mid = y + 25
        out.append(_tag("line", x1="0", y1=mid, x2="100%", y2=mid, class_="hl", stroke_width=1))
        a = axis.at(e.lo) if _finite(e.lo) else 0.04
        b = axis.at(e.hi) if _finite(e.hi) else 0.96
        if e.exact:
            out.append(_post(a, mid, 4))
        elif _finite(e.lo) or _finite(e.hi):
            out.append(_bar_svg(c.kind, a, max(a, b), mid))
        if not _finite(e.lo):
            out.append(_arrow(mid, False, 0.04 if _finite(e.hi) else 0.5))
        elif not e.exact:
            out.append(_post(a, mid))
        if not _finite(e.hi):
            out.append(_arrow(mid, True, 0.96 if _finite(e.lo) else 0.5))
        elif not e.exact:
            out.append(_post(b, mid))
        if known is not None and 0 <= axis.at(known) <= 1:
            out.append(_spot(_at(axis.at(known)), mid, '<circle r="4.5" class="tr"/>'))
        y += 44
    if axis.log:
        out.append(_say("0", y + 7, "log", "tk"))
        y += 14
    if len(parts) > len(shown):
        out.append(_say("0", y + 11, f"… {len(parts) - len(shown):,} more", "cl"))
        y += 18
    marks, left = _comparators(comparators, _worst(c)) if parts else ([], 0)
    for m in marks:
        out.append(_spot("6", y + 7, '<path d="M0-5 5 0 0 5-5 0z" class="cm"/>'))
        out.append(_say("16", y + 11, _fit_px(m.name, _pretty(m.value), 12.5, room - 16), "cl"))
        y += 16
    if left:
        out.append(_say("16", y + 11, f"{left} more", "cl"))
        y += 16
    return "".join(out), max(18.0, y - 4), [m.words for m in marks]


# -------------------------------------------------------------------------------------------- card

_DARK = (
    'body[data-jp-theme-light="false"] .infsup-card,body.vscode-dark .infsup-card,'
    'html[theme="dark"] .infsup-card,html[data-theme="dark"] .infsup-card,'
    'body[data-theme="dark"] .infsup-card'
)
_LIGHT = (
    'body[data-jp-theme-light="true"] .infsup-card,body.vscode-light .infsup-card,'
    'html[data-theme="light"] .infsup-card,body[data-theme="light"] .infsup-card'
)
_CARD = (
    _rules(".infsup-card")
    + ".infsup-card{color-scheme:light dark;font:15px/1.5 system-ui,-apple-system,"
    '"Segoe UI",Roboto,"Noto Sans",Ubuntu,sans-serif;font-variant-numeric:tabular-nums lining-nums;'
    "color:var(--ink);background:var(--paper);max-width:44rem;padding:.1rem .75rem .75rem;"
    "box-sizing:border-box;overflow-wrap:anywhere}"
    f"{_DARK}{{color-scheme:dark}}{_LIGHT}{{color-scheme:light}}"
    ".infsup-card .h{display:flex;justify-content:space-between;align-items:baseline;gap:1rem;"
    "border-top:1px solid var(--ink);padding:.6rem 0 .5rem}"
    ".infsup-card .t{font-size:1.15rem}.infsup-card .q,.infsup-card dt{color:var(--mute)}"
    ".infsup-card .v{color:var(--c);font-weight:600;white-space:nowrap}"
    ".infsup-card .sign{vertical-align:-.15em;margin-right:.35em;display:inline-block}"
    ".infsup-card p{margin:.3rem 0 .5rem}.infsup-card dl{margin:0;font-size:.87rem}"
    ".infsup-card dl div{display:grid;grid-template-columns:6.2rem 1fr;gap:.75rem}"
    ".infsup-card dt,.infsup-card dd{margin:0;min-width:0;font-weight:400}"
)


def card(c: Certificate, *, truth: Any = None, comparators: Mapping[str, Any] | None = None) -> str:
    """The certificate as one HTML element for notebooks: no script, no outside address.

    Args:
        c: the certificate.
        truth: the true value, as for `text`.
        comparators: name -> number or certificate.

    Returns:
        A `<div>` with its own style, well-formed as XML; everything that a caller named is escaped.
    """
    quote = html.escape
    lines = statements(c)
    rows = []
    for line in lines[1:]:
        if line.label == "hypotheses":
            content = "<br/>".join(
                f"<b>{state}</b> {quote('; '.join(found))}" for state, found in _hypotheses(c)
            )
        else:
            content = quote(line.text)
        rows.append(f"<div><dt>{quote(line.label)}</dt><dd>{content}</dd></div>")
    said = quote(lines[0].text).replace("\n", " ")
    return (
        f'<div class="infsup-card {c.verdict}"><style>'
        f"{_CARD}{_DRAWING}</style>"
        f'<div class="h"><span class="t">{quote(clean(c.of))}</span>'
        f'<span class="v">{sign(c.verdict)}{c.verdict}</span></div>'
        f'<p class="q">{quote(clean(c.quantity))}</p>'
        + svg(c, truth=truth, comparators=comparators, style=False)
        + f"<p>{said[:1].upper() + said[1:]}</p>"
        + (f"<dl>{''.join(rows)}</dl>" if rows else "")
        + "</div>"
    )
