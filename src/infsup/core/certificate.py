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
        _texts(self, "text", "evidence")
        if not isinstance(self.state, str) or self.state not in STATES:
            raise UsageError(
                f"`state` of a hypothesis is {self.state!r}",
                remedy=nearest(str(self.state), STATES),
            )


def _texts(record: Any, *names: str) -> None:
    for name in names:
        if not isinstance(getattr(record, name), str):
            got = type(getattr(record, name)).__name__
            raise UsageError(f"`{name}` of a {type(record).__name__} is {got}, not text")


def _float_end(x: Any) -> Any:
    """A Python float, a Fraction or a float64 array, without rounding, whatever number came in."""
    if isinstance(x, Fraction):
        return x
    if isinstance(x, int) and not isinstance(x, bool):
        return Fraction(x) if abs(x) > 2**53 else float(x)
    a = np.asarray(x)
    if a.ndim == 0 and a.dtype.kind in "iu":
        return _float_end(int(a))
    if isinstance(x, bool) or (a.dtype.kind not in "fiu" and a.dtype.name != "bfloat16"):
        raise UsageError(f"an end of a bracket is {type(x).__name__}, not a real number")
    if a.size == 0:
        raise UsageError("an end of a bracket is an array without components")
    wide = a.astype(np.float64)
    with np.errstate(all="ignore"):
        # NaN passes: it is the empty bracket's alarm, raised with the quantity's name
        if not np.all((wide.astype(a.dtype) == a) | (a != a)) or _cut(a, wide):
            raise UsageError(
                f"an end of a bracket holds {a.dtype} numbers that are no float64",
                "Rounding them would move the end.",
                "a float64 that is rounded outward, or a Fraction",
            )
    if wide.ndim == 0:
        return float(wide)
    wide.flags.writeable = False
    return wide


def _cut(a: np.ndarray, wide: np.ndarray) -> bool:
    """Whether integers were rounded (2**64 - 1 to and fro overflows, so `==` cannot tell)."""
    return a.dtype.kind in "iu" and bool(np.any(np.abs(wide) > 2.0**53))


def _host(x: Any) -> Any:
    """The same tree with NumPy arrays: a certificate holds no device's arrays."""
    if isinstance(x, Mapping):
        return {k: _host(v) for k, v in x.items()}
    if type(x) in (tuple, list):
        return type(x)(_host(v) for v in x)
    if hasattr(x, "addressable_shards") and getattr(x.dtype, "kind", "") in "biufcV":
        return np.asarray(x)
    return x


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
        level: probability with which the statement holds: below 1 for `confidence` and
            `asymptotic`, 1 for `proved` and `proved_real`; an `estimate` keeps what it was given.
        verdict: one of `VERDICTS`; the rules above may weaken it, never strengthen it.
        dtype: the arithmetic the statement speaks of.
        hypotheses: the assumptions, each with its state.
        budget: how the width splits (sampling, discretisation, rounding, optimisation).
        proof: what a second, small checker needs to derive the claim again.
        source: paper and theorem.
        reason: why refused, inapplicable or refuted.

    Raises:
        EmptyBracket: an end is NaN or lower > upper.
        UsageError: an unknown kind, verdict or sense; a level outside (0, 1], or one that the kind
            cannot have; a range or goal that is none; a refusal without a reason.
    """

    quantity: str
    of: str
    lower: Any
    upper: Any
    kind: str
    bound: str
    _: dataclasses.KW_ONLY
    sense: str = "none"
    goal: float | int | Fraction | None = None
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
            if not isinstance(got, str) or got not in known:
                raise UsageError(
                    f"`{name}` of a certificate is {got!r}", remedy=nearest(str(got), known)
                )
        _texts(self, "quantity", "of", "bound", "dtype", "source", "reason")
        put("level", _number("level", self.level))
        if not 0.0 < self.level <= 1.0:
            raise UsageError(f"`level` of a certificate is {self.level}", "It is a probability.")
        put("lower", _float_end(self.lower))
        put("upper", _float_end(self.upper))
        if not isinstance(self.hypotheses, (tuple, list)) or not all(
            isinstance(h, Hypothesis) for h in self.hypotheses
        ):
            raise UsageError(
                "`hypotheses` of a certificate holds something else",
                remedy='(infsup.Hypothesis("...", "checked"),)',
            )
        put("hypotheses", tuple(self.hypotheses))
        if not isinstance(self.range, (tuple, list)) or len(self.range) != 2:
            raise UsageError(
                f"`range` of a certificate is {self.range!r}", remedy="(lowest, highest)"
            )
        put("range", tuple(_number("range", end) for end in self.range))
        if not self.range[0] <= self.range[1]:
            raise UsageError(f"`range` of a certificate is {self.range}", "It holds no number.")
        if self.goal is not None:
            put("goal", _float_end(self.goal))
            if not isinstance(self.goal, (float, Fraction)) or self.goal != self.goal:
                raise UsageError(f"`goal` of a certificate is {self.goal}, not a number")
        for name in ("budget", "proof"):
            if not isinstance(getattr(self, name), Mapping):
                raise UsageError(f"`{name}` of a certificate is no mapping")
            put(name, _host(getattr(self, name)))

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
        self._match_level()
        self._compare()

    def _match_level(self) -> None:
        """A theorem that holds always has level 1; one that holds with a probability has less."""
        chance = self.kind in ("confidence", "asymptotic")
        if chance and self.level == 1.0:
            raise UsageError(
                f"a certificate of kind `{self.kind}` has level 1",
                "It can be wrong; how often belongs to the claim.",
                "level=1 - delta, with delta above 1e-16",
            )
        if self.kind in ("proved", "proved_real") and self.level < 1.0:
            raise UsageError(
                f"a certificate of kind `{self.kind}` has level {self.level}",
                "What is proved holds always.",
                'kind="confidence"',
            )

    def _compare(self) -> None:
        """Empty brackets are an alarm; the a-priori range decides vacuous and refuted."""
        lower, upper = np.asarray(self.lower, object), np.asarray(self.upper, object)
        if lower.shape != upper.shape:
            raise UsageError(f"`lower` has shape {lower.shape}, `upper` has {upper.shape}")
        pairs = self._pairs()
        # `not <=` catches NaN as well
        if not all(lo <= up for lo, up in pairs):
            raise EmptyBracket(
                f"the bracket of {self.quantity} of {self.of} is empty: "
                f"[{self.lower}, {self.upper}]",
                "Two statements contradict each other, so a hypothesis or the code is wrong.",
            )
        lo, up = self.range
        # what is proved has its rounding inside its ends already
        least, most = (lo, up) if self.kind == "proved" else (_outward(lo, -1), _outward(up, +1))
        if any(a > most or b < least for a, b in pairs):
            object.__setattr__(self, "verdict", "refuted")
            object.__setattr__(
                self, "reason", self.reason or f"the bracket lies outside [{lo:g}, {up:g}]"
            )
        elif all(a <= lo and b >= up for a, b in pairs) and self.verdict != "refuted":
            object.__setattr__(self, "verdict", "vacuous")

    def _pairs(self) -> list[tuple[Any, Any]]:
        """(lower, upper) of each component, as Python numbers: they compare without rounding."""
        lower, upper = np.asarray(self.lower, object), np.asarray(self.upper, object)
        return list(zip(lower.ravel(), upper.ravel(), strict=True))

    # -- what one asks of a certificate ---------------------------------------------------------

    @property
    def width(self) -> float:
        """Largest `upper - lower` over the components, rounded up; inf where nothing is claimed."""
        return max(_apart(lo, up) for lo, up in self._pairs())

    @property
    def defended(self) -> float:
        """The end that the claim defends: the upper for sense "min", the lower for "max"."""
        if self.sense == "max":
            return -_rounded_up(-min(lo for lo, _ in self._pairs()))
        return _rounded_up(max(up for _, up in self._pairs()))

    @property
    def met(self) -> str:
        """Whether `goal` is met: "yes", "no", "open", or "" where nothing was asked.

        A refuted certificate answers nothing: "open".
        """
        if self.goal is None:
            return ""
        if self.verdict == "refuted":
            return "open"
        pairs, goal = self._pairs(), self.goal
        if self.sense == "max":
            pairs, goal = [(-up, -lo) for lo, up in pairs], -goal
        if all(up <= goal for _, up in pairs):
            return "yes"
        return "no" if any(lo > goal for lo, _ in pairs) else "open"

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


def _number(name: str, x: Any) -> float:
    try:
        if isinstance(x, (str, bytes, bool)) or np.ndim(x):
            raise TypeError
        return float(x)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"`{name}` of a certificate is {x!r}, not a number") from None


def _outward(x: float, sign: int) -> float:
    """`x` moved outward by what rounding may do to a value that lies on the end of a range."""
    return x + sign * 1e-9 * max(1.0, abs(x)) if math.isfinite(x) else x


def _rounded_up(x: float | Fraction) -> float:
    """The least float at or above `x`; a fraction may lie beyond all of them."""
    if isinstance(x, float):
        return x
    try:
        near = float(x)
    except OverflowError:
        near = math.inf if x > 0 else -math.inf
    return near if near >= x else math.nextafter(near, math.inf)


def _apart(lower: float | Fraction, upper: float | Fraction) -> float:
    if lower == upper:
        return 0.0
    if any(isinstance(x, float) and math.isinf(x) for x in (lower, upper)):
        return math.inf
    return _rounded_up(Fraction(upper) - Fraction(lower))


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
        quantity: of the new certificate, like all that follow.
        of: of which object.
        lower: the one end.
        upper: the other end.
        bound: what made it.
        fields: further fields of the new certificate (sense, range, budget, proof, source, ...).

    Raises:
        UsageError: no parts, or nothing left of the level.
    """
    if not isinstance(parts, (tuple, list)) or not all(isinstance(p, Certificate) for p in parts):
        raise UsageError("`parts` of a composition holds something else than certificates")
    if not parts:
        raise UsageError("`parts` of a composition is empty")
    exact = 1 - sum((1 - Fraction(p.level) for p in parts), Fraction(0))
    level = -_rounded_up(-exact)
    if level <= 0.0:
        raise UsageError("`parts` leave no confidence: their deltas add to 1 or more")
    # a vacuous part need not make the whole vacuous: its range decides
    verdicts = ["certified" if p.verdict == "vacuous" else p.verdict for p in parts]
    worst = max(verdicts, key=VERDICTS.index)
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
