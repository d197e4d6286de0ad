import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array

from .._divergence import ExactDivergence
from .._manifold import AbstractManifold
from .._numerics import log_sphere_volume
from .._typing import Key, Point, Scalar, Tangent, typed


_Residuals: TypeAlias = dict[str, Array]


class ManifoldReport(NamedTuple):
    """What [`rgen.testing.check_manifold`][] found.

    - `residuals`: the largest residual of each identity, with its tolerance.
    - `skipped`: the identities of optional hooks that the manifold does not have, with
      the error that says which.
    """

    residuals: dict[str, tuple[float, float]]
    skipped: dict[str, str]


@typed
def check_manifold(
    manifold: AbstractManifold,
    key: Key,
    radius: float = 1.0,
    n: int = 16,
    tolerance: float | None = None,
) -> ManifoldReport:
    """Tests that a manifold keeps the contract of [`rgen.AbstractManifold`][], at `n`
    random points in the default dtype.

    - **Core**: `exp` ends on the manifold, its geodesics have constant speed and can be
      run backwards, projections are idempotent, orthogonal and fix what they should.
    - **Frames**: the basis is orthonormal, and the frame a square root of the inverse
      metric.
    - **Calculus**: the connection is metric and free of torsion; gradient and
      divergence agree with finite differences along geodesics.
    - **Optional hooks**, where they are defined: `log`, `dist`, `transport`,
      `killing`, `log_det_exp`.
    - **Statistics**, where the hooks are defined: under `uniform`, divergences of
      fields have the mean zero, and the share of a geodesic ball is that of its volume
      in `log_volume`, each within five standard errors of 4096 samples.
    - **Programs**: all of this runs under `jax.jit` and `jax.vmap`; derivatives of
      `exp` and `log` are finite, also at a zero step; float32 points give float32
      results of the core.

    **Arguments:**

    - `manifold`: the manifold.
    - `key`: the random key.
    - `radius`: the longest step that is tried: less than the distance within which
      every geodesic is the shortest one.
    - `n`: the number of points.
    - `tolerance`: for residuals of sums of some dozens of terms of size one; the
      identities of second order get three times as much. The default is 1e-4 in float32
      and 1e-8 in float64, which geodesics that are solved as an ODE keep.

    **Raises:** an `AssertionError` that names the identities that do not hold, each
    with its residual and tolerance.
    """
    dtype = manifold.origin.dtype
    if tolerance is None:
        tolerance = 1e-4 if dtype == jnp.float32 else 1e-8
    residuals: dict[str, tuple[float, float]] = {}
    skipped: dict[str, str] = {}
    # An array, so that another radius compiles nothing.
    sample = _sample(manifold, key, n, jnp.asarray(radius, dtype))
    for group, (identities, factor) in _IDENTITIES.items():
        try:
            values = _evaluate(identities, manifold, sample)
        except NotImplementedError as error:
            skipped[group] = str(error)
            continue
        bound = factor(tolerance, float(jnp.finfo(dtype).eps))
        for identity, value in values.items():
            # A NaN is a fault, and the largest.
            residuals[identity] = float(jnp.max(jnp.abs(value))), bound
    for group, statistics in _STATISTICS.items() if manifold.compact else ():
        try:
            values = statistics(manifold, key, jnp.asarray(radius, dtype))
        except NotImplementedError as error:
            skipped[group] = str(error)
            continue
        for identity, value in values.items():
            residuals[identity] = float(value), 5.0
    residuals["float32 gives float32"] = _other_dtypes(manifold), 0.0
    broken = {
        identity: pair for identity, pair in residuals.items() if not pair[0] <= pair[1]
    }
    if broken:
        lines = [
            f"  {identity}: residual {residual:.3g}, tolerance {bound:.3g}"
            for identity, (residual, bound) in broken.items()
        ]
        raise AssertionError(
            f"{manifold} breaks {len(broken)} of {len(residuals)} identities in "
            f"{dtype}:\n" + "\n".join(lines)
        )
    return ManifoldReport(residuals, skipped)


class _Sample(NamedTuple):
    """A point, another, a step of up to `radius`, two tangent vectors of normal noise,
    two unit ones, and an array."""

    x: Point
    z: Point
    step: Tangent
    v: Tangent
    w: Tangent
    e: Tangent
    f: Tangent
    a: Array
    noise: Array


@eqx.filter_jit
def _sample(manifold: AbstractManifold, key: Key, n: int, radius: Scalar) -> _Sample:
    def one(key: Key, length: Scalar) -> _Sample:
        keys = jr.split(key, 8)
        x, z = _point(manifold, keys[0]), _point(manifold, keys[1])
        v, w, e, f = (manifold.tangent_noise(x, k) for k in keys[2:6])
        # Twice, for a short projection of long noise has large errors.
        unit = lambda u: u / manifold.norm(x, u)
        e, f = (unit(manifold.to_tangent(x, unit(u))) for u in (e, f))
        a = jr.normal(keys[6], manifold.point_shape)
        noise = jr.normal(keys[7], manifold.noise_shape)
        return _Sample(x, z, length * e, v, w, e, f, a, noise)

    return jax.vmap(one)(jr.split(key, n), jnp.linspace(0.0, radius, n))


def _point(manifold: AbstractManifold, key: Key) -> Point:
    if manifold.compact:
        try:
            return manifold.uniform(key)
        except NotImplementedError:
            pass
    origin = manifold.origin
    return manifold.exp(origin, manifold.tangent_noise(origin, key) / 2)


@eqx.filter_jit
def _evaluate(
    identities: Callable[[AbstractManifold, _Sample], _Residuals],
    manifold: AbstractManifold,
    sample: _Sample,
) -> _Residuals:
    # Not by `jax.vmap`, which takes as long as tracing does, once more.
    return jax.lax.map(functools.partial(identities, manifold), sample)


def _core(m: AbstractManifold, s: _Sample) -> _Residuals:
    # Mapped over what it starts with, for a geodesic may be long to trace and compile.
    push = lambda vu: jax.jvp(lambda v: m.exp(s.x, v), vu[:1], vu[1:])
    steps = jnp.stack([s.step, 0 * s.step]), jnp.stack([s.step, s.v])
    (y, at_start), (velocity, slope) = jax.lax.map(push, steps)
    tangent = m.to_tangent(s.x, s.a)
    return {
        "points are on the manifold": 1.0 - m.contains(s.x),
        "NaN is no point": 1.0 * m.contains(s.x * jnp.nan),
        "exp ends on the manifold": 1.0 - m.contains(y),
        "exp of zero stays": at_start - s.x,
        "exp starts with its velocity": slope - s.v,
        "geodesics have constant speed": m.norm(y, velocity) - m.norm(s.x, s.step),
        "velocities are tangent": m.to_tangent(y, velocity) - velocity,
        "geodesics run backwards": _gap(m, m.exp(y, -velocity), s.x),
        "project fixes points": m.project(y) - y,
        "to_tangent is idempotent": m.to_tangent(s.x, tangent) - tangent,
        "to_tangent fixes tangents": m.to_tangent(s.x, s.w) - s.w,
    }


def _gap(m: AbstractManifold, x: Point, y: Point) -> Array:
    """Between points that may have several arrays, as angles have."""
    return m.features(x) - m.features(y)


def _frames(m: AbstractManifold, s: _Sample) -> _Residuals:
    basis = m.basis(s.x)
    products = lambda u: jax.vmap(lambda e: m.inner(s.x, u, e))
    gram = jax.vmap(lambda e: products(e)(basis))(basis)
    columns = _unit_images(lambda z: m.frame(s.x, z), s.noise)
    covariance = jnp.sum(products(s.v)(columns) * products(s.w)(columns))
    noise = m.frame(s.x, s.noise)
    return {
        "basis is orthonormal": gram - jnp.eye(m.dim, dtype=gram.dtype),
        "basis is tangent": jax.vmap(lambda e: m.to_tangent(s.x, e))(basis) - basis,
        "frame has the metric for covariance": covariance - m.inner(s.x, s.v, s.w),
        "frame is linear": noise - jnp.tensordot(jnp.ravel(s.noise), columns, 1),
        "frame is tangent": m.to_tangent(s.x, noise) - noise,
    }


def _embedded(m: AbstractManifold, s: _Sample) -> _Residuals:
    tangent = m.to_tangent(s.x, s.a)
    return {
        "to_tangent is orthogonal": m.inner(s.x, tangent, s.w) - m.inner(s.x, s.a, s.w),
    }


def _calculus(m: AbstractManifold, s: _Sample) -> _Residuals:
    f = lambda y: _wave(m, 0, (), y)
    gradient = functools.partial(m.gradient, f)
    one, other = _field(m, 1), _field(m, 2)
    slope = lambda g, u: m.covariant_derivative(g, s.x, u)
    along = lambda g: jax.jvp(g, (s.x,), (s.e,))[1]
    product = along(lambda y: m.inner(y, one(y), other(y)))
    by_parts = m.inner(s.x, slope(one, s.e), other(s.x)) + m.inner(
        s.x, one(s.x), slope(other, s.e)
    )
    hessian = lambda u, w: m.inner(s.x, slope(gradient, u), w)
    multiple = m.divergence(lambda y: f(y) * other(y), s.x)
    return {
        "the connection is metric": product - by_parts,
        "the connection is free of torsion": hessian(s.e, s.f) - hessian(s.f, s.e),
        "divergence of a multiple": multiple
        - f(s.x) * m.divergence(other, s.x)
        - m.inner(s.x, gradient(s.x), other(s.x)),
    }


def _differences(m: AbstractManifold, s: _Sample) -> _Residuals:
    f = lambda y: _wave(m, 0, (), y)
    field = _field(m, 1)
    h = _step_of_differences(s.x.dtype)

    def along(e: Tangent) -> tuple[Scalar, Scalar]:
        """The slopes along a geodesic of f, and of the component of the field."""

        def at(k: Array) -> tuple[Scalar, Scalar]:
            step = k * h * e
            y, velocity = jax.jvp(lambda v: m.exp(s.x, v), (step,), (e,))
            return f(y), m.inner(y, field(y), velocity)

        values = jax.lax.map(at, jnp.array([-2.0, -1.0, 1.0, 2.0], s.x.dtype))
        difference = lambda v: (8 * (v[2] - v[1]) - (v[3] - v[0])) / (12 * h)
        return jax.tree.map(difference, values)

    basis = m.basis(s.x)
    slopes, divergences = jax.lax.map(along, basis)
    gradient = m.gradient(f, s.x)
    return {
        "gradient is the slope along geodesics": slopes
        - jax.vmap(lambda e: m.inner(s.x, gradient, e))(basis),
        "divergence is the growth along geodesics": jnp.sum(divergences)
        - m.divergence(field, s.x),
    }


def _step_of_differences(dtype: Any) -> float:
    # The error of the differences, the 4th power of the step, and that of rounding,
    # eps over the step, are of one size.
    return float(jnp.finfo(dtype).eps) ** (1 / 5)


def _logarithms(m: AbstractManifold, s: _Sample) -> _Residuals:
    y = m.exp(s.x, s.step)
    log = m.log(s.x, y)
    back = m.exp(s.x, log)
    # Mapped over pairs, for a distance may be long to compile.
    pairs = [(s.x, y), (y, s.x), (s.x, s.x), (back, y), (s.x, s.z), (y, s.z)]
    first, second = map(jnp.stack, zip(*pairs, strict=True))
    r, reverse, zero, end, a, b = jax.vmap(m.dist)(first, second)
    return {
        "log inverts exp": m.norm(s.x, log - s.step),
        "exp inverts log": end,
        "log is tangent": m.to_tangent(s.x, log) - log,
        "the distance is the length of the step": r - m.norm(s.x, s.step),
        "the distance is the length of log": r - m.norm(s.x, log),
        "the distance is symmetric": r - reverse,
        "the distance to itself is zero": zero,
        "the triangle inequality": jnp.maximum(a - r - b, 0),
    }


def _distance_calculus(m: AbstractManifold, s: _Sample) -> _Residuals:
    y = m.exp(s.x, s.step)
    # First, for it may be absent, and the others are long to trace.
    back = m.log(y, s.x)

    def half_square(y: Point) -> Scalar:
        log = m.log(s.x, y)
        return m.inner(s.x, log, log) / 2

    one = jnp.ones((), s.x.dtype)
    determinant = lambda k: m.log_det_exp(s.x, k * s.step)
    growth = jax.jvp(determinant, (one,), (one,))[1]
    gradient = functools.partial(m.gradient, half_square)
    value, laplacian = ExactDivergence()(m, gradient, y)
    return {
        "gradient of the half squared distance": value + back,
        "its Laplacian is the growth of volume": laplacian - m.dim - growth,
    }


def _determinant(m: AbstractManifold, s: _Sample) -> _Residuals:
    if type(m)._log_det_exp is AbstractManifold._log_det_exp:
        raise NotImplementedError("it is the derivative of `exp` by definition")
    push = lambda e: jax.jvp(lambda v: m.exp(s.x, v), (s.step,), (e,))
    y, columns = jax.vmap(push, out_axes=(None, 0))(m.basis(s.x))
    along = lambda e: jax.vmap(lambda c: m.inner(y, e, c))(columns)
    expected = jnp.linalg.slogdet(jax.vmap(along)(m.basis(y)))[1]
    return {"log_det_exp is the determinant": m.log_det_exp(s.x, s.step) - expected}


def _transports(m: AbstractManifold, s: _Sample) -> _Residuals:
    x, y = s.x, m.exp(s.x, s.step)
    log, log_back = jax.vmap(m.log)(jnp.stack([x, y]), jnp.stack([y, x]))
    moved = jax.vmap(m.transport, (None, None, 0))(x, y, jnp.stack([s.v, s.w, log]))
    v, w, reverse = moved
    return {
        "transport reverses log": m.norm(y, reverse + log_back),
        "transport is isometric": m.inner(y, v, w) - m.inner(x, s.v, s.w),
        "transport is tangent": m.to_tangent(y, v) - v,
        "transport back inverts": m.norm(x, m.transport(y, x, v) - s.v),
    }


def _parallel(m: AbstractManifold, s: _Sample) -> _Residuals:
    moved = lambda y: m.transport(s.x, y, s.w)
    return {"transport is parallel": m.covariant_derivative(moved, s.x, s.e)}


def _killing_fields(m: AbstractManifold, s: _Sample) -> _Residuals:
    a = _weights(3, (m.killing_size,), s.x.dtype)
    field = lambda y: m.killing(y, a)
    fields = _unit_images(lambda a: m.killing(s.x, a), a)
    basis = m.basis(s.x)
    products = lambda u: jax.vmap(lambda e: m.inner(s.x, u, e))(basis)
    spread = jnp.linalg.svd(jax.vmap(products)(fields), compute_uv=False)
    bend = m.covariant_derivative(field, s.x, s.v)
    return {
        "Killing fields are linear": field(s.x) - jnp.tensordot(a, fields, 1),
        "Killing fields are tangent": m.to_tangent(s.x, field(s.x)) - field(s.x),
        # All together they are at least a unit in every direction.
        "Killing fields span": jnp.maximum(1 - jnp.min(spread[: m.dim]), 0),
        "Killing fields do not diverge": m.divergence(field, s.x),
        "the Killing equation": m.inner(s.x, s.v, bend),
    }


def _gradients(m: AbstractManifold, s: _Sample) -> _Residuals:
    total = lambda x, v: jnp.sum(jnp.cos(m.exp(x, v)))
    slopes = lambda v: jax.grad(total, (0, 1))(s.x, v)
    return {
        "gradients of exp are finite, also at zero": _broken(
            jax.lax.map(slopes, jnp.stack([s.step, 0 * s.step]))
        ),
        "gradients of project are finite": _broken(
            jax.grad(lambda x: jnp.sum(jnp.cos(m.project(x))))(s.x)
        ),
    }


def _gradients_of_log(m: AbstractManifold, s: _Sample) -> _Residuals:
    def total(x: Point, y: Point) -> Scalar:
        return jnp.sum(jnp.cos(m.log(x, y))) + m.dist(x, y)

    ends = jnp.stack([m.exp(s.x, s.step), s.x])
    slopes = jax.vmap(jax.grad(total, (0, 1)), (None, 0))(s.x, ends)
    return {"gradients of log are finite, also at zero": _broken(slopes)}


def _broken(tree: Any) -> Array:
    leaves = jax.tree.leaves(tree)
    return 1.0 - jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))


_first = lambda tolerance, eps: tolerance
_second = lambda tolerance, eps: 10 / 3 * tolerance
# What `exp` is off by, beyond rounding, is divided by the step.
_by_differences = lambda tolerance, eps: (
    20 * eps**0.8 + max(tolerance - 300 * eps, 0) / eps**0.2
)
_exact = lambda tolerance, eps: 0.0

# What is tested together, as the hooks that it needs are absent together.
_IDENTITIES = {
    "core": (_core, _first),
    "frames": (_frames, _first),
    "orthogonality": (_embedded, _first),
    "calculus": (_calculus, _second),
    "differences": (_differences, _by_differences),
    "gradients": (_gradients, _exact),
    "log_det_exp": (_determinant, _second),
    "log": (_logarithms, _first),
    "gradients of log": (_gradients_of_log, _exact),
    "calculus of the distance": (_distance_calculus, _second),
    "transport": (_transports, _first),
    "calculus of transport": (_parallel, _second),
    "killing": (_killing_fields, _first),
}


@eqx.filter_jit
def _uniformity(m: AbstractManifold, key: Key, radius: Scalar) -> _Residuals:
    def divergences(key: Key) -> Array:
        x = m.uniform(key)
        return jnp.stack([m.divergence(_field(m, seed), x) for seed in range(4)])

    values = jax.vmap(divergences)(jr.split(key, _STATISTICAL))
    errors = jnp.std(values, axis=0) / math.sqrt(_STATISTICAL)
    away = jnp.abs(jnp.mean(values, axis=0)) / jnp.maximum(errors, _tiny(values))
    return {"divergences have the mean zero under `uniform`": jnp.max(away)}


def _volume(m: AbstractManifold, key: Key, radius: Scalar) -> _Residuals:
    """The share of a geodesic ball in the samples of `uniform`, and in the volume."""
    key, point_key = jr.split(key)
    inside = _inside(m, point_key, radius)
    growths = _growths(m, key, radius)
    log_ball = log_sphere_volume(m.dim - 1) - math.log(m.dim) + m.dim * jnp.log(radius)
    expected = growths * jnp.exp(log_ball - m.log_volume)
    # Counts, of a variance as large as their mean; the 1 is for a ball so small that
    # next to none is expected in it.
    excess = jnp.sum(inside) - jnp.sum(expected)
    variance = jnp.sum(expected) + _STATISTICAL * jnp.var(expected) + 1
    return {"a ball has its share of the volume": jnp.abs(excess) / jnp.sqrt(variance)}


# Two programs, not one: two batched calls of LAPACK that run at the same time wait for
# each other for ever where JAX 0.10 has no more than two threads.
@eqx.filter_jit
def _inside(m: AbstractManifold, key: Key, radius: Scalar) -> Array:
    """Which of the samples of `uniform` are in the ball around the origin."""
    x = jax.vmap(m.uniform)(jr.split(key, _STATISTICAL))
    return jax.vmap(lambda x: m.dist(m.origin, x) < radius)(x)


@eqx.filter_jit
def _growths(m: AbstractManifold, key: Key, radius: Scalar) -> Array:
    """How much `exp` expands volume at uniform points of the flat ball."""

    def growth(key: Key) -> Scalar:
        direction_key, length_key = jr.split(key)
        v = m.tangent_noise(m.origin, direction_key)
        length = radius * jr.uniform(length_key) ** (1 / m.dim)
        return jnp.exp(m.log_det_exp(m.origin, length / m.norm(m.origin, v) * v))

    return jax.vmap(growth)(jr.split(key, _STATISTICAL))


def _tiny(values: Array) -> float:
    return float(jnp.finfo(values.dtype).tiny)


_STATISTICAL = 4096
_STATISTICS = {"uniform": _uniformity, "volume": _volume}


def _other_dtypes(m: AbstractManifold) -> float:
    """How many of the results at float32 points are not float32, in x64 mode. Under
    `jax.vmap`, which the identities leave out."""

    def results(x: Point) -> list[Array]:
        v = m.to_tangent(x, x)
        flat = m.gradient(lambda y: jnp.sum(m.features(y) ** 3), x)
        noise = m.frame(x, jnp.zeros(m.noise_shape, x.dtype))
        read = m.features(x), m._harmonics(x, jnp.ones((), x.dtype), 2)
        shared = [m.project(x), m.exp(x, v), v, m.basis(x), *read, flat, noise]
        return [*shared, m.inner(x, v, v), m.divergence(lambda y: y, x)]

    with jax.enable_x64(True):
        points = jax.ShapeDtypeStruct((2, *m.point_shape), jnp.float32)
        found = jax.eval_shape(jax.vmap(results), points)
    return float(sum(value.dtype != jnp.float32 for value in found))


def _weights(seed: int, shape: tuple[int, ...], dtype: Any) -> Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def _wave(m: AbstractManifold, seed: int, shape: tuple[int, ...], x: Point) -> Array:
    """Smooth functions on a manifold without symmetries."""
    features = m.features(x)
    weights = _weights(seed, (math.prod(shape), features.size), x.dtype)
    phases = weights @ features / math.sqrt(features.size)
    return jnp.sin(phases + 0.3).reshape(shape)


def _field(m: AbstractManifold, seed: int) -> Callable[[Point], Tangent]:
    return lambda y: m.to_tangent(y, _wave(m, seed, m.point_shape, y))


def _unit_images(linear: Callable[[Array], Array], like: Array) -> Array:
    """The images of the unit vectors of the space of `like` under a linear map."""
    units = jnp.eye(like.size, dtype=like.dtype).reshape(like.size, *like.shape)
    return jax.vmap(linear)(units)
