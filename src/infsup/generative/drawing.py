"""How bounds draw from an answer, and what they call it."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from infsup.core.answers import Draws
from infsup.core.certificate import Hypothesis
from infsup.core.errors import HypothesisError

OURS = ("infsup.",)


@eqx.filter_jit
def _sample(answer: Any, key: Any, n: int) -> Any:
    return answer.sample(key, n)


@eqx.filter_jit
def _push(answer: Any, z: Any) -> Any:
    return answer.push(z)


def draws(answer: Any, key: Any, n: int, block: int = 1024) -> np.ndarray:
    """N draws as float64 [n, d], computed in the answer's own arithmetic.

    Of a record of draws: n of them in random order, or all where there are fewer. Files are often
    sorted, and a random part of a sorted file is a sample where its first rows are none.

    Raises:
        HypothesisError: a draw is not finite.
    """
    if isinstance(answer, Draws):
        order = generator(key).permutation(len(answer.x))[:n]
        x = np.asarray(answer.x, np.float64)[order].reshape(len(order), -1)
        check_finite(x)
        return x
    parts = []
    for number in range(-(-n // block)):
        k = jax.random.fold_in(key, number)
        size = min(block, n)  # one shape: one compilation
        try:
            x = _sample(answer, k, size)
        except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError):
            x = answer.sample(k, size)
        parts.append(np.asarray(x, np.float64).reshape(size, -1))
    x = np.concatenate(parts)[:n]
    check_finite(x)
    return x


def pushed(answer: Any, z: Any) -> np.ndarray:
    """Where noise z [n, d] goes, as float64 [n, d]."""
    x = np.asarray(_push(answer, z), np.float64).reshape(len(z), -1)
    check_finite(x)
    return x


def check_finite(x: np.ndarray) -> None:
    """Raises `HypothesisError` where a draw is NaN or inf."""
    bad = ~np.isfinite(x).all(1)
    if bad.any():
        raise HypothesisError(
            f"{bad.sum()} of {len(x)} draws of the answer are not finite",
            "Its law has an atom at infinity, and no distance to anything is finite.",
            "a smaller rate, or more steps of the solver",
        )


def generator(key: Any) -> np.random.Generator:
    """NumPy's generator for a key."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())


def normals(key: Any, n: int, d: int) -> jax.Array:
    """Standard normal noise, in float32 as samplers draw it."""
    return jax.random.normal(key, (n, d), jnp.float32)


def independent(answer: Any) -> tuple[Hypothesis, ...]:
    """The draws of our own samplers are independent; of others that is assumed."""
    if type(answer).__module__.startswith(OURS) and not isinstance(answer, Draws):
        return ()
    what = "rows of the file" if isinstance(answer, Draws) else "sampler's draws"
    return (Hypothesis(f"the {what} are independent draws of one law", "assumed"),)


def who(answer: Any) -> str:
    """What to call the law of an answer."""
    if isinstance(answer, Draws):
        return f"the law behind {len(answer.x)} draws"
    return getattr(answer, "law", type(answer).__name__)


def dtype_of(answer: Any) -> str:
    """The arithmetic in which draws are computed."""
    if isinstance(answer, Draws):
        return str(np.asarray(answer.x).dtype)
    return "float32"
