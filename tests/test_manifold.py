"""What every manifold has to satisfy, for each in the table of `helpers.py`, and the
closed forms that single ones have to match.

Most identities are tested as residuals that are zero in exact arithmetic, in units of
the spacing of floating-point numbers.
"""

import functools
import math
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats
from helpers import (
    MANIFOLDS,
    compact_manifolds,
    directions,
    every_manifold,
    injectivity_radius,
    points,
)

import rgen
from rgen.testing import check_manifold


N = 64
# The level of every statistical test here. The keys are fixed, so that a test that
# passes once passes always.
LEVEL = 1e-4

# The first argument, a manifold, is static.
compiled = functools.partial(jax.jit, static_argnums=0)


def assert_small(residuals, limit):
    """`limit` bounds every residual; NaN is not small."""
    worst = {
        identity: float(jnp.max(jnp.abs(value)))
        for identity, value in residuals.items()
    }
    broken = {
        identity: value for identity, value in worst.items() if not value <= limit
    }
    assert not broken, f"larger than {limit}: {broken}"


@compiled
def noise(manifold, x, key):
    return jax.vmap(manifold.tangent_noise)(x, jr.split(key, len(x)))


@compiled
def steps_up_to(manifold, x, key, fraction):
    """Tangent vectors at the points `x`, the first of length 0 and the last of
    `fraction` of the injectivity radius."""
    lengths = jnp.linspace(0.0, fraction * injectivity_radius(manifold), len(x))
    return jax.vmap(jnp.multiply)(lengths, directions(manifold, x, key))


@every_manifold
def test_the_contract(name, dtype, eps):
    manifold = MANIFOLDS[name]()
    # A radius near the injectivity radius, and a short one.
    for fraction in (0.9, 0.01):
        radius = fraction * float(injectivity_radius(manifold))
        # Sums of up to some dozens of products of numbers of up to about 10. Near the
        # ends of the longest steps the logarithm magnifies an error by
        # 1 / sinc(0.9 pi) = 9 on a sphere, and the metric by sinh(4) / 4 = 7 in
        # hyperbolic space.
        report = check_manifold(
            manifold, jr.key(1), radius=radius, n=N, tolerance=300 * eps
        )
        assert not report.skipped


SO4 = "import jax, jax.random as jr, rgen; m = rgen.SpecialOrthogonal(4); "
# It never ends where there are only two threads.
AT_ONCE = """
keys = jr.split(jr.key(0), 4096)
far = jax.vmap(lambda key: m.dist(m.origin, m.uniform(key)))
noise = lambda key: 0.1 * m.tangent_noise(m.origin, key)
grow = jax.vmap(lambda key: m.log_det_exp(m.origin, noise(key)))
jax.block_until_ready(jax.jit(lambda keys: (far(keys), grow(keys)))(keys))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("threads", "program"),
    [("2", "rgen.testing.check_manifold(m, jr.key(0), radius=0.5)"), ("8", AT_ONCE)],
    ids=["the checker with two threads", "the remedy of the sharp bits"],
)
def test_programs_end(threads, program):
    run = subprocess.run(
        [sys.executable, "-c", SO4 + program],
        env=os.environ
        | {"PJRT_NPROC": threads, "JAX_DISABLE_MOST_OPTIMIZATIONS": "true"},
        timeout=400,
    )
    assert run.returncode == 0


class TestProjections:
    @every_manifold
    def test_projection_is_to_the_nearest_point(self, name, dtype, eps):
        manifold = MANIFOLDS[name]()
        x = points(manifold, jr.key(0), N)
        # 0.05 in each entry is what five Newton-Schulz steps have to undo.
        ambient = x + 0.05 * jr.normal(jr.key(1), x.shape)
        contained, rest = projections(manifold, ambient)
        assert jnp.all(contained)
        if not isinstance(manifold, rgen.Torus | rgen.Product):
            # On the torus every array is a point, a turn away from its projection.
            assert_small({"the rest is normal": rest}, 50 * eps)


@compiled
def projections(manifold, ambient):
    def one(a):
        nearest = manifold.project(a)
        rest = manifold.to_tangent(nearest, a - nearest)
        return manifold.contains(nearest), rest

    return jax.vmap(one)(ambient)


class TestFrames:
    @every_manifold
    def test_tangent_noise_is_normal_in_the_frame(self, name):
        manifold, key = MANIFOLDS[name](), jr.key(3)
        x = points(manifold, jr.key(0), 1)[0]
        noise = manifold.tangent_noise(x, key)
        z = jr.normal(key, manifold.noise_shape)
        assert jnp.array_equal(noise, manifold.frame(x, z))

    @every_manifold
    def test_features_tell_points_apart(self, name, dtype):
        manifold = MANIFOLDS[name]()
        x = points(manifold, jr.key(0), N)
        u = steps_up_to(manifold, x, jr.key(1), 1.0)
        gap, r = feature_gaps(manifold, x, u)
        assert jnp.all(jnp.isfinite(gap))
        # A chord is at least 2 / pi of its arc, and the normal coordinates of points
        # within 4 of the origin of hyperbolic space shrink by up to sinh(4) / 4 = 7.
        is_hyperbolic = isinstance(manifold, rgen.Hyperbolic)
        least = 1 / 7 if is_hyperbolic else 2 / math.pi
        assert jnp.all(gap >= 0.99 * least * r)


def unit_images(linear, like):
    """The images of the unit vectors of the space of `like` under a linear map."""
    units = jnp.eye(like.size, dtype=like.dtype).reshape(like.size, *like.shape)
    return jax.vmap(linear)(units)


@compiled
def feature_gaps(manifold, x, u):
    def one(x, u):
        y = manifold.exp(x, u)
        gap = manifold.features(x) - manifold.features(y)
        return jnp.sqrt(jnp.sum(gap**2)), manifold.dist(x, y)

    return jax.vmap(one)(x, u)


class TestCalculus:
    @compact_manifolds
    def test_features_are_eigenfunctions_at_the_spectral_gap(self, name, dtype, eps):
        manifold = MANIFOLDS[name]()
        x = points(manifold, jr.key(0), N)
        is_product = isinstance(manifold, rgen.Product)
        factors = manifold.manifolds if is_product else [manifold]
        gaps = np.concatenate(
            [[m.spectral_gap] * len(m.features(m.origin)) for m in factors]
        )
        assert manifold.spectral_gap == gaps.min()
        features, laplacians = feature_laplacians(manifold, x)
        errors = laplacians + gaps * features
        assert_small({"eigenvalue": errors}, 100 * eps)


@compiled
def feature_laplacians(manifold, x):
    def one(x):
        features = manifold.features(x)

        def laplacian(e):
            f = lambda y: jnp.sum(e * manifold.features(y))
            return manifold.divergence(lambda y: manifold.gradient(f, y), x)

        return features, unit_images(laplacian, features)

    return jax.vmap(one)(x)


class TestUniform:
    @compact_manifolds
    def test_samples(self, name):
        manifold = MANIFOLDS[name]()
        x = points(manifold, jr.key(0), 20_000)
        contained, features = contained_and_features(manifold, x)
        assert jnp.all(contained)
        # All features are eigenfunctions, of mean zero.
        scores = features.mean(0) / features.std(0) * math.sqrt(len(x))
        bound = scipy.stats.norm.isf(LEVEL / 2 / len(scores))
        assert np.all(np.abs(scores) <= bound)

    @pytest.mark.parametrize(
        ("name", "cdf"),
        [
            ("Torus(2)", None),
            ("Sphere(1)", lambda r: r / math.pi),
            ("Sphere(2)", lambda r: (1 - np.cos(r)) / 2),
            ("Sphere(5)", lambda r: scipy.stats.beta.cdf(np.sin(r / 2) ** 2, 2.5, 2.5)),
            ("SO(2)", lambda r: r / math.pi),
            ("SO(3)", lambda r: (r - np.sin(r)) / math.pi),
        ],
    )
    def test_distribution_of_the_distance(self, name, cdf):
        manifold = MANIFOLDS[name]()
        x = points(manifold, jr.key(0), 20_000)
        if cdf is None:
            uniform = scipy.stats.uniform(-math.pi, 2 * math.pi).cdf
            for angles in np.asarray(x).T:
                assert scipy.stats.kstest(angles, uniform).pvalue > LEVEL
        else:
            r = np.asarray(distances_from_origin(manifold, x))
            assert scipy.stats.kstest(r, cdf).pvalue > LEVEL

    @compact_manifolds
    def test_share_of_a_ball_is_its_volume(self, name):
        """What `uniform`, `dist`, `log_det_exp` and `log_volume` say of one another."""
        manifold, n = MANIFOLDS[name](), 20_000
        radius = 0.9 * injectivity_radius(manifold)
        x = points(manifold, jr.key(0), n)
        inside = np.asarray(distances_from_origin(manifold, x)) < radius
        # The volume of the ball, by sampling tangent vectors from a flat ball.
        d = manifold.dim
        flat = math.pi ** (d / 2) / math.gamma(d / 2 + 1) * radius**d
        densities = np.asarray(ball_densities(manifold, jr.key(1), n, radius))
        shares = densities * flat / math.exp(manifold.log_volume)
        spread = math.hypot(inside.std(), shares.std()) / math.sqrt(n)
        gap = inside.mean() - shares.mean()
        assert inside.mean() > 0
        assert abs(gap) <= scipy.stats.norm.isf(LEVEL / 2) * spread


@compiled
def contained_and_features(manifold, x):
    return jax.vmap(manifold.contains)(x), jax.vmap(manifold.features)(x)


@compiled
def distances_from_origin(manifold, x):
    return jax.vmap(functools.partial(manifold.dist, manifold.origin))(x)


@functools.partial(compiled, static_argnums=(0, 2))
def ball_densities(manifold, key, n, radius):
    def one(key):
        direction_key, length_key = jr.split(key)
        v = manifold.tangent_noise(manifold.origin, direction_key)
        r = radius * jr.uniform(length_key) ** (1 / manifold.dim)
        v = r * v / manifold.norm(manifold.origin, v)
        return jnp.exp(manifold.log_det_exp(manifold.origin, v))

    return jax.vmap(one)(jr.split(key, n))


@pytest.mark.parametrize(
    ("name", "volume"),
    [
        ("Torus(2)", 4 * math.pi**2),
        ("Sphere(1)", 2 * math.pi),
        ("Sphere(2)", 4 * math.pi),
        ("Sphere(5)", math.pi**3),
        ("SO(2)", 2 * math.pi),
        ("SO(3)", 8 * math.pi**2),
        ("SO(4)", 16 * math.pi**4),
        ("Product", 32 * math.pi**3),
        ("Power", 64 * math.pi**3),
        ("Euclidean(3)", math.inf),
        ("Hyperbolic(2)", math.inf),
    ],
)
def test_volumes(name, volume):
    manifold = MANIFOLDS[name]()
    assert manifold.log_volume == pytest.approx(math.log(volume), rel=1e-14)
    assert manifold.compact == math.isfinite(volume)
    assert (manifold.spectral_gap > 0) == manifold.compact


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "laplacian"),
    [
        # Of half the squared distance r^2 / 2: 1 + (d - 1) r f'(r) / f(r) with the
        # circumference f of a circle of radius r.
        ("Euclidean(3)", lambda r: 3 + 0 * r),
        ("Torus(2)", lambda r: 2 + 0 * r),
        ("Sphere(2)", lambda r: 1 + r / np.tan(r)),
        ("Sphere(5)", lambda r: 1 + 4 * r / np.tan(r)),
        ("SO(3)", lambda r: 1 + 2 * (r / 2) / np.tan(r / 2)),
        ("Hyperbolic(2)", lambda r: 1 + r / np.tanh(r)),
    ],
)
def test_laplacian_of_the_half_squared_distance(name, laplacian):
    manifold = MANIFOLDS[name]()
    with jax.enable_x64(True):
        x = points(manifold, jr.key(0), N)
        u = directions(manifold, x, jr.key(1))
        r = jnp.linspace(1e-3, 2.0, N)
        # Logarithms magnify errors by up to r / sin(r) = 2, and twice differentiated.
        np.testing.assert_allclose(
            distance_laplacians(manifold, x, u, r), laplacian(np.asarray(r)), atol=1e-11
        )


@compiled
def distance_laplacians(manifold, x, u, r):
    def one(x, u, r):
        half_square = lambda y: manifold.inner(x, *[manifold.log(x, y)] * 2) / 2
        gradient = functools.partial(manifold.gradient, half_square)
        return manifold.divergence(gradient, manifold.exp(x, r * u))

    return jax.vmap(one)(x, u, r)


@pytest.mark.slow
def test_a_product_is_its_factors():
    factors = rgen.Sphere(2), rgen.SpecialOrthogonal(3)
    product = rgen.Product(*factors)
    x, y = points(product, jr.key(0), 2)
    v = noise(product, x[None], jr.key(1))[0]
    xs, ys, vs = product.split(x), product.split(y), product.split(v)
    assert [piece.shape for piece in xs] == [(3,), (3, 3)]
    assert jnp.array_equal(product.join(*xs), x)
    each = lambda method, *pieces: [
        getattr(m, method)(*args) for m, *args in zip(factors, *pieces, strict=True)
    ]
    joined = lambda pieces: jnp.concatenate([jnp.ravel(piece) for piece in pieces])
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    close(product.exp(x, v), joined(each("exp", xs, vs)))
    close(product.log(x, y), joined(each("log", xs, ys)))
    close(product.transport(x, y, v), joined(each("transport", xs, ys, vs)))
    close(product.dist(x, y) ** 2, sum(r**2 for r in each("dist", xs, ys)))
    close(product.inner(x, v, v), sum(each("inner", xs, vs, vs)))
    close(product.log_det_exp(x, v), sum(each("log_det_exp", xs, vs)))
    close(product.features(x), joined(each("features", xs)))
    assert product.dim == 5
    assert product.killing_size == 6
    assert product.spectral_gap == 2
    # A factor in which two points agree has no part in the slope of the distance.
    moved = product.join(xs[0], ys[1])
    slope = product.split(product.gradient(lambda p: product.dist(p, x), moved))
    assert not jnp.any(slope[0])
    close(factors[1].norm(ys[1], slope[1]), 1)


def test_a_power_is_a_product_of_equal_factors():
    power, product = rgen.Power(rgen.Sphere(2), 3), rgen.Product(*[rgen.Sphere(2)] * 3)
    x, y = points(power, jr.key(0), 2)
    v, w = noise(power, jnp.stack([x, x]), jr.key(1))
    z, a = jr.normal(jr.key(2), (3, 3)), jr.normal(jr.key(3), (power.killing_size,))
    for value, expected in zip(
        everything(power, x, y, v, w, z, a),
        everything(product, *map(jnp.ravel, (x, y, v, w, z, a))),
        strict=True,
    ):
        value = value.reshape(expected.shape)
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
    for fact in ("dim", "log_volume", "spectral_gap", "killing_size"):
        assert getattr(power, fact) == pytest.approx(getattr(product, fact), rel=1e-14)


@compiled
def everything(m, x, y, v, w, z, a):
    return (
        m.exp(x, v),
        m.log(x, y),
        m.dist(x, y),
        m.inner(x, v, w),
        m.project(1.1 * x),
        m.to_tangent(x, y),
        m.transport(x, y, v),
        m.contains(x),
        m.frame(x, z),
        m.basis(x),
        m.killing(x, a),
        m.features(x),
        m.log_det_exp(x, v),
        m.gradient(lambda p: jnp.sum(m.features(p) ** 3), x),
        m.origin,
    )


@every_manifold
def test_the_dtype_is_that_of_the_point(name):
    """Also of float32 points where float64 is the default."""
    manifold = MANIFOLDS[name]()
    with jax.enable_x64(True):
        x = jnp.zeros(manifold.point_shape, jnp.float32)
        z = jnp.zeros(manifold.noise_shape, jnp.float32)
        a = jnp.zeros(manifold.killing_size, jnp.float32)
        everything_at = functools.partial(everything.__wrapped__, manifold)
        results = jax.eval_shape(everything_at, x, x, x, x, z, a)
    *arrays, _ = results
    dtypes = {array.dtype for array in arrays}
    assert dtypes == {jnp.dtype(jnp.float32), jnp.dtype(bool)}
