"""What Fourier features cost with rgen's sine and cosine, over what they cost with
those of JAX.

    python -m benchmarks.features

Both sides are timed in turns, and one line is printed with the ratio of the medians, of
the features alone and of the gradient of a score field in its parameters.
"""

import json
import statistics
import time
from unittest import mock

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen
from rgen.nn import _features


POINTS, ROUNDS = 512, 25


def with_jax(x):
    return jnp.sin(x), jnp.cos(x)


def compiled(sin_cos, f, *args):
    # A function of its own: what was traced for the other side is found by function.
    jitted = eqx.filter_jit(lambda *args: f(*args))
    with mock.patch.object(_features, "sin_cos", sin_cos):
        jitted(*args)
    return jitted


def seconds(f, *args):
    start = time.perf_counter()
    jax.block_until_ready(f(*args))
    return time.perf_counter() - start


def main():
    sphere = rgen.Sphere(2)
    process = rgen.Brownian(sphere, rgen.LogUniformSchedule(1e-4, 4.0))
    score = rgen.nn.ScoreField(process, width=128, depth=3, key=jr.key(0))
    x = jax.vmap(sphere.uniform)(jr.split(jr.key(1), POINTS))
    t = process.stratified_times(jr.key(2), POINTS)

    def features(score, x, t):
        one = lambda x, t: score.field.features(x, process.schedule.variance(t))
        return jax.vmap(one)(x, t)

    def total(score, x, t):
        return jnp.sum(jax.vmap(score)(x, t) ** 2)

    def gradient(score, x, t):
        return eqx.filter_grad(total)(score, x, t)

    for name, f in {"features": features, "gradient": gradient}.items():
        ways = {"rgen": _features.sin_cos, "jax": with_jax}
        sides = {side: compiled(way, f, score, x, t) for side, way in ways.items()}
        rounds = [
            {side: seconds(g, score, x, t) for side, g in sides.items()}
            for _ in range(ROUNDS)
        ]
        medians = {side: statistics.median(r[side] for r in rounds) for side in sides}
        line = {
            "benchmark": "features",
            "what": name,
            "rgen_ms": round(1e3 * medians["rgen"], 3),
            "jax_ms": round(1e3 * medians["jax"], 3),
            "ratio": round(medians["rgen"] / medians["jax"], 3),
            "backend": jax.default_backend(),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
