"""The whole path: what comes in, what is learned, what is claimed, saved and checked."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import infsup as isp
from infsup.core.errors import RowsReused, UsageError
from infsup.core.split import Split
from infsup.generative import (
    BlockOptimalTransport,
    Bridge,
    CriticLower,
    FlowMatching,
    FlowSampler,
    KLToKnown,
    PairedDifference,
    ResidualVelocity,
    TimeMLP,
    Transport,
    W2ToHeldOut,
    W2ToMixture,
    picture,
)
from infsup.numerics import GaussianMixture, ring

DIGITS = isp.data.digits()
SMALL = TimeMLP(32, 2)
QUICK = (W2ToMixture(pairs=512, steps=32, draws=1024, frames=1), KLToKnown(draws=512))


@pytest.fixture(scope="module")
def learned():
    if not jax.config.jax_enable_x64:
        pytest.skip("needs 64-bit")
    problem = Transport(ring(modes=3, radius=2.0))
    method = FlowMatching(SMALL, steps=1500, batch=128, rate=5e-3)
    return isp.solve(problem, method, bounds=QUICK, progress=False)


def test_a_mixture_is_learned_and_bracketed(learned):
    w2, kl = learned.certificates
    assert 0 <= w2.lower <= w2.upper < 0.5
    assert kl.upper < 0.1
    assert learned.comparators["fitted Gaussian"].upper > 2 * w2.upper
    assert w2.of.startswith("model@midpoint20 to a mixture of 3")
    assert learned.answer.sample(jax.random.key(0), 5).dtype == jnp.float32


def test_saved_loaded_checked(learned, tmp_path):
    learned.save(tmp_path / "s")
    checked = isp.check(tmp_path / "s")
    assert checked.stands, checked.findings
    again = isp.load(tmp_path / "s")
    key = jax.random.key(1)
    assert (again.answer.sample(key, 4) == learned.answer.sample(key, 4)).all()
    assert again.certificates == learned.certificates
    assert isinstance(again.problem.mixture, GaussianMixture)


def test_the_loss_does_not_fall_to_zero_but_the_excess_does(learned):
    # 1.9 of the loss is variance that no velocity can remove
    assert float(learned.history["loss_average"][-1]) > 1.5
    c = isp.certify(learned.problem, learned, "ExcessLoss")
    assert c.upper < 0.2


def test_the_answer_is_a_start(learned):
    problem = learned.problem
    more = isp.run(problem, FlowMatching(steps=2, batch=8), 0, start=isp.Outcome(learned.answer))
    assert more.answer.velocity.net.width_size == 32


@pytest.mark.slow
def test_optimal_coupling_straightens_paths():
    law = ring(modes=4, radius=4.0, spread=0.3)
    one_step = {}
    for name, bridge in (
        ("independent", Bridge()),
        ("blocks", Bridge(BlockOptimalTransport(64, 2048))),
    ):
        method = FlowMatching(SMALL, bridge, steps=800, batch=128, rate=5e-3)
        s = isp.run(Transport(law), method, 0).answer
        z = jax.random.normal(jax.random.key(5), (500, 2), jnp.float32)
        fine, coarse = s.with_solver("heun", 40).push(z), s.with_solver("euler", 1).push(z)
        one_step[name] = float(jnp.sqrt(jnp.mean(jnp.sum((fine - coarse) ** 2, 1))))
    assert one_step["blocks"] < 0.4 * one_step["independent"]


def test_real_digits_with_a_short_run():
    problem = Transport(DIGITS)
    assert problem.grid == 1 / 16
    method = FlowMatching(ResidualVelocity(64, 1), steps=60, batch=64, solver_steps=4)
    bounds = (W2ToHeldOut(blocks=3, pilots=1, draws=512), CriticLower(draws=512, steps=50))
    s = isp.solve(problem, method, bounds=bounds, progress=False)
    w2, tv = s.certificates
    assert w2.of == "model@euler4 to the 359 held-out rows of digits".replace("euler", "midpoint")
    assert w2.verdict == "certified"  # it speaks of these rows, and nothing is assumed
    assert w2.lower < w2.upper < 4
    assert tv.kind == "confidence"
    assert tv.verdict == "conditional"
    assert set(s.comparators) == {"fitted Gaussian", "the rows to fit, resampled"}
    assert s.comparators["the rows to fit, resampled"].upper < w2.lower
    figure = picture(problem, s)
    assert figure.images.shape == (8, 8, 8, 8)
    assert 0 <= figure.images.min() <= figure.images.max() <= 1


def test_rows_that_were_fitted_cannot_judge():
    rows = np.random.default_rng(0).normal(size=(60, 2))
    problem = Transport(rows)
    method = FlowMatching(TimeMLP(8, 1), steps=2, batch=16)
    small = W2ToHeldOut(blocks=2, pilots=1, draws=16)
    s = isp.solve(problem, method, bounds=small, progress=False)
    with pytest.raises(RowsReused, match="were seen by the method"):
        isp.certify(Transport(rows, key=1), s, small)
    assert "held_out" not in dir(problem.fit) or problem.fit.data.held_out is None


def test_the_classifier_and_the_sampler_share_their_split():
    one, two = Transport(DIGITS), isp.generalization.EmpiricalRisk(DIGITS)
    assert one.rows("held_out").reused(two.rows("held_out")) == 359


def test_a_velocity_of_ones_own():
    class Mine(eqx.Module):
        w: jax.Array

        def __init__(self, key):
            self.w = 0.1 * jax.random.normal(key, (2, 3), jnp.float32)

        def __call__(self, t, x):
            return self.w @ jnp.concatenate([x, jnp.asarray(t, x.dtype)[None]])

    for model in (Mine,):
        method = FlowMatching(model, steps=3, batch=8)
        method.suits(Transport(ring()))
        s = isp.run(Transport(ring()), method, 0).answer
        assert isinstance(s.velocity, Mine)
        assert {str(a.dtype) for a in jax.tree.leaves(s) if hasattr(a, "dtype")} == {"float32"}


@pytest.mark.slow
def test_rows_scaled_column_by_column_come_back_in_their_units():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2)) * [1.0, 50.0] + [0.0, 300.0]
    problem = Transport(x)
    s = isp.run(problem, FlowMatching(SMALL, steps=300, batch=64), 0).answer
    draws = np.asarray(s.sample(jax.random.key(0), 2000))
    assert np.abs(draws.mean(0) - [0.0, 300.0])[1] < 20
    assert 30 < draws.std(0)[1] < 75
    c = isp.certify(problem, s, PairedDifference(rows=50))
    assert c.verdict == "conditional"


def shown(x, **options):
    problem = Transport(x, **options)
    return picture(problem, problem.trivial()["fitted Gaussian"])


def test_pictures_of_points_and_of_the_line():
    rng = np.random.default_rng(0)
    flat = picture(Transport(ring()), Transport(ring()).trivial()["noise"])
    assert [c.ink for c in flat.curves] == ["grey", "accent"]
    assert shown(rng.normal(size=(100, 1))).curves[0].stroke == "steps"
    # as many draws as rows, in the two directions in which the rows spread most
    few = shown(rng.normal(size=(1000, 3)) * [0.1, 1.0, 9.0], standardise=False)
    assert len(few.curves[0].x) == len(few.curves[1].x) == 200
    assert 7 < few.curves[0].x.std() < 11
    assert "principal" in few.x
    # of a mixture on the line the density itself
    law = GaussianMixture([0.5, 0.5], [[-2.0], [2.0]], 0.25)
    bell = picture(Transport(law), Transport(law).trivial()["noise"]).curves[0]
    assert np.trapezoid(bell.y, bell.x) == pytest.approx(1.0, abs=1e-3)
    # what lies far out does not shrink the rest to a spot
    far = isp.DataSet({"x": rng.normal(size=(500, 2)).astype(np.float32)})
    far.columns["x"][450] = 1e6
    wide = shown(Split.by_index(far, range(400), range(400, 500)), standardise=False)
    assert np.ptp(wide.curves[0].x) < 50
    assert "1 of these lie outside the frame" in wide.caption


def test_pictures_of_images_of_any_layout():
    rng = np.random.default_rng(0)
    for row in ((6, 5), (6, 5, 3), (3, 6, 5), (6, 5, 1)):
        assert shown(rng.uniform(size=(40, *row))).images.shape == (8, 8, 6, 5)
    assert shown(rng.uniform(size=(40, 5, 6, 7))).images is None


# -- what comes in --------------------------------------------------------------------------------


def test_grids_are_found():
    rng = np.random.default_rng(0)
    assert Transport(rng.integers(0, 5, (50, 3))).grid == 1.0
    assert Transport(rng.integers(0, 2, (50, 3)) * 0.25).grid == 0.25
    assert Transport(rng.normal(size=(50, 3))).grid == 0.0
    counts = rng.integers(0, 5, (50, 3))
    counts[:, 1] = 2  # constant, but noise of one step gives it a density
    assert Transport(counts).grid == 1.0


CONSTANT = np.random.default_rng(0).normal(size=(30, 3))
CONSTANT[:, 2] = 7.0
HOLE = CONSTANT.copy()
HOLE[4, 1] = np.nan


@pytest.mark.parametrize(
    ("target", "word"),
    [
        (CONSTANT, "column 2 of data is constant, 7 in all rows"),
        (HOLE, "NaN or inf, first in row 4"),
        (np.random.default_rng(0).normal(size=(30, 1)) + 1e8, "column 0 of data loses its digits"),
        (np.random.default_rng(0).normal(size=(30, 1)) * 1e300, "column 0 of data loses its dig"),
        (np.ones((1, 3)), "one row"),
        (np.arange(5.0), "one row a sample"),
        (np.zeros((5, 0)), "one row a sample"),
        ("digits", "it is rows|It is rows"),
        ([[1.0], [1.0, 2.0]], "It is rows"),
        (isp.DataSet({"y": np.arange(4)}), "no column `x`"),
    ],
)
def test_bad_targets(target, word):
    with pytest.raises(UsageError, match=word):
        Transport(target)


@pytest.mark.parametrize(
    ("method", "word"),
    [
        (FlowMatching(batch=100), "`batch` of FlowMatching is 100, and there are 80 rows"),
        (FlowMatching(bridge=Bridge(BlockOptimalTransport(96)), batch=8), "`block`"),
        (FlowMatching(eqx.nn.MLP(2, 2, 4, 1, key=jax.random.key(0)), batch=8), "does not take"),
        (FlowMatching(lambda key: lambda t, x: x[:1], batch=8), "A velocity of 2 numbers"),
    ],
)
def test_methods_that_do_not_suit(method, word):
    rows = np.random.default_rng(0).normal(size=(100, 2))
    with pytest.raises(UsageError, match=word):
        isp.solve(Transport(rows), method, progress=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", 0.0),
        ("steps", 0),
        ("batch", 0),
        ("average", 1.0),
        ("times", "daily"),
        ("solver", "rk5"),
        ("bridge", 3),
    ],
)
def test_arguments_outside_their_range(unchecked, name, value):
    with pytest.raises(UsageError, match=f"`{name}`"):
        FlowMatching(**{name: value})


@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e12, 1e30])
def test_the_frame_of_any_scale(size):
    x = np.random.default_rng(0).normal(size=(200, 2)) * size
    shift, scale = Transport(x).frame
    assert np.allclose(scale / size, 1.0, atol=0.2)
    assert np.abs(shift / size).max() < 0.3


def test_a_split_of_ones_own_and_what_lacks_rows():
    x = isp.DataSet({"x": np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)})
    problem = Transport(Split.by_index(x, range(15), range(15, 20)))
    assert problem.held_out.shape == (5, 2)
    with pytest.raises(UsageError, match="holds no rows out"):
        problem.fit.held_out  # noqa: B018
    with pytest.raises(UsageError, match=r"asks for a sampler of f32\[2\]"):
        isp.certify(problem, np.zeros((4, 3)))


def test_defaults_suit_their_problems():
    for problem in (Transport(DIGITS), Transport(ring()), Transport(CONSTANT[:, :2])):
        choice = isp.choose(problem)
        choice.method.suits(problem.fit)
        assert choice.why
    assert isinstance(isp.choose(Transport(DIGITS)).bounds[0], W2ToHeldOut)
    assert isinstance(isp.choose(Transport(ring())).bounds[0], W2ToMixture)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_the_gallery_reaches_its_figures():
    s = isp.solve(isp.problem("eight-gaussians"), progress=False)
    w2, kl, excess = s.certificates
    assert w2.upper < 0.25
    assert kl.upper < 0.03
    assert excess.upper < 0.12
    d = isp.solve(isp.problem("digits-flow"), progress=False)
    assert d.certificate.upper < 1.7
    assert d.certificate.upper < d.comparators["fitted Gaussian"].lower
    assert isinstance(d.answer, FlowSampler)
