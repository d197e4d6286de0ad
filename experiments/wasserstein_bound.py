r"""The Wasserstein-1 error of samples, with an exact score, against the three terms of
its bound (De Bortoli et al. 2022, Theorem 4.1, or 2 in the proceedings),

    W1 <= C (exp(-lambda_1 T) + sqrt(T / 2) M + exp(T) sqrt(gamma)):

the time T of the noise, the size M of an error of the score, the step gamma.

    python -m experiments.wasserstein_bound --manifold circle --output FILE

The data are a heat kernel of variance 0.25 around the origin, whose score is known at
all times, and the planted error points away from the origin everywhere. All
distributions are therefore symmetric around the origin, and their distance is that of
one number, the distance to the origin: mass need only move along geodesics through the
origin, and a function of the distance to the origin is a test function. It is computed
from 32,768 samples of the geodesic random walk and the distribution function of the
data. `noise` is its mean for as many samples of the data. One line of JSON for each
point of each sweep.
"""

import math
from collections.abc import Callable
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import rgen

from ._runner import Experiment, Option, run


VARIANCE = 0.25
SAMPLES = 2**15
# With the area of a sphere around the origin, up to a constant, as a function of its
# radius.
MANIFOLDS: dict[str, tuple[rgen.AbstractManifold, Callable]] = {
    "circle": (rgen.Torus(1), np.ones_like),
    "sphere": (rgen.Sphere(2), np.sin),
    "SO(3)": (rgen.SpecialOrthogonal(3), lambda r: np.sin(r / 2) ** 2),
}
# The sweeps: values of T, of the number of steps, and of M. Where the step is not what
# is looked at, it is 1/200. A new sweep goes to the end: keys are by number.
SWEEPS = {
    "time": [
        (t, round(200 * t), 0.0) for t in (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
    ],
    "step": [(4.0, n, 0.0) for n in (8, 16, 32, 64, 128, 256, 512)],
    "error": [(3.0, 600, m) for m in (0.03, 0.1, 0.3, 1.0)],
    "error and time": [(t, round(200 * t), 0.3) for t in (3.0, 6.0, 12.0)],
    "step and time": [(t, round(8 * t), 0.0) for t in (3.0, 6.0, 12.0)],
}


class PlantedScore(eqx.Module):
    """The score of the noised data, and an error of length M away from the origin."""

    process: rgen.Brownian
    error: jax.Array

    def __call__(self, x, t):
        manifold = self.process.manifold
        origin = manifold.origin
        v = VARIANCE + self.process.schedule.variance(t)
        score = rgen.heat_kernel(manifold).score(origin, x, v)
        inwards = manifold.log(x, origin)
        length = manifold.norm(x, inwards)
        return score - self.error * inwards / jnp.where(length > 0, length, 1)


def radii(manifold, point, key):
    time, steps, error = point
    process = rgen.Brownian(manifold, rgen.ConstantSchedule(t0=0.0, t1=time))
    score = PlantedScore(process, jnp.array(error))
    model = rgen.ScoreModel(score, process, rgen.ReverseSDE(steps))
    x = rgen.sample(model, key, SAMPLES)
    return _radii(manifold, x)


@eqx.filter_jit
def _radii(manifold, x):
    return jax.vmap(lambda y: manifold.dist(manifold.origin, y))(x)


class Radial:
    """The distribution, on a grid, of the distance of the data to the origin."""

    def __init__(self, manifold, area):
        self.r = np.linspace(0, math.pi, 4001)
        v = manifold.basis(manifold.origin)[0]
        at = lambda r: manifold.exp(manifold.origin, r * v)
        kernel = rgen.heat_kernel(manifold)
        log_p = lambda r: kernel.log_prob(manifold.origin, at(r), jnp.array(VARIANCE))
        values = jax.jit(jax.vmap(log_p))(jnp.asarray(self.r, jnp.float32))
        density = np.exp(np.asarray(values, float)) * area(self.r)
        below = np.cumsum((density[1:] + density[:-1]) / 2)
        self.cdf = np.concatenate([[0], below]) / below[-1]

    def distance(self, radii):
        """The Wasserstein-1 distance of a sample: the integral of the difference of the
        distribution functions."""
        sorted_radii = np.sort(np.asarray(radii, float))
        empirical = np.searchsorted(sorted_radii, self.r, "right") / len(sorted_radii)
        return float(np.trapezoid(np.abs(empirical - self.cdf), self.r))

    def noise(self, n):
        """The mean distance of `n` samples of the data, for large `n`."""
        spread = np.sqrt(self.cdf * (1 - self.cdf) / n)
        return float(np.trapezoid(math.sqrt(2 / math.pi) * spread, self.r))


@cache
def radial(manifold: str) -> Radial:
    return Radial(*MANIFOLDS[manifold])


def line(manifold, sweep, time, steps, error):
    point = time, steps, error
    # The number of a point, and its key, are the same in any choice of sweeps.
    points = [(s, *point) for s in SWEEPS for point in SWEEPS[s]]
    key = jr.fold_in(jr.key(0), points.index((sweep, *point)))
    data = radial(manifold)
    sampled = radii(MANIFOLDS[manifold][0], point, key)
    return dict(
        w1=round(data.distance(sampled), 5), noise=round(data.noise(SAMPLES), 5)
    )


EXPERIMENT = Experiment(
    (
        Option("manifold", ("circle",), choices=MANIFOLDS),
        Option("sweep", tuple(SWEEPS), choices=SWEEPS),
    ),
    line,
    point=("time", "steps", "error"),
    points=lambda manifold, sweep: SWEEPS[sweep],
)


if __name__ == "__main__":
    run(EXPERIMENT, __doc__)
