"""Random keys: one door, four roles, one branch for each step."""

from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from infsup.core.errors import UsageError

ROLES = ("init", "step", "finish", "certify", "stage")


def is_key(x: Any) -> TypeGuard[jax.Array]:
    """Whether `x` is a typed key, or an array of them."""
    return isinstance(x, jax.Array) and bool(jnp.issubdtype(x.dtype, jax.dtypes.prng_key))


def key_from(data: Any, impl: Any) -> Key[Array, "..."]:
    """The typed key of its raw numbers (uint32), as they stand in a file or a host callback."""
    return jax.random.wrap_key_data(jnp.asarray(np.asarray(data)), impl=impl)


def open_key(key: Any) -> Key[Array, ""]:
    """A typed key, from an int or a typed key.

    Args:
        key: an int in [0, 2^32) (more would be cut where the 64-bit flag is off), or a scalar
            typed key such as `jax.random.key(0)`.

    Raises:
        UsageError: anything else, with what to type instead.
    """
    if is_key(key):
        if key.shape != ():
            raise UsageError(
                f"`key` is an array of keys of shape {key.shape}",
                remedy="one of them, or eqx.filter_vmap over infsup.run",
            )
        return key
    if isinstance(key, int) and not isinstance(key, bool):
        if not 0 <= key < 2**32:
            raise UsageError(f"`key` is {key}", "An integer key lies in [0, 2^32).", "key=0")
        return jax.random.key(key, impl="threefry2x32")
    raise UsageError(
        f"`key` is {type(key).__name__}, not a key", remedy="key=0   or   key=jax.random.key(0)"
    )


def branch(key: Key[Array, ""], role: str, *path: Any) -> Key[Array, ""]:
    """The branch of `key` for a role, then for a step (or a look, or a stage)."""
    key = jax.random.fold_in(key, ROLES.index(role))
    for index in path:
        key = jax.random.fold_in(key, index)
    return key
