"""What `diffrax.diffeqsolve` costs over a hand-written loop, for the geodesic random
walk that samplers run.

    python -m benchmarks.solver

Both sides draw all their noise first, evaluate the same drift and take the same
geodesic steps. They are timed in turns, and one line is printed for each manifold with
the ratio of the medians: under one, `diffeqsolve` is the faster.
"""

import json
import statistics
import time

import diffrax
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen


PATHS, STEPS, ROUNDS = 1024, 200, 15


def drift(manifold, x):
    """A cheap field, so that the overhead of the solver has nothing to hide behind."""
    return -0.5 * manifold.to_tangent(x, jnp.ones(manifold.point_shape))


def with_diffrax(manifold):
    solver = rgen.GeodesicRandomWalk(manifold)
    times = jnp.linspace(0.0, 1.0, STEPS + 1)
    term = diffrax.ODETerm(lambda t, y, args: drift(manifold, y))

    def one(x0, key):
        path = rgen.BrownianGrid(
            manifold.noise_shape, jnp.linspace(0.0, 1.0, STEPS + 1), key
        )
        solution = diffrax.diffeqsolve(
            diffrax.MultiTerm(term, rgen.NoiseTerm(manifold, jnp.ones_like, path)),
            solver,
            times[0],
            times[-1],
            None,
            x0,
            stepsize_controller=diffrax.StepTo(times),
            adjoint=diffrax.ForwardMode(),
            max_steps=STEPS,
            throw=False,
        )
        assert solution.ys is not None
        return solution.ys[0]

    return jax.jit(jax.vmap(one))


def by_hand(manifold):
    dt = 1.0 / STEPS

    def one(x0, key):
        def step(x, normal):
            noise = manifold.frame(x, jnp.sqrt(dt) * normal)
            return manifold.exp(x, dt * drift(manifold, x) + noise), None

        normals = jr.normal(key, (STEPS, *manifold.noise_shape))
        return jax.lax.scan(step, x0, normals)[0]

    return jax.jit(jax.vmap(one))


def seconds(walk, x0, keys):
    start = time.perf_counter()
    walk(x0, keys).block_until_ready()
    return time.perf_counter() - start


def main():
    manifolds = {
        "S2": rgen.Sphere(2),
        "T2": rgen.Torus(2),
        "SO3": rgen.SpecialOrthogonal(3),
    }
    for name, manifold in manifolds.items():
        keys = jr.split(jr.key(0), PATHS)
        x0 = jax.vmap(manifold.uniform)(keys)
        walks = with_diffrax(manifold), by_hand(manifold)
        for walk in walks:
            seconds(walk, x0, keys)
        rounds = [[seconds(walk, x0, keys) for walk in walks] for _ in range(ROUNDS)]
        diffeqsolve, scan = map(statistics.median, zip(*rounds, strict=True))
        line = {
            "benchmark": "solver",
            "manifold": name,
            "paths": PATHS,
            "steps": STEPS,
            "diffeqsolve_ms": round(1e3 * diffeqsolve, 2),
            "scan_ms": round(1e3 * scan, 2),
            "ratio": round(diffeqsolve / scan, 3),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
