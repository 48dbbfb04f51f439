"""The picture of a solution: what its answer does, drawn from the answer itself."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from infsup.core.figure import Curve, Figure

MOST_TILES = 21
MOST_POINTS = 2_000


@dataclass(frozen=True)
class Tile:
    """One small picture with a word below it.

    Args:
        image: [height, width], 0 is paper and 1 is ink.
        word: a few letters.
    """

    image: np.ndarray
    word: str


@dataclass(frozen=True)
class Picture:
    """A figure, or tiles, and one sentence that says what to see.

    Args:
        figure: what is drawn.
        tiles: in place of it.
        caption: the sentence.
        above: a second, flatter figure with the same axis.
    """

    figure: Figure | None
    tiles: tuple[Tile, ...] = ()
    caption: str = ""
    above: Figure | None = None


def picture(solution: Any) -> Picture | None:
    """What there is to see of an answer; None where that is nothing."""
    kind = type(solution.problem).__name__
    drawn = _PICTURES.get(kind, _history)(solution)
    return drawn or _history(solution)


def _misread(solution: Any) -> Picture | None:
    """The held-out pictures that a classifier gets wrong."""
    from infsup.core.answers import evaluate

    problem = solution.problem
    held = problem.data.held_out if problem.data is not None else None
    x = None if held is None else np.asarray(held["x"])
    side = 0 if x is None or x.ndim != 2 else round(x.shape[1] ** 0.5)
    if held is None or x is None or side < 4 or side**2 != x.shape[1]:
        return None
    if solution.certificate.quantity != "error rate":
        return None
    scores = np.asarray(evaluate(problem.accept(solution.answer), held["x"]))
    written, read = np.asarray(held["y"]), scores.argmax(1)
    wrong = np.flatnonzero(written != read)
    if not len(wrong):
        return Picture(None, caption=f"None of the {len(x):,} held-out rows is misread.")
    top = float(x.max()) or 1.0
    tiles = tuple(
        Tile(np.clip(x[i].reshape(side, side) / top, 0, 1), f"{written[i]} → {read[i]}")
        for i in wrong[:MOST_TILES]
    )
    shown = "All" if len(wrong) <= MOST_TILES else f"{MOST_TILES} of the"
    caption = f"{shown} {len(wrong)} misread of {len(x):,} held out: written → read."
    return Picture(None, tiles, caption)


def _controlled(solution: Any) -> Picture | None:
    """What single runs cost under the control and under the simple answers."""
    import jax

    from infsup.control.simulate import simulate
    from infsup.control.structure import MATCHED, structure_of

    problem = solution.problem
    structure = structure_of(problem)
    if not jax.config.read("jax_enable_x64"):
        return None
    if not structure.holds(*MATCHED):
        return _path(problem, solution.answer)
    laws = {"this control": solution.answer, **problem.trivial()}
    costs = {
        name: simulate(problem, structure, problem.accept(law), 0.0, 50, 2_000, jax.random.key(0))
        for name, law in list(laws.items())[:3]
    }
    values = {name: paths.cost for name, paths in costs.items()}
    low, high = (float(np.quantile(np.concatenate([*values.values()]), q)) for q in (0.002, 0.998))
    edges = np.linspace(low, high, 41)
    inks = ("accent", "ink", "grey")
    curves = tuple(
        Curve(edges, np.append(counts, counts[-1]) / 20, name, ink, "steps")  # type: ignore[arg-type]
        for (name, cost), ink in zip(values.items(), inks, strict=False)
        for counts in [np.histogram(cost, edges)[0].astype(float)]
    )
    caption = "What 2,000 single runs cost, on the same noise; the bracket is that of the mean."
    return Picture(Figure(curves, "cost of a run", "share of the runs, %", caption), (), caption)


_STEPS = 300


def _path(problem: Any, answer: Any) -> Picture | None:
    """The state and the control in time, from the start, with the noise left out."""
    import jax
    import jax.numpy as jnp

    if problem.x0.size > 3:
        return None
    law = problem.accept(answer)
    h = float(problem.horizon) / _STEPS

    def slope(t: Any, x: Any) -> Any:
        return problem.drift(t, x, law(t, x))

    def step(x: Any, t: Any) -> Any:
        # the classical method of order four
        a = slope(t, x)
        b = slope(t + h / 2, x + h / 2 * a)
        c = slope(t + h / 2, x + h / 2 * b)
        d = slope(t + h, x + h * c)
        return x + h / 6 * (a + 2 * b + 2 * c + d), (x, law(t, x))

    times = h * np.arange(_STEPS + 1)
    _, (x, u) = jax.lax.scan(step, jnp.asarray(problem.x0), jnp.asarray(times))
    x, u = np.asarray(x, np.float64), np.asarray(u, np.float64)
    if not (np.isfinite(x).all() and np.isfinite(u).all()):
        return None
    digits = "₁₂₃"
    curves = [
        Curve(times, x[:, i], "x" + digits[i] * (x.shape[1] > 1), "ink" if i == 0 else "grey")
        for i in range(x.shape[1])
    ]
    if u.shape[1] == 1:
        curves.append(Curve(times, u[:, 0], "control u", "accent"))
    quiet = not callable(problem.diffusion) and not np.any(problem.diffusion)
    caption = f"The state and the control in time{'' if quiet else ', with the noise left out'}."
    return Picture(Figure(tuple(curves), "t", "", caption), (), caption)


def _approximated(solution: Any) -> Picture | None:
    """The function, and below it the error of the network between the signs of what is proved."""
    from infsup.core.answers import evaluate

    problem = solution.problem
    a, b = problem.domain
    x = np.linspace(a, b, 4_001)
    f, network = problem.values(x), np.asarray(evaluate(problem.accept(solution.answer), x))
    error = f - network
    upper = float(solution.certificate.upper)
    if not np.isfinite(error).all() or not np.isfinite(upper):
        return None
    edges = np.array([a, b])
    curves = (
        Curve(edges, np.full(2, upper), "proved", "ink", "dashed"),
        Curve(edges, np.full(2, -upper), "", "ink", "dashed"),
        Curve(x, error, "f minus network", "accent"),
    )
    caption = f"The error at {len(x):,} points; the dashed lines hold at all of them and between."
    return Picture(Figure(curves, "x", "error", caption), (), caption, _over(x, f, network))


def _over(x: np.ndarray, f: np.ndarray, network: np.ndarray) -> Figure:
    """The function and its network."""
    low, high = float(f.min()), float(f.max())
    if float(np.abs(f - network).max()) <= 0.005 * (high - low):
        return Figure((Curve(x, f, "f and its network (one line at this scale)"),))
    return Figure((Curve(x, f, "f"), Curve(x, network, "network", "accent")))


def _sampled(solution: Any) -> Picture | None:
    """Draws of the answer beside the target."""
    from infsup.generative.pictures import picture as drawn

    figure = drawn(solution.problem, solution.answer)
    if figure.images is not None:
        rows, columns, *shape = figure.images.shape
        # broad, so that the card is as high as its neighbour
        if rows == columns == 8:
            figure = dataclasses.replace(figure, images=figure.images.reshape(4, 16, *shape))
    return Picture(figure, caption=figure.caption)


def _history(solution: Any) -> Picture | None:
    """What the method saw on its way."""
    stages = [s for s in solution.stages if len(s.history.get("step", ())) > 1]
    if not stages:
        return None
    history = stages[-1].history
    step = np.asarray(history["step"], np.float64)
    known = [n for n in ("gap", "decrement", "gradient", "loss") if n in history]
    names = known[:2] or [n for n in history if n != "step"][:1]
    values = {n: np.asarray(history[n], np.float64) for n in names}
    values = {n: v for n, v in values.items() if v.shape == step.shape and np.isfinite(v).all()}
    if not values:
        return None
    positive = np.concatenate([v[v > 0] for v in values.values()])
    log = len(positive) > 0 and bool(positive.max() > 100 * positive.min())
    inks = ("accent", "ink")
    curves = tuple(
        Curve(step, v, n.replace("_", " "), ink)  # type: ignore[arg-type]
        for (n, v), ink in zip(values.items(), inks, strict=False)
    )
    words = " and ".join(n.replace("_", " ") for n in values)
    caption = f"{words[:1].upper()}{words[1:]} as the method saw it, by step."
    return Picture(Figure(curves, "step", "", caption, log_y=log), caption=caption)


_PICTURES = {
    "EmpiricalRisk": _misread,
    "ControlProblem": _controlled,
    "Approximate": _approximated,
    "Transport": _sampled,
}
