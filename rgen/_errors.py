"""Checks that several layers share: of values where they are known, and of the leading
axis of a pytree; and warnings."""

import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from ._typing import BoolScalar, Floating


def require(
    ok: BoolScalar, value: Floating[Array, "..."], what: str
) -> Floating[Array, "..."]:
    """Returns `value`. Where `ok` is false it raises a `ValueError` that says `what`
    and the value; where `ok` is traced, an error at run time that says `what`. Inside
    of `jax.shard_map`, where a device cannot raise one, the value becomes NaN."""
    if _in_shard_map(value):
        return jnp.where(ok, value, jnp.nan)
    if isinstance(ok, Tracer):
        return eqx.error_if(value, ~ok, f"{what}.")
    if not ok:
        raise ValueError(f"{what}, got {shortened(value)}.")
    return value


def shortened(value: Any) -> str:
    """The numbers of an array, the first and the last ones of many."""
    return np.array2string(np.asarray(value), threshold=16)


def _in_shard_map(x: Array) -> bool:
    return bool(jax.typeof(x).sharding.mesh.manual_axes)


def leading_axis(
    where: str, name: str, tree: Any, length: int | None, remedy: str
) -> int:
    """The length of the leading axis that all arrays of `tree` share.

    Raises a `ValueError` where there is no array, no such axis, or an empty one, or
    where it is not `length`."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if _is_array(leaf)]
    sizes = {leaf.shape[:1] for leaf in leaves}
    wanted = "of one length" if length is None else f"of length {length}"
    expected = sizes if length is None else {(length,)}
    if len(sizes) != 1 or sizes <= {(), (0,)} or sizes != expected:
        raise ValueError(
            f"{where}: expected the arrays of `{name}` to have a leading axis "
            f"{wanted}, not empty, got leading axes {sorted(sizes)}. {remedy}"
        )
    return sizes.pop()[0]


_is_array: Callable[[Any], bool] = lambda leaf: isinstance(leaf, jax.Array | np.ndarray)


_LIBRARIES = {"rgen", "jaxtyping", "beartype", "equinox", "jax", "functools"}


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """A warning that points to the line of the user's that led to it."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _library(frame) in _LIBRARIES:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _library(frame: FrameType) -> str:
    return frame.f_globals.get("__name__", "").partition(".")[0]
