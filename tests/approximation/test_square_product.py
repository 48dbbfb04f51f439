"""Squares and products: their errors and sizes are known exactly."""

from fractions import Fraction

import numpy as np
import pytest

import infsup as isp
from infsup.approximation import (
    Approximate,
    Square,
    StructuralEnclosure,
    three_square_product,
    two_square_error,
    two_square_product,
)
from infsup.approximation.square import error
from infsup.core.errors import HypothesisError, UsageError

pytestmark = pytest.mark.usefixtures("x64")

F = Fraction


def network(domain, **given):
    method = Square(**given)
    problem = Approximate("x**2", domain)
    outcome = method.find(problem, None, None)
    return outcome.answer, StructuralEnclosure().certify(problem, outcome, None, 0.01)


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("domain", "size"), [((0, 1), 1), ((-1, 1), 1), ((-3, 2), 4)])
def test_the_error_is_attained_and_known(domain, size, strict, n):
    net, c = network(domain, n=n, strict=strict, shifted=False)
    exact = error(n, size)
    assert exact == F(size) ** 2 / 4 ** (n + 1)
    assert c.upper == pytest.approx(float(exact), rel=1e-4)
    # exact at multiples of 2^-n, off by all of it in the middle between two
    for k in range(2**n // 2):
        x = F(k * size, 2**n)
        assert net.exact(x)[0] == x * x
        middle = x + F(size, 2 ** (n + 1))
        assert net.exact(middle)[0] - middle**2 == exact
    shifted, c = network(domain, n=n, strict=strict)
    assert c.upper == pytest.approx(float(exact) / 2, rel=1e-4)
    assert shifted.exact(F(0))[0] == -exact / 2


@pytest.mark.parametrize("n", [1, 2, 3, 6, 9])
def test_width_3_and_7n_minus_2_numbers(n):
    net, _ = network((0, 1), n=n, strict=True, shifted=False)
    assert net.is_strict
    assert net.counts.n_nonzero == 7 * n - 2
    assert net.counts.width <= 3
    assert net.counts.n_hidden == n
    dag, _ = network((0, 1), n=n, shifted=False)
    assert dag.counts.units <= net.counts.units


def test_eps_decides_n_and_other_functions_are_refused():
    s = isp.solve(Approximate("x*x", (-2, 2), 1e-6), Square())
    assert s.certificate.upper <= 1e-6 < 4.5 * s.certificate.upper
    for f in ("x**3", "x**2+x", "2*x**2", "abs(x)"):
        with pytest.raises(HypothesisError, match="is not for f"):
            Square().suits(Approximate(f, (-1, 1), 1e-3))
    with pytest.raises(UsageError, match="tent maps"):
        Square(n=0)


def grid(size, step):
    return [F(k * size, step) for k in range(-step, step + 1)]


@pytest.mark.parametrize("n", [1, 3])
def test_a_product_of_two_squares(n):
    net = two_square_product(1, 2, n)
    gaps = {(x, y): net.exact([x, y])[0] - x * y for x in grid(1, 16) for y in grid(2, 16)}
    assert max(map(abs, gaps.values())) == two_square_error(1, 2, n)
    assert all(g == 0 for (x, y), g in gaps.items() if 0 in (x, y) or abs(x) == 1 or abs(y) == 2)


def test_three_squares_err_less_than_the_triangle_inequality_says():
    n, delta = 2, F(1, 4**3)
    net = three_square_product(1, n)
    worst = max(abs(net.exact([x, y])[0] - x * y) for x in grid(1, 16) for y in grid(1, 16))
    assert worst == 4 * delta < 6 * delta
    with pytest.raises(UsageError, match="power of two"):
        three_square_product(3, n)


def test_a_planted_bug_is_found():
    net, c = network((0, 1), n=4)
    w, b = net.levels[1]
    wrong = np.array(w)
    wrong[np.nonzero(wrong)] *= 1.0001
    levels = (net.levels[0], (wrong, b), *net.levels[2:])
    bad = isp.networks.ReLUNetwork(1, levels, net.out)
    problem = Approximate("x**2", (0, 1))
    roles = Square(n=4).find(problem, None, None).evidence
    got = StructuralEnclosure().certify(problem, isp.Outcome(bad, roles), None, 0.01)
    assert c.verdict == "certified"
    assert got.verdict == "inapplicable"
