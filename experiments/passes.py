"""Passes through the network that each model takes to train on a point, to evaluate a
density and to sample (De Bortoli et al. 2022, Table 4), on the sphere.

    python -m experiments.passes --steps 1000 --output FILE

Each model is trained for as many steps on the populated places of the package, as the
solvers adapt to what has been learnt, and its passes are counted while it runs: forward
ones, those of tangent vectors that are carried along with one, and reverse ones. Means
over 16 points; the densities at a tolerance of 1e-3, samples of the reverse SDE in 100
steps. One line of JSON for each model.
"""

from functools import partial
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen

from ._arguments import count
from ._losses import (
    denoising_loss,
    flow_matching_loss,
    likelihood_loss,
    score_matching_loss,
)
from ._moser import moser_loss
from ._passes import Counted, passes
from ._runner import Experiment, Option, run
from ._training import minibatches, train


SPHERE = rgen.Sphere(2)
PROCESS = rgen.Brownian(SPHERE, rgen.LogUniformSchedule(1e-3, 4.0))
PLANE = rgen.OrnsteinUhlenbeck(rgen.Euclidean(2), rgen.LogUniformSchedule(1e-3, 15.0))
NORTH = jnp.array([0.0, 0.0, 1.0])
SIZE: dict[str, Any] = dict(width=64, depth=3, frequencies=64, max_frequency=30.0)
CONTROLLER = diffrax.PIDController(rtol=1e-3, atol=1e-3)
FLOW = rgen.ProbabilityFlow(diffrax.Tsit5(), CONTROLLER)
BATCH, POINTS, SAMPLER_STEPS = 64, 16, 100


# Each returns an untrained model and the loss of a batch.


def rsgm(loss, key):
    field = rgen.nn.ScoreField(PROCESS, key=key, **SIZE)
    sampler = rgen.ReverseSDE(SAMPLER_STEPS)
    model = rgen.ScoreModel(field, PROCESS, sampler, FLOW)
    return model, eqx.Partial(score_matching_loss, loss)


def chart_model(chart, key):
    field = rgen.nn.ScoreField(PLANE, key=key, **SIZE)
    sampler = rgen.ReverseSDE(SAMPLER_STEPS)
    model = rgen.ScoreModel(field, PLANE, sampler, FLOW)

    def loss(model, x, key):
        return denoising_loss(model.base, jax.vmap(chart.to_chart)(x), key)

    return rgen.Pushforward(chart, model), loss


def flow(loss, key):
    field = rgen.nn.FlowField(SPHERE, key=key, **SIZE)
    return rgen.Flow(rgen.Uniform(SPHERE), field, stepsize_controller=CONTROLLER), loss


def moser_flow(key):
    field = rgen.nn.FlowField(SPHERE, key=key, **SIZE)
    model = rgen.MoserFlow(SPHERE, field, stepsize_controller=CONTROLLER)
    return model, partial(moser_loss, lambda x: rgen.Uniform(SPHERE))


METHODS = {
    "rsgm, denoising": partial(rsgm, rgen.losses.denoising),
    "rsgm, sliced": partial(rsgm, rgen.losses.sliced),
    "rsgm, implicit": partial(rsgm, rgen.losses.implicit),
    # There are no towns at the South Pole.
    "stereographic": partial(chart_model, rgen.StereographicChart(NORTH)),
    "exp_wrapped": partial(chart_model, rgen.ExponentialChart(SPHERE, NORTH)),
    "flow_matching": partial(flow, flow_matching_loss),
    "normalizing_flow": partial(flow, likelihood_loss),
    "moser_flow": moser_flow,
}


def counted(model):
    """The model with all its networks counted."""
    is_network = lambda node: isinstance(node, rgen.nn.ResidualMLP)
    count = lambda node: Counted(node) if is_network(node) else node
    return jax.tree.map(count, model, is_leaf=is_network)


def mean_passes(f, each):
    """The passes of `f` at one argument after the other: together they would all take
    as many steps as the slowest."""
    f = eqx.filter_jit(f)
    counts = [passes(f, one) for one in each]
    return {kind: sum(c[kind] for c in counts) / len(counts) for kind in counts[0]}


def density_of(model):
    """A Moser flow is asked for its ratio: its density may be negative somewhere."""
    if isinstance(model, rgen.MoserFlow):
        return model.ratio
    return model.log_prob


def line(method, steps):
    init_key, train_key, key = jr.split(jr.key(0), 3)
    data = rgen.datasets.populated_places()
    points = rgen.datasets.minibatch(key, data, POINTS)
    model, loss = METHODS[method](init_key)
    batches = minibatches(data, BATCH)
    model = counted(train(model, loss, batches, train_key, steps=steps).model)
    return dict(
        training=mean_passes(partial(_gradient, loss, model, train_key), points),
        density=mean_passes(density_of(model), points),
        sample=mean_passes(model.sample, jr.split(key, POINTS)),
    )


def _gradient(loss, model, key, x):
    return eqx.filter_grad(loss)(model, x[None], key)


EXPERIMENT = Experiment(
    (
        Option("method", tuple(METHODS), choices=METHODS),
        Option("steps", (1000,), read=count),
    ),
    line,
)


if __name__ == "__main__":
    run(EXPERIMENT, __doc__)
