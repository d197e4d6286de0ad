from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from ..._typing import Floating
from ._base import AbstractProjection


# Points that are mapped at once, always as many: each map is compiled once.
_CHUNK = 8192


def forward(
    projection: AbstractProjection, x: Floating[Array | np.ndarray, "n ..."]
) -> tuple[Floating[np.ndarray, "n 2"], Bool[np.ndarray, " n"]]:
    return over_points(projection.forward, x)


def inverse(
    projection: AbstractProjection, uv: Floating[Array | np.ndarray, "n 2"]
) -> Floating[np.ndarray, "n ..."]:
    return over_points(projection.inverse, uv)


def contains(
    projection: AbstractProjection, uv: Floating[Array | np.ndarray, "n 2"]
) -> Bool[np.ndarray, " n"]:
    return over_points(projection.contains, uv)


def over_points(f: Callable[..., Any], *arrays: Array | np.ndarray) -> Any:
    """The values of `f` at the rows of the arrays, in NumPy."""
    rows = [np.asarray(array) for array in arrays]
    starts = range(0, len(rows[0]), _CHUNK)
    chunks = [_chunk(f, [row[k : k + _CHUNK] for row in rows]) for k in starts]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *chunks)


def _chunk(f: Callable[..., Any], rows: list[np.ndarray]) -> Any:
    n = len(rows[0])
    filled = [row[np.minimum(np.arange(_CHUNK), n - 1)] for row in rows]
    values = _values(f, *[jnp.asarray(row) for row in filled])
    return jax.tree.map(lambda value: np.asarray(value)[:n], values)


@eqx.filter_jit
def _values(f: Callable[..., Any], *rows: Array) -> Any:
    return jax.vmap(f)(*rows)
