"""The report: what was solved and which theorems were checked, as one page without outside parts.

Everything that a file or a user said goes through the template's escaping; only drawings, formulas
and code that this package wrote itself are put in as they are.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from infsup.core.bracket.characters import clean
from infsup.core.bracket.signs import sign
from infsup.core.bracket.style import COLOURS
from infsup.core.bracket.style import DRAWING as BRACKETS
from infsup.core.certificate import VERDICTS
from infsup.report.figures import DRAWING as FIGURES
from infsup.report.legend import legend
from infsup.report.literature import works
from infsup.report.math import font_face
from infsup.report.solution_card import solution_view
from infsup.report.stops import Stop, Unreadable
from infsup.report.template import HERE, environment
from infsup.report.theorem_card import anchor, opened, theorem_view
from infsup.report.verified import Card, Verified

MOST_BYTES = 10_000_000
"""A larger page becomes one page a pillar."""

_LEAD = "Every answer below lies between an inf and a sup, and says how that is known."
_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


@dataclass(frozen=True)
class Report:
    """What is to be shown.

    Args:
        stops: solutions, and folders that could not be read.
        verified: the run of `infsup verify`; None where there is none.
        faults: (what, why) of files that could not be read.
        run: (label, text) of the head: command, date, versions.
    """

    stops: Sequence[Stop | Unreadable] = ()
    verified: Verified | None = None
    faults: Sequence[tuple[str, str]] = ()
    run: Sequence[tuple[str, str]] = ()


def pages(report: Report, *, most_bytes: int = MOST_BYTES) -> dict[str, str]:
    """File name -> HTML: `index.html`, and one more page a pillar where that would be too large.

    Args:
        report: what is to be shown.
        most_bytes: the largest that one page may be.
    """
    whole = _render(report, report.verified.cards if report.verified else ())
    if report.verified is None or len(whole.encode()) <= most_bytes:
        return {"index.html": whole}
    pillars = dict.fromkeys(c.pillar for c in report.verified.cards)
    files = {p: f"{anchor(p)}.html" for p in pillars}
    found = {"index.html": _render(report, (), files)}
    for pillar, file in files.items():
        cards = [c for c in report.verified.cards if c.pillar == pillar]
        part = Report(verified=report.verified, run=report.run)
        found[file] = found.get(file, "") + _render(part, cards, part=pillar)
    return found


def _render(
    report: Report,
    cards: Sequence[Card],
    files: Mapping[str, str] | None = None,
    part: str = "",
) -> str:
    stops = [s for s in report.stops if isinstance(s, Stop)]
    notices = [
        *((s.path, s.reason) for s in report.stops if isinstance(s, Unreadable)),
        *report.faults,
    ]
    stop_views = [solution_view(s, number) for number, s in enumerate(stops, 1)]
    card_views = opened([theorem_view(c) for c in cards])
    return (
        environment()
        .get_template("page.html")
        .render(
            title=f"infsup report{': ' + clean(part) if part else ''}",
            style=Markup(_style()),
            lead=_LEAD if not part else f"Theorems of {clean(part)}.",
            run=[(a, clean(b)) for a, b in report.run],
            notices=[(clean(a), clean(b)) for a, b in notices],
            strip=_strip(stop_views, card_views, report.verified, files),
            pages=sorted((clean(p), f) for p, f in (files or {}).items()),
            part=part,
            key=[(Markup(a), b, c) for a, b, c in legend()],
            stops=stop_views,
            stops_title=_counted(len(stops), "question", "bracket"),
            cards=card_views,
            cards_title="Theorems that ran",
            cards_note=_note(report.verified),
            index=_index(cards, card_views),
            sign=lambda verdict: Markup(sign(verdict)),
            again=_again(stops),
            works=works(c.source for c in cards),
        )
    )


@functools.cache
def _style() -> str:
    """All CSS of a page, colours for light paper first, for browsers that know no `light-dark`."""

    def colours(which: Any) -> str:
        shared = ";".join(f"--{k}:{which(*v)}" for k, v in COLOURS.items() if k not in VERDICTS)
        own = "".join(f".{v}{{--c:{which(*COLOURS[v])}}}" for v in VERDICTS)
        return f":root{{{shared};--c:var(--ink);--rule:{which('#1a1a1a', '#767b83')}}}{own}"

    light = colours(lambda on_light, on_dark: on_light)
    both = colours(lambda on_light, on_dark: f"light-dark({on_light},{on_dark})")
    page = (HERE / "page.css").read_text("utf-8")
    return (
        f"{font_face()}:root{{color-scheme:light dark}}{light}"
        f"@supports (color:light-dark(#000,#fff)){{{both}}}{page}{BRACKETS}{FIGURES}"
    )


def _strip(
    stops: Sequence[Mapping[str, Any]],
    cards: Sequence[Mapping[str, Any]],
    verified: Verified | None,
    files: Mapping[str, str] | None,
) -> list[dict[str, Any]]:
    """How often each verdict was given, with a link to the first; and the broken variants."""
    seen = [(view["verdict"], f"#{view['anchor']}") for view in (*stops, *cards)]
    if files and verified is not None:
        seen += [(c.verdict, f"{files[c.pillar]}#{anchor(c.id)}") for c in verified.cards]
    if not seen:
        return []
    cells = []
    for verdict in VERDICTS:
        targets = [target for v, target in seen if v == verdict]
        first = targets[0] if targets else ""
        cells.append({"verdict": verdict, "word": verdict, "count": len(targets), "target": first})
    ran = [c for c in (verified.cards if verified else ()) if c.caught is not None]
    if ran:
        caught = sum(bool(c.caught) for c in ran)
        words = {"verdict": "brk", "word": "broken caught", "target": ""}
        cells.append({**words, "count": caught, "of": len(ran)})
    return cells


def _counted(count: int, one: str, other: str) -> str:
    word = _NUMBERS[count] if count < len(_NUMBERS) else str(count)
    many = "s" if count != 1 else ""
    return f"{word} {one}{many}, {word.lower()} {other}{many}"


def _note(verified: Verified | None) -> str:
    if verified is None:
        return ""
    words = (
        "Each is compared with what the library computes, and could have failed. A pass proves no "
        "theorem; a miss refutes it, or the library."
    )
    if any(c.caught is not None for c in verified.cards):
        words += " Each check also ran with an error planted in it, which it must find."
    return words


def _index(cards: Sequence[Card], views: Sequence[Mapping[str, Any]]) -> list[tuple[str, list]]:
    found: dict[str, list] = {}
    for card, view in zip(cards, views, strict=True):
        found.setdefault(clean(card.pillar), []).append(view)
    return list(found.items())


def _again(stops: Sequence[Stop]) -> str:
    if not stops:
        return "Run the checks again: infsup verify"
    last = clean(stops[0].commands[-1])
    return f"Check a claim again from its files, by a second program: {last}"
