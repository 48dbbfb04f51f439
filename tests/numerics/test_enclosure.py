"""Whether enclosures enclose, under the attacks of reference/reliability.md 2.5."""

import math
import random
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from flint import arb

import infsup.numerics.enclosure as module
from infsup.core.errors import PrecisionError, UsageError
from infsup.core.program import Argument, Program, Step
from infsup.numerics.enclosure import (
    DomainFault,
    Enclosure,
    NotSmooth,
    exact,
    hull,
    lower,
    program_of,
    upper,
)

mpmath.mp.prec = 200

PRIMITIVES = {
    # operation: (mpmath's function, points between which boxes lie, critical points)
    "neg": (lambda x: -x, (-10, 10), [0]),
    "abs": (abs, (-10, 10), [0]),
    "square": (lambda x: x * x, (-10, 10), [0]),
    "exp": (mpmath.exp, (-50, 50), [0]),
    "expm1": (mpmath.expm1, (-40, 40), [0]),
    "log": (mpmath.log, (0, 100), [0, 1]),
    "log1p": (mpmath.log1p, (-1, 100), [-1, 0]),
    "sqrt": (mpmath.sqrt, (0, 100), [0]),
    "rsqrt": (lambda x: 1 / mpmath.sqrt(x), (0, 100), [0]),
    "sin": (mpmath.sin, (-20, 20), [math.pi / 2, -math.pi / 2, math.pi, 0]),
    "cos": (mpmath.cos, (-20, 20), [math.pi / 2, math.pi, 0]),
    "tan": (mpmath.tan, (-1.5, 1.5), [math.pi / 2, 0]),
    "tanh": (mpmath.tanh, (-30, 30), [0]),
    "sinh": (mpmath.sinh, (-30, 30), [0]),
    "cosh": (mpmath.cosh, (-30, 30), [0]),
    "asin": (mpmath.asin, (-1, 1), [-1, 1, 0]),
    "acos": (mpmath.acos, (-1, 1), [-1, 1, 0]),
    "atan": (mpmath.atan, (-50, 50), [0]),
    "logistic": (lambda x: 1 / (1 + mpmath.exp(-x)), (-50, 50), [0]),
    "erf": (mpmath.erf, (-10, 10), [0]),
    "erfc": (mpmath.erfc, (-10, 10), [0]),
    "cbrt": (lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)), (-10, 10), [0]),
}


def program(op, **params):
    return Program((Argument("x"),), (Step(op, (0,), params),), 1)


def boxes(low, high, critical, rng, n):
    """Points, corners, narrow boxes, many decades with subnormals, ends near critical points."""

    def decade():
        return rng.choice((-1, 1)) * 10.0 ** rng.uniform(-323, 2)

    for _ in range(n):
        kind = rng.randrange(6)
        if kind == 0:
            a = b = rng.uniform(low, high)
        elif kind == 1:
            a, b = sorted((rng.uniform(low, high), rng.uniform(low, high)))
        elif kind == 2:
            a = rng.uniform(low, high)
            b = a + abs(a) * 10.0 ** rng.uniform(-16, -3)
        elif kind == 3:
            a, b = sorted((decade(), decade()))
        elif kind == 4:
            c = rng.choice(critical)
            a, b = sorted((c + decade() * 1e-2, c + decade() * 1e-2))
        else:
            a, b = rng.choice(((low, high), (low, low), (high, high)))
        a, b = max(a, low), min(b, high)
        if a <= b:
            yield a, b


def points(a, b, critical, rng):
    inside = [c for c in critical if a <= c <= b]
    return [a, b, *inside, *(min(b, max(a, rng.uniform(a, b))) for _ in range(3))]


def contains(ball, value):
    """Whether the ball contains a number that mpmath knows to 200 bits."""
    value = mpmath.mpf(value)
    man, exp = value.man_exp
    point = arb(int(abs(man))) * arb(2) ** int(exp) * (-1 if value < 0 else 1)
    return ball.overlaps(point + arb(0, abs(float(value)) * 2**-150))


def attack(op, n, seed=0):
    """The number of boxes in which the enclosure misses a value; and of those it could enclose."""
    f, (low, high), critical = PRIMITIVES[op]
    e, rng = Enclosure(program(op)), random.Random(f"{op}{seed}")
    missed = done = 0
    for a, b in boxes(low, high, critical, rng, n):
        try:
            ball = e.ball(hull(a, b))
        except DomainFault:
            continue
        done += 1
        missed += not all(contains(ball, f(mpmath.mpf(x))) for x in points(a, b, critical, rng))
    return missed, done


@pytest.mark.parametrize("op", PRIMITIVES)
def test_balls_contain_the_values(op):
    missed, done = attack(op, 250)
    assert missed == 0
    assert done > 100


@pytest.mark.slow
@pytest.mark.parametrize("op", PRIMITIVES)
def test_balls_contain_the_values_at_length(op):
    assert attack(op, 20_000, seed=1)[0] == 0


@pytest.mark.parametrize("op", [op for op in PRIMITIVES if op not in ("abs",)])
def test_taylor_coefficients_contain_the_derivatives(op):
    f, (low, high), _ = PRIMITIVES[op]
    e, rng, done = Enclosure(program(op)), random.Random(op), 0
    for _ in range(25):
        a = rng.uniform(max(low, -8), min(high, 8))
        b = min(high, a + 10.0 ** rng.uniform(-6, 0))
        try:
            found = e.taylor(hull(a, b), 3)
        except (NotSmooth, DomainFault):
            continue
        done += 1
        for x in (a, b, rng.uniform(a, b)):
            with mpmath.workprec(600):
                h = mpmath.mpf(2) ** -60
                v = [f(mpmath.mpf(x) + k * h) for k in range(-3, 4)]
                slopes = [v[3], (v[4] - v[2]) / (2 * h), (v[4] - 2 * v[3] + v[2]) / (2 * h**2)]
                slopes.append((v[5] - 2 * v[4] + 2 * v[2] - v[1]) / (12 * h**3))
            for c, want in zip(found, slopes, strict=True):
                slack = arb(0, 1e-9 * (1 + abs(float(want))))
                assert (c + slack).contains(arb(float(want)))
    assert done > 10


COMPOSED = [
    ("exp(-x)*sin(3*x)", 0, 6),
    ("abs(x)**1.5", -1, 1),
    ("sqrt(1-x**2)", -1, 1),
    ("1/(1+25*x**2)", -1, 1),
    ("tanh(20*x)", -1, 1),
    ("maximum(x, x**2) - minimum(x, 0.5)", -2, 2),
    ("relu(sin(5*x))", -3, 3),
    ("sin(1/(x+.1))", 0, 1),
    ("x**7 - x**-3", 1, 2),
    ("erf(3*x)+sigmoid(x)-arctan(x)*log1p(x*x)", -2, 3),
]


def attack_composed(text, a, b, n, seed=0):
    """Faults of ball, Taylor form and slope against values in 250 bits at points."""
    e, rng, faults = Enclosure(program_of(text)), random.Random(f"{text}{seed}"), 0
    fine = Enclosure(e.program, bits=250)
    for _ in range(n):
        low = rng.uniform(a, b)
        high = min(b, low + (b - a) * 10.0 ** rng.uniform(-12, 0))
        if rng.random() < 0.2:
            low, high = max(a, min(low, -high)), min(b, max(-low, high))
        box = hull(low, high)
        at = [exact(low + (high - low) * k / 6) for k in (0, 6, 1, 2, 4)]
        at[1] = exact(high)
        values = [fine.ball(x) for x in at]
        try:
            ball = e.ball(box)
            faults += not all(ball.overlaps(v) for v in values)
        except DomainFault:
            continue
        try:
            mid = exact(low) + (exact(high) - exact(low)) / 2
            c, rest = e.taylor(mid, 2), e.taylor(box, 3)[3]
            for x, v in zip(at, values, strict=True):
                d = x - mid
                faults += not (c[0] + c[1] * d + c[2] * d**2 + rest * d**3).overlaps(v)
        except NotSmooth:
            pass
        try:
            quotient = (values[1] - values[0]) / (at[1] - at[0]) if high > low else None
            faults += quotient is not None and not e.slope(box).overlaps(quotient)
        except NotSmooth:
            pass
    return faults


@pytest.mark.parametrize(("text", "a", "b"), COMPOSED)
def test_composed_functions(text, a, b):
    assert attack_composed(text, a, b, 40) == 0


def wrong_abs(self, x):
    return x if self.head(x) > 0 else -x


def wrong_either(self, no, yes):
    return yes


def no_interior(self, x, y):
    if not isinstance(x, arb):
        return x * y
    return (x.lower() * y.lower()).union(x.upper() * y.upper())


PLANTED = {
    "only one end of an increasing function": (
        ("increasing", lambda f, x: f(x.lower())),
        lambda: attack("tanh", 250)[0],
    ),
    "the square of both ends": (
        ("_Balls.op_square", lambda self, x: (x.lower() ** 2).union(x.upper() ** 2)),
        lambda: attack("square", 250)[0],
    ),
    "abs by the sign of the middle": (
        ("_Balls.op_abs", lambda self, x: abs(x.lower()).union(abs(x.upper()))),
        lambda: attack("abs", 250)[0],
    ),
    "a kink has the slope of one side": (
        ("_Series.op_abs", wrong_abs),
        lambda: attack_composed("abs(x)", -1, 1, 60),
    ),
    "the smaller of two where it is not known": (
        ("_Balls.op_maximum", lambda self, x, y: x.min(y)),
        lambda: attack_composed("maximum(x, x**2)", -2, 2, 60),
    ),
    "a root's lower end is cut at the middle": (
        ("_Balls.not_negative", lambda self, x: (x.mid(), x.upper())),
        lambda: attack("sqrt", 250)[0],
    ),
    "no interior of a product": (
        ("_Balls.op_mul", no_interior),
        lambda: attack_composed("x*cos(x)", -2, 2, 60),
    ),
    "a derivative without its factor": (
        ("_Series.integrated", lambda self, x, head, slope: self.lead(slope, head)),
        lambda: attack_composed("erf(3*x)", -2, 2, 60),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_bugs_are_found(name, monkeypatch):
    (where, wrong), run = PLANTED[name]
    assert run() == 0
    target = module
    *path, attribute = where.split(".")
    for part in path:
        target = getattr(target, part)
    monkeypatch.setattr(target, attribute, wrong)
    assert run() > 0


def test_ends_are_outward():
    rng = random.Random(3)
    for _ in range(2_000):
        p = Fraction(rng.randint(-(10**40), 10**40), rng.randint(1, 10**40))
        b = exact(p)
        assert Fraction(lower(b)) <= p <= Fraction(upper(b))
        assert upper(b) - lower(b) <= 4 * math.ulp(float(p))
    for x in (0.0, 5e-324, 1.0, -1e308):
        assert lower(exact(x)) == upper(exact(x)) == x
    assert lower(arb("nan")) == -math.inf
    assert upper(arb(0) / 0) == math.inf


def test_the_precision_is_put_back():
    import flint

    before = flint.ctx.prec
    e = Enclosure(program_of("1/x"))
    with pytest.raises(DomainFault):
        e.ball(hull(-1, 1))
    assert flint.ctx.prec == before


@pytest.mark.parametrize(
    ("text", "a", "b", "where", "near"),
    [
        ("1/x", -1, 1, "1 / x", 0),
        ("log(x)", 0, 1, "log(x)", 0),
        ("sqrt(x)", -1, 1, "sqrt(x)", -1),
        ("sqrt(x)", -1e-9, 1, "sqrt(x)", 0),
        ("tan(x)", 0, 3, "tan(x)", math.pi / 2),
        ("1 + 1/(x-0.3)**2", 0, 1, "1 / (x - 0.3)**2", 0.3),
        ("2 + 1/x", -1, 1, "1 / x", 0),
        ("log(sin(x))", 0.1, 4, "log(sin(x))", math.pi),
        ("(x-0.5)**1.5", 0, 1, "(x - 0.5)**1.5", 0),
    ],
)
def test_poles_and_branches_are_named(text, a, b, where, near):
    with pytest.raises(DomainFault) as caught:
        Enclosure(program_of(text)).check(a, b)
    assert caught.value.expression == where
    assert abs(caught.value.box[0] - near) < 1
    assert where in str(caught.value)


@pytest.mark.parametrize(
    ("text", "a", "b"),
    [("sqrt(x)", 0, 1), ("sqrt(1-x**2)", -1, 1), ("x**1.5", 0, 1), ("1/x", 1e-30, 1)],
)
def test_ends_of_a_domain_may_touch_a_branch(text, a, b):
    Enclosure(program_of(text)).check(a, b)


def test_jumps_and_kinks_of_jax_functions():
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(False), pytest.raises(PrecisionError):
        program_of(jnp.sin)
    with jax.enable_x64(True):
        with pytest.raises(DomainFault, match="jumps"):
            Enclosure(program_of(lambda x: jnp.where(x > 0.5, 1.0, 0.0))).check(0, 1)
        with pytest.raises(DomainFault, match="jumps"):
            Enclosure(program_of(jnp.sign)).check(-1, 1)
        kinked = Enclosure(program_of(lambda x: jnp.where(x > 0.5, x, 0.5)))
        kinked.check(0, 1)
        with pytest.raises(NotSmooth):
            kinked.taylor(hull(0.4, 0.6), 1)
        matrix = jnp.asarray(np.arange(6.0).reshape(2, 3))
        e = Enclosure(program_of(lambda x: jnp.max(matrix @ (x * jnp.arange(3.0)))))
        assert e.ball(exact(1.0)).contains(14)
        assert e.program(np.array([1.0, 2.0])).tolist() == [14.0, 28.0]
        two = program_of(lambda x, y: x * y, names=("x", "y"))
        assert Enclosure(two).ball(hull(0, 1), exact(3)).contains(2)


def test_bad_functions():
    with pytest.raises(UsageError, match="`f` is a int"):
        program_of(3)
    with pytest.raises(UsageError, match="takes 1 arguments; 2"):
        program_of(program_of("x"), names=("x", "y"))


def test_a_jump_is_seen_where_both_sides_have_common_values():
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        for f in (
            lambda x: jnp.where(x > 0.5, x, -x),
            lambda x: jnp.where(x > 0.3, x, 1 - 2 * x),
            lambda x: jax.lax.cond(x < 0.25, lambda x: x, lambda x: 1 - x, x),
        ):
            with pytest.raises(DomainFault, match="jumps"):
                Enclosure(program_of(f)).check(0, 1)
        Enclosure(program_of(lambda x: jnp.where(x > 0.5, x, 1 - x))).check(0, 1)


@pytest.mark.parametrize(
    ("f", "shape"), [(lambda x: x * np.ones(2), r"\(2,\)"), (lambda x: x[None], r"\(1,\)")]
)
def test_a_vector_is_no_value(f, shape):
    import jax

    with jax.enable_x64(True), pytest.raises(UsageError, match=f"shape {shape}"):
        program_of(f)


def test_folds_and_squares_of_constants_have_series():
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        e = Enclosure(program_of(lambda x: jnp.max(jnp.stack([x, 0.5 - x])) + jnp.hypot(1.0, x)))
        c = e.taylor(exact(0.75), 2)
    assert [float(v.mid()) for v in c] == pytest.approx([2.0, 1.6, 0.256])
    with pytest.raises(NotSmooth):
        e.taylor(hull(0.2, 0.3), 1)


@pytest.mark.parametrize(
    ("name", "x", "want"),
    [
        ("asinh", 0.75, [np.arcsinh(0.75), 0.8, -0.192]),
        ("acosh", 1.25, [np.arccosh(1.25), 4 / 3, -40 / 27]),
        ("atanh", 0.5, [np.arctanh(0.5), 4 / 3, 8 / 9]),
        ("lgamma", 1.0, [0.0, -0.5772156649015329, np.pi**2 / 12]),
    ],
)
def test_more_operations(name, x, want):
    from infsup.core.program import Argument, Program, Step

    e = Enclosure(Program((Argument("x"),), (Step(name, (0,)),), 1))
    assert [float(c.mid()) for c in e.taylor(exact(x), 2)] == pytest.approx(want)
    around = e.ball(hull(x - 0.01, x + 0.01))
    assert all(around.contains(e.ball(exact(x + d))) for d in (-0.01, 0.0, 0.01))
    with pytest.raises(DomainFault):
        Enclosure(e.program).check(-1.5, 1.5) if name != "asinh" else e.ball(exact(np.inf))
