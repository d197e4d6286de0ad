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
        return jnp.linalg.qr(jr.normal(key, (5, 2)))[0]


class AngleTorus(rgen.AbstractMetricManifold):
    """The torus of revolution in two angles: around the axis, and around the circle."""

    dim = 2
    periods = (2 * math.pi, 2 * math.pi)

    def metric(self, x):
        return jnp.diag(
            jnp.stack([(1 + 0.5 * jnp.cos(x[1])) ** 2, jnp.full_like(x[1], 0.25)])
        )
