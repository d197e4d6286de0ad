"""Guidance on the cases that users have, each against quadrature: earthquakes given a
region or a distance, a torsion angle given another one, a rotation seen along one axis,
an orientation given gravity."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats
from helpers import sphere_rule, torus_rule
from numpy.polynomial import chebyshev, legendre

import rgen


S2, T2, SO3 = rgen.Sphere(2), rgen.Torus(2), rgen.SpecialOrthogonal(3)

# The data have a normal spread of this variance around each centre, and one in ten is
# anywhere: the density is nowhere zero.
DATA, ANYWHERE = 0.15, 0.1
# At the variance DATA, what is left out after 14 terms is below rounding in float32.
TERMS = np.arange(14)
ONES = np.eye(len(TERMS))


class Exact(eqx.Module):
    r"""The exact score of a mixture of heat kernels at every time, by a short series
    that owes nothing to rgen's kernels: $\sum_k e^{-\lambda_k v / 2} P_k(y)$ times the
    uniform density, with polynomials $P_k$ of the cosine $y$ between a centre and a
    point."""

    process: rgen.Brownian
    centres: jax.Array
    weights: np.ndarray
    rates: np.ndarray
    powers: np.ndarray

    def log_prob(self, x, t):
        v = DATA + self.process.schedule.variance(t)
        coefficients = jnp.exp(-self.rates * v / 2) @ self.powers
        y = cosines(self.process.manifold, self.centres, x)
        ratio = jnp.prod(jnp.polyval(coefficients[::-1], y), axis=-1)
        mixed = ANYWHERE + (1 - ANYWHERE) * self.weights @ ratio
        return jnp.log(mixed) - self.process.manifold.log_volume

    def __call__(self, x, t):
        at_t = lambda y: self.log_prob(y, t)
        return self.process.manifold.gradient(at_t, x)


def cosines(manifold, centres, x):
    """For each centre: of the angle to it, or of both angles on the torus."""
    if isinstance(manifold, rgen.Torus):
        return jnp.cos(x - centres)
    if isinstance(manifold, rgen.Sphere):
        return centres @ x[:, None]
    return (jnp.einsum("nij,ij->n", centres, x)[:, None] - 1) / 2


def series(manifold):
    """The rates, and the coefficients of each polynomial."""
    k = TERMS
    if manifold is T2:  # cos k a
        powers = [chebyshev.cheb2poly((1 + (i > 0)) * ONES[i]) for i in k]
        return k**2.0, padded(powers)
    if manifold is S2:  # Legendre polynomials
        powers = [(2 * i + 1) * legendre.leg2poly(ONES[i]) for i in k]
    else:  # the characters 1 + 2 cos a + ... + 2 cos k a
        cosine = [chebyshev.cheb2poly(2 - (np.arange(i + 1) == 0)) for i in k]
        powers = [(2 * i + 1) * cosine[i] for i in k]
    return k * (k + 1.0), padded(powers)


def padded(rows):
    table = np.zeros((len(rows), len(TERMS)))
    for i, row in enumerate(rows):
        row = np.trim_zeros(np.atleast_1d(row), "b")
        table[i, : len(row)] = row
    return table


def exact(manifold, centres, weights):
    process = rgen.Brownian(manifold, rgen.LogUniformSchedule(0.01))
    arrays = np.array(weights), *series(manifold)
    arrays = [np.asarray(a, np.float32) for a in arrays]
    return Exact(process, jnp.asarray(centres, jnp.float32), *arrays)


def directions(*rows):
    rows = np.array(rows)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


# Quadratures, whose weights are those of the volume


def sphere():
    return sphere_rule(48)


def torus():
    return torus_rule(160)


def rotations(n=18):
    """Euler angles about z, y and z: two rules of the circle, and one of the cosine."""
    angle, (height, w) = np.pi * np.arange(2 * n) / n, legendre.leggauss(n)
    turns, tilts = about_z(angle), about_y(height)
    x = np.einsum("aij,bjk,ckl->abcil", turns, tilts, turns).reshape(-1, 3, 3)
    share = np.broadcast_to(w[:, None] / (8 * n**2), (2 * n, n, 2 * n)).ravel()
    return x, share * np.exp(float(SO3.log_volume))


def about_z(angle):
    x = np.zeros((len(angle), 3, 3))
    x[:, 0, 0] = x[:, 1, 1] = np.cos(angle)
    x[:, 1, 0], x[:, 0, 1], x[:, 2, 2] = np.sin(angle), -np.sin(angle), 1
    return x


def about_y(cosine):
    x = np.zeros((len(cosine), 3, 3))
    x[:, 0, 0] = x[:, 2, 2] = cosine
    x[:, 0, 2], x[:, 1, 1] = np.sqrt(1 - cosine**2), 1
    x[:, 2, 0] = -x[:, 0, 2]
    return x


# The cases

QUAKES = exact(
    S2,
    directions([5, 1, 0], [4, 3, 1], [1, 3, 1], [1, 3, 5], [-2, 2, 4], [-5, 0, -2]),
    [0.25, 0.2, 0.2, 0.15, 0.1, 0.1],
)
TORSIONS = exact(
    T2,
    [[-2.0, -1.5], [-0.8, -0.3], [0.4, 0.6], [1.2, 2.0], [2.8, -2.6], [0.5, -2.0]],
    [0.2, 0.15, 0.2, 0.15, 0.15, 0.15],
)
POSES = exact(SO3, jax.vmap(SO3.uniform)(jr.split(jr.key(5), 4)), [0.3, 0.3, 0.2, 0.2])

REGION, STATION, DOWN = map(jnp.asarray, directions([4, 9, 3], [9, -1, 7], [3, -5, 8]))


def region(x):
    """Within 0.6 radians of a place, with a border that is 0.1 wide."""
    return jax.nn.log_sigmoid((0.6 - S2.dist(REGION, x)) / 0.1)


def distance(x):
    """A station hears it from 0.9 radians away, give or take 0.1."""
    return -((S2.dist(STATION, x) - 0.9) ** 2) / (2 * 0.1**2)


def angle(x):
    """The second angle is 0.2, give or take 0.1."""
    return -(T2.dist(jnp.array([0.0, 0.2]), x * jnp.array([0, 1])) ** 2) / (2 * 0.1**2)


def axis(x):
    """Where the third axis is in the picture, give or take 0.15: it may point to us
    or away, and the turn about it is unseen."""
    return -jnp.sum((x[:2, 2] - jnp.array([0.5, 0.3])) ** 2) / (2 * 0.15**2)


def gravity(x):
    """Down, as the body feels it: von Mises-Fisher around the truth."""
    return 20 * (x[2] @ DOWN)


def octants(angle):
    """The histogram of an angle, in eight bins."""
    return jax.nn.one_hot(jnp.floor((angle / jnp.pi + 1) * 4).astype(int), 8)


class Case(NamedTuple):
    score: Exact
    rule: Callable
    log_likelihood: Callable
    width: float
    # What is compared: means, and a histogram.
    function: Callable
    # By how far samples with reconstruction guidance are off, as measured.
    bias: float


on_sphere = lambda x: jnp.append(x, octants(jnp.arctan2(x[1], x[0])))
on_torus = lambda x: jnp.concatenate([jnp.cos(x), jnp.sin(x), octants(x[0])])
of_rotation = lambda x: jnp.append(x, octants(jnp.arctan2(x[1, 0], x[0, 0])))

CASES = {
    "region": Case(QUAKES, sphere, region, 0.2, on_sphere, 0.07),
    "distance": Case(QUAKES, sphere, distance, 0.1, on_sphere, 0.15),
    "angle": Case(TORSIONS, torus, angle, 0.1, on_torus, 0.28),
    "axis": Case(POSES, rotations, axis, 0.15, of_rotation, 0.26),
    "gravity": Case(POSES, rotations, gravity, 20**-0.5, of_rotation, 0.21),
}


def truth(case):
    """The mean of the function under the posterior and the evidence, by quadrature."""
    x, w = case.rule()
    x, t0 = jnp.asarray(x, jnp.float32), jnp.array(0.0)
    three = lambda x: (
        case.score.log_prob(x, t0), case.log_likelihood(x), case.function(x)
    )  # fmt: skip
    log_p, seen, values = jax.jit(lambda x: jax.lax.map(three, x, batch_size=4096))(x)
    p = w * np.exp(np.asarray(log_p, np.float64))
    # The rule is good enough for the prior; the posterior is about as smooth.
    assert p.sum() == pytest.approx(1, abs=1e-4)
    p = p * np.exp(np.asarray(seen, np.float64))
    return p @ np.asarray(values, np.float64) / p.sum(), np.log(p.sum())


PARTICLES, STEPS, REPEATS = 128, 60, 16


@pytest.mark.slow
@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize("name", CASES)
def test_particles_agree_with_quadrature_and_reconstruction_is_biased(name):
    case = CASES[name]
    score, process = case.score, case.score.process
    expected, log_evidence = truth(case)

    @jax.jit
    def one(key):
        sampler = rgen.TwistedSampler(PARTICLES, STEPS)
        found = sampler(score, process, case.log_likelihood, key, case.width)
        evidence = jnp.exp(found.log_evidence - log_evidence)
        return found.mean(case.function), evidence, jnp.min(found.effective_sizes)

    means, evidences, sizes = jax.lax.map(one, jr.split(jr.key(1), REPEATS))
    each = np.column_stack([means, evidences]).astype(np.float64)
    off, error = each.mean(0) - [*expected, 1], each.std(0, ddof=1) / np.sqrt(REPEATS)
    # Student's distribution, since the error is itself an estimate: one of a thousand
    # tests would fail. And 0.005 for the steps of the walk.
    quantile = scipy.stats.t.ppf(1 - 5e-4 / len(off), REPEATS - 1)
    assert np.all(np.abs(off) < quantile * error + 0.005)
    # The smallest on the way; without the width it falls to 1 of 128.
    assert jnp.min(sizes) > PARTICLES / 5

    twist = rgen.Reconstruction(score, process, case.log_likelihood)
    guided = rgen.Guided(score, process.manifold, twist)
    model = rgen.ScoreModel(guided, process, rgen.ReverseSDE(STEPS))
    x = rgen.sample(model, jr.key(2), PARTICLES * REPEATS)
    values = np.asarray(jax.vmap(case.function)(x), np.float64)
    bias = np.linalg.norm(values.mean(0) - expected)
    # The length of a vector of a dozen means, each of a standard error of up to 0.02.
    assert bias == pytest.approx(case.bias, abs=0.04)
    assert np.linalg.norm(off[:-1]) < bias


@pytest.mark.slow
@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize("name", ["region", "angle", "gravity"])
def test_more_particles_come_nearer_to_the_posterior(name):
    case = CASES[name]
    score, process = case.score, case.score.process
    expected, _ = truth(case)
    numbers, errors = [8, 32, 128], []
    for n in numbers:
        sampler = rgen.TwistedSampler(n, STEPS)

        @jax.jit
        def one(key, sampler=sampler):
            found = sampler(score, process, case.log_likelihood, key, case.width)
            return found.mean(case.function)

        means = jax.lax.map(one, jr.split(jr.key(n), REPEATS))
        errors.append(np.sqrt(np.mean(np.sum((means - expected) ** 2, axis=-1))))
    slope = np.polyfit(np.log(numbers), np.log(errors), 1)[0]
    # Each error is known to a tenth, for it is the root of a hundred squares or so. The
    # slope is that of the first and the last: three deviations of 0.1 sqrt(2) / log 16.
    assert slope == pytest.approx(-0.5, abs=0.15), errors
