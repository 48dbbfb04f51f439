"""The one loop.

`advance` is a chunk of it, pure and compiled; `iterate` adds the host's services (stopping,
certificates on the way, checkpoints, signals, progress); `run` is the loop without them.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from infsup.core.answers import shape_of
from infsup.core.certificate import Certificate
from infsup.core.clock import compilations
from infsup.core.errors import HypothesisError, UsageError
from infsup.core.interrupt import Interrupt
from infsup.core.keys import branch, is_key, open_key
from infsup.core.method import DirectMethod, IterativeMethod, Method, Outcome, stages
from infsup.core.problem import Problem
from infsup.core.stop import Plateau, Reach, Rule, Seconds, Steps, pick

log = logging.getLogger("infsup")
log.addHandler(logging.NullHandler())

HISTORY = 1024
"""Looks that fit in one chunk."""
NEVER = 2**30
CHUNK_SECONDS = 0.1


class Loop(NamedTuple):
    """What the compiled loop carries."""

    state: Any
    step: Any
    ok: Any  # the metrics of the last step were finite
    done: Any
    metrics: Any  # of the last step; they speak of the state before it
    best: Any  # smallest merit at a look so far
    stale: Any  # looks since then
    rows: Any  # metrics at looks
    count: Any  # looks since the host last emptied `rows`


# -- numbers and states ---------------------------------------------------------------------------


def traced(tree: Any) -> Any:
    """Python numbers among the fields of our own methods and problems become traced scalars.

    They are weakly typed, so they never widen float32. Nothing inside foreign modules changes.
    """
    if isinstance(tree, (Problem, Method)):
        for f in type(tree).__dataclass_fields__.values():
            if f.metadata.get("static"):
                continue
            old = getattr(tree, f.name)
            new = traced(old)
            if new is not old:
                # tree_at cannot reach fields whose old value is a Python number next to None
                tree = _replace(tree, f.name, new)
        return tree
    if isinstance(tree, (int, float)) and not isinstance(tree, bool):
        return jnp.asarray(tree)
    if isinstance(tree, (tuple, list)) and type(tree) in (tuple, list):
        new = [traced(x) for x in tree]
        return type(tree)(new) if any(a is not b for a, b in zip(new, tree, strict=True)) else tree
    return tree


def _replace(module: Any, name: str, value: Any) -> Any:
    """A module with one field exchanged, without running its constructor again."""
    new = object.__new__(type(module))
    for f in type(module).__dataclass_fields__:
        object.__setattr__(new, f, value if f == name else getattr(module, f))
    return new


def _strong(tree: Any) -> Any:
    """Arrays without weak types: a loop's carry keeps its dtypes."""

    def strong(x):
        if eqx.is_array(x) and not is_key(x):
            return jax.lax.convert_element_type(x, x.dtype)
        return x

    return jax.tree.map(strong, tree)


@eqx.filter_jit
def _jit_init(method, problem, start, key):
    return method.init(problem, start, branch(key, "init"))


@eqx.filter_jit
def _jit_finish(method, problem, state, key):
    return method.finish(problem, state, branch(key, "finish"))


def _or_eager(compiled: Callable, eager: Callable, host: bool) -> Any:
    """One compiled call where the function can be traced, else as it stands."""
    if host:
        return eager()
    try:
        return compiled()
    except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError):
        return eager()


def finish(method: IterativeMethod, problem: Problem, state: Any, key: Any) -> Outcome:
    """The outcome of a state."""
    return _or_eager(
        lambda: _jit_finish(method, problem, state, key),
        lambda: method.finish(problem, state, branch(key, "finish")),
        method.host,
    )


def begin(
    method: IterativeMethod, problem: Problem, start: Outcome | None, key: Any
) -> tuple[Loop, Any]:
    """The loop before its first step, and the part of the state that never changes.

    Raises:
        UsageError: the state has Python numbers, a step changes a shape or dtype, or a metric is
            no scalar; each names the leaf.
    """
    what = type(method).__name__
    state = _or_eager(
        lambda: _jit_init(method, problem, start, key),
        lambda: method.init(problem, start, branch(key, "init")),
        method.host,
    )
    if method.host:
        return Loop(state, 0, True, False, {}, np.inf, 0, {}, 0), None
    for path, x in jax.tree_util.tree_leaves_with_path(state):
        if isinstance(x, (bool, int, float, complex)):
            raise UsageError(
                f"`{what}.init` gives state{jax.tree_util.keystr(path)} = {x!r}",
                "A Python number in the state would never change.",
                "jnp.asarray(...)",
            )
    # copied: the loop may be donated, and the start is the user's
    arrays, rest = eqx.partition(_strong(jax.tree.map(_copied, state)), eqx.is_array)
    after, metrics = eqx.filter_eval_shape(
        method.step, problem, eqx.combine(arrays, rest), branch(key, "step", 0)
    )
    before = jax.tree_util.tree_leaves_with_path(jax.eval_shape(lambda: arrays))
    is_shape = lambda x: isinstance(x, jax.ShapeDtypeStruct)  # noqa: E731
    now = jax.tree_util.tree_leaves_with_path(eqx.filter(after, is_shape))
    if [p for p, _ in before] != [p for p, _ in now]:
        raise UsageError(f"`{what}.step` changes the structure of the state")
    for (path, a), (_, b) in zip(before, now, strict=True):
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            raise UsageError(
                f"`{what}.step` turns state{jax.tree_util.keystr(path)} from {shape_of(a)} into "
                f"{shape_of(b)}",
                "The loop keeps shapes and dtypes.",
            )
    for name, m in metrics.items():
        if np.shape(m) != ():
            raise UsageError(f"`{what}.step` gives the metric `{name}` as {shape_of(m)}, no scalar")
    zeros = {k: jnp.zeros((), jnp.result_type(v)) for k, v in metrics.items()}
    rows = {k: jnp.zeros((HISTORY, *v.shape), v.dtype) for k, v in zeros.items()}
    rows["step"] = jnp.zeros(HISTORY, jnp.int32)
    i32 = lambda v: jnp.asarray(v, jnp.int32)  # noqa: E731
    true, false = jnp.asarray(True), jnp.asarray(False)
    best = jnp.asarray(jnp.inf, jnp.float32)
    return Loop(arrays, i32(0), true, false, zeros, best, i32(0), rows, i32(0)), rest


def _copied(x: Any) -> Any:
    return jnp.copy(x) if eqx.is_array(x) else x


# -- the compiled loop ----------------------------------------------------------------------------


def advance(method, problem, key, rest, merit, loop: Loop, last, every, looks) -> Loop:
    """From look to look until `last`, done, a plateau, a metric that is not finite, or full rows.

    Two nested loops with traced trip counts: nothing conditional touches the state in the inner
    one, so a step may update it in place; and one compilation serves every chunk length.
    """

    def step(carry):
        arrays, i, _, _ = carry
        new, metrics = method.step(problem, eqx.combine(arrays, rest), branch(key, "step", i))
        metrics = {k: jnp.asarray(v, loop.metrics[k].dtype) for k, v in metrics.items()}
        ok = jnp.asarray(True)
        for v in metrics.values():
            ok &= jnp.isfinite(v)
        return _strong(eqx.filter(new, eqx.is_array)), i + ok, ok, metrics

    def to_look(c: Loop) -> Loop:
        until = jnp.minimum((c.step // every + 1) * every, last)
        arrays, i, ok, metrics = jax.lax.while_loop(
            lambda s: (s[1] < until) & s[2], step, (c.state, c.step, c.ok, c.metrics)
        )
        look = ok & (i % every == 0)
        done = look & method.done(problem, eqx.combine(arrays, rest))
        at = jnp.minimum(c.count, HISTORY - 1)
        row = {**metrics, "step": i}
        rows = {k: jnp.where(look, v.at[at].set(row[k]), v) for k, v in c.rows.items()}
        value = jnp.asarray(metrics[merit] if merit else 0.0, jnp.float32)
        fell = value < c.best
        stale = jnp.where(look, jnp.where(fell, 0, c.stale + 1), c.stale)
        best = jnp.where(look & fell, value, c.best)
        return Loop(arrays, i, ok, done, metrics, best, stale, rows, c.count + look)

    def go_on(c: Loop):
        room = c.count < HISTORY if c.rows else True
        return (c.step < last) & c.ok & ~c.done & (c.stale < looks) & room

    return jax.lax.while_loop(go_on, to_look, loop)


def _chunk(fixed: tuple, loop: Loop) -> Loop:
    method, problem, key, rest, merit, last, every, looks = fixed
    return advance(method, problem, key, rest, merit, loop, last, every, looks)


_compiled = eqx.filter_jit(_chunk)
_compiled_donating = eqx.filter_jit(_chunk, donate="all-except-first")


def _advance_on_host(method, problem, key, loop: Loop, last: int, every: int, looks: int, flag):
    """The same loop in Python, for methods whose step is Python."""
    state, before, i, ok, done = loop.state, loop.state, int(loop.step), True, bool(loop.done)
    best, stale, rows, metrics = loop.best, loop.stale, [], loop.metrics
    while i < last and ok and not done and stale < looks and not flag.name:
        new, metrics = method.step(problem, state, branch(key, "step", i))
        ok = all(np.isfinite(v) for v in metrics.values())
        if not ok:  # the metrics speak of `state`: the one before it is the last good one
            return Loop(before, max(i - 1, 0), False, False, metrics, best, stale, rows, len(rows))
        before, state, i = state, new, i + 1
        if i % every == 0:
            done = bool(method.done(problem, state))
            rows.append({**metrics, "step": i})
            value = metrics[method.merit] if method.merit else 0.0
            best, stale = (value, 0) if value < best else (best, stale + 1)
    return Loop(state, i, ok, done, metrics, best, stale, rows, len(rows))


# -- without the host's services ------------------------------------------------------------------


def run(
    problem: Problem,
    method: Method,
    key: Any,
    *,
    start: Any = None,
    steps: int | None = None,
) -> Outcome:
    """The loop alone: pure, so it nests in other solves and under `eqx.filter_vmap`.

    Args:
        problem: what is asked; the method sees `problem.fit`.
        method: how.
        key: int or typed key (a traced one under `vmap`).
        start: an answer or outcome to start from.
        steps: fewer steps than the method's budget.

    Returns:
        The outcome after the last step, or after `done`, or before the first metric that is not
        finite.

    Raises:
        HypothesisError: a method whose step is Python.
    """
    if not isinstance(problem, Problem):
        raise UsageError(f"`problem` is {type(problem).__name__}, not a Problem")
    problem, key = problem.fit, open_key(key)
    outcome = as_outcome(start)
    for number, m in enumerate(stages(method)):
        m.suits(problem)
        k = stage_key(key, number)
        if isinstance(m, DirectMethod):
            outcome = drain(m.find(problem, outcome, branch(k, "finish")))
            continue
        if m.host:
            raise HypothesisError(
                f"`{type(m).__name__}` steps in Python, outside JAX", remedy="infsup.solve"
            )
        budget = m.steps if steps is None else steps
        m, p = traced(m), traced(problem)
        loop, rest = begin(m, p, outcome, k)
        loop = loop._replace(rows={})
        loop = advance(m, p, k, rest, None, loop, budget, m.every, NEVER)
        outcome = m.finish(p, eqx.combine(loop.state, rest), branch(k, "finish"))
    assert outcome is not None
    return outcome


def stage_key(key: Any, number: int) -> Any:
    """The key of a stage; the first stage has the key of a run without stages."""
    return branch(key, "stage", number) if number else key


def as_outcome(start: Any) -> Outcome | None:
    """An outcome, from an outcome, a solution or an answer; None from None."""
    if start is None or isinstance(start, Outcome):
        return start
    if hasattr(start, "certificates") and hasattr(start, "answer"):
        return Outcome(start.answer, dict(start.evidence))
    return Outcome(start)


def drain(found: Any, progress: Callable[[dict], None] = lambda metrics: None) -> Outcome:
    """What a direct method found; where it is a generator, what it yields is progress."""
    if isinstance(found, Outcome):
        return found
    if not hasattr(found, "__next__"):
        raise UsageError(f"`find` gave {type(found).__name__}", remedy="return Outcome(answer)")
    while True:
        try:
            progress(next(found))
        except StopIteration as end:
            return end.value


# -- with the host's services ---------------------------------------------------------------------


@dataclass(frozen=True)
class Stop:
    """What a callback returns to end the run."""

    why: str


@dataclass(frozen=True)
class Event:
    """What a callback is told, about ten times a second: host copies, nothing that it can change.

    Args:
        kind: "start", "chunk" or "end".
        stage: number of the stage in a chain of methods.
        step, steps: steps made, and the budget.
        metrics: of the last step.
        looks: metrics at the looks since the last event, name -> array.
        seconds: of stepping so far, compile time apart.
    """

    kind: str
    stage: int
    step: int
    steps: int
    metrics: dict[str, float] = field(default_factory=dict)
    looks: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class Services:
    """What the host does around the loop.

    Args:
        flag: set by signals.
        certify: (outcome, number of the look) -> certificate, for `Reach`.
        save: (loop, history tables, seconds, force) -> None, writes a checkpoint when one is due.
        restore: (loop) -> (loop, tables, seconds), where the run is resumed.
        tell: what is called at each event.
        phase: name of what is going on -> None.
        donate: whether the state's buffers are given to the step.
    """

    flag: Interrupt = field(default_factory=Interrupt)
    certify: Callable[[Outcome, int], Certificate] | None = None
    save: Callable[..., None] | None = None
    restore: Callable[[Loop], tuple[Loop, list[dict], float]] | None = None
    tell: Sequence[Callable[[Event], Any]] = ()
    phase: Callable[[str], None] = lambda name: None
    donate: bool = False
    stage: int = 0


@dataclass(frozen=True)
class Ran:
    """A finished run of one stage."""

    outcome: Outcome
    step: int
    why: str
    history: dict[str, np.ndarray]
    seconds: float
    compile_seconds: float
    certificate: Certificate | None = None
    error: Exception | None = None


def iterate(
    problem: Problem,
    method: IterativeMethod,
    key: Any,
    *,
    start: Outcome | None = None,
    stop: Rule | None = None,
    services: Services | None = None,
) -> Ran:
    """Chunk after chunk until a rule, a signal, an error or a number that is not finite ends it."""
    services = services or Services()
    steps, limit = int(method.steps), pick(stop, Seconds)
    if (cut := pick(stop, Steps)) is not None:
        steps = min(steps, cut.count)
    plateau, reach = pick(stop, Plateau), pick(stop, Reach)
    if plateau and method.merit is None:
        raise UsageError(
            f"`stop` has Plateau, and {type(method).__name__} has no metric that falls",
            remedy="Steps(...), Seconds(...) or Reach(...)",
        )
    every = int(method.every)
    clock = _Clock()
    services.phase("compiling")
    host = method.host
    if not host:
        method, problem = traced(method), traced(problem)
    loop, rest = begin(method, problem, start, key)
    tables: list[dict[str, np.ndarray]] = []
    if services.restore is not None:
        loop, tables, clock.seconds = services.restore(loop)
    engine = _Engine(method, problem, key, rest, every, plateau, services)
    bases: list[Loop] = []
    length, look, looks_made = 1, every, 0
    while look <= int(loop.step):
        look *= 2
        looks_made += 1
    why, certificate, error = "", None, None

    def tell(kind: str, new: dict[str, np.ndarray]) -> str:
        metrics = {k: float(v) for k, v in loop.metrics.items()}
        event = Event(kind, services.stage, int(loop.step), steps, metrics, new, clock.seconds)
        said = [t(event) for t in services.tell]
        return next((s.why or "callback" for s in said if isinstance(s, Stop)), "")

    why = tell("start", {})
    while not why:
        at = int(loop.step)
        last = min(steps, at + length, look if reach else steps)
        bases = [] if services.donate else [*bases[-1:], loop]
        try:
            with clock:
                loop = engine.advance(loop, last)
        except Exception as e:
            if at == 0 or services.donate:
                raise  # no answer yet: the error is the result
            loop, why, error = bases[-1], "error", e
            log.warning("the step after %d raised %s; the answer is that of step %d", at, e, at)
            break
        services.phase("running")
        if not loop.ok:
            loop, why = engine.last_good(loop, bases, start), "not finite"
        new = engine.take_rows(loop)
        if new:
            tables.append(new)
            loop = engine.empty_rows(loop)
        now = int(loop.step)
        why = why or (
            "done"
            if loop.done
            else "plateau"
            if plateau and int(loop.stale) >= plateau.looks
            else "steps"
            if now >= steps
            else ""
        )
        if reach and now == look and services.certify and why != "not finite":
            outcome = finish(method, problem, engine.state(loop), key)
            certificate = services.certify(outcome, looks_made)
            look, looks_made = look * 2, looks_made + 1
            if reached(certificate, reach.target):
                why = "reached"
        why = why or services.flag.name
        if not why and limit and clock.seconds >= limit.limit:
            why = "seconds"
        told = tell("chunk", new)  # also of the last chunk
        why = why or told
        if services.save is not None and not why:
            services.save(loop, tables, clock.seconds, False)
        seconds = max(clock.last, 1e-9)
        length = int(np.clip(length * np.clip(CHUNK_SECONDS / seconds, 0.25, 8.0), 1, NEVER // 4))

    if why not in ("not finite", "error") and not services.donate and not services.flag.hurry:
        with clock:
            loop, why = engine.confirm(loop, why, bases, start)
    outcome = finish(method, problem, engine.state(loop), key)
    if not _finite(outcome.answer) and (start is None or _finite(start.answer)):
        loop, why = engine.last_finite(loop, bases, start), "not finite"
        outcome = finish(method, problem, engine.state(loop), key)
    if why != "reached":
        certificate = None
    if services.save is not None:
        services.save(loop, tables, clock.seconds, True)
    tell("end", {})
    names = {k for t in tables for k in t}
    history = {k: np.concatenate([t[k] for t in tables]) for k in sorted(names)}
    keep = history.get("step", np.zeros(0)) <= int(loop.step)
    history = {k: v[keep] for k, v in history.items()}
    return Ran(
        outcome, int(loop.step), why, history, clock.seconds, clock.compiling, certificate, error
    )


def reached(certificate: Certificate, target: float) -> bool:
    """Whether the defended end is at the target or better.

    Raises:
        UsageError: the quantity has no sense, so no end is defended.
    """
    if certificate.sense == "none":
        raise UsageError(
            f"`stop` has Reach, and neither end of {certificate.quantity} is the better one"
        )
    if not certificate.holds():
        return False
    end = certificate.defended
    return end >= target if certificate.sense == "max" else end <= target


def _finite(tree: Any) -> bool:
    """Whether all inexact arrays of a tree are finite."""
    leaves = [x for x in jax.tree.leaves(tree) if eqx.is_inexact_array(x)]
    return all(bool(jnp.isfinite(x).all()) for x in leaves)


class _Clock:
    """Seconds of stepping, compile time apart."""

    def __init__(self):
        self.seconds = self.compiling = self.last = 0.0

    def __enter__(self):
        self._start, self._compiled = time.monotonic(), compilations.seconds
        return self

    def __exit__(self, *_):
        compiling = compilations.seconds - self._compiled
        self.last = max(time.monotonic() - self._start - compiling, 0.0)
        self.seconds += self.last
        self.compiling += compiling


class _Engine:
    """One method on one problem: compiled or on the host, forwards and back to a good state."""

    def __init__(self, method, problem, key, rest, every, plateau, services):
        self.method, self.problem, self.key, self.rest = method, problem, key, rest
        self.every, self.services = every, services
        self.looks = plateau.looks if plateau else NEVER
        self.merit = method.merit if plateau else None
        self.call = _compiled_donating if services.donate else _compiled

    def state(self, loop: Loop) -> Any:
        return loop.state if self.method.host else eqx.combine(loop.state, self.rest)

    def advance(self, loop: Loop, last: int, every: int = 0, looks: int = 0) -> Loop:
        every, looks = every or self.every, looks or self.looks
        if self.method.host:
            return _advance_on_host(
                self.method, self.problem, self.key, loop, last, every, looks, self.services.flag
            )
        i32 = lambda v: jnp.asarray(v, jnp.int32)  # noqa: E731
        fixed = (self.method, self.problem, self.key, self.rest, self.merit)
        new = self.call((*fixed, i32(last), i32(every), i32(looks)), loop)
        new.step.block_until_ready()
        return new

    def take_rows(self, loop: Loop) -> dict[str, np.ndarray]:
        count = int(loop.count)
        if not count:
            return {}
        if self.method.host:
            return {k: np.array([r[k] for r in loop.rows]) for k in loop.rows[0]}
        # sliced on the host: a slice of each length would be a compilation of its own
        return {k: np.asarray(v)[:count].copy() for k, v in loop.rows.items()}

    def empty_rows(self, loop: Loop) -> Loop:
        if self.method.host:
            return loop._replace(count=0, rows=[])
        return loop._replace(count=jnp.zeros_like(loop.count))

    def replay(self, good: int, bases: Sequence[Loop], start: Outcome | None) -> Loop:
        """The loop at step `good`, from the newest kept state before it, or from the beginning."""
        base = next((b for b in reversed(bases) if int(b.step) <= good), None)
        if base is None:
            base, _ = begin(self.method, self.problem, start, self.key)
        while int(base.step) < good:
            base = self.advance(self.empty_rows(base), good, looks=NEVER)
        return self.empty_rows(base)

    def last_good(self, loop: Loop, bases: Sequence[Loop], start: Outcome | None) -> Loop:
        """Metrics of step k speak of the state before it, so the last good state is that of k-1."""
        if self.method.host:
            return loop
        return self.replay(max(int(loop.step) - 1, 0), bases, start)

    def confirm(
        self, loop: Loop, why: str, bases: Sequence[Loop], start: Outcome | None
    ) -> tuple[Loop, str]:
        """One more step, thrown away: its metrics are the first to speak of the last state."""
        if self.method.host:
            return loop, why
        fresh = self.empty_rows(loop)._replace(
            done=jnp.asarray(False), stale=jnp.zeros_like(loop.stale)
        )
        probe = self.advance(fresh, int(loop.step) + 1, every=NEVER)
        if probe.ok:
            return loop, why
        return self.replay(max(int(loop.step) - 1, 0), bases, start), "not finite"

    def last_finite(self, loop: Loop, bases: Sequence[Loop], start: Outcome | None) -> Loop:
        """The last step whose answer is finite, where no metric gave the alarm: by bisection."""
        if self.method.host:
            return loop
        low, high = 0, int(loop.step)
        while high - low > 1:
            middle = (low + high) // 2
            trial = self.replay(middle, bases, start)
            answer = finish(self.method, self.problem, self.state(trial), self.key).answer
            low, high = (middle, high) if _finite(answer) else (low, middle)
        return self.replay(low, bases, start)
