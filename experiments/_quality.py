"""How well a law fits a target whose density is known."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen

from ._evaluations import density_evaluations, sample_evaluations
from ._moser import floor_mass
from ._training import drawn, draws, log_probs


TEST = 4096


def quality(
    law: rgen.AbstractDistribution,
    truth: rgen.AbstractDistribution,
    everywhere: rgen.AbstractDistribution,
    key: jax.Array,
) -> dict[str, float | None]:
    """How well a law fits the target `truth`, from 4,096 draws of the target.

    `ceiling` is the mean of log p over them, p being the density of the target,
    `log_likelihood` that of log q, of the law, and `gap` the difference, with its
    standard error. `mass` is the integral of q, by importance sampling with the same
    draws and as many of the law `everywhere`. `sample_log_likelihood` is the mean of
    log p over draws of the law. Evaluations are of the network, or of the network with
    its divergence, for one density and for one draw: the mean over 256 of them, and the
    most of them for a density. Where a sampler gives up there is nothing about draws.
    """
    test_key, other_key, sample_key = jr.split(key, 3)
    test = draws(truth, TEST)(test_key)
    x = jnp.concatenate([test, draws(everywhere, TEST)(other_key)])
    log_p, log_q = log_probs(truth.log_prob, x), log_probs(law.log_prob, x)
    gap = log_p[:TEST] - log_q[:TEST]
    proposal = jnp.logaddexp(log_p, log_probs(everywhere.log_prob, x))
    weights = 2 * jnp.exp(log_q - proposal)
    evaluations = _map(density_evaluations, law, test[:256])
    return dict(
        ceiling=_mean(log_p[:TEST]),
        log_likelihood=_mean(log_q[:TEST]),
        gap=_mean(gap),
        gap_error=round(float(jnp.std(gap)) / TEST**0.5, 4),
        mass=_mean(weights),
        **floor_mass(law),
        density_evaluations=_mean(evaluations),
        most_density_evaluations=int(jnp.max(evaluations)),
        **_quality_of_draws(law, truth, sample_key),
    )


def _quality_of_draws(law, truth, key):
    x = drawn(law, TEST, key)
    if x is None:
        return dict(sample_log_likelihood=None, sample_evaluations=None)
    few = jr.split(key, 256)
    return dict(
        sample_log_likelihood=_mean(log_probs(truth.log_prob, x)),
        sample_evaluations=_mean(_map(sample_evaluations, law, few)),
    )


@eqx.filter_jit
def _map(count, law, each):
    return jax.vmap(partial(count, law))(each)


def _mean(x):
    return round(float(jnp.mean(x)), 4)
