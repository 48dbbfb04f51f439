"""Formulas as MathML, and the font that they are set in."""

import base64
import functools
import html
import pathlib
import re

from math_core import LatexError, LatexToMathML

from infsup.core.errors import UsageError

MACROS = {
    "widetilde": r"\tilde{#1}",
    "bm": r"\boldsymbol{#1}",
    "argmin": r"\operatorname*{arg\,min}",
    "argmax": r"\operatorname*{arg\,max}",
    "KL": r"\operatorname{KL}",
    "TV": r"\operatorname{TV}",
    "Var": r"\operatorname{Var}",
    "Cov": r"\operatorname{Cov}",
    "tr": r"\operatorname{tr}",
    "sign": r"\operatorname{sign}",
    "relu": r"\operatorname{ReLU}",
    "eps": r"\varepsilon",
    "R": r"\mathbb{R}",
    "E": r"\mathbb{E}",
    "P": r"\mathbb{P}",
    "N": r"\mathbb{N}",
    "Z": r"\mathbb{Z}",
    "Q": r"\mathbb{Q}",
}
"""Words that formulas may use beyond those of math-core. For `\\substack` write `subarray`."""

_FORMULA = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\$(.+?)\$|\\\((.+?)\\\)", re.DOTALL)


@functools.cache
def _converter() -> LatexToMathML:
    return LatexToMathML(fancy_error=False, macros=MACROS)


def to_mathml(latex: str, *, display: bool = False) -> str:
    """A formula as one `<math>` element.

    Args:
        latex: the formula, without dollars.
        display: whether it stands in a line of its own.

    Raises:
        UsageError: LaTeX that math-core cannot read or does not set right; it is named.
    """
    try:
        made = _converter().convert_with_local_state(latex.strip(), displaystyle=display)
    except LatexError as error:
        shown = latex.strip() if len(latex) < 120 else latex.strip()[:117] + "..."
        raise UsageError(f"the formula `{shown}` cannot be set: {error}") from None
    # HTML's names, such as ApplyFunction, mean nothing to XML
    return re.sub(r"&(?!(?:lt|gt|amp|quot);)\w+;", lambda found: html.unescape(found[0]), made)


def prose(text: str) -> str:
    r"""Words with formulas in dollars as HTML, everything else escaped.

    Args:
        text: `$...$` and `\\(...\\)` stand in the line, `$$...$$` and `\\[...\\]` in one of their
            own; an empty line begins a paragraph. Text without any of them is one formula.

    Returns:
        Paragraphs and `<math>` elements.

    Raises:
        UsageError: as for `to_mathml`.
    """
    if not _FORMULA.search(text):
        return _displayed(text) if _is_formula(text) else _wrapped(html.escape(text))
    out, end, words = [], 0, ""
    for found in _FORMULA.finditer(text):
        words += html.escape(text[end : found.start()])
        end = found.end()
        shown, inline = found[1] or found[2], found[3] or found[4]
        if inline is not None:
            words += to_mathml(inline)
        else:
            out += [_wrapped(words), _displayed(shown)]
            words = ""
    out.append(_wrapped(words + html.escape(text[end:])))
    return "".join(out)


def _displayed(latex: str) -> str:
    """A formula in a line of its own; a long one in several, broken where it has wide spaces."""
    parts = [latex] if len(latex) < 80 else apart(latex)
    return "".join(to_mathml(part, display=True) for part in parts)


def apart(latex: str) -> list[str]:
    """The pieces between the wide spaces that stand in no group and no environment."""
    parts, depth, start = [], 0, 0
    for found in re.finditer(r"\\(?:begin|left)\b|\\(?:end|right)\b|\\qquad\b|\\.|[{}]", latex):
        word = found[0]
        depth += word in ("\\begin", "\\left", "{")
        depth -= word in ("\\end", "\\right", "}")
        if word == "\\qquad" and depth == 0:
            parts.append(latex[start : found.start()])
            start = found.end()
    return [part for part in (*parts, latex[start:]) if part.strip()]


def inline(text: str) -> str:
    """Words with formulas in dollars as HTML for the middle of a line, everything else escaped.

    Raises:
        UsageError: as for `to_mathml`.
    """
    out, end = "", 0
    for found in _FORMULA.finditer(text):
        latex = next(part for part in found.groups() if part is not None)
        out += html.escape(text[end : found.start()]) + to_mathml(latex)
        end = found.end()
    return out + html.escape(text[end:])


def _is_formula(text: str) -> bool:
    """Words alone are no formula: `x` is one, and so is anything with a command or a relation."""
    return bool(re.search(r"\\[a-zA-Z]|[\^_=<>]", text)) or len(text.strip()) == 1


def _wrapped(escaped: str) -> str:
    parts = (p.strip() for p in re.split(r"\n\s*\n", escaped))
    return "".join(f"<p>{p}</p>" for p in parts if p)


def font_face(name: str = "M") -> str:
    """The CSS rule that holds the math font itself, so that a page needs no other file.

    STIX Two Math, cut down by tools/make_math_font.py; SIL Open Font License, math.LICENSE.txt.
    """
    font = pathlib.Path(__file__).with_name("math.woff2").read_bytes()
    return (
        f"@font-face{{font-family:{name};src:url(data:font/woff2;base64,"
        f"{base64.b64encode(font).decode()});"
        "ascent-override:86%;descent-override:24%;line-gap-override:0%}"
    )
