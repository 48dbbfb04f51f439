"""Which characters are printed, how they read in ASCII, and how many columns they take."""

import functools
import unicodedata
from collections.abc import Callable
from typing import Any

_PLAIN = {
    "−": "-", "–": "-", "—": "-", "‑": "-", "·": "*", "×": "x", "…": "...", "≤": "<=", "≥": ">=",
    "≈": "~", "≠": "!=", "∞": "inf", "√": "sqrt", "→": "->", "∈": "in", "∂": "d", "∇": "grad ",
    "∫": "int ", "Σ": "sum", "±": "+-", "‖": "||", "’": "'", "‘": "'", "“": '"', "”": '"',
    "⁻": "^-", "ß": "ss", "▸": ">", "◂": "<", "◇": "x", "●": "o", "ø": "o", "æ": "ae",
}  # fmt: skip


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
    return sum(map(cell, text))


@functools.cache
def cell(ch: str) -> int:
    """How many columns of a terminal the character takes."""
    if ch.isascii():
        return 1
    if unicodedata.combining(ch) or unicodedata.category(ch) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(ch) in "WF" else 1


def beginning(text: str, room: float | int, size: Callable[[str], float | int] = cell) -> str:
    """As much of the text as fits; `size` of a character is in the units of `room`."""
    for i, ch in enumerate(text):
        room -= size(ch)
        if room < 0:
            return text[:i]
    return text


def cut(text: str, width: int, ascii: bool = False) -> str:
    """The text in at most `width` columns; what is left out is marked."""
    if cells(text) <= width:
        return text
    end = "..." if ascii else "…"
    if width <= cells(end):
        return "." * width
    return beginning(text, width - cells(end)).rstrip() + end


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
            head = beginning(line, width) or line[0]
            lines.append(head)
            line = line[len(head) :]
    return [*lines, line] if line or not lines else lines
