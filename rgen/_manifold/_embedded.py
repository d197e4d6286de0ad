import math
from typing import final

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._typing import Point, Scalar, Tangent
from ._base import AbstractManifold


class AbstractEmbeddedManifold(AbstractManifold):
    r"""A manifold whose metric is that of the arrays which hold its points, times
    `metric_scale`: $\langle u, v\rangle = c \sum_i u_i v_i$.

    **Hooks:**

    - `dim`, `point_shape`, `origin`, `compact`: see [`rgen.AbstractManifold`][].
    - `_to_tangent(x, v)`: the orthogonal projection to the tangent space, also for
      `x` near the manifold.
    - `_project(x)`: the nearest point of the manifold.
    - `metric_scale`: the constant $c$ (default: 1).

    The rest follows. The frame is the projection of ambient noise, and geodesics solve
    $x'' = (D_{x'} P)(x)\, x'$ with the projection $P(x)$ to the tangent space.
    """

    @property
    def metric_scale(self) -> float:
        """The constant $c$."""
        return 1.0

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return self.point_shape

    @final
    def _inner(self, x: Point, u: Tangent, v: Tangent) -> Scalar:
        return self.metric_scale * jnp.sum(u * v)

    @final
    def _sharp(self, x: Point, a: Array) -> Tangent:
        return self._to_tangent(x, a) / self.metric_scale

    @final
    def _connection(self, x: Point, v: Tangent, f: Tangent, df: Array) -> Tangent:
        return self._to_tangent(x, df)

    def _acceleration(self, x: Point, v: Tangent) -> Array:
        return jax.jvp(lambda y: self._to_tangent(y, v), (x,), (v,))[1]

    def _frame(self, x: Point, z: Array) -> Tangent:
        return self._to_tangent(x, z) / math.sqrt(self.metric_scale)
