"""The report: what was solved and which theorems were checked, as one page without outside parts.

Everything that a file or a user said goes through the template's escaping; only drawings, formulas
and code that this package wrote itself are put in as they are.
"""

import ast
import functools
import io
import math
import pathlib
import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from markupsafe import Markup

from infsup.core.bracket.characters import clean
from infsup.core.bracket.components import SILENT
from infsup.core.bracket.numbers import exact, pretty, rounded
from infsup.core.bracket.picture import svg
from infsup.core.bracket.signs import sign
from infsup.core.bracket.style import COLOURS
from infsup.core.bracket.style import DRAWING as BRACKETS
from infsup.core.bracket.words import hypotheses_by_state, statements
from infsup.core.certificate import VERDICTS, Certificate
from infsup.core.errors import UsageError
from infsup.core.figure import Figure
from infsup.report.figures import DRAWING as FIGURES
from infsup.report.figures import draw
from infsup.report.legend import legend
from infsup.report.literature import cited, works
from infsup.report.math import font_face, inline, prose
from infsup.report.png import address, ink
from infsup.report.stops import Stop, Unreadable
from infsup.report.verified import Card, Comparison, Verified

MOST_BYTES = 10_000_000
"""A larger page becomes one page a pillar."""

_HERE = pathlib.Path(__file__).parent
_LEAD = "Every answer below lies between an inf and a sup, and says how that is known."
_SIGNS = {"<=": "≤", ">=": "≥", "==": "="}
_BROKEN_SIGNS = {"<=": ">", ">=": "<", "==": "≠"}
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
    files = {p: f"{_anchor(p)}.html" for p in pillars}
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
    stop_views = [_stop(s, number) for number, s in enumerate(stops, 1)]
    card_views = _opened([_card(c) for c in cards])
    return (
        _environment()
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
def _environment() -> Any:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
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
    page = (_HERE / "page.css").read_text("utf-8")
    return (
        f"{font_face()}:root{{color-scheme:light dark}}{light}"
        f"@supports (color:light-dark(#000,#fff)){{{both}}}{page}{BRACKETS}{FIGURES}"
    )


# -- the head --------------------------------------------------------------------------------------


def _strip(
    stops: Sequence[Mapping[str, Any]],
    cards: Sequence[Mapping[str, Any]],
    verified: Verified | None,
    files: Mapping[str, str] | None,
) -> list[dict[str, Any]]:
    """How often each verdict was given, with a link to the first; and the broken variants."""
    seen = [(view["verdict"], f"#{view['anchor']}") for view in (*stops, *cards)]
    if files and verified is not None:
        seen += [(c.verdict, f"{files[c.pillar]}#{_anchor(c.id)}") for c in verified.cards]
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


# -- a solution ------------------------------------------------------------------------------------


def _stop(stop: Stop, number: int) -> dict[str, Any]:
    c = stop.certificate
    tiles, figure, caption = [], "", ""
    if stop.picture is not None:
        tiles = [(address(ink(t.image)), clean(t.word)) for t in stop.picture.tiles]
        figure = _drawn(stop.picture.figure, c.verdict)
        caption = clean(stop.picture.caption)
    said = {line.label: line for line in statements(c)}
    rows = [("hypotheses", list(hypotheses_by_state(c).items()) or [("assumed", "none")])]
    rows += [(label, [("", said[label].text)]) for label in ("width", "asked") if label in said]
    if stop.also:
        rows.append(("also", [("", _in_one_line(x, c)) for x in stop.also]))
    rows += [("source", [("", clean(c.source))])] if c.source else []
    rows.append(("cost", [("", clean(stop.cost))]))
    return {
        "anchor": f"q{number}",
        "verdict": c.verdict,
        "title": clean(stop.title),
        "question": clean(stop.question),
        "bracket": Markup(_with_comparators(stop)),
        "kind": _kind_in_words(c),
        "tiles": tiles,
        "columns": min(7, max(4, len(tiles))),
        "figure": Markup(figure),
        "caption": caption,
        "rows": rows,
        "commands": [clean(command) for command in stop.commands],
    }


def solution_card(stop: Stop) -> str:
    """Verdict, bracket, strength and picture of a solution, as HTML in one line for another page.

    The page brings the CSS of brackets and figures.
    """
    made = (
        _environment()
        .get_template("card.html")
        .render(s=_stop(stop, 1), sign=lambda verdict: Markup(sign(verdict)))
    )
    return " ".join(made.split())


def _with_comparators(stop: Stop) -> str:
    return svg(stop.certificate, truth=stop.truth, comparators=dict(stop.comparators), style=False)


def _kind_in_words(c: Certificate) -> tuple[str, str]:
    """The statement of strength, its beginning apart."""
    first = statements(c)[0].text.replace("\n", " ")
    if c.verdict in SILENT:
        return f"{c.verdict[:1].upper()}{c.verdict[1:]}", f": {first}"
    first = re.sub(r" \((proved|proved_real|confidence|asymptotic|estimate)\)", "", first)
    head, mark, tail = first.partition(", " if ", " in first else ": ")
    return head[:1].upper() + head[1:], f"{mark}{tail}".rstrip(".") + "."


def _in_one_line(c: Certificate, headline: Certificate) -> str:
    from infsup.core.bracket import ends_in_words

    what = c.quantity if c.of == headline.of else f"{c.quantity} of {c.of}"
    name = c.bound.rsplit(":", 1)[-1].rsplit(".", 1)[-1]
    worth = f"{c.verdict}, {c.kind}" if c.holds() else f"{c.verdict}, {c.reason}"
    return clean(f"{what}, {ends_in_words(c)}, {worth} ({name})")


def _drawn(figure: Figure | None, verdict: str) -> str:
    if figure is None:
        return ""
    try:
        return draw(figure, verdict, style=False)
    except UsageError as e:
        words = _environment().from_string("<p class=note>No picture: {{ why }}.</p>")
        return words.render(why=e.what)


# -- a theorem -------------------------------------------------------------------------------------


def _opened(cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Failures stand open, and the first card, so that one sees what the others hold."""
    last = ""
    for number, card in enumerate(cards):
        # its name stands above the first card of each pillar
        card["pillar"], last = ("" if card["pillar"] == last else card["pillar"]), card["pillar"]
        card["open"] = number == 0 or card["verdict"] == "refuted" or bool(card["error"])
    return cards


def _card(card: Card) -> dict[str, Any]:
    head = _headline(card.compared)
    slack = any(c.tolerance for c in card.compared)
    rows: list[tuple[str, list[Any]]] = [
        ("hypotheses", [_words(h) for h in card.hypotheses] or ["none"]),
        ("source", [clean(cited(card.source))]),
    ]
    if card.notes:
        rows.append(("notes", [_words(card.notes)]))
    if card.caught is not None:
        rows.append(("broken", ["caught, as it must" if card.caught else "not caught"]))
    rows.append(("cost", [_seconds(card.seconds)]))
    rows.append(("again", [f"infsup verify {clean(card.id)}"]))
    return {
        "anchor": _anchor(card.id),
        "id": clean(card.id),
        "title": clean(card.title),
        "pillar": clean(card.pillar),
        "verdict": card.verdict,
        "error": card.error,
        "short": "" if head is None else _short(head),
        "seconds": _seconds(card.seconds),
        "statement": Markup(_statement(card.statement)),
        "bracket": Markup(_bracket(card, head)) if head is not None else "",
        "bracket_of": "" if head is None else clean(head.quantity),
        "kind": _strength(card),
        "table": [_row(c, slack) for c in card.compared],
        "last": "slack" if slack else "ratio",
        "figure": Markup(_drawn(card.figure, card.verdict)),
        "caption": "" if card.figure is None else clean(card.figure.caption),
        "rows": rows,
        "place": clean(f"{card.file}:{card.line}"),
        "derivation": _derivation(card.code),
        "code": Markup(_coloured(_without_registration(card.code))),
    }


def _anchor(id_: str) -> str:
    return "t-" + re.sub(r"[^A-Za-z0-9_-]", "-", id_)


def _statement(latex: str) -> str:
    """The statement as formulas; the LaTeX itself where it cannot be set."""
    try:
        return prose(_visible(latex))
    except UsageError:
        return (
            _environment().from_string("<pre><code>{{ x }}</code></pre>").render(x=_visible(latex))
        )


def _words(text: str) -> Any:
    """Words, of which those in dollars are formulas."""
    try:
        return Markup(inline(clean(text)))
    except UsageError:
        return clean(text)


def _headline(compared: Sequence[Comparison]) -> Comparison | None:
    """The comparison that failed, else the first."""
    return next((c for c in compared if not c.holds), compared[0] if compared else None)


def _strength(card: Card) -> tuple[str, str]:
    words = {
        "proved": ("Exact or enclosed arithmetic", ""),
        "proved_real": ("In float64", ", against the slack that is stated"),
        "confidence": ("A statement of chance", ", at its stated level"),
        "estimate": ("An estimate", ": searched or sampled"),
    }
    if card.error:
        return "The check ended without an answer", f": {clean(card.error)}."
    if card.verdict in ("refused", "inapplicable"):
        return f"{card.verdict[:1].upper()}{card.verdict[1:]}", f": {clean(card.notes)}"
    head, tail = words.get(card.kind, (card.kind, ""))
    if card.verdict == "refuted":
        tail += ". What was measured is not what the theorem says"
    return head, tail + "."


def _bracket(card: Card, head: Comparison) -> str:
    """What the theorem allows as a bracket, and where the measured number lies."""
    m, b, t = (exact(x) for x in (head.measured, head.bound, head.tolerance))
    if not all(isinstance(x, Fraction) for x in (m, b, t)):
        return ""
    assert isinstance(m, Fraction)
    assert isinstance(b, Fraction)
    assert isinstance(t, Fraction)
    lower: Any = b - t
    upper: Any = b + t
    if head.relation == "<=":
        lower, upper = (0.0 if min(m, b) >= 0 else -math.inf), b
    elif head.relation == ">=":
        lower, upper = b, math.inf
    if lower > upper or (lower == upper == 0 and head.relation != "=="):
        return ""
    kind = card.kind if card.kind != "confidence" else "asymptotic"
    claim = Certificate(
        head.quantity, card.title, lower, upper, card.kind, "theorem",
        verdict=card.verdict if card.verdict in ("certified", "refuted") else "certified",
        level=0.99 if kind == "asymptotic" else 1.0, reason="the measured number lies outside",
    )  # fmt: skip
    drawn = svg(claim, comparators={"measured": m}, style=False)
    said = f"{head.quantity}: {_short(head)}"
    words = _environment().from_string("{{ x }}").render(x=clean(said))
    return re.sub(r'aria-label="[^"]*"', lambda _: f'aria-label="{words}"', drawn, count=1)


def _short(c: Comparison) -> str:
    relation = (_SIGNS if c.holds else _BROKEN_SIGNS)[c.relation]
    measured, bound = _apart(c, 4)
    return f"{measured} {relation} {bound}"


def _apart(c: Comparison, digits: int) -> tuple[str, str]:
    """Both numbers, with more digits where a failure would not show."""
    while True:
        found = _number(c.measured, digits), _number(c.bound, digits)
        if c.holds or found[0] != found[1] or digits > 16:
            return found
        digits += 1


def _row(c: Comparison, slack: bool) -> dict[str, Any]:
    relation = (_SIGNS if c.holds else _BROKEN_SIGNS)[c.relation]
    if slack:
        last = _number(c.tolerance, 2) if c.tolerance else "none"
    else:
        m, b = exact(c.measured), exact(c.bound)
        known = isinstance(m, Fraction) and isinstance(b, Fraction) and b
        last = _number(float(m / b), 3) if known else ""
    measured, bound = _apart(c, 5)
    return {
        "quantity": clean(c.quantity),
        "text": clean(c.text),
        "measured": measured,
        "relation": relation,
        "bound": bound,
        "last": last,
        "holds": c.holds,
    }


def _number(x: Any, digits: int) -> str:
    """A number for people: a short fraction as it is, else some digits."""
    v = exact(x)
    if not isinstance(v, Fraction):
        return pretty(str(v)) if v == v else "NaN"
    if v.denominator == 1 and abs(v.numerator) < 10**9:
        return f"{v.numerator:,}".replace("-", "−")
    if isinstance(x, Fraction) and len(f"{v}") <= 12:
        return f"{v}".replace("-", "−")
    return pretty(rounded(v, 0, abs(v) / 10**digits))


def _seconds(s: float) -> str:
    if s < 0.1:
        return "below 0.1 s"
    return f"{s:.1f} s" if s < 10 else f"{s:,.0f} s"


def _function(code: str) -> ast.FunctionDef | None:
    """The check in its source; None where that is no Python."""
    try:
        there = ast.parse(textwrap.dedent(code)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return next((node for node in there if isinstance(node, ast.FunctionDef)), None)


def _derivation(code: str) -> list[str]:
    """The paragraphs of the check's docstring: why its constants are what they are."""
    function = _function(code)
    said = ast.get_docstring(function) if function is not None else None
    paragraphs = (clean(part) for part in re.split(r"\n\s*\n", said or ""))
    return [part for part in paragraphs if part]


def _without_registration(code: str) -> str:
    """The function alone: what its decorator says stands on the card already."""
    function = _function(code)
    if function is None:
        return code
    return "\n".join(textwrap.dedent(code).split("\n")[function.lineno - 1 :])


def _visible(text: str) -> str:
    """Lines as they are, without controls and marks that change the order of what is read."""
    return "\n".join(
        "".join(ch for ch in line if unicodedata.category(ch) not in ("Cc", "Cf", "Cs"))
        for line in text.expandtabs(4).split("\n")
    )


def _coloured(code: str) -> str:
    """Python with its keywords bold and its comments grey; everything escaped."""
    import pygments
    from pygments.formatter import Formatter
    from pygments.lexers.python import PythonLexer
    from pygments.token import Comment, Keyword, String

    words = _environment().from_string("{{ x }}")

    class Marked(Formatter):
        def format(self, tokensource: Any, outfile: Any) -> None:
            for kind, text in tokensource:
                escaped = str(words.render(x=text))
                if kind in Keyword:
                    escaped = f"<b>{escaped}</b>"
                elif kind in Comment or kind in String.Doc:
                    escaped = f"<i>{escaped}</i>"
                outfile.write(escaped)

    out = io.StringIO()
    pygments.highlight(_visible(code), PythonLexer(stripnl=False), Marked(), out)
    return out.getvalue()
