"""Problems whose answers are records from files: predictions of any classifier, bounded numbers."""

import math
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import numpy as np

from infsup.core.answers import Draws, Predictions, shape_of
from infsup.core.errors import UsageError
from infsup.core.problem import Problem
from infsup.core.split import DataSet, SeenRows, Split


@dataclass(frozen=True)
class Labels:
    """A problem asks for one label a row, or for one score a class and row.

    Args:
        count: rows.
        classes: names of the labels, in the order of their numbers; () where they are numbers.
    """

    count: int
    classes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"Predictions of {self.count} labels, or of scores [{self.count}, classes]"

    def accept(self, answer: Any) -> Predictions:
        """Labels as numbers, whole; a text that is no label becomes -1, which is never right.

        Raises:
            UsageError: another number of rows, or values that are no labels.
        """
        name = answer.name if isinstance(answer, Predictions) else "predictions"
        said = np.asarray(answer.values if isinstance(answer, Predictions) else answer)
        if said.dtype.kind in "UT" or (said.dtype == object and said.ndim == 1):
            if not all(isinstance(s, str) for s in said.tolist()):
                raise UsageError("`answer` holds objects that are no text", remedy="labels as text")
            number = {c: i for i, c in enumerate(self.classes)}
            said = np.array([number.get(str(s), -1) for s in said.tolist()], np.int32)
        if said.dtype.kind not in "fiub" or said.ndim not in (1, 2):
            what = type(answer).__name__ if said.ndim == 0 else shape_of(said)
            raise UsageError(f"`answer` is {what}", f"This problem asks for {self}.")
        if len(said) != self.count:
            raise UsageError(
                f"`answer` holds {len(said)} predictions for {self.count} labels",
                "There is one for each label, in the same order.",
            )
        if said.ndim == 1 and said.dtype.kind == "f":
            given = said[~np.isnan(said)]
            if (given != np.round(given)).any():
                raise UsageError(
                    f"`answer` holds {given[given != np.round(given)][0]:g}, which is no label",
                    "It looks like a score.",
                    "(scores > 0.5).astype(int)   or   an array [n, classes] of scores",
                )
        return Predictions(said, name=name)


class Classification(Problem):
    """Judge predictions of given labels: the rows are there, the classifier need not be.

    Args:
        labels: array or list [n], of integers or of text.
        name: what to call the rows in print.

    Raises:
        UsageError: no rows, or labels that are neither integers nor text.
    """

    labels: Any
    classes: tuple[str, ...] = eqx.field(static=True)
    title: str = eqx.field(static=True)

    def __init__(self, labels: Any, name: str = "labels"):
        found = np.asarray(labels)
        if found.ndim != 1 or len(found) == 0:
            raise UsageError(f"`labels` is {shape_of(found)}", "One label a row, at least one row.")
        self.classes = ()
        if found.dtype.kind in "UT" or found.dtype == object:
            if not all(isinstance(s, str) for s in found.tolist()):
                raise UsageError(
                    "`labels` holds objects that are no text", remedy="integers or text"
                )
            names, found = np.unique(found.astype(str), return_inverse=True)
            self.classes = tuple(map(str, names))
        if found.dtype.kind == "f" and (np.isnan(found).any() or (found != np.round(found)).any()):
            bad = int(np.argmax(~(found == np.round(found))))
            raise UsageError(
                f"`labels` holds {found[bad]} in row {bad}", remedy="integers or text as labels"
            )
        if found.dtype.kind not in "fiub":
            raise UsageError(f"`labels` holds {found.dtype}", remedy="integers or text")
        self.labels = found.astype(np.int64)
        self.title = name

    @property
    def asks(self):
        return Labels(len(self.labels), self.classes)

    @property
    def name(self):
        return self.title

    def rows(self, side: str) -> SeenRows:
        if side != "held_out":
            return SeenRows()
        data = DataSet({"y": self.labels}, name=self.title)
        every = np.arange(len(data), dtype=np.int32)
        whole = Split(None, {"y": self.labels}, None, every, self.title, data.source, data.hash)
        return whole.rows(side)


class BoundedMean(Problem):
    """Bracket the mean of the law behind numbers that lie in a range known beforehand.

    Args:
        lo, hi: the range that every possible value lies in (not: the range of these values).
        name: what to call the quantity in print.

    Raises:
        UsageError: lo >= hi, or an end that is not finite.
    """

    lo: float
    hi: float
    title: str = eqx.field(static=True)

    def __init__(self, lo: float | int = 0.0, hi: float | int = 1.0, name: str = "values"):
        try:
            fits = math.isfinite(lo) and math.isfinite(hi) and lo < hi
        except TypeError:
            fits = False
        if not fits:
            raise UsageError(
                f"`lo` = {lo}, `hi` = {hi} of BoundedMean",
                "The interval rests on a range that every possible value lies in.",
                "BoundedMean(0.0, 1.0)",
            )
        self.lo, self.hi, self.title = float(lo), float(hi), name

    @property
    def asks(self):
        return Numbers()

    @property
    def name(self):
        return self.title


@dataclass(frozen=True)
class Numbers:
    """A problem asks for numbers, in the order in which they were drawn."""

    def __str__(self) -> str:
        return "Draws of real numbers [n]"

    def accept(self, answer: Any) -> Draws:
        """The numbers as float64.

        Raises:
            UsageError: no numbers, NaN, or more than one axis.
        """
        x = np.asarray(answer.x if isinstance(answer, Draws) else answer)
        if x.dtype.kind not in "fiub" or x.ndim != 1 or len(x) == 0:
            what = shape_of(x) if x.ndim else type(answer).__name__
            raise UsageError(f"`answer` is {what}", f"This problem asks for {self}.")
        x = x.astype(np.float64)
        if np.isnan(x).any():
            raise UsageError(
                f"`answer` holds NaN, first in row {int(np.argmax(np.isnan(x)))}",
                "A missing value has no place in a range.",
                "find out why it is missing; dropping it changes what the mean is of",
            )
        return Draws(x)
