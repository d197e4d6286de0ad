"""The exp-wrapped model, on any manifold."""

from typing import Any

import jax
import jax.random as jr

import rgen

from ._losses import denoising_loss
from ._training import InChart, Trained, samples_of, train


def exp_wrapped(
    truth: rgen.AbstractDistribution,
    variance: float,
    size: dict[str, Any],
    flow: rgen.ProbabilityFlow,
    sampler: rgen.AbstractSampler,
    key: jax.Array,
    *,
    batch: int,
    **training: Any,
) -> Trained:
    """A Euclidean score model in the tangent space of the origin, trained on samples of
    a target, with the settings `training` of [`train`][]."""
    init_key, key = jr.split(key)
    manifold = truth.manifold
    chart = rgen.ExponentialChart(manifold, manifold.origin)
    schedule = rgen.LogUniformSchedule(variance, 15.0)
    process = rgen.OrnsteinUhlenbeck(rgen.Euclidean(manifold.dim), schedule)
    field = rgen.nn.ScoreField(process, key=init_key, **size)
    model = rgen.ScoreModel(field, process, sampler, flow)
    sample_batch = InChart(chart, samples_of(truth, batch))
    trained = train(model, denoising_loss, sample_batch, key, **training)
    return trained._replace(model=rgen.Pushforward(chart, trained.model))
