"""The source of a check, as a report shows it."""

import ast
import io
import re
import textwrap
import unicodedata
from typing import Any

from infsup.core.bracket.characters import clean
from infsup.report.template import environment


def _function(code: str) -> ast.FunctionDef | None:
    """The check in its source; None where that is no Python."""
    try:
        there = ast.parse(textwrap.dedent(code)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return next((node for node in there if isinstance(node, ast.FunctionDef)), None)


def derivation(code: str) -> list[str]:
    """The paragraphs of the check's docstring: why its constants are what they are."""
    function = _function(code)
    said = ast.get_docstring(function) if function is not None else None
    paragraphs = (clean(part) for part in re.split(r"\n\s*\n", said or ""))
    return [part for part in paragraphs if part]


def without_registration(code: str) -> str:
    """The function alone: what its decorator says stands on the card already."""
    function = _function(code)
    if function is None:
        return code
    return "\n".join(textwrap.dedent(code).split("\n")[function.lineno - 1 :])


def visible(text: str) -> str:
    """Lines as they are, without controls and marks that change the order of what is read."""
    return "\n".join(
        "".join(ch for ch in line if unicodedata.category(ch) not in ("Cc", "Cf", "Cs"))
        for line in text.expandtabs(4).split("\n")
    )


def coloured(code: str) -> str:
    """Python with its keywords bold and its comments grey; everything escaped."""
    import pygments
    from pygments.formatter import Formatter
    from pygments.lexers.python import PythonLexer
    from pygments.token import Comment, Keyword, String

    words = environment().from_string("{{ x }}")

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
    pygments.highlight(visible(code), PythonLexer(stripnl=False), Marked(), out)
    return out.getvalue()
