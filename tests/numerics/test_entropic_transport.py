"""Sinkhorn: it contracts as proved, and its bracket holds the cost."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from infsup.core.errors import UsageError
from infsup.numerics.entropic_transport import oscillation, sinkhorn, transport_bracket

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("eps", [1.0, 0.1, 0.02])
def test_the_bracket_holds_the_optimal_cost(eps):
    n = 15
    cost = RNG.random((n, n))
    a = np.full(n, 1 / n)
    found = sinkhorn(cost, a, a, eps, 400)
    rows, columns = linear_sum_assignment(cost)
    best = cost[rows, columns].mean()
    lower, upper = transport_bracket(cost, a, a, found.plan, found.f)
    assert lower <= best + 1e-12
    assert best <= upper + 1e-12
    assert upper - lower <= eps * np.log(n) + 1e-3
    assert np.allclose(found.plan.sum(0), a, atol=1e-12)


def test_any_plan_and_potential_give_a_bracket():
    n, m = 6, 9
    cost = RNG.random((n, m))
    a, b = RNG.dirichlet(np.ones(n)), RNG.dirichlet(np.ones(m))
    good = sinkhorn(cost, a, b, 0.01, 2000)
    best = transport_bracket(cost, a, b, good.plan, good.f)
    for _ in range(50):
        lower, upper = transport_bracket(cost, a, b, RNG.random((n, m)), RNG.normal(size=n))
        assert lower <= best[1] + 1e-12
        assert upper >= best[0] - 1e-12


def test_the_change_contracts():
    cost = RNG.random((12, 12))
    a = np.full(12, 1 / 12)
    for eps in (1.0, 0.3):
        changes = sinkhorn(cost, a, a, eps, 12).changes
        used = changes[changes > 1e-11]
        assert (used[1:] / used[:-1]).max() <= np.tanh(oscillation(cost) / (4 * eps)) ** 2


def test_words(unchecked):
    a = np.full(2, 0.5)
    with pytest.raises(UsageError, match="eps"):
        sinkhorn(np.eye(2), a, a, 0.0, 3)
    with pytest.raises(UsageError, match="steps"):
        sinkhorn(np.eye(2), a, a, 1.0, 0)
    with pytest.raises(UsageError, match="cost"):
        sinkhorn(np.ones((2, 3)), a, a, 1.0, 3)
    with pytest.raises(UsageError, match="no law"):
        sinkhorn(np.eye(2), a, np.array([1.0, 0.5]), 1.0, 3)
