"""How often a law evaluates its network, or the network with its divergence."""

from functools import singledispatch

import jax
import jax.numpy as jnp
from jaxtyping import Array

import rgen

from ._moser import Floored


@singledispatch
def density_evaluations(model, x: Array) -> Array:
    """For the log-density at one point."""
    raise NotImplementedError(f"add {type(model).__name__} to density_evaluations")


@density_evaluations.register(rgen.ScoreModel)
@density_evaluations.register(rgen.Flow)
def _(model, x):
    return model.log_prob_evaluations(x)[1]


@density_evaluations.register
def _(model: Floored, x):
    return jnp.array(1)


@density_evaluations.register
def _(model: rgen.Pushforward, x):
    each = jax.vmap(lambda y: density_evaluations(model.law, y))
    return jnp.sum(each(model.chart.preimages(x)))


@singledispatch
def sample_evaluations(model, key: Array) -> Array:
    """For one draw."""
    raise NotImplementedError(f"add {type(model).__name__} to sample_evaluations")


@sample_evaluations.register
def _(model: rgen.Flow, key):
    return model.sample_evaluations(key)[1]


@sample_evaluations.register
def _(model: Floored, key):
    return model.flow.sample_evaluations(key)[1]


@sample_evaluations.register
def _(model: rgen.ScoreModel, key):
    assert isinstance(model.sampler, rgen.ReverseSDE)
    return jnp.array(model.sampler.steps)


@sample_evaluations.register
def _(model: rgen.Pushforward, key):
    return sample_evaluations(model.law, key)
