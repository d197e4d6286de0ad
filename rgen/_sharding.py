"""Arrays that are sharded over the explicit axes of a mesh."""

import math

import jax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Shaped


def replicated(x: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
    """`x`, whole on every device: sharded arrays cannot be cut or paired as one
    likes."""
    sharding = jax.typeof(x).sharding
    if not _explicit(sharding):
        return x
    return jax.sharding.reshard(x, NamedSharding(sharding.mesh, PartitionSpec()))


def take_rows(x: Shaped[Array, "n ..."], rows: Array) -> Shaped[Array, "m ..."]:
    """`x[rows]`, sharded as `x` is. A `ValueError` where the rows do not divide
    evenly."""
    sharding = jax.typeof(x).sharding
    if not _explicit(sharding):
        return x[rows]
    axes = sharding.spec[0] or ()
    axes = axes if isinstance(axes, tuple) else (axes,)
    shards = math.prod(sharding.mesh.shape[axis] for axis in axes)
    if len(rows) % shards != 0:
        raise ValueError(
            f"expected `size` to be a multiple of {shards}, the number of devices "
            f"over which the rows are sharded, got {len(rows)}. Take "
            f"{-(-len(rows) // shards) * shards} rows, or replicate the data by "
            "jax.sharding.reshard(x, PartitionSpec())."
        )
    return x.at[rows].get(out_sharding=sharding)


def _explicit(sharding: NamedSharding) -> bool:
    return any(axis is not None for axis in sharding.spec)
