"""The sawtooth: exact values, exact counts."""

from fractions import Fraction

import pytest

from infsup.approximation.sawtooth import tent
from infsup.core.errors import UsageError


@pytest.mark.parametrize("k", [1, 2, 5])
def test_it_runs_up_and_down_between_zero_and_one(k):
    network = tent(k)
    for i in range(2**k + 1):
        assert network.exact(Fraction(i, 2**k)) == [i % 2]
    assert network.pieces(0.0, 1.0) == 2**k
    assert network.counts.units == 2 * k


def test_it_has_at_least_one_level():
    with pytest.raises(UsageError, match="from 1 to 25"):
        tent(0)
