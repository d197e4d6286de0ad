"""How well a model fits a target whose density is known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen

from ._moser import floor_mass
from ._training import log_probs, samples_of, samples_or_none


TEST = 4096


def quality(
    model: rgen.AbstractDistribution,
    truth: rgen.AbstractDistribution,
    everywhere: rgen.AbstractDistribution,
    key: jax.Array,
) -> dict[str, float | None]:
    """How well a model fits the target `truth`, from 4,096 samples of the target.

    `ceiling` is the mean of log p over them, where p is the density of the target;
    `log_likelihood` is the mean of log q, the density of the model; `gap` is the
    difference, with its standard error. `mass` is the integral of q, by importance
    sampling with the same samples and as many of the distribution `everywhere`.
    `sample_log_likelihood` is the mean of log p over samples of the model. Evaluations
    count the network, alone or with its divergence, for one density and for one sample:
    the mean over 256, and the largest number for a density. If a sampler fails, the
    fields about samples are null.
    """
    test_key, other_key, sample_key = jr.split(key, 3)
    test = samples_of(truth, TEST)(test_key)
    x = jnp.concatenate([test, samples_of(everywhere, TEST)(other_key)])
    log_p, log_q = log_probs(truth.log_prob, x), log_probs(model.log_prob, x)
    gap = log_p[:TEST] - log_q[:TEST]
    proposal = jnp.logaddexp(log_p, log_probs(everywhere.log_prob, x))
    weights = 2 * jnp.exp(log_q - proposal)
    evaluations = _evaluations(model.log_prob_and_cost, test[:256])
    return dict(
        ceiling=_mean(log_p[:TEST]),
        log_likelihood=_mean(log_q[:TEST]),
        gap=_mean(gap),
        gap_error=round(float(jnp.std(gap)) / TEST**0.5, 4),
        mass=_mean(weights),
        **floor_mass(model),
        density_evaluations=_mean(evaluations),
        most_density_evaluations=int(jnp.max(evaluations)),
        **_quality_of_samples(model, truth, sample_key),
    )


def _quality_of_samples(model, truth, key):
    x = samples_or_none(model, TEST, key)
    if x is None:
        return dict(sample_log_likelihood=None, sample_evaluations=None)
    few = jr.split(key, 256)
    return dict(
        sample_log_likelihood=_mean(log_probs(truth.log_prob, x)),
        sample_evaluations=_mean(_evaluations(model.sample_and_cost, few)),
    )


@eqx.filter_jit
def _evaluations(of, each):
    return jax.vmap(lambda one: of(one)[1].evaluations)(each)


def _mean(x):
    return round(float(jnp.mean(x)), 4)
