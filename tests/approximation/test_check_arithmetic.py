"""The arithmetic of the checkers' evaluator: every operation, its series, and where it is open."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from flint import arb, ctx

from infsup.approximation.check_structure import ORDER, RULES, Open, taylor
from infsup.core.program import ELEMENTWISE, LEAVES, STRUCTURAL, Argument, Program, Step

MP = {
    **{name: getattr(mpmath, name) for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh")},
    **{name: getattr(mpmath, name) for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh")},
    **{name: getattr(mpmath, name) for name in ("tanh", "erf", "erfc", "expm1", "log1p")},
    **{name: getattr(mpmath, name) for name in ("sqrt", "cbrt")},
    "neg": lambda x: -x,
    "abs": abs,
    "rsqrt": lambda x: 1 / mpmath.sqrt(x),
    "square": lambda x: x * x,
    "logistic": lambda x: 1 / (1 + mpmath.exp(-x)),
    "lgamma": mpmath.loggamma,
}


def of_x(*steps, arrays=None):
    return Program((Argument("x"),), tuple(steps), len(steps), arrays or {})


def number(value):
    return Step("number", (), {"value": Fraction(value)})


def test_no_operation_is_missing():
    folds = {"largest", "smallest"}
    assert set(RULES) == {*ELEMENTWISE, *LEAVES, *folds}
    assert folds < set(STRUCTURAL)


@pytest.mark.parametrize("op", MP)
def test_values_and_series_are_enclosed(op):
    low = Fraction(9, 4) if op in ("acosh", "lgamma") else Fraction(1, 4)
    with ctx.workprec(160), mpmath.workdps(60):
        f, box = of_x(Step(op, (0,))), arb(float(low)).union(arb(float(low) + 0.5))
        values, over = taylor(f, box, 0)[0], taylor(f, box, 4)
        for x in (low, low + Fraction(1, 3), low + Fraction(1, 2)):
            at = arb(x.numerator) / x.denominator
            truth = mpmath.taylor(MP[op], mpmath.mpf(x.numerator) / x.denominator, 4)
            for found, boxed, c in zip(taylor(f, at, 4), over, truth, strict=True):
                assert abs(found - arb(str(c))) < 1e-25
                assert boxed.overlaps(arb(str(c)))
            assert values.overlaps(arb(str(truth[0])))


@pytest.mark.parametrize(
    ("op", "low", "high", "span"),
    [
        ("sqrt", 0.0, 0.25, (0, 0.5)),
        ("cbrt", -0.125, 0.125, (-0.5, 0.5)),
        ("asin", 0.5, 1.0, (math.pi / 6, math.pi / 2)),
        ("acos", -1.0, 1.0, (0, math.pi)),
        ("abs", -1.0, 0.5, (0, 1)),
        ("sign", -1.0, 1.0, (-1, 1)),
        ("tanh", -7.0, 7.0, (-0.999, 0.999)),
        ("logistic", -15.0, 15.0, (0.001, 0.999)),
    ],
)
def test_where_there_is_no_series_there_are_values(op, low, high, span):
    f, box = of_x(Step(op, (0,))), arb(low).union(arb(high))
    found = taylor(f, box, 0)[0]
    assert found.overlaps(arb(span[0]))
    assert found.overlaps(arb(span[1]))
    assert abs(found) < 2 * max(map(abs, span)) + 0.1
    if op not in ("tanh", "logistic"):
        with pytest.raises(Open):
            taylor(f, box, 3)


@pytest.mark.parametrize(
    ("op", "at"), [("sqrt", -0.5), ("log", -1.0), ("asin", 1.5), ("acosh", 0.5), ("rsqrt", 0.0)]
)
def test_nothing_is_known_outside_of_a_domain(op, at):
    for n in (0, 3):
        with pytest.raises(Open):
            taylor(of_x(Step(op, (0,))), arb(at), n)


@pytest.mark.parametrize("op", ORDER)
def test_comparisons_choose_only_what_is_certain(op):
    f = of_x(number(0), number(-1), Step(op, (0, 1)), Step("exp", (0,)), Step("select", (3, 2, 4)))
    numpy_op = {"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}
    numpy_op |= {"eq": np.equal, "ne": np.not_equal}
    for x in (-0.5, 0.0, 0.5):
        truth = math.exp(x) if numpy_op[op](x, 0) else -1.0
        assert abs(taylor(f, arb(x), 0)[0] - truth) < 1e-12
    both = taylor(f, arb(0, 0.5), 0)[0]
    assert both.contains(-1)
    assert both.contains(arb(0.4).exp())
    with pytest.raises(Open):
        taylor(f, arb(0, 0.5), 2)


def test_an_open_truth_has_no_derivative():
    """The product x (x > 0) is no straight line through 0, though its truths are constant."""
    f = of_x(number(0), Step("gt", (0, 1)), Step("mul", (0, 2)))
    assert taylor(f, arb(0, 0.5), 0)[0].contains(0.25)
    for n in (1, 2):
        with pytest.raises(Open):
            taylor(f, arb(0, 0.5), n)
    assert taylor(f, arb(1, 0.5), 1)[1] == 1


@pytest.mark.parametrize(("z", "y"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_logic(z, y):
    steps = (number(z), number(y), number(0), Step("gt", (1, 3)), Step("gt", (2, 3)))
    for op, truth in (("and", z and y), ("or", z or y)):
        assert taylor(of_x(*steps, Step(op, (4, 5))), arb(0), 0)[0] == truth
    # what is certain of one side decides whatever the other
    half = Step("gt", (0, 3))
    for op in ("and", "or"):
        found = taylor(of_x(*steps, half, Step(op, (4, 6))), arb(0, 1), 0)[0]
        assert (found == z) == (z == (op == "or"))
    assert taylor(of_x(*steps, Step("not", (4,))), arb(0), 0)[0] == 1 - z


def test_numbers_are_no_truths():
    """As in NumPy: what is not 0 is true, and true is 1 where it is added."""
    steps = number(2), number(3), Step("and", (1, 2)), Step("or", (1, 2)), Step("not", (1,))
    for slot, truth in ((3, 1), (4, 1), (5, 0)):
        f = of_x(*steps, Step("add", (0, slot)))
        assert taylor(f, arb(0.5), 0)[0] == 0.5 + truth
        assert f(0.5) == 0.5 + truth


def test_what_is_not_known_is_not_equal_to_itself():
    """`isnan` is written so: it is open where a logarithm is."""
    f = of_x(Step("log", (0,)), Step("ne", (1, 1)), number(5), number(7), Step("select", (2, 4, 3)))
    assert taylor(f, arb(1.0), 0)[0] == 7
    assert taylor(f, arb(-1.0), 0)[0].contains(5)


def test_at_a_kink_difference_quotients_are_bounded():
    f = of_x(number(3), Step("mul", (0, 1)), Step("maximum", (0, 2)))
    assert taylor(f, arb(0, 1), 1)[1].contains(1)
    assert taylor(f, arb(0, 1), 1)[1].contains(3)
    with pytest.raises(Open):
        taylor(f, arb(0, 1), 2)


def test_folds_of_arrays():
    arrays = {"c": np.array([[-3.0, -1.0], [-2.0, -5.0]])}
    wide = {"shape": (2, 2), "axes": ()}
    for op, truth in (("largest", -1.0), ("smallest", -5.0)):
        f = of_x(
            Step("array", (), {"name": "c"}),
            Step("broadcast", (0,), wide),
            Step("add", (1, 2)),
            Step(op, (3,), {"axes": (0, 1)}),
            arrays=arrays,
        )
        assert taylor(f, arb(0.25), 1)[0] == truth + 0.25
        assert taylor(f, arb(0.25), 1)[1] == 1


def test_more_terms_than_are_allowed_are_not_made_up():
    with pytest.raises(Open):
        taylor(of_x(Step("exp", (0,))), arb(0), ctx.cap)


@pytest.mark.parametrize(("r", "x"), [(3, -2.0), (-2, 0.5), (0, 0.0), (Fraction(3, 2), 0.25)])
def test_powers(r, x):
    f = of_x(Step("power_of", (0,), {"exponent": Fraction(r)}))
    assert abs(taylor(f, arb(x), 0)[0] - x ** float(r)) < 1e-12
