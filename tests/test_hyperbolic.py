"""Hyperbolic space and its heat kernels, against 60-digit arithmetic."""

import functools
import math

import jax
import jax.numpy as jnp
import jax.random as jr
import mpmath as mp
import numpy as np
import pytest

import rgen
from rgen import Hyperbolic, HyperbolicHeatKernel, heat_kernel


mp.mp.dps = 60

DTYPES = [jnp.float32, jnp.float64]
# How far out the geometry is promised: where rounding a point moves it by 0.001 in
# float32 and by 1e-6 in float64.
REACH = {jnp.float32: 10.0, jnp.float64: 25.0}


def precision(dtype):
    return jax.enable_x64(dtype == jnp.float64)


def epsilon(dtype):
    return float(jnp.finfo(dtype).eps)


# The oracle: on the hyperboloid, in plain lists of mpmath numbers.


def exact(a):
    return [mp.mpf(float(entry)) for entry in a]


def dot(a, b):
    return mp.fsum(p * q for p, q in zip(a, b, strict=True))


def lift(x):
    r = mp.sqrt(dot(x, x))
    return [mp.cosh(r)] + [mp.sinh(r) / r * p if r else p for p in x]


def lorentz(a, b):
    return dot(a[1:], b[1:]) - a[0] * b[0]


def boost(x, h):
    """The translation from the origin to `x`, as a Lorentz transformation of `h`."""
    r = mp.sqrt(dot(x, x))
    if not r:
        return h
    n = [p / r for p in x]
    along = dot(n, h[1:])
    gain = mp.sinh(r) * h[0] + (mp.cosh(r) - 1) * along
    time = mp.cosh(r) * h[0] + mp.sinh(r) * along
    return [time] + [p + gain * q for p, q in zip(h[1:], n, strict=True)]


def coefficients(x, v):
    r = mp.sqrt(dot(x, x))
    if not r:
        return v
    along = dot(x, v) / r**2
    stretch = mp.sinh(r) / r
    across = [q - along * p for p, q in zip(x, v, strict=True)]
    return [along * p + stretch * q for p, q in zip(x, across, strict=True)]


def distance(h, k):
    """Between points of the hyperboloid, from their difference: no cancellation."""
    gap = [p - q for p, q in zip(h, k, strict=True)]
    return 2 * mp.asinh(mp.sqrt(max(lorentz(gap, gap), 0)) / 2)


def exact_exp(x, v):
    return boost(x, lift(coefficients(x, v)))


def exact_transport(x, y, v):
    """The coefficients at `y`."""
    here, there = lift(x), lift(y)
    h = boost(x, [mp.mpf(0), *coefficients(x, v)])
    factor = lorentz(there, h) / (1 - lorentz(here, there))
    moved = [p + factor * (q + s) for p, q, s in zip(h, here, there, strict=True)]
    return boost([-p for p in y], moved)[1:]


def length(a):
    return float(mp.sqrt(dot(a, a)))


def pairs(dim, dtype):
    """Points at every scale from the origin to the reach, and partners of theirs:
    anywhere, near, on the same ray, opposite, beside the origin, equal."""
    rng = np.random.default_rng(dim)
    reach = REACH[dtype]

    def at(r):
        u = rng.normal(size=dim)
        return r * u / np.linalg.norm(u)

    x, y = [], []
    for _ in range(8):
        a = at(reach * rng.uniform())
        tiny = at(10 ** rng.uniform(-6, 0))
        x += [a, a, a, a, tiny, a, np.zeros(dim), a]
        y += [
            at(reach * rng.uniform()),
            a + tiny,
            a * rng.uniform(),
            -a * rng.uniform(),
        ]
        y += [at(10 ** rng.uniform(-6, 0)), tiny, a, a]
    return jnp.array(np.array(x), dtype), jnp.array(np.array(y), dtype)


# Errors below are in units of what one rounding of the input costs, with an allowance
# of 8 such units for the dozen of operations in a row.
ROUNDINGS = 8


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_dist_and_log_against_mpmath(dim, dtype):
    with precision(dtype):
        m = Hyperbolic(dim)
        x, y = pairs(dim, dtype)
        d = jax.jit(jax.vmap(m.dist))(x, y)
        norm = jax.jit(jax.vmap(lambda x, y: m.norm(x, m.log(x, y))))(x, y)
        eps = epsilon(dtype)
        for i in range(len(x)):
            truth = float(distance(lift(exact(x[i])), lift(exact(y[i]))))
            far = length(exact(x[i]))
            # Whatever is far from what, the distance is relatively accurate, except
            # where x and y are large and opposite or on one ray: there, the rounding of
            # their directions counts.
            farther = max(far, length(exact(y[i])))
            assert abs(float(d[i]) - truth) <= ROUNDINGS * eps * max(
                truth, min(math.sinh(farther), truth * math.sinh(farther))
            )
            assert abs(float(norm[i]) - truth) <= ROUNDINGS * eps * (
                truth * (1 + math.sinh(far)) + math.sinh(farther)
            )


@pytest.mark.parametrize("dtype", DTYPES)
def test_dist_of_near_points_is_relatively_accurate(dtype):
    # Scores at small times divide by it: it is not enough that the absolute error is
    # that of rounding the points.
    with precision(dtype):
        m = Hyperbolic(3)
        eps = epsilon(dtype)
        x = jr.normal(jr.key(0), (32, 3), dtype)
        x = x * (jnp.linspace(0.1, REACH[dtype], 32) / jnp.linalg.norm(x, axis=1))[
            :, None
        ].astype(dtype)
        y = x + 100 * eps * jr.normal(jr.key(1), (32, 3), dtype)
        d = jax.jit(jax.vmap(m.dist))(x, y)
        for i in range(len(x)):
            truth = distance(lift(exact(x[i])), lift(exact(y[i])))
            assert abs(float(d[i]) / float(truth) - 1) <= 2 * ROUNDINGS * eps


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_and_transport_against_mpmath(dim, dtype):
    with precision(dtype):
        m = Hyperbolic(dim)
        x, y = pairs(dim, dtype)
        v = jax.jit(jax.vmap(m.frame))(x, 0.5 * y)
        moved = jax.jit(jax.vmap(m.exp))(x, v)
        carried = jax.jit(jax.vmap(m.transport))(x, y, v)
        eps = epsilon(dtype)
        for i in range(len(x)):
            a, b, w = exact(x[i]), exact(y[i]), exact(v[i])
            here, size = length(a), length(coefficients(a, w))
            truth = exact_exp(a, w)
            error = float(distance(lift(exact(moved[i])), truth))
            # Rounding x moves the start by eps sinh(r), rounding v turns the geodesic,
            # and they spread as exp(|v|). Rounding the result costs the last term.
            spread = (1 + math.sinh(here)) * (1 + size) * math.exp(size)
            bound = spread + math.sinh(float(mp.acosh(truth[0])))
            assert error <= ROUNDINGS * eps * bound
            image = coefficients(b, exact(carried[i]))
            gap = [p - q for p, q in zip(image, exact_transport(a, b, w), strict=True)]
            cost = 1 + math.sinh(here) + math.sinh(length(b))
            assert length(gap) <= ROUNDINGS * eps * cost * size


def test_metric_is_that_of_the_hyperboloid():
    with jax.enable_x64(True):
        m = Hyperbolic(3)
        x = jr.normal(jr.key(0), (32, 3)) * jnp.linspace(0, 3, 32)[:, None]
        u, v = jr.normal(jr.key(1), (2, 32, 3))
        push = lambda x, v: jax.jvp(m.to_hyperboloid, (x,), (v,))[1]
        a, b = jax.vmap(push)(x, u), jax.vmap(push)(x, v)
        truth = jnp.sum(a[:, 1:] * b[:, 1:], 1) - a[:, 0] * b[:, 0]
        scale = jnp.sum(a * a, 1) + jnp.sum(b * b, 1)  # of what cancels
        inner = jax.vmap(m.inner)(x, u, v)
        assert jnp.all(jnp.abs(inner - truth) <= 32 * epsilon(x.dtype) * scale)


@pytest.mark.parametrize("dtype", DTYPES)
def test_basis_is_orthonormal(dtype):
    with precision(dtype):
        m = Hyperbolic(3)
        x = jnp.array([[0.0, 0, 0], [1e-5, 0, 0], [0.5, -0.5, 1], [3, 4, 0]], dtype)
        gram = lambda x, b: jax.vmap(lambda e: jax.vmap(lambda f: m.inner(x, e, f))(b))(
            b
        )
        grams = jax.vmap(lambda x: gram(x, m.basis(x)))(x)
        # Rounding an entry of the basis changes its length by eps sinh(r) / r.
        bound = 8 * epsilon(dtype) * math.sinh(5) / 5
        assert jnp.max(jnp.abs(grams - jnp.eye(3))) <= bound


SINGULAR = [(0.0, 0.0), (1e-4, 0.0), (0.6, -0.8), (3.0, 4.0)]


@pytest.mark.slow
@pytest.mark.parametrize("x", SINGULAR)
def test_derivatives_where_vectors_vanish(x):
    # d exp_x is the identity at v = 0, d log_x the identity at y = x, and the second
    # derivative of s -> exp_x(s v) at 0 is minus the Christoffel symbols.
    with jax.enable_x64(True):
        m = Hyperbolic(2)
        x = jnp.array(x)
        v = m.frame(x, jnp.array([0.3, -0.7]))
        zero = jnp.zeros(2)
        # sinh(5) / 5 is the spread of the entries of the metric at the farthest x.
        tol = 100 * epsilon(x.dtype) * (math.sinh(5) / 5) ** 2
        same = lambda a, b: np.testing.assert_allclose(a, b, atol=tol, rtol=0)
        same(jax.jacobian(m.exp, 1)(x, zero), jnp.eye(2))
        same(jax.jacobian(m.exp, 0)(x, zero), jnp.eye(2))
        same(jax.jacobian(m.log, 1)(x, x), jnp.eye(2))
        same(jax.jacobian(m.log, 0)(x, x), -jnp.eye(2))
        same(jax.grad(m.dist, 1)(x, x), zero)
        same(jax.jacobian(m.transport, 2)(x, x, zero), jnp.eye(2))
        path = lambda s: m.exp(x, s * v)
        bend = jax.jacfwd(jax.jacfwd(path))(jnp.array(0.0))
        constant = lambda y: v
        same(bend, -m.covariant_derivative(constant, x, v))


@pytest.mark.slow
def test_third_derivatives_are_continuous():
    # From the singular point to one beside it, at a distance 1e-5: the change is that
    # distance times a fourth derivative, which for these points is under 1000.
    with jax.enable_x64(True):
        m = Hyperbolic(2)
        points = [
            ((0.0, 0.0), (0.3, 0.4)),
            ((1.5, 0.3), (0.0, 0.0)),
            ((0.0, 0.0), (0.0, 0.0)),
            ((0.0, 0.0), (3.0, 4.0)),
            ((3.0, 0.3), (0.0, 0.0)),
            ((2.0, 1.0), (-2.0, -1.0)),
            ((3.0, 0.0), (-2.5, 0.0)),
            ((2.0, 1.0), (2.0, 1.0)),
        ]
        x, z = jnp.moveaxis(jnp.array(points), 1, 0)

        def third(x, z):
            along = lambda f: lambda *at: jax.jvp(f, at, directions)[1]
            directions = jnp.array([0.6, -0.8]), jnp.array([0.3, 0.5])
            return along(along(along(lambda x, z: m.exp(x, m.frame(x, z)))))(x, z)

        third = jax.jit(jax.vmap(third))
        beside = jnp.array([6e-6, 8e-6])
        a, b = third(x, z), third(x + beside, z - beside[::-1])
        assert jnp.max(jnp.abs(a - b)) < 1e-2
        assert jnp.all(jnp.max(jnp.abs(b), 1) > 0.01)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
def test_laplacian_of_the_distance(dtype):
    # div grad(d^2 / 2) = 1 + (dim - 1) d coth(d), of which d alone shows in the norm.
    with precision(dtype):
        m = Hyperbolic(3)
        centre = jnp.array([0.3, -0.2, 0.1], dtype)
        x = jr.normal(jr.key(0), (32, 3), dtype)
        x = x / jnp.linalg.norm(x, axis=1, keepdims=True)
        radii = jnp.linspace(0, 6, 32, dtype=dtype)
        x = (x * radii[:, None]).at[1].set(centre)
        f = lambda x: m.dist(centre, x)
        half = lambda x: m.dist(centre, x) ** 2 / 2
        minus_log = lambda x: -m.log(x, centre)
        d = jax.vmap(f)(x)
        gradients = jax.vmap(lambda x: m.gradient(half, x))(x)
        gap = jax.vmap(lambda x, g: m.norm(x, g - minus_log(x)))(x, gradients)
        # Coordinates across the radius are worth sinh(r) / r each.
        cost = 32 * epsilon(dtype) * (1 + jnp.sinh(radii))
        assert jnp.all(gap <= cost)
        laplacian = jax.jit(jax.vmap(lambda x: m.divergence(minus_log, x)))(x)
        safe = jnp.where(d > 0, d, 1)
        truth = jnp.where(d > 0, 1 + 2 * d / jnp.tanh(safe), 3)
        assert jnp.all(jnp.abs(laplacian - truth) <= cost * (1 + d))


def test_killing_fields_preserve_the_metric():
    with jax.enable_x64(True):
        m = Hyperbolic(3)
        a = jr.normal(jr.key(0), (m.killing_size,))
        x = jr.normal(jr.key(1), (32, 3)) * jnp.linspace(0, 2, 32)[:, None]
        u, v = jr.normal(jr.key(2), (2, 32, 3))
        field = lambda x: m.killing(x, a)

        def symmetric_part(x, u, v):
            return m.inner(x, u, m.covariant_derivative(field, x, v)) + m.inner(
                x, v, m.covariant_derivative(field, x, u)
            )

        size = jax.vmap(lambda x, u, v: m.norm(x, u) * m.norm(x, v))(x, u, v)
        r = jnp.linalg.norm(x, axis=1)
        error = jnp.abs(jax.jit(jax.vmap(symmetric_part))(x, u, v))
        # |K| is up to |a| cosh(r), and rounding costs sinh(r) of it.
        assert jnp.all(error <= 50 * epsilon(x.dtype) * size * jnp.cosh(r) ** 2)
        fields = jax.vmap(lambda e: m.killing(x[5], e))(jnp.eye(m.killing_size))
        assert jnp.linalg.matrix_rank(fields) == 3


def test_covariant_derivative_is_metric_and_free_of_torsion():
    with jax.enable_x64(True):
        m = Hyperbolic(2)
        f = lambda x: jnp.array([x[0] * x[1] + 1, jnp.sin(x[0])])
        g = lambda x: jnp.array([x[1] ** 2, x[0] - x[1]])
        x = jr.normal(jr.key(1), (16, 2)) * jnp.linspace(0, 2, 16)[:, None]

        def torsion(x):
            bracket = jax.jvp(g, (x,), (f(x),))[1] - jax.jvp(f, (x,), (g(x),))[1]
            along_f = m.covariant_derivative(g, x, f(x))
            return along_f - m.covariant_derivative(f, x, g(x)) - bracket

        def compatibility(x):
            pairing = lambda y: m.inner(y, f(y), g(y))
            derivative = jax.jvp(pairing, (x,), (g(x),))[1]
            return derivative - (
                m.inner(x, m.covariant_derivative(f, x, g(x)), g(x))
                + m.inner(x, f(x), m.covariant_derivative(g, x, g(x)))
            )

        # Values here are up to 1e5: (sinh(r) / r)^2 times cubes of entries.
        assert jnp.max(jnp.abs(jax.jit(jax.vmap(torsion))(x))) < 1e-10
        assert jnp.max(jnp.abs(jax.jit(jax.vmap(compatibility))(x))) < 1e-10


@pytest.mark.slow
def test_log_det_exp_is_the_jacobian():
    with jax.enable_x64(True):
        m = Hyperbolic(3)
        x, z = jr.normal(jr.key(0), (2, 16, 3))
        z = z.at[0].set(0)
        v = jax.vmap(m.frame)(x, z)
        log_root_metric = lambda x: -jnp.linalg.slogdet(m.basis(x))[1]

        def numeric(x, v):
            jacobian = jax.jacobian(m.exp, 1)(x, v)
            change = log_root_metric(m.exp(x, v)) - log_root_metric(x)
            return jnp.linalg.slogdet(jacobian)[1] + change

        error = jax.vmap(numeric)(x, v) - jax.vmap(m.log_det_exp)(x, v)
        assert jnp.max(jnp.abs(error)) < 1e-11


def test_far_points():
    # On a ray through the origin the answer is arithmetic, at any distance.
    m = Hyperbolic(2)
    along = lambda r: jnp.array([r, 0.0])
    np.testing.assert_allclose(m.dist(along(1000.0), along(-900.0)), 1900, rtol=1e-6)
    np.testing.assert_allclose(m.dist(along(1000.0), along(900.0)), 100, rtol=1e-6)
    to = m.exp(along(1000.0), along(-900.0))
    np.testing.assert_allclose(to, along(100.0), rtol=1e-6)
    through = m.exp(along(1000.0), along(-1900.0))
    np.testing.assert_allclose(through, along(-900.0), rtol=1e-6)
    back = m.log(along(1000.0), along(-900.0))
    np.testing.assert_allclose(back, along(-1900.0), rtol=1e-6)
    # Two rays at a right angle: sinh(d/2)^2 = sinh(r)^2 / 2.
    corner = m.dist(along(1000.0), jnp.array([0.0, 1000.0]))
    np.testing.assert_allclose(corner, 2000 - math.log(2), rtol=1e-6)


def far_out(name):
    m = Hyperbolic(3)
    kernel, t = HyperbolicHeatKernel(m), jnp.array(0.5)
    a = jr.normal(jr.key(9), (m.killing_size,))
    return {
        "exp": lambda x, y, v: m.exp(x, v),
        "frame": lambda x, y, z: m.exp(x, m.frame(x, z)),
        "log": lambda x, y, v: m.log(x, y),
        "dist": lambda x, y, v: m.dist(x, y),
        "norm": lambda x, y, v: m.norm(x, v) + m.inner(x, v, y),
        "transport": m.transport,
        "killing": lambda x, y, v: m.killing(x, a),
        "log_det_exp": lambda x, y, v: m.log_det_exp(x, v),
        "gradient": lambda x, y, v: m.gradient(lambda x: jnp.sum(x * v), x),
        "divergence": lambda x, y, v: m.divergence(lambda x: m.frame(x, v), x),
        "log_prob": lambda x, y, v: kernel.log_prob(x, y, t),
        "score": lambda x, y, v: kernel.score(x, y, t),
    }[name]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "exp",
        "frame",
        "log",
        "dist",
        "norm",
        "transport",
        "killing",
        "log_det_exp",
        "gradient",
        "divergence",
        "log_prob",
        "score",
    ],
)
def test_finite_far_out(name):
    # At a distance of 1000, in float32, with all derivatives: in any direction, at the
    # same point, opposite, on the same ray, and from the origin.
    x, y, v = jr.normal(jr.key(0), (3, 32, 3))
    scale = lambda x: 1000 * x / jnp.linalg.norm(x, axis=1, keepdims=True)
    x, y = scale(x), scale(y)
    y = y.at[:4].set(x[:4]).at[4:8].set(-x[4:8]).at[8:12].set(x[8:12] * 0.3)
    y = y.at[12:16].set(0)
    x, y = jnp.concatenate([x, y]), jnp.concatenate([y, x])
    v = jnp.concatenate([v, v])
    # A sum is finite only where all its terms are.
    total = lambda x, y, v: jnp.sum(far_out(name)(x, y, v))
    outcome = jax.jit(jax.vmap(jax.value_and_grad(total, (0, 1, 2))))(x, y, v)
    for leaf in jax.tree.leaves(outcome):
        assert jnp.all(jnp.isfinite(leaf))


def test_nan_stays_nan():
    m = Hyperbolic(2)
    x, bad = jnp.array([0.3, 0.1]), jnp.array([jnp.nan, 0.0])
    t = jnp.array(0.5)
    for far in (1.0, 10.0):
        assert jnp.isnan(m.dist(bad, far * x))
        assert jnp.all(jnp.isnan(m.exp(far * x, bad)))
        assert jnp.all(jnp.isnan(m.log(bad, far * x)))
        assert jnp.all(jnp.isnan(m.transport(far * x, bad, x)))
        assert jnp.isnan(HyperbolicHeatKernel(m).log_prob(bad, far * x, t))
        assert jnp.all(jnp.isnan(HyperbolicHeatKernel(m).score(bad, far * x, t)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_models(dtype):
    with precision(dtype):
        m = Hyperbolic(2)
        x = jnp.array([[0.0, 0.0], [1e-3, 0], [0.1, 0.2], [1, -2], [3, 4]], dtype)
        ball, sheet = jax.vmap(m.to_poincare)(x), jax.vmap(m.to_hyperboloid)(x)
        eps = epsilon(dtype)
        # The ball crowds points at distance r by cosh(r/2)^2.
        atol = 8 * eps * math.cosh(2.5) ** 2
        np.testing.assert_allclose(jax.vmap(m.from_poincare)(ball), x, atol=atol)
        np.testing.assert_allclose(
            jax.vmap(m.from_hyperboloid)(sheet), x, rtol=8 * eps, atol=0
        )
        np.testing.assert_allclose(
            sheet[:, 0] ** 2 - jnp.sum(sheet[:, 1:] ** 2, 1),
            1,
            atol=8 * eps * math.cosh(5) ** 2,
        )
        p, q = ball[2], ball[3]
        ratio = jnp.sum((p - q) ** 2) / ((1 - p @ p) * (1 - q @ q))
        np.testing.assert_allclose(
            m.dist(x[2], x[3]), jnp.arccosh(1 + 2 * ratio), rtol=32 * eps
        )


def test_errors():
    with pytest.raises(ValueError, match="dim"):
        Hyperbolic(1)
    m = Hyperbolic(2)
    for method in (m.to_poincare, m.from_poincare):
        with pytest.raises(ValueError, match="vmap"):
            method(jnp.zeros(3))
    with pytest.raises(ValueError, match="vmap"):
        m.from_hyperboloid(jnp.zeros(2))
    with pytest.raises(ValueError, match="not compact"):
        m.uniform(jr.key(0))
    assert heat_kernel(m) == HyperbolicHeatKernel(m)
    assert isinstance(heat_kernel(Hyperbolic(4)), rgen.RandomWalkKernel)
    with pytest.raises(NotImplementedError, match="dimension 2 or 3"):
        HyperbolicHeatKernel(Hyperbolic(4))


# The heat kernels. t and r are exact numbers below.


def mckean_sum(r, t, nodes):
    """log of McKean's integral, by the trapezoidal rule after s^2 = r^2 + 2 t y^2."""
    rate = r / t + mp.mpf(1) / 2
    gap = 240 / (rate + mp.sqrt(rate**2 + 240 / t))
    step = mp.sqrt(gap * (gap + 2 * r) / (2 * t)) / nodes
    total = mp.sqrt(r / (t * mp.sinh(r))) / 2
    for k in range(1, nodes):
        y = step * k
        s = mp.sqrt(r**2 + 2 * t * y**2)
        total += mp.exp(-(y**2)) * y / mp.sqrt(mp.cosh(s) - mp.cosh(r))
    return mp.log(2 * t * step * total) - r**2 / (2 * t)


def log_prob_2(r, t, nodes=200):
    factor = mp.log(2) / 2 - t / 8 - mp.mpf(3) / 2 * mp.log(2 * mp.pi * t)
    return factor + mckean_sum(r, t, nodes)


def log_prob_3(r, t):
    gauss = -mp.mpf(3) / 2 * mp.log(2 * mp.pi * t) - r**2 / (2 * t)
    return gauss + mp.log(r / mp.sinh(r)) - t / 2


def oracle(dim, r, t):
    """log p and its derivative in r, by a difference that is good to 30 digits."""
    distribution = log_prob_2 if dim == 2 else log_prob_3
    with mp.workdps(90):
        r, t = mp.mpf(float(r)), mp.mpf(float(t))
        step = r * mp.mpf(10) ** -18
        slope = (distribution(r + step, t) - distribution(r - step, t)) / (2 * step)
        return float(distribution(r, t)), float(slope)


def test_oracle_against_quadrature_of_mckeans_formula():
    for r, t in [("0.3", "0.001"), ("2", "10"), ("5", "100")]:
        r, t = mp.mpf(r), mp.mpf(t)
        f = lambda u, r=r, t=t: (
            (2 * u * (r + u**2) * mp.exp(-((r + u**2) ** 2 - r**2) / (2 * t)))
            / mp.sqrt(2 * mp.sinh(r + u**2 / 2) * mp.sinh(u**2 / 2))
        )
        # The integrand is under 1e-40 beyond `end`.
        rate = r / t + mp.mpf(1) / 2
        end = mp.sqrt(200 / (rate + mp.sqrt(rate**2 + 200 / t)))
        value = mp.quad(f, mp.linspace(0, end, 7))
        truth = mp.log(value) - r**2 / (2 * t)
        with mp.workdps(90):
            assert abs(mckean_sum(r, t, 200) - truth) < mp.mpf(10) ** -30


RADII = [1e-6, 1e-3, 0.03, 0.3, 0.9, 1.1, 2, 4, 8, 12, 30, 200, 1000]
TIMES = [1e-6, 1e-3, 0.1, 1, 10, 100]


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("dtype, tol", [(jnp.float32, 1e-6), (jnp.float64, 3e-15)])
def test_kernel_against_mpmath(dim, dtype, tol):
    # A few roundings, of relative size: of the logarithm where it is over 1 in size,
    # of the score where it is over 0.001.
    with precision(dtype):
        kernel = HyperbolicHeatKernel(Hyperbolic(dim))
        r, t = (a.ravel() for a in jnp.meshgrid(jnp.array(RADII), jnp.array(TIMES)))
        x0, x = jnp.zeros(dim), r[:, None] * jnp.eye(dim)[0]
        log_prob = jax.jit(jax.vmap(kernel.log_prob, (None, 0, 0)))(x0, x, t)
        score = jax.jit(jax.vmap(kernel.score, (None, 0, 0)))(x0, x, t)
        assert log_prob.dtype == score.dtype == dtype
        assert jnp.all(score[:, 1:] == 0)
        for i in range(len(r)):
            value, slope = oracle(dim, r[i], t[i])
            assert abs(log_prob[i] - value) <= tol * max(1, abs(value))
            assert abs(score[i, 0] - slope) <= tol * max(1e-3, abs(slope))


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_score_is_the_gradient_of_the_log_density(dim, dtype):
    with precision(dtype):
        m = Hyperbolic(dim)
        kernel = HyperbolicHeatKernel(m)
        x0 = 2 * jr.normal(jr.key(0), (32, dim), dtype)
        t = jnp.logspace(-6, 2, 32, dtype=dtype)
        x = jax.vmap(kernel.sample)(x0, t, jr.split(jr.key(1), 32))
        grad = lambda x0, x, t: m.gradient(lambda x: kernel.log_prob(x0, x, t), x)
        score = jax.jit(jax.vmap(kernel.score))(x0, x, t)
        gradient = jax.jit(jax.vmap(grad))(x0, x, t)
        norm = jax.vmap(m.norm)
        # The score is a multiple of a logarithm, and rounding its array costs sinh(r)
        # of it. Past r = 8 in float32 that is more than the promised 0.001.
        r = jnp.linalg.norm(x, axis=1)
        assert jnp.sum(r < 8) > 20
        bound = 32 * epsilon(dtype) * (1 + jnp.sinh(r)) * norm(x, score)
        assert jnp.all((norm(x, score - gradient) <= bound) | (r > 8))
        at_start = jax.vmap(kernel.score)(x0, x0, t)
        assert jnp.all(at_start == 0)
        grad_at_start = jax.vmap(grad)(x0, x0, t)
        assert jnp.all(grad_at_start == 0)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 3])
def test_heat_equation(dim):
    # d/dt log p = (div score + |score|^2) / 2.
    with jax.enable_x64(True):
        m = Hyperbolic(dim)
        kernel = HyperbolicHeatKernel(m)
        x0 = 0.5 * jr.normal(jr.key(0), (dim,))
        x = 1.5 * jr.normal(jr.key(1), (16, dim))
        t = jnp.logspace(-2, 2, 16)

        def sides(x, t):
            score = lambda x: kernel.score(x0, x, t)
            size = m.norm(x, score(x)) ** 2
            rate = jax.grad(kernel.log_prob, 2)(x0, x, t)
            return rate, (m.divergence(score, x) + size) / 2, size

        rate, spread, size = jax.jit(jax.vmap(sides))(x, t)
        r = jnp.linalg.norm(x, axis=1)
        bound = 100 * epsilon(x.dtype) * (1 + jnp.sinh(r)) * (1 + size + 1 / t)
        assert jnp.all(jnp.abs(rate - spread) <= bound)


@functools.cache
def jitted_log_prob(dim):
    kernel = HyperbolicHeatKernel(Hyperbolic(dim))
    return jax.jit(jax.vmap(kernel.log_prob, (None, 0, None)))


@functools.cache
def radial_distribution(dim, t):
    """Radii, and the distribution function of the distance there."""
    with jax.enable_x64(True):
        # The radius has mean below (dim - 1) (t/2 + sqrt t) and a normal tail.
        end = (dim - 1) * t / 2 + 10 * math.sqrt(t)
        r = jnp.linspace(0, end, 4001)[1:]
        x = r[:, None] * jnp.eye(dim)[0]
        log_p = jitted_log_prob(dim)(jnp.zeros(dim), x, jnp.array(t))
        # log(sinh(r)) without overflow.
        log_sinh = r + jnp.log(-jnp.expm1(-2 * r) / 2)
        area = {2: 2 * math.pi, 3: 4 * math.pi}[dim]
        density = jnp.exp(log_p + (dim - 1) * log_sinh) * area
        density = jnp.concatenate([jnp.zeros(1), density])
        steps = (density[1:] + density[:-1]) / 2 * (end / 4000)
        cdf = jnp.concatenate([jnp.zeros(1), jnp.cumsum(steps)])
        return np.linspace(0, end, 4001), np.asarray(cdf)


DRAW_TIMES = [1e-6, 0.01, 1.0, 10.0, 100.0]


@pytest.mark.parametrize("dim", [2, 3])
def test_density_integrates_to_one(dim):
    # The trapezoidal rule, whose steps are 1/200 of the density's width: the error is
    # at most 1/12 of their square times its slope at 0, and decays fast elsewhere.
    for t in DRAW_TIMES:
        assert abs(radial_distribution(dim, t)[1][-1] - 1) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_samples(dim, dtype):
    with precision(dtype):
        m = Hyperbolic(dim)
        kernel = HyperbolicHeatKernel(m)
        n = 4096
        x0 = jnp.array([1.0, -1.5, 0.5][:dim], dtype)
        sample = jax.jit(jax.vmap(kernel.sample, (None, None, 0)))
        for t in DRAW_TIMES:
            # One key for all times: then the samples are alike, and one rare event is
            # not met many times over.
            x = sample(x0, jnp.array(t, dtype), jr.split(jr.key(dim), n))
            assert x.dtype == dtype
            r = np.sort(np.asarray(jax.jit(jax.vmap(m.dist, (None, 0)))(x0, x)))
            grid, cdf = radial_distribution(dim, t)
            model = np.interp(r, grid, cdf)
            steps = np.arange(n + 1) / n
            gap = max(np.max(model - steps[:-1]), np.max(steps[1:] - model))
            # Kolmogorov's test at the level 2 exp(-2 * 2.3^2) = 5e-5.
            assert gap < 2.3 / math.sqrt(n)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 3])
def test_directions_of_samples_are_uniform(dim):
    m = Hyperbolic(dim)
    kernel = HyperbolicHeatKernel(m)
    n = 4096
    x0 = jnp.array([1.0, -1.5, 0.5][:dim])
    keys = jr.split(jr.key(7), n)
    x = jax.vmap(kernel.sample, (None, None, 0))(x0, jnp.array(0.3), keys)
    v = jax.jit(jax.vmap(m.log, (None, 0)))(x0, x)
    basis = m.basis(x0)
    u = jax.vmap(lambda v: jax.vmap(lambda e: m.inner(x0, e, v))(basis))(v)
    u = u / jnp.linalg.norm(u, axis=1, keepdims=True)
    # dim n |mean|^2 is chi-squared with dim degrees of freedom; 25 has a level under
    # 2e-5. The entries of the second moment have variances under 1 / n.
    assert dim * n * jnp.sum(jnp.mean(u, 0) ** 2) < 25
    assert jnp.max(jnp.abs(u.T @ u / n - jnp.eye(dim) / dim)) < 4.5 / math.sqrt(n)
