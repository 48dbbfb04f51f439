"""A certificate as an HTML card for notebooks."""

import html
from collections.abc import Mapping
from typing import Any

from infsup.core.bracket.characters import clean
from infsup.core.bracket.picture import svg
from infsup.core.bracket.signs import sign
from infsup.core.bracket.style import DRAWING, FONT, rules
from infsup.core.bracket.words import hypotheses_by_state, statements
from infsup.core.certificate import Certificate

_DARK = (
    'body[data-jp-theme-light="false"] .infsup-card,body.vscode-dark .infsup-card,'
    'html[theme="dark"] .infsup-card,html[data-theme="dark"] .infsup-card,'
    'body[data-theme="dark"] .infsup-card'
)
_LIGHT = (
    'body[data-jp-theme-light="true"] .infsup-card,body.vscode-light .infsup-card,'
    'html[data-theme="light"] .infsup-card,body[data-theme="light"] .infsup-card'
)
_CARD = (
    rules(".infsup-card") + f".infsup-card{{color-scheme:light dark;font:15px/1.5 {FONT};"
    "color:var(--ink);background:var(--paper);max-width:44rem;padding:.1rem .75rem .75rem;"
    "box-sizing:border-box;overflow-wrap:anywhere}"
    f"{_DARK}{{color-scheme:dark}}{_LIGHT}{{color-scheme:light}}"
    ".infsup-card .h{display:flex;justify-content:space-between;align-items:baseline;gap:1rem;"
    "border-top:1px solid var(--ink);padding:.6rem 0 .5rem}"
    ".infsup-card .t{font-size:1.15rem}.infsup-card .q,.infsup-card dt{color:var(--mute)}"
    ".infsup-card .v{color:var(--c);font-weight:600;white-space:nowrap}"
    ".infsup-card .sign{vertical-align:-.15em;margin-right:.35em;display:inline-block}"
    ".infsup-card p{margin:.3rem 0 .5rem}.infsup-card dl{margin:0;font-size:.87rem}"
    ".infsup-card dl div{display:grid;grid-template-columns:6.2rem 1fr;gap:.75rem}"
    ".infsup-card dt,.infsup-card dd{margin:0;min-width:0;font-weight:400}"
)


def card(c: Certificate, *, truth: Any = None, comparators: Mapping[str, Any] | None = None) -> str:
    """The certificate as one HTML element for notebooks: no script, no outside address.

    Args:
        c: the certificate.
        truth: the true value, as for `text`.
        comparators: name -> number or certificate.

    Returns:
        A `<div>` with its own style, well-formed as XML; everything that a caller named is escaped.
    """
    quote = html.escape
    lines = statements(c)
    rows = []
    for line in lines[1:]:
        if line.label == "hypotheses":
            found = hypotheses_by_state(c).items()
            content = "<br/>".join(f"<b>{state}</b> {quote(said)}" for state, said in found)
        else:
            content = quote(line.text)
        rows.append(f"<div><dt>{quote(line.label)}</dt><dd>{content}</dd></div>")
    said = quote(lines[0].text).replace("\n", " ")
    return (
        f'<div class="infsup-card {c.verdict}"><style>{_CARD}{DRAWING}</style>'
        f'<div class="h"><span class="t">{quote(clean(c.of))}</span>'
        f'<span class="v">{sign(c.verdict)}{c.verdict}</span></div>'
        f'<p class="q">{quote(clean(c.quantity))}</p>'
        + svg(c, truth=truth, comparators=comparators, style=False)
        + f"<p>{said[:1].upper() + said[1:]}</p>"
        + (f"<dl>{''.join(rows)}</dl>" if rows else "")
        + "</div>"
    )
