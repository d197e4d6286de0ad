from collections.abc import Callable

import jax
from jaxtyping import Array

from .._typing import Floating, Point, Scalar


# Points whose distances to all others are computed at a time: what bounds the memory.
_BLOCK = 64


def pairwise(
    f: Callable[[Point, Point], Scalar], x: Array, y: Array
) -> Floating[Array, "n m"]:
    row = lambda a: jax.vmap(lambda b: f(a, b))(y)
    return jax.lax.map(row, x, batch_size=_BLOCK)
