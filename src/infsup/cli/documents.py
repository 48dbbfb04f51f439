"""Certificates and solutions as the JSON that the shell prints, and as its lines."""

import dataclasses
import importlib.metadata
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from infsup.cli.screen import screen
from infsup.core.bracket import (
    ASCII_SIGNS,
    SIGNS,
    Line,
    clean,
    column,
    describe,
    ends_in_words,
    plain,
)
from infsup.core.certificate import Certificate
from infsup.core.storage import number_to_text


def versions() -> dict[str, str]:
    """Versions that decide a result; nothing is imported for them."""
    import platform

    import infsup

    found = {"infsup": infsup.__version__, "python": platform.python_version()}
    for name in ("jax", "jaxlib", "equinox", "numpy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = ""
    return found


def end_as_json(end: Any) -> Any:
    """An end as text that reads back to the same number; a list for an array."""
    if isinstance(end, np.ndarray):
        return [end_as_json(x) for x in end] if end.ndim else number_to_text(float(end))
    return number_to_text(end)


def _plain(x: Any) -> Any:
    """Numbers of a budget; NaN and infinities as text, since JSON has none."""
    if isinstance(x, np.ndarray):
        return [_plain(v) for v in x.tolist()]
    if isinstance(x, np.generic):
        x = x.item()
    if isinstance(x, bool) or x is None or isinstance(x, (str, int)):
        return x
    if isinstance(x, float):
        return x if math.isfinite(x) else str(x)
    return number_to_text(x) if hasattr(x, "denominator") else str(x)


def certificate_as_json(c: Certificate, file: str | None = None) -> dict[str, Any]:
    """A certificate as the shell's JSON; its proof stays in the file.

    Args:
        c: the certificate.
        file: the file that holds the evidence, where it was saved.
    """
    return {
        "quantity": c.quantity,
        "of": c.of,
        "sense": c.sense,
        "lower": end_as_json(c.lower),
        "upper": end_as_json(c.upper),
        "kind": c.kind,
        "verdict": c.verdict,
        "level": c.level,
        "dtype": c.dtype,
        "bound": c.bound,
        "goal": c.goal,
        "met": c.met,
        "hypotheses": [
            {"name": h.text, "state": h.state, "evidence": h.evidence} for h in c.hypotheses
        ],
        "budget": {k: _plain(v) for k, v in c.budget.items()},
        "source": c.source,
        "reason": c.reason,
        "evidence_file": file,
    }


def comparators_as_json(found: Mapping[str, Certificate]) -> list[dict[str, Any]]:
    """The simple answers beside the clever one."""
    keep = ("lower", "upper", "kind", "verdict", "level")
    return [
        {"name": name, **{k: v for k, v in certificate_as_json(c).items() if k in keep}}
        for name, c in found.items()
    ]


def show(
    c: Certificate,
    *,
    title: str | None = None,
    truth: Any = None,
    comparators: Mapping[str, Any] | None = None,
    brief: bool = False,
) -> None:
    """Prints title, bracket and statements of a certificate, the verdict in its colour.

    Args:
        c: the certificate.
        title: as for `infsup.core.bracket.describe`, like the next two.
        truth: the true value, where it is known.
        comparators: name -> number or certificate.
        brief: whether the statements end with the verdict, since another certificate has them.
    """
    if screen.quiet:
        screen.say(in_one_line(c), c.verdict)
        return
    signs = ASCII_SIGNS if screen.ascii else SIGNS
    text = describe(
        c,
        title=title,
        truth=truth,
        comparators=comparators,
        width=screen.width,
        ascii=screen.ascii,
    )
    for line in text.split("\n"):
        is_verdict = line.startswith(f"{signs[c.verdict]} {c.verdict}")
        screen.say(line, c.verdict if is_verdict else "")
        if brief and is_verdict:
            return


def also(headline: Certificate, others: tuple[Certificate, ...]) -> None:
    """Prints further certificates, one short paragraph each."""
    for c in others:
        what = c.quantity if c.of == headline.of else f"{c.quantity} of {c.of}"
        words = f"{what}: {ends_in_words(c)}, {c.verdict}, {_kind(c)}"
        if c.reason and not c.holds():
            words = f"{what}: {c.verdict}, {c.reason}"
        put("also", words)


def _kind(c: Certificate) -> str:
    return f"{percent(c.level)} {c.kind}" if c.level < 1.0 else c.kind


def percent(level: float) -> str:
    """A level in percent, rounded down: 1 - .01/3 is 99.66 %."""
    return f"{math.floor(1e4 * level + 1e-6) / 100:.15g} %"


def in_one_line(c: Certificate) -> str:
    """Verdict first, then quantity and ends."""
    signs = ASCII_SIGNS if screen.ascii else SIGNS
    what = clean(f"{c.quantity} of {c.of}")
    worth = _kind(c) if c.holds() else clean(c.reason) or _kind(c)
    return f"{signs[c.verdict]} {c.verdict}  {what}: {ends_in_words(c)}, {worth}"


def put(label: str, text: str, verdict: str = "") -> None:
    """Prints a statement with its label in the left column."""
    if screen.quiet:
        return
    for number, line in enumerate(
        column(Line(label, clean(text), verdict), width=screen.width, ascii=screen.ascii)
    ):
        screen.say(line, verdict if number == 0 else "")


def seconds(s: float) -> str:
    """A duration in two or three digits."""
    if s >= 100:
        return f"{s:,.0f} s"
    return f"{s:.2g} s" if s >= 1 else f"{math.ceil(100 * s) / 100:.2f} s"


def as_number(x: Any) -> Any:
    """A field of a problem or method as JSON."""
    if dataclasses.is_dataclass(x):
        return type(x).__name__
    try:
        return _plain(x)
    except Exception:
        return plain(str(x))
