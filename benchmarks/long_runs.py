"""The memory of processes that run for long.

    python -m benchmarks.long_runs
    python -m benchmarks.long_runs training --calls 2000

One line of JSON each, of a process of its own, with the megabytes of its memory after a
tenth of the calls and after all of them, and what they grew by:

- `training`: 200,000 steps of training, and the average of the weights;
- `serving`: 36,000 requests for samples, as many as ten a second make in an hour, each
  from a model with other weights;
- `hour`: 3,600 such requests, one a second by the clock;
- `closures`: 30 models whose fields are functions that are made anew, each of which is
  compiled: what not to do;
- `cleared`: the same, and the remedy.
"""

import argparse
import functools
import gc
import json
import pathlib
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax

import rgen

from ._versions import ROOT


SPHERE = rgen.Sphere(2)
PROCESS = rgen.Brownian(SPHERE, rgen.LogUniformSchedule(1e-2))
SIZE = dict(width=16, depth=2, frequencies=8)
OPTIM = optax.adam(1e-3)
SAMPLER = rgen.ReverseSDE(5)


def batch_loss(score, x0, key):
    time_key, noise_key = jr.split(key)
    t = PROCESS.stratified_times(time_key, len(x0))
    one = functools.partial(rgen.losses.denoising, score, PROCESS)
    return jnp.mean(jax.vmap(one)(x0, t, jr.split(noise_key, len(x0))))


@eqx.filter_jit
def step(score, average, state, key):
    data_key, loss_key = jr.split(key)
    x0 = jax.vmap(SPHERE.uniform)(jr.split(data_key, 16))
    updates, state = OPTIM.update(
        eqx.filter_grad(batch_loss)(score, x0, loss_key), state
    )
    score = eqx.apply_updates(score, updates)
    arrays, static = eqx.partition(score, eqx.is_inexact_array)
    before = eqx.filter(average, eqx.is_inexact_array)
    average = eqx.combine(optax.incremental_update(arrays, before, 1e-3), static)
    return score, average, state


def new_score():
    return rgen.nn.ScoreField(PROCESS, **SIZE, key=jr.key(0))


def training() -> Callable[[int], None]:
    score = new_score()
    run = score, score, OPTIM.init(eqx.filter(score, eqx.is_inexact_array))

    def call(i):
        nonlocal run
        run = step(*run, jr.fold_in(jr.key(1), i))

    return call


def serving() -> Callable[[int], None]:
    score = new_score()

    def call(i):
        shift = lambda w: w + 1e-5 * i if eqx.is_inexact_array(w) else w
        model = rgen.ScoreModel(jax.tree.map(shift, score), PROCESS, SAMPLER)
        rgen.sample(model, jr.key(i), 16).block_until_ready()

    return call


def hour() -> Callable[[int], None]:
    call, start = serving(), time.monotonic()

    def in_time(i):
        time.sleep(max(0.0, start + i - time.monotonic()))
        call(i)

    return in_time


def closures() -> Callable[[int], None]:
    def call(i):
        up = jnp.array([0.0, 0.0, float(i)])
        model = rgen.ScoreModel(lambda x, t: SPHERE.to_tangent(x, up), PROCESS, SAMPLER)
        rgen.sample(model, jr.key(i), 16).block_until_ready()

    return call


def cleared() -> Callable[[int], None]:
    call = closures()

    def clear(i):
        call(i)
        jax.clear_caches()

    return clear


RUNS = {
    "training": (training, 200_000, "steps of training"),
    "serving": (serving, 36_000, "requests for samples, each of other weights"),
    "hour": (hour, 3_600, "such requests, one a second for an hour"),
    "closures": (closures, 30, "models of functions that are made anew"),
    "cleared": (cleared, 30, "of these, each followed by `jax.clear_caches()`"),
}


def megabytes() -> float:
    gc.collect()
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 2**20, 1)


def once(name: str, calls: int) -> dict:
    call = RUNS[name][0]()
    for i in range(calls // 10):
        call(i)
    before = megabytes()
    for i in range(calls // 10, calls):
        call(i)
    after = megabytes()
    grown = round(after - before, 1)
    what = f"{calls:,} {RUNS[name][2]}"
    return dict(benchmark="long_runs", run=name, what=what, megabytes=before,
                megabytes_after=after, grown=grown)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", choices=[*RUNS, []], help="all of them")
    parser.add_argument("--calls", type=int, help="fewer than there are")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    for name in given.runs or RUNS:
        calls = given.calls or RUNS[name][1]
        if given.once:
            print(json.dumps(once(name, calls)), flush=True)
            continue
        command = [sys.executable, "-m", "benchmarks.long_runs", name, "--once"]
        subprocess.run([*command, f"--calls={calls}"], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
