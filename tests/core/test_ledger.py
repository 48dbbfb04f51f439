import json
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infsup.core import ledger as ledger_module
from infsup.core.encoding import from_plain_json, to_plain_json
from infsup.core.errors import DeltaExhausted, FileRejected, UsageError
from infsup.core.ledger import DeltaLedger, check_delta

DELTAS = st.floats(0, 1, exclude_min=True, exclude_max=True)


def spend_all(granted, parts):
    ledger = DeltaLedger(granted)
    share = ledger.share(parts)
    for k in range(parts):
        ledger = ledger.spend(share, f"statement {k}")
    return ledger


@given(DELTAS, st.integers(1, 12))
def test_equal_shares_fit_and_leave_less_than_rounding(granted, parts):
    try:
        ledger = spend_all(granted, parts)
    except DeltaExhausted:
        assert granted / parts < 1e-300  # a share below the least float
        return
    assert ledger.spent <= Fraction(granted)
    assert ledger.left <= max(Fraction(granted) * Fraction(1, 2**52), parts * Fraction(5e-324))


def test_many_shares():
    for parts in (1, 2, 3, 7, 10, 49, 97):
        for granted in (0.01, 1 / 3, 5e-324 * parts, 1 - 2**-53):
            ledger = spend_all(granted, parts)
            with pytest.raises(DeltaExhausted):
                ledger.spend(ledger.share(1) if ledger.left else 5e-324, "one").spend(0.5, "more")


def test_spending_to_the_last_bit():
    ledger = DeltaLedger(0.01)
    for k in range(100):
        if not ledger.left:
            break
        ledger = ledger.spend(ledger.share(3 if k < 5 else 1), "part")
    assert ledger.left == 0
    with pytest.raises(DeltaExhausted, match="nothing is left"):
        ledger.share(1)
    with pytest.raises(DeltaExhausted, match="was asked"):
        ledger.spend(5e-324, "the least number")


def test_a_ledger_in_floats_would_overdraw(monkeypatch):
    ledger = DeltaLedger(0.1)
    # the float nearest to the share, without the step down
    monkeypatch.setattr(ledger_module.math, "nextafter", lambda x, _: x)
    overdrawn = []
    for parts in range(1, 200):
        share = ledger.share(parts)
        overdrawn.append(parts * Fraction(share) > Fraction(0.1))
    assert any(overdrawn)


def test_the_interleaving_of_looks_and_shares_never_overdraws():
    ledger = DeltaLedger(0.01)
    for n in range(40):
        ledger = ledger.spend(0.01 / 2 ** (n + 2), f"look {n + 1}")
    share = ledger.share(3)
    for name in "abc":
        ledger = ledger.spend(share, name)
    assert ledger.left >= 0


@pytest.mark.parametrize(
    "delta", [0, 0.0, -0.01, 1, 1.0, 1.5, math.nan, math.inf, True, "0.1", None]
)
@pytest.mark.usefixtures("unchecked")
def test_a_delta_lies_inside_0_1(delta):
    with pytest.raises(UsageError, match="delta"):
        check_delta(delta)
    with pytest.raises(UsageError, match="granted"):
        DeltaLedger(delta)
    with pytest.raises(UsageError, match="delta"):
        DeltaLedger(0.5).spend(delta, "x")


@pytest.mark.parametrize(
    "entries",
    [
        ((-5.0, "a debt that would grant more"),),
        ((math.nan, "x"),),
        ((True, "x"),),
        ((0.1,),),
        (0.1,),
        ((0.1, 3),),
        ("ab",),
        ((0.3, "x"), (0.3, "y")),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_entries_of_a_stranger_are_looked_at(entries):
    with pytest.raises(UsageError):
        DeltaLedger(0.5, entries)


@pytest.mark.parametrize("parts", [0, -1, 1.5, True, "2"])
@pytest.mark.usefixtures("unchecked")
def test_parts_are_counted(parts):
    with pytest.raises(UsageError, match="parts"):
        DeltaLedger(0.5).share(parts)


def test_spending_leaves_the_old_ledger_as_it_was():
    a = DeltaLedger(0.5)
    b = a.spend(0.25, "x")
    assert a.entries == ()
    assert b.left == Fraction(1, 4)
    with pytest.raises(DeltaExhausted, match=r"0\.25 on x"):
        b.spend(0.250001, "y")


@given(st.lists(st.tuples(DELTAS, st.text(st.characters(exclude_categories=["Cs"])))))
def test_round_trip(entries):
    ledger = DeltaLedger(0.999)
    for delta, what in entries:
        if Fraction(delta) <= ledger.left:
            ledger = ledger.spend(delta, what)
    again = from_plain_json(json.loads(json.dumps(to_plain_json(ledger))), DeltaLedger)
    assert again == ledger
    assert again.left == ledger.left


def test_a_file_cannot_overdraw():
    d = to_plain_json(DeltaLedger(0.1).spend(0.05, "x"))
    d["fields"]["granted"] = {"float": "0.01"}
    with pytest.raises(FileRejected, match="spend more"):
        from_plain_json(d, DeltaLedger)
