"""What is drawn of an answer is what the answer does."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import infsup as isp
from infsup.core.certificate import Certificate
from infsup.report.pictures import picture
from infsup.report.stops import Stop, Unreadable, found_under, read_stop


def solution(problem, answer, quantity="q", upper=1.0, stages=()):
    claim = Certificate(quantity, "it", 0.0, upper, "estimate", "x:Y", verdict="consistent")
    return SimpleNamespace(problem=problem, answer=answer, certificate=claim, stages=stages)


def stage(**history):
    return SimpleNamespace(history={k: np.asarray(v) for k, v in history.items()})


def test_the_tiles_are_the_rows_that_are_misread(x64):
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(60, 16)).astype(np.float32)
    problem = isp.generalization.EmpiricalRisk((x, (np.arange(60) % 3).astype(np.int32)))
    held = problem.data.held_out
    truth, rows = np.asarray(held["y"]), np.asarray(held["x"])

    def reads(row):
        """Right but for rows whose first pixel is bright, which it takes for the next letter."""
        here = jnp.argmin(jnp.sum((jnp.asarray(rows) - row) ** 2, axis=1))
        label = (jnp.asarray(truth)[here] + (row[0] > 0.7)) % 3
        return jax.nn.one_hot(label, 3, dtype=jnp.float32)

    wrong = np.flatnonzero(rows[:, 0] > 0.7)
    assert 0 < len(wrong) < 13
    found = picture(solution(problem, reads, "error rate"))
    assert len(found.tiles) == len(wrong)
    for tile, i in zip(found.tiles, wrong, strict=True):
        assert tile.word == f"{truth[i]} → {(truth[i] + 1) % 3}"
        assert np.allclose(tile.image, rows[i].reshape(4, 4) / rows.max())
    assert f"{len(wrong)} misread of {len(rows)}" in found.caption


def test_the_error_of_a_network_lies_between_the_lines(x64):
    problem = isp.approximation.Approximate("x**2", (0.0, 1.0), eps=1e-2)
    found = isp.solve(problem)
    above, below, error = picture(found).figure.curves
    assert above.y[0] == -below.y[0] == found.certificate.upper
    assert np.abs(error.y).max() <= found.certificate.upper
    assert np.abs(error.y).max() >= 0.9 * found.certificate.lower
    assert error.ink == "accent"


def test_costs_of_controls(x64):
    problem = isp.problem("hjb-lq-100", dim=3)
    nothing = problem.trivial()["do nothing"]
    mine, simple = picture(solution(problem, nothing)).figure.curves
    assert np.allclose(mine.y, simple.y), "the same law on the same noise"
    assert mine.y.sum() == pytest.approx(100, abs=8)


def test_draws_beside_the_target(x64):
    problem = isp.problem("eight-gaussians")
    draws = isp.Draws(np.asarray(problem.mixture.sample(jax.random.key(1), 200)))
    target, mine = picture(solution(problem, draws)).figure.curves
    assert (target.stroke, mine.stroke) == ("points", "points")
    assert len(mine.x) == 200


def test_a_history_where_there_is_nothing_else_to_see():
    steps = stage(step=[1, 2, 3], loss=[1.0, 1e-3, 1e-6], loss_average=[1.0, 0.5, 0.1])
    found = picture(solution(object(), None, stages=(steps,)))
    assert [c.label for c in found.figure.curves] == ["loss"]
    assert found.figure.log_y
    assert picture(solution(object(), None)) is None
    torn = stage(step=[1, 2], loss=[1.0, np.nan])
    assert picture(solution(object(), None, stages=(torn,))) is None


def test_a_stop_says_what_was_asked_and_how_to_ask_again(x64, tmp_path):
    isp.solve(isp.approximation.Approximate("x**2", (0.0, 1.0), eps=0.01)).save(tmp_path / "mine")
    stop = read_stop(tmp_path / "mine")
    assert isinstance(stop, Stop)
    assert stop.title == "Approximate a function"
    assert stop.question == "How far is the network from $x^{2}$ on [0, 1]?"
    assert stop.commands[0] == "infsup approximate 'x**2' --on 0 1 --eps 0.01"
    assert stop.commands[1] == f"infsup check {tmp_path / 'mine'}"


def test_what_a_folder_is_called_says_nothing_of_the_problem_in_it(x64, tmp_path):
    cart = isp.problem("double-integrator")
    isp.solve(cart).save(tmp_path / "digits")
    named = read_stop(tmp_path / "digits")
    assert isinstance(named, Stop)
    assert named.gallery == "double-integrator"
    assert named.commands[0] == "infsup solve double-integrator"
    isp.solve(cart, key=7).save(tmp_path / "again")
    assert read_stop(tmp_path / "again").commands[0] == "infsup solve double-integrator --key 7"
    isp.solve(isp.problem("double-integrator", horizon=3.0)).save(tmp_path / "double-integrator")
    other = read_stop(tmp_path / "double-integrator")
    assert (other.gallery, other.title) == ("", "Control a system")
    assert [c.split()[1] for c in other.commands] == ["check"]


def test_an_answer_that_fails_keeps_its_bracket(x64, tmp_path, monkeypatch):
    isp.solve(isp.problem("double-integrator")).save(tmp_path / "cart-0")
    monkeypatch.setattr("infsup.report.stops.picture", lambda solution: 1 / 0)
    stop = read_stop(tmp_path / "cart-0")
    assert isinstance(stop, Stop)
    assert "ZeroDivisionError" in stop.picture.caption


def test_where_solutions_are_found(tmp_path):
    for name in ("a", "b/c", "b/d/e/f", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "solution.json").write_text("{}")
    names = [p.relative_to(tmp_path).as_posix() for p in found_under(tmp_path)]
    assert names == ["a", "b/c"]
    assert found_under(tmp_path / "a") == [tmp_path / "a"]
    assert isinstance(read_stop(tmp_path / "a"), Unreadable)


def test_a_small_system_shows_its_path(x64):
    import math

    solution = isp.solve(isp.problem("double-integrator"))
    shown = picture(solution)
    labels = {c.label: c for c in shown.figure.curves}
    assert set(labels) == {"x₁", "x₂", "control u"}
    assert labels["x₁"].y[0] == 1.0
    assert math.isclose(float(labels["x₁"].x[-1]), 2.0)
    # the velocity is the derivative of the position
    slope = np.gradient(labels["x₁"].y, labels["x₁"].x)
    np.testing.assert_allclose(slope[5:-5], labels["x₂"].y[5:-5], atol=1e-4)
