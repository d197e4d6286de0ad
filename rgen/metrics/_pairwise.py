from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._typing import Floating, Point, Scalar


# Points whose distances to all others are computed at a time: what bounds the memory.
BLOCK = 64


def pairwise(
    f: Callable[[Point, Point], Scalar], x: Array, y: Array
) -> Floating[Array, "n m"]:
    row = lambda a: jax.vmap(lambda b: f(a, b))(y)
    return jax.lax.map(row, x, batch_size=BLOCK)


def pairwise_within(
    f: Callable[[Point, Point], Scalar], x: Array
) -> Floating[Array, "n n"]:
    """A symmetric `f` of all pairs of distinct points, and minus infinity on the
    diagonal: half of the evaluations."""
    n = len(x)
    # Each point beside the next half of the others, in a circle.
    rows = jnp.arange(n)
    ahead = (rows[:, None] + 1 + jnp.arange(n // 2)) % n
    row = lambda i, others: jax.vmap(lambda j: f(x[i], x[j]))(others)
    values = jax.lax.map(lambda pair: row(*pair), (rows, ahead), batch_size=BLOCK)
    half = jnp.full((n, n), -jnp.inf, x.dtype).at[rows[:, None], ahead].set(values)
    return jnp.maximum(half, half.T)
