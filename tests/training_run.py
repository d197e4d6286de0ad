"""A training that goes on from its checkpoint, for the tests that kill it.

python tests/training_run.py CHECKPOINT STEPS
"""

import pathlib
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax

import rgen


SPHERE = rgen.Sphere(2)
PROCESS = rgen.Brownian(SPHERE, rgen.LogUniformSchedule(1e-2))
OPTIM = optax.adam(1e-2)
EVERY = 3


def start():
    size = dict(width=8, depth=2, frequencies=4)
    score = rgen.nn.ScoreField(PROCESS, **size, key=jr.key(0))
    state = OPTIM.init(eqx.filter(score, eqx.is_inexact_array))
    return score, score, state, jr.key(1), jnp.array(0)


@eqx.filter_jit
def step(score, average, state, key, count):
    key, data_key, time_key, noise_key = jr.split(key, 4)
    x0 = jax.vmap(SPHERE.uniform)(jr.split(data_key, 16))
    x0 = jax.vmap(SPHERE.project)(x0 + jnp.array([0.0, 0.0, 2.0]))
    t = PROCESS.stratified_times(time_key, 16)

    def loss(score):
        def one(x, t, key):
            weight = rgen.losses.variance_weight
            return rgen.losses.denoising(score, PROCESS, x, t, key, weight)

        return jnp.mean(jax.vmap(one)(x0, t, jr.split(noise_key, 16)))

    updates, state = OPTIM.update(eqx.filter_grad(loss)(score), state)
    score = eqx.apply_updates(score, updates)
    arrays, static = eqx.partition(score, eqx.is_inexact_array)
    before = eqx.filter(average, eqx.is_inexact_array)
    average = eqx.combine(optax.incremental_update(arrays, before, 0.1), static)
    return score, average, state, key, count + 1


def main(path, steps):
    run = start()
    if pathlib.Path(path).exists():
        run = rgen.load(path, run)
    while (count := int(run[-1])) < steps:
        run = step(*run)
        print(count + 1, flush=True)
        if (count + 1) % EVERY == 0 or count + 1 == steps:
            rgen.save(path, run)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
