"""How often a law evaluates its network, or the network with its divergence."""

from functools import singledispatch

import jax
import jax.numpy as jnp
from jaxtyping import Array

import rgen

from ._moser import Floored


@singledispatch
def density_evaluations(law, x: Array) -> Array:
    """For the log-density at one point."""
    raise NotImplementedError(f"add {type(law).__name__} to density_evaluations")


@density_evaluations.register(rgen.ScoreModel)
@density_evaluations.register(rgen.Flow)
def _(law, x):
    return law.log_prob_evaluations(x)[1]


@density_evaluations.register
def _(law: Floored, x):
    return jnp.array(1)


@density_evaluations.register
def _(law: rgen.Pushforward, x):
    each = jax.vmap(lambda y: density_evaluations(law.law, y))
    return jnp.sum(each(law.chart.preimages(x)))


@singledispatch
def sample_evaluations(law, key: Array) -> Array:
    """For one draw."""
    raise NotImplementedError(f"add {type(law).__name__} to sample_evaluations")


@sample_evaluations.register
def _(law: rgen.Flow, key):
    return law.sample_evaluations(key)[1]


@sample_evaluations.register
def _(law: Floored, key):
    return law.flow.sample_evaluations(key)[1]


@sample_evaluations.register
def _(law: rgen.ScoreModel, key):
    assert isinstance(law.sampler, rgen.ReverseSDE)
    return jnp.array(law.sampler.steps)


@sample_evaluations.register
def _(law: rgen.Pushforward, key):
    return sample_evaluations(law.law, key)
