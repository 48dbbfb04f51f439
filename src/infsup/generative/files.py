"""Statements about files: draws of any generator against rows that it has not seen."""

from typing import Any

import numpy as np

from infsup.core.answers import Draws, shape_of
from infsup.core.certificate import Certificate
from infsup.core.errors import UsageError
from infsup.core.keys import branch, open_key
from infsup.core.ledger import DeltaLedger
from infsup.core.split import DataSet, Split
from infsup.core.verbs import certify
from infsup.generative.bounds.critic_lower import LEAST, MEASURES, CriticLower
from infsup.generative.bounds.w2_to_held_out import W2ToHeldOut
from infsup.generative.problem import Transport, check_digits


def certify_samples(
    samples: Any,
    held_out: Any,
    *,
    delta: float = 0.01,
    key: Any = 0,
    of: str = "samples",
    rows: str = "the data",
    within: tuple[float, float] | None = None,
) -> tuple[Certificate, ...]:
    """How far the law of a generator is from data, from draws of it and rows that it did not see.

    Args:
        samples: [n, ...], draws of the generator.
        held_out: [m, ...], rows that it did not see.
        delta: probability that any certificate is wrong, in (0, 1); divided among them.
        key: of the halves on which critics are trained and judged.
        of: what to call the draws in print.
        rows: what to call the rows.
        within: (least, largest) possible value of a draw's numbers, where it is known (pixels):
            then W2 has a bracket that holds at this sample size.

    Returns:
        (W2 to these rows, and lower bounds of TV, JS and KL to the law behind them), each
        conditional on independent draws and on rows that were not seen.

    Raises:
        UsageError: different columns, NaN, too few rows, digits that float32 cannot hold.
    """
    x, y = np.asarray(samples), np.asarray(held_out)
    for a, what in ((x, of), (y, rows)):
        if a.ndim < 2 or a.dtype.kind not in "fiub" or not len(a):
            raise UsageError(f"`{what}` is {shape_of(a)}", "One row a draw.", "x[:, None]")
        if not np.isfinite(np.asarray(a, np.float64)).all():
            raise UsageError(f"`{what}` holds NaN or inf")
        if len(a) < 2 * LEAST:
            raise UsageError(
                f"`{what}` holds {len(a)} rows", f"At least {2 * LEAST} are needed.", "more rows"
            )
    if x.shape[1:] != y.shape[1:]:
        raise UsageError(
            f"`{of}` has {int(np.prod(x.shape[1:]))} columns, `{rows}` has "
            f"{int(np.prod(y.shape[1:]))}",
            "Both are draws of laws on the same space.",
        )
    with np.errstate(over="ignore"):
        short = x.astype(np.float32), y.astype(np.float32)
    check_digits(x, short[0], of)
    check_digits(y, short[1], rows)
    data = DataSet({"x": short[1]}, name=rows)
    every = np.arange(len(data), dtype=np.int32)
    split = Split(None, data.take(every), None, every, rows, data.source, data.hash)
    problem = Transport(split, grid=0.0)
    ledger, found = DeltaLedger(delta), []
    bounds = (W2ToHeldOut(within=within), *(CriticLower(m) for m in MEASURES))
    share = ledger.share(len(bounds))
    for number, bound in enumerate(bounds):
        k = branch(open_key(key), "certify", number)
        answer = Draws(short[0])
        found.append(certify(problem, answer, bound, key=k, delta=share))
        ledger = ledger.spend(share, type(bound).__name__)
    return tuple(found)


def equal_rows(samples: Any, rows: Any) -> int:
    """How many of the samples equal one of the rows in content."""
    known = {np.ascontiguousarray(r).tobytes() for r in np.asarray(rows, np.float64) + 0.0}
    return sum(np.ascontiguousarray(r).tobytes() in known for r in np.asarray(samples, float) + 0.0)
