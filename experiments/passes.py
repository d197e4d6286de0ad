"""Passes through the network that each model takes to train on a point, to evaluate a
density and to draw a sample (De Bortoli et al. 2022, Table 4), on the sphere.

    python -m experiments.passes --steps 1000 --output FILE

Each model is trained for as many steps on the populated places of the package, as the
solvers adapt to what has been learnt, and its passes are counted while it runs: forward
ones, those of tangent vectors that are carried along with one, and reverse ones. Where
a program takes the field and its divergence at one point, the count has two forward
passes, of which a compiler that finds common expressions makes one. Means over 16
points; the densities at a tolerance of 1e-3, samples of the reverse SDE in 100 steps.
One line of JSON for each model. With `--output` lines are appended to a file, and those
that it has are not run again.
"""

import argparse
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen

from ._arguments import count
from ._moser import moser_loss
from ._passes import Counted, passes
from ._results import Results
from ._training import (
    denoising_loss,
    flow_matching_loss,
    likelihood_loss,
    minibatches,
    score_matching_loss,
    train,
)


SPHERE = rgen.Sphere(2)
PROCESS = rgen.Brownian(SPHERE, rgen.LogUniformSchedule(1e-3, 4.0))
PLANE = rgen.OrnsteinUhlenbeck(rgen.Euclidean(2), rgen.LogUniformSchedule(1e-3, 15.0))
NORTH = jnp.array([0.0, 0.0, 1.0])
SIZE: dict[str, Any] = dict(width=64, depth=3, frequencies=64, max_frequency=30.0)
TOLERANCE: dict[str, Any] = dict(rtol=1e-3, atol=1e-3)
BATCH, POINTS = 64, 16


# Each makes an untrained law, with the loss of a batch.


def rsgm(loss, key):
    field = rgen.nn.ScoreField(PROCESS, key=key, **SIZE)
    flow, sampler = rgen.ProbabilityFlow(**TOLERANCE), rgen.ReverseSDE(steps=100)
    law = rgen.ScoreModel(field, PROCESS, flow, sampler)
    return law, eqx.Partial(score_matching_loss, loss)


def chart_model(chart, key):
    field = rgen.nn.ScoreField(PLANE, key=key, **SIZE)
    flow, sampler = rgen.ProbabilityFlow(**TOLERANCE), rgen.ReverseSDE(steps=100)
    law = rgen.ScoreModel(field, PLANE, flow, sampler)

    def loss(law, x, key):
        return denoising_loss(law.law, jax.vmap(chart.to_chart)(x), key)

    return rgen.Pushforward(chart, law), loss


def flow(loss, key):
    field = rgen.nn.FlowField(SPHERE, key=key, **SIZE)
    return rgen.Flow(rgen.Uniform(SPHERE), field, **TOLERANCE), loss


def moser_flow(key):
    field = rgen.nn.FlowField(SPHERE, key=key, **SIZE)
    law = rgen.MoserFlow(SPHERE, field, **TOLERANCE)
    return law, partial(moser_loss, lambda x: rgen.Uniform(SPHERE))


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


def counted(law):
    """The law with all its networks counted."""
    is_network = lambda node: isinstance(node, rgen.nn.ResidualMLP)
    count = lambda node: Counted(node) if is_network(node) else node
    return jax.tree.map(count, law, is_leaf=is_network)


def mean_passes(f, each):
    """The passes of `f` at one argument after the other: together they would all take
    as many steps as the slowest."""
    f = eqx.filter_jit(f)
    counts = [passes(f, one) for one in each]
    return {kind: sum(c[kind] for c in counts) / len(counts) for kind in counts[0]}


def density_of(law):
    """A Moser flow is asked for its ratio: its density may be negative somewhere."""
    if isinstance(law, rgen.MoserFlow):
        return law.ratio
    return law.log_prob


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=count, default=1000)
    parser.add_argument("--method", choices=METHODS, nargs="+", default=list(METHODS))
    parser.add_argument("--output", help="a file of JSON lines, to go on from")
    args = parser.parse_args()
    case = "method", "steps"
    results = Results(args.output, case)
    init_key, train_key, key = jr.split(jr.key(0), 3)
    data = rgen.datasets.populated_places()
    points = rgen.datasets.minibatch(key, data, POINTS)
    keys = jr.split(key, POINTS)
    for line in results.todo((name, args.steps) for name in args.method):
        law, loss = METHODS[line["method"]](init_key)
        batches = minibatches(data, BATCH)
        law, _, _ = train(law, loss, batches, train_key, steps=args.steps)
        law = counted(law)
        gradient = partial(_gradient, loss, law, train_key)
        results.write(
            **line,
            training=mean_passes(gradient, points),
            density=mean_passes(density_of(law), points),
            sample=mean_passes(law.sample, keys),
        )


def _gradient(loss, law, key, x):
    return eqx.filter_grad(loss)(law, x[None], key)


if __name__ == "__main__":
    main()
