"""Manifolds as users write them: from an equation, from a metric, from a group."""

import math

import jax.numpy as jnp
import jax.random as jr

import rgen


class TorusOfRevolution(rgen.AbstractLevelSet):
    """The points at the distance 0.5 from a circle of radius 1."""

    dim = 2
    point_shape = (3,)
    radius = 1.5
    crossings = 4

    @property
    def origin(self):
        return jnp.array([1.5, 0.0, 0.0])

    def constraint(self, x):
        return (jnp.hypot(x[0], x[1]) - 1) ** 2 + x[2] ** 2 - 0.25


class Ellipsoid(rgen.AbstractLevelSet):
    """With half axes 1, 0.8 and 0.6."""

    dim = 2
    point_shape = (3,)
    radius = 1.0
    crossings = 2

    @property
    def origin(self):
        return jnp.array([1.0, 0.0, 0.0])

    def constraint(self, x):
        return jnp.sum((x / jnp.array([1, 0.8, 0.6], x.dtype)) ** 2) - 1


class Stiefel(rgen.AbstractLevelSet):
    """Two orthonormal vectors of R^5, as columns."""

    dim = 7
    point_shape = (5, 2)
    radius = math.sqrt(2)
    # A unit vector, and one across it of which a turn is sqrt(2) times as long.
    log_volume = 2 * math.log(math.pi) + math.log(8 / 3) + math.log(2 * math.pi**2)

    @property
    def origin(self):
        return jnp.eye(5, 2)

    def constraint(self, x):
        return jnp.array(
            [x[:, 0] @ x[:, 0] - 1, x[:, 0] @ x[:, 1], x[:, 1] @ x[:, 1] - 1]
        )

    def _uniform(self, key):
        q, r = jnp.linalg.qr(jr.normal(key, (5, 2)))
        # Without the signs, the first entries of the columns would have but one sign.
        return q * jnp.sign(jnp.diagonal(r))


class AngleTorus(rgen.AbstractMetricManifold):
    """The torus of revolution in two angles: around the axis, and around the circle."""

    dim = 2
    periods = (2 * math.pi, 2 * math.pi)

    def metric(self, x):
        return jnp.diag(
            jnp.stack([(1 + 0.5 * jnp.cos(x[1])) ** 2, jnp.full_like(x[1], 0.25)])
        )


class SphereByEquation(rgen.AbstractLevelSet):
    dim = 2
    point_shape = (3,)
    radius = 1.0
    crossings = 2

    @property
    def origin(self):
        return jnp.array([0.0, 0.0, 1.0])

    def constraint(self, x):
        return jnp.sum(x * x) - 1


class Clifford(rgen.AbstractLevelSet):
    """Two circles of radius 1, in R^4: the flat torus of two angles."""

    dim = 2
    point_shape = (4,)
    radius = math.sqrt(2)
    log_volume = 2 * math.log(2 * math.pi)

    @property
    def origin(self):
        return jnp.array([1.0, 0.0, 1.0, 0.0])

    def constraint(self, x):
        return jnp.array([x[0] ** 2 + x[1] ** 2 - 1, x[2] ** 2 + x[3] ** 2 - 1])


class RotationsByEquation(rgen.AbstractLevelSet):
    """SO(3), with the metric of `rgen.SpecialOrthogonal`."""

    dim = 3
    point_shape = (3, 3)
    metric_scale = 0.5
    radius = math.sqrt(3)
    log_volume = math.log(8 * math.pi**2)

    @property
    def origin(self):
        return jnp.eye(3)

    def constraint(self, x):
        return (x.T @ x - jnp.eye(3, dtype=x.dtype))[jnp.triu_indices(3)]


class UnitQuaternions(rgen.AbstractMatrixGroup):
    """SU(2), as the multiplications by a unit quaternion."""

    dim = 3
    n = 4
    metric_scale = 0.25
    log_volume = math.log(2 * math.pi**2)

    def algebra(self, z):
        return _multiply(jnp.concatenate([jnp.zeros_like(z[:1]), z]))

    def _project(self, x):
        units = jnp.stack([_multiply(e) for e in jnp.eye(4, dtype=x.dtype)])
        q = jnp.einsum("iab,ab->i", units, x)
        return _multiply(q / jnp.linalg.norm(q))

    def _uniform(self, key):
        q = jr.normal(key, (4,))
        return _multiply(q / jnp.linalg.norm(q))


def _multiply(q):
    a, b, c, d = q
    return jnp.array([[a, -b, -c, -d], [b, a, -d, c], [c, d, a, -b], [d, -c, b, a]])
