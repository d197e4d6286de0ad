from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .._typing import BoolScalar, Floating, Key, typed


class Droppable(eqx.Module):
    r"""An embedding of a condition that may be absent. The condition is the pair
    `(c, present)`: the vector is $e(c)$ where `present` is true, and elsewhere one that
    is learnt.

    One field is then both conditional and unconditional, as
    [`rgen.ClassifierFreeGuidance`][] needs it: train it on what [`rgen.nn.drop`][]
    returns. `c` has to be finite where it is absent, too.

    **Arguments:**

    - `embedding`: a function from a condition to a vector.
    - `condition`: an example of a condition.
    """

    embedding: Callable
    absent: Floating[Array, " size"]

    @typed
    def __init__(self, embedding: Callable, condition: Any):
        self.embedding = embedding
        like = eqx.filter_eval_shape(embedding, condition)
        self.absent = jnp.zeros(like.shape, like.dtype)

    @typed
    def __call__(self, c: tuple[Any, BoolScalar]) -> Floating[Array, " size"]:
        """The vector of the pair `(c, present)`."""
        value, present = c
        return jnp.where(present, self.embedding(value), self.absent)


@typed
def drop(key: Key, c: Any, probability: float = 0.1) -> tuple[Any, BoolScalar]:
    """The condition `c`, absent with a probability, for [`rgen.nn.Droppable`][]: the
    pair `(c, present)` (Ho and Salimans 2022, *Classifier-free diffusion guidance*).
    """
    if not 0 <= probability <= 1:
        raise ValueError(
            f"drop: expected `probability` between 0 and 1, got {probability}."
        )
    return jax.tree.map(jnp.asarray, c), ~jr.bernoulli(key, probability)
