"""Saved solutions as what the report shows of them."""

import functools
import pathlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infsup.core.certificate import Certificate
from infsup.core.errors import InfsupError
from infsup.problems import GALLERY
from infsup.report.expression import latex_of
from infsup.report.pictures import Picture, picture


@dataclass(frozen=True)
class Stop:
    """One question and what is known of its answer.

    Args:
        name: the last part of the folder's name.
        title: a few words.
        question: in words, formulas in dollars.
        certificate: the headline.
        also: the other certificates.
        truth: the true value, where it is known.
        comparators: name -> number or certificate of a simple answer.
        picture: None where there is nothing to see.
        cost: seconds and steps in words.
        commands: what to type to get it and to check it.
        gallery: its name there; "" for a problem of one's own.
    """

    name: str
    title: str
    question: str
    certificate: Certificate
    also: tuple[Certificate, ...]
    truth: Any
    comparators: Mapping[str, Any]
    picture: Picture | None
    cost: str
    commands: tuple[str, ...]
    gallery: str = ""


@dataclass(frozen=True)
class Unreadable:
    """A folder that is not shown, and why."""

    path: str
    reason: str


TITLES = {
    "digits": "Learn digits",
    "digits-softmax": "Minimise a convex loss",
    "hjb-lq-100": "Control in 100 dimensions",
    "double-integrator": "Control a cart",
    "eight-gaussians": "Sample a law that is known",
    "digits-flow": "Generate digits",
}
"""Name in the gallery -> title; else by the class of the problem, or what the certificate is of."""

_TITLES_BY_CLASS = {
    "Approximate": "Approximate a function",
    "EmpiricalRisk": "Learn from rows",
    "ControlProblem": "Control a system",
    "Minimize": "Minimise a function",
    "Transport": "Sample a law",
}


def found_under(folder: pathlib.Path) -> list[pathlib.Path]:
    """The saved solutions in a folder and one level below it, or the folder itself if it is one."""
    if (folder / "solution.json").exists():
        return [folder]
    found = [p.parent for p in (*folder.glob("*/solution.json"), *folder.glob("*/*/solution.json"))]
    return sorted(p for p in found if not p.name.startswith("."))


def read_stop(folder: pathlib.Path) -> Stop | Unreadable:
    """A saved solution, or why it cannot be shown; its answer is evaluated for the picture."""
    from infsup.core.files import load

    try:
        return _stop(load(folder), folder)
    except InfsupError as e:
        return Unreadable(str(folder), f"{e.what}. {e.why}".strip())
    except Exception as e:  # a class of the user's own may refuse what it is rebuilt from
        return Unreadable(str(folder), f"{type(e).__name__}: {(str(e).splitlines() or [''])[0]}")


def _stop(solution: Any, folder: pathlib.Path) -> Stop:
    name = _gallery_name(solution.problem)
    entry = None if name is None else GALLERY[name]
    c = solution.certificate
    try:
        shown = picture(solution)
    except Exception as e:  # a user's own answer may raise anything, and the bracket stands
        shown = Picture(None, caption=f"No picture: {type(e).__name__}.")
    kind = type(solution.problem).__name__
    return Stop(
        name=folder.name,
        title=TITLES.get(name or "") or _TITLES_BY_CLASS.get(kind) or c.of,
        question=entry.title if entry is not None else _question(solution.problem, c),
        certificate=c,
        also=solution.certificates[1:],
        truth=solution.problem.truth,
        comparators=solution.comparators,
        picture=shown,
        cost=_cost(solution),
        commands=tuple(
            shlex.join(command)
            for command in (_typed(solution, name), ["infsup", "check", str(folder)])
            if command
        ),
        gallery=name or "",
    )


def _gallery_name(problem: Any) -> str | None:
    """The name of a problem that is one of the gallery's as it is given there.

    What a folder is called says nothing: it may hold the same problem with another parameter.
    """
    from infsup.core.problem import fingerprint

    pillar = type(problem).__module__.split(".")[1:2]
    names = [name for name, entry in GALLERY.items() if [entry.pillar] == pillar]
    mark = fingerprint(problem) if names else ""
    return next((name for name in names if _marks(name)[0] == mark), None)


@functools.cache
def _marks(name: str) -> tuple[str, str]:
    """Fingerprints of a gallery problem and of the method that is chosen for it."""
    from infsup.core.choose import choose
    from infsup.core.problem import fingerprint
    from infsup.problems import problem

    made = problem(name)
    return fingerprint(made), fingerprint(choose(made).method)


def _question(problem: Any, c: Certificate) -> str:
    if type(problem).__name__ == "Approximate":
        latex = latex_of(getattr(problem, "text", ""))
        a, b = problem.domain
        said = problem.name if latex is None else f"${latex}$ on [{a:g}, {b:g}]"
        return f"How far is the network from {said}?"
    return f"{c.quantity[:1].upper()}{c.quantity[1:]} of {c.of}?"


def _typed(solution: Any, name: str | None) -> list[str]:
    """The command that finds the same again; empty where none says all of it."""
    from infsup.core.choose import choose
    from infsup.core.problem import fingerprint

    problem = solution.problem
    if name is not None and fingerprint(solution.method) == _marks(name)[1]:
        import jax

        key = int(jax.random.key_data(solution.key)[-1])
        return ["infsup", "solve", name, *(["--key", str(key)] if key else [])]
    if type(problem).__name__ != "Approximate" or problem.eps is None:
        return []
    if latex_of(problem.text) is None:
        return []
    if fingerprint(solution.method) != fingerprint(choose(problem).method):
        return []
    a, b = (repr(end).removesuffix(".0") for end in problem.domain)
    eps = f"{problem.eps:.12g}".replace("e-0", "e-")
    dtype = [] if problem.dtype == "real" else ["--dtype", problem.dtype]
    return ["infsup", "approximate", problem.text, "--on", a, b, "--eps", eps, *dtype]


def _cost(solution: Any) -> str:
    total = solution.seconds.get("total", 0.0)
    compiling = sum(s.compile_seconds for s in solution.stages)
    words = f"{total:.2g} s" if total < 100 else f"{total:,.0f} s"
    if compiling >= 0.05:
        words += f", of it {compiling:.2g} s compiling"
    steps = sum(s.steps for s in solution.stages)
    return words + (f"; {steps:,} steps" if steps > 1 else "")
