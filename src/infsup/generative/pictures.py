"""Samples as a picture."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from infsup.core.figure import Curve, Figure
from infsup.core.keys import open_key
from infsup.generative.drawing import draws, who
from infsup.generative.problem import Transport

SIDE = 8
POINTS = 1500
FEWEST = 100
BINS = 60


def picture(problem: Transport, answer: Any, key: Any = 0) -> Figure:
    """Draws of an answer beside the target: images as a grid, else points or histograms.

    Args:
        problem: a `Transport`.
        answer: a sampler, draws, or a solution.
        key: int or typed key.

    Returns:
        For rows that are images, of d = side^2 >= 16 numbers on a grid too, 8 x 8 grey images in
        [0, 1]; on the line two histograms, or one beside the density of a mixture; else as many
        draws of the answer as of the target (grey), in the plane or in the two directions in which
        the target spreads most. What lies far outside is left out, and counted in the caption.
    """
    answer = problem.accept(getattr(answer, "answer", answer))
    k_target, k_model = jax.random.split(open_key(key))
    if _image(problem) is not None:
        return _images(problem, answer, k_model)
    if problem.mixture is not None:
        y = np.asarray(problem.mixture.sample(k_target, POINTS), np.float64)
    else:
        held = problem.held_out
        order = np.asarray(jax.random.permutation(k_target, len(held)))
        y = held[order[:POINTS]]
    return (_line if problem.dim == 1 else _plane)(problem, answer, y, k_model)


def _images(problem: Transport, answer: Any, key: Any) -> Figure:
    shape = _image(problem)
    assert shape is not None
    x = draws(answer, key, SIDE * SIDE)[: SIDE * SIDE]
    held = problem.data.held_out if problem.data is not None else None
    levels = problem.held_out if held is not None else x
    lo, hi = float(levels.min()), float(levels.max())
    grey = np.clip((x - lo) / max(hi - lo, 1e-12), 0.0, 1.0).reshape(len(x), *problem.row)
    colours = _channels(problem.row)
    if colours is not None:
        grey = grey.mean(colours + 1)
    grid = np.zeros((SIDE * SIDE, *shape))
    grid[: len(grey)] = grey.reshape(len(grey), *shape)
    caption = f"{len(grey)} draws of {who(answer)}, none chosen; the target is {problem.name}."
    return Figure(images=grid.reshape(SIDE, SIDE, *shape), caption=caption)


def _line(problem: Transport, answer: Any, y: np.ndarray, key: Any) -> Figure:
    x = draws(answer, key, POINTS)
    lo, hi = _frame(x, y)
    edges = np.linspace(lo[0], hi[0], BINS + 1)
    middle, wide = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    # shares of all draws, those outside the frame included
    shares = [np.histogram(v[:, 0], edges)[0] / (len(v) * wide) for v in (y, x)]
    target = Curve(middle, shares[0], problem.name, "grey", "steps")
    if problem.mixture is not None:
        at = np.linspace(edges[0], edges[-1], 600)
        weights, means, sd = problem.mixture.projected(np.ones(1))
        if sd.min() > 0:
            bells = np.exp(-0.5 * ((at[:, None] - means) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
            target = Curve(at, bells @ weights, problem.name, "grey")
    model = Curve(middle, shares[1], who(answer), "accent", "steps")
    outside = sum(int(((v < lo) | (v > hi)).sum()) for v in (x, y))
    return Figure((target, model), "x", "density", _caption(problem, answer, x, y, outside))


def _plane(problem: Transport, answer: Any, y: np.ndarray, key: Any) -> Figure:
    x = draws(answer, key, max(len(y), FEWEST))
    titles = "first coordinate", "second coordinate"
    if problem.dim > 2:
        # in the units in which distances are told
        away = (y - y.mean(0)) / problem.unit
        axes = np.linalg.svd(away, full_matrices=False)[2]
        axes = np.pad(axes, ((0, max(2 - len(axes), 0)), (0, 0)))[:2]
        x, y = ((x - y.mean(0)) / problem.unit) @ axes.T, away @ axes.T
        titles = tuple(f"{n} principal direction of the target" for n in ("first", "second"))
    lo, hi = _frame(x, y)
    inside = [((v >= lo) & (v <= hi)).all(1) for v in (y, x)]
    outside = sum(int((~i).sum()) for i in inside)
    (a, b), (c, d) = (v[i].T[:2] for v, i in zip((y, x), inside, strict=True))
    curves = (
        Curve(a, b, problem.name, "grey", "points"),
        Curve(c, d, who(answer), "accent", "points"),
    )
    return Figure(curves, titles[0], titles[1], _caption(problem, answer, x, y, outside))


def _caption(problem: Transport, answer: Any, x: Any, y: Any, outside: int) -> str:
    text = f"{len(x)} draws of {who(answer)} over {len(y)} of {problem.name}"
    return text + (f"; {outside} of these lie outside the frame." if outside else ".")


def _frame(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"]
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
    """The range of all points, unless a few lie far out: then three times that of the others."""
    both = np.concatenate([x, y])
    low, high = np.quantile(both, [0.01, 0.99], axis=0)
    room = np.maximum(high - low, 1e-12 * (1.0 + np.abs(high)))
    return np.maximum(both.min(0), low - room), np.minimum(both.max(0), high + room)


def _channels(row: tuple[int, ...]) -> int | None:
    """Which of three axes holds the colours, if one does."""
    return next((axis for axis in (2, 0) if len(row) == 3 and row[axis] in (1, 3, 4)), None)


def _image(problem: Transport) -> tuple[int, int] | None:
    """Height and width where a row is an image, else None."""
    row = problem.row
    if (colours := _channels(row)) is not None:
        row = row[:colours] + row[colours + 1 :]
    if len(row) == 2 and min(row) > 1:
        return row
    side = round(problem.dim**0.5)
    if problem.grid and side >= 4 and side * side == problem.dim:
        return side, side
    return None
