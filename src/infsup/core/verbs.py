"""`solve` finds and certifies; `certify` says what any answer is worth."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, Hypothesis
from infsup.core.checkpoint import Checkpoint, Keeper, Resume
from infsup.core.choose import Choice, choose
from infsup.core.clock import compilations
from infsup.core.driver import Ran, Services, as_outcome, drain, iterate, stage_key
from infsup.core.errors import EmptyBracket, FileRejected, HypothesisError, RowsReused, UsageError
from infsup.core.interrupt import Interrupt
from infsup.core.keys import branch, open_key
from infsup.core.ledger import DeltaLedger, check_delta
from infsup.core.method import DirectMethod, Method, Outcome, stages
from infsup.core.precision import require_64_bit
from infsup.core.problem import Problem, fingerprint
from infsup.core.progress import Progress
from infsup.core.registry import name_of, named
from infsup.core.solution import Solution, Stage
from infsup.core.split import SeenRows
from infsup.core.stop import Reach, Rule, parts, pick


def solve(
    problem: Problem,
    method: Method | str | None = None,
    *,
    bounds: Sequence[Bound] | Bound | None = None,
    start: Any = None,
    stop: Rule | None = None,
    key: Any = 0,
    delta: float = 0.01,
    checkpoint: Any = None,
    resume: Any = None,
    progress: bool | None = None,
    callbacks: Sequence[Callable] = (),
    donate: bool = False,
) -> Solution:
    """Finds an answer and certifies it.

    Args:
        problem: what is asked.
        method: how, or its name; by default `choose(problem)` picks one and says why.
        bounds: how to know the worth of the answer, the headline first; by default `choose`'s.
        start: an answer, outcome or solution to start from.
        stop: rules joined by `|`: `Steps`, `Seconds`, `Plateau`, `Reach`. The method's own budget
            always holds.
        key: int or typed key. The same key gives the same answer, also after a resume.
        delta: probability with which any of the certificates may be wrong, in (0, 1); divided
            among those that are statements of chance, and among the looks of `Reach`.
        checkpoint: a folder, or `Checkpoint(folder, seconds=30)`.
        resume: a checkpoint's folder; the run goes on and ends in the same bytes. Further
            checkpoints go there too, unless `checkpoint` says otherwise.
        progress: a bar on stderr: True, False, or None for "when stderr is a terminal".
        callbacks: called with an `Event` about ten times a second; may return `Stop("why")`.
        donate: give the state's buffers to the step (for states that fill the memory).

    Returns:
        The solution, also after Ctrl-C, SIGTERM, or a metric that is not finite: then the answer
        is the last good one, `stopped_by` says why, and the certificates speak of that answer.

    Raises:
        UsageError, HypothesisError, PrecisionError: before any work, with what to type instead.
    """
    _a_problem(problem)
    begun = time.monotonic()
    how, judges, why = _chosen(problem, method, bounds)
    key, ledger = open_key(key), DeltaLedger(check_delta(delta))
    methods = stages(how)
    parts(stop)
    for m in methods:
        _fits(m, problem, "method")
        m.suits(problem.fit)
    for b in judges:
        _fits(b, problem, "bound")
    for c in _several("callbacks", callbacks, "functions of Event"):
        if not callable(c):
            raise UsageError(f"`callbacks` holds a {type(c).__name__}", remedy="functions of Event")
    given = problem.fit
    outcome = as_outcome(start)
    seen = _seen(start, problem)
    _visible(delta / (2**33 if pick(stop, Reach) else len(judges)))
    if seen is not None and any(b.judges_held_out(problem) for b in judges):
        _unseen(problem, seen)
    print_ = fingerprint((given, how, key, outcome))
    resumed = Resume(resume, print_) if resume is not None else None
    at = checkpoint if checkpoint is not None else resume
    at = at if at is None or isinstance(at, Checkpoint) else Checkpoint(at)
    keeper = Keeper(at, print_) if at is not None else None
    done: list[Stage] = []
    first = 0
    if resumed:
        first, ledger = resumed.stage, resumed.ledger
        if first >= len(methods):
            raise FileRejected(f"{resume} is at stage {first} of {len(methods)}")
        if ledger.granted != delta:
            raise UsageError(
                f"`delta` is {delta:g}, the run that is resumed was granted {ledger.granted:g}",
                "Its looks have spent part of that.",
                f"delta={ledger.granted!r}",
            )
        done = [Stage(**s) for s in resumed.stages]
        if first:
            outcome = resumed.outcome(given, methods[:first], outcome, key)
    ran: Ran | None = None
    certificates: tuple[Certificate, ...] = ()
    comparators: dict[str, Certificate] = {}

    with Interrupt() as flag, Progress(progress) as bar:
        for number, m in enumerate(methods):
            if number < first or flag.name:
                continue
            k = stage_key(key, number)
            if isinstance(m, DirectMethod):
                t, compiled = time.monotonic(), compilations.seconds
                bar.phase("solving")
                outcome = drain(m.find(given, outcome, branch(k, "finish")))
                compiling = compilations.seconds - compiled
                spent = max(time.monotonic() - t - compiling, 0.0)
                done.append(Stage(type(m).__name__, 1, "direct", spent, compiling))
                continue

            def look(found: Outcome, count: int) -> Certificate:
                nonlocal ledger
                bar.phase("certifying")
                d = delta / 2 ** (count + 2)
                c = bracket(judges[0], problem, found, seen, branch(key, "certify", count + 1), d)
                if c.level < 1.0:
                    ledger = ledger.spend(d, f"look {count + 1}")
                bar.phase("running")
                return c

            def save(loop, tables, seconds, force, number=number, start=outcome) -> None:
                if keeper is not None:
                    keeper.save(
                        loop,
                        tables,
                        seconds,
                        force,
                        stage=number,
                        start=start if number else None,
                        ledger=ledger,
                        earlier=[vars(s) for s in done],
                    )

            services = Services(
                flag=flag,
                certify=look,
                save=save if keeper else None,
                restore=resumed.restore if resumed and number == first else None,
                tell=(*callbacks, bar.tell),
                phase=bar.phase,
                donate=donate,
                stage=number,
            )
            ran = iterate(given, m, k, start=outcome, stop=stop, services=services)
            outcome = ran.outcome
            done.append(
                Stage(
                    type(m).__name__,
                    ran.step,
                    ran.why,
                    ran.seconds,
                    ran.compile_seconds,
                    ran.history,
                )
            )
            if ran.why in ("not finite", "error", "reached"):
                break
        assert outcome is not None
        t = time.monotonic()
        if ran is not None and ran.certificate is not None:
            certificates, judges = (ran.certificate,), judges[:1]
        try:
            with flag.breakable():
                bar.phase("certifying")
                if not certificates:
                    share = ledger.share(max(sum(b.spends for b in judges), 1))
                    for number, b in enumerate(judges):
                        k = branch(key, "certify", 0, number)
                        c = bracket(b, problem, outcome, seen, k, share)
                        if c.level < 1.0:
                            ledger = ledger.spend(share, name_of(type(b)))
                        certificates += (c,)
                comparators = _comparators(problem, judges[0], outcome, key, delta)
        except EmptyBracket as alarm:  # loud, but it must not cost the answer
            alarm.outcome = outcome
            alarm.add_note("What was found is kept in this error: `error.outcome`.")
            raise
        except KeyboardInterrupt:
            if not certificates:
                certificates = (_uncertified(problem, judges[0]),)
        certify_seconds = time.monotonic() - t

    return Solution(
        problem=problem,
        method=how,
        answer=outcome.answer,
        certificates=certificates,
        bounds=judges,
        comparators=comparators,
        evidence=outcome.evidence,
        stages=tuple(done),
        key=key,
        ledger=ledger,
        seen=seen,
        why=why,
        resumed=resumed.note if resumed else "",
        error=ran.error if ran else None,
        seconds={"certify": certify_seconds, "total": time.monotonic() - begun},
    )


def certify(
    problem: Problem,
    answer: Any,
    bound: Bound | str | None = None,
    *,
    evidence: dict[str, Any] | None = None,
    key: Any = 0,
    delta: float = 0.01,
) -> Certificate:
    """Says what an answer is worth, ours or another library's.

    Args:
        problem: what was asked.
        answer: a function, sampler or point; a record of draws or predictions; or a `Solution`,
            which brings its evidence and the rows that it has seen.
        bound: how to know, or its name; by default `choose`'s headline.
        evidence: duals, multipliers, counts that the bound can use.
        key: int or typed key of the bound's own draws.
        delta: probability with which the certificate may be wrong, in (0, 1).

    Raises:
        UsageError, HypothesisError, PrecisionError: before any work.
        RowsReused: the answer has seen rows that the bound needs unseen.
    """
    _a_problem(problem)
    _visible(check_delta(delta))
    judge: Any = choose(problem).bounds[0] if bound is None else bound
    if isinstance(judge, str):
        judge = named("BOUNDS", judge)()
    _fits(judge, problem, "bound")
    if evidence is not None and not isinstance(evidence, Mapping):
        got = type(evidence).__name__
        raise UsageError(f"`evidence` is {got}, not a dict", remedy='evidence={"roles": ...}')
    outcome = as_outcome(answer)
    if outcome is None:
        raise UsageError("`answer` is None", f"This problem asks for {problem.asks}.")
    outcome = Outcome(outcome.answer, {**outcome.evidence, **(evidence or {})})
    seen = answer.seen if isinstance(answer, Solution) else None
    return bracket(judge, problem, outcome, seen, branch(open_key(key), "certify", 0), delta)


def bracket(
    bound: Bound, problem: Problem, outcome: Outcome, seen: SeenRows | None, key: Any, delta: float
) -> Certificate:
    """One certificate, of an answer that comes through the door; where "unseen" is enforced.

    Raises:
        RowsReused: held-out rows have been seen.
    """
    accepted = Outcome(problem.accept(outcome.answer), outcome.evidence)
    if not bound.judges_held_out(problem):
        return bound.certify(problem, accepted, key, delta)
    held_out = problem.rows("held_out")
    text = "the held-out rows were not seen in training"
    if seen is None:
        rows = Hypothesis(text, "assumed", "the answer comes from elsewhere")
    else:
        _unseen(problem, seen)
        same = seen.equal_content(held_out)
        rows = Hypothesis(text, "checked", f"{same} equal a seen row in content" if same else "")
    return bound.certify(problem, accepted, key, delta).given(rows)


def _unseen(problem: Problem, seen: SeenRows) -> None:
    held_out = problem.rows("held_out")
    if reused := seen.reused(held_out):
        raise RowsReused(
            f"{reused} of the {len(held_out)} held-out rows were seen by the method",
            "A bound on unseen rows would promise too much.",
            "the split that the answer was fitted with, or fresh rows",
        )


def _visible(delta: float) -> None:
    """Refuses a share of delta that a level of 64 bits cannot show, before any work."""
    if 1.0 - delta == 1.0:
        raise UsageError(
            f"`delta` leaves {delta:.3g} to a statement", "1 - that is 1 in float64.", "delta=0.01"
        )


def _comparators(
    problem: Problem, bound: Bound, outcome: Outcome, key: Any, delta: float
) -> dict[str, Certificate]:
    """The simple answers, by the same bound; a dual bounds the value whoever's answer is judged."""
    evidence = {k: outcome.evidence[k] for k in bound.needs if k in outcome.evidence}
    k = branch(key, "certify", 0, 0)
    return {
        name: bracket(bound, problem, Outcome(a, evidence), SeenRows(), k, delta)
        for name, a in problem.trivial().items()
    }


def _a_problem(problem: Any) -> None:
    if not isinstance(problem, Problem):
        raise UsageError(
            f"`problem` is {type(problem).__name__}, not a Problem",
            remedy='infsup.problem("hjb-lq-100")   or   infsup list problems',
        )
    if problem.needs_64_bit:
        require_64_bit(f"`{type(problem).__name__}`")


def _chosen(problem: Problem, method: Any, bounds: Any) -> tuple[Method, tuple[Bound, ...], str]:
    """Method and bounds, chosen where they were not named."""
    choice = Choice(None, (), "")
    if method is None or bounds is None:
        choice = choose(problem)
    if isinstance(method, str):
        method = named("METHODS", method)()
    if isinstance(bounds, (Bound, str)):
        bounds = (bounds,)
    bounds = choice.bounds if bounds is None else _several("bounds", bounds, "(bound, ...)")
    bounds = tuple(named("BOUNDS", b)() if isinstance(b, str) else b for b in bounds)
    if not bounds:
        raise UsageError("`bounds` is empty", "Every solution is certified.")
    why = choice.why if method is None else ""
    method = method if method is not None else choice.method
    if method is None:
        raise UsageError(
            f"there is no default method for `{type(problem).__name__}`",
            remedy="infsup list methods",
        )
    return method, bounds, why


def _several(name: str, given: Any, remedy: str) -> tuple[Any, ...]:
    """What an argument that holds several things holds."""
    if not isinstance(given, (tuple, list)):
        raise UsageError(f"`{name}` is {type(given).__name__}, not a tuple", remedy=remedy)
    return tuple(given)


def _fits(thing: Any, problem: Problem, role: str) -> None:
    """A method or bound that is one, and that is for this class of problem."""
    base = Method if role == "method" else Bound
    if not isinstance(thing, base):
        raise UsageError(f"`{role}` is {type(thing).__name__}, not a {base.__name__}")
    if thing.needs_64_bit:
        require_64_bit(f"`{type(thing).__name__}`")
    if not isinstance(problem, thing.problems):
        from infsup.core.registry import fitting

        table = "METHODS" if role == "method" else "BOUNDS"
        raise HypothesisError(
            f"`{type(thing).__name__}` is not for `{type(problem).__name__}`",
            f"It is for {', '.join(p.__name__ for p in thing.problems)}.",
            ", ".join(fitting(table, problem)) or f"infsup list {role}s",
        )


def _seen(start: Any, problem: Problem) -> SeenRows | None:
    """The rows that the answer will have seen: those to fit, and those of its start.

    Asked of the whole problem: what a method is given no longer knows the numbers of its rows.
    """
    if isinstance(start, Solution):
        return None if start.seen is None else start.seen | problem.rows("fit")
    return problem.rows("fit") if start is None else None


def _uncertified(problem: Problem, bound: Bound) -> Certificate:
    return Certificate(
        "nothing",
        problem.name,
        -np.inf,
        np.inf,
        "estimate",
        name_of(type(bound)),
        verdict="refused",
        reason="a second Ctrl-C came before the answer was certified",
    )
