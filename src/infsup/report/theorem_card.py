"""A theorem that was checked, as the report shows it."""

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from markupsafe import Markup

from infsup.core.bracket.characters import clean
from infsup.core.bracket.numbers import exact, pretty, rounded
from infsup.core.bracket.picture import svg
from infsup.core.certificate import Certificate
from infsup.core.errors import UsageError
from infsup.report.literature import cited
from infsup.report.math import prose
from infsup.report.solution_card import drawn
from infsup.report.source import coloured, derivation, visible, without_registration
from infsup.report.template import environment
from infsup.report.typeset import typeset, words
from infsup.report.verified import Card, Comparison

_SIGNS = {"<=": "≤", ">=": "≥", "==": "="}
_BROKEN_SIGNS = {"<=": ">", ">=": "<", "==": "≠"}


def opened(cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Failures stand open, and the first card, so that one sees what the others hold."""
    last = ""
    for number, card in enumerate(cards):
        # its name stands above the first card of each pillar
        card["pillar"], last = ("" if card["pillar"] == last else card["pillar"]), card["pillar"]
        card["open"] = number == 0 or card["verdict"] == "refuted" or bool(card["error"])
    return cards


def theorem_view(card: Card) -> dict[str, Any]:
    """What the template says of a theorem."""
    head = _headline(card.compared)
    slack = any(c.tolerance for c in card.compared)
    rows: list[tuple[str, list[Any]]] = [
        ("hypotheses", [words(h) for h in card.hypotheses] or ["none"]),
        ("source", [typeset(cited(card.source))]),
    ]
    if card.notes:
        rows.append(("notes", [words(card.notes)]))
    if card.caught is not None:
        rows.append(("broken", ["caught, as it must" if card.caught else "not caught"]))
    rows.append(("cost", [_seconds(card.seconds)]))
    rows.append(("again", [f"infsup verify {clean(card.id)}"]))
    return {
        "anchor": anchor(card.id),
        "id": clean(card.id),
        "title": clean(card.title),
        "pillar": clean(card.pillar),
        "verdict": card.verdict,
        "error": card.error,
        "short": "" if head is None else _short(head),
        "seconds": _seconds(card.seconds),
        "statement": Markup(_statement(card.statement)),
        "bracket": Markup(_bracket(card, head)) if head is not None else "",
        "bracket_of": "" if head is None else typeset(head.quantity),
        "kind": _strength(card),
        "table": [_row(c, slack) for c in card.compared],
        "last": "slack" if slack else "ratio",
        "figure": Markup(drawn(card.figure, card.verdict)),
        "caption": "" if card.figure is None else typeset(card.figure.caption),
        "rows": rows,
        "place": clean(f"{card.file}:{card.line}"),
        "derivation": [typeset(part) for part in derivation(card.code)],
        "code": Markup(coloured(without_registration(card.code))),
    }


def anchor(id_: str) -> str:
    """The name of a card in links."""
    return "t-" + re.sub(r"[^A-Za-z0-9_-]", "-", id_)


def _statement(latex: str) -> str:
    """The statement as formulas; the LaTeX itself where it cannot be set."""
    try:
        return prose(visible(latex))
    except UsageError:
        return environment().from_string("<pre><code>{{ x }}</code></pre>").render(x=visible(latex))


def _headline(compared: Sequence[Comparison]) -> Comparison | None:
    """The comparison that failed, else the first."""
    return next((c for c in compared if not c.holds), compared[0] if compared else None)


def _strength(card: Card) -> tuple[str, str]:
    known = {
        "proved": ("Exact or enclosed arithmetic", ""),
        "proved_real": ("In float64", ", against the slack that is stated"),
        "confidence": ("A statement of chance", ", at its stated level"),
        "estimate": ("An estimate", ": searched or sampled"),
    }
    if card.error:
        return "The check ended without an answer", f": {clean(card.error)}."
    if card.verdict in ("refused", "inapplicable"):
        return f"{card.verdict[:1].upper()}{card.verdict[1:]}", f": {clean(card.notes)}"
    head, tail = known.get(card.kind, (card.kind, ""))
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
    named = environment().from_string("{{ x }}").render(x=clean(said))
    return re.sub(r'aria-label="[^"]*"', lambda _: f'aria-label="{named}"', drawn, count=1)


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
        "quantity": typeset(c.quantity),
        "text": typeset(c.text),
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
