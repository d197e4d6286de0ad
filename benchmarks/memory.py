"""The largest memory of a process that samples, or evaluates densities, in one call.

    python -m benchmarks.memory

The first line of JSON compares 200,000 samples of four steps and the default network
with version 0.1.0; the others are this version alone, with a small network, on the
sphere S^2: a million densities, and last a million samples of 200 steps. `peak_mb` is
the largest resident memory of the process, `seconds` the time of the call with
compilation.
"""

# Runs under two versions of rgen.
# pyright: reportCallIssue=false

import json
import resource
import sys
import time

import jax
import jax.random as jr

import rgen


SPHERE = rgen.Sphere(2)
SMALL = dict(width=32, depth=2, frequencies=16)
OLD = rgen.__version__ == "0.1.0"


def sample(n, steps, size):
    process = rgen.Brownian(SPHERE, rgen.LogUniformSchedule(1e-3, 5.0))
    score = rgen.nn.ScoreField(process, key=jr.key(0), **size)
    sampler = rgen.ReverseSDE(steps=steps)
    if OLD:
        return rgen.sample(score, process, jr.key(1), n, sampler)
    return rgen.sample(rgen.ScoreModel(score, process, sampler), jr.key(1), n)


def log_prob(n):
    process = rgen.Brownian(SPHERE, rgen.LogUniformSchedule(1e-3, 5.0))
    score = rgen.nn.ScoreField(process, key=jr.key(0), **SMALL)
    x = rgen.sample(rgen.Uniform(SPHERE), jr.key(1), n)
    return rgen.log_prob(rgen.ScoreModel(score, process), x)


TASKS = {
    "200000 samples of 4 steps": lambda: sample(200_000, 4, {}),
    "1000000 densities": lambda: log_prob(1_000_000),
    "1000000 samples of 200 steps": lambda: sample(1_000_000, 200, SMALL),
}


def once(name):
    start = time.perf_counter()
    jax.block_until_ready(TASKS[name]())
    seconds = time.perf_counter() - start
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(dict(peak_mb=peak_mb, seconds=seconds)))


def main():
    from benchmarks._versions import ROOT, compare, measure

    first, densities, samples = TASKS
    line = {"benchmark": "memory", "task": first, "samples": 200_000, "steps": 4}
    for when, values in compare(__file__, 1, first).items():
        prefix = "" if when == "after" else f"{when}_"
        line |= {f"{prefix}{key}": round(x, 1) for key, x in values.items()}
    print(json.dumps(line), flush=True)
    for name, size in (
        (densities, {"densities": 1_000_000}),
        (samples, {"samples": 1_000_000, "steps": 200}),
    ):
        values = measure(__file__, str(ROOT), name)
        rounded = {key: round(x, 1) for key, x in values.items()}
        print(
            json.dumps({"benchmark": "memory", "task": name, **size, **rounded}),
            flush=True,
        )


if __name__ == "__main__":
    once(sys.argv[2]) if sys.argv[1:2] == ["--once"] else main()
