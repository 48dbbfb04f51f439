"""`infsup list`: names with one line each, from static tables and source text, without JAX."""

import ast
import fnmatch
import importlib
import importlib.util
import pathlib
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from infsup.cli.exits import DONE, NOTHING, ShellError
from infsup.cli.screen import screen
from infsup.core.errors import nearest
from infsup.core.registry import HOMES, public
from infsup.problems import GALLERY

KINDS = ("problems", "methods", "bounds", "data")
SINGULAR = {"problems": "problem", "methods": "method", "bounds": "bound", "data": "data set"}


def pillars() -> list[str]:
    """The pillars that are here, in their order."""
    return [h for h in HOMES if importlib.util.find_spec(f"infsup.{h}") and _tables(h)]


def _tables(home: str) -> dict[str, dict[str, str]]:
    package = importlib.import_module(f"infsup.{home}")
    tables = {t: getattr(package, t, {}) for t in ("PROBLEMS", "METHODS", "BOUNDS")}
    return tables if any(tables.values()) else {}


def entries(kind: str) -> list[dict[str, str]]:
    """All of a kind: name, pillar, text, and of a problem its source.

    Args:
        kind: of `KINDS`.
    """
    if kind == "problems":
        return [
            {"name": n, "pillar": e.pillar, "text": e.title, "source": e.source}
            for n, e in GALLERY.items()
        ]
    if kind == "data":
        from infsup.data import DATA

        return [
            {"name": n, "pillar": "data", "text": _about("data", m, n)} for n, m in DATA.items()
        ]
    table = kind.upper()
    found = []
    for home in HOMES:
        if importlib.util.find_spec(f"infsup.{home}") is None:
            continue
        names = getattr(importlib.import_module(f"infsup.{home}"), table, {})
        found += [{"name": n, "pillar": home, "text": _about(home, m, n)} for n, m in names.items()]
    return found


def _about(home: str, module: str, name: str) -> str:
    """The first line of what a name's source says of it; nothing is imported."""
    folder = pathlib.Path(__file__).parent.parent / home
    place = folder.joinpath(*module.split("."))
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return ""
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            paragraph = (ast.get_docstring(node) or "").partition("\n\n")[0]
            sentence, stop, _ = " ".join(paragraph.split()).partition(". ")
            return sentence + stop.strip()
    return ""


def overview() -> list[dict[str, Any]]:
    """One row a pillar: what one asks, and the names of its methods and bounds."""
    rows = []
    for home in pillars():
        text = (importlib.import_module(f"infsup.{home}").__doc__ or "").splitlines()[0]
        rows.append(
            {
                "pillar": home,
                "text": text,
                "problems": [n for n, e in GALLERY.items() if e.pillar == home],
                **{k.lower(): list(names) for k, names in _tables(home).items() if k != "PROBLEMS"},
                "types": list(_tables(home)["PROBLEMS"]),
            }
        )
    return rows


def complete_problem(incomplete: str) -> list[tuple[str, str]]:
    """Gallery names for the shell's completion."""
    return [(n, e.title) for n, e in GALLERY.items() if n.startswith(incomplete)]


def complete_method(incomplete: str) -> list[str]:
    """Method names for the shell's completion."""
    return [n for n in public("METHODS") if n.lower().startswith(incomplete.lower())]


def complete_bound(incomplete: str) -> list[str]:
    """Bound names for the shell's completion."""
    return [n for n in public("BOUNDS") if n.lower().startswith(incomplete.lower())]


def complete_kind(incomplete: str) -> list[str]:
    """Kinds of names for the shell's completion."""
    return [k for k in KINDS if k.startswith(incomplete)]


def complete_pillar(incomplete: str) -> list[str]:
    """Pillars for the shell's completion."""
    return [p for p in pillars() if p.startswith(incomplete)]


def list_names(
    kind: Annotated[
        str,
        typer.Argument(
            help="problems, methods, bounds or data; all in short where left out.",
            autocompletion=complete_kind,
            metavar="[problems|methods|bounds|data]",
        ),
    ] = "",
    pattern: Annotated[
        str, typer.Argument(help="Part of a name or of its line, or a pattern with *.")
    ] = "",
    pillar: Annotated[
        str, typer.Option(help="Only of this pillar.", autocompletion=complete_pillar)
    ] = "",
    fitting: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="PROBLEM",
            help="Only methods and bounds for this problem (a name or a .py file, which is run).",
            autocompletion=complete_problem,
        ),
    ] = "",
) -> int:
    """Problems, methods, bounds and data, with one line each."""
    if kind and kind not in KINDS:
        if pattern:
            raise ShellError(
                f"there is no list of `{kind}`",
                remedy=f"infsup list {_only(kind, KINDS)} {pattern}",
            )
        close = nearest(kind, KINDS)
        if close in KINDS:
            raise ShellError(f"there is no list of `{kind}`", remedy=f"infsup list {close}")
        kind, pattern = "", kind
    if pillar and pillar not in pillars():
        raise ShellError(
            f"there is no pillar `{pillar}`", remedy=f"--pillar {_only(pillar, pillars())}"
        )
    if fitting:
        return _for(fitting, kind, pattern)
    if not kind and not pattern and not pillar:
        return _overview()
    found = {
        k: [e for e in entries(k) if _matches(e, pattern) and (not pillar or e["pillar"] == pillar)]
        for k in ([kind] if kind else KINDS)
    }
    if not any(found.values()):
        where = f" in {pillar}" if pillar else ""
        names = [e["name"] for k in found for e in entries(k)]
        close = nearest(pattern, names) if pattern else ""
        raise ShellError(
            f"nothing matches `{pattern or kind}`{where}",
            remedy=f"infsup list {close}" if close in names else "infsup list",
            code=NOTHING,
        )
    screen.emit({"status": {"verdict": "done", "exit": DONE}, **found})
    for k, rows in found.items():
        if not kind and rows:
            screen.say(k)
        _rows(rows, indent="" if kind else "  ")
    if kind == "problems" and not screen.quiet:
        screen.say()
        screen.rows([("next", f"infsup solve {found['problems'][0]['name']}")])
    return DONE


def _only(name: str, known: Any) -> str:
    """The nearest name, or all of them as one word to choose from."""
    close = nearest(name, known)
    return close if close in known else "|".join(known)


def _matches(entry: Mapping[str, str], pattern: str) -> bool:
    low = pattern.lower()
    if any(c in low for c in "*?["):
        return fnmatch.fnmatch(entry["name"].lower(), low)
    return low in f"{entry['name']} {entry['text']} {entry['pillar']}".lower()


def _rows(rows: list[dict[str, str]], indent: str = "") -> None:
    if screen.quiet:
        for e in rows:
            screen.say(e["name"])
        return
    label = max((len(indent + e["name"]) + 2 for e in rows), default=14)
    screen.rows([(indent + e["name"], e["text"] or e["pillar"]) for e in rows], label=label)


def _overview() -> int:
    rows = overview()
    if screen.json:
        # the lines of all names are read from their sources only here: it takes a while
        done = {"verdict": "done", "exit": DONE}
        screen.emit({"status": done, "pillars": rows, **{k: entries(k) for k in KINDS}})
        return DONE
    if screen.quiet:
        for kind in KINDS:
            for e in entries(kind):
                screen.say(e["name"])
        return DONE
    screen.say("problems")
    _rows(entries("problems"), indent="  ")
    for row in rows:
        screen.say()
        screen.rows([(row["pillar"], row["text"])])
        for k in ("methods", "bounds"):
            if row[k]:
                screen.rows([(f"  {k}", ", ".join(row[k]))])
    screen.say()
    screen.rows(
        [
            ("data", ", ".join(e["name"] for e in entries("data"))),
            ("next", f"infsup solve {next(iter(GALLERY))}   or   infsup list methods"),
        ]
    )
    return DONE


def _for(name: str, kind: str, pattern: str) -> int:
    """What fits a problem: this makes the problem, so it needs JAX."""
    from infsup.cli.problem_file import open_problem
    from infsup.core.choose import choose
    from infsup.core.errors import InfsupError
    from infsup.core.registry import fitting, named

    if kind not in ("", "methods", "bounds"):
        raise ShellError(f"`--for` lists methods and bounds, not {kind}", remedy="infsup list")
    asked = open_problem(name, {})
    lists = {}
    for k in [kind] if kind else ("methods", "bounds"):
        known = {e["name"]: e for e in entries(k)}
        lists[k] = []
        for n in fitting(k.upper(), asked.problem):
            entry = dict(known[n])
            if k == "methods":
                # what a method's own look at the problem's structure says
                try:
                    named("METHODS", n)().suits(asked.problem.fit)
                except InfsupError as e:
                    entry["text"] = f"does not suit: {e.what}"
                except TypeError:
                    pass  # it has fields without defaults
            if _matches(entry, pattern):
                lists[k].append(entry)
    if not any(lists.values()):
        raise ShellError(
            f"nothing fits `{name}`" + (f" and matches `{pattern}`" if pattern else ""),
            remedy="infsup list",
            code=NOTHING,
        )
    try:
        choice = choose(asked.problem)
        default, why = type(choice.method).__name__, choice.why
    except InfsupError:
        default, why = "", "no default is registered"
    screen.emit(
        {
            "status": {"verdict": "done", "exit": DONE},
            "problem": {"id": name},
            "default": {"method": default, "why": why},
            **lists,
        }
    )
    for k, rows in lists.items():
        if not screen.quiet:
            screen.say(k)
        _rows(rows, indent="" if screen.quiet else "  ")
    if not screen.quiet:
        screen.say()
        screen.rows([("default", f"{default}: {why}" if default else why)])
    return DONE
