"""The report as a page: what must be on it, what must never be, and what damaged files do to it."""

import html
import html.parser
import json
import os
import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest
import samples

import infsup as isp
from infsup.cli import main
from infsup.core.bracket.style import COLOURS
from infsup.core.certificate import Certificate, Hypothesis
from infsup.report.page import Report, pages
from infsup.report.pictures import Picture, Tile
from infsup.report.stops import Stop, Unreadable
from infsup.report.verified import read

HOSTILE = '</title><script>alert(1)</script>"\' onload="x" ]]> &amp; \u202eabc\u2067 $\\frac$'
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


LOCAL = r"[\w-]+\.html(#[\w-]+)?"


class Page(html.parser.HTMLParser):
    """Tags, attributes and text of a page; open elements must be closed in their order."""

    VOID = frozenset(("meta", "img", "br", "line", "path", "rect", "circle", "image", "mspace"))

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words, self.open = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def certificate(**more):
    fields = {"sense": "min", "level": 0.99, "source": "Clopper and Pearson 1934"}
    rest = {**fields, **more}
    claim = ("error rate", "a network", 0.0018, 0.0347, "confidence", "infsup.x:HoldOut")
    seen = Hypothesis("the rows are unseen", "checked")
    return Certificate(*claim, range=(0.0, 1.0), hypotheses=(seen,), **rest)


def stop(**more):
    fields = {
        "name": "digits",
        "title": "Learn digits",
        "question": "How often?",
        "certificate": certificate(),
        "also": (),
        "truth": None,
        "comparators": {"guess": 0.9},
        "picture": Picture(None, (Tile(np.eye(8), "9 → 3"),), "One misread."),
        "cost": "4 s",
        "commands": ("infsup solve digits", "infsup check runs/digits"),
    }
    return Stop(**{**fields, **more})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return samples.write(tmp_path_factory.mktemp("verify"), failing=samples.broken())


def one(report, **more):
    found = pages(report, **more)
    assert list(found) == ["index.html"]
    return found["index.html"]


def clean(text):
    """What every page must be, whatever is on it."""
    page = Page(text)
    assert "script" not in page.tags
    assert not any(name.startswith("on") for name, _ in page.attributes)
    for name, value in page.attributes:
        if name in ("href", "src", "xlink:href", "action", "data"):
            assert value.startswith(("#", "data:")) or re.fullmatch(
                r"[\w-]+\.html(#[\w-]+)?", value
            )
    assert not re.search(r"url\((?!data:)", text)
    outside = set(re.findall(r"https?://[^\s\"'<)]+", text))
    assert outside <= {"http://www.w3.org/2000/svg"}, outside
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = {v[1:] for n, v in page.attributes if n == "href" and v.startswith("#")}
    assert targets <= set(ids)
    assert "default-src 'none'" in text
    assert 'name="viewport"' in text
    return page


def test_everything_is_on_it(run):
    text = one(Report([stop()], read(run), (), [("command", "infsup report")]))
    page = clean(text)
    for theorem in samples.document()["theorems"]:
        assert theorem["id"] in page.text
        assert theorem["title"] in page.text
        assert f'id="t-{theorem["id"]}"' in text
        assert f"infsup verify {theorem['id']}" in page.text
        assert f"{theorem['file']}:{theorem['line']}" in page.text
    for words in ("0.18 %", "3.47 %", "99 % confidence", "the rows are unseen", "4 s", "9 → 3"):
        assert words in page.text, words
    assert "0.01877 > 0.01062" in page.text
    assert "1/1024" in page.text
    assert page.tags.count("math") >= 8
    assert "Why the constant is 4^-(m+1)." in page.text
    assert "@theorem" not in page.text
    assert "4 of 5 broken caught" in page.text.replace("4  of 5", "4 of 5")


def test_failures_stand_open_the_rest_is_closed(run):
    text = one(Report((), read(run)))
    opened = set(re.findall(r'<details class="th \w+" open>.*?id="t-(\w+)"', text, re.DOTALL))
    assert opened == {"A03", "D05", "F07"}


def test_verdicts_are_counted_and_linked(run):
    text = one(Report([stop()], read(run)))
    strip = text[text.index('class="strip"') : text.index("</ul>")]
    found = dict(re.findall(r'<li class="(\w+)[^>]*>.*?<b>(\d+)', strip))
    assert found == {
        "certified": "5",
        "conditional": "0",
        "consistent": "1",
        "vacuous": "0",
        "inapplicable": "0",
        "refused": "2",
        "refuted": "1",
        "brk": "4",
    }
    assert 'href="#q1"' in strip
    assert 'href="#t-D05"' in strip


def test_hostile_words_stay_words(tmp_path):
    document = samples.document()
    texts = ("title", "statement", "source", "notes", "error", "file", "code", "pillar")
    document["theorems"] = [
        samples.entry("A03", **dict.fromkeys(texts, HOSTILE), hypotheses=[HOSTILE]),
        samples.entry(HOSTILE, found=(samples.compared(HOSTILE, 1.0, "<=", 2.0, 0, HOSTILE),)),
    ]
    shown = samples.curve([0.0, 1.0], [0.0, 1.0], HOSTILE)
    document["theorems"][1]["figure"] = samples.figure([shown], *[HOSTILE] * 3)
    document["versions"] = {HOSTILE: HOSTILE}
    claim = Certificate(
        HOSTILE, HOSTILE, 1.0, 2.0, "proved_real", "x:Y", source=HOSTILE, reason=HOSTILE,
        hypotheses=(Hypothesis(HOSTILE, "assumed", HOSTILE),),
    )  # fmt: skip
    bad = stop(
        title=HOSTILE,
        question=HOSTILE,
        certificate=claim,
        also=(claim,),
        comparators={HOSTILE: 3.0},
        picture=Picture(None, (Tile(np.eye(4), HOSTILE),), HOSTILE),
        cost=HOSTILE,
        commands=(HOSTILE,),
    )
    verified = read(samples.write(tmp_path, document))
    stops = [bad, Unreadable(HOSTILE, HOSTILE)]
    text = one(Report(stops, verified, [(HOSTILE, HOSTILE)], [("command", HOSTILE)]))
    page = clean(text)
    assert page.text.count("<script>alert(1)</script>") > 20
    assert not {"\u202e", "\u2067"} & set(text)


def test_a_large_report_becomes_a_page_a_pillar(run):
    found = pages(Report([stop()], read(run)), most_bytes=100_000)
    assert set(found) == {
        "index.html",
        *(f"t-{p}.html" for p in ("approximation", "optimization", "generalization", "control")),
        "t-generative.html",
    }
    for text in found.values():
        clean(text)
    assert 'href="t-control.html"' in found["index.html"]
    assert 'href="t-control.html#t-D05"' in found["index.html"]
    assert 'id="t-D05"' in found["t-control.html"]


def test_the_page_is_small(run):
    assert len(one(Report([stop()], read(run))).encode()) < 350_000


def test_refused_and_empty_ones_carry_no_number():
    refused = certificate(verdict="refused", reason="the effective sample is 2 of 20,000")
    page = clean(one(Report([stop(certificate=refused, picture=None, comparators={})])))
    assert "no number" in page.text
    assert "the effective sample is 2 of 20,000" in page.text
    assert "0.18" not in page.text


STRENGTHS = [
    ({}, "99 % confidence ."),
    (
        {"hypotheses": (Hypothesis("draws are independent", "assumed"),)},
        "99 % confidence , if draws are independent.",
    ),
    (
        {"verdict": "vacuous", "lower": 0.0, "upper": 1.0},
        "99 % confidence ; no better than [0, 1].",
    ),
    (
        {"verdict": "refuted", "reason": "the truth is 2"},
        "Refuted : the truth is 2. It was claimed as 99 % confidence",
    ),
    ({"verdict": "inapplicable", "reason": "no mean"}, "Inapplicable : no mean."),
]


@pytest.mark.parametrize(("fields", "words"), STRENGTHS, ids=[words for _, words in STRENGTHS])
def test_the_strength_is_a_sentence(fields, words):
    given = {"lower": 0.0018, "upper": 0.0347, **fields}
    if given.get("verdict") == "inapplicable":
        given |= {"lower": -np.inf, "upper": np.inf}
    seen = (Hypothesis("the rows are unseen", "checked"),)
    claim = Certificate(
        "error rate", "a network", kind="confidence", bound="x:Y", range=(0.0, 1.0), level=0.99,
        **{"hypotheses": seen, **given},
    )  # fmt: skip
    page = clean(one(Report([stop(certificate=claim, picture=None, comparators={})])))
    assert words in page.text


def test_what_cannot_be_read_is_said_once():
    page = clean(one(Report([Unreadable("runs/x", "its checksum differs")], None, [("a", "b")])))
    assert page.text.count("its checksum differs") == 1
    assert page.text.count("not shown") == 2


# -- the file of verify ----------------------------------------------------------------------------

DAMAGES = {
    "cut off": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "a list": lambda text: "[]",
    "nested": lambda text: "[" * 100_000,
    "another kind": lambda text: text.replace('"kind": "verify"', '"kind": "solution"'),
    "a newer schema": lambda text: text.replace('"schema": 1', '"schema": 2'),
    "a verdict of its own": lambda text: text.replace('"certified"', '"true"'),
    "a number that is none": lambda text: text.replace('"1/64"', '"1/63.5"'),
    "a relation": lambda text: text.replace('"<="', '"<<"'),
    "a word for a number": lambda text: text.replace('"seconds": 0.31', '"seconds": "x"'),
    "no title": lambda text: text.replace('"title"', '"name"'),
    "a line that is text": lambda text: text.replace('"line": 41', '"line": "41"'),
    "twice": lambda text: text.replace('"A09"', '"A03"'),
    "a figure without numbers": lambda text: text.replace('"x": [', '"x": ["a", ', 1),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_record_is_one_clear_error_and_a_valid_page(
    damage, run, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    folder = pathlib.Path("runs/verify")
    folder.mkdir(parents=True)
    whole = (run / "verify.json").read_text()
    assert damage(whole) != whole
    (folder / "verify.json").write_text(damage(whole))
    assert main(["report"]) == 4
    out = capfd.readouterr().out
    assert out.count("unreadable") == 1
    page = clean(pathlib.Path("runs/report/index.html").read_text("utf-8"))
    assert page.text.count("not shown") == 1


# -- the command -----------------------------------------------------------------------------------


@pytest.fixture
def solved(tmp_path, monkeypatch, x64):
    monkeypatch.chdir(tmp_path)
    isp.solve(isp.problem("double-integrator")).save(tmp_path / "cart")
    (tmp_path / "runs").mkdir()
    (tmp_path / "cart").rename(tmp_path / "runs" / "cart")
    return tmp_path


def test_nothing_there(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["report"]) == 5
    assert "nothing to report" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_solution_and_a_record(solved, run, capfd):
    assert main(["report", "--from", "runs", "--from", str(run), "-o", "out"]) == 0
    said = capfd.readouterr().out
    assert "out/index.html" in said
    page = clean((solved / "out" / "index.html").read_text("utf-8"))
    assert "infsup check runs/cart" in page.text
    assert "A03" in page.text
    assert [p.name for p in (solved / "out").iterdir()] == ["index.html"]


def test_json(solved, capfd):
    assert main(["report", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["saved"] == "runs/report/index.html"
    assert found["pages"] == ["index.html"]
    assert found["solutions"] == [{"name": "cart", "verdict": "certified"}]
    assert found["unreadable"] == []


def test_a_damaged_solution_is_told_and_the_others_are_shown(solved, capfd):
    isp.solve(isp.problem("double-integrator")).save(solved / "runs" / "torn")
    file = solved / "runs" / "torn" / "arrays.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert main(["report", "runs"]) == 4
    assert "unreadable  runs/torn" in capfd.readouterr().out
    page = clean((solved / "runs" / "report" / "index.html").read_text("utf-8"))
    assert "infsup check runs/cart" in page.text
    assert page.text.count("not shown") == 1


def test_a_link_to_a_solution_is_shown_once_and_the_newest_record_alone(solved, run, capfd):
    (solved / "runs" / "again").symlink_to("cart", target_is_directory=True)
    (solved / "runs" / "loop").symlink_to(".", target_is_directory=True)
    for name, when in (("verify", 1_000), ("tour", 2_000)):
        samples.write(solved / "runs" / name)
        os.utime(solved / "runs" / name / "verify.json", (when, when))
    assert main(["report", "--json"]) == 0
    said = capfd.readouterr()
    found = json.loads(said.out)
    assert len(found["solutions"]) == 1
    assert len(found["theorems"]) == len(samples.document()["theorems"])
    assert "runs/verify/verify.json is older than runs/tour" in said.err


def test_a_damaged_figure_costs_its_own_card_nothing_else(tmp_path, capfd):
    document = samples.document()
    document["theorems"][0]["figure"]["curves"][0]["y"] = 0.5
    there = samples.write(tmp_path / "there", document)
    assert main(["report", str(there), "-o", str(tmp_path / "out")]) == 4
    assert capfd.readouterr().out.count("unreadable") == 1
    text = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "the figure of A03" in clean(text).text
    for theorem in document["theorems"]:
        assert f'id="t-{theorem["id"]}"' in text


def test_a_damaged_record_of_broken_variants_leaves_the_cards(run, tmp_path, capfd):
    whole = samples.write(tmp_path / "there", failing=samples.broken())
    (whole / "broken.json").write_text("[")
    assert main(["report", str(whole), "-o", str(tmp_path / "out")]) == 4
    assert capfd.readouterr().out.count("unreadable") == 1
    text = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "broken.json" in clean(text).text
    assert 'id="t-A03"' in text


def test_a_place_that_cannot_be_written(run, tmp_path, capfd):
    (tmp_path / "file").write_text("mine")
    assert main(["report", str(run), "-o", str(tmp_path / "file")]) == 4
    assert (tmp_path / "file").read_text() == "mine"
    assert "Traceback" not in capfd.readouterr().err


# -- in a browser ----------------------------------------------------------------------------------


def browser(tmp_path, page, *words):
    profile = tmp_path / "profile"
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={profile}", "--enable-logging=stderr", *words, page.as_uri(),
    ]  # fmt: skip
    env = {**os.environ, "HOME": str(tmp_path)}
    return subprocess.run(command, capture_output=True, text=True, timeout=90, env=env)


def measured(tmp_path, text, width, target=""):
    """What a script finds on the page, which itself allows none: a dictionary."""
    script = """<script>addEventListener("load", () => {
      const box = e => e.getBoundingClientRect(), wide = document.documentElement.clientWidth
      const shown = e => e.checkVisibility({contentVisibilityAuto: true}) && box(e).height > 0
      const out = [...document.querySelectorAll("main *")].filter(e => box(e).right > wide + 1 &&
        !e.closest("math, .scroll, pre, svg"))
      top.postMessage(JSON.stringify({
        wide, scroll: document.documentElement.scrollWidth,
        out: out.map(e => e.outerHTML.slice(0, 80)),
        cards: [...document.querySelectorAll(".body")].filter(shown).map(e => e.id),
        down: scrollY,
        asked: performance.getEntriesByType("resource").map(e => e.name.slice(0, 30)),
      }), "*")})</script></body>"""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    (tmp_path / "inner.html").write_text(text.replace("</body>", script), "utf-8")
    # a window cannot be as narrow as a phone, a frame can
    frame = f'<iframe src="inner.html{target}" width="{width}" height="800" style="border:0">'
    heard = "<script>onmessage = e => document.title = e.data</script>"
    page = tmp_path / "outer.html"
    page.write_text(f"<!doctype html><title>none</title>{heard}{frame}</iframe>", "utf-8")
    words = ("--hide-scrollbars", "--virtual-time-budget=3000", "--window-size=1400,900")
    got = browser(tmp_path, page, *words, "--dump-dom")
    assert got.returncode == 0, got.stderr[-2000:]
    found = re.search(r"<title>(.*?)</title>", got.stdout, re.DOTALL)[1]
    return json.loads(html.unescape(found))


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_a_browser_shows_every_card_and_complains_about_nothing(run, tmp_path):
    page = tmp_path / "index.html"
    page.write_text(one(Report([stop()], read(run))), "utf-8")
    got = browser(tmp_path, page, "--dump-dom")
    assert got.returncode == 0, got.stderr[-2000:]
    said = [line for line in got.stderr.splitlines() if "CONSOLE" in line]
    assert said == []
    for theorem in samples.document()["theorems"]:
        assert f'id="t-{theorem["id"]}"' in got.stdout
    assert got.stdout.count("<math") >= 8


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_the_browser_would_complain(tmp_path):
    page = tmp_path / "bad.html"
    text = one(Report([stop()])).replace("</body>", "<script>alert(1)</script></body>")
    page.write_text(text, "utf-8")
    got = browser(tmp_path, page, "--dump-dom")
    assert any("CONSOLE" in line for line in got.stderr.splitlines())


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_nothing_is_wider_than_the_window_and_nothing_is_asked_for(run, tmp_path, width):
    word = "an_unbroken_word_" * 12
    odd = stop(title=word, question=word, commands=(word,), cost=word, name="odd")
    text = one(Report([stop(), odd], read(run), [(word, word)], [("command", word)]))
    text = text.replace('<details class="th ', '<details open class="th ')
    found = measured(tmp_path, text, width)
    assert found["wide"] == width
    assert found["scroll"] <= width, found["out"]
    assert found["out"] == []
    assert sorted(found["cards"]) == sorted(f"t-{t['id']}" for t in samples.document()["theorems"])
    assert all(name.startswith("data:") for name in found["asked"])


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_a_link_to_a_card_opens_it(run, tmp_path):
    text = one(Report([stop()], read(run)))
    assert 'href="#t-B08"' in text
    assert "t-B08" not in measured(tmp_path, text, 1280)["cards"]
    found = measured(tmp_path, text, 1280, target="#t-B08")
    assert "t-B08" in found["cards"]
    assert found["down"] > 0


# -- colours ---------------------------------------------------------------------------------------


def luminance(colour):
    digits = colour.lstrip("#")
    digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_colour_has_the_contrast_of_wcag_aa(scheme):
    paper = luminance(COLOURS["paper"][scheme])
    for name, pair in COLOURS.items():
        if name in ("paper", "hair"):  # no letters in these
            continue
        low, high = sorted((paper, luminance(pair[scheme])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, name


def test_nothing_moves_and_what_has_the_focus_is_marked(run):
    text = one(Report([stop()], read(run)))
    style = text[text.index("<style>") : text.index("</style>")]
    assert not re.search(r"animation|transition|scroll-behavior|@keyframes", style)
    assert "summary:focus-visible,a:focus-visible{outline:2px" in style
    assert "outline:0" not in style
    assert "outline:none" not in style
    assert "@media print" in style
