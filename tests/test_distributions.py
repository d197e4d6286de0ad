import functools as ft
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import mpmath
import numpy as np
import pytest
import scipy.stats
from helpers import log_probs, points, samples_of, sphere_rule

import rgen
from rgen import _rejection
from rgen._kernel._von_mises_fisher import log_normaliser


# The level of every statistical test here. The keys are fixed, so that a test that
# passes once passes always.
LEVEL = 1e-3


@eqx.filter_jit
def values_and_slopes(distribution, x):
    return jax.vmap(jax.value_and_grad(distribution.log_prob))(x)


@eqx.filter_jit
def points_at(manifold, mean, r, key):
    """For each radius, the end of a geodesic from the mean in a random direction."""

    def one(r, key):
        v = manifold.tangent_noise(mean, key)
        return manifold.exp(mean, r * v / manifold.norm(mean, v))

    return jax.vmap(one)(r, jr.split(key, len(r)))


@eqx.filter_jit
def distances(manifold, mean, x):
    return jax.vmap(ft.partial(manifold.dist, mean))(x)


@eqx.filter_jit
def a_point(manifold, dtype):
    origin = manifold.origin.astype(dtype)
    return manifold.exp(origin, manifold.tangent_noise(origin, jr.key(0)))


def gauss_legendre(edges, order):
    """Nodes and weights of a composite rule, one row a panel."""
    x, w = np.polynomial.legendre.leggauss(order)
    low, high = np.asarray(edges[:-1])[:, None], np.asarray(edges[1:])[:, None]
    return (low + high) / 2 + (high - low) / 2 * x, (high - low) / 2 * w


def radial_rule(scale, end):
    """Edges, nodes and weights on [0, end], for functions that vary over lengths of
    `scale`, or 1. Their number is always the same."""
    inner = np.minimum(np.linspace(0, 10 * scale, 61), end)
    edges = np.concatenate([inner, np.linspace(inner[-1], end, 41)[1:]])
    return edges, *gauss_legendre(edges, 10)


def follows(sample, edges, mass):
    """Whether a Kolmogorov-Smirnov test accepts the distribution whose mass up to each
    edge is given. Between them, 4000 samples do not tell the distribution from its
    interpolation."""
    cdf = lambda s: np.interp(s, edges, np.concatenate([[0], mass]))
    return scipy.stats.kstest(np.asarray(sample, np.float64), cdf).pvalue > LEVEL


def sphere_area(d):
    return 2 * math.pi ** ((d + 1) / 2) / math.gamma((d + 1) / 2)


# manifold, largest distance, area of the geodesic sphere of each radius
RADIAL = {
    "circle": (rgen.Sphere(1), math.pi, lambda r: 2 + 0 * r),
    "sphere 2": (rgen.Sphere(2), math.pi, lambda r: 2 * math.pi * np.sin(r)),
    "sphere 4": (rgen.Sphere(4), math.pi, lambda r: sphere_area(3) * np.sin(r) ** 3),
    "rotations 2": (rgen.SpecialOrthogonal(2), math.pi, lambda r: 2 + 0 * r),
    "rotations 3": (
        rgen.SpecialOrthogonal(3),
        math.pi,
        lambda r: 16 * math.pi * np.sin(r / 2) ** 2,
    ),
    "torus 1": (rgen.Torus(1), math.pi, lambda r: 2 + 0 * r),
    "plane": (rgen.Euclidean(2), 30.0, lambda r: 2 * math.pi * r),
    "hyperbolic 2": (rgen.Hyperbolic(2), 8.0, lambda r: 2 * math.pi * np.sinh(r)),
}
SCALES = {name: (1e-3, 0.1, 1.0, 3.0) for name in RADIAL} | {
    # Ten scales are as far as the rule reaches, and exp(8)^2 what float32 resolves.
    "hyperbolic 2": (1e-3, 0.1, 0.8),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RADIAL)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_wrapped_normal_integrates_to_one_and_samples_match(name, dtype):
    manifold, end, area = RADIAL[name]
    with jax.enable_x64(dtype == "float64"):
        mean = a_point(manifold, dtype)
        for scale in SCALES[name]:
            edges, r, w = radial_rule(scale, end)
            distribution = rgen.WrappedNormal(manifold, mean, scale)
            x = points_at(manifold, mean, jnp.asarray(r.ravel(), dtype), jr.key(1))
            p = np.exp(np.asarray(log_probs(distribution, x), np.float64)).reshape(
                r.shape
            )
            mass = np.cumsum(np.sum(w * area(r) * p, 1))
            # A point that is off by eps is off by eps / scale in units of the scale,
            # where the density changes by as much. What lies ten scales away, and the
            # error of the rule, are less.
            tolerance = 20 * jnp.finfo(dtype).eps * (1 / scale + 10)
            assert mass[-1] == pytest.approx(1, abs=float(tolerance))
            sample = distances(
                manifold, mean, samples_of(distribution, jr.key(2), 4000)
            )
            assert follows(sample, edges, mass)


def test_wrapped_normal_on_a_grid_of_the_sphere():
    # Away from polar coordinates around the mean: Gauss-Legendre in the height, the
    # trapezoidal rule in the longitude. At this scale the turns weigh exp(-54).
    sphere = rgen.Sphere(2)
    with jax.enable_x64(True):
        height, w = np.polynomial.legendre.leggauss(120)
        longitude = 2 * np.pi * np.arange(240) / 240
        flat = np.sqrt(1 - height[:, None] ** 2)
        x = np.stack(
            [
                flat * np.cos(longitude),
                flat * np.sin(longitude),
                height[:, None] + 0 * longitude,
            ],
            -1,
        ).reshape(-1, 3)
        mean = sphere.project(jnp.array([0.3, -0.5, 0.6]))
        for scale in (0.3, [0.3, 0.2]):
            distribution = rgen.WrappedNormal(sphere, mean, jnp.array(scale))
            p = log_probs(distribution, jnp.asarray(x))
            total = np.sum(np.repeat(w, 240) * np.exp(p)) * 2 * np.pi / 240
            assert total == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0, [0.3, 3.0]])
def test_wrapped_normal_on_a_grid_of_the_torus(scale):
    torus = rgen.Torus(2)
    with jax.enable_x64(True):
        angle = 2 * np.pi * np.arange(64) / 64
        x = np.stack(np.meshgrid(angle, angle), -1).reshape(-1, 2)
        mean = jnp.array([0.3, -2.0])
        distribution = rgen.WrappedNormal(torus, mean, jnp.array(scale))
        p = np.exp(log_probs(distribution, jnp.asarray(x)))
    # The trapezoidal rule leaves out modes of frequency 64: exp(-64^2 scale^2 / 2).
    assert np.sum(p) * (2 * np.pi / 64) ** 2 == pytest.approx(1, abs=1e-13)


def test_wrapped_normal_on_the_torus_is_a_fourier_series():
    with jax.enable_x64(True):
        angle, n = jnp.linspace(-4.0, 4.0, 50), np.arange(1, 60)
        for scale in (0.3, 1.0, 3.0):
            distribution = rgen.WrappedNormal(rgen.Torus(1), jnp.array([0.5]), scale)
            modes = np.exp(-(n**2) * scale**2 / 2) * np.cos(
                n * (np.asarray(angle)[:, None] - 0.5)
            )
            expected = (1 + 2 * modes.sum(1)) / (2 * np.pi)
            actual = np.exp(log_probs(distribution, angle[:, None]))
            np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-14)


@pytest.mark.slow
def test_wrapped_normal_factorises():
    sphere, torus = rgen.Sphere(2), rgen.Torus(2)
    product, power = rgen.Product(sphere, torus), rgen.Power(sphere, 2)
    x, y = sphere.uniform(jr.key(0)), sphere.uniform(jr.key(1))
    u, v = torus.uniform(jr.key(2)), torus.uniform(jr.key(3))
    one = lambda m, mean, at: rgen.WrappedNormal(m, mean, 1.5).log_prob(at)
    parts = one(sphere, x, y), one(torus, u, v)
    joint = one(product, product.join(x, u), product.join(y, v))
    assert joint == pytest.approx(float(sum(parts)), rel=1e-5)
    joint = one(power, jnp.stack([x, y]), jnp.stack([y, x]))
    assert joint == pytest.approx(float(2 * parts[0]), rel=1e-5)


def test_wrapped_normal_with_a_scale_for_each_direction_factorises():
    plane, torus = rgen.Hyperbolic(2), rgen.Torus(2)
    product, power = rgen.Product(plane, torus), rgen.Power(plane, 2)
    x, y = jnp.array([0.3, -1.0]), jnp.array([0.5, 0.2])
    scales = jnp.array([0.4, 1.0, 1.5, 0.2])
    one = lambda m, mean, at, scale: rgen.WrappedNormal(m, mean, scale).log_prob(at)
    parts = one(plane, x, y, scales[:2]), one(torus, x, y, scales[2:])
    joint = one(product, product.join(x, x), product.join(y, y), scales)
    assert joint == pytest.approx(float(sum(parts)), rel=1e-5)
    parts = one(plane, x, y, scales[:2]), one(plane, y, x, scales[2:])
    joint = one(power, jnp.stack([x, y]), jnp.stack([y, x]), scales)
    assert joint == pytest.approx(float(sum(parts)), rel=1e-5)


@pytest.mark.parametrize("scale", [0.7, [0.7, 0.2]])
def test_wrapped_normal_is_normal_in_flat_space(scale):
    mean, x = jnp.array([1.0, 2.0]), jnp.array([0.5, 1.5])
    actual = rgen.WrappedNormal(rgen.Euclidean(2), mean, jnp.array(scale)).log_prob(x)
    covariance = np.diag(np.broadcast_to(scale, 2) ** 2)
    expected = scipy.stats.multivariate_normal(mean, covariance).logpdf(x)
    assert actual == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "manifold",
    [rgen.Sphere(2), rgen.SpecialOrthogonal(3), rgen.Hyperbolic(2), rgen.Torus(2)],
    ids=str,
)
def test_wrapped_normal_with_equal_scales_is_isotropic(manifold):
    mean = points(manifold, jr.key(0), 1)[0]
    distribution = rgen.WrappedNormal(manifold, mean, 0.8)
    equal = rgen.WrappedNormal(manifold, mean, jnp.full(manifold.dim, 0.8))
    radii = jnp.array([0, 1e-6, 1e-3, 1, 3.1])
    x = points_at(manifold, mean, radii, jr.key(1))
    expected = values_and_slopes(distribution, x)
    # Of log-densities and slopes of size 10.
    for actual, wanted in zip(values_and_slopes(equal, x), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "manifold",
    [rgen.Sphere(2), rgen.SpecialOrthogonal(3), rgen.Hyperbolic(2), rgen.Torus(2)],
    ids=str,
)
def test_samples_of_a_wrapped_normal_have_a_scale_for_each_direction(manifold):
    # So small that hardly a sample goes beyond the shortest tangent vectors.
    scales = jnp.array([0.1, 0.5, 0.3])[: manifold.dim]
    mean = points(manifold, jr.key(0), 1)[0]
    x = samples_of(rgen.WrappedNormal(manifold, mean, scales), jr.key(1), 2000)
    along = lambda v: jax.vmap(lambda e: manifold.inner(mean, v, e))
    coordinates = lambda x: along(manifold.log(mean, x))(manifold.basis(mean))
    z = np.asarray(jax.jit(jax.vmap(coordinates))(x)) / np.asarray(scales)
    for column in z.T:
        assert scipy.stats.kstest(column, "norm").pvalue > LEVEL
    assert abs(np.corrcoef(z.T) - np.eye(manifold.dim)).max() < 3.3 / 2000**0.5


@pytest.mark.parametrize("shape", [(3,), (1,), (2, 2)])
def test_wrapped_normal_refuses_scales_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"array of shape \(2,\), got"):
        rgen.WrappedNormal(rgen.Torus(2), jnp.zeros(2), jnp.ones(shape))


def test_wrapped_normal_without_a_density():
    rotations = rgen.SpecialOrthogonal(4)
    distribution = rgen.WrappedNormal(rotations, rotations.origin, 0.5)
    assert rotations.contains(distribution.sample(jr.key(0)))
    with pytest.raises(NotImplementedError, match=r"not known.*rgen\.ScoreModel"):
        distribution.log_prob(rotations.origin)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, [1.0, 0.0]])
def test_wrapped_normal_refuses_a_scale_that_is_not_positive(scale):
    sphere = rgen.Sphere(2)
    build = lambda scale: rgen.WrappedNormal(sphere, sphere.origin, scale)
    with pytest.raises(ValueError, match="`scale` to be positive and finite, got"):
        build(jnp.array(scale))
    with pytest.raises(Exception, match="`scale` to be positive"):
        eqx.filter_jit(build)(jnp.array(scale))


def test_wrapped_normal_refuses_a_batch_of_means():
    with pytest.raises(ValueError, match=r"of shape \(3,\), got \(5, 3\)"):
        rgen.WrappedNormal(rgen.Sphere(2), jnp.ones((5, 3)), 1.0)


def exact_log_normaliser(d, k):
    """By mpmath, from the definition with a Bessel function."""
    if k == 0:
        return math.log(sphere_area(d))
    with mpmath.workdps(40):
        k, nu = mpmath.mpf(k), mpmath.mpf(d - 1) / 2
        if k < 1e4:
            bessel = mpmath.besseli(nu, k) * mpmath.exp(-k)
        else:
            ratio = lambda j: -(4 * nu**2 - (2 * j - 1) ** 2) / (8 * j * k)
            terms = [mpmath.fprod(map(ratio, range(1, m + 1))) for m in range(30)]
            bessel = mpmath.fsum(terms) / mpmath.sqrt(2 * mpmath.pi * k)
        log = (nu + 1) * mpmath.log(2 * mpmath.pi) - nu * mpmath.log(k)
        return float(log + mpmath.log(bessel))


CONCENTRATIONS = [0.0, 1e-3, 0.5, 0.999, 1.0, 3.0, 30.0, 1e3, 1e4, 1e6, 1e8]


@pytest.mark.parametrize("d", [1, 2, 3, 4, 10, 30, 100])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_von_mises_fisher_normaliser(d, dtype):
    with jax.enable_x64(dtype == "float64"):
        k = jnp.array(CONCENTRATIONS, dtype)
        actual = jax.jit(jax.vmap(lambda k: log_normaliser(d, k)))(k)
    # The concentration itself is rounded: refer to what it is.
    expected = [exact_log_normaliser(d, float(k)) for k in np.asarray(k)]
    # A few roundings of terms of the size of d log(k), and 1e-13 as documented.
    rounding = 4 * float(jnp.finfo(dtype).eps) * (np.abs(expected) + 1) + 1e-13
    assert np.all(np.abs(np.asarray(actual, np.float64) - expected) < rounding)


def test_von_mises_fisher_density_is_that_of_scipy():
    with jax.enable_x64(True):
        for d in (1, 2, 5):
            mean, x = np.asarray(jax.vmap(rgen.Sphere(d).uniform)(jr.split(jr.key(d))))
            ours = rgen.VonMisesFisher(jnp.asarray(mean), 7.0).log_prob(jnp.asarray(x))
            theirs = scipy.stats.vonmises_fisher(mean, 7.0).logpdf(x)
            assert ours == pytest.approx(theirs, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("d", [1, 2, 4])
def test_von_mises_fisher_integrates_to_one_and_samples_match(d, dtype):
    sphere, n = rgen.Sphere(d), 4000
    with jax.enable_x64(dtype == "float64"):
        mean = a_point(sphere, dtype)
        for concentration in (0.0, 3.0, 1e4):
            scale = min(1 / math.sqrt(concentration + 1e-3), 0.3)
            edges, r, w = radial_rule(scale, math.pi)
            distribution = rgen.VonMisesFisher(mean, concentration)
            x = points_at(sphere, mean, jnp.asarray(r.ravel(), dtype), jr.key(1))
            p = np.exp(np.asarray(log_probs(distribution, x), np.float64)).reshape(
                r.shape
            )
            area = (sphere_area(d - 1) if d > 1 else 2) * np.sin(r) ** (d - 1)
            mass = np.cumsum(np.sum(w * area * p, 1))
            # As for the wrapped normal.
            tolerance = 20 * jnp.finfo(dtype).eps * (1 / scale + 10)
            assert mass[-1] == pytest.approx(1, abs=float(tolerance))
            sample = samples_of(distribution, jr.key(1), n)
            assert follows(distances(sphere, mean, sample), edges, mass)
            # The directions around the mean are symmetric.
            side = np.asarray(sample) @ np.asarray(sphere.basis(mean))[0]
            assert scipy.stats.binomtest(int(np.sum(side > 0)), n).pvalue > LEVEL


def test_von_mises_fisher_samples_at_the_largest_concentration():
    # kappa |x - mu|^2 is then a chi-square with two degrees of freedom. Rounding moves
    # it by 1e-3 of itself, which n = 4000 samples do not resolve.
    mean = rgen.Sphere(2).uniform(jr.key(3))
    sample = samples_of(rgen.VonMisesFisher(mean, 1e8), jr.key(4), 4000)
    squares = 1e8 * np.sum(np.asarray(sample - mean) ** 2, 1)
    assert scipy.stats.kstest(squares, scipy.stats.chi2(2).cdf).pvalue > LEVEL


@pytest.mark.parametrize("d", [1, 2, 3])
def test_von_mises_fisher_is_smooth_in_the_concentration(d):
    mean = rgen.Sphere(d).origin
    log_prob = lambda k: rgen.VonMisesFisher(mean, k).log_prob(mean)
    slopes = jax.jit(jax.vmap(jax.grad(log_prob)))(jnp.array(CONCENTRATIONS))
    assert np.all(np.isfinite(slopes))
    # At kappa = 0 it is the mean of |x - mu|^2 / 2, which is 1 - <x, mu>.
    assert slopes[0] == pytest.approx(1, abs=1e-5)
    # In float32, to the rounding of a log-density of size 20 that the slope 1/kappa d/2
    # is the derivative of.
    assert 1e8 * slopes[-1] == pytest.approx(d / 2, rel=1e-3)


def test_von_mises_fisher_refuses():
    for concentration in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="`concentration` to be finite and at lea"):
            rgen.VonMisesFisher(jnp.array([0.0, 1.0]), concentration)
    with pytest.raises(ValueError, match=r"got \(5, 3\)"):
        rgen.VonMisesFisher(jnp.ones((5, 3)), 1.0)
    mean, sphere = jnp.array([0.0, 0.0, 0.81]), rgen.Sphere(2)
    with pytest.raises(ValueError, match=r"`mean` to be a point of Sphere\(dim=2\)"):
        rgen.VonMisesFisher(mean, 1.0)
    # The remedy that the message names.
    rgen.VonMisesFisher(sphere.project(mean), 1.0)
    # A batch of means, and one that is traced.
    build = eqx.filter_vmap(lambda mean: rgen.VonMisesFisher(mean, 1.0))
    for each in (build, eqx.filter_jit(build)):
        with pytest.raises(eqx.EquinoxRuntimeError, match="`mean` to be a point of"):
            each(jnp.stack([sphere.origin, mean]))


S2_DISTRIBUTIONS = {
    "VonMisesFisher": lambda: rgen.VonMisesFisher(rgen.Sphere(2).origin, 3.0),
    "Kent": lambda: rgen.Kent(jnp.eye(3), 3.0, 1.0),
    "Mixture": lambda: rgen.Mixture(
        eqx.filter_vmap(lambda x: rgen.VonMisesFisher(x, 3.0))(jnp.eye(3)), jnp.zeros(3)
    ),
    "KernelMixture": lambda: rgen.KernelMixture(
        rgen.VonMisesFisherKernel(rgen.Sphere(2)),
        jnp.eye(3),
        jnp.array([0.5, 0.1]),
        jnp.zeros(2),
    ),
}


@pytest.mark.parametrize("name", S2_DISTRIBUTIONS)
def test_maximum_likelihood_over_all_leaves_keeps_a_distribution(name):
    with jax.enable_x64(True):
        distribution = S2_DISTRIBUTIONS[name]()
        truth = rgen.VonMisesFisher(rgen.Sphere(2).exp(*jnp.eye(3)[:2]), 5.0)
        x = samples_of(truth, jr.key(0), 50)

        @eqx.filter_jit
        def step(distribution):
            loss = lambda distribution: -jnp.mean(jax.vmap(distribution.log_prob)(x))
            slopes = eqx.filter_grad(loss)(distribution)
            return jax.tree.map(
                lambda leaf, slope: leaf - 0.3 * slope, distribution, slopes
            )

        moved = distribution
        for _ in range(5):
            moved = step(moved)
        before, after = (
            float(jnp.mean(log_probs(each, x))) for each in (distribution, moved)
        )
        assert after > before
        grid, w = map(jnp.asarray, sphere_rule(40))
        # As exact as the rule is for harmonics of degree under 80.
        assert w @ jnp.exp(log_probs(moved, grid)) == pytest.approx(1, abs=1e-10)


def test_a_rejection_loop_accepts_nothing_by_a_uniform_number_of_zero(monkeypatch):
    zero = lambda key, shape=(), dtype=float, *bounds: jnp.zeros(shape, dtype)
    monkeypatch.setattr(_rejection.jr, "uniform", zero)

    def propose(key):
        z = jr.normal(key)
        return z, jnp.where(z > 0, 0, -200.0)

    sample = lambda key: _rejection.rejection_sample(propose, key)
    assert np.all(np.asarray(jax.vmap(sample)(jr.split(jr.key(0), 100))) > 0)


def mixture(manifold, log_weights, scale):
    means = jax.vmap(manifold.uniform)(jr.split(jr.key(5), len(log_weights)))
    build = lambda mean: rgen.WrappedNormal(manifold, mean, scale)
    return rgen.Mixture(eqx.filter_vmap(build)(means), log_weights), means


def test_mixture_is_the_weighted_sum():
    weights = np.array([0.2, 0.5, 0.3])
    # Weights count up to a constant.
    distribution, means = mixture(
        rgen.Sphere(2), jnp.log(jnp.asarray(weights)) + 4, 0.4
    )
    x = samples_of(distribution, jr.key(0), 20)
    each = [
        log_probs(rgen.WrappedNormal(distribution.manifold, m, 0.4), x) for m in means
    ]
    expected = np.log(weights @ np.exp(np.float64(each)))
    np.testing.assert_allclose(log_probs(distribution, x), expected, rtol=0, atol=1e-5)


def test_mixture_samples_each_component_by_its_weight():
    weights = np.array([0.1, 0.6, 0.3])
    distribution, means = mixture(rgen.Torus(3), jnp.log(jnp.asarray(weights)), 1e-3)
    n = 2000
    sample = samples_of(distribution, jr.key(1), n)
    dist = jax.vmap(jax.vmap(distribution.manifold.dist, (0, None)), (None, 0))(
        means, sample
    )
    assert np.all(np.min(dist, 1) < 0.01)
    counts = np.bincount(np.argmin(dist, 1), minlength=3)
    assert scipy.stats.chisquare(counts, n * weights).pvalue > LEVEL


def test_mixture_far_from_every_component():
    distribution, _ = mixture(rgen.Sphere(2), jnp.zeros(2), 1e-3)
    values, slopes = values_and_slopes(
        distribution, rgen.Sphere(2).uniform(jr.key(9))[None]
    )
    assert values[0] < -1e4
    assert np.all(np.isfinite(slopes))


def test_mixture_refuses_weights_that_do_not_match():
    with pytest.raises(ValueError, match="leading axis of length"):
        distribution, _ = mixture(rgen.Sphere(2), jnp.zeros(2), 0.5)
        rgen.Mixture(distribution.components, jnp.zeros(3))
    with pytest.raises(ValueError, match="leading axis of length"):
        rgen.Mixture(
            rgen.WrappedNormal(distribution.manifold, jnp.eye(3)[0], 0.5), jnp.zeros(2)
        )


@pytest.mark.parametrize("mean", [[0.0, 0.0, 1.3], [math.nan, 0.0, 1.0]])
def test_wrapped_normal_refuses_a_mean_off_the_manifold(mean):
    with pytest.raises(ValueError, match="`mean` to be a point of Sphere"):
        rgen.WrappedNormal(rgen.Sphere(2), jnp.array(mean), 0.5)
    with pytest.raises(ValueError, match="`scale` to be positive and finite"):
        rgen.WrappedNormal(rgen.Sphere(2), rgen.Sphere(2).origin, math.inf)


def test_an_optimiser_may_move_the_mean_of_a_wrapped_normal():
    for manifold in (rgen.Sphere(2), rgen.SpecialOrthogonal(3)):
        mean = manifold.origin
        x = manifold.exp(mean, manifold.basis(mean)[0])
        normal = rgen.WrappedNormal(manifold, mean, 0.5)
        moved = eqx.tree_at(lambda normal: normal.mean, normal, 1.3 * mean)
        np.testing.assert_allclose(moved.log_prob(x), normal.log_prob(x), rtol=1e-5)
        samples = [each.sample(jr.key(0)) for each in (moved, normal)]
        np.testing.assert_allclose(*samples, atol=1e-5)


def test_products_and_mixtures_of_models_have_keys_and_costs():
    sphere, circle = rgen.Sphere(2), rgen.Torus(1)
    process = rgen.Brownian(sphere)
    build = lambda key: rgen.ScoreModel(
        rgen.nn.ScoreField(process, width=8, depth=1, frequencies=8, key=key),
        process,
        rgen.ReverseSDE(3),
        divergence=rgen.HutchinsonDivergence(),
    )
    model = build(jr.key(0))
    product = rgen.ProductDistribution(model, rgen.Uniform(circle))
    mixture = rgen.Mixture(eqx.filter_vmap(build)(jr.split(jr.key(0))), jnp.zeros(2))
    x, cost = rgen.sample_and_cost(product, jr.key(0), 2)
    assert (cost.evaluations == 3).all() and cost.finished.all()
    _, cost = rgen.sample_and_cost(mixture, jr.key(0), 2)
    assert (cost.evaluations == 3).all()
    points = sphere.uniform(jr.key(1))[None]
    alone, one = rgen.log_prob_and_cost(model, points, jr.key(2))
    both, cost = rgen.log_prob_and_cost(product, x[:1], jr.key(2))
    # An untrained score is zero: all densities are uniform.
    np.testing.assert_allclose(both, -sphere.log_volume - circle.log_volume, rtol=1e-5)
    assert cost.evaluations[0] == one.evaluations[0] > 0
    mixed, cost = rgen.log_prob_and_cost(mixture, points, jr.key(2))
    np.testing.assert_allclose(mixed, alone, rtol=1e-5)
    assert cost.evaluations[0] == 2 * one.evaluations[0]
    with pytest.raises(ValueError, match="at least one manifold"):
        rgen.ProductDistribution()


@pytest.mark.parametrize("dim", [1, 2, 9])
def test_hessians_of_wrapped_normals(dim):
    """Against differences of the gradient, and finite at the mean and its antipode."""
    sphere = rgen.Sphere(dim)
    mean, across = sphere.origin, sphere.basis(sphere.origin)[0]

    def one(scale, angle):
        gradient = jax.grad(rgen.WrappedNormal(sphere, mean, scale).log_prob)
        x, velocity = jax.jvp(lambda a: sphere.exp(mean, a * across), (angle,), (1.0,))
        # Mapped, not by `jax.vmap`, which takes as long as tracing does, once more.
        push = lambda e: jax.jvp(gradient, (x,), (e,))
        (slope, *_), hessian = jax.lax.map(push, jnp.eye(dim + 1))
        # Along the great circle, whose acceleration is -x.
        bend = velocity @ hessian @ velocity - slope @ x
        return slope @ velocity, bend, hessian

    @jax.jit
    def slopes(scales, angle):
        return jax.lax.map(lambda scale: one(scale, angle), scales)

    # Below, at and beyond the scale from which tails are summed.
    scales = jnp.array([0.7, 5.0, 13.0, 20.0, 40.0])
    h = 1e-2
    for angle in (0.0, 1.0, math.pi):
        assert jnp.all(jnp.isfinite(slopes(scales, angle)[2]))
    difference = (slopes(scales, 1.0 + h)[0] - slopes(scales, 1.0 - h)[0]) / (2 * h)
    # The error of the difference, h^2 / 6 of third derivatives below 50, and rounding.
    np.testing.assert_allclose(slopes(scales, 1.0)[1], difference, atol=3e-3, rtol=1e-3)


def test_uniform():
    for manifold in (rgen.Sphere(2), rgen.Torus(3), rgen.SpecialOrthogonal(3)):
        x = rgen.Uniform(manifold).sample(jr.key(0))
        assert manifold.contains(x)
        log_prob = rgen.Uniform(manifold).log_prob(x)
        assert log_prob == pytest.approx(-manifold.log_volume)


def test_uniform_refuses_what_is_not_compact():
    with pytest.raises(ValueError, match="to be compact, got Euclidean"):
        rgen.Uniform(rgen.Euclidean(2))


def test_gibbs():
    distribution = rgen.Gibbs(rgen.Sphere(2), lambda x: 3 * x[0])
    x = distribution.manifold.origin
    assert distribution.log_prob(x) == 0
    np.testing.assert_array_equal(jax.grad(distribution.log_prob)(x), [-3, 0, 0])
    with pytest.raises(NotImplementedError, match="Langevin"):
        distribution.sample(jr.key(0))


def every_distribution():
    for manifold in (rgen.Sphere(2), rgen.SpecialOrthogonal(3), rgen.Torus(2)):
        for scale in (1e-3, 0.3, 3.0):
            yield rgen.WrappedNormal(manifold, manifold.origin, scale)
    plane, sphere = rgen.Hyperbolic(2), rgen.Sphere(2)
    yield rgen.WrappedNormal(plane, plane.origin, 0.5)
    yield rgen.WrappedNormal(sphere, sphere.origin, jnp.array([0.1, 3.0]))
    for concentration in (0.0, 1.0, 1e8):
        yield rgen.VonMisesFisher(sphere.origin, concentration)
    yield rgen.Uniform(sphere)
    one = lambda mean: rgen.VonMisesFisher(mean, 5.0)
    means = jnp.stack([sphere.origin, -sphere.origin])
    yield rgen.Mixture(eqx.filter_vmap(one)(means), jnp.zeros(2))


@pytest.mark.slow
def test_log_prob_is_finite_and_differentiable_everywhere():
    for distribution in every_distribution():
        radii = jnp.array([0, 1e-12, 1e-6, 1e-3, 1, 3.14159, math.pi])
        x = points_at(
            distribution.manifold, distribution.manifold.origin, radii, jr.key(0)
        )
        values, slopes = values_and_slopes(distribution, x)
        assert np.all(np.isfinite(values)) and np.all(np.isfinite(slopes))
        assert values.dtype == jnp.float32


@pytest.mark.slow
def test_nan_stays_nan_and_samples_are_points():
    for distribution in every_distribution():
        x = samples_of(distribution, jr.key(0), 8)
        assert np.all(np.isfinite(x)) and distribution.manifold.contains(x[0])
        assert np.all(np.isnan(log_probs(distribution, x * jnp.nan)))


def test_a_sample_from_a_nan_ends():
    distribution = rgen.VonMisesFisher(rgen.Sphere(2).origin, 1.0)
    distribution = eqx.tree_at(
        lambda distribution: distribution.concentration,
        distribution,
        jnp.array(jnp.nan),
    )
    assert np.all(np.isnan(samples_of(distribution, jr.key(0), 1)))
