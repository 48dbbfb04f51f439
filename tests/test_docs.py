"""The site: what is generated speaks of everything, and what is built asks nobody outside."""

import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys

import jax
import pytest

import infsup
from infsup.report.literature import bibliography

ROOT = pathlib.Path(__file__).parents[1]
HAS_MKDOCS = importlib.util.find_spec("mkdocs") is not None


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def make_docs(tmp_path_factory):
    module = load("make_docs")
    module.PAGES = tmp_path_factory.mktemp("docs") / "pages"
    return module


@pytest.fixture(scope="module")
def whole(make_docs):
    if not jax.config.jax_enable_x64:
        pytest.skip("needs 64-bit")
    make_docs.main(solving=False)
    return make_docs.PAGES


@pytest.fixture
def gathered(whole, tmp_path):
    """A copy, which a test may change."""
    return pathlib.Path(shutil.copytree(whole, tmp_path / "pages"))


def navigation():
    text = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]
    return re.findall(r"([\w/-]+\.md)\s*$", text, re.MULTILINE)


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page(gathered):
    there = {p.relative_to(gathered).as_posix() for p in gathered.rglob("*.md")}
    assert set(navigation()) == there
    assert len(navigation()) == len(set(navigation()))


def test_every_theorem_is_listed(gathered):
    from infsup.theorems.registry import theorems

    text = (gathered / "theorems.md").read_text("utf-8")
    known = theorems()
    assert known
    for id, t in known.items():
        assert f"### {id} " in text
        assert f"{t.file}:{t.line}" in text
        assert t.code.splitlines()[0] in text


def test_every_statement_can_be_set():
    from infsup.report.math import prose
    from infsup.theorems.registry import theorems

    for id, t in theorems().items():
        assert "<math" in prose(t.statement), id


def test_every_work_has_an_anchor(gathered):
    text = (gathered / "bibliography.md").read_text("utf-8")
    for key in bibliography():
        assert f"{{ #{key} }}" in text


def test_every_public_class_and_function_has_its_place(gathered, make_docs):
    found = re.findall(r"^::: (\S+)", "".join(_all(gathered / "api")), re.MULTILINE)
    assert len(found) == len(set(found))
    for name in ("solve", "certify", "check", "Certificate", "Problem"):
        assert any(target.endswith(f".{name}") for target in found), name
    for pillar in make_docs.PILLARS:
        package = importlib.import_module(f"infsup.{pillar}")
        for public, module in {**package.METHODS, **package.BOUNDS, **package.PROBLEMS}.items():
            assert f"infsup.{pillar}.{module}.{public}" in found


def test_every_benchmark_is_a_table(gathered):
    text = (gathered / "benchmarks.md").read_text("utf-8")
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        assert f"infsup bench {path.stem}" in text


def test_how_to_choose_names_every_problem_of_the_gallery(gathered):
    from infsup.problems import GALLERY

    text = (gathered / "choose.md").read_text("utf-8")
    for name in GALLERY:
        assert f"| [`{name}`](gallery.md#{name}) |" in text


def _all(folder):
    return [p.read_text("utf-8") for p in sorted(folder.rglob("*.md"))]


def test_links_in_the_site(make_docs):
    text = make_docs.inner_links(
        "[a](../CONTRIBUTING.md) [b](docs/x.md) [c](https://example.org/x) [d](../../CHANGELOG.md)"
    )
    assert text == "[a](contributing.md) [b](x.md) c [d](../changelog.md)"


# -- what needs the packages of the site -----------------------------------------------------------


def markdown(text):
    import markdown

    extension = load("markdown_math").makeExtension()
    arithmatex = {"pymdownx.arithmatex": {"generic": True, "smart_dollar": True}}
    return markdown.markdown(
        text, extensions=["pymdownx.arithmatex", extension], extension_configs=arithmatex
    )


@pytest.mark.skipif(not HAS_MKDOCS, reason="the site's packages are not installed (make docs)")
def test_formulas_and_citations_in_markdown():
    got = markdown("Let $x<1$, see [yarotsky2017error, Theorem 1] and [0, 1] and [a](b).")
    assert "<math" in got
    assert 'identifier="yarotsky2017error"' in got
    assert "Yarotsky 2017, Theorem 1" in got
    assert "[0, 1]" in got
    assert 'href="b"' in got
    assert 'display="block"' in markdown("$$x \\le 1$$")
    with pytest.raises(KeyError, match="nobody1999nothing"):
        markdown("[nobody1999nothing]")
    with pytest.raises(infsup.core.errors.UsageError, match="nosuchcommand"):
        markdown("$\\nosuchcommand$")


@pytest.mark.slow
@pytest.mark.skipif(not HAS_MKDOCS, reason="the site's packages are not installed (make docs)")
def test_the_site_is_strict_and_asks_nobody(gathered, tmp_path):
    got = build(gathered, tmp_path)
    assert got.returncode == 0, got.stderr[-3000:]
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(navigation())
    for page in pages:
        text = page.read_text("utf-8")
        outside = re.findall(r"""(?:src|href|action|data)\s*=\s*["'](?:https?:)?//[^"']*""", text)
        outside += re.findall(r"""url\(\s*["']?(?:https?:)?//[^)]*""", text)
        assert outside == [], page.name
    assert "<math" in (tmp_path / "site" / "theorems.html").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.skipif(not HAS_MKDOCS, reason="the site's packages are not installed (make docs)")
def test_a_dead_link_fails_the_build(gathered, tmp_path):
    page = gathered / "glossary.md"
    page.write_text(page.read_text("utf-8") + "\n[dead](nowhere.md)\n", "utf-8")
    got = build(gathered, tmp_path)
    assert got.returncode != 0
    assert "nowhere.md" in got.stderr


def build(pages, tmp_path):
    """Runs mkdocs on other pages, with everything else as `make docs` has it."""
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    text = text.replace("docs_dir: .cache/pages", f"docs_dir: {pages}")
    text = text.replace("site_dir: site", f"site_dir: {tmp_path / 'site'}")
    text = text.replace("paths: [src]", f"paths: [{ROOT / 'src'}]")
    config = tmp_path / "mkdocs.yml"
    config.write_text(text, "utf-8")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config)]
    env = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tools'}", "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, **env}
    )
