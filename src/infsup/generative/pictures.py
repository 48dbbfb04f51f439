"""Samples as a picture."""

from typing import Any

import jax
import numpy as np

from infsup.core.figure import Curve, Figure
from infsup.core.keys import open_key
from infsup.generative.drawing import draws, who
from infsup.generative.problem import Transport

SIDE = 8
POINTS = 1500


def picture(problem: Transport, answer: Any, key: Any = 0) -> Figure:
    """Draws of an answer beside the target: images as a grid, else points of two coordinates.

    Args:
        problem: a `Transport`.
        answer: a sampler, draws, or a solution.
        key: int or typed key.

    Returns:
        For rows of 2 axes, or of d = side^2 >= 16 numbers on a grid, 8 x 8 images in [0, 1];
        else draws of the target (grey) and of the answer in the first two coordinates (one
        coordinate: two histograms).
    """
    answer = problem.accept(getattr(answer, "answer", answer))
    k_target, k_model = jax.random.split(open_key(key))
    shape = _image(problem)
    if shape is not None:
        x = draws(answer, k_model, SIDE * SIDE)[: SIDE * SIDE]
        held = problem.data.held_out if problem.data is not None else None
        levels = problem.held_out if held is not None else x
        lo, hi = float(levels.min()), float(levels.max())
        grey = np.clip((x - lo) / max(hi - lo, 1e-12), 0.0, 1.0)
        grid = np.zeros((SIDE * SIDE, *shape))
        grid[: len(grey)] = grey.reshape(len(grey), *shape)
        caption = f"{len(grey)} draws of {who(answer)}, none chosen; the target is {problem.name}."
        return Figure(images=grid.reshape(SIDE, SIDE, *shape), caption=caption)
    x = draws(answer, k_model, POINTS)
    if problem.mixture is not None:
        y = np.asarray(problem.mixture.sample(k_target, POINTS), np.float64)
    else:
        y = problem.held_out[:POINTS]
    caption = f"{len(x)} draws of {who(answer)} over {len(y)} of {problem.name}."
    if problem.dim == 1:
        edges = np.histogram_bin_edges(np.concatenate([x[:, 0], y[:, 0]]), 60)
        middle = (edges[1:] + edges[:-1]) / 2
        bars = [np.histogram(v[:, 0], edges, density=True)[0] for v in (y, x)]
        curves = (
            Curve(middle, bars[0], problem.name, "grey", "steps"),
            Curve(middle, bars[1], who(answer), "accent", "steps"),
        )
        return Figure(curves, "x", "density", caption)
    curves = (
        Curve(y[:, 0], y[:, 1], problem.name, "grey", "points"),
        Curve(x[:, 0], x[:, 1], who(answer), "accent", "points"),
    )
    return Figure(curves, "first coordinate", "second coordinate", caption)


def _image(problem: Transport) -> tuple[int, int] | None:
    """Height and width where a row is an image, else None."""
    if len(problem.row) == 2 and min(problem.row) > 1:
        return problem.row
    side = round(problem.dim**0.5)
    if problem.grid and side >= 4 and side * side == problem.dim:
        return side, side
    return None
