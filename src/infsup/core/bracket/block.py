"""A certificate as a block of text: headline, bracket, statements beside their labels."""

from collections.abc import Mapping
from typing import Any

from infsup.core.bracket.characters import cells, clean, cut, plain, wrap
from infsup.core.bracket.signs import ASCII_SIGNS, SIGNS
from infsup.core.bracket.terminal import FEW_COLUMNS, text
from infsup.core.bracket.words import UNBROKEN, Line, statements
from infsup.core.certificate import Certificate


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
        first, *rest = wrap(part, width)
        lines.append(first)
        if rest:
            lines.append(cut(" ".join(rest), width, ascii))
    return lines


def column(line: Line, *, width: int = 80, ascii: bool = False) -> list[str]:
    """A statement with its label in the left column of 14, wrapped beside it."""
    label, body = line.label, line.text
    if line.verdict:
        label = f"{(ASCII_SIGNS if ascii else SIGNS)[line.verdict]} {label}"
    if ascii:
        label, body = plain(label), UNBROKEN.join(plain(x) for x in body.split(UNBROKEN))
    head, *paragraphs = body.split("\n")
    if width >= FEW_COLUMNS:
        edge = max(14, len(label) + 2)
        first, *rest = wrap(head, width - edge)
        first = label.ljust(edge) + first
    else:  # the label leads, the rest hangs
        edge = 2
        head = f"{label}  {head}"
        first = wrap(head, width)[0]
        tail = head[len(first) :].strip()
        rest = wrap(tail, width - edge) if tail else []
    rest += [x for p in paragraphs for x in wrap(p, width - edge)]
    return [x.replace(UNBROKEN, " ") for x in (first, *(" " * edge + x for x in rest))]
