"""Two Markdown extensions in one: formulas become MathML, keys of the bibliography become links.

Both work in pages and in docstrings, without a script. An unknown command or key stops the build.
"""

import html
import re
import xml.etree.ElementTree as ET

from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from markdown.postprocessors import Postprocessor

from infsup.report.literature import bibliography, names
from infsup.report.math import to_mathml

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
KEY = r"\[([a-z]+\d{4}[a-z]+)((?:, [^\[\]]*)?)\](?![\[(])"


class Formulas(Postprocessor):
    def run(self, text: str) -> str:
        return FORMULA.sub(lambda m: to_mathml(html.unescape(m[3]), display=m[2] == "["), text)


class Citations(InlineProcessor):
    def handleMatch(self, m, data):
        if m[1] not in bibliography():
            raise KeyError(f"docs/references.bib has no {m[1]}")
        link = ET.Element("autoref", {"identifier": m[1]})
        link.text = names(m[1]) + m[2]
        return link, m.start(0), m.end(0)


class FormulasAndCitations(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        md.postprocessors.register(Formulas(md), "mathml", -10)
        # before the links of Markdown itself, which would read [key] as one
        md.inlinePatterns.register(Citations(KEY, md), "citation", 185)


def makeExtension(**options):
    return FormulasAndCitations(**options)
