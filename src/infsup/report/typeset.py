"""Words that came through a terminal, as a page prints them: ≤, 4.2·10⁻⁴, x² and fₘ."""

import html
import re

from markupsafe import Markup

from infsup.core.bracket.characters import clean
from infsup.core.bracket.numbers import pretty
from infsup.core.errors import UsageError
from infsup.report.math import inline

_SIGNS = {"<=": "≤", ">=": "≥", "!=": "≠", "->": "→"}
_SIGN = re.compile(r"<=(?!=)|>=(?!=)|!=|->")
_POWER_OF_TEN = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-]?\d{1,3})(?![\w.]*\w)")
_MINUS = re.compile(r"(?<=[\w)\]|*'}]) - (?=[\w(\[|{])")

_GREEK = "α-ωΑ-Ω"
_NAME = rf"(?:min|max|sup|inf|sum|lim|[A-Za-z{_GREEK}∫Σ|)])"
_BELOW = (
    rf"\{{[^{{}}]{{1,12}}\}}|(?:theta|eps|inf|op|min|max|[A-Za-z0-9*{_GREEK}]{{1,2}})(?![\w.]*\w)"
)
_SUB = re.compile(rf"(?<![\w`])({_NAME})_({_BELOW})|(?<=[|)])_({_BELOW})")
_SUP = re.compile(
    rf"(?<=[\w)\]|>}}{_GREEK}])\^(\{{[^{{}}]{{1,12}}\}}|-?\([^()]{{1,12}}\)|-?[A-Za-z0-9{_GREEK}]+|[*+])"
)
_CODE = re.compile(r"(`[^`]+`)")


def typeset(text: str) -> Markup:
    """Words as HTML: relations, powers of ten, indices and exponents as in print.

    What stands in backticks is code and stays as it is. Everything is escaped first.

    Args:
        text: words, from anywhere.
    """
    parts = _CODE.split(clean(text))
    return Markup("".join(_code(p) if number % 2 else _words(p) for number, p in enumerate(parts)))


def words(text: str) -> Markup:
    """Words of which those in dollars are formulas, where they can be set."""
    if "$" not in text:
        return typeset(text)
    try:
        return Markup(inline(clean(text)))
    except UsageError:
        return typeset(text)


def _code(part: str) -> str:
    return f"<code>{html.escape(part.strip('`'))}</code>"


def _words(part: str) -> str:
    part = re.sub(r"\bint_", "∫_", part)
    part = re.sub(r"(?<=[\w)])\*\*(?=[\w(-])", "^", part)
    part = _SIGN.sub(lambda found: _SIGNS[found[0]], part)
    part = _POWER_OF_TEN.sub(lambda found: pretty(f"{found[1]}e{int(found[2])}"), part)
    part = _MINUS.sub(" − ", part)
    part = html.escape(part, quote=False)
    part = _SUB.sub(lambda found: f"{found[1] or ''}<sub>{_bare(found[2] or found[3])}</sub>", part)
    return _SUP.sub(lambda found: f"<sup>{_bare(found[1])}</sup>", part)


def _bare(script: str) -> str:
    """Without the braces or brackets that only held it together."""
    if script.startswith("{"):
        script = script[1:-1]
    elif script.endswith(")") and script.lstrip("-").startswith("("):
        minus, inner = script.startswith("-"), script.lstrip("-")[1:-1]
        script = f"-({inner})" if minus else inner
    return script.replace("-", "−")
