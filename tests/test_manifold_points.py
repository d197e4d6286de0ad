"""Manifolds at their special points: at and near a zero step, a pair of equal points
and the cut locus; and the errors that bad input gives."""

import functools
import math

import jax
import jax.numpy as jnp
import jax.random as jr
import mpmath
import numpy as np
import pytest
import scipy.linalg
from helpers import MANIFOLDS, directions, every_manifold, points

import rgen


N = 16

# Where the cut locus is one distance away in every direction, pi.
at_pi = pytest.mark.parametrize(
    "name", ["Sphere(1)", "Sphere(2)", "Sphere(5)", "SO(2)", "SO(3)"]
)

compiled = functools.partial(jax.jit, static_argnums=0)


def mapped(f):
    """Compiles `f(manifold, *arrays)`, mapped over the arrays."""
    return compiled(lambda m, *arrays: jax.vmap(functools.partial(f, m))(*arrays))


@mapped
def at_coincidence(m, x, u):
    """What is known at `v = 0` and `y = x`, less what it should be, with the slopes
    along `u`, and the second derivative of log det along `u`."""
    zero = jnp.zeros_like(x)
    derivative = lambda f, at: jax.jvp(f, (at,), (u,))
    exp, exp_slope = derivative(lambda v: m.exp(x, v), zero)
    log, log_slope = derivative(lambda y: m.log(x, y), x)
    from_x, from_x_slope = derivative(lambda y: m.log(y, x), x)
    half_square = lambda y: m.inner(x, m.log(x, y), m.log(x, y)) / 2
    hessian = m.covariant_derivative(lambda y: m.gradient(half_square, y), x, u)
    along = lambda s: m.log_det_exp(x, s * u)
    one, nought = jnp.ones((), x.dtype), jnp.zeros((), x.dtype)
    bend, slope = jax.jvp(jax.grad(along), (nought,), (one,)), along(nought)
    field = lambda y: m.transport(x, y, u)
    errors = {
        "exp": exp - x,
        "slope of exp": exp_slope - u,
        "log": log,
        "slope of log": log_slope - u,
        "log from x": from_x,
        "slope of log from x": from_x_slope + u,
        "dist": m.dist(x, x),
        "gradient of dist": m.gradient(lambda y: m.dist(x, y), x),
        "norm": m.norm(x, zero),
        "gradient of norm": jax.grad(lambda v: m.norm(x, v))(zero),
        "Hessian of the half squared distance": hessian - u,
        "transport": m.transport(x, x, u) - u,
        "slope of transport": m.covariant_derivative(field, x, u),
        "log_det_exp": slope,
        "gradient of log_det_exp": bend[0],
    }
    second = jax.jvp(
        lambda v: jax.jvp(lambda w: m.exp(x, w), (v,), (u,))[1], (zero,), (u,)
    )
    return errors, bend[1], second[1]


def ricci(manifold, u):
    """Ric(u, u) for a unit vector `u` at a point of an irreducible manifold."""
    if isinstance(manifold, rgen.Sphere):
        return manifold.dim - 1
    if isinstance(manifold, rgen.Hyperbolic):
        return 1 - manifold.dim
    if isinstance(manifold, rgen.SpecialOrthogonal):
        return (manifold.n - 2) / 2
    return 0


@every_manifold
def test_zero_step_and_equal_points(name, dtype, eps):
    manifold = MANIFOLDS[name]()
    x = points(manifold, jr.key(0), N)
    u = directions(manifold, x, jr.key(1))
    errors, bend, acceleration = at_coincidence(manifold, x, u)
    for identity, error in errors.items():
        # Some dozens of roundings. Points are as large as 2 and metrics as 4.
        assert jnp.max(jnp.abs(error)) <= 100 * eps, identity
    assert jnp.all(jnp.isfinite(acceleration))
    if not isinstance(manifold, rgen.Product | rgen.Power):
        # log det d(exp_x)_v = -Ric(v, v) / 6 + O(|v|^4).
        np.testing.assert_allclose(bend, -ricci(manifold, u) / 3, atol=100 * eps)


@mapped
def near_errors(m, x, u, r):
    y = m.exp(x, r * u)
    gradient = jax.grad(lambda s: m.dist(x, m.exp(x, s * u)))(r)
    return m.dist(x, y) - r, m.norm(x, m.log(x, y) - r * u), gradient, r


@every_manifold
def test_tiny_distances(name, dtype, eps):
    manifold = MANIFOLDS[name]()
    x = points(manifold, jr.key(0), N)
    u = directions(manifold, x, jr.key(1))
    # One compilation, and so one test, for all distances.
    for r in [1e-8, 1e-6, 1e-4, 1e-3]:
        dist, log, gradient, _ = near_errors(manifold, x, u, jnp.full(N, r))
        # As near as the coordinates of y, of up to 4, are rounded.
        assert jnp.max(jnp.abs(dist)) <= 100 * eps, r
        assert jnp.max(log) <= 100 * eps, r
        assert jnp.all(jnp.isfinite(gradient)), r
        # The direction of log is as good as eps / r, and the slope is the cosine of
        # its error. Where r is not far above eps there is nothing left of it.
        bound = 100 * eps + (16 * eps / r) ** 2 / 2
        assert jnp.all(jnp.abs(gradient - 1) <= bound) or r < 16 * eps, r


@pytest.mark.parametrize("name", ["Euclidean(3)", "Torus(2)", "SO(3)"])
def test_tiny_distances_from_the_origin_are_relatively_accurate(name, dtype, eps):
    # There no coordinate rounds to more than its own relative error.
    manifold = MANIFOLDS[name]()
    x = jnp.broadcast_to(manifold.origin, (N, *manifold.point_shape))
    u = directions(manifold, x, jr.key(1))
    for r in [1e-8, 1e-6, 1e-4, 1e-3]:
        dist, log, gradient, _ = near_errors(manifold, x, u, jnp.full(N, r))
        assert jnp.max(jnp.abs(dist)) <= 30 * eps * r, r
        assert jnp.max(log) <= 30 * eps * r, r
        assert jnp.max(jnp.abs(gradient - 1)) <= 30 * eps, r


@mapped
def cut_errors(m, x, u, r):
    """Near the cut locus at distance pi, `r` away along `u`."""
    step = lambda s: m.exp(x, s * u)
    y = step(r)
    log, moved = m.log(x, y), m.transport(x, y, u)
    along = jax.grad(lambda s: m.dist(x, step(s)))(r)
    errors = {
        "dist": m.dist(x, y) - r,
        "length of log": m.norm(x, log) - r,
        "log ends in y": m.dist(m.exp(x, log), y),
        "log is tangent": m.to_tangent(x, log) - log,
        "transport is isometric": m.norm(y, moved) - 1,
        "transport is tangent": m.to_tangent(y, moved) - moved,
    }
    slopes = jax.jacfwd(lambda y: m.log(x, y))(y), m.gradient(lambda y: m.dist(x, y), y)
    return errors, along, slopes


@pytest.mark.parametrize("n", [2, 3, 4])
def test_a_uniform_rotation_from_a_batch_of_one(n):
    """XLA computed the sign of a determinant anew between two writes to its matrix."""
    rotations = rgen.SpecialOrthogonal(n)
    draw = jax.jit(lambda key: jax.vmap(rotations.uniform)(jr.split(key, 1))[0])
    x = jnp.stack([draw(key) for key in jr.split(jr.key(0), 20)])
    products = jnp.swapaxes(x, 1, 2) @ x
    np.testing.assert_allclose(products - jnp.eye(n), 0, atol=1e-5)
    np.testing.assert_allclose(jnp.linalg.det(x), 1, atol=1e-5)


@pytest.mark.slow
@at_pi
def test_near_the_cut_locus(name, dtype, eps):
    manifold = MANIFOLDS[name]()
    x = points(manifold, jr.key(0), N)
    u = directions(manifold, x, jr.key(1))
    for gap in [0.0, 1e-6, 1e-3, 1e-1]:
        errors, along, slopes = cut_errors(manifold, x, u, jnp.full(N, math.pi - gap))
        for identity, error in errors.items():
            assert jnp.max(jnp.abs(error)) <= 100 * eps, (identity, gap)
        assert all(jnp.all(jnp.isfinite(slope)) for slope in slopes), gap
        # The direction to a point at this distance of the cut locus is as good as
        # eps / gap, and the slope is its cosine. At the locus it has no direction.
        bound = 100 * eps + (8 * eps / gap) ** 2 / 2 if gap > 0 else math.inf
        assert jnp.max(jnp.abs(along - 1)) <= bound, gap


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 0.0])
def test_gradient_of_a_rotation_angle_near_pi(dtype, eps, gap):
    manifold = rgen.SpecialOrthogonal(3)
    x = points(manifold, jr.key(0), N)
    u = directions(manifold, x, jr.key(1))
    _, along, _ = cut_errors(manifold, x, u, jnp.full(N, math.pi - gap))
    # On either side of the cut locus the distance grows or falls at unit speed.
    np.testing.assert_allclose(jnp.abs(along), 1, atol=100 * eps)
    if gap > 100 * eps:
        assert jnp.all(along > 0)


@pytest.mark.parametrize(
    "gap", [0, 1e-12, 1e-9, 1e-6, 1e-4, 1e-3, 1e-2, 0.1, 1.0, math.pi - 1e-3]
)
def test_rotations_by_known_angles(dtype, eps, gap):
    """Against matrices computed in 40 digits, and rounded once."""
    manifold = rgen.SpecialOrthogonal(3)
    axes = np.random.default_rng(0).normal(size=(N, 3))
    axes = np.concatenate([axes, np.eye(3)])
    with mpmath.workdps(40):
        angle = mpmath.pi - mpmath.mpf(gap)
        matrices = jnp.asarray([rotation(axis, angle) for axis in axes], dtype)
    units = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    origin = jnp.broadcast_to(manifold.origin, matrices.shape)
    dist, log = distances_and_logs(manifold, origin, matrices)
    # Rounding the matrix turns it by up to about 2 eps, which may carry it over the
    # cut locus.
    np.testing.assert_allclose(dist, float(angle), atol=4 * eps)
    wanted = float(angle) * np.array([hat(unit) for unit in units])
    error = np.abs(log - wanted).max((1, 2))
    over = np.abs(log + wanted).max((1, 2))
    assert np.all((error <= 20 * eps) | ((gap <= 4 * eps) & (over <= 20 * eps)))


@mapped
def distances_and_logs(m, x, y):
    return m.dist(x, y), m.log(x, y)


def hat(a):
    return np.array([[0, -a[2], a[1]], [a[2], 0, -a[0]], [-a[1], a[0], 0]])


def rotation(axis, angle):
    axis = mpmath.matrix([mpmath.mpf(float(entry)) for entry in axis])
    axis = axis / mpmath.norm(axis)
    a, b, c = axis
    k = mpmath.matrix([[0, -c, b], [c, 0, -a], [-b, a, 0]])
    r = mpmath.eye(3) + mpmath.sin(angle) * k + (1 - mpmath.cos(angle)) * k * k
    return [[float(r[i, j]) for j in range(3)] for i in range(3)]


@pytest.mark.slow
@pytest.mark.parametrize("gap", [1e-2, 1e-1])
def test_logarithm_of_a_matrix_near_the_cut_locus(dtype, eps, gap):
    manifold = rgen.SpecialOrthogonal(4)
    x = points(manifold, jr.key(0), N)
    skew = jnp.zeros((4, 4)).at[0, 1].set(1.0)
    u = x @ (skew - skew.T)
    errors, along, slopes = cut_errors(manifold, x, u, jnp.full(N, math.pi - gap))
    for identity, error in errors.items():
        # The smallest singular value of I + R is about the gap.
        assert jnp.max(jnp.abs(error)) <= 100 * eps / gap, identity
    # The derivative of the orthogonal factor divides by that singular value once more.
    assert jnp.max(jnp.abs(along - 1)) <= 20 * eps / gap**2
    assert all(jnp.all(jnp.isfinite(slope)) for slope in slopes)


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 3, 4, 10])
def test_projection_from_far_off(n, dtype, eps):
    """As a trial step of a solver may be: of a multiple to the rotation, of a matrix
    of large entries to something finite, so that the next trial starts from a number.
    """
    manifold = rgen.SpecialOrthogonal(n)
    x = points(manifold, jr.key(0), N)
    project = jax.jit(jax.vmap(manifold.project))
    for scale in (1e-3, 2.0, 1e3):
        np.testing.assert_allclose(project(scale * x), x, atol=50 * eps)
        noisy = x + scale * jr.normal(jr.key(1), x.shape)
        assert jnp.all(jnp.isfinite(project(noisy)))


@pytest.mark.parametrize("gap", [0.0, 1e-6, 1e-3])
def test_opposite_angles_on_the_torus(dtype, eps, gap):
    manifold = rgen.Torus(2)
    x = points(manifold, jr.key(0), N)
    u = jnp.broadcast_to(jnp.array([1.0, 0.0]), x.shape)
    errors, along, slopes = cut_errors(manifold, x, u, jnp.full(N, math.pi - gap))
    for identity, error in errors.items():
        assert jnp.max(jnp.abs(error)) <= 10 * eps, identity
    np.testing.assert_allclose(jnp.abs(along), 1, atol=10 * eps)
    assert gap == 0 or jnp.all(along > 0)
    assert all(jnp.all(jnp.isfinite(slope)) for slope in slopes)


@pytest.mark.slow
def test_exact_antipodes(dtype, eps):
    """Points that are opposite to the last bit, and half turns that are symmetric."""
    sphere, rotations = rgen.Sphere(2), rgen.SpecialOrthogonal(3)
    x = points(sphere, jr.key(0), N)
    half_turns = 2 * x[:, :, None] * x[:, None, :] - jnp.eye(3)
    origin = jnp.broadcast_to(rotations.origin, half_turns.shape)
    for manifold, a, b in [(sphere, x, -x), (rotations, origin, half_turns)]:
        dist, log = distances_and_logs(manifold, a, b)
        np.testing.assert_allclose(dist, math.pi, atol=4 * eps)
        errors, _, slopes = cut_errors(manifold, a, log / dist[0], dist)
        for identity, error in errors.items():
            assert jnp.max(jnp.abs(error)) <= 50 * eps, identity
        assert all(jnp.all(jnp.isfinite(slope)) for slope in slopes)


@pytest.mark.slow
@pytest.mark.parametrize("n", [4, 5, 6])
def test_logarithms_on_the_cut_locus_of_rotations(n, dtype, eps):
    """Of rotations by known angles: at and near pi, near one another, and zero."""
    manifold, rng = rgen.SpecialOrthogonal(n), np.random.default_rng(0)
    near = [math.pi, math.pi - 1e-9, math.pi - 1e-6, math.pi - 1e-3, math.pi - 0.05]
    choices = [*near, 1.0, 1.0 + 1e-7, 0.0, 2.5]
    angles = rng.choice(choices, size=(48, n // 2))
    angles[0], angles[1] = math.pi, [math.pi] + [0.0] * (n // 2 - 1)
    frames = np.linalg.qr(rng.normal(size=(48, n, n)))[0]
    # Along the axes, too: -I, and diag(-1, -1, 1, 1).
    frames[:2] = np.eye(n)
    generators = np.zeros((48, n, n))
    for i in range(n // 2):
        generators[:, 2 * i + 1, 2 * i] = angles[:, i]
    generators = generators - generators.swapaxes(1, 2)
    turns = np.array([scipy.linalg.expm(g) for g in generators])
    x = np.asarray(points(manifold, jr.key(0), 48), float)
    x = np.linalg.qr(x)[0] * np.sign(np.sum(np.linalg.qr(x)[0] * x, 1, keepdims=True))
    y = x @ frames @ turns @ frames.swapaxes(1, 2)
    x, y = jnp.asarray(x, dtype), jnp.asarray(y, dtype)
    dist, end, slopes = cut_locus_of_rotations(manifold, x, y)
    # Matrices of size 6 are rounded twice here, and multiplied some thirty times.
    wanted = np.sqrt((angles**2).sum(1))
    np.testing.assert_allclose(dist, wanted, atol=100 * eps)
    np.testing.assert_allclose(end, y, atol=100 * eps)
    assert all(jnp.all(jnp.isfinite(slope)) for slope in slopes)


@mapped
def cut_locus_of_rotations(m, x, y):
    slopes = jax.grad(m.dist, 1)(x, y), jax.jacfwd(m.log, 1)(x, y)
    return m.dist(x, y), m.exp(x, m.log(x, y)), slopes


def test_derivatives_of_the_sphere_at_its_closest_points():
    """In float32, where the square of the distance underflows or nearly does."""
    sphere = rgen.Sphere(2)
    x = jnp.array([0.0, 0.0, 1.0])

    @jax.jit
    @jax.vmap
    def at(h):
        near, far = x + h * jnp.eye(3)[0], -x + h * jnp.eye(3)[0]
        moved = lambda x: sphere.transport(x, far, jnp.eye(3)[1])
        return jax.jacfwd(moved)(x), sphere.divergence(lambda y: sphere.log(x, y), near)

    slopes, divergence = at(jnp.array([1e-8, 1e-10, 1e-16, 1e-20, 0.0]))
    assert jnp.all(jnp.isfinite(slopes))
    # The Laplacian of half the squared distance is the dimension there.
    np.testing.assert_allclose(divergence, 2, rtol=1e-6)


@mapped
def with_nan(m, x, y, v):
    broken = x * jnp.nan
    return {
        "exp": m.exp(broken, v),
        "exp along NaN": m.exp(x, v * jnp.nan),
        "log": m.log(broken, y),
        "log to NaN": m.log(x, broken),
        "dist": m.dist(broken, y),
        "transport": m.transport(x, y, v * jnp.nan),
        "project": m.project(broken),
        "inner": m.inner(x, v * jnp.nan, v),
        "norm": m.norm(x, v * jnp.nan),
        "features": m.features(broken),
    }, m.contains(broken)


@every_manifold
def test_nan_in_nan_out(name):
    manifold = MANIFOLDS[name]()
    x = points(manifold, jr.key(0), N)
    u = directions(manifold, x, jr.key(1))
    results, contained = with_nan(manifold, x, x, u)
    for method, value in results.items():
        assert jnp.all(jnp.any(jnp.isnan(value.reshape(N, -1)), axis=1)), method
    assert not jnp.any(contained)


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("Sphere(2)", 100_000),
        ("Torus(2)", 100_000),
        ("SO(3)", 100_000),
        ("SO(4)", 5000),
    ],
)
def test_a_long_walk_stays_on_the_manifold(name, steps):
    manifold = MANIFOLDS[name]()

    @jax.jit
    def walk(key):
        def step(x, key):
            return manifold.exp(x, manifold.tangent_noise(x, key) / 10), None

        return jax.lax.scan(step, manifold.origin, jr.split(key, steps))[0]

    end = walk(jr.key(0))
    assert end.dtype == jnp.float32
    assert manifold.contains(end, 1e-5)
    assert manifold.dist(end, manifold.project(end)) <= 1e-5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rgen.Euclidean(0), "Euclidean: expected `dim` of at least 1, got 0"),
        (lambda: rgen.Torus(0), "Torus: expected `dim` of at least 1, got 0"),
        (lambda: rgen.Sphere(0), "Sphere: expected `dim` of at least 1, got 0"),
        (lambda: rgen.Sphere(-2), "Sphere: expected `dim` of at least 1, got -2"),
        (lambda: rgen.Hyperbolic(1), "Hyperbolic: expected `dim` of at least 2, got 1"),
        (lambda: rgen.SpecialOrthogonal(1), "expected `n` of at least 2, got 1"),
        (lambda: rgen.Power(rgen.Sphere(2), 0), "Power: expected `n` of at least 1"),
        (lambda: rgen.Product(), "Product: expected at least one manifold, got none"),
        (lambda: rgen.Euclidean(2).uniform(jr.key(0)), "is not compact"),
        (lambda: rgen.Hyperbolic(2).uniform(jr.key(0)), "rgen.WrappedNormal"),
        (
            lambda: rgen.Power(rgen.Euclidean(2), 3).uniform(jr.key(0)),
            "is not compact, so it has no uniform distribution",
        ),
        (
            lambda: rgen.Product(rgen.Sphere(2), rgen.Euclidean(1)).uniform(jr.key(0)),
            "is not compact, so it has no uniform distribution",
        ),
        (lambda: rgen.Uniform(rgen.Hyperbolic(2)), "expected `manifold` to be compact"),
        (
            lambda: rgen.Brownian(rgen.Euclidean(2), rgen.LinearSchedule()),
            "Brownian: expected a compact `manifold`, got Euclidean.*Langevin",
        ),
        (
            lambda: rgen.ConstantSchedule(t0=1.0, t1=1.0),
            "ConstantSchedule: expected `t0` before `t1`, both finite, got t0=1.0 "
            "and t1=1.0",
        ),
        (lambda: rgen.LinearSchedule(t0=2.0), "LinearSchedule: expected `t0` before"),
        (lambda: rgen.LogUniformSchedule(0.0, 1.0), "expected 0 < `v_min` < `v_max`"),
        (lambda: rgen.LogUniformSchedule(2.0, 1.0), "got v_min=2.0 and v_max=1.0"),
        (
            lambda: rgen.Brownian(
                rgen.Sphere(2), rgen.LinearSchedule()
            ).stratified_times(jr.key(0), 0),
            "expected `n` of at least 1, got 0",
        ),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_split_and_join_check_shapes():
    manifold = rgen.Product(rgen.Sphere(2), rgen.SpecialOrthogonal(3))
    with pytest.raises(ValueError, match=r"expected `x` to have shape \(12,\), got"):
        manifold.split(jnp.zeros(11))
    with pytest.raises(ValueError, match=r"to have shape \(3, 3\), got \(9,\)"):
        manifold.join(jnp.zeros(3), jnp.zeros(9))
    with pytest.raises(ValueError, match=r"\b2\b.*\b1\b|argument"):
        manifold.join(jnp.zeros(3))


@pytest.mark.parametrize("make", [lambda: rgen.Sphere(2.5), lambda: rgen.Torus("2")])
def test_a_dimension_is_an_integer(make):
    with pytest.raises(TypeError, match="dim"):
        make()


def test_manifolds_hash_and_compare():
    for make in MANIFOLDS.values():
        assert make() == make()
        assert hash(make()) == hash(make())
        assert not jax.tree.leaves(make())
    assert len({make() for make in MANIFOLDS.values()}) == len(MANIFOLDS)
