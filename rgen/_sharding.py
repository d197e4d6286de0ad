"""Arrays that are sharded over the axes of a mesh."""

import math
from collections.abc import Callable
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
    if not _divided(sharding):
        return x
    return jax.sharding.reshard(x, NamedSharding(sharding.mesh, PartitionSpec()))


def take_rows(x: Shaped[Array, "n ..."], rows: Array) -> Shaped[Array, "m ..."]:
    """`x[rows]`, sharded as `x` is; inside `jax.jit` over automatic axes, as the
    compiler likes. A `ValueError` where the rows do not divide evenly."""
    of_type = jax.typeof(x).sharding
    sharding = of_type if isinstance(x, Tracer) else x.sharding
    if not (isinstance(sharding, NamedSharding) and _divided(sharding)):
        return x[rows]
    axes = sharding.spec[0] or ()
    axes = axes if isinstance(axes, tuple) else (axes,)
    shards = math.prod(sharding.mesh.shape[axis] for axis in axes)
    if len(rows) % shards != 0:
        raise ValueError(
            f"expected `size` to be a multiple of {shards}, the number of devices "
            f"over which the rows are sharded, got {len(rows)}. Take "
            f"{-(-len(rows) // shards) * shards} rows, or replicate the data by "
            "jax.device_put(x, jax.sharding.NamedSharding(mesh, PartitionSpec()))."
        )
    if _divided(of_type):
        return x.at[rows].get(out_sharding=sharding)
    return jax.device_put(x[rows], sharding)


def over_automatic_axes(f: Callable[[Any], Any], rows: Any) -> Any:
    """`f(rows)`, computed over axes that the compiler takes care of, since Diffrax's
    solvers know no explicit ones. The values have a row for each of the `rows`, and are
    sharded as these are."""
    leaves = jax.tree.leaves(rows)
    explicit = [leaf for leaf in leaves if _divided(jax.typeof(leaf).sharding)]
    if not explicit:
        return f(rows)
    sharding = jax.typeof(explicit[0]).sharding
    mesh, spec = sharding.mesh, PartitionSpec(sharding.spec[0])
    if any(isinstance(leaf, Tracer) for leaf in leaves):
        out = NamedSharding(mesh, spec)
        return jax.sharding.auto_axes(f, axes=mesh.axis_names, out_sharding=out)(rows)
    mesh = explicit[0].sharding.mesh
    axis_types = (AxisType.Auto,) * len(mesh.axis_names)
    automatic = Mesh(np.asarray(mesh.devices), mesh.axis_names, axis_types=axis_types)
    with jax.set_mesh(automatic):
        values = f(jax.tree.map(lambda leaf: _over(automatic, leaf), rows))
    return jax.device_put(values, NamedSharding(mesh, spec))


def _over(mesh: Mesh, x: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
    if not (isinstance(x.sharding, NamedSharding) and _divided(x.sharding)):
        return x
    return jax.device_put(x, NamedSharding(mesh, x.sharding.spec))


def part_of(x: Shaped[Array, "n ..."], start: int, size: int) -> Shaped[Array, "m ..."]:
    """`x[start : start + size]`, sharded as `x` is where the devices divide it. JAX
    would put it on all of them."""
    part = x[start : start + size]
    if isinstance(x, Tracer):
        return part
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


def _divided(sharding: NamedSharding) -> bool:
    """Whether arrays are in parts; for the sharding of a type, over explicit axes."""
    return any(axis is not None for axis in sharding.spec)
