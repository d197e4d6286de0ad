import math
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .._numerics import (
    asinc_sq,
    cos_sq,
    log_sphere_volume,
    safe_norm,
    safe_sqrt,
    sinc_sq,
    skew,
    unit,
)
from .._typing import BoolScalar, Key, Point, Scalar, Tangent
from ._base import check_size
from ._embedded import AbstractEmbeddedManifold


class Sphere(AbstractEmbeddedManifold):
    r"""The unit sphere $S^d = \{x \in \mathbb R^{d+1} : |x| = 1\}$ with the metric of
    the surrounding space.

    A point is a unit vector of shape `(dim + 1,)`. Distances run from 0 to $\pi$; the
    cut locus of `x` is its antipode.

    **Arguments:**

    - `dim`: the dimension $d \ge 1$ of the sphere, not of the space around it.
    """

    dim: int = eqx.field(static=True)
    compact: ClassVar[bool] = True
    period: ClassVar[float] = 2 * math.pi  # pyright: ignore

    def __check_init__(self):
        check_size("Sphere", "dim", self.dim, 1)

    @property
    def point_shape(self) -> tuple[int, ...]:
        return (self.dim + 1,)

    @property
    def log_volume(self) -> float:
        return log_sphere_volume(self.dim)

    @property
    def spectral_gap(self) -> float:
        return float(self.dim)

    @property
    def killing_size(self) -> int:
        return (self.dim + 1) * self.dim // 2

    @property
    def origin(self) -> Point:
        """The last unit vector, the north pole."""
        return jnp.zeros(self.point_shape).at[-1].set(1)

    def _exp(self, x: Point, v: Tangent) -> Point:
        s = jnp.sum(v * v)
        return self._project(cos_sq(s) * x + sinc_sq(s) * v)

    def _log(self, x: Point, y: Point) -> Tangent:
        close, sin_sq = self._half_angle(x, y)
        nearby = asinc_sq(sin_sq) / jnp.sqrt(1 - sin_sq) * self._to_tangent(x, y - x)
        far = jnp.where(close, x, y) + x
        direction = unit(self._to_tangent(x, far), otherwise=self._basis(x)[0])
        return jnp.where(close, nearby, self._dist(x, y) * direction)

    def _dist(self, x: Point, y: Point) -> Scalar:
        close, sin_sq = self._half_angle(x, y)
        nearby = 2 * asinc_sq(sin_sq) * safe_sqrt(sin_sq)
        # |y - x| / 2 and |y + x| / 2 are the sine and cosine of half the angle.
        near = jnp.where(close, self._basis(x)[0], y - x)
        away = 2 * jnp.arctan2(safe_norm(near), safe_norm(y + x))
        return jnp.where(close, nearby, away)

    def _half_angle(self, x: Point, y: Point) -> tuple[BoolScalar, Scalar]:
        """Whether the points are within about a radian, and the square of the sine of
        half the angle then, else 0: from the part of y - x across x, for that along it
        is rounding where the points are near."""
        across = self._to_tangent(x, y - x)
        sq, close = jnp.sum(across * across), jnp.sum((y - x) ** 2) < 0.8
        sq = jnp.where(close, sq, 0)
        return close, sq / (2 * (1 + jnp.sqrt(1 - sq)))

    def _project(self, x: Point) -> Point:
        return x / jnp.sqrt(jnp.sum(x * x))

    def _to_tangent(self, x: Point, v: Tangent) -> Tangent:
        return v - jnp.sum(x * v) * x

    def _transport(self, x: Point, y: Point, v: Tangent) -> Tangent:
        # A reflection along x + y, whose part along x is |x + y|^2 / 2. Near the
        # antipode, where x + y is all rounding, only this form of it is tangent.
        far = x + y
        total = self._to_tangent(x, far) + jnp.sum(far * far) / 2 * x
        n = unit(total, otherwise=self._basis(x)[0])
        return v - 2 * jnp.sum(n * v) * n

    def _contains(self, x: Point, atol: float) -> BoolScalar:
        return jnp.abs(safe_sqrt(jnp.sum(x * x)) - 1) <= atol

    def _basis(self, x: Point) -> Array:
        # The Householder reflection that takes the first axis to ±x takes the other
        # axes to a basis of the tangent space.
        h = x.at[0].add(jnp.where(x[0] < 0, -1, 1))
        axes = jnp.eye(self.dim + 1, dtype=x.dtype)[1:]
        return axes - 2 * jnp.outer(h[1:], h) / jnp.sum(h * h)

    def _killing(self, x: Point, a: Array) -> Tangent:
        return skew(self.dim + 1, a) @ x

    def _log_det_exp(self, x: Point, v: Tangent) -> Scalar:
        return (self.dim - 1) * jnp.log(jnp.abs(sinc_sq(jnp.sum(v * v))))

    def _uniform(self, key: Key) -> Point:
        return self._project(jr.normal(key, self.point_shape))
