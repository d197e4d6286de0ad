"""The rejection loop of every sampler that needs one."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from ._typing import BoolScalar, Floating, Key, Scalar


def rejection_sample(
    propose: Callable[[Key], tuple[Floating[Array, "..."], Scalar]], key: Key
) -> Floating[Array, "..."]:
    """A sample of the distribution whose density is proportional to that of the
    proposals times their probability of acceptance.

    `propose` takes a key and returns a proposal and the logarithm of the probability of
    acceptance. A NaN in that is accepted: the loop ends, and a proposal that has the
    NaN shows it.
    """

    def attempt(key: Key) -> tuple[Key, Array, BoolScalar]:
        key, proposal_key, uniform_key = jr.split(key, 3)
        proposal, log_probability = propose(proposal_key)
        uniform = jr.uniform(uniform_key, dtype=log_probability.dtype)
        # In (0, 1]: below a uniform number of exactly 0, anything would be accepted.
        uniform = jnp.where(uniform == 0, 1, uniform)
        # In this form a NaN ends the loop.
        return key, proposal, log_probability < jnp.log(uniform)

    # The loop starts from a first attempt, and not from zeros: inside of
    # `jax.shard_map` its carry varies over the axes that the key or the parameters do.
    rejected = lambda state: state[2]
    again = lambda state: attempt(state[0])
    return jax.lax.while_loop(rejected, again, attempt(key))[1]
