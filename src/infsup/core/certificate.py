"""What is known of one quantity: lower <= truth <= upper, how strongly, on which hypotheses.

Host data, NumPy and Python only: a certificate is never traced, and reading one needs no JAX.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from infsup.core.errors import EmptyBracket, NotCertified, UsageError, nearest
from infsup.core.registry import register

KINDS = ("proved", "proved_real", "confidence", "asymptotic", "estimate")
VERDICTS = (
    "certified",
    "conditional",
    "consistent",
    "vacuous",
    "inapplicable",
    "refused",
    "refuted",
)
SENSES = ("min", "max", "none")
STATES = ("checked", "estimated", "assumed", "violated")

End = float | Fraction | np.ndarray
"""One end of a bracket: a float64, an exact rational, or one float64 per component."""


def weakest(kinds: Sequence[str]) -> str:
    """The weakest of some kinds (a composition promises no more than its weakest part)."""
    return max(kinds, key=KINDS.index)


@register
@dataclass(frozen=True)
class Hypothesis:
    """One assumption of the theorem behind a certificate.

    Args:
        text: the assumption, in words.
        state: `checked` on the whole domain, `estimated` from samples, `assumed`, or `violated`.
        evidence: what the check saw, in words; may be empty.
    """

    text: str
    state: str
    evidence: str = ""

    def __post_init__(self):
        if self.state not in STATES:
            raise UsageError(
                f"`state` of a hypothesis is {self.state!r}",
                remedy=nearest(str(self.state), STATES),
            )


def _float_end(x: Any) -> Any:
    """A Python float, a Fraction or a float64 array, whatever number came in."""
    if isinstance(x, Fraction):
        return x
    if isinstance(x, int):
        return Fraction(x) if abs(x) > 2**53 else float(x)
    a = np.asarray(x)
    if a.dtype.kind not in "fiu":
        raise UsageError(f"an end of a bracket is {type(x).__name__}, not a real number")
    if a.ndim == 0:
        return float(a)
    a = a.astype(np.float64)
    a.flags.writeable = False
    return a


@register
@dataclass(frozen=True, eq=False)
class Certificate:
    r"""lower <= truth <= upper, with the kind of promise and its hypotheses.

    The rules that join kind, verdict and hypotheses (DESIGN section 2) are applied here, once, so
    that no bound can forget them: a violated hypothesis makes the certificate `inapplicable`, an
    estimated one makes it an `estimate`, an assumed one makes it `conditional`; an `estimate` is at
    best `consistent`; a refused or inapplicable one carries no number; a bracket that covers
    `range` is `vacuous`; one that lies outside `range` is `refuted`.

    Args:
        quantity: what is bracketed, e.g. "error rate".
        of: of which object, e.g. "MLP on the law behind digits".
        lower, upper: the ends; floats, Fractions, or float64 arrays of one shape.
        kind: one of `KINDS`, strongest first.
        bound: name of the bound that made it; `<pillar>/check.py` has a function of that name.
        sense: "min" when less is better (the defended end is the upper), "max" when more is.
        goal: what was asked (an eps, a target), if anything.
        range: the quantity's a-priori range, stated by the bound.
        level: probability with which the statement holds; 1 unless the kind is `confidence` or
            `asymptotic`.
        verdict: one of `VERDICTS`; the rules above may weaken it, never strengthen it.
        dtype: the arithmetic the statement speaks of.
        hypotheses: the assumptions, each with its state.
        budget: how the width splits (sampling, discretisation, rounding, optimisation).
        proof: what a second, small checker needs to derive the claim again.
        source: paper and theorem.
        reason: why refused, inapplicable or refuted.

    Raises:
        EmptyBracket: an end is NaN or lower > upper.
        UsageError: an unknown kind, verdict or sense; a level outside (0, 1]; a refusal without
            a reason.
    """

    quantity: str
    of: str
    lower: Any
    upper: Any
    kind: str
    bound: str
    _: dataclasses.KW_ONLY
    sense: str = "none"
    goal: float | None = None
    range: tuple[float, float] = (-math.inf, math.inf)
    level: float = 1.0
    verdict: str = "certified"
    dtype: str = "float64"
    hypotheses: tuple[Hypothesis, ...] = ()
    budget: Mapping[str, Any] = field(default_factory=dict)
    proof: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    reason: str = ""

    def __post_init__(self):
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        for name, known in (("kind", KINDS), ("verdict", VERDICTS), ("sense", SENSES)):
            got = getattr(self, name)
            if got not in known:
                raise UsageError(
                    f"`{name}` of a certificate is {got!r}", remedy=nearest(str(got), known)
                )
        if not 0.0 < self.level <= 1.0:
            raise UsageError(f"`level` of a certificate is {self.level}", "It is a probability.")
        put("lower", _float_end(self.lower))
        put("upper", _float_end(self.upper))
        put("hypotheses", tuple(self.hypotheses))
        put("range", (float(self.range[0]), float(self.range[1])))

        states = {h.state for h in self.hypotheses}
        if "estimated" in states:
            put("kind", "estimate")
        if self.verdict == "certified" and "assumed" in states:
            put("verdict", "conditional")
        if self.kind == "estimate" and self.verdict in ("certified", "conditional"):
            put("verdict", "consistent")
        if "violated" in states and self.verdict not in ("refused", "refuted"):
            put("verdict", "inapplicable")
            failed = "; ".join(
                h.text + (f" ({h.evidence})" if h.evidence else "")
                for h in self.hypotheses
                if h.state == "violated"
            )
            put("reason", self.reason or f"fails: {failed}")
        if self.verdict in ("refused", "inapplicable"):
            if not self.reason:
                raise UsageError(f"a certificate is {self.verdict} without a `reason`")
            put("lower", -math.inf)
            put("upper", math.inf)
            return
        self._compare()

    def _compare(self) -> None:
        """Empty brackets are an alarm; the a-priori range decides vacuous and refuted."""
        lower, upper = np.asarray(self.lower, object), np.asarray(self.upper, object)
        if lower.shape != upper.shape:
            raise UsageError(f"`lower` has shape {lower.shape}, `upper` has {upper.shape}")
        pairs = list(zip(lower.ravel(), upper.ravel(), strict=True))
        # `not <=` catches NaN as well
        if not all(lo <= up for lo, up in pairs):
            raise EmptyBracket(
                f"the bracket of {self.quantity} of {self.of} is empty: "
                f"[{self.lower}, {self.upper}]",
                "Two statements contradict each other, so a hypothesis or the code is wrong.",
            )
        lo, up = self.range
        if any(a > _outward(up, +1) or b < _outward(lo, -1) for a, b in pairs):
            object.__setattr__(self, "verdict", "refuted")
            object.__setattr__(
                self, "reason", self.reason or f"the bracket lies outside [{lo:g}, {up:g}]"
            )
        elif all(a <= lo and b >= up for a, b in pairs) and self.verdict != "refuted":
            object.__setattr__(self, "verdict", "vacuous")

    # -- what one asks of a certificate ---------------------------------------------------------

    @property
    def width(self) -> float:
        """Largest `upper - lower` over the components; inf where nothing is claimed."""
        ends = zip(np.ravel(self.lower), np.ravel(self.upper), strict=True)
        return max((float(up - lo) if lo != up else 0.0) for lo, up in ends)

    @property
    def defended(self) -> float:
        """The end that the claim defends: the upper for sense "min", the lower for "max"."""
        if self.sense == "max":
            return float(np.min(np.asarray(self.lower, float)))
        return float(np.max(np.asarray(self.upper, float)))

    @property
    def met(self) -> str:
        """Whether `goal` is met: "yes", "no", "open", or "" where nothing was asked."""
        if self.goal is None:
            return ""
        sign = -1.0 if self.sense == "max" else 1.0
        lower, upper = np.asarray(self.lower, float), np.asarray(self.upper, float)
        near, far = (lower, upper) if sign > 0 else (upper, lower)
        if np.all(sign * far <= sign * self.goal):
            return "yes"
        return "no" if np.any(sign * near > sign * self.goal) else "open"

    def holds(self) -> bool:
        """Whether the certificate claims anything: certified, conditional or consistent."""
        return self.verdict in ("certified", "conditional", "consistent")

    def require(
        self, *, kind: str | None = None, gap: float | None = None, verdict: str = "conditional"
    ) -> "Certificate":
        """Decides: returns the certificate, or raises where it promises less than is asked.

        Args:
            kind: the weakest kind that will do.
            gap: the largest width that will do.
            verdict: "certified" also refuses assumed hypotheses; "consistent" takes estimates.

        Raises:
            NotCertified: what is missing, in words.
        """
        if kind is not None and kind not in KINDS:
            raise UsageError(f"`kind` is {kind!r}", remedy=nearest(kind, KINDS))
        if verdict not in VERDICTS[:3]:
            raise UsageError(f"`verdict` is {verdict!r}", remedy=nearest(verdict, VERDICTS[:3]))
        what = f"{self.quantity} of {self.of}"
        if self.verdict not in VERDICTS[: VERDICTS.index(verdict) + 1]:
            raise NotCertified(f"{what} is {self.verdict}, asked {verdict}", self.reason)
        if kind is not None and KINDS.index(self.kind) > KINDS.index(kind):
            raise NotCertified(f"{what} is `{self.kind}`, asked `{kind}`")
        if gap is not None and not self.width <= gap:
            raise NotCertified(f"{what} has width {self.width:.3g}, asked at most {gap:.3g}")
        return self

    def given(self, *hypotheses: Hypothesis) -> "Certificate":
        """The same claim under further hypotheses."""
        return dataclasses.replace(self, hypotheses=(*self.hypotheses, *hypotheses))

    def __bool__(self) -> bool:
        raise UsageError(
            "a certificate is neither true nor false",
            "Its verdict, kind and width say what it is worth.",
            'certificate.require(kind="confidence", gap=0.1)   or   certificate.verdict',
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Certificate):
            return NotImplemented
        return self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]

    # -- as text, picture, JSON -----------------------------------------------------------------

    def __repr__(self) -> str:
        from infsup.core.bracket import ends_in_words

        return f"<{self.quantity} of {self.of}: {ends_in_words(self)}, {self.kind}, {self.verdict}>"

    def __str__(self) -> str:
        from infsup.core.bracket import describe

        return describe(self)

    def _repr_html_(self) -> str:
        from infsup.core.bracket import card

        return card(self)

    def to_json(self) -> dict[str, Any]:
        """All fields as JSON, without loss: ends as strings, arrays of the proof inline."""
        from infsup.core.encoding import to_plain_json

        return to_plain_json(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Certificate":
        """The certificate that `to_json` wrote.

        Raises:
            FileRejected: the document is not of that form.
        """
        from infsup.core.encoding import from_plain_json

        return from_plain_json(document, cls)


def _outward(x: float, sign: int) -> float:
    """`x` moved outward by what rounding may do to a value that lies on the end of a range."""
    return x + sign * 1e-9 * max(1.0, abs(x)) if math.isfinite(x) else x


def compose(
    parts: Sequence[Certificate],
    *,
    quantity: str,
    of: str,
    lower: Any,
    upper: Any,
    bound: str,
    **fields: Any,
) -> Certificate:
    """A certificate derived from others: as strong as its weakest part.

    The kind is the weakest of the parts' kinds; levels add by the union bound,
    1 - sum(1 - level); hypotheses are joined; the verdict is no better than the worst part's.

    Args:
        parts: the certificates it rests on, at least one.
        quantity, of, lower, upper, bound: of the new certificate.
        fields: further fields of the new certificate (sense, range, budget, proof, source, ...).

    Raises:
        UsageError: no parts, or nothing left of the level.
    """
    if not parts:
        raise UsageError("`parts` of a composition is empty")
    level = 1.0 - math.fsum(1.0 - p.level for p in parts)
    if level <= 0.0:
        raise UsageError("`parts` leave no confidence: their deltas add to 1 or more")
    worst = max((p.verdict for p in parts), key=VERDICTS.index)
    if worst == "vacuous":  # a vacuous part need not make the whole vacuous: its range decides
        worst = "certified"
    reason = "; ".join(p.reason for p in parts if p.reason)
    hypotheses = tuple(dict.fromkeys(h for p in parts for h in p.hypotheses))
    return Certificate(
        quantity,
        of,
        lower,
        upper,
        weakest([p.kind for p in parts]),
        bound,
        level=level,
        verdict=worst,
        reason=reason,
        hypotheses=hypotheses + tuple(fields.pop("hypotheses", ())),
        **fields,
    )
