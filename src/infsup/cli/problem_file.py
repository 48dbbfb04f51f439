"""The problem that a command names: of the gallery, or in a Python file of the user's own."""

import dataclasses
import importlib.util
import inspect
import pathlib
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from infsup.cli.exits import UNREADABLE, USAGE, ShellError, in_words
from infsup.core.errors import InfsupError, nearest
from infsup.problems import GALLERY

EXAMPLE = 'problem = infsup.problem("hjb-lq-100", lam=20.0)'


_run: set[str] = set()
"""Stems of the files that were executed in this process."""


@dataclass(frozen=True)
class Asked:
    """What a command is about.

    Args:
        problem: the problem.
        id: what to call it in files and JSON.
        typed: the name or path as it was typed.
        params: the parameters that were given.
        left: settings that are not the problem's, so must be the method's.
        method, bounds: what a file names beside its problem; None where it does not.
        module: the file as a module; None for the gallery.
    """

    problem: Any
    id: str
    typed: str
    params: Mapping[str, Any]
    left: Mapping[str, Any]
    method: Any = None
    bounds: Any = None
    module: ModuleType | None = None


def use_64_bit() -> None:
    """The shell's choice: 64-bit arithmetic on, before anything is computed."""
    import jax

    jax.config.update("jax_enable_x64", True)


def settings(given: list[str]) -> dict[str, Any]:
    """`name=value` pairs; a value is a number, true, false, none, or a name.

    Args:
        given: what stood after -s.
    """
    found: dict[str, Any] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name.isidentifier():
            raise ShellError(f"`-s {pair}` is not name=value", remedy="-s lam=20")
        if name in found:
            raise ShellError(f"`-s {name}` is given twice", remedy=f"-s {pair}")
        found[name] = _value(text.strip())
    return found


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def open_problem(name: str, given: Mapping[str, Any]) -> Asked:
    """The problem of a name or file, with the settings that are its own.

    Args:
        name: of the gallery, or the path of a .py file, which is executed.
        given: settings; those that the problem does not know are handed back.
    """
    if name.endswith(".py") or "/" in name:
        return _from_file(name, given)
    if name not in GALLERY:
        close = nearest(name, GALLERY)
        remedy = f"infsup solve {close}" if close in GALLERY else "infsup list problems"
        why = ""
        if pathlib.Path(f"{name}.py").is_file():
            why, remedy = "A file of that name lies here.", f"infsup solve {name}.py"
        raise ShellError(f"there is no problem `{name}`", why, remedy)
    use_64_bit()
    from infsup.problems import maker, problem

    known = inspect.signature(maker(name)).parameters
    own = {k: v for k, v in given.items() if k in known}
    own = {k: _like(k, v, known[k].default) for k, v in own.items()}
    left = {k: v for k, v in given.items() if k not in known}
    return Asked(problem(name, **own), name, name, own, left)


def _like(name: str, value: Any, default: Any) -> Any:
    """The value as the kind of number that the default is; a word is caught here."""
    number = isinstance(default, (int, float)) and not isinstance(default, bool)
    if number and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise ShellError(
            f"`-s {name}={value}`: a number is expected", remedy=f"-s {name}={default}"
        )
    return float(value) if isinstance(default, float) else value


def _from_file(name: str, given: Mapping[str, Any]) -> Asked:
    module = run_file(name)
    from infsup.core.problem import Problem

    stem = pathlib.Path(name).stem
    if not hasattr(module, "problem"):
        found = [k for k, v in vars(module).items() if isinstance(v, Problem)]
        named = f"It has a problem named `{found[0]}`." if found else "The shell solves `problem`."
        fix = f"problem = {found[0]}" if found else EXAMPLE
        raise ShellError(f"`{name}` defines no `problem`", named, f"add the line  {fix}")
    problem = module.problem
    if not isinstance(problem, Problem):
        kind = problem.__name__ if inspect.isclass(problem) else type(problem).__name__
        article = "the class" if inspect.isclass(problem) else "a"
        raise ShellError(
            f"`problem` in {name} is {article} {kind}, not an infsup Problem",
            remedy=EXAMPLE,
        )
    fields = {
        f.name
        for f in dataclasses.fields(problem)
        if isinstance(getattr(problem, f.name), (int, float))
    }
    own = {k: v for k, v in given.items() if k in fields}
    if own:
        own = {k: _like(k, v, getattr(problem, k)) for k, v in own.items()}
        problem = _with(problem, own)
    left = {k: v for k, v in given.items() if k not in fields}
    return Asked(
        problem,
        stem,
        name,
        own,
        left,
        getattr(module, "method", None),
        getattr(module, "bounds", None),
        module,
    )


def _with(module: Any, fields: Mapping[str, Any]) -> Any:
    """A problem or method with some fields exchanged, through its own checks."""
    new = object.__new__(type(module))
    for f in dataclasses.fields(module):
        value = fields[f.name] if f.name in fields else getattr(module, f.name)
        object.__setattr__(new, f.name, value)
    for c in reversed(type(new).__mro__):
        if "__check_init__" in vars(c):
            c.__check_init__(new)
    return new


def run_file(name: str) -> ModuleType:
    """Executes a Python file as the module of its stem, so that `import stem` gives the same."""
    path = pathlib.Path(name)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        there = sorted(p.name for p in path.parent.glob("*.py")) if path.parent.is_dir() else []
        close = nearest(path.name, there) if there else ""
        remedy = str(path.parent / close) if close in there else "infsup list problems"
        raise ShellError(f"`{name}` {what}", remedy=remedy, code=UNREADABLE)
    use_64_bit()
    stem = path.stem
    # another library's module of this name stays what it is
    taken = stem in sys.modules and stem not in _run and not _is(sys.modules[stem], path)
    if not stem.isidentifier() or taken:
        raise ShellError(
            f"`{name}` cannot be imported as `{stem}`",
            "A saved solution names classes by their module.",
            f"another file name, e.g. my_{stem.replace('-', '_')}.py",
        )
    spec = importlib.util.spec_from_file_location(stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[stem] = module
    _run.add(stem)
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as e:
        sys.modules.pop(stem, None)
        raise ShellError(
            f"`{name}`, line {e.lineno}: {e.msg}",
            (e.text or "").strip(),
            f"python -m py_compile {name}",
            UNREADABLE,
        ) from e
    except (Exception, SystemExit) as e:
        sys.modules.pop(stem, None)
        frames = [f for f in traceback.extract_tb(e.__traceback__) if _same(f.filename, path)]
        line = f", line {frames[-1].lineno}" if frames else ""
        if isinstance(e, InfsupError):
            words = in_words(e)
            raise ShellError(
                f"`{name}`{line}: {words.what}", words.why, words.remedy, words.code
            ) from e
        first = (str(e).strip().splitlines() or [""])[0]
        raise ShellError(
            f"`{name}`{line}: {type(e).__name__}: {first}",
            frames[-1].line or "" if frames else "",
            f"python {name}",
            UNREADABLE,
        ) from e
    finally:
        sys.path.pop(0)
    return module


def _is(module: ModuleType, path: pathlib.Path) -> bool:
    return _same(getattr(module, "__file__", None) or "", path)


def _same(file: str, path: pathlib.Path) -> bool:
    try:
        return pathlib.Path(file).resolve() == path.resolve()
    except OSError:
        return False


def the_method(asked: Asked, name: str | None, steps: int | None) -> tuple[Any, str]:
    """The method of a command with its settings, and why it was chosen ("" where it was named).

    Args:
        asked: the problem, with settings that must be the method's.
        name: what was typed; None for the file's, or the default.
        steps: the budget that was typed.
    """
    from infsup.core.choose import choose
    from infsup.core.registry import named, public

    fields = dict(asked.left)
    if steps is not None:
        fields["steps"] = steps
    why = ""
    if name is None and asked.method is None:
        choice = choose(asked.problem)
        if choice.method is None:
            raise ShellError(
                f"there is no default method for `{asked.id}`", remedy="infsup list methods"
            )
        method: Any = choice.method
        why = choice.why
    elif name is None:
        method = asked.method
    else:
        local = getattr(asked.module, name, None)
        if local is None and name not in public("METHODS"):
            close = nearest(name, public("METHODS"))
            remedy = f"infsup solve {asked.typed} {close}"
            if close not in public("METHODS"):
                remedy = f"infsup list --for {asked.typed}"
            raise ShellError(f"there is no method `{name}`", remedy=remedy)
        method = local if local is not None else named("METHODS", name)
    if isinstance(method, str):
        method = named("METHODS", method)
    cls = method if inspect.isclass(method) else type(method)
    known = {f.name for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for k in fields:
        if k in known:
            continue
        if k == "steps":
            raise ShellError(f"`{cls.__name__}` takes no --steps", "It answers in one go.")
        both = [*known, *_parameters(asked)]
        close = nearest(k, both) if both else ""
        remedy = f"-s {close}={fields[k]}" if close in both else f"-s with one of {close}"
        raise ShellError(
            f"neither `{asked.id}` nor `{cls.__name__}` has a setting `{k}`",
            remedy=remedy if both else f"infsup list --for {asked.typed}",
        )
    for f in dataclasses.fields(cls):  # type: ignore[arg-type]
        if f.name in fields:
            fields[f.name] = _like(f.name, fields[f.name], f.default)
    try:
        if inspect.isclass(method):
            return method(**fields), why
        return (_with(method, fields) if fields else method), why
    except TypeError as e:
        raise ShellError(f"`{cls.__name__}`: {str(e).splitlines()[0]}", code=USAGE) from e


def the_bound(asked: Asked, name: str) -> Any:
    """A bound by its name: the file's own, or infsup's."""
    from infsup.core.registry import named, public

    local = getattr(asked.module, name, None)
    if local is None and name not in public("BOUNDS"):
        close = nearest(name, public("BOUNDS"))
        remedy = f"--bound {close}" if close in public("BOUNDS") else "infsup list bounds"
        raise ShellError(f"there is no bound `{name}`", remedy=remedy)
    bound = local if local is not None else named("BOUNDS", name)
    try:
        return bound() if inspect.isclass(bound) else bound
    except TypeError as e:
        why = "The shell makes a bound with its defaults only."
        raise ShellError(f"`{name}` of --bound: {str(e).splitlines()[0]}", why) from e


def _parameters(asked: Asked) -> list[str]:
    if asked.module is not None:
        return list(asked.params)
    from infsup.problems import maker

    return list(inspect.signature(maker(asked.id)).parameters)
