"""The exp-wrapped model, on any manifold."""

from typing import Any

import jax
import jax.random as jr

import rgen

from ._training import InChart, denoising_loss, draws, train


def exp_wrapped(
    truth: rgen.AbstractDistribution,
    resolution: float,
    size: dict[str, Any],
    flow: rgen.ProbabilityFlow,
    sampler: rgen.AbstractSampler,
    key: jax.Array,
    *,
    batch: int,
    **training: Any,
) -> tuple[rgen.AbstractDistribution, float]:
    """A Euclidean score model in the tangent space of the origin, trained on draws of a
    target, as `training` says to [`train`][]; and the seconds of its training."""
    init_key, key = jr.split(key)
    manifold = truth.manifold
    chart = rgen.ExponentialChart(manifold, manifold.origin)
    schedule = rgen.LogUniformSchedule(resolution, 15.0)
    process = rgen.OrnsteinUhlenbeck(rgen.Euclidean(manifold.dim), schedule)
    field = rgen.nn.ScoreField(process, key=init_key, **size)
    law = rgen.ScoreModel(field, process, flow, sampler)
    draw = InChart(chart, draws(truth, batch))
    law, seconds, _ = train(law, denoising_loss, draw, key, **training)
    return rgen.Pushforward(chart, law), seconds
