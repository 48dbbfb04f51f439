"""Batches spread over the local devices; the rest of a step is replicated by XLA's partitioner."""

from typing import Any

import jax
import numpy as np


def spread(rows: Any) -> Any:
    """Rows laid out over all local devices along their first axis, inside a compiled step.

    With one device, or where the devices do not divide the rows, nothing changes. Sums over rows
    are then taken in another order, so several devices agree with one to rounding, not in bytes.

    Args:
        rows: tree of arrays [n, ...].
    """
    devices = jax.local_devices()
    lengths = {x.shape[0] for x in jax.tree.leaves(rows)}
    if len(devices) == 1 or any(n % len(devices) for n in lengths):
        return rows
    mesh = jax.sharding.Mesh(np.asarray(devices), ("rows",))
    layout = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("rows"))
    return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, layout), rows)
