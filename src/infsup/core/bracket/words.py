"""What a certificate says in words: its strength, and the statements below the bracket."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from infsup.core.bracket.characters import clean, cut
from infsup.core.bracket.components import SILENT, breadth, components, percent
from infsup.core.bracket.numbers import WIDENING, exact, finite, rounded, units, whole, write
from infsup.core.certificate import Certificate

UNBROKEN = "\u00a0"


def _level(level: float) -> str:
    """A probability in percent, rounded down, e.g. `99 %`."""
    p = Fraction(level).limit_denominator(10**9)  # 0.9650000000000001 is the sum of 0.035
    if abs(p - Fraction(level)) > Fraction(1, 10**14):
        p = Fraction(level)
    unit = -2
    while unit > -18 and p - units(p, unit, -1) * Fraction(10) ** unit > WIDENING * (1 - p):
        unit -= 1
    return write(units(p, unit, -1), unit, percent=True)


def strength(c: Certificate) -> str:
    """The kind in words, e.g. `99 % confidence (confidence)`."""
    if c.kind == "proved":
        return f"proved for every execution in {clean(c.dtype)}"
    if c.kind == "proved_real":
        return f"a theorem, evaluated in {clean(c.dtype)} (proved_real)"
    if c.kind == "confidence":
        return f"{_level(c.level)} confidence (confidence)"
    if c.kind == "asymptotic":
        return f"{_level(c.level)}, by the central limit theorem (asymptotic)"
    return "an estimate: no theorem covers it"


@dataclass(frozen=True)
class Line:
    """One labelled statement of a certificate, for who adds colour or another layout.

    Args:
        label: what stands in the left column: "certified", "width", "hypotheses", ...
        text: the statement; paragraphs are separated by newlines.
        verdict: the verdict whose sign and colour the label takes; empty for the other lines.
    """

    label: str
    text: str
    verdict: str = ""


def statements(c: Certificate) -> tuple[Line, ...]:
    """What is printed below the bracket: verdict, width, hypotheses, source, in this order."""
    reason = clean(c.reason)
    out = []
    if c.verdict == "refused":
        out.append(Line(c.verdict, f"{_sentence(reason)}\nNo number is given.", c.verdict))
    elif c.verdict == "inapplicable":
        out.append(Line(c.verdict, reason, c.verdict))
    elif c.verdict == "refuted":
        out.append(Line(c.verdict, reason or "the truth lies outside the claim", c.verdict))
        out.append(Line("claimed", strength(c)))
    elif c.verdict == "vacuous":
        lo, hi = (rounded(exact(x), 0, 0.0) for x in c.range)
        out.append(Line(c.verdict, f"{strength(c)}; no better than [{lo}, {hi}]", c.verdict))
    else:
        out.append(Line(c.verdict, strength(c), c.verdict))
        if reason:
            out.append(Line("reason", reason))
    if c.verdict not in SILENT and (width := _width_in_words(c)):
        out.append(Line("width", width))
    if c.goal is not None:
        goal = whole(c.goal, percent(c))
        sign = ">=" if c.sense == "max" else "<="
        met = {"yes": "met", "no": "not met", "open": "open"}[c.met or "open"]
        out.append(Line("asked", f"{sign} {goal}: {met}"))
    # what is violated is the reason of an inapplicable one already
    if any(h.state != "violated" or clean(h.text) not in reason for h in c.hypotheses):
        out.append(Line("hypotheses", _hypotheses_in_words(c)))
    if c.source:
        out.append(Line("source", clean(c.source)))
    return tuple(out)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."


def hypotheses_by_state(c: Certificate) -> dict[str, str]:
    """State -> the hypotheses in that state, with what the check saw."""
    found: dict[str, str] = {}
    for state in ("violated", "checked", "estimated", "assumed"):
        said = [
            clean(h.text) + (f" ({clean(h.evidence)})" if h.evidence else "")
            for h in c.hypotheses
            if h.state == state
        ]
        if said:
            found[state] = "; ".join(said)
    return found


def _hypotheses_in_words(c: Certificate) -> str:
    words = [f"{state}: {said}" for state, said in hypotheses_by_state(c).items()]
    if not any(h.state == "assumed" for h in c.hypotheses):
        words.append(f"assumed:{UNBROKEN}none")
    return ". ".join(words)


def _short(x: Any, way: int = 0) -> str:
    """A size in two digits."""
    v = exact(x)
    return rounded(v, way, abs(v) / 20)


def _width_in_words(c: Certificate) -> str:
    """`4.2e-4 (0.0091 %): policy 1.0e-4 + dual 3.2e-4`; empty where the width says nothing."""
    ends = [(exact(part.lower), exact(part.upper)) for part in components(c)]
    lo, hi = max(ends, key=lambda pair: breadth(*pair))
    budget = _budget(c.budget)
    if not (finite(lo) and finite(hi)):
        return budget
    if lo == hi:
        return ""
    w = hi - lo
    if percent(c):
        words = _short(100 * w, +1) + " points"  # of a percentage
    else:
        words = _short(w, +1)
        least = min(abs(lo), abs(hi))
        if lo * hi > 0 and w < least:
            share = w / least
            # 0.0091 % reads easier than 9.1e-3 %
            plainly = 0 if share > Fraction(1, 10**6) else None
            words += f" ({rounded(share, +1, share / 20, percent=True, reference=plainly)})"
    if len(ends) > 1:
        words += " at most"
    return f"{words}: {budget}" if budget else words


def _budget(budget: Mapping[str, Any]) -> str:
    words = []
    for name, x in budget.items():
        if isinstance(x, (int, float, Fraction, np.number)) and not isinstance(x, bool):
            words.append(f"{clean(name)} {_short(x)}")
        elif isinstance(x, np.ndarray) and x.size and x.dtype.kind in "fiu":
            words.append(f"{clean(name)} {_short(x.max())}")
        elif x is not None:
            words.append(f"{clean(name)} {cut(clean(x), 24)}")
    return " + ".join(words)
