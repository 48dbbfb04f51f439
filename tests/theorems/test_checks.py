"""Each check holds, and its broken variant fails for a number, not for an exception."""

import json

import numpy as np
import pytest

from infsup.theorems.registry import figure_as_dict, judge, theorems

KNOWN = {i: t for i, t in theorems().items() if t.check.__module__.startswith("infsup.")}
LONG = {
    *("A02", "A09", "A14", "A26", "B09", "B13", "B21", "B36", "D04", "D05", "D07"),
    *("F13", "F14", "F15", "F17", "F20", "F22"),
}
"""A second and more each, mostly compilation: in `make test-slow` and in `infsup verify`."""


def check(id, key=0, size="quick"):
    t = KNOWN[id]
    found = t.check(size, key)
    assert judge(t, found) == ("consistent" if t.kind == "estimate" else "certified"), found
    broken = t.check(size, key, True)
    assert judge(t, broken) == "refuted", broken
    # the headline is among what fails, so that the line of the shell shows it
    assert any(not c.holds for c in broken.compared)
    figure = found.figure
    if figure is not None:
        json.dumps(figure_as_dict(figure), allow_nan=False)
        for c in figure.curves:
            assert len(c.x) == len(c.y)
            assert np.isfinite(c.x).all()
            assert np.isfinite(c.y).all()
            assert c.top is None or np.isfinite(c.top).all()
        assert figure.caption.endswith(".")
        assert sum(c.ink == "accent" for c in figure.curves) <= 1


@pytest.mark.parametrize("id", [i for i in KNOWN if i not in LONG])
def test_it_holds_and_breaks(id, x64):
    check(id)


@pytest.mark.slow
@pytest.mark.parametrize("id", sorted(LONG))
def test_the_long_ones_hold_and_break(id, x64):
    check(id)


@pytest.mark.slow
@pytest.mark.parametrize("key", [4294967295])
@pytest.mark.parametrize("id", list(KNOWN))
def test_other_keys(id, key, x64):
    check(id, key)


@pytest.mark.slow
@pytest.mark.parametrize("id", [i for i in KNOWN if i not in LONG | {"C13"}])
def test_the_default_size(id, x64):
    check(id, size="default")
