"""Figures as SVG: well-formed, escaped, small, the same twice, and honest about what is missing."""

import itertools
import re
import xml.etree.ElementTree as ET
from fractions import Fraction

import numpy as np
import pytest

from infsup.core.errors import UsageError
from infsup.core.figure import Curve, Figure
from infsup.report.figures import draw

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</svg><script>alert(1)</script>\"'&]]> \u202eabc\u0000"


def figure(y, x=None, **more):
    x = np.arange(len(y), dtype=float) if x is None else x
    keys = ("log_x", "log_y")
    axes = {k: more.pop(k) for k in keys if k in more}
    return Figure((Curve(x, np.asarray(y), "label", **more),), "across", "up", "See.", **axes)


def parsed(f, verdict="certified", **more):
    return ET.fromstring(draw(f, verdict, **more))


def texts(root):
    return ["".join(t.itertext()) for t in root.iter(f"{SVG}text")]


def coordinates(root):
    """Of all curves, not of spines and ticks."""
    kinds = ("l", "d", "p", "r", "b")
    paths = [p for p in root.iter(f"{SVG}path") if p.get("class", " ").split()[0] in kinds]
    return [
        [float(v) for v in re.findall(r"-?\d+\.?\d*(?:e[-+]?\d+)?", p.get("d", ""))] for p in paths
    ]


def test_what_is_in_it():
    root = parsed(figure([0.0, 1.0, 4.0], ink="accent"))
    assert root.get("viewBox") == "0 0 420 250"
    assert root.get("aria-label") == "See."
    assert "certified" in root.get("class")
    assert {"label", "across", "up"} <= set(texts(root))
    (line,) = coordinates(root)
    assert len(line) == 6
    assert line[0] < line[2] < line[4]
    assert line[1] > line[3] > line[5], "larger values stand higher"


def test_positions_are_those_of_the_values():
    (line,) = coordinates(parsed(figure([2.0, 3.0, 7.0, 4.0])))
    y = np.array(line[1::2])
    assert np.allclose((y[0] - y[2]) / (y[0] - y[1]), 5.0, atol=0.05)
    (line,) = coordinates(parsed(figure([1e-6, 1e-2, 1e0, 1e-3], log_y=True)))
    y = np.array(line[1::2])
    assert np.allclose((y[0] - y[2]) / (y[0] - y[1]), 1.5, atol=0.02)


@pytest.mark.parametrize(
    "f",
    [
        figure([3.0, 3.0, 3.0]),
        figure([0.0, 0.0]),
        figure([1.0]),
        figure([1.0], log_x=True),
        figure([-1e308, 0.0, 1e308]),
        figure([5e-324, 1e-323]),
        figure([1.0, 1.0 + 2**-52, 1.0 + 2**-51]),
        figure([1e-300, 1e300, 1.0], log_y=True),
        figure([0.0, -1.0, 1e-9, 1.0], log_y=True),
        figure([0.0, -1.0], log_y=True),
        figure([2e-3, 2.5e-3], log_y=True),
        figure([np.inf, 1.0, 2.0, -np.inf, 3.0, 4.0]),
        figure([np.inf]),
        figure([]),
        figure([1, 2, 3]),
        figure(np.array([Fraction(1, 3), Fraction(1, 2)])),
        figure([1.0, 3.0, 2.0], stroke="steps"),
        figure([1.0, 3.0, 2.0], stroke="points"),
        figure([1.0, 3.0, 2.0], stroke="band", top=np.array([2.0, 3.0, 9.0])),
        figure([4.0, 1.0, 4.0], x=np.array([1.0, 1.0, 1.0])),
        Figure(),
        Figure((Curve(np.arange(3.0), np.arange(3.0), "a" * 500),), "b" * 500, "c" * 500),
        Figure(tuple(Curve(np.arange(3.0), np.full(3, 1.0), f"curve {i}") for i in range(30))),
    ],
    ids=range(23),
)
def test_hard_figures_are_drawn_inside_the_picture(f):
    for style in (True, False):
        root = parsed(f, style=style)
        assert not re.search(r"\bnan\b|\binf\b", "".join(p.get("d", "") for p in root.iter()))
    for text in root.iter(f"{SVG}text"):
        assert -1 <= float(text.get("x")) <= 421
        assert -1 <= float(text.get("y")) <= 251
    for numbers in coordinates(root):
        assert all(abs(v) < 2000 for v in numbers)


@pytest.mark.parametrize("stroke", ["solid", "points", "steps"])
def test_a_hundred_thousand_points_stay_small(stroke):
    rng = np.random.default_rng(0)
    f = figure(rng.normal(size=100_000), x=np.sort(rng.normal(size=100_000)), stroke=stroke)
    assert len(draw(f)) < 130_000


def test_thinning_keeps_the_spike():
    y = np.zeros(100_000)
    y[31_415] = 1.0
    (line,) = coordinates(parsed(figure(y)))
    heights = line[1::2]
    assert min(heights) < 36
    assert len(heights) < 150


def test_a_straight_line_takes_two_points():
    (line,) = coordinates(parsed(figure(np.linspace(0, 1, 5000))))
    assert len(line) < 2 * 140
    slow = np.cos(np.linspace(0, np.pi / 2, 300))
    (line,) = coordinates(parsed(figure(slow)))
    x, y = np.array(line[::2]), np.array(line[1::2])
    share = (x - x[0]) / (x[-1] - x[0])
    drawn = np.interp(np.linspace(0, 1, 300), share, (y - y[-1]) / (y[0] - y[-1]))
    assert np.abs(drawn - slow).max() < 2e-3


def test_the_same_text_twice_and_nothing_that_could_meet():
    f = Figure((figure([1.0, 2.0, 1.5]).curves[0],), images=None)
    assert draw(f) == draw(f)
    for text in (draw(f), draw(Figure(images=np.ones((1, 1, 2, 2))))):
        assert " id=" not in text
        assert "url(" not in text
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_words_are_escaped():
    curve = Curve(np.arange(3.0), np.arange(3.0), HOSTILE)
    f = Figure((curve,), HOSTILE, HOSTILE, HOSTILE)
    root = parsed(f)
    assert not list(root.iter("script"))
    assert not list(root.iter(f"{SVG}script"))
    assert any("<script>alert(1)</script>" in t for t in texts(root))
    assert "\u202e" not in draw(f)


def test_labels_stand_on_no_curve_and_on_no_label():
    x = np.linspace(0, 1, 200)
    curves = [Curve(x, x**k, f"power {k}") for k in range(1, 6)]
    root = parsed(Figure((*curves, Curve(x, 0 * x, "zero"))))
    named = [t for t in root.iter(f"{SVG}text") if (t.text or "").startswith(("power", "zero"))]
    assert len(named) == 6
    boxes = [(float(t.get("x")), float(t.get("y"))) for t in named]
    for i, (x0, y0) in enumerate(boxes):
        for x1, y1 in boxes[i + 1 :]:
            assert abs(y0 - y1) > 10 or abs(x0 - x1) > 35


def test_many_labels_that_find_no_place_stand_at_the_right_below_each_other():
    x = np.linspace(0, 1, 2000)
    noise = np.random.default_rng(0).uniform(size=(3, 2000))
    root = parsed(Figure(tuple(Curve(x, n, f"noise {i}") for i, n in enumerate(noise))))
    spots = [
        (float(t.get("x")), float(t.get("y")))
        for t in root.iter(f"{SVG}text")
        if (t.text or "").startswith("noise")
    ]
    assert len(spots) == 3
    assert all(x > 300 for x, _ in spots)
    heights = sorted(y for _, y in spots)
    assert min(np.diff(heights)) >= 12


def test_pictures():
    a = np.random.default_rng(0).uniform(size=(2, 5, 8, 8))
    root = parsed(Figure(images=a, caption="Digits."))
    (image,) = root.iter(f"{SVG}image")
    assert image.get("href").startswith("data:image/png;base64,iVBOR")
    assert float(image.get("height")) == pytest.approx(420 * 17 / 44, abs=0.01)


def test_the_png_is_one():
    import io

    from PIL import Image

    from infsup.report.png import ink, sheet

    a = np.random.default_rng(0).uniform(size=(2, 3, 4, 5))
    whole = sheet(a)
    found = np.asarray(Image.open(io.BytesIO(ink(whole))))
    assert found.shape == (9, 17, 2)
    assert (found[..., 0] == 0).all()
    assert np.array_equal(found[..., 1], np.rint(255 * whole))


@pytest.mark.parametrize(
    ("f", "word"),
    [
        (lambda: figure([1.0, np.nan]), "NaN at index 1"),
        (lambda: figure([1.0, 2.0], x=np.array([0.0, np.inf])), "infinite at 1"),
        (lambda: figure([1.0, 2.0], x=np.array([0.0])), "1 values of x and 2 of y"),
        (lambda: figure([[1.0, 2.0]]), "shape"),
        (lambda: figure(["a", "b"]), "no number"),
        (lambda: figure([1.0], stroke="wavy"), "stroke"),
        (lambda: figure([1.0], stroke="band"), "band"),
        (lambda: figure([1.0], top=np.array([1.0])), "band"),
        (lambda: figure([1.0], ink="red"), "ink"),
        (lambda: Figure(images=np.ones((3, 8, 8))), r"\[3, 8, 8\]"),
        (lambda: Figure(images=np.full((1, 1, 2, 2), 1.5)), "outside"),
        (lambda: Figure(images=np.full((1, 1, 2, 2), np.nan)), "outside"),
        (lambda: Figure(images=np.zeros((1, 1, 3000, 3000))), "pixels"),
    ],
)
def test_what_cannot_be_drawn_is_said(f, word, unchecked):
    with pytest.raises(UsageError, match=word):
        draw(f())


def test_an_unknown_verdict_is_said():
    with pytest.raises(UsageError, match="verdict"):
        draw(figure([1.0]), "true")


def test_a_cloud_of_points_keeps_its_shape():
    t = np.linspace(0, 2 * np.pi, 100)
    ring = figure(np.sin(t), x=np.cos(t), stroke="points")
    (numbers,) = coordinates(parsed(ring))
    x, y = np.array(numbers[::3]), np.array(numbers[1::3])  # M x y h 0
    assert np.ptp(x) / np.ptp(y) == pytest.approx(1, abs=0.08)


def test_a_label_outside_the_frame_keeps_all_its_words():
    t = np.linspace(0, 60, 800)
    words = "left bound, one-sided"
    crowded = tuple(Curve(t, np.sin(t + k), words if k == 0 else "") for k in range(6))
    assert words in texts(parsed(Figure(crowded, "x", "y")))


def test_a_label_that_finds_no_place_chooses_first():
    x = np.array([4.0, 8, 16, 36, 64, 128])
    f = Figure(
        (
            Curve(x, 1 / (8 * x**2), "1/(8p²)", "grey", "dashed"),
            Curve(x, 1 / (4 * x**2), "sawtooth"),
            Curve(x[[0, 3]], 1 / (8 * x[[0, 3]] ** 2), "free knots", "accent", "points"),
        ),
        "pieces", "error", log_x=True, log_y=True,
    )  # fmt: skip
    named = {c.label for c in f.curves}
    said = [t for t in parsed(f).iter(f"{SVG}text") if t.text in named]
    at = {t.text: (float(t.get("x")), float(t.get("y"))) for t in said}
    assert set(at) == named
    assert max(x for x, _ in at.values()) < 350  # none of them right of the frame
    heights = sorted(y for _, y in at.values())
    assert all(b - a > 11 for a, b in itertools.pairwise(heights))


def test_a_band_from_zero_reaches_the_end_of_a_logarithmic_axis():
    band = Curve(np.array([4.0, 16]), np.array([0.1, 0.0]), "interval", "grey", "band",
                 np.array([0.7, 0.5]))  # fmt: skip
    (edge,) = coordinates(parsed(Figure((band,), "x", "y", log_y=True)))
    assert len(edge) == 8
    assert max(edge[1::2]) > 200  # the frame's lower end


def test_what_has_no_place_on_the_axes_has_no_label():
    zero = Curve(np.array([1.0, 2]), np.zeros(2), "nothing")
    one = Curve(np.array([1.0, 2]), np.ones(2), "one")
    assert "nothing" not in texts(parsed(Figure((zero, one), "x", "y", log_y=True)))
