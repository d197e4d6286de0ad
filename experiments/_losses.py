"""The losses of a batch: `loss(model, x, key)`."""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen


def batch_loss(loss: Callable, key: jax.Array, *batch: jax.Array) -> jax.Array:
    """The mean of `loss(*point, key)` over the points of a batch, a key for each."""
    return jnp.mean(jax.vmap(loss)(*batch, jr.split(key, len(batch[0]))))


def score_matching_loss(
    loss: Callable,
    model: rgen.ScoreModel,
    x0: jax.Array,
    key: jax.Array,
    weight: Callable = rgen.losses.variance_weight,
    times: Callable = rgen.AbstractProcess.stratified_times,
) -> jax.Array:
    """The weighted mean of a loss of [`rgen.losses`][], at `times(process, key, n)`."""
    # The arrays of its prior are no parameters.
    process = jax.lax.stop_gradient(model.process)
    time_key, noise_key = jr.split(key)
    t = times(process, time_key, len(x0))

    one = partial(loss, model.score, process, weight=weight)
    return batch_loss(one, noise_key, x0, t)


denoising_loss = eqx.Partial(score_matching_loss, rgen.losses.denoising)


def ensemble_loss(model: rgen.ScoreModel, x0: jax.Array, key: jax.Array) -> jax.Array:
    """The sum of the denoising losses over the members of an ensemble, each with noise
    of its own."""
    assert isinstance(model.score, rgen.nn.Ensemble)
    with_score = lambda score: eqx.tree_at(lambda model: model.score, model, score)
    one = lambda member, key: denoising_loss(with_score(member), x0, key)
    keys = jr.split(key, model.score.size)
    return jnp.sum(eqx.filter_vmap(one)(model.score.members, keys))


def flow_matching_loss(model: rgen.Flow, x1: jax.Array, key: jax.Array) -> jax.Array:
    """The mean of the loss over times. Every second time is uniform, the others are
    log-uniform in 1 - t, since a flow learns fine structure close to t = 1."""
    assert isinstance(model.field, rgen.nn.FlowField)
    time_key, loss_key = jr.split(key)
    n = len(x1)
    u = (jnp.arange(n) + jr.uniform(time_key, (n,))) / n
    finest = model.field.v_min**0.5
    t = jnp.where(jnp.arange(n) % 2 == 0, u, 1 - finest**u)
    one = partial(rgen.losses.flow_matching, model.field, model.base)
    return batch_loss(one, loss_key, x1, t)


def likelihood_loss(model: rgen.Flow, x: jax.Array, key: jax.Array) -> jax.Array:
    return -batch_loss(model.log_prob, key, x)
