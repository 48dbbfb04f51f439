"""Frank-Wolfe: its gap is never below the distance to the optimum."""

import jax.numpy as jnp
import numpy as np
import pytest

from infsup.core.errors import UsageError
from infsup.optimization import GradientDescent, Minimize, frank_wolfe


def test_the_gap_bounds_what_is_left_on_a_simplex():
    n = 12
    run = frank_wolfe(lambda x: jnp.sum(x**2), jnp.eye(n), 40)
    left = np.asarray(run.values) - 1 / n
    assert (np.asarray(run.gaps) >= left - 1e-6).all()
    # k atoms have been seen before step k
    assert left[n - 2] >= 1 / (n - 1) - 1 / n - 1e-6
    assert run.point.sum() == pytest.approx(1, abs=1e-5)


def test_words():
    with pytest.raises(UsageError, match="steps"):
        frank_wolfe(jnp.sum, jnp.eye(2), 0)
    with pytest.raises(UsageError, match="start"):
        frank_wolfe(jnp.sum, jnp.eye(2), 3, start=2)


def test_the_inverse_schedule_averages():
    """With rate 1/n on |w - z|^2/2 the first step lands on z, and there it stays."""
    problem = Minimize(lambda w: 0.5 * jnp.sum((w - 3.0) ** 2), jnp.zeros(2))
    from infsup import run

    for steps in (1, 5):
        method = GradientDescent(rate=1.0, steps=steps, schedule="inverse")
        assert np.allclose(run(problem, method, 0).answer, 3.0)
    half = GradientDescent(rate=0.5, steps=3, schedule="inverse")
    w = 0.0
    for n in range(3):
        w -= 0.5 / (n + 1) * (w - 3.0)
    assert np.allclose(run(problem, half, 0).answer, w)
