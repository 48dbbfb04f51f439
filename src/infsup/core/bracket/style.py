"""Colours and CSS of what is drawn in SVG and HTML."""

from collections.abc import Callable

from infsup.core.certificate import VERDICTS

COLOURS: dict[str, tuple[str, str]] = {
    "certified": ("#0072B2", "#56B4E9"),
    "conditional": ("#0072B2", "#56B4E9"),
    "consistent": ("#007a5e", "#2ecfa6"),
    "vacuous": ("#6b6b6b", "#a8a8a8"),
    "inapplicable": ("#6b6b6b", "#a8a8a8"),
    "refused": ("#a05a00", "#E69F00"),
    "refuted": ("#b3400f", "#ff8a5c"),
    "ink": ("#1a1a1a", "#e8e8e6"),
    "paper": ("#fff", "#14161a"),
    "mute": ("#5c5f63", "#a3a7ad"),
    "hair": ("#d9d9d4", "#363a41"),
}
"""Verdict, or part of the drawing -> (colour on light paper, colour on dark paper)."""

FONT = (
    'system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",Ubuntu,sans-serif;'
    "font-variant-numeric:tabular-nums lining-nums"
)


def rules(scope: str) -> str:
    """The colours below one class, for light paper, and for both where the browser knows how.

    A page that sets the same variables itself may leave them out.
    """
    light = _variables(scope, lambda on_light, on_dark: on_light)
    both = _variables(scope, lambda on_light, on_dark: f"light-dark({on_light},{on_dark})")
    return f"{light}@supports (color:light-dark(#000,#fff)){{{both}}}"


def _variables(scope: str, colour: Callable[[str, str], str]) -> str:
    """Custom properties: those that all share, then `--c` for each verdict."""
    shared = ";".join(f"--{k}:{colour(*pair)}" for k, pair in COLOURS.items() if k not in VERDICTS)
    own = "".join(f"{scope}.{v}{{--c:{colour(*COLOURS[v])}}}" for v in VERDICTS)
    return f"{scope}{{{shared}}}{own}"


DRAWING = (
    f".infsup-br{{display:block;width:100%;overflow:visible;font:12.5px/1 {FONT}}}"
    ".infsup-br .hl{stroke:var(--hair)}.infsup-br .ld{stroke:var(--mute);stroke-width:.8}"
    ".infsup-br .bl{stroke:var(--c);fill:none}.infsup-br .bf{fill:var(--c)}"
    ".infsup-br .bo{fill:var(--paper);stroke:var(--c);stroke-width:1.6}"
    ".infsup-br .pl{stroke:var(--paper)}"
    ".infsup-br .tr{fill:var(--ink);stroke:var(--paper);stroke-width:2}"
    ".infsup-br .cm{fill:var(--paper);stroke:var(--ink);stroke-width:1.4}"
    ".infsup-br .ot{fill:none;stroke:var(--ink);stroke-width:1.4}"
    ".infsup-br text{fill:var(--ink);stroke:none}"
    ".infsup-br .nb{font-weight:600;font-size:13.5px;fill:var(--c)}"
    ".infsup-br .tk{fill:var(--mute);font-size:11px}.infsup-br .cl{fill:var(--mute)}"
)

STYLE: str = rules(".infsup-br") + DRAWING
"""CSS of the brackets. `svg(..., style=False)` leaves it out for pages that hold it once.

Without < > and &, which HTML and XML read differently inside a style.
"""
