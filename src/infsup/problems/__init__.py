"""The gallery: named instances with their known truths and sources; the list imports no JAX."""

import importlib
import inspect
from dataclasses import dataclass
from typing import Any

from infsup.core.errors import UsageError, nearest


@dataclass(frozen=True)
class Entry:
    """One instance of the gallery.

    Args:
        title: one line: what is asked.
        pillar: the package whose problem it is.
        home: module below `infsup.problems` that makes it; the function has the name's words.
        source: where it comes from, and where its truth does.
    """

    title: str
    pillar: str
    home: str
    source: str


GALLERY = {
    "digits": Entry(
        "How often does a trained network misread a handwritten digit?",
        "generalization",
        "learning",
        "Optical digits (Alpaydin & Kaynak 1998, UCI), 1,797 images, as shipped by scikit-learn",
    ),
    "digits-softmax": Entry(
        "How far is softmax regression on the digits from its least regularised loss?",
        "generalization",
        "learning",
        "The same digits; convex, so the least value is bracketed",
    ),
    "hjb-lq-100": Entry(
        "What does the best control of this noisy 100-dimensional system cost?",
        "control",
        "controlled",
        "Han, Jentzen & E, PNAS 2018, section HJB; exact value by the Cole-Hopf transform",
    ),
    "double-integrator": Entry(
        "What does the best control of a cart on a line cost, with quadratic cost?",
        "control",
        "controlled",
        "Textbook linear-quadratic regulator; exact value by its Riccati equation",
    ),
    "eight-gaussians": Entry(
        "How far is a learned sampler from eight Gaussians on a circle?",
        "generative",
        "transported",
        "The ring of eight Gaussians of the flow-matching literature; its velocity in closed form",
    ),
    "digits-flow": Entry(
        "How far are generated digits from real ones that were held out?",
        "generative",
        "transported",
        "The digits of the UCI repository, as draws of a law on [0, 1]^64",
    ),
}


def problem(name: str, **parameters: Any) -> Any:
    """A problem of the gallery.

    Args:
        name: e.g. "hjb-lq-100"; `infsup list problems` shows them.
        parameters: of the instance, e.g. `lam=20.0`.

    Raises:
        UsageError: an unknown name or parameter; says the nearest.
    """
    if name not in GALLERY:
        raise UsageError(f"there is no problem `{name}`", remedy=nearest(str(name), GALLERY))
    make = maker(name)
    known = inspect.signature(make).parameters
    for p in parameters:
        if p not in known:
            raise UsageError(
                f"`{name}` has no parameter `{p}`",
                remedy=nearest(p, known) if known else "no parameters",
            )
    return make(**parameters)


def maker(name: str) -> Any:
    """The function that makes an instance."""
    module = importlib.import_module(f"infsup.problems.{GALLERY[name].home}")
    return getattr(module, name.replace("-", "_"))
