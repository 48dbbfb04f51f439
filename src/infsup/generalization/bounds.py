"""What the rows held out say of the rows to come."""

import math
from fractions import Fraction
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from infsup.core.answers import Accepted, Predictions, evaluate
from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, Hypothesis
from infsup.core.errors import HypothesisError, UsageError, nearest
from infsup.core.intervals import betting, clopper_pearson, paired_difference, student_t
from infsup.core.problem import Problem
from infsup.core.registry import name_of
from infsup.generalization import losses
from infsup.generalization.problem import EmpiricalRisk
from infsup.generalization.records import BoundedMean, Classification

LOSSES = ("zero_one", "absolute", *losses.LOSSES)

INDEPENDENT = Hypothesis("the rows are independent draws of one law", "assumed")


class HoldOut(Bound):
    r"""The risk on the law behind the data, from the rows held out.

    It speaks of new rows of the same law. Of this file it could say nothing at random: given the
    rows to fit, those held out are the rest, and the answer's error on them is a count
    (`HeldOutRate`).

    - "zero_one" (labels): Clopper-Pearson, kind `confidence`. The label said is the first of the
      largest logits; a row with a NaN among its logits counts as wrong.
    - a loss with a stated `range` [lo, hi]: betting, kind `confidence`; a value outside the range
      makes it `inapplicable`.
    - any other loss: Student's interval, kind `asymptotic`: without a range no finite sample
      bounds a mean.

    Args:
        loss: "zero_one", "absolute", "squared", "cross_entropy", "logistic", or None for
            "zero_one" with labels, and the problem's own loss with real targets.
        range: (lo, hi) that the loss of every possible row lies in, if there is one.

    Raises:
        UsageError: an unknown loss, or lo >= hi.

    Source: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934); I. Waudby-Smith and A. Ramdas,
    J. R. Statist. Soc. B 86 (2024); Student, Biometrika 6 (1908).
    """

    problems: ClassVar = (EmpiricalRisk, Classification)
    unseen: ClassVar = True

    loss: str | None = eqx.field(static=True, default=None)
    range: tuple | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.loss is not None and self.loss not in LOSSES:
            raise UsageError(
                f"`loss` of HoldOut is {self.loss!r}", remedy=nearest(self.loss, LOSSES)
            )
        if self.range is not None:
            try:
                lo, hi = self.range
                fits = math.isfinite(lo) and math.isfinite(hi) and lo < hi
            except (TypeError, ValueError):
                fits = False
            if not fits:
                raise UsageError(f"`range` of HoldOut is {self.range}", remedy="range=(0.0, 1.0)")

    def certify(self, problem, outcome, key, delta):
        loss = self.loss or ("zero_one" if _labelled(problem) else "own")
        if loss == "zero_one":
            return self._rate(problem, outcome.answer, delta)
        if not isinstance(problem, EmpiricalRisk):
            raise HypothesisError(
                f"`loss` = {loss!r}, and the problem has labels only", remedy="HoldOut()"
            )
        values = _losses(problem, outcome.answer, loss)
        word = _word(problem, loss)
        quantity, of = f"mean {word}", _of(problem, outcome.answer)
        proof = {"values": values, "delta": delta, "range": self.range}
        if self.range is None:
            if not np.isfinite(values).all():
                bad = int((~np.isfinite(values)).sum())
                return self._refused(quantity, of, f"the {word} of {bad} rows is not finite")
            found = student_t(values, delta)
            if found.refused:
                return self._refused(quantity, of, found.refused)
            lower, upper, kind, span = max(found.lower, 0.0), found.upper, "asymptotic", math.inf
            inside: tuple = ()
        else:
            lo, hi = map(float, self.range)
            kind, span = "confidence", hi
            inside = (_within(values, lo, hi, f"the {word} of a row"),)
            lower, upper = lo, hi
            if inside[0].state != "violated":
                found = betting(values, delta, lo=lo, hi=hi)
                lower, upper = found.lower, found.upper
        return Certificate(
            quantity,
            of,
            lower,
            upper,
            kind,
            name_of(type(self)),
            sense="min",
            range=(0.0 if self.range is None else float(self.range[0]), span),
            level=1 - delta,
            dtype=_dtype(outcome.answer),
            hypotheses=(INDEPENDENT, *inside),
            budget={"sampling": upper - lower},
            proof=proof,
            source="Waudby-Smith and Ramdas 2024" if self.range else "Student 1908",
        )

    def _rate(self, problem: Any, answer: Any, delta: float) -> Certificate:
        wrong = _wrong(problem, answer)
        n, k = len(wrong), int(wrong.sum())
        found = clopper_pearson(k, n, delta)
        return Certificate(
            "error rate",
            _of(problem, answer),
            found.lower,
            found.upper,
            "confidence",
            name_of(type(self)),
            sense="min",
            range=(0.0, 1.0),
            level=1 - delta,
            dtype=_dtype(answer),
            hypotheses=(INDEPENDENT,),
            budget={"sampling": found.upper - found.lower},
            proof={"wrong": k, "rows": n, "delta": delta},
            source="Clopper and Pearson 1934",
        )

    def _refused(self, quantity: str, of: str, reason: str) -> Certificate:
        return Certificate(
            quantity,
            of,
            -math.inf,
            math.inf,
            "asymptotic",
            name_of(type(self)),
            sense="min",
            verdict="refused",
            reason=reason,
        )


class HeldOutRate(Bound):
    """The error on the held-out rows of this file: a count, so known exactly.

    It speaks of these rows and of the predictions as they were computed here; another executor
    may round another logit across a tie. Labels: lower = upper = k/n. Real targets: the mean of
    the problem's loss, between ends that hold its rounding.
    """

    problems: ClassVar = (EmpiricalRisk, Classification)
    spends: ClassVar = False

    def certify(self, problem, outcome, key, delta):
        answer = outcome.answer
        rows = f"the {_count(problem)} held-out rows of {_title(problem)}"
        executor = "" if isinstance(answer, Predictions) else f", as computed here ({_executor()})"
        common: dict[str, Any] = {"sense": "min", "dtype": _dtype(answer)}
        of = f"{_who(answer)} on {rows}{executor}"
        if _labelled(problem):
            wrong = _wrong(problem, answer)
            n, k = len(wrong), int(wrong.sum())
            return Certificate(
                "error rate",
                of,
                Fraction(k, n),
                Fraction(k, n),
                "proved",
                name_of(type(self)),
                range=(0.0, 1.0),
                proof={"wrong": k, "rows": n},
                **common,
            )
        values = _losses(problem, answer, "own")
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            return Certificate(
                f"mean {_word(problem, 'own')}",
                of,
                -math.inf,
                math.inf,
                "proved_real",
                name_of(type(self)),
                verdict="refused",
                reason=f"the loss of {bad} rows is not finite",
                **common,
            )
        mean = math.fsum(values) / len(values)
        width = 1e-12 * math.fsum(np.abs(values)) / len(values)
        return Certificate(
            f"mean {_word(problem, 'own')}",
            of,
            mean - width,
            mean + width,
            "proved_real",
            name_of(type(self)),
            range=(-math.inf, math.inf),
            budget={"rounding": 2 * width},
            proof={"values": values},
            **common,
        )


class PairedHoldOut(Bound):
    """error(A) - error(B) of two classifiers on the law behind the data, from the same rows.

    What is hard for both cancels, so it is much shorter than the difference of two intervals.
    Betting on the differences, which lie in {-1, 0, 1}.

    Args:
        against: classifier B: `Predictions` of the same rows, or any answer of the problem.

    Source: I. Waudby-Smith and A. Ramdas, J. R. Statist. Soc. B 86 (2024).
    """

    problems: ClassVar = (EmpiricalRisk, Classification)
    unseen: ClassVar = True

    against: Any = None

    def __check_init__(self):
        if self.against is None:
            raise UsageError(
                "`against` of PairedHoldOut is missing",
                "It compares an answer with another one.",
                "PairedHoldOut(against=infsup.Predictions(labels))",
            )

    def certify(self, problem, outcome, key, delta):
        other = problem.accept(self.against)
        if not _labelled(problem):
            raise HypothesisError("the problem has no labels, so no answer is right or wrong")
        a, b = _wrong(problem, outcome.answer), _wrong(problem, other)
        found = paired_difference(a.astype(float), b.astype(float), delta)
        ours, theirs = _who(outcome.answer), _who(other)
        return Certificate(
            f"error rate of {ours} minus that of {theirs}",
            f"the law behind {_title(problem)}",
            found.lower,
            found.upper,
            "confidence",
            name_of(type(self)),
            sense="min",
            range=(-1.0, 1.0),
            level=1 - delta,
            dtype=_dtype(outcome.answer),
            hypotheses=(INDEPENDENT,),
            budget={"sampling": found.upper - found.lower},
            proof={"a": a, "b": b, "delta": delta},
            source="Waudby-Smith and Ramdas 2024",
        )


class Betting(Bound):
    """The mean of bounded numbers, by betting; valid at this sample size.

    A number outside the stated range makes it `inapplicable`: the range was not one.

    Source: I. Waudby-Smith and A. Ramdas, J. R. Statist. Soc. B 86 (2024).
    """

    problems: ClassVar = (BoundedMean,)

    def certify(self, problem, outcome, key, delta):
        x, lo, hi = outcome.answer.x, problem.lo, problem.hi
        inside = _within(x, lo, hi, "a value")
        lower, upper = lo, hi
        if inside.state != "violated":
            found = betting(x, delta, lo=lo, hi=hi)
            lower, upper = found.lower, found.upper
        return Certificate(
            "mean",
            f"the law behind {len(x)} {problem.name}",
            lower,
            upper,
            "confidence",
            name_of(type(self)),
            range=(lo, hi),
            level=1 - delta,
            hypotheses=(
                Hypothesis("the values are independent draws of one law, in this order", "assumed"),
                inside,
            ),
            budget={"sampling": upper - lower},
            proof={"values": x, "delta": delta, "range": (lo, hi)},
            source="Waudby-Smith and Ramdas 2024",
        )


# -- rows, right and wrong --------------------------------------------------------------------


def _within(values: np.ndarray, lo: float, hi: float, what: str) -> Hypothesis:
    """Whether all values lie in the stated range; that the others would can only be assumed."""
    text = f"{what} lies in [{lo:g}, {hi:g}]"
    outside = ~((values >= lo) & (values <= hi))
    if outside.any():
        row = int(np.argmax(outside))
        return Hypothesis(text, "violated", f"{values[row]:g} in row {row}, {outside.sum()} in all")
    return Hypothesis(text, "assumed", "true of all values seen")


def _labelled(problem: Problem) -> bool:
    return problem.labelled if isinstance(problem, EmpiricalRisk) else True


def _held_out(problem: Any) -> dict[str, np.ndarray]:
    """The held-out columns; of a file of predictions, all labels.

    Raises:
        UsageError: the problem is what a method sees, or was loaded without its rows.
    """
    if isinstance(problem, Classification):
        return {"y": problem.labels}
    if problem.data.held_out is None:
        raise UsageError(
            "the problem holds no rows out",
            "It is `problem.fit`, or was loaded without its data.",
            "the problem itself   or   infsup.load(path, problem=problem)",
        )
    return {k: np.asarray(a) for k, a in problem.data.held_out.items()}


def _count(problem: Any) -> int:
    return len(_held_out(problem)["y"])


def _said(problem: Any, answer: Any) -> np.ndarray:
    """What the answer says of the held-out rows."""
    if isinstance(answer, Predictions):
        return np.asarray(answer.values)
    return evaluate(answer, _held_out(problem)["x"])


def _wrong(problem: Any, answer: Any) -> np.ndarray:
    """Whether each held-out row is wrong, as booleans [n]."""
    y, said = _held_out(problem)["y"], _said(problem, answer)
    one_logit = isinstance(problem, EmpiricalRisk) and problem.loss_name == "logistic"
    labels = said
    if one_logit and not isinstance(answer, Predictions):
        labels = said > 0
    elif said.ndim == y.ndim + 1:
        labels = said.argmax(-1)
    wrong = labels != y
    if said.dtype.kind == "f":
        lost = np.isnan(said).reshape(len(said), -1).any(1)
        wrong = wrong | lost
    return wrong


def _losses(problem: Any, answer: Any, loss: str) -> np.ndarray:
    """The loss of each held-out row, as float64 [n].

    Raises:
        HypothesisError: a loss of scores, and the answer gives labels only.
    """
    held, said = _held_out(problem), _said(problem, answer)
    y = held["y"]
    name = problem.loss_name if loss == "own" else loss
    if callable(name):
        return np.asarray(jax.vmap(name)(said, y), np.float64)
    said = said.astype(np.float64)
    if name in losses.LABELLED:
        scores = y.ndim + (name == "cross_entropy")
        if not problem.labelled or said.ndim != scores or isinstance(answer, Predictions):
            raise HypothesisError(
                f"`loss` = {name!r} takes logits, and the answer gives {said.shape}",
                remedy='HoldOut(loss="zero_one")',
            )
        if name == "logistic":
            return np.logaddexp(0.0, np.where(y == 1, -said, said))
        with np.errstate(invalid="ignore"):  # infinite logits give NaN, which the caller refuses
            top = said.max(-1, keepdims=True)
            each = np.log(np.exp(said - top).sum(-1)) + top[:, 0]
            return each - said[np.arange(len(y)), y]
    gap = (said - y.astype(np.float64)).reshape(len(y), -1)
    return (gap**2).sum(1) if name == "squared" else np.abs(gap).sum(1)


def _word(problem: Any, loss: str) -> str:
    name = problem.loss_name if loss == "own" else loss
    words = {"squared": "squared error", "absolute": "absolute error"}
    return words.get(name, name.replace("_", " ") if isinstance(name, str) else "loss")


def _who(answer: Any) -> str:
    if isinstance(answer, Predictions):
        return answer.name
    inner = answer.answer if isinstance(answer, Accepted) else answer
    while hasattr(inner, "inner"):
        inner = inner.inner
    return getattr(inner, "__name__", type(inner).__name__)


def _title(problem: Any) -> str:
    return problem.data.name if isinstance(problem, EmpiricalRisk) else problem.name


def _of(problem: Any, answer: Any) -> str:
    return f"{_who(answer)} on the law behind {_title(problem)}"


def _dtype(answer: Any) -> str:
    return str(answer.out.dtype) if isinstance(answer, Accepted) else str(answer.values.dtype)


def _executor() -> str:
    return f"jax {jax.__version__} on {jax.default_backend()}"
