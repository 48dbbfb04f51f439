"""Drawings of certificates: what is printed contains what is true, fits, and never runs."""

import math
import re
import xml.etree.ElementTree as ET
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from infsup.core import bracket
from infsup.core.bracket import (
    ASCII_FILLS,
    COLOURS,
    FILLS,
    SIGNS,
    card,
    cells,
    describe,
    ends_in_words,
    statements,
    strength,
    svg,
    text,
)
from infsup.core.bracket.numbers import ends_of, exact
from infsup.core.bracket.strokes import px
from infsup.core.certificate import KINDS, VERDICTS, Certificate, Hypothesis

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'&<>]]>",
    "x" * 200,
    "漢字" * 60,
    "😀❤️" * 30,
    "a\x00b\x1b[31mred\n\tline\u202eright\ud800\uffff",
    "",
)


def holds_for(*strategies, quick=30, long=1000, examples=()):
    """The property for a few drawn values and, as a slow test of its own, for many."""

    def decorate(body):
        def test(count):
            checked = given(*strategies)(body)
            for values in examples:
                checked = example(values)(checked)
            return settings(max_examples=count)(checked)

        at_length = test(long)
        at_length.__name__ = f"{body.__name__}_at_length"
        globals()[at_length.__name__] = pytest.mark.slow(at_length)
        return test(quick)

    return decorate


def make(lower, upper, kind="proved", **fields) -> Certificate:
    if kind in ("confidence", "asymptotic"):
        fields.setdefault("level", 0.9)
    return Certificate("error", "net", lower, upper, kind, "some_bound", **fields)


def of_verdict(verdict: str) -> Certificate:
    return {
        "certified": make(1.0, 2.0),
        "conditional": make(1.0, 2.0, hypotheses=(Hypothesis("draws", "assumed"),)),
        "consistent": make(1.0, 2.0, hypotheses=(Hypothesis("rate", "estimated", "40 draws"),)),
        "vacuous": make(0.0, 412.0, "confidence", level=0.99, range=(0.0, 1.0)),
        "inapplicable": make(1.0, 2.0, hypotheses=(Hypothesis("convex", "violated", "at x"),)),
        "refused": make(1.0, 2.0, verdict="refused", reason="effective sample too small"),
        "refuted": make(1.5, 2.0, range=(0.0, 1.0)),
    }[verdict]


@st.composite
def ends(draw):
    """Pairs over all magnitudes, of all relative widths, neighbours and equal ones among them."""
    lo = draw(st.floats(allow_nan=False, allow_infinity=False))
    how = draw(st.sampled_from(["free", "close", "next", "equal", "zero"]))
    if how == "free":
        hi = draw(st.floats(allow_nan=False, allow_infinity=False))
    elif how == "close":
        hi = lo * (1 + 10.0 ** -draw(st.integers(1, 16)))
    elif how == "next":
        hi = math.nextafter(lo, math.inf)
    else:
        hi = lo if how == "equal" else 0.0
    assume(math.isfinite(hi))
    return min(lo, hi), max(lo, hi)


def printed(words: str) -> tuple[str, str]:
    """The two ends as they stand in `ends_in_words`."""
    if words.startswith("="):
        inner = words[2:].removesuffix(" (exact)")
        return inner, inner
    low, high = words.strip("[]").split(", ")
    return low, high


def value(s: str) -> Fraction:
    v = Fraction(s.removesuffix(" %").replace("...", ""))
    return v / 100 if s.endswith("%") else v


def as_float(x: Fraction) -> float:
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


# ------------------------------------------------------------------------------ numbers and words


@holds_for(
    ends(),
    examples=[
        (5e-324, 1e-323),
        (0.0, 5e-324),
        (-1.7976931348623157e308, 1.7976931348623157e308),
        (0.07, 0.07),
        (-1e-300, -1e300)[::-1],
        (-1.0, 1e-300),
    ],
)
def test_printed_ends_read_back_as_a_wider_bracket(pair):
    lo, hi = pair
    low, high = printed(ends_in_words(make(lo, hi)))
    assert as_float(value(low)) <= lo
    assert hi <= as_float(value(high))
    if lo == hi:
        assert as_float(value(low)) == lo


@holds_for(ends())
def test_the_printed_bracket_is_hardly_wider_than_the_true_one(pair):
    lo, hi = pair
    low, high = (value(x) for x in printed(ends_in_words(make(lo, hi))))
    a, b = Fraction(repr(lo)), Fraction(repr(hi))
    apart = (a > 0 and b > 100 * a) or (b < 0 and a < 100 * b)
    if apart:
        assert abs(low - a) <= abs(a) / 200
        assert abs(high - b) <= abs(b) / 200
    else:
        assert (high - low) - (b - a) <= (b - a) / 100


@holds_for(st.fractions(max_denominator=10**12), st.fractions(max_denominator=10**12))
def test_fractions_are_contained_exactly(a, b):
    lo, hi = min(a, b), max(a, b)
    low, high = (value(x) for x in printed(ends_in_words(make(lo, hi))))
    if lo < hi:
        assert low <= lo
        assert hi <= high
    else:  # a long one is cut, and says so
        assert abs(low - lo) <= abs(lo) / 10**11


@holds_for(st.floats(0, 1), st.floats(0, 1))
def test_rates_in_percent_are_contained(a, b):
    lo, hi = min(a, b), max(a, b)
    words = ends_in_words(make(lo, hi, range=(0.0, 1.0)))
    low, high = (value(x) for x in printed(words))
    assert float(low) <= lo
    assert hi <= float(high)


@holds_for(ends())
def test_no_nonzero_end_prints_as_zero(pair):
    lo, hi = pair
    low, high = (value(x) for x in printed(ends_in_words(make(lo, hi))))
    assert (low == 0) == (lo == 0)
    assert (high == 0) == (hi == 0)


@pytest.mark.parametrize(
    ("lower", "upper", "fields", "words"),
    [
        (4.589845, 4.590262, {}, "[4.589845, 4.590262]"),
        (4.5898451, 4.5902619, {}, "[4.589845, 4.590262]"),
        (0.016, 0.07, {"range": (0.0, 1.0)}, "[1.6 %, 7.0 %]"),
        (0.0, 0.059, {"range": (0.0, 1.0)}, "[0 %, 5.9 %]"),
        (-0.56, -0.42, {}, "[-0.56, -0.42]"),
        (2.113e-3, 2.148e-3, {}, "[2.113e-3, 2.148e-3]"),
        (9.31e-4, 9.38e-4, {}, "[9.31e-4, 9.38e-4]"),
        (Fraction(1, 1024), Fraction(1, 1024), {}, "= 1/1024 (exact)"),
        (1 / 1024, 1 / 1024, {}, "= 1/1024 (exact)"),
        (0.1, 0.1, {}, "= 0.1 (exact)"),
        (3, 3, {}, "= 3 (exact)"),
        (0.03, math.inf, {}, ">= 0.03"),
        (-math.inf, 0.07, {"range": (0.0, 1.0)}, "<= 7 %"),
        (-math.inf, math.inf, {}, "[-inf, inf]"),
        (9.31e-7, 0.2, {}, "[9.3e-7, 0.2]"),
        (100.0, 200.0, {}, "[100, 200]"),
        (1.2e9, 3.4e9, {}, "[1.2e9, 3.4e9]"),
    ],
)
def test_ends_in_words(lower, upper, fields, words):
    assert ends_in_words(make(lower, upper, **fields)) == words


def test_long_fractions_are_cut_not_rounded():
    third = Fraction(10**5000, 3 * 10**5000 + 1)
    assert ends_in_words(make(third, third)) == "= 0.333333333333... (exact)"


def test_an_array_is_summarised_by_its_worst_component():
    lower, upper = np.array([0.1, 0.2, 0.3]), np.array([0.5, 0.9, 0.4])
    assert ends_in_words(make(lower, upper, sense="min")) == "[0.2, 0.9], worst of 3 components"
    assert ends_in_words(make(lower, upper, sense="max")) == "[0.1, 0.5], worst of 3 components"
    assert ends_in_words(make(np.array([0.1]), np.array([0.5]))) == "[0.1, 0.5]"


def test_strength_names_the_kind_in_words():
    assert strength(make(0, 1, dtype="float32")) == "proved for every execution in float32"
    assert strength(make(0, 1, "proved_real")) == "a theorem, evaluated in float64 (proved_real)"
    assert strength(make(0, 1, "confidence", level=0.99)) == "99 % confidence (confidence)"
    assert (
        strength(make(0, 1, "asymptotic", level=0.965))
        == "96.5 %, by the central limit theorem (asymptotic)"
    )
    assert strength(make(0, 1, "estimate")) == "an estimate: no theorem covers it"


@holds_for(st.floats(1e-12, 1 - 1e-12))
def test_a_level_is_never_overstated(level):
    said = strength(make(0, 1, "confidence", level=level)).partition(" %")[0]
    assert float(Fraction(said) / 100) <= level + 1e-14


# ----------------------------------------------------------------------------------- the terminal


def test_the_first_block_of_the_mock():
    def first(*args, truth=None, comparators=None, log=None, **fields):
        return text(make(*args, **fields), truth=truth, comparators=comparators, log=log)

    bar = 29
    got = first(4.589845, 4.590262, truth=4.590162)
    assert got.startswith("4.589845 ├" + "━" * 22 + "●" + "━" * 6 + "┤ 4.590262\n")
    got = first(4.589845, 4.590262, "proved_real", truth=4.590162)
    assert got.startswith("4.589845 ├" + "─" * 22 + "●" + "─" * 6 + "┤ 4.590262\n")
    rate = {"range": (0.0, 1.0), "level": 0.99}
    assert first(0.016, 0.07, "confidence", **rate) == "1.6 % ├" + "═" * bar + "┤ 7.0 %"
    assert first(0.016, 0.07, "asymptotic", **rate) == "1.6 % ├" + "╌" * bar + "┤ 7.0 %"
    assert first(-0.56, -0.42, "estimate") == "−0.56 ├" + "·" * bar + "┤ −0.42"
    assert first(Fraction(1, 1024), Fraction(1, 1024)) == "= 1/1024 (exact)"
    opened = first(0.03, math.inf, "confidence", level=0.99)
    assert opened == "0.03 ├" + "═" * 20 + "╌" * 9 + "> ∞"
    assert first(9.31e-4, 9.38e-4, log=True) == "9.31e-4 ├" + "━" * bar + "┤ 9.38e-4  log"
    got = first(4.589845, 4.590262, comparators={"do nothing": 4.600226})
    assert got.endswith("┤ 4.590262   ▸ do nothing 4.6002")
    assert first(0, 1, verdict="refused", reason="no") == "no number"


def test_the_same_in_ascii():
    def drawn(kind):
        return text(make(0.1, 0.2, kind), ascii=True)

    assert drawn("proved") == "0.1 |" + "#" * 29 + "| 0.2"
    assert drawn("proved_real") == "0.1 |" + "-" * 29 + "| 0.2"
    assert drawn("confidence") == "0.1 |" + "=" * 29 + "| 0.2"
    assert drawn("asymptotic") == "0.1 |" + "- " * 14 + "-| 0.2"
    assert drawn("estimate") == "0.1 |" + "." * 29 + "| 0.2"
    assert text(make(0.03, math.inf), ascii=True).endswith("- - -> inf")
    assert "> do nothing 0.3" in text(make(0.1, 0.2), ascii=True, comparators={"do nothing": 0.3})


def test_the_block_of_hjb():
    c = Certificate(
        "V(0, 0), the value of the optimal control",
        "HJB-LQ, d = 100",
        4.589845,
        4.590262,
        "proved_real",
        "lq_sandwich",
        sense="min",
        budget={"policy": 1.0e-4, "dual": 3.2e-4, "quadrature": 3e-9},
        hypotheses=(
            Hypothesis("cost quadratic in u", "checked"),
            Hypothesis("λ matches the noise", "checked"),
        ),
    )
    got = describe(c, truth=4.590162, comparators={"do nothing": 4.600226})
    assert got.split("\n") == [
        "HJB-LQ, d = 100                        V(0, 0), the value of the optimal control",
        "",
        "  4.589845 ├──────────────────────●──────┤ 4.590262   ▸ do nothing 4.6002",
        "                           exact 4.590162",
        "",
        "✓ certified   a theorem, evaluated in float64 (proved_real)",
        "width         4.2e-4 (0.0091 %): policy 1e-4 + dual 3.2e-4 + quadrature 3e-9",
        "hypotheses    checked: cost quadratic in u; λ matches the noise. assumed: none",
    ]
    narrow = describe(c, truth=4.590162, comparators={"do nothing": 4.600226}, width=40)
    assert narrow.split("\n")[4:8] == [
        " 4.589845                       4.590262",
        "        ├─────────────────●─────┤",
        "                   exact 4.590162",
        " ▸ do nothing 4.6002",
    ]


def test_every_kind_has_its_own_fill():
    assert set(FILLS) == set(ASCII_FILLS) == set(KINDS)
    for ascii in (False, True):
        drawn = {text(make(0.1, 0.2, kind), ascii=ascii) for kind in KINDS}
        assert len(drawn) == len(KINDS)
    bars = {svg(make(0.1, 0.2, kind), style=False).split('class="hl"')[-1] for kind in KINDS}
    assert len(bars) == len(KINDS)


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("ascii", [False, True])
def test_every_verdict_is_said_in_sign_and_word(verdict, ascii):
    c = of_verdict(verdict)
    assert c.verdict == verdict
    lines = describe(c, ascii=ascii).split("\n")
    signs = bracket.ASCII_SIGNS if ascii else SIGNS
    assert any(x.startswith(f"{signs[verdict]} {verdict} ") for x in lines)
    assert len(lines) <= 12
    assert verdict in COLOURS
    assert statements(c)[0].verdict == verdict
    assert verdict in card(c)


@pytest.mark.parametrize("verdict", ["refused", "inapplicable"])
def test_where_nothing_is_claimed_no_number_is_drawn(verdict):
    c = of_verdict(verdict)
    assert ends_in_words(c) == "no number"
    drawn = text(c, truth=1.5, comparators={"zero": 0.0})
    assert drawn == "no number"
    root = ET.fromstring(svg(c, truth=1.5, comparators={"zero": 0.0}, style=False))
    said = "".join(root.itertext()) + root.attrib["aria-label"]
    assert not re.search(r"\d", said)
    assert not re.search(r"\d", describe(c))


def test_all_hypotheses_are_printed_with_what_was_seen():
    states = (("convex", "checked"), ("smooth", "estimated"), ("independent", "assumed"))
    c = make(1.0, 2.0, hypotheses=tuple(Hypothesis(t, s, f"saw {t}") for t, s in states))
    for out in (describe(c), card(c)):
        for words, state in states:
            assert state in out
            assert f"{words} (saw {words})" in " ".join(out.split())


def test_goal_reason_and_source_are_printed():
    c = make(1.0, 2.0, sense="min", goal=3.0, source="Author (1999), Thm 2", reason="by hand")
    got = describe(c)
    assert "asked         <= 3: met" in got
    assert "source        Author (1999), Thm 2" in got
    assert "reason        by hand" in got


names = st.text(max_size=60) | st.sampled_from(HOSTILE)
numbers = st.floats(allow_nan=True) | st.none()


@holds_for(
    ends(),
    st.sampled_from(KINDS),
    st.integers(40, 120),
    numbers,
    st.dictionaries(names, numbers, max_size=7),
    names,
    names,
    st.booleans(),
    quick=20,
    long=400,
)
def test_no_line_is_wider_than_asked(pair, kind, width, truth, given_, of, quantity, ascii):
    c = Certificate(
        quantity,
        of,
        *pair,
        kind,
        "b",
        level=0.9 if kind in ("confidence", "asymptotic") else 1.0,
        hypotheses=(Hypothesis(of, "assumed", quantity),),
        budget={of: 1.0},
        source=quantity,
        reason=of,
    )
    got = describe(c, truth=truth, comparators=given_, width=width, ascii=ascii)
    assert all(cells(line) <= width for line in got.split("\n")), got
    assert not ascii or got.isascii()
    assert "\x1b" not in got


@pytest.mark.parametrize("width", [40, 80])
def test_open_ends_and_infinities_are_drawn(width):
    for lo, hi in ((-math.inf, 3.0), (3.0, math.inf), (-math.inf, math.inf), (math.inf, math.inf)):
        for truth in (None, 1.0, 3.0, math.inf, -math.inf):
            got = describe(make(lo, hi), truth=truth, width=width, comparators={"x": math.inf})
            assert "∞" in got
            assert all(cells(x) <= width for x in got.split("\n"))
            ET.fromstring(svg(make(lo, hi), truth=truth, comparators={"x": -math.inf}))


@holds_for(
    ends(),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=6),
    quick=20,
)
def test_the_dot_is_monotone_and_on_its_side_of_the_posts(pair, truths):
    lo, hi = pair
    assume(lo < hi)
    inside, outside = [], []
    for t in sorted(truths):
        lines = text(make(lo, hi), truth=t).split("\n")
        row = next(x for x in lines if "├" in x)
        left, dot, right = row.index("├"), row.index("●"), row.index("┤")
        if lo <= t <= hi:
            assert left < dot < right
            inside.append(dot)
        elif t < lo:
            assert dot < left
            outside.append((0, dot))
        else:
            assert right < dot
            outside.append((1, dot))
    assert inside == sorted(inside)


@holds_for(ends(), st.floats(allow_nan=False, allow_infinity=False))
def test_the_printed_truth_is_on_its_side_of_the_printed_ends(pair, t):
    lo, hi = pair
    assume(lo < hi)
    got = text(make(lo, hi), truth=t, ascii=True, width=200)
    said = value(re.search(r"exact (\S+)", got).group(1))
    e = ends_of(lo, hi, False, exact(t))
    low, high = value(e.low), value(e.high)
    if lo <= t <= hi:
        assert low <= said <= high
    else:
        assert said < low if t < lo else said > high


def test_a_refuted_claim_has_the_truth_outside():
    c = make(0.0, 0.01062, verdict="refuted", reason="measured more")
    lines = text(c, truth=0.01877).split("\n")
    assert lines[0].split() == ["0", "0.01062"] or lines[0].split() == ["0", "0.0107"]
    assert lines[1].index("●") > lines[1].index("┤")
    exact = text(make(0.5, 0.5), truth=0.75)
    assert "│" in exact
    assert "exact 0.75" in exact


def test_the_log_axis_appears_by_rule_and_never_shows_zero():
    wide = make(1e-6, 1e-3)
    assert text(wide).endswith("  log")
    assert "log" not in text(make(1e-6, 9e-5))
    assert "log" not in text(make(0.0, 1.0))
    for truth in (0.0, -1.0, 1e-5, 1.0):
        said = text(wide, truth=truth, comparators={"z": 0.0})
        assert "log" in said
        root = ET.fromstring(svg(wide, truth=truth, style=False))
        ticks = [x.text for x in root.iter() if x.get("class") == "tk"]
        assert "log" in ticks
        assert not any(t in ("0", "0.0") for t in ticks)


def test_arrays_have_a_line_per_component_on_one_scale():
    lower = np.array([0.1, 0.2, 0.6])
    c = make(lower, lower + 0.1)
    lines = text(c, truth=lower + 0.05).split("\n")
    assert [x.split()[0] for x in lines] == ["[0]", "[1]", "[2]"]
    assert all("●" in x for x in lines)
    starts = [x.index("├") for x in lines]
    assert starts == sorted(starts)
    many = make(np.zeros((5, 4)), np.ones((5, 4)))
    got = text(many).split("\n")
    assert len(got) == 7
    assert got[0].startswith("[0,0]")
    assert got[-1] == "... 14 more"
    for width in (40, 60, 100):
        assert all(cells(x) <= width for x in describe(many, width=width).split("\n"))
    ET.fromstring(svg(many))
    ET.fromstring(card(c, truth=lower))
    assert "other 0.9" in svg(c, comparators={"other": 0.9})
    mixed = make(np.array([-np.inf, 1.0]), np.array([2.0, np.inf]))
    assert "∞" in text(mixed)
    ET.fromstring(svg(mixed))


def test_comparators_may_be_certificates():
    other = make(4.0, 5.0)
    silent = make(0, 1, verdict="refused", reason="no")
    got = text(
        make(1.0, 2.0), comparators={"other": other, "exactly": make(3.0, 3.0), "no": silent}
    )
    assert "▸ other [4, 5]" in got
    assert "▸ exactly 3" in got
    assert "no no number" in got
    assert "other [4, 5]" in svg(make(1.0, 2.0), comparators={"other": other})


# ------------------------------------------------------------------------------------ SVG and HTML


def check_markup(markup: str) -> ET.Element:
    root = ET.fromstring(markup)
    assert "<script" not in markup.lower()
    assert "http" not in markup.replace(bracket.NAMESPACE, "")
    assert all("script" not in x.tag for x in root.iter())
    assert not any(k.startswith("on") for x in root.iter() for k in x.attrib)
    # HTML reads a style raw, XML does not: the same only without these
    for x in root.iter():
        if x.tag.endswith("style"):
            assert not set(x.text) & set("<>&")
    return root


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name):
    c = Certificate(
        name,
        name,
        0.1,
        0.2,
        "proved",
        name,
        dtype=name,
        reason=name,
        source=name,
        hypotheses=(Hypothesis(name, "assumed", name),),
        budget={name: name},
    )
    given_ = {name: 0.15, name + " ": 0.4, "b" + name: 0.21, "c" + name: c}
    root = check_markup(svg(c, truth=0.12, comparators=given_))
    assert root.attrib["role"] == "img"
    assert bracket.clean(name) in root.attrib["aria-label"]
    for x in root.iter():
        if x.tag.endswith("text"):
            size = 13.5 if x.get("class") == "nb" else 12.5
            assert px(x.text or "", size) <= 361
    check_markup(card(c, truth=0.12, comparators=given_))
    assert describe(c, comparators=given_, ascii=True).isascii()


@holds_for(
    ends(),
    st.sampled_from(KINDS),
    numbers,
    st.dictionaries(names, numbers, max_size=7),
    quick=12,
    long=400,
)
def test_drawings_are_well_formed(pair, kind, truth, given_):
    c = make(*pair, kind)
    check_markup(svg(c, truth=truth, comparators=given_))
    check_markup(card(c, truth=truth, comparators=given_))


@holds_for(
    ends(),
    numbers,
    st.dictionaries(st.text("abc def", max_size=30), numbers, max_size=7),
    quick=20,
    long=400,
)
def test_labels_of_an_svg_do_not_collide(pair, truth, given_):
    root = ET.fromstring(svg(make(*pair), truth=truth, comparators=given_, style=False))
    for pixels in (360, 1000):
        no_labels_collide(root, pixels)


def no_labels_collide(root: ET.Element, pixels: int) -> None:
    boxes = []
    for x in root.iter():
        if not x.tag.endswith("text") or not x.text:
            continue
        place, cls = x.get("x"), x.get("class")
        at = float(place.rstrip("%")) / 100 * pixels if "%" in place else float(place)
        at += float(x.get("dx") or 0)
        w = px(x.text, {"nb": 13.5, "tk": 11}.get(cls, 12.5))
        shift = {"middle": w / 2, "end": w}.get(x.get("text-anchor"), 0)
        boxes.append((float(x.get("y")), at - shift, at - shift + w, x.text))
    for i, (y, a, b, one) in enumerate(boxes):
        assert a >= -6, one
        assert b <= pixels + 6, one
        for v, p, q, two in boxes[:i]:
            assert abs(y - v) > 11 or b <= p + 3 or q <= a + 3, (one, two)


def test_the_svg_needs_no_page_around_it():
    alone = svg(make(0.1, 0.2))
    assert "<style>" in alone
    assert "light-dark(" in alone
    for light, dark in (COLOURS["certified"], COLOURS["ink"]):
        assert light in alone
        assert dark in alone
    assert "<style>" not in svg(make(0.1, 0.2), style=False)
    assert 'width="500"' in svg(make(0.1, 0.2), width=500)


def test_certificates_print_themselves():
    c = make(0.1, 0.2)
    assert repr(c) == "<error of net: [0.1, 0.2], proved, certified>"
    assert str(c) == describe(c)
    assert c._repr_html_() == card(c)
