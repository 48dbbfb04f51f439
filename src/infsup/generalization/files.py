"""Statements about files: predictions of any classifier, bounded numbers."""

from typing import Any

import numpy as np

from infsup.core.answers import Predictions
from infsup.core.certificate import Certificate
from infsup.core.ledger import DeltaLedger
from infsup.core.verbs import certify
from infsup.generalization.bounds import Betting, HoldOut, PairedHoldOut
from infsup.generalization.records import BoundedMean, Classification


def certify_predictions(
    labels: Any,
    predictions: Any,
    against: Any = None,
    *,
    delta: float = 0.01,
    names: tuple[str, str] = ("A", "B"),
    of: str = "labels",
) -> tuple[Certificate, ...]:
    """The error rate of a classifier from what it said; of two of them, paired.

    Args:
        labels: array or list [n], integers or text.
        predictions: what A said of each row: labels [n], or scores [n, classes].
        against: what B said, if there are two.
        delta: probability that any of the certificates is wrong, in (0, 1); divided among them.
        names: of A and B, in print.
        of: what to call the rows in print.

    Returns:
        With one classifier (its error rate,). With two (the difference A - B, the error rate of
        A, that of B), each at delta/3.

    Raises:
        UsageError: predictions that do not fit the labels.
    """
    problem = Classification(labels, name=of)
    a = Predictions(_values(predictions), name=names[0])
    if against is None:
        return (certify(problem, a, HoldOut(), delta=delta),)
    b = Predictions(_values(against), name=names[1])
    ledger, found = DeltaLedger(delta), []
    share = ledger.share(3)
    for answer, bound, what in (
        (a, PairedHoldOut(against=b), "difference"),
        (a, HoldOut(), names[0]),
        (b, HoldOut(), names[1]),
    ):
        found.append(certify(problem, answer, bound, delta=share))
        ledger = ledger.spend(share, what)
    return tuple(found)


def certify_mean(
    values: Any, range: tuple[float, float], *, delta: float = 0.01, of: str = "values"
) -> Certificate:
    """The mean of the law behind bounded numbers, from a sample.

    Args:
        values: array or list [n], in the order drawn.
        range: (lo, hi) that every possible value lies in.
        delta: probability that the certificate is wrong, in (0, 1).
        of: what to call the values in print.

    Returns:
        The certificate; `inapplicable` where a value lies outside the range.

    Raises:
        UsageError: NaN, no values, or lo >= hi.
    """
    lo, hi = range
    return certify(BoundedMean(lo, hi, name=of), np.asarray(values), Betting(), delta=delta)


def _values(x: Any) -> Any:
    return np.asarray(x.values if isinstance(x, Predictions) else x)
