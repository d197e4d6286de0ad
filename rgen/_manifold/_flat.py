import abc

import jax.numpy as jnp
from jaxtyping import Array

from .._numerics import safe_norm
from .._typing import BoolScalar, Point, Scalar, Tangent
from ._embedded import AbstractEmbeddedManifold


class AbstractFlat(AbstractEmbeddedManifold):
    r"""$\mathbb R^d$, or $\mathbb R^d$ modulo a lattice: everything is as in Euclidean
    space but for a wrap.

    **Hooks:**

    - `dim`, `compact`: see [`rgen.AbstractManifold`][].
    - `_wrap(x)`: the vector, among those that `x` is identified with, that is
      nearest to zero.

    A new one that is compact also writes `log_volume`, `spectral_gap`, `_uniform` and
    `_features`.
    """

    @property
    def point_shape(self) -> tuple[int, ...]:
        return (self.dim,)

    @property
    def origin(self) -> Point:
        return jnp.zeros(self.dim)

    @property
    def is_group(self) -> bool:
        return True

    @property
    def killing_size(self) -> int:
        return self.dim

    @abc.abstractmethod
    def _wrap(self, x: Array) -> Array:
        """The vector nearest to zero of those that `x` is identified with."""

    def _exp(self, x: Point, v: Tangent) -> Point:
        return self._wrap(x + v)

    def _log(self, x: Point, y: Point) -> Tangent:
        return self._wrap(y - x)

    def _dist(self, x: Point, y: Point) -> Scalar:
        return safe_norm(self._wrap(y - x))

    def _project(self, x: Point) -> Point:
        return self._wrap(x)

    def _to_tangent(self, x: Point, v: Tangent) -> Tangent:
        return v

    def _transport(self, x: Point, y: Point, v: Tangent) -> Tangent:
        return v

    def _contains(self, x: Point, atol: float) -> BoolScalar:
        return jnp.array(True)

    def _frame(self, x: Point, z: Array) -> Tangent:
        return z

    def _basis(self, x: Point) -> Array:
        return jnp.eye(self.dim, dtype=x.dtype)

    def _killing(self, x: Point, a: Array) -> Tangent:
        return a

    def _log_det_exp(self, x: Point, v: Tangent) -> Scalar:
        return jnp.zeros((), x.dtype)
