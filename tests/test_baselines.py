import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.special
import scipy.stats
from helpers import log_probs, points, samples_of, sphere_rule

import rgen
from rgen import KernelMixture, fit_kernel_mixture
from rgen._distribution._fit import _gains, maximise_weights


FISHER = rgen.VonMisesFisherKernel(rgen.Sphere(2))


def cloud(key, n, concentration=50.0):
    distribution = rgen.VonMisesFisher(rgen.Sphere(2).origin, concentration)
    return samples_of(distribution, key, n)


def mixture(n):
    """A mixture by hand, with more centres than a block or fewer."""
    variances = 1 / jnp.array([1.0, 30.0, 1e4])
    log_weights = 3 + jnp.log(jnp.array([0.2, 0.5, 0.3]))
    return KernelMixture(FISHER, cloud(jr.key(0), n), variances, log_weights)


@pytest.mark.parametrize("n", [1, 512, 1100])
def test_density_is_the_sum_over_centres_and_variances(n):
    distribution, x = mixture(n), cloud(jr.key(1), 20, 2.0)
    centres, points = np.float64(distribution.centres), np.float64(x)
    k = 1 / np.float64(distribution.variances)[:, None, None]
    squares = np.sum((centres - points[:, None]) ** 2, -1)
    kernels = k / (2 * np.pi * -np.expm1(-2 * k)) * np.exp(-k * squares / 2)
    weights = scipy.special.softmax(np.float64(distribution.log_weights))
    expected = np.log(np.einsum("k,kxc->x", weights, kernels) / n)
    # Roundings of exponents of up to 10 in size, in float32.
    np.testing.assert_allclose(log_probs(distribution, x), expected, atol=1e-5)


def test_density_integrates_to_one():
    variances, log_weights = 1 / jnp.array([1.0, 30.0]), jnp.log(jnp.array([0.4, 0.6]))
    distribution = KernelMixture(FISHER, cloud(jr.key(0), 600), variances, log_weights)
    # Exact for harmonics up to degree 119, of which kappa = 30 has less than 1e-8.
    x, w = sphere_rule(60)
    x = x.astype(np.float32)
    total = w @ np.exp(np.asarray(log_probs(distribution, x), np.float64))
    assert total == pytest.approx(1, abs=2e-6)


def test_samples_have_the_density():
    # E f by samples against E f = sum_k w_k L(kappa_k) mean(c), L the Langevin
    # function.
    distribution, n = mixture(300), 4000
    sample = samples_of(distribution, jr.key(2), n)
    k = 1 / np.asarray(distribution.variances, np.float64)
    shrink = scipy.special.softmax(distribution.log_weights) @ (1 / np.tanh(k) - 1 / k)
    expected = shrink * np.mean(distribution.centres, 0)
    errors = np.mean(sample, 0) - expected
    z = errors / (np.std(sample, axis=0) / np.sqrt(n))
    # Three components at a joint level of 1e-3.
    assert np.all(np.abs(z) < scipy.stats.norm.isf(1e-3 / 6))


def test_gradients_are_finite():
    distribution = mixture(600)
    x = jnp.concatenate(
        [distribution.centres[:2], -distribution.centres[:2], cloud(jr.key(3), 2, 0.0)]
    )
    assert np.all(np.isfinite(jax.jit(jax.vmap(jax.grad(distribution.log_prob)))(x)))


@pytest.fixture
def log_likelihoods():
    return 5 * jr.normal(jr.key(4), (200, 6))


def test_expectation_maximisation_never_loses_likelihood(log_likelihoods):
    with jax.enable_x64(True):
        likelihoods = jnp.exp(jnp.asarray(log_likelihoods, jnp.float64))
        weights, values = jnp.full(6, 1 / 6), []
        for _ in range(50):
            values.append(float(jnp.mean(jnp.log(likelihoods @ weights))))
            weights = weights * _gains(weights, likelihoods)
    # Up to the rounding of a mean of 200 numbers of size 10.
    assert np.all(np.diff(values) > -1e-13)
    assert values[-1] > values[0] + 0.01


def test_weights_are_within_the_stated_gap_of_the_best(log_likelihoods):
    value = lambda w: float(np.mean(np.log(np.exp(np.float64(log_likelihoods)) @ w)))
    weights = np.exp(np.float64(maximise_weights(log_likelihoods)))
    assert weights.sum() == pytest.approx(1, abs=1e-6)
    best = np.full(6, 1 / 6)
    likelihoods = np.exp(np.float64(log_likelihoods))
    for _ in range(20_000):
        best = best * np.mean(likelihoods / (likelihoods @ best)[:, None], 0)
    assert value(best) - 1e-3 <= value(weights) <= value(best) + 1e-6


def test_weights_for_likelihoods_that_would_overflow(log_likelihoods):
    shifts = jnp.linspace(-1e4, 1e4, 200)[:, None]
    shifted = maximise_weights(log_likelihoods + shifts)
    # Adding up to 1e4 in float32 moves the likelihoods by up to 1e-3.
    expected = np.exp(maximise_weights(log_likelihoods))
    np.testing.assert_allclose(np.exp(shifted), expected, atol=5e-3)


def test_fit_finds_the_bandwidth():
    # Copies of the training points want the smallest variance; the uniform
    # distribution, the largest.
    train = cloud(jr.key(5), 400, 0.0)
    copies = fit_kernel_mixture(FISHER, train, train[:100], 1e-4)
    assert np.argmax(copies.log_weights) == 0
    assert np.exp(copies.log_weights[0]) > 0.99
    fresh = fit_kernel_mixture(FISHER, train, cloud(jr.key(6), 400, 0.0), 1e-4)
    mean = np.exp(fresh.log_weights) @ np.log(fresh.variances)
    assert mean > -np.log(30)
    assert copies.variances[0] == pytest.approx(1e-4, rel=1e-5)


def test_fit_comes_near_the_distribution_of_the_data():
    distribution = rgen.VonMisesFisher(rgen.Sphere(2).origin, 50.0)
    train, validation = cloud(jr.key(7), 2000), cloud(jr.key(8), 500)
    test = cloud(jr.key(9), 2000)
    fit = fit_kernel_mixture(FISHER, train, validation, 1e-4)
    gap = np.mean(log_probs(distribution, test) - log_probs(fit, test))
    # A divergence, so positive, but for its sampling error of about 0.005; kernel
    # estimates of 2000 points lose a few hundredths of a nat in two dimensions.
    assert -0.02 < gap < 0.08


def test_fit_in_float64():
    with jax.enable_x64(True):
        points = np.asarray(cloud(jr.key(7), 300), np.float64)
        points = points / np.linalg.norm(points, axis=1, keepdims=True)
        fit = fit_kernel_mixture(FISHER, points[:200], points[200:], 1e-3)
        assert fit.log_prob(jnp.asarray(points[0])).dtype == jnp.float64


def test_fit_refuses():
    points = np.asarray(cloud(jr.key(5), 10))
    with pytest.raises(ValueError, match="at least one row"):
        fit_kernel_mixture(FISHER, points[:0], points, 1e-4)
    with pytest.raises(ValueError, match="rows are not on it"):
        fit_kernel_mixture(FISHER, points, 2 * points, 1e-4)
    for min_variance in (0.0, 1.0, -1e-4, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1, got"):
            fit_kernel_mixture(FISHER, points, points, min_variance)


def test_the_kernel_is_the_distribution():
    mean, x = cloud(jr.key(0), 2)
    v = jnp.array(0.02)
    distribution = rgen.VonMisesFisher(mean, 1 / v)
    assert FISHER.log_prob(mean, x, v) == pytest.approx(
        float(distribution.log_prob(x)), rel=1e-6
    )
    slope = rgen.Sphere(2).gradient(distribution.log_prob, x)
    np.testing.assert_allclose(FISHER.score(mean, x, v), slope, atol=1e-4)
    key = jr.key(1)
    np.testing.assert_allclose(
        FISHER.sample(mean, v, key), distribution.sample(key), atol=1e-6
    )


def test_centres_are_checked_and_no_parameters():
    distribution = mixture(5)
    with pytest.raises(ValueError, match="rows are not on it"):
        KernelMixture(
            FISHER,
            1.1 * distribution.centres,
            distribution.variances,
            distribution.log_weights,
        )
    value = lambda distribution: distribution.log_prob(rgen.Sphere(2).origin)
    slopes = eqx.filter_grad(value)(distribution)
    assert np.all(np.asarray(slopes.centres) == 0)
    assert np.all(np.asarray(slopes.variances) != 0)


def heat_mixture(manifold, n=5):
    centres, variances = points(manifold, jr.key(0), n), jnp.array([0.05, 0.6])
    log_weights = 3 + jnp.log(jnp.array([0.3, 0.7]))
    return KernelMixture(rgen.heat_kernel(manifold), centres, variances, log_weights)


@pytest.mark.slow
@pytest.mark.parametrize(
    "manifold",
    [rgen.Torus(2), rgen.SpecialOrthogonal(3), rgen.Hyperbolic(2)],
    ids=str,
)
def test_heat_kernel_mixture_is_the_sum_over_centres_and_variances(manifold):
    distribution, x = heat_mixture(manifold), points(manifold, jr.key(1), 3)
    kernel = jax.jit(rgen.heat_kernel(manifold).log_prob)
    each = [
        [
            [float(kernel(c, y, t)) for c in distribution.centres]
            for t in distribution.variances
        ]
        for y in x
    ]
    expected = np.log(np.exp(each).mean(2) @ [0.3, 0.7])
    # Log-densities of up to 100, in float32.
    np.testing.assert_allclose(
        log_probs(distribution, x), expected, rtol=1e-4, atol=1e-4
    )


def test_heat_kernel_mixture_integrates_to_one_and_samples_have_the_density():
    distribution = heat_mixture(rgen.Sphere(2))
    x, w = sphere_rule(60)
    p = w * np.exp(np.float64(log_probs(distribution, x.astype(np.float32))))
    assert p.sum() == pytest.approx(1, abs=1e-5)
    n = 4000
    sample = samples_of(distribution, jr.key(2), n)
    errors = np.mean(sample, 0) - p @ x
    z = errors / (np.std(sample, axis=0) / np.sqrt(n))
    # Three components at a joint level of 1e-3.
    assert np.all(np.abs(z) < scipy.stats.norm.isf(1e-3 / 6))


@pytest.mark.slow
def test_mixtures_of_heat_kernels_and_of_von_mises_fisher_kernels_are_alike():
    sphere = rgen.Sphere(2)
    train, validation = cloud(jr.key(7), 300), cloud(jr.key(8), 100)
    heat = fit_kernel_mixture(sphere, train, validation, 1e-3)
    other = fit_kernel_mixture(FISHER, train, validation, 1e-3)
    x = cloud(jr.key(9), 200)
    # The kernels differ by about the variance, of which the fitted one is near 0.01.
    gap = np.mean(log_probs(heat, x) - log_probs(other, x))
    assert abs(gap) < 0.02


def test_heat_kernel_mixture_finds_the_bandwidth():
    rotations = rgen.SpecialOrthogonal(3)
    train = points(rotations, jr.key(0), 100)
    copies = fit_kernel_mixture(rotations, train, train[:50], 1e-2)
    assert np.argmax(copies.log_weights) == 0
    assert copies.variances[0] == pytest.approx(1e-2, rel=1e-5)
    fresh = fit_kernel_mixture(rotations, train, points(rotations, jr.key(1), 50), 1e-2)
    assert np.exp(fresh.log_weights) @ np.log(fresh.variances) > np.log(0.2)


def test_heat_kernel_mixture_refuses():
    rotations = rgen.SpecialOrthogonal(3)
    x = points(rotations, jr.key(0), 4)
    with pytest.raises(ValueError, match="between 0 and 1, got"):
        fit_kernel_mixture(rotations, x, x, 2.0)
    with pytest.raises(ValueError, match="rows are not on it"):
        fit_kernel_mixture(rotations, x, 2 * x, 0.1)
    four = rgen.SpecialOrthogonal(4)
    with pytest.raises(NotImplementedError, match="density of a random walk"):
        fit_kernel_mixture(four, *2 * [points(four, jr.key(0), 4)], 0.1)
