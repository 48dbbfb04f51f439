"""A solution as the report shows it."""

import re
from typing import Any

from markupsafe import Markup

from infsup.core.bracket.characters import clean
from infsup.core.bracket.components import SILENT
from infsup.core.bracket.picture import svg
from infsup.core.bracket.signs import sign
from infsup.core.bracket.words import hypotheses_by_state, statements, strength
from infsup.core.certificate import Certificate
from infsup.core.errors import UsageError
from infsup.core.figure import Figure
from infsup.report.figures import draw
from infsup.report.png import address, ink
from infsup.report.stops import Stop
from infsup.report.template import environment
from infsup.report.typeset import typeset, words


def solution_view(stop: Stop, number: int) -> dict[str, Any]:
    """What the template says of a solution."""
    c = stop.certificate
    tiles, figure, caption = [], "", ""
    if stop.picture is not None:
        tiles = [(address(ink(t.image)), clean(t.word)) for t in stop.picture.tiles]
        above, figure = stop.picture.above, drawn(stop.picture.figure, c.verdict)
        if above is not None:
            figure = drawn(above, c.verdict, height=115.0, left=58.0)
            figure += drawn(stop.picture.figure, c.verdict, height=165.0, left=58.0)
        caption = typeset(stop.picture.caption)
    said = {line.label: line for line in statements(c)}
    states = list(hypotheses_by_state(c).items()) or [("assumed", "none")]
    rows = [("hypotheses", [(state, typeset(text)) for state, text in states])]
    for label in ("width", "asked"):
        rows += [(label, [("", typeset(said[label].text))])] if label in said else []
    if stop.also:
        rows.append(("also", [("", typeset(_in_one_line(x, c))) for x in stop.also]))
    rows += [("source", [("", typeset(c.source))])] if c.source else []
    rows.append(("cost", [("", typeset(stop.cost))]))
    return {
        "anchor": f"q{number}",
        "verdict": c.verdict,
        "title": clean(stop.title),
        "question": words(stop.question),
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
        environment()
        .get_template("card.html")
        .render(s=solution_view(stop, 1), sign=lambda verdict: Markup(sign(verdict)))
    )
    return " ".join(made.split())


def _with_comparators(stop: Stop) -> str:
    return svg(stop.certificate, truth=stop.truth, comparators=dict(stop.comparators), style=False)


def _kind_in_words(c: Certificate) -> tuple[str, Markup]:
    """The statement of strength, its beginning apart."""
    first = statements(c)[0].text.replace("\n", " ")
    if c.verdict == "refuted":
        return "Refuted", typeset(f": {first.rstrip('.')}. It was claimed as {strength(c)}.")
    if c.verdict in SILENT:
        return f"{c.verdict[:1].upper()}{c.verdict[1:]}", typeset(f": {first.rstrip('.')}.")
    first = re.sub(r" \((proved|proved_real|confidence|asymptotic|estimate)\)", "", first)
    # the first clause; a comma in an interval ends none
    head, tail = re.fullmatch(r"([^,;:\[(]*)(.*)", first, re.DOTALL).groups()  # type: ignore[union-attr]
    assumed = [clean(h.text) for h in c.hypotheses if h.state == "assumed"]
    if c.verdict == "conditional" and assumed:
        tail = tail.rstrip(".") + f", if {' and '.join(assumed)}"
    else:
        tail = tail.rstrip(".")
    return head[:1].upper() + head[1:], typeset(tail + ".")


def _in_one_line(c: Certificate, headline: Certificate) -> str:
    from infsup.core.bracket import ends_in_words

    what = c.quantity if c.of == headline.of else f"{c.quantity} of {c.of}"
    name = c.bound.rsplit(":", 1)[-1].rsplit(".", 1)[-1]
    worth = f"{c.verdict}, {c.kind}" if c.holds() else f"{c.verdict}, {c.reason}"
    return clean(f"{what}, {ends_in_words(c)}, {worth} ({name})")


_NO_PICTURE = "<p class=note>No picture: {{ why }}.</p>"


def drawn(figure: Figure | None, verdict: str, **room: float) -> str:
    """A figure as SVG, in words where it cannot be drawn."""
    if figure is None:
        return ""
    try:
        return draw(figure, verdict, style=False, **room)
    except UsageError as e:
        return environment().from_string(_NO_PICTURE).render(why=e.what)
