"""Where a command prints: columns, ASCII, colour and JSON are decided here, once."""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

WIDEST = 100
"""Lines longer than this are hard to read, however wide the terminal is."""

SCHEMA = 1

STYLES = {
    "certified": "bright_blue",
    "conditional": "bright_blue",
    "consistent": "green",
    "vacuous": "bright_black",
    "inapplicable": "bright_black",
    "refused": "yellow",
    "refuted": "red",
}
"""Verdict -> colour of the terminal's own palette, so that light and dark both read well."""


@dataclass
class Screen:
    """What the flags and the terminal ask for.

    Args:
        json: whether one JSON object is the only thing on stdout.
        quiet: whether one line (of a list: the names) will do.
        no_color: whether the flag forbids colour; NO_COLOR and TERM=dumb do as well.
        command: the command that runs, as JSON names it.
        out: where the result goes.
    """

    json: bool = False
    quiet: bool = False
    no_color: bool = False
    command: str = ""
    out: Any = field(default_factory=lambda: sys.stdout)

    @property
    def width(self) -> int:
        """Columns to fill; 80 where there is no terminal."""
        return max(24, min(WIDEST, shutil.get_terminal_size((80, 24)).columns))

    @property
    def ascii(self) -> bool:
        """Whether stdout cannot show the signs of the brackets."""
        return ascii_only(self.out)

    def say(self, text: str = "", verdict: str = "", *, file: Any = None) -> None:
        """Prints one line; its first two words take the verdict's colour on a terminal.

        Args:
            text: the line. Letters that the terminal cannot show are spelled out.
            verdict: of `STYLES`; "" for ink.
            file: instead of stdout.
        """
        file = file or self.out
        if self.json and file is self.out:
            return
        if ascii_only(file) and not text.isascii():
            from infsup.core.bracket import plain

            text = plain(text)
        encoding = file.encoding or "utf-8"
        text = text.encode(encoding, "replace").decode(encoding)
        if verdict and self._colour(file):
            self._paint(text, verdict, file)
        else:
            file.write(text + "\n")

    def lines(self, lines: Iterable[str]) -> None:
        """Prints some lines."""
        for line in lines:
            self.say(line)

    def note(self, text: str) -> None:
        """Prints a line for people on stderr, wrapped; nothing with --quiet."""
        if not self.quiet:
            for line in textwrap.wrap(text, self.width):
                self.say(line, file=sys.stderr)

    def rows(self, rows: Iterable[tuple[str, str]], *, label: int = 14) -> None:
        """Prints labels with a text beside each; below it, indented, where it is narrow."""
        narrow = self.width < 60
        for name, text in rows:
            edge = 2 if narrow else max(label, len(name) + 2)
            room = self.width - edge
            if narrow:
                first = f"{name}  " if len(name) + 2 < edge or len(name) < 12 else ""
                if not first:
                    self.say(name)
                whole = textwrap.wrap(
                    text,
                    self.width,
                    initial_indent=first or " " * edge,
                    subsequent_indent=" " * edge,
                    break_on_hyphens=False,
                )
                self.lines(whole or ([first.rstrip()] if first else []))
                continue
            wrapped = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
            self.say((name.ljust(edge) + wrapped[0]).rstrip())
            self.lines(" " * edge + line for line in wrapped[1:])

    def emit(self, document: dict[str, Any]) -> None:
        """Prints the one JSON object, where --json was given."""
        if self.json:
            whole = {"schema": SCHEMA, "command": self.command, **document}
            self.out.write(json.dumps(whole, allow_nan=False) + "\n")

    def _colour(self, file: Any) -> bool:
        plain = self.no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return not plain and file.isatty()

    def _paint(self, text: str, verdict: str, file: Any) -> None:
        from rich.console import Console
        from rich.text import Text

        line = Text(text)
        words = text.split(" ", 2)
        line.stylize(STYLES[verdict], 0, len(" ".join(words[:2])))
        Console(file=file, width=10_000).print(line, soft_wrap=True)


def ascii_only(file: Any) -> bool:
    """Whether a stream cannot show the signs of the brackets."""
    try:
        "├━●▸✓∞".encode(file.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return True
    return False


screen = Screen()
"""The screen of this process; `begin` sets it for a command."""


def begin(**settings: Any) -> Screen:
    """A fresh screen with some settings, in place, so that who imported it sees them."""
    fresh = Screen(**settings)
    for name in Screen.__dataclass_fields__:
        setattr(screen, name, getattr(fresh, name))
    return screen
