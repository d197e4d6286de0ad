"""Arrays that are sharded over the axes of a mesh."""

import math
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
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


def automatic(x: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
    """`x`, sharded as it is, over axes that the compiler takes care of: Diffrax's
    solvers know no explicit ones."""
    sharding = jax.typeof(x).sharding
    if isinstance(x, Tracer) or not _explicit(sharding):
        return x
    assert isinstance(x.sharding, NamedSharding)
    mesh = x.sharding.mesh
    axis_types = (AxisType.Auto,) * len(mesh.axis_names)
    devices = np.asarray(mesh.devices)
    mesh = Mesh(devices, mesh.axis_names, axis_types=axis_types)
    return jax.device_put(x, NamedSharding(mesh, x.sharding.spec))


def part_of(x: Shaped[Array, "n ..."], start: int, size: int) -> Shaped[Array, "m ..."]:
    """`x[start : start + size]`, sharded as `x` is where the devices divide it. JAX
    would put it on all of them."""
    part = x[start : start + size]
    sharding = x.sharding
    if len(sharding.device_set) == 1 or not isinstance(sharding, NamedSharding):
        return part
    shards = x.shape[0] // sharding.shard_shape(x.shape)[0]
    return jax.device_put(part, sharding) if size % shards == 0 else part


def refuse_varying(*trees: Any) -> None:
    """Raises where arrays vary over the axes of a `jax.shard_map` that checks them: the
    loops of Diffrax begin with values that don't."""
    leaves = [leaf for leaf in jax.tree.leaves(trees) if isinstance(leaf, Tracer)]
    if any(map(_varies, leaves)):
        raise NotImplementedError(
            "a differential equation cannot be solved inside of a jax.shard_map that "
            "checks how values vary. Turn the check off: jax.shard_map(..., "
            "check_vma=False)."
        )


def _varies(x: Tracer) -> bool:
    kind = jax.typeof(x)
    # The name before and after jax 0.10.
    if hasattr(kind, "manual_axis_type"):
        return bool(kind.manual_axis_type.varying)
    return bool(getattr(kind, "vma", ()))


def _explicit(sharding: NamedSharding) -> bool:
    return any(axis is not None for axis in sharding.spec)
