"""Distances between samples, against closed forms and brute force."""

import itertools
import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from helpers import MANIFOLDS, every_manifold, points, samples_of

import rgen


# One of each kind of kernel.
WITH_KERNEL = ["Torus(2)", "Sphere(2)", "SO(3)", "Hyperbolic(2)", "Product"]


@pytest.mark.slow
@every_manifold
def test_wasserstein_is_the_best_of_all_permutations(name):
    manifold = MANIFOLDS[name]()
    x, y = (points(manifold, key, 5) for key in jr.split(jr.key(0)))
    dist = jax.vmap(lambda a: jax.vmap(lambda b: manifold.dist(a, b))(y))(x)
    rows = np.arange(5)
    best = min(
        float(np.mean(np.asarray(dist)[rows, list(order)]))
        for order in itertools.permutations(range(5))
    )
    # Both are means of the same five numbers, in float32.
    assert rgen.metrics.wasserstein(manifold, x, y) == pytest.approx(best, rel=1e-5)
    assert rgen.metrics.wasserstein(manifold, x, x[::-1]) == pytest.approx(0, abs=1e-3)


def test_wasserstein_of_a_turned_circle_is_its_angle():
    circle = rgen.Torus(1)
    x = jnp.linspace(0, 2 * math.pi, 40, endpoint=False)[:, None]
    # Less than half a step between points, so each goes to its own image.
    found = rgen.metrics.wasserstein(circle, x, (x + 0.05) % (2 * math.pi))
    assert found == pytest.approx(0.05, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_KERNEL)
def test_squared_mmd_is_the_mean_over_pairs(name):
    manifold = MANIFOLDS[name]()
    x, y = points(manifold, jr.key(0), 4), points(manifold, jr.key(1), 3)
    t = jnp.array(0.5)
    kernel = rgen.heat_kernel(manifold)
    p = jax.jit(lambda a, b: jnp.exp(kernel.log_prob(a, b, t)))
    pairs = lambda a, b: [float(p(u, v)) for u in a for v in b if u is not v]
    x, y = list(x), list(y)
    expected = np.mean(pairs(x, x)) + np.mean(pairs(y, y)) - 2 * np.mean(pairs(x, y))
    found = rgen.metrics.squared_mmd(manifold, jnp.stack(x), jnp.stack(y), t)
    assert float(found) == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_squared_mmd_is_the_distance_of_the_convolved_densities():
    """On the circle, of two wrapped normals: sums over Fourier modes."""
    circle, scale, t, n = rgen.Torus(1), 0.3, 0.1, 1000
    means = 0.0, 1.0
    distributions = [
        rgen.WrappedNormal(circle, jnp.array([mean]), scale) for mean in means
    ]
    k = np.arange(1, 100)
    modes = np.exp(-(k**2) * (scale**2 + t / 2))
    expected = np.sum(2 * modes * (1 - np.cos(k))) / math.pi
    keys = jr.split(jr.key(0), 3)
    x, y, other = (
        samples_of(distributions[i], key, n)
        for i, key in zip([0, 1, 0], keys, strict=True)
    )
    found = float(rgen.metrics.squared_mmd(circle, x, y, t))
    # The estimate is, to first order, twice the difference of the means of the witness
    # p_t * (P - Q), whose modes are these.
    modes_at = lambda mean: np.cos(np.outer(np.asarray(x[:, 0]) - mean, k))
    modes = np.exp(-(k**2) * (scale**2 + t) / 2)
    witness = (modes_at(means[0]) - modes_at(means[1])) @ modes / math.pi
    error = 2 * math.sqrt(2 * np.var(witness) / n)
    assert 20 * error < expected
    assert found == pytest.approx(expected, abs=4 * error)
    # Of one distribution: the first order vanishes, and the second is less than 3
    # p_t(0) / n in standard deviation, where p_t(0) = 1.3.
    assert abs(rgen.metrics.squared_mmd(circle, x, other, t)) < 4 * 3 * 1.3 / n


def test_squared_mmd_of_points_that_repeat_in_many_dimensions():
    # p_v(x, x) = (2 pi v)^(-d/2) is e^94 here, beyond float32; of one sample that
    # repeats its points and one that repeats the same, the terms cancel up to 1 / n.
    flat, v = rgen.Euclidean(64), 0.0085
    x = jnp.repeat(jnp.eye(64)[:3], 4, axis=0)
    assert rgen.metrics.squared_mmd(flat, x, -x, v) == jnp.inf
    assert rgen.metrics.squared_mmd(flat, x, x, v) == -jnp.inf
    # Where the result is within the range, so is every step to it: each point of x
    # equals 3 of 11 others, and 4 of 12 of the other sample. An exponent of 89 is
    # rounded by 4e-6.
    v = 0.0098
    log_p = -32 * math.log(2 * math.pi * v)
    found = rgen.metrics.squared_mmd(flat, x, x, v)
    expected = (2 * 3 / 11 - 2 * 4 / 12) * math.exp(log_p)
    assert float(found) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (jnp.eye(3), jnp.eye(3)[:2], "as many points"),
        (2 * jnp.eye(3), jnp.eye(3), "not on it"),
        (jnp.eye(3)[:0], jnp.eye(3), "no data"),
    ],
)
def test_wasserstein_refuses(x, y, message):
    with pytest.raises(ValueError, match=message):
        rgen.metrics.wasserstein(rgen.Sphere(2), x, y)


@pytest.mark.parametrize(
    ("x", "t", "message"),
    [
        (jnp.eye(3)[:1], 0.1, "two points or more"),
        (jnp.eye(3), 0.0, "`v` to be positive"),
        (jnp.eye(3) * jnp.nan, 0.1, "finite"),
    ],
)
def test_squared_mmd_refuses(x, t, message):
    with pytest.raises(ValueError, match=message):
        rgen.metrics.squared_mmd(rgen.Sphere(2), x, jnp.eye(3), t)
