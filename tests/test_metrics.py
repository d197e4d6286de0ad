"""Distances between samples, against closed forms and brute force."""

import functools
import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.linalg
from helpers import MANIFOLDS, every_manifold, points, samples_of, slow
from surfaces import SphereByEquation

import rgen


# Statistical tests have fixed keys, and compare within four standard errors: a level of
# 6e-5 for each number compared.
SIGMAS = 4
S2, CIRCLE = rgen.Sphere(2), rgen.Torus(1)
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


# The permutation test


def blurred(manifold, key, n, scale=1.0):
    """Points of a wrapped normal of scale 0.3 at the origin, and of other scales."""
    distribution = rgen.WrappedNormal(manifold, manifold.origin, 0.3 * scale)
    return samples_of(distribution, key, n)


@pytest.mark.parametrize("name", ["Torus(2)", *slow(["Sphere(2)", "SO(3)", "Product"])])
def test_the_statistic_is_the_squared_mmd(name):
    with jax.enable_x64(True):
        manifold = MANIFOLDS[name]()
        x, y = points(manifold, jr.key(0), 9), points(manifold, jr.key(1), 6)
        v = jnp.array([0.01, 0.5, 4.0])
        mmd = lambda v: rgen.metrics.squared_mmd(manifold, x, y, v)
        expected = [float(mmd(one)) for one in v]
        found, p = rgen.metrics.permutation_test(manifold, x, y, v, jr.key(2))
        # Sums of a hundred numbers in other orders, of which most cancels.
        np.testing.assert_allclose(found, expected, rtol=1e-11)
        one, p = rgen.metrics.permutation_test(manifold, x, y, 0.5, jr.key(2))
        assert one.shape == p.shape == ()
        assert float(one) == pytest.approx(expected[1], rel=1e-11)


@pytest.mark.parametrize("v", [0.1, [0.001, 0.1, 3.0]])
@pytest.mark.parametrize("n", [3, *slow([2])])
def test_the_p_value_is_the_share_of_all_partitions(n, v):
    v = jnp.array(v)
    x, y = points(CIRCLE, jr.key(0), n) / 2, points(CIRCLE, jr.key(1), 3)
    expected = _share_of_all_partitions(np.concatenate([x, y]), n, np.atleast_1d(v))
    b = 10_000
    _, p = rgen.metrics.permutation_test(CIRCLE, x, y, v, jr.key(2), b)
    error = math.sqrt(expected * (1 - expected) / b)
    # One partition more or less would be seen.
    assert 2 * SIGMAS * error < 1 / math.comb(n + 3, 3)
    assert float(p) == pytest.approx(expected, abs=SIGMAS * error + 1 / b)


def _share_of_all_partitions(pooled, n, v):
    """The share of the partitions that are as far apart as the first one or more, by
    their largest squared MMD in units of its standard deviation."""
    angle = pooled - pooled.T
    images = np.arange(-9, 10)[:, None, None] * 2 * np.pi
    size = len(pooled)

    def kernel(v):
        return np.exp(-((angle + images) ** 2) / (2 * v)).sum(0)

    def statistic(kernel, inside):
        rest = [i for i in range(size) if i not in inside]
        within = lambda rows: np.mean([kernel[i, j] for i, j in distinct(rows)])
        between = np.mean(kernel[np.ix_(inside, rest)])
        return within(inside) + within(rest) - 2 * between

    distinct = lambda rows: itertools.permutations(rows, 2)
    partitions = [list(rows) for rows in itertools.combinations(range(size), n)]
    each = np.array([[statistic(kernel(one), p) for p in partitions] for one in v])
    largest = np.max(each / each.std(axis=1, keepdims=True), axis=0)
    # Where both samples are of one size, they can be exchanged: a tie up to rounding.
    return np.mean(largest >= largest[0] - 1e-6)


def _ranks(sample, v, tests=2000):
    """The ranks among 20 that the tests of two samples of one distribution give."""

    @jax.jit
    @jax.vmap
    def test(key):
        x, y, key = sample(jr.fold_in(key, 0), 5), sample(jr.fold_in(key, 1), 7), key
        result = rgen.metrics.permutation_test(CIRCLE, x, y, v, key, 19)
        return result.p_value

    return np.rint(20 * np.asarray(test(jr.split(jr.key(3), tests))))


@pytest.mark.parametrize("v", [[0.01, 1.0], *slow([0.1])])
def test_under_the_null_hypothesis_p_values_are_uniform(v):
    ranks = _ranks(lambda key, n: points(CIRCLE, key, n), jnp.array(v))
    shares = np.array([np.mean(ranks <= k) for k in range(1, 20)])
    levels = np.arange(1, 20) / 20
    error = np.sqrt(levels * (1 - levels) / len(ranks))
    assert np.all(shares < levels + SIGMAS * error)
    # Each of the 19 is the first of the 792 partitions again with this probability.
    assert np.all(shares > levels - SIGMAS * error - 19 / math.comb(12, 5))


def test_under_the_null_hypothesis_ties_only_make_p_values_larger():
    # Of two places. The statistic has six values.
    sample = lambda key, n: jr.bernoulli(key, 0.5, (n, 1)).astype(float)
    ranks = _ranks(sample, jnp.array(0.1))
    shares = np.array([np.mean(ranks <= k) for k in range(1, 20)])
    levels = np.arange(1, 20) / 20
    error = np.sqrt(levels * (1 - levels) / len(ranks))
    assert np.all(shares < levels + SIGMAS * error)
    assert np.mean(ranks == 20) > 0.1


def test_a_slightly_different_distribution_is_rejected():
    x, y, other = (blurred(S2, jr.key(i), 150) for i in range(3))
    wider = blurred(S2, jr.key(3), 150, 1.5)
    p = lambda x, y, v: float(
        rgen.metrics.permutation_test(S2, x, y, v, jr.key(4)).p_value
    )
    assert p(x, wider, 0.1) == pytest.approx(1 / 1000)
    # Hardly two points are within 0.001. Beside another variance it does no harm.
    assert p(x, wider, 1e-6) > 0.05
    assert p(x, wider, jnp.array([0.1, 1e-6])) == pytest.approx(1 / 1000)
    assert min(p(x, y, 0.1), p(x, other, 0.1), p(y, other, 0.1)) > 0.05


def test_samples_can_be_swapped():
    x, y = blurred(S2, jr.key(0), 40), blurred(S2, jr.key(1), 30, 1.3)
    v, b = jnp.array([0.03, 0.3]), 999
    first = rgen.metrics.permutation_test(S2, x, y, v, jr.key(2), b)
    second = rgen.metrics.permutation_test(S2, y, x, v, jr.key(2), b)
    # Some tens of roundings of kernel values, as large as 1 / (2 pi v).
    np.testing.assert_allclose(first.statistic, second.statistic, atol=1e-5)
    p = float(first.p_value)
    assert 0.1 < p < 0.9
    error = math.sqrt(2 * p * (1 - p) / b)
    assert float(second.p_value) == pytest.approx(p, abs=SIGMAS * error)


def test_points_that_are_all_the_same():
    x = jnp.tile(S2.origin, (7, 1))
    found, p = rgen.metrics.permutation_test(S2, x, x[:4], 0.1, jr.key(0), 19)
    # Some roundings of kernel values of 1.6.
    assert (float(found), p) == (pytest.approx(0, abs=1e-6), 1)
    # Kernel values that differ by rounding alone are the same, too.
    y = points(S2, jr.key(1), 9)
    assert rgen.metrics.permutation_test(S2, x, y, 60.0, jr.key(0), 19).p_value == 1


def test_a_nan_is_not_a_small_p_value():
    x = points(S2, jr.key(0), 5)
    test = lambda x, v: rgen.metrics.permutation_test(S2, x, x, v, jr.key(0), 19)
    for broken in (x.at[2].set(jnp.nan), jnp.nan * x):
        found, p = jax.jit(test)(broken, jnp.array([0.1, 1.0]))
        assert jnp.isnan(p)
        assert jnp.isnan(found).all()
    found, p = jax.jit(test)(x, jnp.array([0.1, -1.0]))
    assert jnp.isnan(p)
    np.testing.assert_array_equal(jnp.isnan(found), [False, True])


def test_p_values_of_points_that_repeat_in_many_dimensions():
    # p_v(x, x) is e^94, beyond float32: see the test of the squared MMD.
    flat = rgen.Euclidean(64)
    x = jnp.repeat(jnp.eye(64)[:3], 4, axis=0)
    test = lambda x, y: rgen.metrics.permutation_test(flat, x, y, 0.0085, jr.key(0))
    assert test(x, -x) == (jnp.inf, pytest.approx(1 / 1000))
    assert test(x, x) == (-jnp.inf, 1)


# The biased MMD


@pytest.mark.parametrize("name", ["Sphere(2)", *slow(["Euclidean(3)", "SO(3)"])])
def test_biased_mmd_is_the_mean_over_all_pairs(name):
    manifold = MANIFOLDS[name]()
    x, y = points(manifold, jr.key(0), 70), points(manifold, jr.key(1), 5)
    rows = jax.jit(jax.vmap(jax.vmap(manifold.dist, (None, 0)), (0, None)))
    mean = lambda a, b: np.mean(np.exp(-(np.asarray(rows(a, b), float) ** 2)))
    expected = math.sqrt(mean(x, x) - 2 * mean(x, y) + mean(y, y))
    # The roundings of a square of 0.1, of means of numbers up to 1.
    found = float(rgen.metrics.biased_mmd(manifold, x, y))
    assert found == pytest.approx(expected, abs=1e-5)
    found = float(rgen.metrics.biased_mmd(manifold, y, x))
    assert found == pytest.approx(expected, abs=1e-5)


def test_biased_mmd_of_equal_distributions_has_the_stated_mean_square():
    n, m = 40, 25
    height, weight = np.polynomial.legendre.leggauss(50)
    mean_kernel = np.sum(np.exp(-(np.arccos(height) ** 2)) * weight) / 2
    expected = (1 / n + 1 / m) * (1 - mean_kernel)

    @jax.jit
    @jax.vmap
    def square(key):
        x, y = points(S2, jr.fold_in(key, 0), n), points(S2, jr.fold_in(key, 1), m)
        value = rgen.metrics.biased_mmd(S2, x, y)
        return value * jnp.abs(value)

    squares = np.asarray(square(jr.split(jr.key(0), 1000)))
    error = float(squares.std()) / math.sqrt(len(squares))
    # One term i = j fewer in n would be seen.
    assert SIGMAS * error < expected / 10
    assert squares.mean() == pytest.approx(expected, abs=SIGMAS * error)


@pytest.mark.parametrize("name", ["Sphere(2)", *slow(["SO(3)", "Torus(2)"])])
def test_biased_mmd_may_be_negative(name):
    """For two regular octagons on a closed geodesic: from the corner of exp(-a^2) at
    the cut locus, a = pi, its Fourier coefficients of orders 8 and 24 are negative."""
    manifold = MANIFOLDS[name]()
    k = lambda angle: np.exp(-(np.minimum(angle, 2 * np.pi - angle) ** 2))
    corners, shift = 2 * np.pi * np.arange(8) / 8, np.pi / 8
    expected = 2 * np.mean(k(corners)) - 2 * np.mean(k(corners + shift))
    assert expected < -1e-5
    with jax.enable_x64(True):
        direction = manifold.basis(manifold.origin)[0]
        at = jax.vmap(lambda a: manifold.exp(manifold.origin, a * direction))
        found = rgen.metrics.biased_mmd(manifold, at(corners), at(corners + shift))
        assert float(found) == pytest.approx(-math.sqrt(-expected), rel=1e-6)


def test_biased_mmd_of_one_sample_and_itself():
    x = points(S2, jr.key(0), 10)
    value, slope = jax.value_and_grad(lambda y: rgen.metrics.biased_mmd(S2, x, y))(x)
    assert value == 0
    assert jnp.isfinite(slope).all()
    broken = x.at[3].set(jnp.nan)
    assert jnp.isnan(jax.jit(lambda y: rgen.metrics.biased_mmd(S2, x, y))(broken))


# Between the halves of one sample


def test_frechet_distance_is_that_of_normal_distributions():
    # Of sigma x + m and x, the covariances commute: |m|^2 + sum of (sigma - 1)^2 C.
    x = jr.normal(jr.key(0), (50, 3))
    sigma, m = jnp.array([0.5, 1.0, 3.0]), jnp.array([0.0, 4.0, -3.0])
    x = x - jnp.mean(x, axis=0)
    x = x @ jnp.linalg.inv(jnp.linalg.cholesky(jnp.cov(x.T))).T
    expected = math.sqrt(25 + 0.25 + 4)
    found = rgen.metrics.frechet_distance(rgen.Euclidean(3), sigma * x + m, x)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("dim", [2, *slow([128])])
def test_frechet_distance_is_the_trace_of_a_matrix_root(dim):
    torus, x_key, y_key = rgen.Torus(dim), *jr.split(jr.key(1))
    with jax.enable_x64(True):
        x = 0.3 * jr.normal(x_key, (600, dim))
        y = 0.5 + jr.normal(y_key, (400, dim)) * jnp.linspace(0.2, 2.0, dim)
        a, b = (np.asarray(jnp.hstack([jnp.cos(z), jnp.sin(z)])) for z in (x, y))
        c, d = np.cov(a.T), np.cov(b.T)
        squares = np.trace(c + d - 2 * np.real(scipy.linalg.sqrtm(c @ d)))
        expected = math.sqrt(squares + np.sum((a.mean(0) - b.mean(0)) ** 2))
        # scipy's root has half of the digits, and so has the distance of equal samples.
        found = rgen.metrics.frechet_distance(torus, x, y)
        assert found == pytest.approx(expected, rel=1e-7)
        assert rgen.metrics.frechet_distance(torus, x, x) < 1e-6


@pytest.mark.parametrize("n", [2, 8, 9])
def test_halves_are_disjoint_and_of_one_size(n):
    x = jnp.arange(2.0 * n).reshape(n, 2)
    pair = lambda x, y: (x, y)
    a, b = rgen.metrics.between_halves(pair, x, jr.key(0))
    assert a.shape == b.shape == (n // 2, 2)
    rows = set(map(tuple, np.concatenate([a, b]).tolist()))
    assert len(rows) == n // 2 * 2
    assert rows <= set(map(tuple, x.tolist()))
    firsts = [
        rgen.metrics.between_halves(pair, x, key)[0] for key in jr.split(jr.key(1))
    ]
    assert not jnp.array_equal(*firsts)


@pytest.mark.parametrize(
    "metric", [rgen.metrics.wasserstein, *slow([rgen.metrics.biased_mmd])]
)
def test_the_value_between_halves_is_that_of_samples_of_half_the_size(metric):
    metric = functools.partial(metric, CIRCLE)
    keys = jr.split(jr.key(0), 200)
    sample = lambda key, n: points(CIRCLE, key, n)
    between = [
        float(rgen.metrics.between_halves(metric, sample(jr.fold_in(key, 0), 80), key))
        for key in keys
    ]

    def apart(n):
        pairs = (
            (sample(jr.fold_in(k, 1), n), sample(jr.fold_in(k, 2), n)) for k in keys
        )
        return [float(metric(x, y)) for x, y in pairs]

    errors = lambda a, b: math.sqrt((np.var(a) + np.var(b)) / len(keys))
    same, larger = apart(40), apart(80)
    error = errors(between, same)
    assert np.mean(between) == pytest.approx(np.mean(same), abs=SIGMAS * error)
    # Samples of the size of all data are at a smaller distance.
    assert np.mean(between) > np.mean(larger) + SIGMAS * errors(between, larger)


def test_the_advice_on_too_few_points():
    value = functools.partial(rgen.metrics.squared_mmd, S2, v=0.1)
    with pytest.raises(ValueError, match="two points or more, got 1 and 1"):
        rgen.metrics.between_halves(value, points(S2, jr.key(0), 3), jr.key(0))
    four = points(S2, jr.key(0), 4)
    assert jnp.isfinite(rgen.metrics.between_halves(value, four, jr.key(0)))


# What each of them sees


@pytest.mark.slow
def test_which_metric_sees_what():
    """Eight equal modes on the sphere, against blurred ones, one that is missing, and a
    few uniform points."""
    n, kappa = 300, 200.0
    centres, weights = points(S2, jr.key(7), 8), np.full(8, 1 / 8)

    def modes(kappa, weights):
        make = eqx.filter_vmap(rgen.VonMisesFisher)
        return rgen.Mixture(make(centres, jnp.full(8, kappa)), jnp.log(weights))

    target = modes(kappa, weights)
    samples = lambda distribution: lambda key: rgen.sample(distribution, key, n)
    uniform = points(S2, jr.key(8), n // 25)
    models = {
        "perfect": samples(target),
        "blurred": samples(modes(kappa / 2, weights)),
        "missing": samples(modes(kappa, weights * [1e-20, *[8 / 7] * 7])),
        "hazed": lambda key: samples(target)(key).at[: len(uniform)].set(uniform),
    }

    def metrics(model, key):
        x_key, y_key, test_key = jr.split(key, 3)
        x, y = model(x_key), models["perfect"](y_key)
        return (
            rgen.metrics.wasserstein(S2, x, y),
            rgen.metrics.biased_mmd(S2, x, y),
            jnp.mean(rgen.log_prob(target, x)),
            rgen.metrics.permutation_test(S2, x, y, 1 / kappa, test_key).p_value,
        )

    def found(name):
        rows = [metrics(models[name], key) for key in jr.split(jr.key(0), 5)]
        return np.array(rows, float).T

    results = {name: found(name) for name in models}
    perfect = results["perfect"]
    level = {name: np.median(result[3]) for name, result in results.items()}
    # In standard deviations between two samples of the target.
    shift = {
        name: (result[:3] - perfect[:3]).mean(axis=1) / perfect[:3].std(axis=1)
        for name, result in results.items()
    }
    # The distances see the missing mode alone.
    assert np.all(shift["missing"][:2] > 2)
    assert np.all(np.abs([shift["blurred"][:2], shift["hazed"][:2]]) < 1)
    # The mean log-density of the samples sees all but that.
    assert abs(shift["missing"][2]) < 0.5
    assert max(shift["blurred"][2], shift["hazed"][2]) < -5
    # The test sees the shape of the modes and their weights.
    assert max(level["blurred"], level["missing"]) < 0.05
    assert min(level["perfect"], level["hazed"]) > 0.05


# Bad input


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


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (jnp.eye(3), jnp.eye(2), r"`y` to hold points .*of shape \(n, 3\)"),
        (2 * jnp.eye(3), jnp.eye(3), "not on it"),
        (jnp.eye(3)[:0], jnp.eye(3), "no data"),
    ],
)
def test_biased_mmd_refuses(x, y, message):
    with pytest.raises(ValueError, match=message):
        rgen.metrics.biased_mmd(S2, x, y)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (jnp.eye(3)[:1], jnp.eye(3), "two points or more, got 1 and 3"),
        (jnp.eye(3), jnp.eye(3)[0], r"`y` to hold points .*of shape \(n, 3\)"),
        (jnp.eye(3) * jnp.nan, jnp.eye(3), "finite"),
    ],
)
def test_frechet_distance_refuses(x, y, message):
    with pytest.raises(ValueError, match=message):
        rgen.metrics.frechet_distance(S2, x, y)


@pytest.mark.parametrize(
    ("x", "v", "b", "message"),
    [
        (jnp.eye(3)[:1], 0.1, 9, "two points or more, got 1 and 3"),
        (jnp.eye(3)[0], 0.1, 9, r"of shape \(n, 3\)"),
        (jnp.eye(3) * jnp.nan, 0.1, 9, "finite"),
        (jnp.eye(3), 0.0, 9, "`v` to be positive, got 0.0"),
        (jnp.eye(3), jnp.array([0.1, -2.0]), 9, "`v` to be positive, got -2.0"),
        (jnp.eye(3), jnp.zeros(0), 9, "at least one variance"),
        (jnp.eye(3), 0.1, 0, "`permutations` of at least 1, got 0.*take 19"),
    ],
)
def test_permutation_test_refuses(x, v, b, message):
    with pytest.raises(ValueError, match=message):
        rgen.metrics.permutation_test(S2, x, jnp.eye(3), v, jr.key(0), b)


def test_the_fewest_points_and_permutations():
    result = rgen.metrics.permutation_test(
        S2, jnp.eye(3)[:2], -jnp.eye(3)[:2], jnp.array([0.1]), jr.key(0), 1
    )
    assert result.statistic.shape == (1,)
    assert result.p_value in (0.5, 1)
    # The level that the error speaks of.
    x, y = blurred(S2, jr.key(0), 20), -blurred(S2, jr.key(1), 20)
    result = rgen.metrics.permutation_test(S2, x, y, 0.1, jr.key(0), 19)
    assert float(result.p_value) == pytest.approx(0.05)


def test_permutation_test_takes_a_manifold_with_a_heat_kernel():
    surface = SphereByEquation()
    with pytest.raises(NotImplementedError, match="permutation_test need"):
        rgen.metrics.permutation_test(surface, jnp.eye(3), jnp.eye(3), 0.1, jr.key(0))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (jnp.eye(3)[:1], "two points or more, got 1"),
        (jnp.eye(3)[:0], "no data"),
        (jnp.array(1.0), "of shape"),
        (jnp.eye(3) * jnp.nan, "finite"),
    ],
)
def test_between_halves_refuses(x, message):
    metric = functools.partial(rgen.metrics.wasserstein, S2)
    with pytest.raises(ValueError, match=message):
        rgen.metrics.between_halves(metric, x, jr.key(0))


def test_between_halves_takes_a_function():
    with pytest.raises(TypeError, match="`metric` to be a function, got the float"):
        rgen.metrics.between_halves(0.1, jnp.eye(3), jr.key(0))
