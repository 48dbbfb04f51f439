"""Words and expressions as print: what they become, and that hostile ones stay words."""

import ast
import random

import numpy as np
import pytest

from infsup.numerics.expression import FUNCTIONS
from infsup.report.expression import latex_of
from infsup.report.math import to_mathml
from infsup.report.typeset import typeset


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("width 4.2e-4, asked <= 1e-8", "width 4.2·10⁻⁴, asked ≤ 10⁻⁸"),
        ("f_{m-1} - f_m = 4^-m", "f<sub>m−1</sub> − f<sub>m</sub> = 4<sup>−m</sup>"),
        ("4^-(m+1) and h^2/4", "4<sup>−(m+1)</sup> and h<sup>2</sup>/4"),
        ("r = (E|x - y|^2)^(1/2)", "r = (E|x − y|<sup>2</sup>)<sup>1/2</sup>"),
        ("|X|_op, v_theta", "|X|<sub>op</sub>, v<sub>theta</sub>"),
        ("in infsup.generative.bounds.w2_to_mixture", None),
        ("46 (2007) 1116-1132, x_train, data_x, v1.2e3x", None),
        ("as `barron_steps` says", "as <code>barron_steps</code> says"),
        ("a < b && c > d", "a &lt; b &amp;&amp; c &gt; d"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("`<b>` x_<i>", "<code>&lt;b&gt;</code> x_&lt;i&gt;"),
        ("a\u202eb", "ab"),
    ],
)
def test_words_as_print(typed, printed):
    assert str(typeset(typed)).replace("\ufffd", "") == (typed if printed is None else printed)


def test_random_words_give_no_tag_but_its_own():
    draw = random.Random(0)
    for _ in range(3_000):
        text = "".join(draw.choices("ab_^{}()|<>&\"'`-+1e2 /*", k=40))
        made = str(typeset(text))
        for own in ("sub", "sup", "code"):
            made = made.replace(f"<{own}>", "").replace(f"</{own}>", "")
        assert "<" not in made
        assert ">" not in made


@pytest.mark.parametrize(
    ("typed", "latex"),
    [
        ("exp(-x)*sin(3*x)", r"e^{-x}\,\sin(3 x)"),
        ("1/(1+25*x**2)", r"\frac{1}{1+25 x^{2}}"),
        ("-x**2", "-x^{2}"),
        ("(-x)**2", "(-x)^{2}"),
        ("x-(1-x)", "x-(1-x)"),
        ("2*3*x", r"2\cdot 3\,x"),
        ("x*(1+x)", r"x\,(1+x)"),
        ("exp(x)**2", r"\left(e^{x}\right)^{2}"),
        ("minimum(x, 2)", r"\min(x, 2)"),
    ],
)
def test_expressions_as_formulas(typed, latex):
    assert latex_of(typed) == latex


@pytest.mark.parametrize(
    "text", ["", "import os", "x^2", "y", "a" * 2_000, "\\frac", "x+" * 90 + "x"]
)
def test_what_the_shell_would_not_read_has_no_formula(text):
    assert latex_of(text) is None


def test_a_formula_means_what_was_typed():
    """Random expressions: the formula, read back as Python, has the same values."""
    draw = random.Random(1)
    at = np.linspace(0.3, 2.9, 7)

    def typed(depth):
        if depth == 0:
            return draw.choice(["x", "2", "0.5", "3"])
        a, b = typed(depth - 1), typed(depth - 1)
        form = draw.choice(
            ["({}+{})", "({}-{})", "{}*{}", "({})*({})", "-{}", "(-{})*{}", "sin({})"]
        )
        return form.format(a, b)

    def value(text):
        return eval(compile(ast.parse(text, mode="eval"), "", "eval"), {"x": at, "sin": np.sin})

    for _ in range(300):
        text = typed(3)
        latex = latex_of(text)
        if latex is None:
            continue
        back = latex.replace(r"\left", "").replace(r"\right", "").replace(r"\sin", "sin")
        back = back.replace(r"\cdot", "*").replace(r"\,", "*").replace("0.5 x", "0.5*x")
        back = back.replace("2 x", "2*x").replace("3 x", "3*x")
        np.testing.assert_allclose(value(back), value(text), rtol=1e-12)


def test_every_function_can_be_set():
    for name, count in FUNCTIONS.items():
        latex = latex_of(f"{name}({', '.join(['x**2/3'] * count)})")
        assert latex is not None
        assert to_mathml(latex).startswith("<math")
