"""The code of the README and of the docs runs, and prints what stands there.

Every fence is accounted for: `python` is executed (a page is one program), `console` is typed into
the shell, `text` is what the fence before it prints, `sh` are commands that take long or set up a
machine, which are looked up, `diagram` is drawn in letters. A line `...` in an output
stands for any lines. Numbers are compared to 1e-6, or within the percentage of a comment
`<!-- numbers within 60 % -->` above.
"""

import contextlib
import io
import json
import pathlib
import re
import shlex
import sys
from dataclasses import dataclass

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SLOW = {"docs/guides"}
"""Folders whose pages train and simulate: tens of seconds each."""
GENERATED = {"choose.md", "gallery.md", "benchmarks.md", "bibliography.md"}
"""Pages of the site that `make docs` writes."""
FENCE = re.compile(r"^```")
NUMBER = re.compile(r"[-−]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Fence:
    language: str
    body: str
    line: int
    within: float


def fences(text: str) -> list[Fence]:
    found: list[Fence] = []
    lines = text.splitlines()
    opened, within, body = None, 1e-6, []
    for number, line in enumerate(lines, 1):
        if match := re.match(r"<!-- numbers within (\d+) %", line):
            within = int(match[1]) / 100
        if not FENCE.match(line):
            if opened is not None:
                body.append(line)
            continue
        if opened is None:
            opened, body = (line[3:].strip(), number), []
        else:
            assert line.strip() == "```", f"line {number}: a fence in a fence"
            found.append(Fence(opened[0], "\n".join(body), opened[1], within))
            opened, within = None, 1e-6
    assert opened is None, f"line {opened}: the fence is not closed"
    return found


def same_line(wanted: str, got: str, within: float) -> bool:
    """Equal but for blanks and lengths of bars, with numbers near each other."""

    def shape(line: str) -> str:
        line = NUMBER.sub("#", line)
        return re.sub(r"([═━─╌·])\1+", r"\1", re.sub(r"\s+", " ", line)).strip()

    if shape(wanted) != shape(got):
        # a dot may stand elsewhere on a bar of another length
        return False
    pairs = zip(NUMBER.findall(wanted), NUMBER.findall(got), strict=True)
    for a, b in pairs:
        x, y = (float(s.replace(",", "").replace("−", "-")) for s in (a, b))
        if abs(x - y) > within * max(abs(x), abs(y)):
            return False
    return True


def same(wanted: str, got: str, within: float) -> bool:
    """Line by line; `...` stands for any lines, also none."""
    w = [x for x in wanted.splitlines() if x.strip()]
    g = [x for x in got.splitlines() if x.strip()]

    def match(i: int, j: int) -> bool:
        if i == len(w):
            return j == len(g)
        if w[i].strip() == "...":
            return any(match(i + 1, k) for k in range(j, len(g) + 1))
        return j < len(g) and same_line(w[i], g[j], within) and match(i + 1, j + 1)

    return match(0, 0)


def type_into_the_shell(fence: Fence) -> None:
    """Types each `$ infsup ...` and compares what it prints, apart from times."""
    from infsup.cli import main

    parts = re.split(r"^\$ ", fence.body, flags=re.MULTILINE)[1:]
    assert parts, f"line {fence.line}: nothing is typed"
    for part in parts:
        typed, _, wanted = part.partition("\n")
        assert typed.startswith("infsup "), f"line {fence.line}: {typed}"
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            main(shlex.split(typed)[1:])
        got = re.sub(r"\d[\d.]* s, without JAX", "without JAX", out.getvalue())
        wanted = re.sub(r"\d[\d.]* s, without JAX", "without JAX", wanted)
        assert same(wanted, got, fence.within), f"line {fence.line}, {typed}:\n{got}"


def look_up(fence: Fence) -> None:
    """Commands that set up a machine are not run; what they name must exist."""
    for command in fence.body.splitlines():
        if command.startswith("make "):
            target = command.split()[1]
            makefile = (ROOT / "Makefile").read_text()
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), command
        elif command.startswith("infsup "):
            from infsup.cli import main

            with contextlib.redirect_stdout(io.StringIO()):
                assert main([command.split()[1], "--help"]) == 0, command
        else:
            assert command.startswith(("pip install", "python3 -m", "git clone", "cd ")), command


def marked(page: pathlib.Path):
    slow = page.parent.relative_to(ROOT).as_posix() in SLOW
    return pytest.param(page, id=page.name, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize("page", [marked(page) for page in PAGES])
def test_the_page_runs_and_prints_what_stands_there(page, x64, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    found = fences(page.read_text(encoding="utf-8"))
    namespace = {"__name__": page.stem.lower()}
    monkeypatch.setitem(sys.modules, page.stem.lower(), type(sys)(page.stem.lower()))
    printed, done = "", 0
    for fence in found:
        if fence.language == "python":
            out = io.StringIO()
            # blank lines above, so that a traceback names the line of the page
            code = compile("\n" * fence.line + fence.body, str(page), "exec")
            with contextlib.redirect_stdout(out):
                exec(code, namespace)
            printed = out.getvalue()
        elif fence.language == "text":
            assert same(fence.body, printed, fence.within), f"line {fence.line}:\n{printed}"
        elif fence.language == "console":
            type_into_the_shell(fence)
        elif fence.language == "sh":
            look_up(fence)
        elif fence.language == "diagram":
            assert not re.search(r"^(\$|>>>|import |print)", fence.body, re.MULTILINE)
        else:
            pytest.fail(f"line {fence.line}: a fence of {fence.language!r} would not be tested")
        done += 1
    text = page.read_text(encoding="utf-8")
    assert done == len(found) == text.count("\n```") / 2
    assert text.count("```") == 2 * done, "a fence that is indented would not be run"


def test_the_comparison_can_fail():
    text = "[0.15 %, 3.73 %]"
    assert same(text, text, 1e-6)
    assert not same(text, "[0.15 %, 3.74 %]", 1e-6)
    assert same(text, "[0.15 %, 3.74 %]", 0.1)
    assert not same(text, "[0.15 %, 3.73 %], refuted", 0.1)
    assert same("a\n...\nd", "a\nb\nc\nd", 0)
    assert not same("a\n...\nd", "a\nb\nc", 0)
    with pytest.raises(AssertionError, match="not closed"):
        fences("```python\n1\n")


def test_links_of_the_pages_exist():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            made = target in GENERATED and page.parent.name == "docs"
            if "://" not in target and not made:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def table() -> str:
    """What there is, from `infsup list --json`."""
    from infsup.cli import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["list", "--json"]) == 0
    pillars = json.loads(out.getvalue())["pillars"]
    lines = ["| pillar | you ask | methods | bounds | named problems |", "|---|---|---|---|---|"]
    for p in pillars:
        cells = [
            p["pillar"],
            p["text"].rstrip("."),
            *(", ".join(f"`{n}`" for n in p[k]) or "–" for k in ("methods", "bounds", "problems")),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


PLACE = re.compile(r"(from `infsup list --json`[^\n]*-->\n)(.*?)(\n\n)", re.DOTALL)


def test_the_table_is_that_of_list():
    found = PLACE.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found is not None
    assert found[2] == table(), "python tests/test_readme.py writes it anew"


if __name__ == "__main__":
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    readme.write_text(PLACE.sub(lambda m: m[1] + table() + m[3], text), encoding="utf-8")
