"""Muon: momentum, orthogonalised."""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from infsup.optimization.first_order import FirstOrder
from infsup.optimization.problem import Number

POLYNOMIALS = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)
"""Five Newton-Schulz steps x -> a x + b x^3 + c x^5; Optax's preset "dion"."""


class Memory(NamedTuple):
    """What the two optimisers remember, and the orthogonality residual of the last step."""

    matrices: Any
    rest: Any
    residual: Any


class Muon(FirstOrder):
    r"""Momentum with orthogonalised steps for matrices; AdamW for biases and other vectors.

    A matrix W[out, in] (of a convolution: all axes but the first together) moves by
    W <- W - rate (0.2 sqrt(max(out, in)) O + weight_decay W), with O the Newton-Schulz
    approximation (`optax.contrib.scale_by_muon`) of the polar factor of the Nesterov momentum.
    An orthogonal O has root mean square 1/sqrt(max(out, in)), so every matrix moves by 0.2 rate
    root mean square, whatever its shape, as AdamW's do: one rate serves both.

    The metric "orthogonality" is max over matrices of |O O^T - I|_F / sqrt(rows) of the shorter
    side, of the step that this iterate makes. It is not small where a gradient lacks full rank:
    cross entropy of k classes gives the last layer at most rank k - 1.

    Args:
        model: a recipe, a module as the start, or `key -> module`; `MLP()` by default.
        rate: step size, > 0.
        steps: the budget.
        batch: rows a step, at most as many as there are; None for the whole objective.
        momentum: in [0, 1).
        weight_decay: >= 0; not part of the objective.
        schedule: of the rate: "constant", "linear", "cosine", "inverse".

    Raises:
        UsageError: a number outside its range.

    Source: K. Jordan et al., Muon (2024), as `optax.contrib.muon` has it; the scale 0.2
    sqrt(max(out, in)): J. Liu et al., Muon is scalable for LLM training, arXiv:2502.16982.
    """

    model: Any = None
    rate: Number = 3e-3
    steps: Number = 2000
    batch: int | None = eqx.field(static=True, default=64)
    momentum: Number = 0.95
    weight_decay: Number = 1e-4
    schedule: str = eqx.field(static=True, default="cosine")

    def transform(self, rate):
        orthogonal = optax.contrib.scale_by_muon(
            ns_coeffs=POLYNOMIALS, beta=self.momentum, weight_dimension_numbers=_sides
        )
        after = optax.chain(
            optax.add_decayed_weights(self.weight_decay), optax.scale_by_learning_rate(rate)
        )
        vectors = optax.adamw(rate, weight_decay=self.weight_decay)

        def init(params):
            matrices, rest = _cut(params)
            memory = orthogonal.init(matrices), after.init(matrices)
            return Memory(memory, vectors.init(rest), jnp.zeros((), jnp.float32))

        def update(updates, state, params=None):
            (mg, vg), (mp, vp) = _cut(updates), _cut(params)
            o, first = orthogonal.update(mg, state.matrices[0], mp)
            scaled = jax.tree.map(lambda a: (0.2 * math.sqrt(max(_shape(a)))) * a, o)
            # a bare matrix leaves no tree of vectors, and a bare vector none of matrices
            u, second = o, state.matrices[1]
            if mp is not None:
                u, second = after.update(scaled, second, mp)
            v, rest = vectors.update(vg, state.rest, vp) if vp is not None else (vg, state.rest)
            worst = jnp.zeros((), jnp.float32)
            for a in jax.tree.leaves(o):
                worst = jnp.maximum(worst, residual(a).astype(jnp.float32))
            return eqx.combine(u, v), Memory((first, second), rest, worst)

        return optax.GradientTransformation(init, update)

    def step(self, problem, state, key):
        new, metrics = super().step(problem, state, key)
        return new, {**metrics, "orthogonality": new.optimiser.residual}


def residual(a: Any) -> Any:
    """|A A^T - I|_F / sqrt(rows) of a matrix, or of its transpose where that has fewer rows."""
    m = a.reshape(_shape(a))
    m = m if m.shape[0] <= m.shape[1] else m.T
    return jnp.linalg.norm(m @ m.T - jnp.eye(m.shape[0], dtype=m.dtype)) / math.sqrt(m.shape[0])


def _shape(a: Any) -> tuple[int, int]:
    return a.shape[0], math.prod(a.shape[1:])


def _cut(tree: Any) -> tuple[Any, Any]:
    return eqx.partition(tree, lambda x: eqx.is_array(x) and x.ndim >= 2)


def _sides(tree: Any) -> Any:
    """Equinox's weights are [out, in, ...]."""
    axes = lambda a: optax.contrib.MuonDimensionNumbers(tuple(range(1, a.ndim)), (0,))  # noqa: E731
    return jax.tree.map(axes, tree)
