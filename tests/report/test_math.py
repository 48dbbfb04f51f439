"""Formulas: what is set, what is refused in words, what is escaped."""

import base64
import xml.etree.ElementTree as ET

import pytest

from infsup.core.errors import UsageError
from infsup.report.math import MACROS, font_face, prose, to_mathml

FORMULAS = (
    r"\sup_{x\in[0,1]^d}\lvert f(x)-\Phi_m(x)\rvert \le 4^{-(m+1)}",
    r"\E_{x\sim\mathcal{D}}[\ell] \le \sqrt{\frac{\ln(2/\delta)}{2n}}",
    r"A=\begin{pmatrix}a&b\\c&d\end{pmatrix}^{-1}",
    r"\begin{aligned} a &= b \\ &\le c \end{aligned}",
    r"\argmin_{\theta}\;\KL(P\,\|\,Q)+\Var(X)+\tr A+\widetilde{f}+\bm{x}",
    r"\begin{cases} 1 & x>0\\ 0 & \text{else}\end{cases}",
    r"W_2^2(\mu,\nu)=\inf_{\pi}\int \lVert x-y\rVert^2\,\mathrm d\pi",
    r"\bigl\langle \nabla f(x), y-x\bigr\rangle \ge -\frac{L}{2}\lVert x-y\rVert^2",
)


@pytest.mark.parametrize("latex", FORMULAS)
def test_formulas_are_set(latex):
    for display in (False, True):
        root = ET.fromstring(to_mathml(latex, display=display))
        assert root.tag == "math"
        assert (root.get("display") == "block") == display
        assert "merror" not in to_mathml(latex)


def test_limits_stand_below():
    assert "munder" in to_mathml(r"\argmin_{\theta} f", display=True)
    assert "munder" in to_mathml(r"\sup_{x} f", display=True)


@pytest.mark.parametrize("name", MACROS)
def test_every_macro_works(name):
    argument = "{x}" if "#1" in MACROS[name] else " x"
    assert "<math" in to_mathml(f"\\{name}{argument}")


@pytest.mark.parametrize(
    "latex", [r"\nosuchcommand", r"\frac{a", r"\begin{smallmatrix}a\end{smallmatrix}", r"{"]
)
def test_what_cannot_be_set_is_named(latex):
    with pytest.raises(UsageError, match="the formula"):
        to_mathml(latex)


def test_hostile_formulas_are_escaped():
    got = to_mathml(r"\text{<script>alert(1)</script>} < 1")
    assert "<script" not in got


def test_prose():
    got = prose("For $x<1$ and <b>bold</b>,\n\n$$x^2\\le 1$$\nholds & so on.")
    assert got.count("<math") == 2
    assert 'display="block"' in got
    assert "<b>" not in got
    assert "&lt;b&gt;" in got
    assert "&amp; so on" in got
    assert got.count("<p>") == 2
    assert prose(r"x^2 \le 1").startswith('<math display="block"')
    assert prose("no formula here") == "<p>no formula here</p>"
    assert prose(r"Let \(n\) be \[n>0\]").count("<math") == 2


def test_the_font_is_small_and_has_a_math_table():
    rule = font_face()
    font = base64.b64decode(rule.split("base64,")[1].split(")")[0])
    assert font[:4] == b"wOF2"
    assert len(font) <= 150_000
