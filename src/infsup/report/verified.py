"""What `infsup verify` wrote, read as a stranger's file: every field is checked before its use."""

import json
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from infsup.core.certificate import KINDS, VERDICTS
from infsup.core.errors import FileRejected
from infsup.core.figure import Curve, Figure
from infsup.core.storage import text_to_number

MOST_BYTES = 64 << 20
RELATIONS = ("<=", ">=", "==")


@dataclass(frozen=True)
class Comparison:
    """What was measured beside what the theorem promises; see `theorems.registry.Compared`."""

    quantity: str
    measured: float | Fraction
    relation: str
    bound: float | Fraction
    tolerance: float | Fraction
    text: str
    holds: bool


@dataclass(frozen=True)
class Card:
    """One theorem that was checked.

    Args:
        id, title, statement, hypotheses, source, pillar, kind: as registered.
        verdict: of `VERDICTS`.
        compared: the headline first; empty where the check gave none.
        figure: its picture.
        notes: of the check, in words.
        error: why the check ended without an answer; "" where it did not.
        seconds: how long it took.
        file, line, code: the check itself.
        caught: whether the broken variant failed as it must; None where it was not run.
    """

    id: str
    title: str
    statement: str
    hypotheses: tuple[str, ...]
    source: str
    pillar: str
    kind: str
    verdict: str
    compared: tuple[Comparison, ...]
    figure: Figure | None
    notes: str
    error: str
    seconds: float
    file: str
    line: int
    code: str
    caught: bool | None = None


@dataclass(frozen=True)
class Verified:
    """One run of `infsup verify`.

    Args:
        cards: the theorems, in the order of the file.
        size: "quick", "default" or "full".
        seconds: of the whole run.
        versions: package -> version.
        key: of all random draws.
        faults: (what, why) of parts that could not be read: the run of the broken variants, or
            the figure of a card, which is then shown without.
    """

    cards: tuple[Card, ...]
    size: str
    seconds: float
    versions: Mapping[str, str]
    key: int
    faults: tuple[tuple[str, str], ...] = ()


def read(folder: pathlib.Path) -> Verified:
    """The run in `folder/verify.json`, and which broken variants were caught, of `broken.json`.

    Raises:
        FileRejected: the first file is too large, no JSON, of another kind or schema, or lacks a
            field; the first fault is named.
    """
    document = _document(folder / "verify.json")
    faults: list[tuple[str, str]] = []
    try:
        caught = _caught(folder / "broken.json")
    except FileRejected as e:
        caught = {}
        faults.append((str(folder / "broken.json"), e.what))
    entries = _field(document, "theorems", list, "verify.json")
    cards = tuple(_card(entry, caught, faults) for entry in entries)
    if len({c.id for c in cards}) < len(cards):
        raise FileRejected("verify.json names a theorem twice", remedy="infsup verify")
    versions = _field(document, "versions", dict, "verify.json")
    return Verified(
        cards,
        _field(document, "size", str, "verify.json"),
        _seconds(document, "verify.json"),
        {str(k): str(v) for k, v in versions.items()},
        _field(document, "key", int, "verify.json"),
        tuple(faults),
    )


def _caught(path: pathlib.Path) -> dict[str, bool]:
    """Id -> whether the check found the error that was planted."""
    if not path.exists():
        return {}
    where = path.name
    return {
        _field(entry, "id", str, where): _field(entry, "verdict", str, where) == "refuted"
        for entry in _field(_document(path), "theorems", list, where)
    }


def _document(path: pathlib.Path) -> dict[str, Any]:
    again = "infsup verify"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise FileRejected(f"{path} has more than {MOST_BYTES >> 20} MB", remedy=again)
        found = json.loads(path.read_text("utf-8"))
    except OSError as e:
        raise FileRejected(f"{path} cannot be read: {e.strerror}", remedy=again) from None
    except (ValueError, RecursionError):
        raise FileRejected(f"{path} is no JSON", "It was cut off or changed.", again) from None
    if not isinstance(found, dict) or found.get("kind") != "verify" or found.get("schema") != 1:
        raise FileRejected(f"{path} is no record of `infsup verify`, schema 1", remedy=again)
    return found


def _field(entry: Any, name: str, kind: type, where: str) -> Any:
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise FileRejected(
            f"{where}: `{name}` is {type(value).__name__}, not {kind.__name__}",
            "It was changed, or written by another version.",
            "infsup verify",
        )
    return value


def _seconds(entry: Any, where: str) -> float:
    value = entry.get("seconds") if isinstance(entry, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e9:
        raise FileRejected(f"{where}: `seconds` is no time", remedy="infsup verify")
    return float(value)


def _card(entry: Any, caught: Mapping[str, bool], faults: list[tuple[str, str]]) -> Card:
    name = entry.get("id") if isinstance(entry, dict) else None
    where = f"verify.json, {name}" if isinstance(name, str) else "verify.json"

    def text(field: str) -> str:
        return _field(entry, field, str, where)

    hypotheses = _field(entry, "hypotheses", list, where)
    if not all(isinstance(h, str) for h in hypotheses):
        raise FileRejected(f"{where}: a hypothesis is no text", remedy="infsup verify")
    verdict, kind = text("verdict"), entry.get("kind", "estimate")
    if verdict not in VERDICTS or kind not in KINDS:
        raise FileRejected(f"{where}: unknown verdict or kind", remedy="infsup verify")
    try:
        figure = None if entry.get("figure") is None else figure_of(entry["figure"], where)
    except FileRejected as e:
        figure = None
        faults.append((f"the figure of {text('id')}", e.what))
    error = entry.get("error", "")
    return Card(
        id=text("id"),
        title=text("title"),
        statement=text("statement"),
        hypotheses=tuple(hypotheses),
        source=text("source"),
        pillar=text("pillar"),
        kind=kind,
        verdict=verdict,
        compared=tuple(_comparison(c, where) for c in _field(entry, "compared", list, where)),
        figure=figure,
        notes=text("notes"),
        error=error if isinstance(error, str) else "damaged",
        seconds=_seconds(entry, where),
        file=text("file"),
        line=_field(entry, "line", int, where),
        code=text("code"),
        caught=caught.get(text("id")),
    )


def _comparison(entry: Any, where: str) -> Comparison:
    def number(field: str) -> float | Fraction:
        said = _field(entry, field, str, where)
        return float("nan") if said == "nan" else text_to_number(said)

    relation = _field(entry, "relation", str, where)
    if relation not in RELATIONS:
        raise FileRejected(f"{where}: `{relation[:20]}` is no relation", remedy="infsup verify")
    return Comparison(
        quantity=_field(entry, "quantity", str, where),
        measured=number("measured"),
        relation=relation,
        bound=number("bound"),
        tolerance=number("tolerance"),
        text=_field(entry, "text", str, where),
        holds=_field(entry, "holds", bool, where),
    )


def figure_of(entry: Any, where: str = "a figure") -> Figure:
    """A figure from plain data, the fields of `core.figure.Figure` with lists in place of arrays.

    Raises:
        FileRejected: a field is missing or of another type.
    """
    curves = []
    for c in _field(entry, "curves", list, where):
        top = c.get("top") if isinstance(c, dict) else None
        curves.append(
            Curve(
                _array(c, "x", where),
                _array(c, "y", where),
                _field(c, "label", str, where),
                _one_of(c, "ink", ("accent", "ink", "grey"), where),
                _one_of(c, "stroke", ("solid", "dashed", "points", "steps", "band"), where),
                None if top is None else _array(c, "top", where),
            )
        )
    words = {name: _field(entry, name, str, where) for name in ("x", "y", "caption")}
    logs = {name: _field(entry, name, bool, where) for name in ("log_x", "log_y")}
    images = None if entry.get("images") is None else _array(entry, "images", where, axes=4)
    return Figure(tuple(curves), **words, **logs, images=images)


def _one_of(entry: Any, name: str, known: tuple[str, ...], where: str) -> Any:
    value = _field(entry, name, str, where)
    if value not in known:
        raise FileRejected(f"{where}: `{name}` is unknown", remedy="infsup verify")
    return value


def _array(entry: Any, name: str, where: str, axes: int = 1) -> np.ndarray:
    try:
        a = np.asarray(_field(entry, name, list, where), np.float64)
    except (TypeError, ValueError, OverflowError):
        a = None
    if a is None or a.ndim != axes:
        raise FileRejected(
            f"{where}: `{name}` holds something else than numbers", remedy="infsup verify"
        )
    return a
