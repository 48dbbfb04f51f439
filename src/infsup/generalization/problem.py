"""Empirical risk: find a function that is right on the rows to come."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from infsup.core.answers import Accepted, Function, Predictions, Shape, shape_of
from infsup.core.certificate import Hypothesis
from infsup.core.errors import UsageError, nearest
from infsup.core.sharding import spread
from infsup.core.split import DataSet, SeenRows, Split
from infsup.generalization import losses
from infsup.networks.recipes import Flat, Linear, affine, trainable
from infsup.optimization import arguments
from infsup.optimization.problem import FiniteSum, Number


class EmpiricalRisk(FiniteSum):
    r"""Fit a function to rows (x, y), some of which are held out to judge it.

    Methods minimise f = mean over the rows to fit of loss(answer(x), y) + ridge/2 |w|^2, with w
    all trained arrays of the answer, its biases included. Bounds that speak of rows to come use
    the held-out ones.

    With `model=Linear()` the class of functions belongs to the question. Then f is convex for the
    named losses, strongly with mu = ridge, and self-concordant (`losses.self_concordance`).

    Args:
        data: a `DataSet` with columns "x" [n, ...] and "y"; a pair (x, y) of arrays, read as
            float32 and int32 (float32 for real targets); or a `Split` of one's own.
        loss: "cross_entropy" (labels, one logit a class), "logistic" (labels 0 and 1, one logit),
            "squared" (real targets), or a function (prediction, target) -> scalar of one row. By
            default cross entropy for integer labels, squared for real targets.
        model: the class of functions, where it is part of the question (`Linear()`); else None,
            and the method brings the model.
        ridge: >= 0.
        key: of the random split, an int or a typed key.
        share: of the rows to fit, inside (0, 1).
        classes: how many labels there are; by default one more than the largest.

    Raises:
        UsageError: data of another form, labels that are not 0..k-1, one class only, a ridge < 0.
    """

    data: Split
    loss_name: Any = eqx.field(static=True)
    model: Any
    ridge: Number
    classes: int | None = eqx.field(static=True)

    def __init__(
        self,
        data: Any,
        *,
        loss: str | Callable | None = None,
        model: Any = None,
        ridge: Number = 0.0,
        key: Any = 0,
        share: float = 0.8,
        classes: int | None = None,
    ):
        arguments.number("EmpiricalRisk", "ridge", ridge, above=0, least=True)
        if isinstance(loss, str) and loss not in losses.LOSSES:
            raise UsageError(f"`loss` is {loss!r}", remedy=nearest(loss, losses.LOSSES))
        if loss is not None and not isinstance(loss, str) and not callable(loss):
            raise UsageError(f"`loss` is {type(loss).__name__}", remedy='loss="squared"')
        split = data if isinstance(data, Split) else None
        columns = (split.fit if split else _columns(data).columns) or {}
        if loss is None:
            labelled = np.dtype(_column(columns, "y").dtype).kind in "iub"
            loss = "cross_entropy" if labelled else "squared"
        if split is None:
            split = Split.random(_typed(_columns(data), loss), key, share)
        sides = [s for s in (split.fit, split.held_out) if s is not None]
        self.data = split
        self.loss_name = loss
        self.model = model
        self.ridge = ridge
        self.classes = _classes([s["y"] for s in sides], loss, classes, split.name)

    # -- what is asked ------------------------------------------------------------------------

    @property
    def asks(self):
        x, y = self._fitted["x"], self._fitted["y"]
        if self.loss_name == "cross_entropy":
            out = (self.classes,)
        elif self.loss_name == "logistic":
            out = ()
        elif self.loss_name == "squared":
            out = y.shape[1:]
        else:
            out = (self.classes,) if self.classes else y.shape[1:]
        return Function((Shape(x.shape[1:], x.dtype),), Shape(out, jnp.float32))

    def accept(self, answer):
        """A function of one row; or what one said of the held-out rows, in their order.

        An object with `predict` (of scikit-learn's kind) is asked for its predictions of the
        held-out rows.
        """
        if isinstance(answer, Accepted):
            answer = answer.answer
        held = self.data.held_out
        if held is not None and not callable(answer) and hasattr(answer, "predict"):
            said = np.asarray(answer.predict(np.asarray(held["x"])))
            answer = Predictions(said, name=type(answer).__name__)
        if not isinstance(answer, Predictions):
            return self.asks.accept(answer)
        if held is None:
            raise UsageError(
                "`answer` is a record of predictions, and this problem holds no rows out",
                remedy="EmpiricalRisk(data), whose split holds rows out",
            )
        said, y = np.asarray(answer.values), held["y"]
        if said.dtype.kind not in "fiub":
            raise UsageError(f"`answer` holds {said.dtype}", remedy="labels 0, 1, 2, ... or values")
        shapes = [y.shape]
        if self.labelled:
            shapes.append((len(y), *self.asks.out.shape))
        if said.shape not in shapes:
            raise UsageError(
                f"`answer` holds predictions {shape_of(said)} for {len(y)} held-out rows",
                "One for each held-out row, in the order of `problem.data.held_index`.",
                f"Predictions of shape {' or '.join(map(str, shapes))}",
            )
        return answer

    @property
    def labelled(self) -> bool:
        """Whether targets are labels, so that answers can be right or wrong."""
        return self.classes is not None

    @property
    def _fitted(self) -> Mapping[str, Any]:
        if self.data.fit is None:
            raise UsageError(
                f"the rows of {self.data.name} are not here",
                "A solution is stored without the rows of its data.",
                "infsup.load(path, problem=the_problem)   or   save(path, copy_data=True)",
            )
        return self.data.fit

    @property
    def fit(self):
        return self._with(self.data.only_fit())

    def bare(self) -> "EmpiricalRisk":
        """The same rows to fit without their origin: data sets of one shape share a compilation."""
        return self._with(Split(self.data.fit, None, None, None, "", "", ""))

    def _with(self, split: Split) -> "EmpiricalRisk":
        new = object.__new__(EmpiricalRisk)
        for name in ("loss_name", "model", "ridge", "classes"):
            object.__setattr__(new, name, getattr(self, name))
        object.__setattr__(new, "data", split)
        return new

    def rows(self, side: str) -> SeenRows:
        return self.data.rows(side)

    def trivial(self):
        """The most frequent label, or the mean target, of the rows to fit."""
        y = np.asarray(self._fitted["y"])
        shape, d = self.asks.out.shape, self._fitted["x"].shape[1:]
        if not self.labelled:
            if y.shape[1:] != shape:
                return {}
            value, name = y.mean(0, dtype=np.float64), "mean target"
        elif self.loss_name == "logistic":
            value, name = np.asarray(1.0 if 2 * y.sum() > len(y) else -1.0), "most frequent label"
        else:
            value = np.eye(shape[0])[np.bincount(y, minlength=shape[0]).argmax()]
            name = "most frequent label"
        if value.ndim > 1:
            return {}
        weight = np.zeros((*value.shape, int(np.prod(d))), np.float32)
        constant = affine(weight, value.astype(np.float32))
        return {name: constant if len(d) == 1 else Flat(constant)}

    @property
    def name(self):
        return f"EmpiricalRisk of {self.data.name}"

    def hypotheses(self):
        if self.strong_convexity is None:
            return ()
        text = f"the objective of an affine model is strongly convex with mu = {self.ridge:g}"
        return (Hypothesis(text, "checked"),)

    # -- what methods minimise ----------------------------------------------------------------

    @property
    def count(self):
        return self._fitted["x"].shape[0]

    @property
    def inputs(self):
        return self._fitted["x"]

    @property
    def recipe(self):
        return self.model

    def batch(self, key, size):
        i = jax.random.randint(key, (size,), 0, self.count, jnp.int32)
        return spread({k: self._fitted[k][i] for k in ("x", "y")})

    def loss(self, answer, rows):
        each = jax.vmap(lambda x, y: losses.of(self.loss_name)(answer(x), y))
        return each(rows["x"], rows["y"]).mean() + self._penalty(answer)

    def objective(self, answer):
        return self.loss(answer, self._fitted)

    def _penalty(self, answer):
        if isinstance(self.ridge, (int, float)) and self.ridge == 0:
            return 0.0
        arrays = jax.tree.leaves(eqx.filter(answer, trainable(answer)))
        return 0.5 * self.ridge * sum(jnp.sum(jnp.square(a)) for a in arrays)

    # -- what is known of the objective -------------------------------------------------------

    @property
    def _affine(self) -> bool:
        return isinstance(self.model, Linear) and isinstance(self.loss_name, str)

    @property
    def strong_convexity(self):
        return float(self.ridge) if self._affine and self.ridge > 0 else None

    @property
    def self_concordance(self):
        return losses.self_concordance(self.loss_name, self._longest()) if self._affine else None

    def _longest(self) -> float:
        x = np.asarray(self._fitted["x"], np.float64).reshape(self.count, -1)
        return float(np.sqrt((x * x).sum(1).max() + (1.0 if self.model.bias else 0.0)))

    def belongs(self, answer):
        net = answer.inner if isinstance(answer, Flat) else answer
        if not isinstance(net, eqx.nn.Linear):
            return f"the answer is {type(net).__name__}, no affine map of the inputs"
        if self.model is not None and net.use_bias and not self.model.bias:
            return "the answer has a bias, and the problem's class of functions has none"
        return ""

    def rounding(self, answer):
        """Sizes of the sums in f and its gradient, from norms of rows and weights."""
        net = answer.inner if isinstance(answer, Flat) else answer
        w = [np.asarray(a, np.float64) for a in (net.weight, net.bias) if a is not None]
        size, longest = float(np.sqrt(sum((a * a).sum() for a in w))), self._longest()
        y = np.asarray(self._fitted["y"], np.float64)
        target = float(np.abs(y).max()) if self.loss_name == "squared" else 1.0
        logit = longest * size + target
        ridge = float(self.ridge)
        if self.loss_name == "squared":
            return logit**2 + ridge * size**2, 2 * longest * logit + ridge * size
        return logit + ridge * size**2, longest * (1.0 + logit) + ridge * size


# -- data, once, at the door ------------------------------------------------------------------


def _columns(data: Any) -> DataSet:
    if isinstance(data, DataSet):
        return data
    if isinstance(data, tuple) and len(data) == 2:
        x, y = (np.asarray(a) for a in data)
        for name, a in (("x", x), ("y", y)):
            if a.dtype.kind not in "fiub":
                raise UsageError(
                    f"`{name}` of the data holds {a.dtype}",
                    remedy="numbers; text labels by numpy.unique(y, return_inverse=True)[1]",
                )
        y = y.astype(np.int32 if y.dtype.kind in "iub" else np.float32)
        with np.errstate(over="ignore"):
            return DataSet({"x": x.astype(np.float32), "y": y})
    raise UsageError(
        f"`data` is {type(data).__name__}",
        "It is a DataSet, a pair (x, y) of arrays, or a Split.",
        'EmpiricalRisk((x, y))   or   EmpiricalRisk(infsup.data.from_csv("file.csv", target="y"))',
    )


def _column(columns: Any, name: str) -> Any:
    if name not in columns:
        raise UsageError(
            f"`data` has no column `{name}`", f"It has {', '.join(columns)}.", 'columns "x" and "y"'
        )
    return columns[name]


def _typed(data: DataSet, loss: Any) -> DataSet:
    """Inputs as floats and targets as the loss takes them."""
    x, y = (np.asarray(_column(data.columns, k)) for k in ("x", "y"))
    if x.ndim < 2:
        raise UsageError(
            f"`x` is {shape_of(x)}", "It has one row a sample.", "x[:, None] for a single feature"
        )
    if x.dtype.kind != "f":
        x = x.astype(np.float32)
    if loss in losses.LABELLED:
        if y.ndim != 1:
            raise UsageError(
                f"`y` is {shape_of(y)}",
                f"`loss` = {loss!r} takes one label a row.",
                "y.argmax(1) for one-hot rows",
            )
        whole = y if y.dtype.kind != "f" else np.round(y)
        if (whole != y).any():
            bad = int(np.argmax(whole != y))
            raise UsageError(
                f"`y` holds {y[bad]:g} in row {bad}",
                f"`loss` = {loss!r} takes labels 0, 1, 2, ...",
                'loss="squared" for real targets',
            )
        y = whole.astype(np.int32)
    elif loss == "squared" and y.dtype.kind != "f":
        y = y.astype(np.float32)
    return DataSet({"x": x, "y": y}, name=data.name, source=data.source)


def _classes(sides: list, loss: Any, classes: int | None, name: str) -> int | None:
    """How many labels; None for real targets.

    Raises:
        UsageError: labels that are not 0..k-1, or one class only.
    """
    if not isinstance(loss, str):
        return classes
    if loss not in losses.LABELLED:
        return None
    y = np.concatenate([np.asarray(s).ravel() for s in sides])
    present = np.unique(y)
    first = int(present[0]) if len(present) else 0
    if first < 0 or (classes is not None and present[-1] >= classes):
        bad = first if first < 0 else int(present[-1])
        most = "k-1" if classes is None else str(classes - 1)
        raise UsageError(
            f"`y` of {name} holds the label {bad}",
            f"Labels lie in 0..{most}.",
            "numpy.unique(y, return_inverse=True)[1]",
        )
    if len(present) < 2:
        raise UsageError(
            f"`y` of {name} holds one class only, {first}",
            "Every function that says so is right; nothing can be learned.",
        )
    k = int(present[-1]) + 1 if classes is None else classes
    if classes is None and len(present) < k:
        absent = int(np.setdiff1d(np.arange(k), present)[0])
        raise UsageError(
            f"`y` of {name} lacks the label {absent}, and has {k - 1}",
            "Labels count from 0 without gaps, or `classes` says how many there are.",
            f'numpy.unique(y, return_inverse=True)[1]   or   classes={k}   or   loss="squared"',
        )
    if loss == "logistic" and k != 2:
        raise UsageError(
            f"`y` of {name} has {k} classes",
            '`loss` = "logistic" is for two.',
            'loss="cross_entropy"',
        )
    return k
