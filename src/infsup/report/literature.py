"""Keys of the bibliography as names of authors, and the works themselves."""

import functools
import pathlib
import re
from collections.abc import Iterable

PLACES = ("journal", "booktitle", "publisher", "howpublished", "school", "note")
"""Fields that say where a work appeared, the best first."""

_KEY = re.compile(r"[a-z]+\d{4}[a-z]*")
_IN_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_PLACES = (
    pathlib.Path(__file__).with_name("references.bib"),
    # in a clone; a wheel has the copy above
    pathlib.Path(__file__).parents[3] / "docs" / "references.bib",
)


@functools.cache
def bibliography() -> dict[str, dict[str, str]]:
    """Key -> fields; empty where the file is not there."""
    for path in _PLACES:
        if path.is_file():
            return parsed(path.read_text("utf-8"))
    return {}


def parsed(text: str) -> dict[str, dict[str, str]]:
    """The entries of a BibTeX file whose fields stand one in a line, in braces."""
    found = {}
    for entry in re.finditer(r"^@(\w+)\{([^,\s]+),\n(.*?)^\}", text, re.MULTILINE | re.DOTALL):
        fields = re.findall(r"^\s*(\w+)\s*=\s*\{(.*)\},?\s*$", entry[3], re.MULTILINE)
        found[entry[2]] = {"type": entry[1].lower(), **{k.lower(): v for k, v in fields}}
    return found


def names(key: str) -> str:
    """`Yarotsky 2017` for `yarotsky2017error`; from the key itself where the work is unknown.

    Two works of the same authors and year get letters, in the order of their keys.
    """
    alike = sorted(k for k in bibliography() if _names(k) == _names(key))
    letter = chr(ord("a") + alike.index(key)) if len(alike) > 1 else ""
    return _names(key) + letter


def _names(key: str) -> str:
    entry = bibliography().get(key)
    if entry is None:
        author, year = re.match(r"([a-z]+)(\d{4})", key).groups()  # type: ignore[union-attr]
        return f"{author.capitalize()} {year}"
    authors = [a.split(",")[0].strip() for a in entry.get("author", "").split(" and ")]
    if len(authors) > 2 or "others" in authors:
        said = f"{authors[0]} et al."
    else:
        said = " and ".join(authors)
    return f"{said} {entry.get('year', '')}".strip()


def whole(key: str) -> str:
    """Authors, title, where, year."""
    entry = bibliography().get(key, {})
    authors = [_in_order(a) for a in entry.get("author", "").split(" and ") if a]
    said = ", ".join(authors).replace(", others", " and others")
    where = next((entry[k] for k in PLACES if k in entry), "")
    parts = (said, entry.get("title", ""), where, entry.get("year", ""))
    return ". ".join(p.rstrip(".") for p in parts[:2] if p) + (
        f". {', '.join(p for p in parts[2:] if p)}." if any(parts) else ""
    )


def _in_order(author: str) -> str:
    last, _, first = author.partition(",")
    return f"{first.strip()} {last.strip()}".strip()


def keys(text: str) -> list[str]:
    """The keys in brackets of a text, in their order."""
    inside = (part.strip() for found in _IN_BRACKETS.findall(text) for part in found.split(","))
    return [part for part in inside if _KEY.fullmatch(part)]


def cited(text: str) -> str:
    """The text with names of authors in place of keys in brackets."""

    def said(found: re.Match[str]) -> str:
        parts = [part.strip() for part in found[1].split(",")]
        if not any(_KEY.fullmatch(part) for part in parts):
            return found[0]
        return ", ".join(names(part) if _KEY.fullmatch(part) else part for part in parts)

    return _IN_BRACKETS.sub(said, text)


def works(sources: Iterable[str]) -> list[tuple[str, str]]:
    """(names, whole reference) of all works that are cited and known, by name."""
    there = {key for text in sources for key in keys(text)} & bibliography().keys()
    return sorted((names(key), whole(key)) for key in there)
