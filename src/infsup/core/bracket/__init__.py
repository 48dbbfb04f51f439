"""Draws certificates: as words, as lines of a terminal, as SVG, as an HTML card.

One language everywhere: the more ink between the posts, the stronger the promise. Strings only, so
that a certificate prints itself with nothing but NumPy at hand; colours are added by the caller.
"""

from infsup.core.bracket.block import column, describe, headline
from infsup.core.bracket.characters import cells, clean, plain, wrap
from infsup.core.bracket.components import NO_NUMBER, SILENT, ends_in_words
from infsup.core.bracket.html_card import card
from infsup.core.bracket.numbers import MOST_DIGITS, WIDENING, Number, Real
from infsup.core.bracket.picture import NARROW, svg
from infsup.core.bracket.scene import MOST_COMPARATORS, MOST_COMPONENTS
from infsup.core.bracket.signs import ASCII_SIGNS, NAMESPACE, SIGNS, sign
from infsup.core.bracket.style import COLOURS, STYLE
from infsup.core.bracket.terminal import ASCII_FILLS, FEW_COLUMNS, FILLS, text
from infsup.core.bracket.words import UNBROKEN, Line, statements, strength

__all__ = [
    "ASCII_FILLS", "ASCII_SIGNS", "COLOURS", "FEW_COLUMNS", "FILLS", "MOST_COMPARATORS",
    "MOST_COMPONENTS", "MOST_DIGITS", "NAMESPACE", "NARROW", "NO_NUMBER", "SIGNS", "SILENT",
    "STYLE", "UNBROKEN", "WIDENING", "Line", "Number", "Real", "card", "cells", "clean",
    "column", "describe", "ends_in_words", "headline", "plain", "sign", "statements",
    "strength", "svg", "text", "wrap",
]  # fmt: skip
