"""What is drawn: the claim, the truth, and the comparators beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from infsup.core.bracket.characters import clean
from infsup.core.bracket.components import (
    NO_NUMBER,
    components,
    ends_in_words,
    known,
    percent,
    worst,
)
from infsup.core.bracket.numbers import Ends, Number, ends_of, finite
from infsup.core.certificate import Certificate

MOST_COMPONENTS = 6
MOST_COMPARATORS = 6


class Row(NamedTuple):
    """One component as it is drawn, with the truth where it is known."""

    name: str
    ends: Ends
    truth: Number | None


class Mark(NamedTuple):
    """A comparator: where it stands (None: nowhere) and what is written of it."""

    name: str
    at: Number | None
    value: str

    @property
    def words(self) -> str:
        return f"{self.name} {self.value}".strip()


@dataclass(frozen=True)
class Scene:
    """All that one drawing shows.

    Args:
        rows: the first components, or the only one.
        more: how many components are left out.
        ends: the only bracket, or the worst of an array.
        marks: the first comparators.
        left: how many comparators are left out.
    """

    rows: list[Row]
    more: int
    ends: Ends
    marks: list[Mark]
    left: int

    @property
    def single(self) -> bool:
        return len(self.rows) == 1

    @property
    def truth(self) -> Number | None:
        return self.rows[0].truth

    @property
    def values(self) -> list[Fraction]:
        """All finite ends and truths, for a common scale; zero where there are none."""
        values = [v for _, e, truth in self.rows for v in (e.lo, e.hi, truth) if finite(v)]
        return values or [Fraction(0)]


def scene_of(c: Certificate, truth: Any, comparators: Mapping[str, Any] | None) -> Scene:
    """What is drawn of a certificate that carries numbers."""
    rate, rows, marks = percent(c), [], []
    parts = components(c)
    for index, lower, upper in parts[:MOST_COMPONENTS]:
        name = f"[{','.join(map(str, index))}]" if index else ""
        at = known(truth, index)
        rows.append(Row(name, ends_of(lower, upper, rate, at), at))
    ends = rows[0].ends if len(rows) == 1 else worst(c)
    for name, x in (comparators or {}).items():
        at = known(x)
        if isinstance(x, Certificate) and (at is None or not np.all(x.lower == x.upper)):
            value = ends_in_words(x)
        else:
            value = NO_NUMBER if at is None else ends.mark(at)
        marks.append(Mark(clean(name), at, value))
    left = max(0, len(marks) - MOST_COMPARATORS)
    return Scene(rows, len(parts) - len(rows), ends, marks[:MOST_COMPARATORS], left)
