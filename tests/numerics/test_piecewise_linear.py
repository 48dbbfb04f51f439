"""The engine of piecewise-linear functions, against rational arithmetic and planted bugs."""

import bisect
import itertools
import time

import flint
import numpy as np
import pytest
from flint import arb

from infsup.core.errors import UsageError
from infsup.numerics import piecewise_linear as pl
from infsup.numerics import sup_distance as sd
from infsup.numerics.enclosure import Enclosure, exact, lower, precision, program_of, upper

SLOW = pytest.mark.slow

FUNCTIONS = (
    *("sin(3*x)", "exp(x)", "abs(x-0.3)", "x**2", "1/(2+x)", "sqrt(1.001+x)", "maximum(x,0)"),
    *("0*x", "1e5*x+3", "tanh(20*x)"),
)


def network(rng, mode=0):
    """Levels and output: random, sparse, badly scaled, dyadic, nearly coincident, dead, float32."""
    levels, nodes = [], 1
    for _ in range(rng.integers(0, 5)):
        n = int(rng.integers(1, 8))
        w, c = rng.normal(size=(n, nodes)), rng.normal(size=n)
        if mode == 1:
            w = w * (rng.random(w.shape) < 0.4)
        elif mode == 2:
            w = w * 10.0 ** rng.integers(-8, 9, size=(n, 1))
            c = c * 10.0 ** rng.integers(-8, 9, size=n)
        elif mode == 3:
            w, c = np.round(w * 4) / 4, np.round(c * 4) / 4
        elif mode == 4 and n > 1:
            w[1:] = w[0] * (1 + 1e-15 * rng.integers(-2, 3, size=(n - 1, 1)))
            c[1:] = c[0]
        elif mode == 5:
            c = c - 3
        elif mode == 6:
            w, c = w.astype(np.float32).astype(float), c.astype(np.float32).astype(float)
        levels.append((w, c))
        nodes += n
    return levels, (rng.normal(size=(1, nodes)), rng.normal(size=1))


def folds(m):
    """Tents of thirds and sevenths: nothing is dyadic, and slopes grow as 2^m."""
    levels, nodes = [(np.array([[1.0], [1.0]]), np.array([0.0, -1 / 3]))], 3
    for _ in range(m - 1):
        w = np.zeros((2, nodes))
        w[:, -2:] = [2.0, -3.9], [2.0, -3.9]
        levels.append((w, np.array([0.0, -1 / 7])))
        nodes += 2
    out = np.zeros((1, nodes))
    out[0, -2:] = 2.0, -4.1
    return levels, (out, np.array([0.1]))


def violations(levels, out, x, cells):
    """Cells on which the network is further from its line than was claimed, exactly."""
    xs, _ = pl.exact_pieces(levels, out, float(x[0]), float(x[-1]))
    grid = [pl.rational(v) for v in x.tolist()]
    bad = 0
    for q in {*xs, *grid}:
        i = min(max(bisect.bisect_right(grid, q) - 1, 0), len(grid) - 2)
        yl, yr = (pl.rational(float(v)) for v in cells.y[i : i + 2])
        line = yl + (yr - yl) * (q - grid[i]) / (grid[i + 1] - grid[i])
        far = abs(pl.point(levels, out, q) - line)
        # a grid point belongs to both of its cells
        claims = [cells.error[i]] + ([cells.error[i - 1]] if i and q == grid[i] else [])
        bad += any(far > pl.rational(float(c)) for c in claims)
    return bad


def cases(count, seed=0, deep=(3, 6, 9)):
    rng = np.random.default_rng(seed)
    for k in range(count):
        levels, out = network(rng, k % 7)
        a = float(rng.uniform(-1, 0.2))
        yield levels, out, a, float(a + 10.0 ** rng.uniform(-3, 0) * 0.8)
    for m in deep:
        yield *folds(m), 0.0, 1.0


def found_violations(count=28, seed=0):
    total = 0
    for levels, out, a, b in cases(count, seed):
        x = pl.breakpoints(levels, out, np.array([a, b]))
        total += violations(levels, out, x, pl.describe(levels, out, x))
    return total


def test_cells_are_what_they_claim_in_exact_arithmetic():
    assert found_violations() == 0


@pytest.mark.parametrize("bug", ["no widening", "ambiguity ignored", "missed breakpoint"])
def test_planted_bugs_are_found(monkeypatch, bug):
    if bug == "no widening":
        monkeypatch.setattr(pl, "UNIT", 0.0)
        monkeypatch.setattr(pl, "LEAST", 0.0)
    else:
        monkeypatch.setattr(pl, "bend", lambda above, below: np.zeros_like(above))
        if bug == "missed breakpoint":
            monkeypatch.setattr(pl, "breakpoints", lambda levels, out, x: x)
    assert found_violations(14) > 0


def test_a_wide_first_level_is_taken_out_soundly():
    rng = np.random.default_rng(3)
    n = 400
    w = np.ones((n, 1)) * rng.choice([-1.0, 1.0, 0.3], size=(n, 1))
    first = w, -w[:, 0] * np.sort(rng.uniform(-1, 1, n))
    second = rng.normal(size=(3, 1 + n)), rng.normal(size=3)
    for levels in ([first], [first, second]):
        out = rng.normal(size=(1, 1 + sum(len(c) for _, c in levels))), rng.normal(size=1)
        x = pl.breakpoints(levels, out, np.array([-1.0, 1.0]))
        cells = pl.describe(levels, out, x)
        grid = np.linspace(0, len(x) - 1, 40).astype(int)
        for i in grid:
            y = pl.point(levels, out, pl.rational(float(x[i])))
            far = abs(y - pl.rational(float(cells.y[i])))
            assert far <= pl.rational(float(cells.error[min(i, len(x) - 2)]))
        assert cells.error.max() < 1e-9


def test_exact_pieces_of_degenerate_networks():
    none = [], (np.array([[2.0]]), np.array([1.0]))
    xs, (ys,) = pl.exact_pieces(*none, 0.0, 1.0)
    assert ([float(int(v.p) / int(v.q)) for v in xs], ys) == ([0.0, 1.0], [1, 3])
    # breakpoints at both ends and twice in the middle
    w = np.ones((4, 1)), np.array([0.0, -1.0, -0.5, -0.5])
    xs, _ = pl.exact_pieces([w], (np.ones((1, 5)), np.zeros(1)), 0.0, 1.0)
    assert xs == [0, flint.fmpq(1, 2), 1]
    subnormal = [(np.array([[5e-324]]), np.array([-5e-324]))]
    xs, _ = pl.exact_pieces(subnormal, (np.array([[0.0, 1.0]]), np.zeros(1)), 0.0, 2.0)
    assert xs == [0, 1, 2]
    cells = pl.describe(subnormal, (np.array([[0.0, 1.0]]), np.zeros(1)), np.array([0.0, 2.0]))
    assert cells.error[0] >= 5e-324


def exact_count(levels, out, a, b):
    xs, (ys,) = pl.exact_pieces(levels, out, a, b)
    slopes = [(ys[i + 1] - ys[i]) / (xs[i + 1] - xs[i]) for i in range(len(xs) - 1)]
    return 1 + sum(s != t for s, t in itertools.pairwise(slopes))


def miscounts(count, seed):
    rng = np.random.default_rng(seed)
    wrong = 0
    for k in range(count):
        levels, out = network(rng, k % 7)
        a, b = (-1.0, 1.0) if k % 3 else sorted(rng.normal(size=2) * 10.0 ** rng.integers(-3, 3))
        wrong += pl.count_pieces(levels, out, a, b) != exact_count(levels, out, a, b)
    return wrong


def test_pieces_are_counted_as_in_rational_arithmetic(monkeypatch):
    assert miscounts(140, 21) == 0
    levels, out = folds(8)
    assert pl.count_pieces(levels, out, 0.0, 1.0) == exact_count(levels, out, 0.0, 1.0)
    # with units of the first level taken out strip by strip
    monkeypatch.setattr(pl, "WIDE", 2)
    monkeypatch.setattr(pl, "STRIP", 4)
    assert miscounts(70, 22) == 0


def test_a_kink_that_cancels_is_not_counted(monkeypatch):
    # two units read one that bends at 0, with weights that cancel in the sum of both
    first = np.array([[1.0]]), np.zeros(1)
    second = np.array([[0.1, 0.7], [0.2, -0.7]]), np.full(2, 10.0)
    net = [first, second], (np.array([[0.0, 0.0, 1.0, 1.0]]), np.zeros(1))
    assert pl.count_pieces(*net, -1.0, 1.0) == exact_count(*net, -1.0, 1.0) == 1
    # with slopes in floats that are taken for exact
    slopes = pl._slopes
    monkeypatch.setattr(pl, "_slopes", lambda maps, x: (slopes(maps, x)[0], np.zeros(len(x))))
    assert pl.count_pieces(*net, -1.0, 1.0) == 2


def test_thousands_of_pieces_are_counted_in_seconds():
    net = interpolant(Enclosure(program_of("sin(x)")), 0.0, 2.0, 3000)
    begun = time.process_time()
    assert pl.count_pieces(*net, 0.0, 2.0) == 3000
    assert time.process_time() - begun < 4.0


def test_bad_networks_and_too_much_work():
    good = np.ones((1, 1)), np.zeros(1)
    with pytest.raises(UsageError, match="NaN"):
        pl.exact_pieces(
            [(np.full((1, 1), np.nan), np.zeros(1))], (np.ones((1, 2)), np.ones(1)), 0, 1
        )
    with pytest.raises(UsageError, match="1 nodes before"):
        pl.breakpoints([(np.ones((2, 2)), np.zeros(2))], good, np.array([0.0, 1.0]))
    with pytest.raises(pl.TooMuchWork, match="10 rational"):
        pl.exact_pieces(
            [good] * 0 + [(np.ones((9, 1)), np.zeros(9))], (np.ones((1, 10)), [0.0]), 0, 1, 10
        )
    huge = [(np.full((1, 1), 1e300), np.zeros(1))], (np.full((1, 2), 1e300), np.zeros(1))
    with pytest.raises(pl.TooMuchWork, match="range of floats"):
        pl.describe(*huge, np.array([0.0, 1.0]))
    with pytest.raises(pl.TooMuchWork, match="float32"):
        pl.describe([], (np.full((1, 1), 1e39), np.zeros(1)), np.array([0.0, 1.0]), "float32")


def test_a_hundred_thousand_pieces():
    levels, out = folds(17)
    levels = [(w * 1.0, np.where(np.arange(2) == 1, -0.5, 0.0)) for w, _ in levels]
    for w, _ in levels[1:]:
        w[:, -2:] = [2.0, -4.0], [2.0, -4.0]
    out[0][0, -2:] = 2.0, -4.0
    x = pl.breakpoints(levels, out, np.array([0.0, 1.0]))
    assert len(x) == 2**17 + 1


# -- distances ------------------------------------------------------------------------------------


def distance_faults(count, seed, **more):
    rng = np.random.default_rng(seed)
    faults = wide = 0
    for levels, out, a, b in cases(count, seed, **more):
        f = Enclosure(program_of(FUNCTIONS[rng.integers(len(FUNCTIONS))]))
        got = sd.sup_distance(f, levels, out, a, b)
        xs, (ys,) = pl.exact_pieces(levels, out, a, b)
        more = [pl.rational(v) for v in np.linspace(a, b, 40).tolist()]
        points = [*zip(xs, ys, strict=True), *((q, pl.point(levels, out, q)) for q in more)]
        with precision(128):
            for q, y in points:
                faults += not lower(abs(f.ball(arb(q)) - arb(y))) <= got.upper
            y = pl.point(levels, out, pl.rational(got.at))
            faults += not upper(abs(f.ball(exact(got.at)) - arb(y))) >= got.lower
        wide += got.upper - got.lower > 0.011 * got.upper and got.upper > 1e-13
    return faults, wide


def test_brackets_hold_at_every_breakpoint_and_are_narrow():
    assert distance_faults(28, 5) == (0, 0)


def test_a_remainder_that_is_forgotten_is_found(monkeypatch):
    rounded = sd._rounded

    def forgetful(head, rest, r):
        return rounded(head, rest * 0, r)

    monkeypatch.setattr(sd, "_rounded", forgetful)
    f = Enclosure(program_of("maximum(x - 0.37, 0)"))
    line = [], (np.array([[0.0]]), np.array([0.0]))
    got = sd.sup_distance(f, *line, 0.0, 1.0)
    assert got.upper < 0.63  # the truth; without the bug the next test shows it


@pytest.mark.parametrize(
    ("text", "a", "b", "levels", "out", "truth"),
    [
        ("maximum(x - 0.37, 0)", 0.0, 1.0, [], ([[0.0]], [0.0]), 0.63),
        ("x**2", 0.0, 1.0, [], ([[1.0]], [-0.125]), 0.125),
        ("abs(x)", -1.0, 1.0, [([[1.0], [-1.0]], [0.0, 0.0])], ([[0.0, 1.0, 1.0]], [0.0]), 0.0),
        ("1e6*x**2", 0.0, 1.0, [], ([[1e6]], [0.0]), 0.25e6),
        ("sqrt(x)", 0.0, 1.0, [], ([[1.0]], [0.0]), 0.25),
        ("sin(100*x)", 0.0, 1.0, [], ([[0.0]], [0.0]), 1.0),
    ],
)
def test_known_distances(text, a, b, levels, out, truth):
    levels = [(np.array(w), np.array(c)) for w, c in levels]
    got = sd.sup_distance(Enclosure(program_of(text)), levels, tuple(map(np.array, out)), a, b)
    assert got.lower <= truth <= got.upper
    assert got.upper - got.lower <= 0.01 * truth + 1e-13
    assert a <= got.at <= b


def test_the_bracket_survives_breakpoints_that_were_missed(monkeypatch):
    monkeypatch.setattr(sd, "breakpoints", lambda levels, out, x: x)
    assert distance_faults(6, 8, deep=())[0] == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_execution_is_inside_the_bracket(dtype):
    kind, rng = np.dtype(dtype).type, np.random.default_rng(11)
    for k in range(8):
        levels, out = network(rng, (0, 1, 6, 5)[k % 4])
        # large terms that cancel
        out = np.concatenate([out[0][:, :1] + 1e3, out[0][:, 1:]], 1), out[1]
        levels, out = (
            [(w.astype(kind), c.astype(kind)) for w, c in levels],
            tuple(v.astype(kind) for v in out),
        )
        f = Enclosure(program_of("1000*x + sin(3*x)"))
        got = sd.sup_distance(f, levels, out, -1.0, 1.0, 0.01, dtype)
        x = np.linspace(-1, 1, 400).astype(kind)
        for order in ("forward", "backward", "wide"):
            y = executed(levels, out, x, order)
            assert np.all(
                np.abs(f.program(x.astype(float)) - y.astype(float)) <= got.upper * (1 + 1e-12)
            )
        assert got.at == kind(got.at)
        if dtype == "float32":
            at = executed(levels, out, np.array([got.at], kind), "backward").astype(float)
            assert abs(f.program(np.array([got.at])) - at)[0] >= got.lower


def executed(levels, out, x, order):
    """The network in the dtype of x, its sums in some order (wide: rounded once, as fused)."""
    h = [x]
    for i, (w, c) in enumerate((*levels, out)):
        rows = []
        for row, bias in zip(w, c, strict=True):
            terms = [np.full_like(x, bias), *(v * y for v, y in zip(row, h, strict=True))]
            if order == "wide":
                total = sum(
                    (
                        np.longdouble(v) * y.astype(np.longdouble)
                        for v, y in zip(row, h, strict=True)
                    ),
                    np.longdouble(bias),
                ).astype(x.dtype)
            else:
                terms = terms[::-1] if order == "backward" else terms
                total = terms[0]
                for t in terms[1:]:
                    total = total + t
            rows.append(np.maximum(total, 0).astype(x.dtype) if i < len(levels) else total)
        h = h + rows
    return h[-1]


def test_rounding_that_is_forgotten_is_found(monkeypatch):
    forgotten = {**pl.FLOATS, "float32": pl.FLOATS["real"]}
    monkeypatch.setattr(pl, "FLOATS", forgotten)
    with pytest.raises(AssertionError):
        test_every_execution_is_inside_the_bracket("float32")


def test_poles_and_empty_intervals_are_errors():
    from infsup.numerics.enclosure import DomainFault

    line = [], (np.array([[1.0]]), np.array([0.0]))
    with pytest.raises(DomainFault, match="denominator"):
        sd.sup_distance(Enclosure(program_of("1/x")), *line, -1.0, 1.0)
    with pytest.raises(DomainFault):
        sd.sup_distance(Enclosure(program_of("log(x)")), *line, -1.0, 1.0)
    with pytest.raises(UsageError, match="empty"):
        sd.sup_distance(Enclosure(program_of("x")), *line, 1.0, 1.0)
    with pytest.raises(UsageError, match="rtol"):
        sd.sup_distance(Enclosure(program_of("x")), *line, 0.0, 1.0, 1.0)


def test_the_curve_of_a_picture_has_the_kinks():
    levels, out = folds(3)
    f = Enclosure(program_of("x**2"))
    x, y, n = sd.error_curve(f, levels, out, 0.0, 1.0, 51)
    assert set(pl.breakpoints(levels, out, np.array([0.0, 1.0]))) <= set(x)
    np.testing.assert_allclose(y, x**2)
    got = sd.sup_distance(f, levels, out, 0.0, 1.0)
    assert np.abs(y - n).max() <= got.upper * (1 + 1e-12)


def interpolant(f, a, b, n):
    """The network of one level that interpolates f at n + 1 equal steps."""
    knots = np.linspace(a, b, n + 1)
    y = f.program(knots)
    slope = np.diff(y) / np.diff(knots)
    jumps = np.concatenate([[0.0, slope[0]], np.diff(slope)])[None]
    return [(np.ones((n, 1)), -knots[:-1])], (jumps, y[:1])


@pytest.mark.parametrize(
    ("n", "rtol", "seconds"), [(1_000, 0.01, 6.0), pytest.param(20_000, 0.05, 20.0, marks=SLOW)]
)
@pytest.mark.parametrize("text", ["exp(-x)*sin(3*x)", "1e6*sin(x)", "sqrt(x)+abs(x-1)"])
def test_thousands_of_pieces_in_seconds(text, n, rtol, seconds):
    # the shape checks of the tests slow the balls down several times
    f = Enclosure(program_of(text))
    net = interpolant(f, 0.0, 2.0, n)
    begun = time.process_time()
    got = sd.sup_distance(f, *net, 0.0, 2.0, rtol)
    spent = time.process_time() - begun
    assert spent < seconds, spent
    assert got.upper - got.lower <= rtol * got.upper
    assert got.cells >= n
