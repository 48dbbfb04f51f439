"""How to read a bracket, in six small drawings."""

from infsup.core.bracket.signs import NAMESPACE
from infsup.core.bracket.strokes import DIAMOND, DOT, arrow, at, bar, baseline, post, say, spot, tag

_A, _B, _Y = 0.3, 0.7, 25


def legend() -> list[tuple[str, str, str]]:
    """SVG, its name, and what it means."""
    ends = say(at(_A), 11, "lower", "nb", "end", 1) + say(at(_B), 11, "upper", "nb", "start", -1)
    truth = spot(at(0.56), _Y, DOT) + say(at(0.56), 55, "the truth, if known", "tl", "middle")
    other = spot(at(0.85), _Y, DIAMOND) + say(at(0.85), 55, "a simple answer", "cl", "middle")
    beyond = spot("100%", _Y, '<path d="M-7-5 0 0-7 5z" class="ot"/>')
    beyond += say("100%", 55, "one beyond the scale", "cl", "end")
    exact = post(0.5, _Y, 4) + say(at(0.5), 11, "= value", "nb", "middle")
    left = post(_A, _Y) + bar("proved", _A, 0.87, _Y) + arrow(_Y, True, 0.87)
    return [
        (_drawn("certified", "proved", ends + truth), "Solid", "proved, rounding included."),
        (_drawn("certified", "proved_real", other), "Thin", "a theorem, evaluated in float64."),
        (
            _drawn("certified", "confidence", beyond),
            "Hollow",
            "holds with the stated probability; with a dashed edge, by the central limit theorem.",
        ),
        (_drawn("consistent", "estimate"), "Dotted", "an estimate. No theorem covers it."),
        (_drawn("certified", "", exact, bare=True), "One post", "lower = upper."),
        (_drawn("certified", "", left, bare=True), "Open end", "nothing is claimed on that side."),
    ]


def _drawn(verdict: str, kind: str, more: str = "", bare: bool = False) -> str:
    body = baseline(_Y)
    if not bare:
        body += bar(kind, _A, _B, _Y) + post(_A, _Y) + post(_B, _Y)
    return tag(
        "svg", body + more, xmlns=NAMESPACE, class_=f"br infsup-br {verdict}", aria_hidden="true",
        width="100%", height="62" if "text" in more and 'y="55"' in more else "40",
    )  # fmt: skip
