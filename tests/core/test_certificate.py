"""The rules of the certificate, and that its JSON is without loss and refuses strangers."""

import copy
import dataclasses
import itertools
import json
import math
import random
import sys
from fractions import Fraction

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from infsup.core import certificate as certificate_module
from infsup.core.certificate import KINDS, STATES, VERDICTS, Certificate, Hypothesis, compose
from infsup.core.errors import EmptyBracket, FileRejected, NotCertified, UsageError

LEVEL = {"confidence": 0.99, "asymptotic": 0.99}


def make(lower=0.25, upper=0.5, kind="proved_real", **fields):
    fields = {"level": LEVEL.get(kind, 1.0), **fields}
    return Certificate("error", "net", lower, upper, kind, "x.Y", **fields)


def hypotheses(*states):
    return tuple(Hypothesis(f"it is {s}", s) for s in states)


# -- kind, verdict, hypotheses: the whole table ---------------------------------------------------


def rule(kind, verdict, states):
    """DESIGN section 2, written a second time."""
    if "estimated" in states:
        kind = "estimate"
    if "violated" in states and verdict not in ("refused", "refuted"):
        return kind, "inapplicable"
    if verdict == "certified" and "assumed" in states:
        verdict = "conditional"
    if kind == "estimate" and verdict in ("certified", "conditional"):
        verdict = "consistent"
    return kind, verdict


def table():
    subsets = [s for n in range(4) for s in itertools.combinations(STATES, n)]
    return itertools.product(KINDS, VERDICTS, subsets)


def faults_in(make):
    wrong = []
    for kind, verdict, states in table():
        c = make(kind=kind, verdict=verdict, hypotheses=hypotheses(*states), reason="why")
        k, v = rule(kind, verdict, states)
        if (c.kind, c.verdict) != (k, v):
            wrong.append((kind, verdict, states))
        if v in ("refused", "inapplicable") and not (c.lower == -math.inf and c.upper == math.inf):
            wrong.append((kind, verdict, states))
    return wrong


def test_the_whole_table_of_kinds_verdicts_and_hypotheses():
    assert faults_in(make) == []


def test_the_table_finds_a_rule_that_was_forgotten(monkeypatch):
    for forgotten in STATES[1:]:

        def lax(forgotten=forgotten, **fields):
            kept = tuple(h for h in fields.pop("hypotheses") if h.state != forgotten)
            return make(hypotheses=kept, **fields)

        assert faults_in(lax)


def test_a_violated_hypothesis_is_named_with_what_the_check_saw():
    c = make(hypotheses=(Hypothesis("convex", "violated", "eigenvalue -3"),))
    assert c.verdict == "inapplicable"
    assert c.width == math.inf
    assert c.reason == "fails: convex (eigenvalue -3)"
    assert not c.holds()


@pytest.mark.parametrize("verdict", ["refused", "inapplicable"])
def test_a_refusal_needs_a_reason_and_carries_no_number(verdict):
    with pytest.raises(UsageError, match="reason"):
        make(verdict=verdict)
    c = make(np.zeros(3), np.ones(3), verdict=verdict, reason="3 of 1,000 effective samples")
    assert (c.lower, c.upper) == (-math.inf, math.inf)
    # a test that failed leaves no number to compare: NaN is not an empty bracket here
    assert make(math.nan, 1.0, verdict=verdict, reason="ESS").upper == math.inf


@pytest.mark.parametrize("kind", ["confidence", "asymptotic"])
def test_a_statement_with_a_chance_of_being_wrong_says_how_large(kind):
    with pytest.raises(UsageError, match="level 1"):
        make(kind=kind, level=1.0)
    with pytest.raises(UsageError, match="level 1"):
        make(kind=kind, level=1 - 1e-17)
    # where nothing is claimed there is no level either
    assert make(kind=kind, level=1.0, verdict="refused", reason="ESS").verdict == "refused"


@pytest.mark.parametrize("kind", ["proved", "proved_real"])
def test_what_is_proved_holds_always(kind):
    with pytest.raises(UsageError, match=r"level 0\.99"):
        make(kind=kind, level=0.99)
    # an estimated hypothesis makes it an estimate, which may keep its level
    c = make(kind="confidence", level=0.9, hypotheses=hypotheses("estimated"))
    assert (c.kind, c.level) == ("estimate", 0.9)


@pytest.mark.parametrize("level", [0.0, -0.1, 1.0000001, math.nan, math.inf, "0.9", None, True])
@pytest.mark.usefixtures("unchecked")
def test_a_level_is_a_probability(level):
    with pytest.raises(UsageError, match="level"):
        make(kind="confidence", level=level)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "prooved"),
        ("kind", ["proved"]),
        ("verdict", "true"),
        ("verdict", None),
        ("sense", "minimum"),
        ("quantity", 3),
        ("of", None),
        ("bound", b"x"),
        ("reason", ["x"]),
        ("hypotheses", ("convex",)),
        ("range", (1.0, 0.0)),
        ("range", (math.nan, 1.0)),
        ("range", (0.0,)),
        ("range", ("0", "1")),
        ("range", (0.0, 10**400)),
        ("goal", math.nan),
        ("goal", "small"),
        ("goal", np.zeros(2)),
        ("budget", 3.0),
        ("proof", [1]),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_fields_of_another_type_are_refused_in_words(field, value):
    fields = {"kind": "proved_real", field: value}
    with pytest.raises(UsageError):
        dataclasses.replace(make(), **fields)


@pytest.mark.usefixtures("unchecked")
def test_a_hypothesis_has_a_known_state():
    for state in ("proved", None, ["checked"]):
        with pytest.raises(UsageError):
            Hypothesis("convex", state)
    with pytest.raises(UsageError):
        Hypothesis(3, "checked")


# -- ends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        (1.0, 0.5),
        (math.nan, 1.0),
        (0.0, math.nan),
        (math.nan, math.nan),
        (math.inf, -math.inf),
        (Fraction(1, 3), Fraction(1, 3) - Fraction(1, 10**40)),
        (np.nextafter(1.0, 2.0), 1.0),
        (np.array([0.0, 2.0]), np.array([1.0, 1.0])),
        (np.array([0.0, math.nan]), np.array([1.0, 1.0])),
        (np.array([0.0, 0.0]), np.array([1.0, math.nan])),
    ],
)
def test_an_empty_bracket_is_an_alarm(lower, upper):
    with pytest.raises(EmptyBracket, match="empty"):
        make(lower, upper)


def test_shapes_agree_and_are_not_empty():
    for lower, upper in (
        (np.zeros(2), np.ones(3)),
        (0.0, np.ones(2)),
        (np.zeros((1, 2)), np.ones(2)),
    ):
        with pytest.raises(UsageError, match="shape"):
            make(lower, upper)
    with pytest.raises(UsageError, match="without components"):
        make(np.zeros(0), np.zeros(0))


@pytest.mark.parametrize(
    "x",
    [0.25, np.float32(0.25), np.float16(0.25), jnp.float32(0.25), ml_dtypes.bfloat16(0.25)],
    ids=lambda x: type(x).__name__,
)
def test_numbers_of_all_kinds_become_floats(x):
    c = make(x, x)
    assert type(c.lower) is float
    assert c.lower == 0.25
    assert c.width == 0.0


def test_integers_are_exact_at_any_size():
    assert make(3, np.int64(4)).upper == 4.0
    for x in (2**53 + 1, np.int64(2**53 + 1), np.uint64(2**64 - 1), -(10**400)):
        c = make(-(10**500), x)
        assert c.upper == int(x)
        assert isinstance(c.upper, Fraction)


@pytest.mark.parametrize(
    "x",
    [
        np.array([2**53 + 1, 0]),
        np.array([2**64 - 1], np.uint64),
        np.longdouble(1) + np.finfo(np.longdouble).eps,
    ],
)
def test_an_end_is_never_moved_by_rounding(x):
    with pytest.raises(UsageError, match="no float64"):
        make(x, x)


@pytest.mark.parametrize("x", [True, np.True_, 1j, "1", None, [Fraction(1, 3)], object()])
def test_what_is_no_number_is_no_end(x):
    with pytest.raises(UsageError):
        make(x, x)


def test_arrays_are_copied_and_closed():
    a = np.zeros(2)
    c = make(a, jnp.ones(2))
    a[0] = 9.0
    assert c.lower[0] == 0.0
    assert isinstance(c.upper, np.ndarray)
    assert c.upper.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        c.lower[0] = 1.0


def test_a_certificate_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().upper = 0.0


# -- range ----------------------------------------------------------------------------------------


def test_vacuous_where_the_whole_range_is_covered():
    assert make(0.0, 1.0, range=(0.0, 1.0)).verdict == "vacuous"
    assert make(-1.0, 2.0, range=(0.0, 1.0)).verdict == "vacuous"
    assert make(-math.inf, math.inf).verdict == "vacuous"
    assert make(0.0, math.inf, range=(0.0, math.inf)).verdict == "vacuous"
    assert make(1e-300, 1.0, range=(0.0, 1.0)).verdict == "certified"
    lower, upper = np.array([0.0, 0.1]), np.array([1.0, 1.0])
    assert make(lower, upper, range=(0.0, 1.0)).verdict == "certified"
    assert make(lower * 0, upper, range=(0.0, 1.0)).verdict == "vacuous"


def test_refuted_outside_the_range_never_clipped():
    c = make(1.5, 2.0, range=(0.0, 1.0))
    assert (c.verdict, c.lower, c.upper) == ("refuted", 1.5, 2.0)
    assert "outside" in c.reason
    assert not c.holds()
    assert make(-2.0, -1.0, range=(0.0, math.inf)).verdict == "refuted"
    assert make(np.array([0.5, -2.0]), np.array([0.6, -1.0]), range=(0.0, 1.0)).verdict == "refuted"
    # one end outside is an ordinary bracket, and is not clipped
    c = make(-0.5, 0.5, range=(0.0, 1.0))
    assert (c.verdict, c.lower) == ("certified", -0.5)


def test_rounding_is_not_refuted_except_where_it_is_proved():
    assert make(-1e-12, -1e-13, range=(0.0, 1.0)).verdict == "certified"
    assert make(1 + 1e-12, 1 + 2e-12, range=(0.0, 1.0)).verdict == "certified"
    assert make(1 + 1e-8, 1 + 2e-8, range=(0.0, 1.0)).verdict == "refuted"
    # what is proved has its rounding inside the ends
    assert make(-1e-12, -1e-13, "proved", range=(0.0, 1.0)).verdict == "refuted"
    tiny = Fraction(-1, 10**40)
    assert make(tiny, tiny, "proved", range=(0.0, 1.0)).verdict == "refuted"


def test_an_alarm_is_not_silenced():
    assert make(0.0, 1.0, range=(0.0, 1.0), verdict="refuted").verdict == "refuted"
    c = make(2.0, 3.0, "estimate", range=(0.0, 1.0))
    assert c.verdict == "refuted"
    assert c.given(*hypotheses("assumed")).verdict == "refuted"


# -- what one asks of it --------------------------------------------------------------------------


def test_width_is_rounded_up_and_never_fails():
    assert make(0.25, 0.5).width == 0.25
    assert make(np.array([0.0, 1.0]), np.array([0.5, 3.0])).width == 2.0
    assert make(-1.7e308, 1.7e308).width == math.inf
    assert make(-math.inf, 0.0).width == math.inf
    assert make(math.inf, math.inf).width == 0.0
    assert make(0, 10**400).width == math.inf
    assert make(10**400, 10**400 + 1).width == 1.0
    for lower, upper in ((0.1, 0.3), (-1e-17, 1.0), (Fraction(1, 3), 0.7)):
        assert Fraction(make(lower, upper).width) >= Fraction(upper) - Fraction(lower)


def test_the_defended_end_is_on_the_safe_side():
    third = Fraction(1, 3)
    assert make(third, third, sense="min").defended >= third
    assert make(third, third, sense="max").defended <= third
    assert make(-(10**400), 10**400, sense="min").defended == math.inf
    assert make(10**400, 10**401, sense="max").defended <= 10**400
    lower, upper = np.array([0.0, 1.0]), np.array([5.0, 3.0])
    assert make(lower, upper, sense="min").defended == 5.0
    assert make(lower, upper, sense="max").defended == 0.0


@pytest.mark.parametrize(
    ("sense", "goal", "met"),
    [
        ("min", None, ""),
        ("min", 0.5, "yes"),
        ("min", 0.49, "open"),
        ("min", 0.25, "open"),
        ("min", 0.2, "no"),
        ("none", 0.5, "yes"),
        ("max", 0.25, "yes"),
        ("max", 0.26, "open"),
        ("max", 0.51, "no"),
        ("min", Fraction(1, 2), "yes"),
        ("min", 10**400, "yes"),
        ("max", 10**400, "no"),
    ],
)
def test_met(sense, goal, met):
    assert make(sense=sense, goal=goal).met == met


def test_met_compares_without_rounding():
    tenth = Fraction(1, 10)  # the float 0.1 lies above it
    assert make(0.0, 0.1, sense="min", goal=tenth).met == "open"
    assert make(0.0, tenth, sense="min", goal=0.1).met == "yes"


def test_a_refuted_claim_meets_nothing():
    assert make(-2.0, -1.0, sense="min", goal=0.5, range=(0.0, 1.0)).met == "open"
    assert make(sense="min", goal=0.5, verdict="refused", reason="ESS").met == "open"


def test_met_of_arrays():
    lower, upper = np.array([0.0, 0.4]), np.array([0.1, 0.6])
    assert make(lower, upper, sense="min", goal=0.6).met == "yes"
    assert make(lower, upper, sense="min", goal=0.5).met == "open"
    assert make(lower, upper, sense="min", goal=0.3).met == "no"


def test_require_returns_the_certificate_or_says_what_is_missing():
    c = make(kind="confidence")
    assert c.require() is c
    assert c.require(kind="confidence", gap=0.25, verdict="certified") is c
    assert c.require(kind="estimate") is c
    with pytest.raises(NotCertified, match="asked `proved_real`"):
        c.require(kind="proved_real")
    with pytest.raises(NotCertified, match="width"):
        c.require(gap=0.2499999)
    with pytest.raises(NotCertified, match="width"):
        c.require(gap=math.nan)
    assumed = make(hypotheses=hypotheses("assumed"))
    assert assumed.require() is assumed
    with pytest.raises(NotCertified, match="conditional"):
        assumed.require(verdict="certified")
    estimate = make(kind="estimate")
    assert estimate.require(verdict="consistent") is estimate
    with pytest.raises(NotCertified, match="consistent"):
        estimate.require()
    for c in (
        make(-math.inf, math.inf),
        make(verdict="refused", reason="ESS is 3"),
        make(verdict="inapplicable", reason="not convex"),
        make(2.0, 3.0, range=(0.0, 1.0)),
    ):
        with pytest.raises(NotCertified, match=c.verdict):
            c.require(verdict="consistent")
    with pytest.raises(UsageError):
        c.require(kind="sure")
    with pytest.raises(UsageError):
        c.require(verdict="vacuous")


def test_a_certificate_is_neither_true_nor_false():
    with pytest.raises(UsageError, match="neither true nor false"):
        bool(make())
    with pytest.raises(TypeError):
        hash(make())


def test_given_adds_hypotheses_by_the_same_rules():
    assert make().given(*hypotheses("assumed")).verdict == "conditional"
    assert make().given(*hypotheses("estimated")).kind == "estimate"
    assert make().given(*hypotheses("violated")).verdict == "inapplicable"
    assert make().given() == make()


def test_equality_is_of_all_fields():
    assert make() == make()
    assert make() != make(upper=0.5000001)
    assert make() != make(lower=Fraction(1, 4))
    assert make(-0.0) != make(0.0)
    assert make() != make(source="x")
    assert make(proof={"a": np.ones(2)}) != make(proof={"a": np.ones(2, np.float32)})
    assert make() != 3


@pytest.mark.parametrize(
    "c",
    [
        make(),
        make(-(10**400), Fraction(1, 3)),
        make(np.zeros(3), np.ones(3)),
        make(-math.inf, math.inf),
        make(kind="confidence", hypotheses=hypotheses(*STATES[:3]), goal=0.3, sense="max"),
        make(verdict="refused", reason="weights"),
        make(2.0, 3.0, range=(0.0, 1.0)),
    ],
)
def test_text_of_every_sort_of_certificate(c):
    assert c.quantity in repr(c)
    assert c.verdict in repr(c)
    assert c.quantity in str(c)
    assert c._repr_html_()


# -- composition ----------------------------------------------------------------------------------


def composed(*parts, lower=0.0, upper=1.0, **fields):
    return compose(
        parts, quantity="sum", of="both", lower=lower, upper=upper, bound="x.Sum", **fields
    )


def test_a_composition_is_as_weak_as_its_weakest_part():
    for a, b in itertools.product(KINDS, KINDS):
        c = composed(make(kind=a), make(kind=b))
        assert c.kind == KINDS[max(KINDS.index(a), KINDS.index(b))]
    assumed = make(hypotheses=hypotheses("assumed"))
    assert composed(make(), assumed).verdict == "conditional"
    assert composed(make(), assumed).hypotheses == assumed.hypotheses
    assert composed(assumed, assumed).hypotheses == assumed.hypotheses
    refused = composed(make(), make(verdict="refused", reason="ESS"))
    assert (refused.verdict, refused.width, refused.reason) == ("refused", math.inf, "ESS")
    assert composed(make(), make(2.0, 3.0, range=(0.0, 1.0))).verdict == "refuted"


def test_a_vacuous_part_hides_no_other_weakness():
    vacuous = make(-math.inf, math.inf)
    assert composed(vacuous).verdict == "certified"
    assert composed(vacuous, make(verdict="consistent")).verdict == "consistent"
    assert composed(make(verdict="consistent"), vacuous).verdict == "consistent"


@given(st.lists(st.floats(0.5, 1.0, exclude_max=True), min_size=1, max_size=8))
def test_levels_add_by_the_union_bound_and_are_rounded_down(levels):
    exact = 1 - sum(1 - Fraction(x) for x in levels)
    parts = [make(kind="confidence", level=x) for x in levels]
    if float(exact) <= 0:
        with pytest.raises(UsageError, match="no confidence"):
            composed(*parts)
    else:
        level = composed(*parts).level
        assert Fraction(level) <= exact
        assert Fraction(math.nextafter(level, 1.0)) > exact or level == 1.0


def test_nothing_composes_to_nothing():
    with pytest.raises(UsageError, match="empty"):
        composed()


# -- JSON -----------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ENDS = st.one_of(
    st.floats(allow_nan=False),
    st.sampled_from([-0.0, 5e-324, -5e-324, math.inf, -math.inf, 2.0**1023, 0.1]),
    st.fractions(),
    st.integers(-(10**60), 10**60),
)
ARRAYS = hnp.arrays(
    st.sampled_from(["<f8", ">f8", "f4", "f2", "i8", ">i4", "u1", "u8", "?"]),
    hnp.array_shapes(min_dims=0, min_side=0, max_dims=2, max_side=3),
)
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**300), 10**300),
    st.floats(),
    st.fractions(),
    TEXT,
    ARRAYS,
    hnp.arrays(np.uint16, 3).map(lambda a: a.view(ml_dtypes.bfloat16)),
    st.sampled_from([np.float32(0.1), np.int64(3), np.bool_(True), np.float64(-0.0)]),
)
KEYS = st.one_of(TEXT, st.sampled_from(["k0", "k1", "a.b", "0", "leaf0", "", "array", "opaque"]))
VALUES = st.recursive(
    PLAIN,
    lambda x: st.one_of(
        st.lists(x, max_size=3),
        st.lists(x, max_size=3).map(tuple),
        st.dictionaries(KEYS, x, max_size=4),
        st.dictionaries(st.one_of(st.integers(), TEXT, st.booleans()), x, max_size=3),
        st.dictionaries(st.tuples(st.integers(), TEXT), x, max_size=2),
    ),
    max_leaves=8,
)


@st.composite
def certificates(draw):
    lower, upper = sorted([draw(ENDS), draw(ENDS)], key=lambda x: x)
    if draw(st.booleans()):
        shape = draw(hnp.array_shapes(max_dims=2, max_side=3))
        ends = hnp.arrays(np.float64, shape, elements=st.floats(allow_nan=False))
        a, b = draw(ends), draw(ends)
        lower, upper = np.minimum(a, b), np.maximum(a, b)
    kind = draw(st.sampled_from(KINDS))
    level = draw(st.floats(0.01, 0.999)) if kind in LEVEL else 1.0
    states = draw(st.lists(st.sampled_from(STATES), max_size=3))
    # made in the test: the shape checks draw from `random`, which hypothesis forbids in here
    return dict(  # noqa: C408
        quantity=draw(TEXT),
        of=draw(TEXT),
        lower=lower,
        upper=upper,
        kind=kind,
        bound=draw(TEXT),
        sense=draw(st.sampled_from(["min", "max", "none"])),
        goal=draw(st.one_of(st.none(), ENDS)),
        level=level,
        verdict=draw(st.sampled_from(VERDICTS)),
        hypotheses=[(draw(TEXT), s, draw(TEXT)) for s in states],
        budget=draw(st.dictionaries(KEYS, PLAIN, max_size=2)),
        proof=draw(st.dictionaries(KEYS, VALUES, max_size=4)),
        reason=draw(TEXT) + "!",
    )


def bits(x):
    """A value as text that tells -0.0 from 0.0, dtypes from each other, and lists from tuples."""
    if isinstance(x, (np.ndarray, np.generic)) and not isinstance(x, float):
        a = np.asarray(x)
        little = a.astype(a.dtype.newbyteorder("<"))
        return type(x).__name__, a.dtype.name, a.shape, little.tobytes()
    if isinstance(x, dict):
        return [(bits(k), bits(v)) for k, v in x.items()]
    if isinstance(x, (list, tuple)):
        return type(x).__name__, [bits(v) for v in x]
    if dataclasses.is_dataclass(x):
        return [(f.name, bits(getattr(x, f.name))) for f in dataclasses.fields(x)]
    if isinstance(x, float):
        return "float", "nan" if x != x else x.hex()
    return type(x).__name__, x


def built(fields):
    made = tuple(Hypothesis(*h) for h in fields["hypotheses"])
    return Certificate(**{**fields, "hypotheses": made})


def through_json(c):
    return Certificate.from_json(json.loads(json.dumps(c.to_json(), allow_nan=False)))


@settings(max_examples=80)
@given(certificates())
def test_json_is_without_loss(fields):
    c = built(fields)
    again = through_json(c)
    assert bits(again) == bits(c)
    assert again == c


@pytest.mark.slow
@settings(max_examples=3_000)
@given(certificates())
def test_json_is_without_loss_at_length(fields):
    c = built(fields)
    assert bits(through_json(c)) == bits(c)


def test_two_keys_never_share_an_array():
    proof = {
        "k1": np.ones(2),
        "é": np.zeros(2),
        "a.b": np.full(1, 3.0),
        "a": {"b": np.full(1, 4.0)},
    }
    assert bits(through_json(make(proof=proof)).proof) == bits(proof)
    deep = np.arange(3)
    for i in range(30):
        deep = {f"a_long_name_for_a_branch_{i}": deep, "other": np.arange(i)}
    assert bits(through_json(make(proof=deep)).proof) == bits(deep)


def test_device_arrays_come_back_as_the_hosts():
    c = make(proof={"w": jnp.ones(2, jnp.bfloat16), "n": [jnp.int32(3)]})
    assert isinstance(c.proof["w"], np.ndarray)
    assert through_json(c) == c


def test_long_fractions_come_back():
    x = Fraction(10**1800 + 1, 10**1800)
    assert through_json(make(0, x, proof={"n": 10**3000, "x": [x]})) == make(
        0, x, proof={"n": 10**3000, "x": [x]}
    )


@pytest.mark.parametrize(
    "x",
    [{1, 2}, object(), 1j, b"x", np.ones(1, complex), np.array(["a"]), 10**9000, lambda: 0],
    ids=lambda x: type(x).__name__,
)
def test_what_json_cannot_hold_is_refused_when_it_is_written(x):
    c = make(proof={"x": [x]})
    with pytest.raises(UsageError):
        c.to_json()


def test_a_users_keys_are_not_taken_for_forms():
    proof = {"opaque": "x", "fingerprint": "y", "leaves": {}, "record": "core.Split", "split": 1}
    c = make(proof=proof | {"below": proof})
    assert through_json(c) == c


# -- hostile JSON ---------------------------------------------------------------------------------


def example():
    return make(
        np.zeros(2),
        np.ones(2),
        "confidence",
        goal=Fraction(1, 3),
        hypotheses=hypotheses("assumed", "checked"),
        proof={"n": 3, "w": np.arange(4.0), "f": Fraction(1, 7), "t": (1, [2.5, {"a": None}])},
    ).to_json()


STRANGE = [
    None, True, 0, -1, 1.5, 2**70, "", "nan", "1/0", "0.10", "x" * 5000, [], {}, [[]],
    {"float": "nan"}, {"float": 1.5},
    {"ratio": "1/2"}, {"ratio": ""}, {"ratio": "9" * 5000}, {"array": "nothing"},
    {"array": "proof.w"}, {"array": "proof.w", "host": 3}, {"tuple": {}}, {"list": [[1]]},
    {"dict": []}, {"items": [[1]]}, {"items": [[{"list": []}, 1]]}, {"items": [[1, 2], [1, 3]]},
    {"split": 3}, {"split": {}}, {"record": "os.system"}, {"record": "core.Hypothesis"},
    {"record": "core.Hypothesis", "fields": {}}, {"record": 3, "fields": []}, {"opaque": "x"},
    {"opaque": "x", "fingerprint": "y", "leaves": {"a": 3}}, {"key": "proof.w"}, {"shape": 3},
    {"shape": [-5], "dtype": "float32"}, {"dtype": []}, {"function": "os.system"}, {"function": 3},
    {"unknown": 1}, {"float": "inf", "array": "x"}, ["float64", [2], "AAAA"], ["bool", [2], "Bwc="],
    ["float64", [-1], "AAAAAAAAAAA="], ["float64", "2", 3], ["O", [1], "AAAAAAAAAAA="],
]  # fmt: skip


def nodes(tree):
    """Every (container, key) of a JSON document."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for k, v in list(items):
        yield tree, k
        if isinstance(v, (dict, list)):
            yield from nodes(v)


def mutated(rng, document):
    d = copy.deepcopy(document)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        where = list(nodes(d))
        if not where:
            break
        box, k = rng.choice(where)
        act = rng.randrange(5)
        if act == 0:
            del box[k]
        elif act == 1 and isinstance(box, dict):
            box[rng.choice(["fields", "x", "float", "record", "é", "level"])] = box.pop(k)
        elif act == 2:
            other, j = rng.choice(where)
            if isinstance(other, dict) == (j in other if isinstance(other, dict) else False):
                box[k] = copy.deepcopy(other[j])
        else:
            box[k] = copy.deepcopy(rng.choice(STRANGE))
    return d


def battle(read, tries, seed):
    """(refused, read, other exceptions) over mutations of one document."""
    rng, document = random.Random(seed), example()
    refused, passed, other = 0, 0, []
    for _ in range(tries):
        d = mutated(rng, document)
        try:
            read(d)
            passed += 1
        except FileRejected:
            refused += 1
        except Exception as e:
            other.append((type(e).__name__, str(e), d))
    return refused, passed, other


@pytest.mark.usefixtures("unchecked")
def test_hostile_json_is_refused_or_a_certificate():
    refused, passed, other = battle(Certificate.from_json, 500, 0)
    assert other == []
    assert refused > 300
    assert passed > 10


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_hostile_json_at_length():
    assert battle(Certificate.from_json, 10_000, random.randrange(2**32))[2] == []


@pytest.mark.usefixtures("unchecked")
def test_the_battle_finds_a_reader_without_types(monkeypatch):
    monkeypatch.setattr(certificate_module, "_texts", lambda *_: None)
    monkeypatch.setattr(certificate_module, "_host", lambda x: dict(x))
    assert battle(lambda d: Certificate.from_json(d).of.upper(), 500, 0)[2]


@pytest.mark.parametrize(
    "document", [None, 3, [], {}, {"fields": 3}, {"fields": {}}, {"fields": {}, "x": 1}, "text"]
)
@pytest.mark.usefixtures("unchecked")
def test_other_documents_are_refused(document):
    with pytest.raises(FileRejected):
        Certificate.from_json(document)


@pytest.mark.usefixtures("unchecked")
def test_nesting_is_refused_before_python_falls_over():
    for tag in ("list", "tuple"):
        deep = None
        for _ in range(sys.getrecursionlimit()):
            deep = {tag: [deep]}
        d = example()
        d["fields"]["proof"] = {"dict": {"x": deep}}
        with pytest.raises(FileRejected):
            Certificate.from_json(d)


def test_a_file_cannot_make_a_claim_stronger_than_its_rules():
    d = make(hypotheses=hypotheses("assumed")).to_json()
    d["fields"]["verdict"] = "certified"
    assert Certificate.from_json(d).verdict == "conditional"
    d["fields"]["level"] = {"float": "0.5"}
    with pytest.raises(FileRejected, match="level"):
        Certificate.from_json(d)


def test_reading_needs_no_jax(monkeypatch):
    d = example()
    monkeypatch.setitem(sys.modules, "jax", None)
    assert Certificate.from_json(d).to_json() == d
    assert jax is not None
