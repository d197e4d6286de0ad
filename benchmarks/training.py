"""What a training step takes over that of the bare network.

    python -m benchmarks.training

One step of Adam on 512 points with the default network. On one side is the denoising
loss of a process, which samples times and noised points and evaluates the scores of
the heat kernel; on the other, a regression of the same field on targets that are given.
They are timed in turns. One line of JSON for each manifold, with the ratio of the
medians.
"""

import json
import statistics
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax

import rgen


POINTS, ROUNDS, STEPS = 512, 9, 8
MANIFOLDS = {
    "S2": rgen.Sphere(2),
    "T2": rgen.Torus(2),
    "SO3": rgen.SpecialOrthogonal(3),
}
OPTIM = optax.adam(1e-3)


def denoising(score, process, x0, t, target, key):
    t_key, key = jr.split(key)
    t = process.stratified_times(t_key, len(x0))

    def one(x0, t, key):
        weight = rgen.losses.variance_weight
        return rgen.losses.denoising(score, process, x0, t, key, weight)

    return jnp.mean(jax.vmap(one)(x0, t, jr.split(key, len(x0))))


def regression(score, process, x0, t, target, key):
    return jnp.mean((jax.vmap(score)(x0, t) - target) ** 2)


@eqx.filter_jit
def step(loss, score, state, *args):
    value, grads = eqx.filter_value_and_grad(loss)(score, *args)
    updates, state = OPTIM.update(grads, state)
    return eqx.apply_updates(score, updates), state, value


def seconds(loss, score, *args):
    """Of one step, the mean of several in a row."""
    state = OPTIM.init(eqx.filter(score, eqx.is_inexact_array))
    start = time.perf_counter()
    for key in jr.split(jr.key(0), STEPS):
        score, state, _ = step(loss, score, state, *args, key)
    jax.block_until_ready(score)
    return (time.perf_counter() - start) / STEPS


def compare(manifold):
    process = rgen.Brownian(manifold, rgen.LogUniformSchedule(1e-3, 5.0))
    score = rgen.nn.ScoreField(process, key=jr.key(0))
    x0 = jax.vmap(manifold.uniform)(jr.split(jr.key(1), POINTS))
    t = process.stratified_times(jr.key(2), POINTS)
    args = process, x0, t, jnp.zeros_like(x0)
    losses = denoising, regression
    for loss in losses:
        seconds(loss, score, *args)
    rounds = [[seconds(loss, score, *args) for loss in losses] for _ in range(ROUNDS)]
    return map(statistics.median, zip(*rounds, strict=True))


def main():
    for name, manifold in MANIFOLDS.items():
        ours, bare = compare(manifold)
        line = {
            "benchmark": "training",
            "manifold": name,
            "points": POINTS,
            "step_ms": round(1e3 * ours, 2),
            "bare_ms": round(1e3 * bare, 2),
            "ratio": round(ours / bare, 3),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
