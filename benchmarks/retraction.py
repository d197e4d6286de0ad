"""How many steps a random walk needs against the curvature: `python -m
benchmarks.retraction`.

On a torus of revolution (radii 1 and 1/2, smallest radius of curvature 1/2) the angle
around the tube is a diffusion of its own, whose distribution is the solution of a
one-dimensional heat equation. One JSON line for each retraction, variance and number of
steps: `ratio`, the standard deviation of a step over the radius of curvature;
`total_variation` between the histogram of the walk and the exact distribution; `noise`,
what the sampling error alone gives.
"""

# The torus is written as users write one, without types.
# pyright: reportIncompatibleMethodOverride=false, reportAssignmentType=false
# pyright: reportCallIssue=false

import json
import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import scipy.linalg

import rgen


SAMPLES = 20_000
BINS = 24
CURVATURE_RADIUS = 0.5


class Torus(rgen.AbstractLevelSet):
    dim = 2
    point_shape = (3,)
    radius = 1.5

    @property
    def origin(self):
        # Inside, where both principal curvatures are 2.
        return jnp.array([0.5, 0.0, 0.0])

    def constraint(self, x):
        return (jnp.hypot(x[0], x[1]) - 1) ** 2 + x[2] ** 2 - 0.25


def exact(variance: float) -> np.ndarray:
    """The probabilities of the bins, for a start at the angle pi."""
    n = 20 * BINS
    angle = 2 * np.pi * np.arange(n) / n
    h = 2 * np.pi / n
    # Rates to the neighbours, reversible for the area 1 + cos(b) / 2.
    area = lambda b: 1 + np.cos(b) / 2
    up = area(angle + h / 2) / area(angle) * 2 / h**2
    down = area(angle - h / 2) / area(angle) * 2 / h**2
    rates = np.diag(-(up + down))
    rates[np.arange(n), (np.arange(n) + 1) % n] = up
    rates[np.arange(n), (np.arange(n) - 1) % n] = down
    start = np.zeros(n)
    start[n // 2] = 1
    p = start @ scipy.linalg.expm(rates * variance)
    return np.roll(p, n // BINS // 2).reshape(BINS, -1).sum(1)


def walk(retraction: rgen.AbstractRetraction):
    manifold = Torus()

    @jax.jit
    def angles(key, variance, steps):
        def one(key):
            def step(k, x):
                noise = manifold.tangent_noise(x, jr.fold_in(key, k))
                return retraction(manifold, x, jnp.sqrt(variance / steps) * noise)

            x = jax.lax.fori_loop(0, steps, step, manifold.origin)
            return jnp.arctan2(x[2], jnp.hypot(x[0], x[1]) - 1)

        return jax.vmap(one)(jr.split(key, SAMPLES))

    return angles


def main() -> None:
    for retraction, most in [
        (rgen.ProjectionRetraction(), 128),
        (rgen.Exponential(), 16),
    ]:
        angles = walk(retraction)
        for variance in (0.1, 0.5, 2.0):
            p, steps = exact(variance), 1
            noise = np.sqrt(2 / np.pi * p * (1 - p) / SAMPLES).sum() / 2
            while steps <= most:
                b = np.asarray(angles(jr.key(0), variance, steps))
                bins = np.round(b / (2 * np.pi) * BINS).astype(int) % BINS
                found = np.bincount(bins, minlength=BINS) / SAMPLES
                line = {
                    "retraction": type(retraction).__name__,
                    "variance": variance,
                    "steps": steps,
                    "ratio": round(math.sqrt(variance / steps) / CURVATURE_RADIUS, 3),
                    "total_variation": round(float(np.abs(found - p).sum()) / 2, 4),
                    "noise": round(float(noise), 4),
                    "lost": int(np.isnan(b).sum()),
                }
                print(json.dumps(line), flush=True)
                steps *= 2


if __name__ == "__main__":
    main()
