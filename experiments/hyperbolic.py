"""Log-likelihood of a mixture of four wrapped normals on the hyperbolic plane (De
Bortoli et al. 2022, section 6), against the ceiling: the target's mean log-density.

    python -m experiments.hyperbolic --seed 0 --method rsgm exp_wrapped

The means are at (±0.4, 0) of the Poincaré disc, with the scales 0.15 along and 0.5
across the first axis, and at (0, ±0.4), with 0.5 along and 0.15 across it. `rsgm` is
noised by Langevin dynamics towards a wrapped normal of unit scale at the origin, and
trained with the implicit loss, since that has no known transition density. One line of
JSON for each method and seed; what the fields say is at `experiments._quality.quality`.
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
from ._exp_wrapped import exp_wrapped as exp_wrapped_model
from ._losses import score_matching_loss
from ._quality import quality
from ._results import machine
from ._runner import SEED, Experiment, Option, run
from ._training import samples_of, train


PLANE = rgen.Hyperbolic(2)
# Noise of this variance costs a scale of 0.15 less than 0.001 nats.
MIN_VARIANCE = 4e-4
BATCH = 512
STEPS = 6000
SIZE: dict[str, Any] = dict(width=128, depth=3, frequencies=128, max_frequency=10.0)
CONTROLLER = diffrax.PIDController(rtol=1e-4, atol=1e-4)
FLOW = rgen.ProbabilityFlow(diffrax.Tsit5(), CONTROLLER)
SAMPLER = rgen.ReverseSDE(steps=100)
PRIOR = rgen.WrappedNormal(PLANE, PLANE.origin, 1.0)


def target():
    discs = jnp.array([[0.4, 0.0], [-0.4, 0.0], [0.0, 0.4], [0.0, -0.4]])
    scales = jnp.array([[0.15, 0.5], [0.15, 0.5], [0.5, 0.15], [0.5, 0.15]])
    means = jax.vmap(PLANE.from_poincare)(discs)
    components = eqx.filter_vmap(partial(rgen.WrappedNormal, PLANE))(means, scales)
    return rgen.Mixture(components, jnp.zeros(4))


# Each method returns a `Trained` distribution.


def rsgm(truth, steps, key):
    init_key, key = jr.split(key)
    schedule = rgen.LogUniformSchedule(MIN_VARIANCE, 6.0)
    process = rgen.Langevin(PLANE, schedule, PRIOR, steps=150)
    score = rgen.nn.ScoreField(process, key=init_key, **SIZE)
    model = rgen.ScoreModel(score, process, SAMPLER, FLOW)
    loss = eqx.Partial(score_matching_loss, rgen.losses.implicit)
    return train(model, loss, samples_of(truth, BATCH), key, steps=steps)


def exp_wrapped(truth, steps, key):
    settings = dict(batch=BATCH, steps=steps)
    return exp_wrapped_model(truth, MIN_VARIANCE, SIZE, FLOW, SAMPLER, key, **settings)


METHODS = {"rsgm": rsgm, "exp_wrapped": exp_wrapped}


def line(method, seed, steps):
    train_key, test_key = jr.split(jr.key(seed))
    steps = STEPS if steps is None else steps
    trained = METHODS[method](target(), steps, train_key)
    return dict(
        **machine(),
        train_seconds=round(trained.seconds, 1),
        **quality(trained.model, target(), PRIOR, test_key),
    )


EXPERIMENT = Experiment(
    (
        Option("method", ("rsgm",), choices=METHODS),
        SEED,
        Option("steps", (None,), read=count, help=f"default: {STEPS}"),
    ),
    line,
)


if __name__ == "__main__":
    run(EXPERIMENT, __doc__)
