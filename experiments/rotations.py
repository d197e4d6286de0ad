"""Log-likelihood of mixtures of wrapped normals on SO(3) (Table 5 of De Bortoli et al.
2022), against the ceiling: the mean log-density of the target itself.

    python -m experiments.rotations --components 16 --seed 0
    python -m experiments.rotations --components 16 32 64 --method rsgm --output FILE

One line of JSON for each number of components, seed and method. All see fresh draws of
the target at every step. What the fields say is at `experiments._quality.quality`. With
`--output` lines are appended to a file, and those that it has are not run again.
"""

import argparse
import itertools
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen

from ._arguments import count, seed_number
from ._exp_wrapped import exp_wrapped as exp_wrapped_model
from ._moser import floored, moser_loss
from ._quality import quality
from ._results import Results, machine
from ._training import (
    draws,
    flow_matching_loss,
    score_matching_loss,
    train,
)


SO3 = rgen.SpecialOrthogonal(3)
# A twentieth of the variance of a component: it costs 0.002 nats.
RESOLUTION = 2.5e-4
BATCH = 1024
STEPS = 30_000
# A third of the rate of the other experiments. What a score lacks here it lacks for the
# noise of its targets, which at that rate does not average out however long it trains.
RATE = 1e-3
SIZE: dict[str, Any] = dict(width=256, depth=4, frequencies=384, max_frequency=4.0)
# The finest waves are as fine in a chart: their frequencies are sums over three
# coordinates rather than nine, and entries of a matrix differ by more than angles.
CHART_SIZE = {**SIZE, "max_frequency": 8.0}
SAMPLER = rgen.ReverseSDE(steps=100)
FRAME = rgen.nn.LieAlgebra()
TOLERANCE: dict[str, Any] = dict(rtol=1e-4, atol=1e-4)
FLOW = rgen.ProbabilityFlow(**TOLERANCE)


def target(components, key):
    """Equal weights, Haar means, scales of precision Gamma(100, 1) in the Frobenius
    norm, which is sqrt(2) times the angle."""
    mean_key, scale_key = jr.split(key)
    means = jax.vmap(SO3.uniform)(jr.split(mean_key, components))
    scales = (2 * jr.gamma(scale_key, 100.0, (components,))) ** -0.5
    laws = eqx.filter_vmap(partial(rgen.WrappedNormal, SO3))(means, scales)
    return rgen.Mixture(laws, jnp.zeros(components))


def times(process, key, n):
    """Three of four in the middle half of the logarithm of the variance, where
    components part from one another."""
    t = process.stratified_times(key, n)
    return jnp.interp(
        t, jnp.array([0, 1 / 8, 7 / 8, 1]), jnp.array([0, 1 / 4, 3 / 4, 1])
    )


# Each method, with networks of a size, returns a law and the seconds of its training.


def rsgm(truth, size, steps, key):
    init_key, key = jr.split(key)
    process = rgen.Brownian(SO3, rgen.LogUniformSchedule(RESOLUTION, 5.0))
    field = rgen.nn.ScoreField(process, parametrisation=FRAME, key=init_key, **size)
    law = rgen.ScoreModel(field, process, FLOW, SAMPLER)
    loss = eqx.Partial(score_matching_loss, rgen.losses.denoising, times=times)
    return train(law, loss, draws(truth, BATCH), key, steps=steps, rate=RATE)[:2]


def exp_wrapped(truth, size, steps, key):
    model = partial(exp_wrapped_model, batch=BATCH, steps=steps, rate=RATE)
    return model(truth, RESOLUTION, size, FLOW, SAMPLER, key)


def flow_matching(truth, size, steps, key):
    init_key, key = jr.split(key)
    field = _flow_field(size, init_key)
    law = rgen.Flow(rgen.Uniform(SO3), field, **TOLERANCE)
    draw = draws(truth, BATCH)
    return train(law, flow_matching_loss, draw, key, steps=steps, rate=RATE)[:2]


def moser_flow(truth, size, steps, key):
    init_key, key = jr.split(key)
    field = _flow_field(size, init_key)
    law = rgen.MoserFlow(SO3, field, **TOLERANCE)
    draw = draws(truth, BATCH)
    # Fewer, for each costs about eight times as much as one of the others.
    steps = max(1, steps // 8)
    uniform = rgen.Uniform(SO3)
    loss = partial(moser_loss, lambda x: uniform)
    law, seconds, _ = train(law, loss, draw, key, steps=steps)
    return floored(law, uniform), seconds


def _flow_field(size, key):
    kwargs = dict(v_min=RESOLUTION, parametrisation=FRAME, key=key)
    return rgen.nn.FlowField(SO3, **kwargs, **size)


METHODS = {
    "rsgm": (rsgm, SIZE),
    "exp_wrapped": (exp_wrapped, CHART_SIZE),
    "flow_matching": (flow_matching, SIZE),
    "moser_flow": (moser_flow, SIZE),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--components", type=count, nargs="+", default=[16, 32, 64])
    parser.add_argument("--seed", type=seed_number, nargs="+", default=[0])
    parser.add_argument("--steps", type=count, default=STEPS)
    parser.add_argument("--method", choices=METHODS, nargs="+", default=["rsgm"])
    parser.add_argument("--output", help="a file of JSON lines, to go on from")
    args = parser.parse_args()
    case = "method", "components", "seed", "steps"
    results = Results(args.output, case)
    cases = itertools.product(args.method, args.components, args.seed, [args.steps])
    for line in results.todo(cases):
        name, components, seed, steps = line.values()
        target_key, train_key, test_key = jr.split(jr.key(seed), 3)
        truth = target(components, target_key)
        method, size = METHODS[name]
        law, seconds = method(truth, size, steps, train_key)
        results.write(
            **line,
            setting=size,
            **machine(),
            train_seconds=round(seconds, 1),
            **quality(law, truth, rgen.Uniform(SO3), test_key),
        )


if __name__ == "__main__":
    main()
