"""Negative log-likelihood of events on the globe: a Riemannian score-based model beside
the kernel mixture on the same split, at the same resolution.

    python -m benchmarks.earth --dataset flood --protocol legacy --seed 0

One line of JSON for each method. `resolution` is the variance, in square radians, that
densities are blurred by; `train_seconds` is wall-clock time, with compilation and the
selection of the model on validation. The model is an ensemble of score fields; that
which is tested is the one, among those seen at equal intervals in the second half of
training, whose validation NLL is lowest.
"""

import argparse
import json
import time
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from tqdm import tqdm

import rgen


DATASETS = {
    "volcano": rgen.datasets.volcano,
    "earthquake": rgen.datasets.earthquake,
    "flood": rgen.datasets.flood,
    "fire": rgen.datasets.fire,
}
RESOLUTIONS = {"volcano": 1e-5, "earthquake": 1e-5, "flood": 1e-4, "fire": 1e-5}
BATCH, SELECTIONS, MEMBERS = 512, 4, 3


def split(protocol, key, x):
    """The parts for training, validation and test."""
    if protocol == "legacy":
        return rgen.datasets.random_split(key, x)
    x = rgen.datasets.distinct(x)
    if protocol == "distinct":
        return rgen.datasets.random_split(key, x)
    return rgen.datasets.cell_split(key, x)


def nll(score, process, x):
    flow = rgen.ProbabilityFlow(rtol=1e-4, atol=1e-4)
    return -float(jnp.mean(rgen.log_prob(score, process, x, flow)))


def member_loss(score, process, x0, key):
    time_key, noise_key = jr.split(key)
    t = process.stratified_times(time_key, len(x0))
    loss = jax.vmap(partial(rgen.losses.denoising, score, process))
    weight = jax.vmap(partial(rgen.losses.variance_weight, process))
    return jnp.mean(weight(t) * loss(x0, t, jr.split(noise_key, len(x0))))


def batch_loss(score, process, x0, key):
    """The sum over the members of the ensemble, each with noise of its own."""
    one = eqx.filter_vmap(lambda member, key: member_loss(member, process, x0, key))
    return jnp.sum(one(score.members, jr.split(key, MEMBERS)))


def initialise(process, key):
    # Many waves into a few small networks: one that is wider fits faster and
    # generalises worse. The finest wave is as long as the resolution.
    member = lambda key: rgen.nn.ScoreField(
        process,
        width=96,
        depth=3,
        frequencies=512,
        max_frequency=process.schedule.v_min**-0.5,
        key=key,
    )
    return rgen.nn.Ensemble(eqx.filter_vmap(member)(jr.split(key, MEMBERS)))


def train(process, data, validation, steps, key):
    """The selected score field, and its validation NLL."""
    init_key, key = jr.split(key)
    score = initialise(process, init_key)
    rate = optax.warmup_cosine_decay_schedule(0.0, 3e-3, 200, steps)
    optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))
    state = optim.init(eqx.filter(score, eqx.is_inexact_array))
    average = score

    @eqx.filter_jit
    def step(data, score, average, state, key):
        batch_key, loss_key = jr.split(key)
        x0 = rgen.datasets.minibatch(batch_key, data, BATCH)
        value_and_grad = eqx.filter_value_and_grad(batch_loss)
        loss, grads = value_and_grad(score, process, x0, loss_key)
        updates, state = optim.update(grads, state)
        score = eqx.apply_updates(score, updates)
        arrays, static = eqx.partition(score, eqx.is_inexact_array)
        before = eqx.filter(average, eqx.is_inexact_array)
        average = eqx.combine(optax.incremental_update(arrays, before, 1.5e-3), static)
        return score, average, state, loss

    best, best_nll = average, jnp.inf
    every = steps // (2 * SELECTIONS)
    for i, step_key in enumerate(tqdm(jr.split(key, steps), disable=None)):
        score, average, state, _ = step(data, score, average, state, step_key)
        if i + 1 > steps // 2 and (steps - i - 1) % every == 0:
            current = nll(average, process, validation)
            if current < best_nll:
                best, best_nll = average, current
    return best, best_nll


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=DATASETS, required=True)
    parser.add_argument(
        "--protocol", choices=["legacy", "distinct", "cells"], default="legacy"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resolution", type=float, help="default: by data set")
    parser.add_argument("--steps", type=int, default=4500)
    args = parser.parse_args()
    resolution = args.resolution or RESOLUTIONS[args.dataset]
    split_key, train_key = jr.split(jr.key(args.seed))
    data, validation, test = split(args.protocol, split_key, DATASETS[args.dataset]())

    def report(method, seconds, val_nll, test_nll):
        line = {
            "method": method,
            "dataset": args.dataset,
            "protocol": args.protocol,
            "seed": args.seed,
            "resolution": resolution,
            "train_seconds": round(seconds, 1),
            "val_nll": round(val_nll, 4),
            "test_nll": round(test_nll, 4),
        }
        print(json.dumps(line), flush=True)

    start = time.perf_counter()
    mixture = rgen.baselines.fit_kernel_mixture(data, validation, resolution)
    mixture_nll = lambda x: (
        -float(jnp.mean(jax.lax.map(mixture.log_prob, x, batch_size=64)))
    )
    val_nll = mixture_nll(validation)
    report("kernel_mixture", time.perf_counter() - start, val_nll, mixture_nll(test))

    process = rgen.Brownian(rgen.Sphere(2), rgen.LogUniformSchedule(resolution, 4.0))
    start = time.perf_counter()
    score, val_nll = train(process, data, validation, args.steps, train_key)
    seconds = time.perf_counter() - start
    report("rsgm", seconds, val_nll, nll(score, process, test))


if __name__ == "__main__":
    main()
