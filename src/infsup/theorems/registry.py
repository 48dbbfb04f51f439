"""What a theorem is here, and how one is found by name. No JAX: a check imports what it needs."""

import fnmatch
import importlib
import inspect
import math
import pathlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from infsup.core.errors import UsageError, nearest
from infsup.core.figure import Figure
from infsup.core.storage import number_to_text

Number = float | int | Fraction
Relation = Literal["<=", ">=", "=="]
Size = Literal["quick", "default", "full"]

MODULES = ("approximation", "optimization", "generalization", "control", "generative")
"""One module a pillar, in the order of the ids' letters."""

KINDS = {
    "proved": "exact or enclosed arithmetic",
    "proved_real": "float64 against a stated tolerance",
    "confidence": "a statement of chance at a stated level",
    "estimate": "searched or sampled",
}
"""How strongly a check speaks of the numbers it compares, strongest first."""

SIZES = ("quick", "default", "full")


@dataclass(frozen=True)
class Compared:
    """One comparison of what was measured with what the theorem promises.

    Args:
        quantity: what is measured, in words.
        measured: the number that the library produced.
        relation: "<=", ">=" or "==".
        bound: the theorem's number.
        tolerance: absolute slack, >= 0, for rounding and for quadrature; 0 for exact arithmetic.
        text: where the slack comes from, or what else a reader should know.
    """

    quantity: str
    measured: Number
    relation: Relation
    bound: Number
    tolerance: Number = 0
    text: str = ""

    @property
    def holds(self) -> bool:
        """Whether the relation holds up to the tolerance; compared as rationals. NaN never does."""
        if any(x != x for x in (self.measured, self.bound, self.tolerance)):
            return False
        m, b, t = (_rational(x) for x in (self.measured, self.bound, self.tolerance))
        if math.inf in (abs(m), abs(b)):
            below, above = m <= b, m >= b
        else:
            below, above = m <= b + t, m >= b - t
        return {"<=": below, ">=": above, "==": below and above}[self.relation]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for a file; numbers as in a solution's."""
        text = {n: _text(getattr(self, n)) for n in ("measured", "bound", "tolerance")}
        return {**asdict(self), **text, "holds": self.holds}


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Args:
        compared: at least one comparison, the headline first.
        figure: a picture, or None.
        notes: one or two sentences, e.g. how far the bound is from the truth.
        refused: why there is no verdict (the check's own validity test failed); "" if there is.
    """

    compared: tuple[Compared, ...]
    figure: Figure | None = None
    notes: str = ""
    refused: str = ""


@runtime_checkable
class Check(Protocol):
    """A function that compares a theorem with what the library computes.

    Args:
        size: "quick" (seconds), "default" or "full".
        key: int in [0, 2^32), the only source of randomness.
        broken: compare with a wrong constant or without a hypothesis; then it must not hold.
    """

    def __call__(self, size: Any, key: int, broken: bool = False) -> Finding: ...


@dataclass(frozen=True)
class Theorem:
    """A checkable result.

    Args:
        id: letter of the pillar and two digits.
        title: what it says, in a line of words.
        statement: LaTeX, displayed; only commands that become MathML.
        hypotheses: in words, each with its signs.
        source: work and number, with keys of the bibliography in brackets.
        kind: of `KINDS`.
        check: the function.
    """

    id: str
    title: str
    statement: str
    hypotheses: tuple[str, ...]
    source: str
    kind: str
    check: Check

    @property
    def pillar(self) -> str:
        """The module that checks it."""
        return self.check.__module__.rsplit(".", 1)[-1]

    @property
    def derivation(self) -> str:
        """The docstring of the check: why the constants are what they are."""
        return inspect.getdoc(self.check) or ""

    @property
    def file(self) -> str:
        """Where the check stands, from the package's folder on."""
        path = pathlib.Path(inspect.getsourcefile(inspect.unwrap(self.check)) or "")
        return f"infsup/theorems/{path.name}"

    @property
    def line(self) -> int:
        """The first line of the check."""
        return inspect.getsourcelines(inspect.unwrap(self.check))[1]

    @property
    def code(self) -> str:
        """The source of the check."""
        return inspect.getsource(inspect.unwrap(self.check))

    def as_dict(self) -> dict[str, Any]:
        """Plain data for a file: what is known without running the check."""
        return {
            "id": self.id,
            "title": self.title,
            "statement": self.statement,
            "hypotheses": list(self.hypotheses),
            "source": self.source,
            "pillar": self.pillar,
            "kind": self.kind,
            "file": self.file,
            "line": self.line,
            "code": self.code,
        }


_known: dict[str, Theorem] = {}


def theorem(
    id: str,
    title: str,
    *,
    statement: str,
    hypotheses: tuple[str, ...],
    source: str,
    kind: str,
) -> Callable[[Check], Check]:
    """Registers a check under an id (a decorator); see `Theorem` for the arguments.

    Raises:
        UsageError: the id is taken by another check, or the kind is unknown.
    """
    if kind not in KINDS:
        raise UsageError(f"`kind` of {id} is {kind!r}", remedy=nearest(kind, KINDS))

    def enter(check: Check) -> Check:
        there = _known.get(id)
        if there is not None and there.check.__qualname__ != check.__qualname__:  # type: ignore[attr-defined]
            raise UsageError(f"the id {id} is taken by {there.title!r}", remedy="another id")
        _known[id] = Theorem(id, title, statement, hypotheses, source, kind, check)
        return check

    return enter


def theorems(modules: Iterable[str] = ()) -> dict[str, Theorem]:
    """Id -> theorem, sorted by id.

    Args:
        modules: further modules, by their full names, whose theorems are to be there as well.
    """
    for name in (*(f"infsup.theorems.{m}" for m in MODULES), *modules):
        importlib.import_module(name)
    return {i: _known[i] for i in sorted(_known)}


def find(patterns: Iterable[str], known: Mapping[str, Theorem]) -> list[Theorem]:
    """The theorems of some patterns, in the order of their ids.

    Args:
        patterns: each an id, an id with * or ?, a letter or name of a pillar, or a part of a title.
            None at all stands for every theorem.
        known: as `theorems()` gives it.

    Raises:
        UsageError: a pattern matches nothing; says the nearest names.
    """
    patterns = list(patterns)
    chosen = set() if patterns else set(known)
    for pattern in patterns:
        low = pattern.strip().lower()
        hits = [i for i in known if fnmatch.fnmatch(i.lower(), low)]
        hits = hits or [i for i, t in known.items() if low in (i[0].lower(), t.pillar)]
        hits = hits or [i for i, t in known.items() if low and low in t.title.lower()]
        if not hits:
            names = [*known, *{t.pillar for t in known.values()}]
            raise UsageError(
                f"no theorem matches `{pattern}`",
                "A pattern is an id, an id with *, a pillar, or a part of a title.",
                nearest(pattern, names),
            )
        chosen.update(hits)
    return [known[i] for i in known if i in chosen]


def judge(theorem: Theorem, finding: Finding) -> str:
    """The verdict, of those of a certificate.

    "certified" and "consistent" speak of the numbers compared: that they are as the theorem says,
    in the strength of its kind. A pass proves no theorem; a miss refutes it, or the library.
    """
    if finding.refused:
        return "refused"
    if not finding.compared:
        raise UsageError(f"the check of {theorem.id} compared nothing", "It could not have failed.")
    if not all(c.holds for c in finding.compared):
        return "refuted"
    return "consistent" if theorem.kind == "estimate" else "certified"


def figure_as_dict(figure: Figure | None) -> dict[str, Any] | None:
    """Plain data for a file, with lists in place of arrays."""
    if figure is None:
        return None

    def plain(x: Any) -> Any:
        if isinstance(x, np.ndarray):
            return x.tolist()
        if isinstance(x, dict):
            return {k: plain(v) for k, v in x.items()}
        return [plain(v) for v in x] if isinstance(x, (list, tuple)) else x

    return plain(asdict(figure))


def generator(theorem_id: str, key: int) -> np.random.Generator:
    """NumPy's randomness of one check: a branch of the key that belongs to its id."""
    return np.random.default_rng([key, *theorem_id.encode()])


def pick(size: Any, quick: int, default: int, full: int) -> int:
    """The number that belongs to a size."""
    return {"quick": quick, "default": default, "full": full}[size]


def short(x: Fraction, *, up: bool) -> Fraction:
    """A fraction with a denominator of 200 bits, not below (`up`) or not above x: for print."""
    scaled = x * 2**200
    whole = math.ceil(scaled) if up else math.floor(scaled)
    return Fraction(whole, 2**200)


def _rational(x: Number) -> Number:
    return x if isinstance(x, float) and math.isinf(x) else Fraction(x)


def _text(x: Number) -> str:
    return "nan" if x != x else number_to_text(x)
