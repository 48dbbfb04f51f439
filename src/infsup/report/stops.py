"""Saved solutions as what the report shows of them."""

import pathlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infsup.core.certificate import Certificate
from infsup.core.errors import InfsupError
from infsup.report.pictures import Picture, picture


@dataclass(frozen=True)
class Stop:
    """One question and what is known of its answer.

    Args:
        name: the last part of the folder's name.
        title: a few words.
        question: in words.
        certificate: the headline.
        also: the other certificates.
        truth: the true value, where it is known.
        comparators: name -> number or certificate of a simple answer.
        picture: None where there is nothing to see.
        cost: seconds and steps in words.
        commands: what to type to get it and to check it.
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
        solution = load(folder)
    except InfsupError as e:
        return Unreadable(str(folder), f"{e.what}. {e.why}".strip())
    except Exception as e:  # a class of the user's own may refuse what it is rebuilt from
        return Unreadable(str(folder), f"{type(e).__name__}: {(str(e).splitlines() or [''])[0]}")
    name = re.sub(r"-\d+$", "", folder.name) if folder.name not in _gallery() else folder.name
    entry = _gallery().get(name)
    c = solution.certificate
    try:
        shown = picture(solution)
    except Exception as e:  # a user's own answer may raise anything, and the bracket stands
        shown = Picture(None, caption=f"No picture: {type(e).__name__}.")
    typed = f"infsup solve {name}" if entry is not None else _typed(solution.problem)
    return Stop(
        name=folder.name,
        title=TITLES.get(name) or _TITLES_BY_CLASS.get(type(solution.problem).__name__) or c.of,
        question=entry.title if entry is not None else _question(solution.problem, c),
        certificate=c,
        also=solution.certificates[1:],
        truth=solution.problem.truth,
        comparators=solution.comparators,
        picture=shown,
        cost=_cost(solution),
        commands=tuple(
            command for command in (typed, shlex.join(["infsup", "check", str(folder)])) if command
        ),
    )


def _gallery() -> Mapping[str, Any]:
    from infsup.problems import GALLERY

    return GALLERY


def _question(problem: Any, c: Certificate) -> str:
    if type(problem).__name__ == "Approximate":
        return f"How far is the network from {problem.name}?"
    return f"{c.quantity[:1].upper()}{c.quantity[1:]} of {c.of}?"


def _typed(problem: Any) -> str:
    """The command that asks the same, where the problem is a text."""
    if type(problem).__name__ != "Approximate" or not hasattr(problem, "text"):
        return ""
    a, b = problem.domain
    eps = "" if problem.eps is None else f" --eps {problem.eps:.12g}".replace("e-0", "e-")
    return f'infsup approximate "{problem.text}" --on {a:g} {b:g}{eps}'


def _cost(solution: Any) -> str:
    total = solution.seconds.get("total", 0.0)
    compiling = sum(s.compile_seconds for s in solution.stages)
    words = f"{total:.2g} s" if total < 100 else f"{total:,.0f} s"
    if compiling >= 0.05:
        words += f", of it {compiling:.2g} s compiling"
    steps = sum(s.steps for s in solution.stages)
    return words + (f"; {steps:,} steps" if steps > 1 else "")
