"""Log-likelihood of a mixture of four wrapped normals on the hyperbolic plane (De
Bortoli et al. 2022, section 6), against the ceiling: the target's mean log-density.

    python -m experiments.hyperbolic --seed 0 --method rsgm exp_wrapped

The means are at (±0.4, 0) of the Poincaré disc, with the scales 0.15 along and 0.5
across the first axis, and at (0, ±0.4), with 0.5 along and 0.15 across it. `rsgm` is
noised by Langevin dynamics towards a wrapped normal of unit scale at the origin, and
trained with the implicit loss, since that has no known transition density. One line of
JSON for each method and seed; what the fields say is at `experiments._quality.quality`.
With `--output` lines are appended to a file, and those that it has are not run again.
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
from ._quality import quality
from ._results import Results, machine
from ._training import draws, score_matching_loss, train


PLANE = rgen.Hyperbolic(2)
# Of a scale of 0.15: a blur of this variance costs it less than 0.001 nats.
RESOLUTION = 4e-4
BATCH = 512
STEPS = 6000
SIZE: dict[str, Any] = dict(width=128, depth=3, frequencies=128, max_frequency=10.0)
FLOW = rgen.ProbabilityFlow(rtol=1e-4, atol=1e-4)
SAMPLER = rgen.ReverseSDE(steps=100)
LIMIT = rgen.WrappedNormal(PLANE, PLANE.origin, 1.0)


def target():
    discs = jnp.array([[0.4, 0.0], [-0.4, 0.0], [0.0, 0.4], [0.0, -0.4]])
    scales = jnp.array([[0.15, 0.5], [0.15, 0.5], [0.5, 0.15], [0.5, 0.15]])
    means = jax.vmap(PLANE.from_poincare)(discs)
    laws = eqx.filter_vmap(partial(rgen.WrappedNormal, PLANE))(means, scales)
    return rgen.Mixture(laws, jnp.zeros(4))


# Each method returns a law, and the seconds of its training.


def rsgm(truth, steps, key):
    init_key, key = jr.split(key)
    schedule = rgen.LogUniformSchedule(RESOLUTION, 6.0)
    process = rgen.Langevin(PLANE, schedule, LIMIT, steps=150)
    score = rgen.nn.ScoreField(process, key=init_key, **SIZE)
    law = rgen.ScoreModel(score, process, FLOW, SAMPLER)
    loss = eqx.Partial(score_matching_loss, rgen.losses.implicit)
    return train(law, loss, draws(truth, BATCH), key, steps=steps)[:2]


def exp_wrapped(truth, steps, key):
    settings = dict(batch=BATCH, steps=steps)
    return exp_wrapped_model(truth, RESOLUTION, SIZE, FLOW, SAMPLER, key, **settings)


METHODS = {"rsgm": rsgm, "exp_wrapped": exp_wrapped}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=seed_number, nargs="+", default=[0])
    parser.add_argument("--steps", type=count, help=f"default: {STEPS}")
    parser.add_argument("--method", choices=METHODS, nargs="+", default=["rsgm"])
    parser.add_argument("--output", help="a file of JSON lines, to go on from")
    args = parser.parse_args()
    case = "method", "seed", "steps"
    results = Results(args.output, case)
    cases = itertools.product(args.method, args.seed, [args.steps])
    for line in results.todo(cases):
        name, seed, _ = line.values()
        train_key, test_key = jr.split(jr.key(seed))
        steps = STEPS if args.steps is None else args.steps
        law, seconds = METHODS[name](target(), steps, train_key)
        results.write(
            **line,
            **machine(),
            train_seconds=round(seconds, 1),
            **quality(law, target(), LIMIT, test_key),
        )


if __name__ == "__main__":
    main()
