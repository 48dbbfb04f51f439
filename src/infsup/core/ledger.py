"""The one account from which statements that are to hold together draw their delta."""

import math
from dataclasses import dataclass
from fractions import Fraction

from infsup.core.errors import DeltaExhausted, UsageError
from infsup.core.registry import register


def check_delta(delta: float, name: str = "delta") -> float:
    """`delta` as a float in (0, 1).

    Raises:
        UsageError: it is not a number inside (0, 1).
    """
    if isinstance(delta, bool) or not isinstance(delta, (int, float)) or not 0 < delta < 1:
        raise UsageError(
            f"`{name}` is {delta!r}",
            "It is the probability of being wrong, so it lies inside (0, 1).",
            f"{name}=0.01",
        )
    return float(delta)


@register
@dataclass(frozen=True)
class DeltaLedger:
    r"""Union bound as an account: the entries' deltas add to at most `granted`.

    If statement i fails with probability at most delta_i, all hold together with probability at
    least 1 - sum_i delta_i (Boole's inequality). Sums are taken in rationals, so an account that is
    spent to the last bit neither overdraws nor leaves a remainder to rounding.

    Args:
        granted: the total, inside (0, 1).
        entries: (delta, what for), in the order of spending.
    """

    granted: float
    entries: tuple[tuple[float, str], ...] = ()

    def __post_init__(self):
        check_delta(self.granted, "granted")
        if not isinstance(self.entries, (tuple, list)):
            got = type(self.entries).__name__
            raise UsageError(f"`entries` of a ledger is {got}", remedy="((delta, what for), ...)")
        object.__setattr__(self, "entries", tuple(self.entries))
        for entry in self.entries:
            if not isinstance(entry, tuple) or len(entry) != 2 or not isinstance(entry[1], str):
                raise UsageError(
                    f"`entries` of a ledger holds {entry!r}", remedy="(delta, what for)"
                )
            check_delta(entry[0])
        if self.left < 0:
            raise DeltaExhausted(f"`entries` spend more than the {self.granted:g} granted")

    @property
    def spent(self) -> Fraction:
        """What has been spent, exactly."""
        return sum((Fraction(d) for d, _ in self.entries), Fraction(0))

    @property
    def left(self) -> Fraction:
        """What is left, exactly."""
        return Fraction(self.granted) - self.spent

    def spend(self, delta: float, what: str) -> "DeltaLedger":
        """The ledger after one more entry.

        Raises:
            DeltaExhausted: more is asked than is left.
        """
        check_delta(delta)
        if Fraction(delta) > self.left:
            raise DeltaExhausted(
                f"`delta` = {delta:.6g} was asked for {what!r}, {float(self.left):.6g} is left",
                f"{self.granted:g} was granted; spent: "
                + (", ".join(f"{d:.3g} on {w}" for d, w in self.entries) or "nothing"),
                "a larger `delta` for the whole, or fewer statements",
            )
        return DeltaLedger(self.granted, (*self.entries, (delta, what)))

    def share(self, parts: int) -> float:
        """An equal share of what is left, rounded down so that all of them fit.

        Raises:
            DeltaExhausted: nothing is left.
            UsageError: `parts` < 1.
        """
        if isinstance(parts, bool) or not isinstance(parts, int) or parts < 1:
            raise UsageError(f"`parts` is {parts!r}", remedy="a whole number, 1 or more")
        exact = self.left / parts
        share = float(exact)
        if Fraction(share) > exact:
            share = math.nextafter(share, 0.0)
        if share <= 0.0:
            raise DeltaExhausted(f"nothing is left of the {self.granted:g} granted")
        return share
