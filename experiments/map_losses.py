"""Which loss distils a flow map best: how far its one step ends from the flow.

    python -m experiments.map_losses --case flood rotations_32 side_chains

The teacher is that of `experiments.few_steps`. One line of JSON for each case, loss and
seed: `distance` is the mean geodesic distance between the end of one step of the map
and that of the teacher's flow from the same noise, in radians, `median` the median,
`two_steps` the mean distance of two steps of the map, and `step_ms` the time of a
training step. With the Eulerian and the semigroup loss, the diagonal is trained by the
Lagrangian loss at `s = t`, a regression on the teacher's velocity.
`lagrangian_squared` is without the pseudo-Huber loss, and `lagrangian_adam` by Adam
rather than Muon. `trajectories` is the regression on where the teacher leads, and
`trajectories_adam` the same by Adam in three times the steps.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax

import rgen

from ._losses import batch_loss
from ._results import machine
from ._runner import SEED, Experiment, Option, run
from ._training import train
from .few_steps import (
    BATCH,
    CASES,
    FLOW,
    HUBER_SCALE,
    MAP_RATE,
    TEACHER_RATE,
    by_trajectories,
    by_velocity,
    distances,
    distillation_loss,
    ends,
    muon,
    pseudo_huber,
    setting,
    teacher,
    two_times,
    untrained_map,
)


STEPS, POINTS = 6000, 2048
# Of a distance between points, which is a tenth of a velocity's error or so.
SEMIGROUP_SCALE = 0.1 * HUBER_SCALE


def diagonal(process, velocity, field, x0, key):
    time_key, key = jr.split(key)
    one = functools.partial(rgen.losses.lagrangian, field, velocity, process)
    s = jr.uniform(time_key, (len(x0),))
    return pseudo_huber(one, key, x0, s, s)


def eulerian(process, velocity, field, x0, key):
    time_key, key, diagonal_key = jr.split(key, 3)
    one = functools.partial(rgen.losses.eulerian, field, velocity, process)
    loss = pseudo_huber(one, key, x0, *two_times(time_key, len(x0)))
    return loss + diagonal(process, velocity, field, x0, diagonal_key)


def semigroup(process, velocity, field, x0, key):
    time_key, middle_key, key, diagonal_key = jr.split(key, 4)
    s, t = two_times(time_key, len(x0))
    r = s + (t - s) * jr.uniform(middle_key, s.shape)
    one = functools.partial(rgen.losses.semigroup, field, process)
    loss = pseudo_huber(one, key, x0, s, r, t, scale=SEMIGROUP_SCALE)
    return loss + diagonal(process, velocity, field, x0, diagonal_key)


class Training(NamedTuple):
    """A loss with its batches, of a case and a seed, and how it is minimised, in how
    many times the steps."""

    distil: Callable
    optimiser: Callable = muon
    rate: float = MAP_RATE
    longer: int = 1


LOSSES = {
    "lagrangian": Training(by_velocity),
    "lagrangian_squared": Training(
        functools.partial(
            by_velocity, loss=eqx.Partial(distillation_loss, mean=batch_loss)
        )
    ),
    "lagrangian_adam": Training(by_velocity, optax.adam, TEACHER_RATE),
    "eulerian": Training(functools.partial(by_velocity, loss=eulerian)),
    "semigroup": Training(functools.partial(by_velocity, loss=semigroup)),
    "trajectories": Training(by_trajectories),
    "trajectories_adam": Training(by_trajectories, optax.adam, longer=3),
}


def line(case, loss, seed):
    init_key, key, noise_key = jr.split(jr.fold_in(jr.key(seed), 4), 3)
    own, score = LOSSES[loss], teacher(case, seed).model.score
    process = CASES[case]().process
    own_loss, sample_batch = own.distil(case, seed)
    trained = train(
        untrained_map(case, init_key),
        own_loss,
        sample_batch,
        key,
        steps=own.longer * STEPS,
        rate=own.rate,
        optimiser=own.optimiser,
    )
    assert trained.step_ms is not None
    x = jax.vmap(process.prior.sample)(jr.split(noise_key, POINTS))
    end = ends(process, score, x, FLOW)
    steps = jnp.array([0.0, 1.0]), jnp.array([0.0, 0.5, 1.0])
    one, two = (distances(process, trained.model, x, end, each) for each in steps)
    return dict(
        distance=round(float(jnp.mean(one)), 5),
        median=round(float(jnp.median(one)), 5),
        two_steps=round(float(jnp.mean(two)), 5),
        batch=BATCH,
        steps=own.longer * STEPS,
        huber_scale=setting(own.distil).huber_scale,
        experts=CASES[case]().experts,
        step_ms=round(trained.step_ms, 2),
        **machine(),
    )


EXPERIMENT = Experiment(
    (
        Option("case", choices=CASES),
        Option("loss", tuple(LOSSES), choices=LOSSES),
        SEED,
    ),
    line,
)


if __name__ == "__main__":
    run(EXPERIMENT, __doc__)
