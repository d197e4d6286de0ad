"""Samples per second: a hundred steps of the reversed SDE, and what replaces them.

    python -m benchmarks.sampling

Samples of the default network by `rgen.sample`: 100 steps of `rgen.ReverseSDE`, 10 of
`rgen.FewSteps`, and a `rgen.FlowMap` in one. They are timed in turns. One line of JSON
for each manifold, with samples per second and the ratios to the first. How near the
quality of the others is to that of the hundred: `python -m experiments.few_steps`.
"""

import json
import statistics
import time

import jax
import jax.random as jr

import rgen


POINTS, ROUNDS = 4096, 5
MANIFOLDS = {
    "S2": rgen.Sphere(2),
    "SO3": rgen.SpecialOrthogonal(3),
    "T6": rgen.Torus(6),
}


def models(manifold):
    process = rgen.Brownian(manifold, rgen.LogUniformSchedule(1e-3))
    # New fields are zero, and take as long as others do.
    score = rgen.nn.ScoreField(process, key=jr.key(0))
    field = rgen.nn.FlowMapField(process, key=jr.key(0))
    return {
        "reverse_sde": rgen.ScoreModel(score, process, rgen.ReverseSDE(100)),
        "few_steps": rgen.ScoreModel(score, process, rgen.FewSteps(10)),
        "flow_map": rgen.FlowMap(process.prior, field),
    }


def seconds(model, key):
    start = time.perf_counter()
    jax.block_until_ready(rgen.sample(model, key, POINTS))
    return time.perf_counter() - start


def main():
    for name, manifold in MANIFOLDS.items():
        found = models(manifold)
        for model in found.values():
            seconds(model, jr.key(0))
        rounds = [
            {kind: seconds(model, key) for kind, model in found.items()}
            for key in jr.split(jr.key(1), ROUNDS)
        ]
        median = {k: statistics.median(each[k] for each in rounds) for k in found}
        line = {"benchmark": "sampling", "manifold": name, "points": POINTS}
        line |= {f"{k}_per_second": round(POINTS / t) for k, t in median.items()}
        for kind in ("few_steps", "flow_map"):
            line[f"{kind}_ratio"] = round(median["reverse_sde"] / median[kind], 1)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
