"""Transport: make a sampler of a law that is known from rows, or in closed form."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from infsup.core.answers import Sampler, Shape, shape_of
from infsup.core.certificate import Hypothesis
from infsup.core.errors import UsageError
from infsup.core.problem import Problem
from infsup.core.split import DataSet, SeenRows, Split
from infsup.generative.samplers import GaussianSampler, Resampler
from infsup.numerics.gaussian_mixture import GaussianMixture
from infsup.optimization import arguments

MOST_LEVELS = 4096
"""More distinct values than this are no grid."""


class Transport(Problem):
    r"""Carry standard normal noise to a target law; the answer is a sampler of it.

    The target is known from rows, of which some are held out to judge the answer, or it is a
    Gaussian mixture, whose density, score and velocities are closed forms.

    Methods see rows in the frame z = (x - shift)/scale, which the answer undoes, so answers speak
    of x. Rows whose values all lie on one grid (images, counts) get fresh uniform noise of one
    grid step, centred, each time they are drawn: without it no density is finite. Their scale is
    one number for all columns, and distances are in the units of x. Other rows are scaled column
    by column, and distances are in units of each column's standard deviation (`unit`).

    Args:
        target: a `DataSet` (its column "x"), an array [n, ...], a `Split` of one's own, or a
            `GaussianMixture`.
        grid: the grid's step; None to look for one, 0.0 for none.
        key: of the random split, an int or a typed key.
        share: of the rows to fit, inside (0, 1).
        standardise: False leaves shift 0 and scale 1: rows are seen as they are.

    Raises:
        UsageError: one row, one axis, NaN, a constant column without a grid (names it).
    """

    data: Split | None
    mixture: GaussianMixture | None
    grid: float = eqx.field(static=True)
    standardise: bool = eqx.field(static=True)

    def __init__(
        self,
        target: Any,
        *,
        grid: float | None = None,
        key: Any = 0,
        share: float = 0.8,
        standardise: bool = True,
    ):
        self.standardise = standardise
        if isinstance(target, GaussianMixture):
            self.data, self.mixture, self.grid = None, target, 0.0
            return
        if grid is not None:
            arguments.number("Transport", "grid", grid, above=0, least=True)
        split = target
        if not isinstance(target, Split):
            rows = _rows(target)
            if len(rows) < 2:
                raise UsageError(
                    f"{rows.name} has one row", "Some rows are fitted, others held out."
                )
            split = Split.random(rows, key, share)
        sides = [np.asarray(s["x"]) for s in (split.fit, split.held_out) if s is not None]
        self.data, self.mixture = split, None
        self.grid = _grid(np.concatenate(sides)) if grid is None else float(grid)
        if split.fit is not None and self.grid == 0:
            _check_constant(np.asarray(split.fit["x"]), split.name)

    # -- what is asked ------------------------------------------------------------------------

    @property
    def asks(self):
        return Sampler(Shape(self.row, jnp.float32))

    @property
    def row(self) -> tuple[int, ...]:
        """Shape of one draw."""
        if self.mixture is not None:
            return (self.mixture.dim,)
        held = None if self.data is None or self.data.fit is not None else self.data.held_out
        return (self.fitted_rows if held is None else held["x"]).shape[1:]

    @property
    def dim(self) -> int:
        """How many numbers a draw holds."""
        return math.prod(self.row)

    @property
    def fitted_rows(self) -> Any:
        """The rows to fit, [n, *row].

        Raises:
            UsageError: they are not here.
        """
        if self.data is None or self.data.fit is None:
            raise UsageError(
                f"the rows of {self.name} are not here",
                "A solution is stored without the rows of its data.",
                "infsup.load(path, problem=the_problem)   or   save(path, copy_data=True)",
            )
        return self.data.fit["x"]

    @property
    def held_out(self) -> np.ndarray:
        """The held-out rows as they are, flattened [n, d], float64.

        Raises:
            UsageError: the problem holds none.
        """
        if self.data is None or self.data.held_out is None:
            raise UsageError(
                "the problem holds no rows out",
                "Its target is a mixture, it is `problem.fit`, or it was loaded without its data.",
                "a Transport of rows   or   infsup.load(path, problem=problem)",
            )
        x = np.asarray(self.data.held_out["x"], np.float64)
        return x.reshape(len(x), -1)

    @property
    def fit(self):
        if self.data is None:
            return self
        new = object.__new__(Transport)
        for name in ("mixture", "grid", "standardise"):
            object.__setattr__(new, name, getattr(self, name))
        object.__setattr__(new, "data", self.data.only_fit())
        return new

    def rows(self, side: str) -> SeenRows:
        return SeenRows() if self.data is None else self.data.rows(side)

    def trivial(self):
        """A Gaussian with the right moments; the rows to fit themselves; for mixtures, noise."""
        if self.mixture is not None:
            d, m = self.dim, self.mixture
            return {
                "fitted Gaussian": GaussianSampler.fitted(m.mean, m.covariance, (d,)),
                "noise": GaussianSampler.fitted(np.zeros(d), np.eye(d), (d,)),
            }
        x = np.asarray(self.fitted_rows, np.float64).reshape(len(self.fitted_rows), -1)
        return {
            "fitted Gaussian": GaussianSampler.fitted(
                x.mean(0), np.atleast_2d(np.cov(x.T, ddof=0)), self.row
            ),
            "the rows to fit, resampled": Resampler(np.asarray(self.fitted_rows, np.float32)),
        }

    @property
    def name(self):
        if self.data is not None:
            return self.data.name
        assert self.mixture is not None
        return f"a mixture of {len(self.mixture.weights)} Gaussians"

    def hypotheses(self):
        if not self.grid:
            return ()
        text = f"values lie on a grid of step {self.grid:g}; noise of one step is added"
        return (Hypothesis(text, "checked"),)

    # -- the frame of the methods -------------------------------------------------------------

    @property
    def frame(self) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
        """(shift, scale), float32: methods see (x - shift)/scale."""
        if self.mixture is not None or not self.standardise:
            return jnp.zeros(self.dim, jnp.float32), jnp.ones(self.dim, jnp.float32)
        n = len(self.fitted_rows)
        x = jnp.asarray(self.fitted_rows, jnp.float32).reshape(n, -1)
        shift = jnp.sum(x / n, 0)
        # squares of 1e-30 or 1e30 are no float32: they are taken of numbers near 1
        far = jnp.maximum(jnp.abs(x - shift).max(0), self.grid)
        spread = far * jnp.sqrt(jnp.mean(((x - shift) / far) ** 2, 0) + (self.grid / far) ** 2 / 12)
        if self.grid:
            spread = jnp.full_like(spread, jnp.sqrt(jnp.mean(spread**2)))
        return shift, spread

    @property
    def unit(self) -> np.ndarray:
        """[d]: distances are those of x/unit."""
        only_held_out = self.data is not None and self.data.fit is None
        if self.mixture is not None or self.grid or only_held_out:
            return np.ones(self.dim)
        return np.asarray(self.frame[1], np.float64)

    @property
    def count(self) -> int:
        """Rows to fit; of a mixture there are as many as one likes."""
        return 2**31 - 1 if self.mixture is not None else len(self.fitted_rows)

    def draw(self, key: Key[Array, ""], n: int) -> Float[Array, "n d"]:
        """Draws of the target in the frame, float32: rows with replacement, or of the mixture."""
        if self.mixture is not None:
            return self.mixture.sample(key, n)
        which, _ = jax.random.split(key)
        i = jax.random.randint(which, (n,), 0, self.count, jnp.int32)
        return self.framed(key, self.fitted_rows[i])

    def framed(self, key: Key[Array, ""], x: Any) -> Float[Array, "n d"]:
        """Rows [n, ...] in the frame, with fresh grid noise, float32."""
        shift, scale = self.frame
        return (self.blurred(key, x).reshape(len(x), -1) - shift) / scale

    def blurred(self, key: Key[Array, ""], x: Any) -> Float[Array, " n *row"]:
        """Rows with the grid's noise, float32; as they are where there is no grid."""
        x = jnp.asarray(x, jnp.float32)
        if not self.grid:
            return x
        _, noise = jax.random.split(key)
        return x + self.grid * (jax.random.uniform(noise, x.shape, jnp.float32) - 0.5)


def _rows(target: Any) -> DataSet:
    """One data set with a column "x" of float32 rows."""
    if not isinstance(target, DataSet):
        try:
            x = np.asarray(target)
        except ValueError:
            x = np.zeros(0, object)
        if x.dtype.kind not in "fiub":
            raise UsageError(
                f"`target` is {type(target).__name__}",
                "It is rows, or a law in closed form.",
                "Transport(infsup.data.digits())   or   Transport(array)   or   "
                "Transport(GaussianMixture(...))",
            )
        if x.ndim < 2:
            raise UsageError(
                f"`target` is {shape_of(x)}",
                "It has one row a sample.",
                "x[:, None] for numbers on the line",
            )
        target = DataSet({"x": x})
    if "x" not in target.columns:
        raise UsageError("`target` has no column `x`", f"It has {', '.join(target.columns)}.")
    x = np.asarray(target.columns["x"])
    if x.ndim < 2 or x[0].size == 0:
        raise UsageError(f"`x` is {shape_of(x)}", "It has one row a sample.", "x[:, None]")
    with np.errstate(over="ignore"):
        short = x.astype(np.float32)
    check_digits(x, short, target.name)
    return DataSet({**target.columns, "x": short}, name=target.name, source=target.source)


def check_digits(x: np.ndarray, short: np.ndarray, name: str) -> None:
    """Raises where float32 cannot hold how a column spreads: beside its size, or at all.

    A constant column, and one with NaN, has an error of its own.
    """
    long = x.reshape(len(x), -1).astype(np.float64)
    with np.errstate(all="ignore"):
        lost = np.abs(long - short.reshape(long.shape)).max(0)
        spread = np.ptp(long, 0)
    held = (lost <= 1e-3 * spread) & (spread >= 1e-36)
    bad = np.flatnonzero(np.isfinite(long).all(0) & (spread > 0) & ~held)
    if len(bad):
        j = int(bad[0])
        raise UsageError(
            f"column {j} of {name} loses its digits in float32: it lies in "
            f"[{long[:, j].min():.9g}, {long[:, j].max():.9g}]",
            "Samplers compute in float32.",
            "x - x.mean(0), or other units",
        )


def _grid(x: np.ndarray) -> float:
    """The step of the grid on which all values lie, or 0.0."""
    levels = np.unique(x)
    if not 2 <= len(levels) <= MOST_LEVELS or 4 * len(levels) > x.size:
        return 0.0
    gaps = np.diff(levels.astype(np.float64))
    step = float(gaps.min())
    whole = gaps / step
    off = np.abs(whole - np.round(whole)).max()
    return step if off < 1e-3 and whole.sum() <= 65536 else 0.0


def _check_constant(x: np.ndarray, name: str) -> None:
    flat = x.reshape(len(x), -1).astype(np.float64)
    flat_columns = np.flatnonzero(np.ptp(flat, 0) == 0)
    if len(flat_columns):
        j = int(flat_columns[0])
        more = f" and {len(flat_columns) - 1} more" if len(flat_columns) > 1 else ""
        raise UsageError(
            f"column {j}{more} of {name} is constant, {flat[0, j]:g} in all rows to fit",
            "A law on a plane has no density, and a constant needs no model.",
            f"np.delete(x, {flat_columns[:8].tolist()}, axis=1)   or   grid=..., if values are "
            "counts",
        )
