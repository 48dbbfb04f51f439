import json
import os
import signal
import subprocess
import sys
import threading
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy import F32, Bowl, Centre, Distance, Noise, NoisyDescent, PythonDescent, bowl

import infsup as isp
from infsup.core import driver
from infsup.core.clock import compilations
from infsup.core.errors import EmptyBracket, HypothesisError, UsageError

BOUND = (Distance(),)


def solve(method=None, **kw):
    return isp.solve(bowl(), method or NoisyDescent(), bounds=kw.pop("bounds", BOUND), **kw)


def same(a, b):
    return isp.fingerprint(a) == isp.fingerprint(b)


# -- one meaning, whatever the host does ----------------------------------------------------------


def test_results_do_not_depend_on_chunk_length(monkeypatch):
    whole = solve()
    for seconds in (1e-9, 1e-4, 10.0):
        monkeypatch.setattr(driver, "CHUNK_SECONDS", seconds)
        again = solve()
        assert same(again.answer, whole.answer)
        assert {k: v.tobytes() for k, v in again.history.items()} == {
            k: v.tobytes() for k, v in whole.history.items()
        }


def test_history_speaks_of_the_looks():
    s = solve()
    assert s.steps == 300
    assert s.history["step"].tolist() == list(range(7, 301, 7))


def test_rows_longer_than_one_chunk(monkeypatch):
    monkeypatch.setattr(driver, "HISTORY", 16)
    s = solve(NoisyDescent(steps=900))
    assert s.history["step"].tolist() == list(range(7, 901, 7))
    assert same(s.answer, isp.run(bowl(), NoisyDescent(steps=900), 0).answer)


def test_run_gives_what_solve_gives():
    assert same(solve(key=5).answer, isp.run(bowl(), NoisyDescent(), 5).answer)


def test_another_number_compiles_nothing():
    solve(NoisyDescent(rate=0.1))
    before = compilations.count
    a = solve(NoisyDescent(rate=0.05, noise=0.02, steps=200))
    assert compilations.count == before
    assert a.steps == 200


def test_callbacks_cannot_change_results_and_may_stop():
    events = []
    a = solve(callbacks=[events.append])
    assert same(a.answer, solve().answer)
    assert (events[0].kind, events[-1].kind) == ("start", "end")
    b = solve(
        NoisyDescent(steps=10**8), callbacks=[lambda e: isp.Stop("enough") if e.step else None]
    )
    assert b.stopped_by == "enough"
    assert same(b.answer, solve(NoisyDescent(steps=10**8), stop=isp.Steps(b.steps)).answer)


def test_seconds_are_reproduced_by_steps():
    s = solve(NoisyDescent(steps=10**9), stop=isp.Seconds(0.2))
    assert s.stopped_by == "seconds"
    again = solve(NoisyDescent(steps=10**9), stop=isp.Steps(s.steps))
    assert again.stopped_by == "steps"
    assert same(s.answer, again.answer)


def test_two_threads_agree():
    got = [None, None]

    def work(i):
        got[i] = solve(NoisyDescent(steps=5000)).answer

    threads = [threading.Thread(target=work, args=(i,)) for i in (0, 1)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert same(got[0], got[1])
    assert same(got[0], solve(NoisyDescent(steps=5000)).answer)


# -- stopping -------------------------------------------------------------------------------------


def test_plateau_and_its_refusal():
    s = solve(NoisyDescent(noise=0.0, steps=10**6), stop=isp.Plateau(4))
    assert s.stopped_by == "plateau"
    assert s.steps < 2000

    class Meritless(NoisyDescent):
        merit = None

    with pytest.raises(UsageError, match="no metric that falls"):
        solve(Meritless(), stop=isp.Plateau(4))


def test_done_stops_at_a_look():
    class Settled(NoisyDescent):
        def done(self, problem, state):
            return state.tag - 7 >= 20

    assert solve(Settled()).steps == 21
    assert solve(Settled()).stopped_by == "done"


def test_reach_looks_at_doubling_steps_and_spends_delta():
    s = solve(NoisyDescent(noise=0.0, steps=10**6), stop=isp.Reach(1e-6))
    assert s.stopped_by == "reached"
    assert s.steps in [7 * 2**k for k in range(10)]
    assert s.certificate.upper <= 1e-6
    assert s.ledger.entries == ()  # a certain statement costs nothing

    s = solve(NoisyDescent(steps=200), bounds=(Noise(),), stop=isp.Reach(-1.0), delta=0.08)
    assert s.stopped_by == "steps"
    spent = [d for d, _ in s.ledger.entries]
    assert spent[:3] == [0.02, 0.01, 0.005]
    assert sum(spent) <= 0.08
    assert s.certificate.level == 1 - spent[-1]


def test_delta_is_divided_among_the_bounds():
    s = solve(bounds=(Noise(), Noise()), delta=0.02)
    assert [c.level for c in s.certificates] == [0.99, 0.99]


# -- numbers that are not finite ------------------------------------------------------------------


@pytest.mark.parametrize("at", [1, 2, 50, 299, 300])
def test_nan_stops_at_the_exact_step(at, monkeypatch):
    for seconds in (1e-9, 10.0):
        monkeypatch.setattr(driver, "CHUNK_SECONDS", seconds)
        s = solve(NoisyDescent(blow_up_at=at))
        assert s.stopped_by == "not finite"
        assert s.steps == at - 1
        clean = solve(stop=isp.Steps(at - 1)) if at > 1 else None
        if clean:
            assert same(s.answer, clean.answer)
        assert np.isfinite(np.asarray(s.answer)).all()
        assert s.certificate.holds()


@pytest.mark.parametrize("at", [1, 40, 300])
def test_nan_that_no_metric_sees(at):
    s = solve(NoisyDescent(unseen_blow_up_at=at))
    assert s.stopped_by == "not finite"
    assert s.steps == at - 1


def test_nan_on_the_host():
    s = solve(PythonDescent(fail_at=20))
    assert (s.stopped_by, s.steps) == ("not finite", 19)
    assert same(s.answer, solve(PythonDescent(), stop=isp.Steps(19)).answer)


def test_an_error_in_a_step_keeps_what_was_reached():
    s = solve(PythonDescent(raise_at=30))
    assert s.stopped_by == "error"
    assert "the simulator is gone" in str(s.error)
    assert 0 < s.steps <= 30
    assert s.certificate.holds()
    with pytest.raises(RuntimeError, match="gone"):
        solve(PythonDescent(raise_at=0))  # no answer yet: the error is the result


# -- the user's arrays ----------------------------------------------------------------------------


@pytest.mark.parametrize("donate", [False, True])
def test_the_start_is_never_invalidated(donate):
    mine = jnp.ones(3, F32)
    a = solve(start=mine, donate=donate)
    assert np.asarray(mine).tolist() == [1.0, 1.0, 1.0]
    again = solve(start=a, donate=donate)
    np.asarray(a.answer)
    assert same(again.answer, solve(start=a).answer)


@pytest.mark.parametrize("at", [2, 150, 300])
def test_donation_gives_the_same_answer(at):
    assert same(solve(donate=True).answer, solve().answer)
    s = solve(NoisyDescent(blow_up_at=at), donate=True)
    assert np.isfinite(np.asarray(s.answer)).all()
    assert s.steps == at - 1


# -- chains, host methods, vmap -------------------------------------------------------------------


def test_then_hands_the_outcome_on():
    chain = isp.Then(NoisyDescent(steps=50), NoisyDescent(rate=0.01, steps=60))
    s = solve(chain)
    assert [x.steps for x in s.stages] == [50, 60]
    first = isp.run(bowl(), NoisyDescent(steps=50), 0)
    assert same(isp.run(bowl(), chain, 0).answer, s.answer)
    assert not same(first.answer, s.answer)
    assert solve(isp.Then(Centre(), NoisyDescent(noise=0.0))).certificate.upper < 1e-12


def test_host_methods_run_and_refuse_run():
    s = solve(PythonDescent())
    assert s.steps == 50
    assert s.history["step"].tolist() == list(range(5, 51, 5))
    with pytest.raises(HypothesisError, match="steps in Python"):
        isp.run(bowl(), PythonDescent(), 0)


def test_vmap_over_seeds_and_rates():
    keys = jax.random.split(jax.random.key(0), 3)
    many = eqx.filter_vmap(lambda k: isp.run(bowl(), NoisyDescent(), k))(keys)
    for i, k in enumerate(keys):
        np.testing.assert_allclose(
            many.answer[i], isp.run(bowl(), NoisyDescent(), k).answer, rtol=1e-5
        )
    rates = jnp.asarray([0.05, 0.1], F32)
    got = eqx.filter_vmap(lambda r: isp.run(bowl(), NoisyDescent(rate=r), 0).answer)(rates)
    assert got.dtype == F32
    np.testing.assert_allclose(got[1], isp.run(bowl(), NoisyDescent(), 0).answer, rtol=1e-5)


def test_float32_stays_float32():
    s = solve(NoisyDescent(rate=0.1))
    assert s.answer.dtype == F32


# -- methods that break the contract --------------------------------------------------------------


def test_bad_methods_get_one_clear_error():
    class PythonState(NoisyDescent):
        def init(self, problem, start, key):
            return super().init(problem, start, key)._replace(tag=7)

    class Growing(NoisyDescent):
        def step(self, problem, state, key):
            new, m = super().step(problem, state, key)
            return new._replace(mean=jnp.zeros(4, F32)), m

    class VectorMetric(NoisyDescent):
        def step(self, problem, state, key):
            new, _ = super().step(problem, state, key)
            return new, {"value": new.w}

    with pytest.raises(UsageError, match="Python number in the state"):
        solve(PythonState())
    with pytest.raises(UsageError, match=r"turns state.mean from f32\[3\] into f32\[4\]"):
        solve(Growing())
    with pytest.raises(UsageError, match="metric `value` as"):
        solve(VectorMetric())


def test_bad_arguments_before_any_work(unchecked):
    for kw, words in (
        ({"delta": 0.0}, "`delta` is 0.0"),
        ({"delta": 1}, "`delta` is 1"),
        ({"delta": float("nan")}, "`delta` is nan"),
        ({"key": -1}, "`key` is -1"),
        ({"key": 2**40}, "`key` is 1099511627776"),
        ({"key": "a"}, "`key` is str"),
        ({"stop": 100}, "`stop` is int"),
        ({"bounds": ()}, "`bounds` is empty"),
        ({"bounds": (3,)}, "`bound` is int"),
        ({"callbacks": [3]}, "`callbacks` holds a int"),
    ):
        with pytest.raises(UsageError, match=words):
            solve(**kw)
    with pytest.raises(UsageError, match="`method` is int"):
        isp.solve(bowl(), 3)
    with pytest.raises(UsageError, match="`problem` is int"):
        isp.solve(3)
    for bad in (lambda: isp.Steps(-1), lambda: isp.Seconds(0), lambda: isp.Plateau(0)):
        with pytest.raises(UsageError):
            bad()


def test_a_bound_of_another_problem_is_refused_with_those_that_fit():
    class Other(isp.Problem):
        @property
        def asks(self):
            return isp.Point(jax.ShapeDtypeStruct((3,), np.float32))

    with pytest.raises(HypothesisError, match="`Distance` is not for `Other`"):
        isp.solve(Other(), Centre(), bounds=BOUND)


def test_choose_says_why():
    s = isp.solve(bowl())
    assert s.why == "the centre is the answer"
    assert s.stopped_by == "direct"
    assert list(s.comparators) == ["the origin"]
    assert s.comparators["the origin"].lower == pytest.approx(14.0)


# -- signals --------------------------------------------------------------------------------------

CHILD = """
import os, signal, sys, time
sys.path.insert(0, {here!r})
from toy import *
old = signal.getsignal(signal.SIGINT)
hit = []
def kill(event):
    if event.step > 1000 and not hit:
        hit.append(event.step)
        for s in {signals!r}:
            os.kill(os.getpid(), s)
s = isp.solve(bowl(), NoisyDescent(steps=10**9), bounds=({bound},), callbacks=[kill])
assert signal.getsignal(signal.SIGINT) is old
method, stop = NoisyDescent(steps=10**9), isp.Steps(s.steps)
again = isp.solve(bowl(), method, bounds=(Distance(),), stop=stop)
same = isp.fingerprint(again.answer) == isp.fingerprint(s.answer)
print(s.stopped_by, s.certificate.verdict, same)
"""


@pytest.mark.parametrize(
    ("signals", "bound", "said"),
    [
        ([signal.SIGINT], "Distance()", "interrupted certified True"),
        ([signal.SIGTERM], "Distance()", "terminated certified True"),
        ([signal.SIGINT, signal.SIGINT], "Distance()", "interrupted refused True"),
    ],
)
def test_signals_return_the_answer_so_far(signals, bound, said):
    here = os.path.dirname(__file__)
    code = CHILD.format(here=here, signals=[int(s) for s in signals], bound=bound)
    got = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert got.stdout.strip() == said, got.stderr


def test_compile_time_is_told_apart():
    class Fresh(NoisyDescent):
        def step(self, problem, state, key):
            return NoisyDescent.step(self, problem, state, key)

    t = time.monotonic()
    s = solve(Fresh())
    assert 0 < s.cost["compile_seconds"] < time.monotonic() - t
    assert s.cost["seconds"] < s.cost["compile_seconds"]


def test_a_problem_is_not_changed():
    p = Bowl(np.arange(3, dtype=np.float32))
    isp.solve(p, NoisyDescent(), bounds=BOUND)
    assert isinstance(p.centre, np.ndarray)


def test_json_lines_hold_every_look(tmp_path):
    log = tmp_path / "metrics.jsonl"
    s = solve(callbacks=[isp.JSONLines(log)])
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [r["step"] for r in rows] == s.history["step"].tolist()
    assert [np.float32(r["value"]) for r in rows] == s.history["value"].tolist()
    with pytest.raises(OSError, match="metrics"):
        isp.JSONLines(tmp_path / "nowhere" / "metrics.jsonl")


def test_an_empty_bracket_is_loud_and_keeps_the_answer():
    class Contradiction(isp.Bound):
        def certify(self, problem, outcome, key, delta):
            return isp.Certificate("value", "the point", 1.0, 0.0, "proved_real", "toy:None")

    with pytest.raises(EmptyBracket, match="is empty") as alarm:
        solve(bounds=(Contradiction(),))
    assert same(alarm.value.outcome.answer, solve().answer)
