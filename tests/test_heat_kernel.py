import contextlib
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import mpmath as mp
import numpy as np
import oracles
import pytest
import scipy.interpolate
import scipy.stats
from helpers import KERNELS, slow, sphere_rule

import rgen
from benchmarks import accuracy
from rgen._kernel import _special_orthogonal, _sphere


EXACT = [
    rgen.Sphere(1),
    rgen.Sphere(2),
    rgen.Sphere(3),
    rgen.Sphere(10),
    rgen.SpecialOrthogonal(3),
    rgen.Torus(2),
    rgen.Euclidean(2),
]
COMPACT = [m for m in EXACT if m.compact]
DTYPES = [np.float32, np.float64]
# The largest error of the score that is allowed, relative where the score is above 1e-3
# and absolute elsewhere: a hundred roundings in float32, and in float64 what is left of
# a rule of quadrature that is chosen for 1e-12.
SCORE = {np.float32: 2e-5, np.float64: 1e-10}
LOG_PROB = {np.float32: 1e-5, np.float64: 1e-11}


def precision(dtype):
    return jax.enable_x64(True) if dtype == np.float64 else contextlib.nullcontext()


def evaluate(kernel, x0, x, t):
    """log_prob and score of a batch, in float64 whatever they were computed in."""
    both = lambda x0, x, t: (kernel.log_prob(x0, x, t), kernel.score(x0, x, t))
    log_prob, score = jax.jit(jax.vmap(both))(x0, x, t)
    assert log_prob.dtype == score.dtype == x.dtype
    return np.asarray(log_prob, np.float64), np.asarray(score, np.float64)


def samples_of(manifold, x0, times, n):
    """An array of `n` samples for each time."""
    kernel = rgen.heat_kernel(manifold)
    keys = jr.split(jr.key(0), (len(times), n))
    one = jax.vmap(kernel.sample, (None, None, 0))
    return jax.jit(jax.vmap(one, (None, 0, 0)))(x0, jnp.array(times), keys)


def uniform_points(manifold, n, key=0):
    if not manifold.compact:
        return jr.normal(jr.key(key), (n, *manifold.point_shape))
    return jax.vmap(manifold.uniform)(jr.split(jr.key(key), n))


def distances(t):
    """Distances at which the kernel is asked for: near 0 and near pi at the scales on
    which it changes there, and in between."""
    scale = math.sqrt(t)
    near = [1e-3 * scale, 0.3 * scale, 3 * scale, 1e-4, 1.0, 2.2, 3.1]
    far = [math.pi - d for d in (10 * t, t, t / 10, 1e-5)]
    return [r for r in near + far if 0 < r < math.pi]


def assert_matches(log_prob, score, references):
    """Against (log p, the score as a vector, the distance, t, dtype) for each point.

    With a sixth entry: the error with which the points determine pi - r, and with it
    the direction of the score."""
    for value, vector, (log_p, gradient, r, t, dtype, *rest) in zip(
        log_prob, score.reshape(len(score), -1), references, strict=True
    ):
        size = mp.norm(gradient)
        error = mp.norm([mp.mpf(v) - g for v, g in zip(vector, gradient, strict=True)])
        error = error / size if size > 1e-3 else error
        allowed = SCORE[dtype] + sum(rest) / (mp.pi - r)
        assert error < allowed, (float(r), float(t), float(size))
        # -r^2 / 2t is only as good as its relative rounding.
        assert abs(value - log_p) < LOG_PROB[dtype] * (1 + r * r / t), (float(r), t)


def exact_polar(x0, x):
    """The distance on the sphere, and the unit tangent at x that points away from x0:
    of the points as they are rounded, put back to norm one."""
    a, b = ([mp.mpf(float(v)) for v in y] for y in (x0, x))
    a, b = ([v / mp.norm(y) for v in y] for y in (a, b))
    near = [p - q for p, q in zip(a, b, strict=True)]
    far = [p + q for p, q in zip(a, b, strict=True)]
    r = 2 * mp.atan2(mp.norm(near), mp.norm(far))
    cos = mp.fdot(a, b)
    away = [cos * q - p for p, q in zip(a, b, strict=True)]
    return r, [v / mp.norm(away) for v in away]


# The integral that the oracle takes in even dimensions costs a second in dimension 10.
SPHERE_TIMES = {10: [1e-6, 0.2, 0.499, 0.501, 3.0, 100.0]}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [1, 2, 3, *slow([4, 5, 7, 10])])
def test_sphere_against_oracle(dim, dtype):
    switch = min(1.0, 5 / dim)
    times = [1e-6, 1e-2, 0.2, 0.999 * switch, 1.001 * switch, 3.0, 100.0]
    rng = np.random.default_rng(dim)
    rows = []
    for t in SPHERE_TIMES.get(dim, times):
        for r in distances(t):
            x0, v = rng.normal(size=(2, dim + 1))
            x0 /= np.linalg.norm(x0)
            v -= (v @ x0) * x0
            v /= np.linalg.norm(v)
            x = math.cos(r) * x0 + math.sin(r) * v
            rows.append((x0.astype(dtype), x.astype(dtype), dtype(t)))
    with precision(dtype):
        kernel = rgen.heat_kernel(rgen.Sphere(dim))
        log_prob, score = evaluate(kernel, *map(np.stack, zip(*rows, strict=True)))
    references = []
    with mp.workdps(60):
        for x0, x, t in rows:
            r, away = exact_polar(x0, x)
            log_p, slope = oracles.sphere(dim, r, mp.mpf(float(t)))
            references.append((log_p, [slope * v for v in away], r, float(t), dtype))
        assert_matches(log_prob, score, references)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rotations_against_oracle(dtype):
    # Rounded entries of a matrix tell an angle near pi to a few eps, while the score
    # changes over t / pi there: such angles are left out where t < 1000 eps.
    eps = float(np.finfo(dtype).eps)
    rng = np.random.default_rng(0)
    rows, references = [], []
    for t in [1e-6, 1e-4, 1e-2, 0.2, 0.999, 1.001, 3.0, 100.0]:
        for r in distances(t):
            if math.pi - r < 0.1 and t < 1000 * eps:
                continue
            axis = rng.normal(size=3)
            hat = np.cross(np.eye(3), axis / np.linalg.norm(axis))
            x0 = scipy.stats.special_ortho_group.rvs(3, random_state=rng)
            x = x0 @ (
                np.eye(3) + math.sin(r) * hat + 2 * math.sin(r / 2) ** 2 * hat @ hat
            )
            rows.append((x0.astype(dtype), x.astype(dtype), dtype(t)))
            references.append(_rotation_reference(*rows[-1], dtype))
    with precision(dtype):
        kernel = rgen.heat_kernel(rgen.SpecialOrthogonal(3))
        log_prob, score = evaluate(kernel, *map(np.stack, zip(*rows, strict=True)))
    with mp.workdps(60):
        assert_matches(log_prob, score, references)


def _rotation_reference(x0, x, t, dtype):
    with mp.workdps(60):
        a, b = (_nearest_rotation(mp.matrix(y.astype(float).tolist())) for y in (x0, x))
        turn = a.T * b
        skew = (turn - turn.T) / 2
        sin = mp.norm(list(skew)) / mp.sqrt(2)
        angle = mp.atan2(sin, (turn[0, 0] + turn[1, 1] + turn[2, 2] - 1) / 2)
        log_p, slope = oracles.rotation(angle, mp.mpf(float(t)))
        gradient = list(b * skew * (slope / sin))
        return log_p, gradient, angle, float(t), dtype, 4 * float(np.finfo(dtype).eps)


def _nearest_rotation(y):
    for _ in range(5):
        y = y * (3 * mp.eye(3) - y.T * y) / 2
    return y


@pytest.mark.parametrize("dtype", DTYPES)
def test_torus_against_oracle(dtype):
    rows, references = [], []
    for t in [1e-6, 1e-2, 0.2, 0.999, 1.001, 3.0, 100.0]:
        for r in distances(t):
            # Two angles, the second more than a turn away and on the other side.
            x0 = np.array([0.4, -2.0], dtype)
            x = np.array([0.4 + r, -2.0 - r + 4 * math.pi], dtype)
            rows.append((x0, x, dtype(t)))
            references.append(_torus_reference(*rows[-1], dtype))
    with precision(dtype):
        kernel = rgen.heat_kernel(rgen.Torus(2))
        log_prob, score = evaluate(kernel, *map(np.stack, zip(*rows, strict=True)))
    with mp.workdps(60):
        assert_matches(log_prob, score, references)


def _torus_reference(x0, x, t, dtype):
    with mp.workdps(60):
        angles = [
            mp.mpf(float(b)) - mp.mpf(float(a)) for a, b in zip(x0, x, strict=True)
        ]
        angles = [a - 2 * mp.pi * mp.nint(a / (2 * mp.pi)) for a in angles]
        parts = [oracles.circle(a, mp.mpf(float(t))) for a in angles]
        log_p = mp.fsum(p for p, _ in parts)
        return log_p, [s for _, s in parts], mp.norm(angles), float(t), dtype


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [1, 2, 5, 10, 20])
def test_both_branches_agree_at_the_switch(dim, dtype):
    # Between the two, float32 has room for a loss of two digits at the antipode.
    tolerance = {np.float32: 1e-3, np.float64: 1e-9}[dtype]
    switch = min(1.0, 5 / dim)
    with precision(dtype):
        r = jnp.linspace(0, math.pi, 50, dtype=dtype)
        t = jnp.array(switch, dtype)
        early, late = (
            jax.vmap(f)(r)
            for f in (
                lambda r: _sphere._early(dim, r, math.pi - r, t),
                lambda r: _sphere._late(dim, r, t),
            )
        )
        np.testing.assert_allclose(early[0], late[0], atol=tolerance)
        np.testing.assert_allclose(early[1], late[1], rtol=tolerance)


@pytest.mark.slow
def test_float32_samples_and_scores_are_finite_everywhere():
    for manifold in EXACT:
        kernel = rgen.heat_kernel(manifold)
        x0 = uniform_points(manifold, 1)[0]
        times = jnp.logspace(-6, 2, 200)
        keys = jr.split(jr.key(0), 200)
        x = jax.jit(jax.vmap(kernel.sample, (None, 0, 0)))(x0, times, keys)
        log_prob, score = evaluate(kernel, jnp.broadcast_to(x0, x.shape), x, times)
        assert np.isfinite(log_prob).all() and np.isfinite(score).all()
        assert jax.vmap(manifold.contains)(x).all()


@pytest.mark.slow
@pytest.mark.parametrize("manifold", EXACT, ids=str)
def test_score_is_the_gradient_of_log_prob(manifold):
    with jax.enable_x64(True):
        kernel = rgen.heat_kernel(manifold)
        x0, x = uniform_points(manifold, 40, 0), uniform_points(manifold, 40, 1)
        t = jnp.logspace(-4, 1, 40)
        log_prob = lambda x0, t: lambda x: kernel.log_prob(x0, x, t)
        gradient = lambda x0, x, t: manifold.gradient(log_prob(x0, t), x)
        gradient = jax.jit(jax.vmap(gradient))(x0, x, t)
        _, score = evaluate(kernel, x0, x, t)
        # Each differentiates its own rule of quadrature, to about 1e-12.
        scale = np.abs(score).max(axis=tuple(range(1, score.ndim)), keepdims=True)
        np.testing.assert_allclose(gradient / scale, score / scale, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("manifold", COMPACT, ids=str)
def test_score_and_gradients_at_the_point_and_on_the_cut_locus(manifold, dtype):
    with precision(dtype):
        kernel = rgen.heat_kernel(manifold)
        x0 = manifold.origin.astype(dtype)
        far = -x0
        if isinstance(manifold, rgen.SpecialOrthogonal):
            far = jnp.diag(jnp.array([1, -1, -1], dtype))
        if isinstance(manifold, rgen.Torus):
            far = x0 + dtype(math.pi)
        times = jnp.array([1e-6, 1e-2, 1.0, 100.0], dtype)
        value = lambda x0, x, t: jnp.sum(kernel.score(x0, x, t) ** 2)
        for f in (kernel.log_prob, value):
            gradients = jax.jit(jax.vmap(jax.grad(f, (0, 1, 2)), (None, None, 0)))
            for x in (x0, far):
                assert all(jnp.all(jnp.isfinite(g)) for g in gradients(x0, x, times))
        scores = jax.jit(jax.vmap(kernel.score, (None, None, 0)))
        assert jnp.all(scores(x0, x0, times) == 0)
        # On the torus pi is not a float: the score is its rounding error times
        # (pi / t)^2, to first order.
        rounded = abs(float(dtype(math.pi)) - math.pi) + 2e-16
        bound = 1.5 * rounded * (math.pi / np.asarray(times, np.float64)) ** 2
        score = scores(x0, far, times).reshape(len(times), -1)
        assert np.all(np.abs(score) <= bound[:, None])


@pytest.mark.slow
@pytest.mark.parametrize("manifold", EXACT, ids=str)
def test_heat_equation(manifold):
    # d/dt log p = (div s + |s|^2) / 2 with the score s.
    def sides(x0, x, t):
        change = jax.grad(kernel.log_prob, 2)(x0, x, t)
        field = lambda x: kernel.score(x0, x, t)
        score = field(x)
        divergence = manifold.divergence(field, x)
        return change, (divergence + manifold.inner(x, score, score)) / 2

    with jax.enable_x64(True):
        kernel = rgen.heat_kernel(manifold)
        x0, x = uniform_points(manifold, 30, 0), uniform_points(manifold, 30, 1)
        t = jnp.logspace(-3, 1, 30)
        left, right = jax.jit(jax.vmap(sides))(x0, x, t)
        # Both sides are differences of terms of the size 1 / t^2.
        np.testing.assert_allclose(left * t**2, right * t**2, atol=1e-9)


def _rotation_grid(n):
    u, w = np.polynomial.legendre.leggauss(n)
    a, o, e = 2 * np.pi * np.arange(2 * n) / (2 * n), np.zeros(2 * n), np.ones(2 * n)
    cos, sin = np.cos(a), np.sin(a)
    turns = np.array([[cos, -sin, o], [sin, cos, o], [o, o, e]])
    o, e, side = np.zeros(n), np.ones(n), np.sqrt(1 - u * u)
    tilts = np.array([[u, o, side], [o, e, o], [-side, o, u]])
    x = np.einsum("ija,jkb,klc->abcil", turns, tilts, turns)
    weights = np.broadcast_to(w[None, :, None] * (np.pi / n) ** 2, x.shape[:3])
    return x.reshape(-1, 3, 3), weights.ravel()


def _torus_grid(n):
    a = 2 * np.pi * np.arange(2 * n) / (2 * n)
    x = np.stack(np.meshgrid(a, a, indexing="ij"), -1).reshape(-1, 2)
    return x, np.full(len(x), (np.pi / n) ** 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("manifold", "grid", "n"),
    [
        (rgen.Sphere(2), sphere_rule, 32),
        (rgen.Torus(2), _torus_grid, 32),
        (rgen.SpecialOrthogonal(3), _rotation_grid, 16),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_semigroup(manifold, grid, n):
    # The grids integrate harmonics up to degree 63, or 31 for rotations, which at these
    # times leave out less than 1e-12; 0.4 and 0.7 are on another branch than 1.1.
    with jax.enable_x64(True):
        kernel = rgen.heat_kernel(manifold)
        nodes, weights = map(jnp.asarray, grid(n))
        x0, x = uniform_points(manifold, 2)
        at = jax.vmap(kernel.log_prob, (None, 0, None))
        middle = at(x0, nodes, jnp.array(0.4)) + at(x, nodes, jnp.array(0.7))
        total = jnp.sum(weights * jnp.exp(middle))
        expected = jnp.exp(kernel.log_prob(x0, x, jnp.array(1.1)))
        np.testing.assert_allclose(total, expected, rtol=1e-10)


@eqx.filter_jit
def _log_probs(kernel, x0, x, t):
    return jax.vmap(kernel.log_prob, (None, 0, None))(x0, x, t)


def radial_density(manifold, t):
    """The density of the distance from the starting point, in float64: nodes, weights,
    values. From geodesics of the public API, which say nothing of its inner forms."""
    r, w = np.polynomial.legendre.leggauss(200)
    top = min(math.pi, math.sqrt(t) * (math.sqrt(manifold.dim) + 9))
    r, w = (r + 1) / 2 * top, w / 2 * top
    with jax.enable_x64(True):
        kernel = rgen.heat_kernel(manifold)
        x0 = manifold.origin
        v = manifold.basis(x0)[0]
        x = jax.vmap(lambda r: manifold.exp(x0, r * v))(jnp.asarray(r))
        log_prob = _log_probs(kernel, x0, x, jnp.array(t))
    if isinstance(manifold, rgen.SpecialOrthogonal):
        area = 16 * math.pi * np.sin(r / 2) ** 2
    else:
        d = manifold.dim
        sphere = math.log(2) + d / 2 * math.log(math.pi) - math.lgamma(d / 2)
        return r, w, np.exp(np.asarray(log_prob) + sphere + (d - 1) * np.log(np.sin(r)))
    return r, w, np.exp(log_prob) * area


RADIAL = [
    rgen.Sphere(1),
    rgen.Sphere(2),
    rgen.Sphere(3),
    rgen.Sphere(4),
    rgen.Sphere(10),
    rgen.SpecialOrthogonal(3),
]


@pytest.mark.slow
@pytest.mark.parametrize("manifold", [*RADIAL, rgen.Sphere(511)], ids=str)
def test_total_mass(manifold):
    for t in (1e-6, 1e-3, 0.1, 0.45, 0.9, 1.1, 10.0):
        _, w, density = radial_density(manifold, t)
        np.testing.assert_allclose(np.sum(w * density), 1, atol=1e-10)


def radial_cdf(manifold, t):
    r, w, density = radial_density(manifold, t)
    # Gauss nodes are dense enough for the running sum to be good to 1e-3, which a test
    # with a few thousand samples cannot see; halves of the end weights centre it.
    mass = w * density
    below = np.cumsum(mass) - mass / 2
    # In high dimension nearly all nodes have none.
    r, below = r[mass > 1e-12], below[mass > 1e-12]
    spline = scipy.interpolate.PchipInterpolator(
        np.concatenate([[0], r, [2 * math.pi]]), np.concatenate([[0], below, [1]])
    )
    return lambda x: np.clip(spline(x), 0, 1)


TIMES = (1e-6, 1e-3, 0.1, 0.6, 2.0, 30.0)


@pytest.mark.slow
@pytest.mark.parametrize("manifold", [*RADIAL, rgen.Sphere(511)], ids=str)
def test_distances_of_samples(manifold):
    x0 = manifold.origin
    for t, x in zip(TIMES, samples_of(manifold, x0, TIMES, 4000), strict=True):
        with jax.enable_x64(True):
            start, end = (jnp.asarray(np.asarray(y, np.float64)) for y in (x0, x))
            r = jax.jit(jax.vmap(manifold.dist, (None, 0)))(start, end)
        # 42 tests at level 1e-4 each: a false alarm in 4 of 1000 choices of keys.
        result = scipy.stats.kstest(np.asarray(r), radial_cdf(manifold, t))
        assert result.pvalue > 1e-4, t


@pytest.mark.slow
@pytest.mark.parametrize("manifold", RADIAL, ids=str)
def test_mean_of_samples(manifold):
    # The mean of an eigenfunction decays by its eigenvalue: of x on the sphere, and of
    # the entries of a rotation.
    x0, n = uniform_points(manifold, 1, 7)[0], 20_000
    for t, x in zip(TIMES, samples_of(manifold, x0, TIMES, n), strict=True):
        _check_mean(manifold, x0, np.asarray(x, np.float64), t, n)


def _check_mean(manifold, x0, x, t, n):
    rate = 1.0 if isinstance(manifold, rgen.SpecialOrthogonal) else manifold.dim / 2
    error = x.mean(0) - math.exp(-rate * t) * np.asarray(x0, np.float64)
    # 4.5 standard errors: level 7e-6 for an entry, 1e-3 for all of them together. The
    # second term is the rounding of float32, and 1e-4 of the distance's error.
    bound = 4.5 * x.std(0) / math.sqrt(n) + 1e-6 + 1e-4 * t
    assert np.all(np.abs(error) < bound)


def test_samples_on_flat_manifolds():
    for manifold in (rgen.Torus(2), rgen.Euclidean(2)):
        x0, times = jnp.array([3.0, -1.0]), (1e-4, 0.5)
        for t, x in zip(times, samples_of(manifold, x0, times, 4000), strict=True):
            z = jax.vmap(manifold.log, (None, 0))(x0, x) / math.sqrt(t)
            for column in np.asarray(z).T:
                # At t = 0.5 pi is 4.4 deviations away: wrapping moves 1e-5 of samples.
                assert scipy.stats.kstest(column, "norm").pvalue > 1e-4


# A measure of distance, and its mean after the variance v: of eigenfunctions of the
# Laplacian, and of squares.
SPREADS = {
    "Sphere(2)": (lambda x0, x: 1 - x0 @ x, lambda v: -np.expm1(-v)),
    "Torus(2)": (
        lambda x0, x: jnp.sum(1 - jnp.cos(x - x0)),
        lambda v: -2 * np.expm1(-v / 2),
    ),
    "Ornstein-Uhlenbeck": (lambda x0, x: jnp.sum(x * x), lambda v: -3 * np.expm1(-v)),
    "Euclidean(3)": (lambda x0, x: jnp.sum((x - x0) ** 2), lambda v: 3 * v),
    "Sphere(5)": (lambda x0, x: 1 - x0 @ x, lambda v: -np.expm1(-5 * v / 2)),
    "SO(3)": (lambda x0, x: 3 - jnp.trace(x0.T @ x), lambda v: -3 * np.expm1(-v)),
    "Hyperbolic(2)": (
        lambda x0, x: jnp.cosh(jnp.linalg.norm(x)) - 1,
        lambda v: np.expm1(v),
    ),
    "Hyperbolic(3)": (
        lambda x0, x: jnp.cosh(jnp.linalg.norm(x)) - 1,
        lambda v: np.expm1(3 * v / 2),
    ),
}


@pytest.mark.parametrize("name", [*list(SPREADS)[:3], *slow(list(SPREADS)[3:])])
def test_the_spread_of_samples(name):
    kernel, (far, expected), v = KERNELS[name](), SPREADS[name], 0.1
    x0 = kernel.manifold.origin
    one = lambda key: far(x0, kernel.sample(x0, jnp.array(v), key))
    found = np.asarray(jax.jit(jax.vmap(one))(jr.split(jr.key(9), 65536)), np.float64)
    error = found.std() / math.sqrt(len(found)) / expected(v)
    # Samples that are 2 % too wide are off by 4 %.
    assert abs(found.mean() / expected(v) - 1) < 4 * error < 0.02


@pytest.mark.slow
def test_the_table_is_built_inside_a_trace():
    _sphere._table.cache_clear()
    _special_orthogonal._table.cache_clear()
    for manifold in (rgen.Sphere(2), rgen.SpecialOrthogonal(3)):
        x0 = manifold.origin
        kernel = rgen.heat_kernel(manifold)
        total = lambda t, key, x0=x0, k=kernel: jnp.sum(k.sample(x0, t, key) ** 3)
        keys = jr.split(jr.key(0), 3)
        in_trace = jax.jit(jax.vmap(jax.grad(total), (None, 0)))(jnp.array(0.1), keys)
        outside = jax.vmap(jax.grad(total), (None, 0))(jnp.array(0.1), keys)
        assert in_trace.dtype == jnp.float32
        np.testing.assert_allclose(in_trace, outside, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("manifold", EXACT, ids=str)
def test_times_that_are_not_positive(manifold):
    kernel = rgen.heat_kernel(manifold)
    x0 = manifold.origin
    for t in (0.0, -1.0):
        calls = [
            lambda t: kernel.log_prob(x0, x0, t),
            lambda t: kernel.score(x0, x0, t),
            lambda t: kernel.sample(x0, t, jr.key(0)),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="`v` to be positive"):
                call(jnp.array(t))
            assert jnp.all(jnp.isnan(jax.jit(call)(jnp.array(t))))


@pytest.mark.parametrize("manifold", EXACT, ids=str)
def test_nan_in_nan_out(manifold):
    kernel = rgen.heat_kernel(manifold)
    x0, t = manifold.origin, jnp.array(0.1)
    nan = x0 * jnp.nan
    for x in (kernel.log_prob(nan, x0, t), kernel.score(x0, nan, t)):
        assert jnp.all(jnp.isnan(x))
    assert jnp.all(jnp.isnan(kernel.score(x0, x0, t * jnp.nan)))


@pytest.mark.parametrize("manifold", EXACT, ids=str)
def test_kernels_hold_no_arrays_and_check_shapes(manifold):
    kernel = rgen.heat_kernel(manifold)
    assert jax.tree.leaves(kernel) == []
    assert hash(kernel) == hash(rgen.heat_kernel(manifold))
    x0, t = manifold.origin, jnp.array(0.1)
    with pytest.raises(ValueError, match="expected `x` to have shape"):
        kernel.score(x0, x0[None], t)
    with pytest.raises(ValueError, match="expected `x0` to have shape"):
        kernel.sample(x0[None], t, jr.key(0))


def test_unknown_kernels():
    for n in (2, 4):
        manifold = rgen.SpecialOrthogonal(n)
        kernel = rgen.heat_kernel(manifold)
        assert kernel == rgen.RandomWalkKernel(manifold)
        for method in (kernel.log_prob, kernel.score):
            with pytest.raises(NotImplementedError, match="VaradhanHeatKernel"):
                method(manifold.origin, manifold.origin, jnp.array(0.1))
        with pytest.raises(NotImplementedError, match="VaradhanHeatKernel"):
            rgen.SpecialOrthogonalHeatKernel(manifold)
    for manifold in (rgen.SpecialOrthogonal(4), rgen.Euclidean(2)):
        with pytest.raises(NotImplementedError, match="TruncatedHeatKernel"):
            rgen.TruncatedHeatKernel(manifold, 5)
    with pytest.raises(ValueError, match="terms"):
        rgen.TruncatedHeatKernel(rgen.Sphere(2), -1)


SERIES = [rgen.Sphere(1), rgen.Sphere(2), rgen.SpecialOrthogonal(3), rgen.Torus(2)]


@pytest.mark.parametrize("manifold", SERIES, ids=str)
def test_truncated_series_converges(manifold):
    with jax.enable_x64(True):
        exact = rgen.heat_kernel(manifold)
        x0, x = uniform_points(manifold, 20, 0), uniform_points(manifold, 20, 1)
        t = jnp.full(20, 0.3)
        log_prob, score = evaluate(exact, x0, x, t)
        errors = []
        for terms in (3, 16):
            kernel = rgen.TruncatedHeatKernel(manifold, terms)
            truncated, field = evaluate(kernel, x0, x, t)
            errors.append(np.max(np.abs(field - score)))
        # exp(-17^2 0.3 / 2) = 1e-19 is left out of the second, against a density of
        # 1e-7 at the worst point, and exp(-4^2 0.3 / 2) = 0.1 of the first.
        np.testing.assert_allclose(truncated, log_prob, atol=1e-7)
        assert errors[1] < 1e-7 and errors[0] > 1e-3


def test_truncated_series_is_wrong_at_small_times():
    manifold, t = rgen.Sphere(2), jnp.array(0.01)
    kernel = rgen.TruncatedHeatKernel(manifold, 5)
    x0 = manifold.origin
    x = manifold.exp(x0, 2 * manifold.basis(x0)[0])
    exact = rgen.heat_kernel(manifold).score(x0, x, t)
    assert jnp.linalg.norm(kernel.score(x0, x, t) - exact) > jnp.linalg.norm(exact) / 2
    sample = kernel.sample(x0, t, jr.key(0))
    assert jnp.all(sample == rgen.heat_kernel(manifold).sample(x0, t, jr.key(0)))


@pytest.mark.slow
@pytest.mark.parametrize("manifold", EXACT, ids=str)
def test_varadhan_is_the_limit_at_small_times(manifold):
    # The next term of log p is (d - 1)/2 log(r / sin r) on the sphere, whatever t is.
    with jax.enable_x64(True):
        exact, kernel = rgen.heat_kernel(manifold), rgen.VaradhanHeatKernel(manifold)
        x0 = uniform_points(manifold, 1)[0]
        x = manifold.exp(x0, 0.7 * manifold.basis(x0)[0])
        errors = []
        for t in (1e-2, 1e-4):
            pair = [k.score(x0, x, jnp.array(t)) for k in (exact, kernel)]
            errors.append(float(manifold.norm(x, pair[0] - pair[1])) * t)
            pair = [k.log_prob(x0, x, jnp.array(t)) for k in (exact, kernel)]
            assert abs(pair[0] - pair[1]) * t < 2.0 * t
        flat = isinstance(manifold, rgen.Euclidean | rgen.Torus) or manifold.dim == 1
        if flat:
            assert max(errors) < 1e-12
        else:
            assert errors[1] == pytest.approx(errors[0] / 100, rel=0.05)


def test_samples_beside_varadhans_score_are_exact():
    manifold = rgen.Sphere(2)
    x0, v, key = manifold.origin, jnp.array(0.2), jr.key(3)
    exact = rgen.heat_kernel(manifold).sample(x0, v, key)
    sample = rgen.VaradhanHeatKernel(manifold).sample(x0, v, key)
    np.testing.assert_array_equal(sample, exact)


# Factorials leave float32, tables had no rows, and powers are beyond every float.
@pytest.mark.parametrize("dim", [50, 110, 511])
def test_mean_of_samples_in_high_dimension(dim):
    # E cos r = exp(-d v / 2), at 4.5 standard errors: level 7e-6 for each of 12.
    manifold = rgen.Sphere(dim)
    variances = (1e-4, 0.1 / dim, 1 / dim, 5 / dim)
    samples = samples_of(manifold, manifold.origin, variances, 1000)
    for v, x in zip(variances, samples, strict=True):
        # 1 - cos r, without cancellation.
        x = np.asarray(x, np.float64)
        far = np.sum((x - np.asarray(manifold.origin)) ** 2, axis=1) / 2
        bound = 4.5 * far.std() / math.sqrt(1000)
        assert abs(far.mean() + math.expm1(-dim / 2 * v)) < bound


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [45, 511])
def test_stored_values(dim, dtype):
    # 50 digits each: see benchmarks/accuracy.py, which runs all manifolds.
    (case,) = accuracy.cases((f"Sphere(dim={dim})",))
    line = accuracy.measure(case, dtype)
    assert line["worst_score"] < {np.float32: 1e-5, np.float64: 1e-10}[dtype]
    assert line["worst_small_score"] < {np.float32: 1e-8, np.float64: 1e-13}[dtype]
    assert line["worst_log_prob"] < {np.float32: 2e-6, np.float64: 1e-12}[dtype]


@pytest.mark.parametrize("dim", [511])
def test_gradients_in_high_dimension(dim):
    # (r / sin r)^p at the antipode leaves float32 from dimension 16 on.
    manifold = rgen.Sphere(dim)
    kernel = rgen.heat_kernel(manifold)
    x0 = manifold.origin
    x = jnp.stack([manifold.exp(x0, r * manifold.basis(x0)[0]) for r in (0.1, 1.5)])
    x = jnp.concatenate([x0[None], x, -x0[None]])[:, None]
    v = jnp.array([1e-6, 1e-3, 1 / dim, 0.1, 50.0])
    gradient = jax.vmap(jax.grad(kernel.log_prob, (1, 2)), (None, 0, 0))
    pairs = [jnp.broadcast_to(x, (4, 5, dim + 1)), jnp.broadcast_to(v, (4, 5))]
    by_point, by_variance = jax.jit(jax.vmap(gradient, (None, 0, 0)))(x0, *pairs)
    assert jnp.all(jnp.isfinite(by_point)) and jnp.all(jnp.isfinite(by_variance))
    # By symmetry.
    tangent = jax.vmap(jax.vmap(manifold.to_tangent))(pairs[0], by_point)
    assert jnp.all(tangent[0] == 0) and jnp.all(tangent[3] == 0)
