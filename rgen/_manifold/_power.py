import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .._numerics import safe_sqrt
from .._typing import BoolScalar, Key, Point, Scalar, Tangent
from ._base import AbstractManifold, check_manifold_type, check_size, combinations


class Power(AbstractManifold):
    r"""The power $\mathcal M^n$: `n` points of one manifold, with the metric
    $\langle u, v\rangle = \sum_i \langle u_i, v_i\rangle$.

    A point is an array of shape `(n, *manifold.point_shape)`. The work is vectorised
    over the copies; for factors that differ use [`rgen.Product`][].

    **Arguments:**

    - `manifold`: the manifold $\mathcal M$.
    - `n`: the number of copies, at least 1.
    """

    manifold: AbstractManifold
    n: int = eqx.field(static=True)

    def __init__(self, manifold: AbstractManifold, n: int):
        self.manifold = check_manifold_type("Power", manifold)
        self.n = n

    def __check_init__(self):
        check_size("Power", "n", self.n, 1)

    @property
    def dim(self) -> int:
        return self.n * self.manifold.dim

    @property
    def point_shape(self) -> tuple[int, ...]:
        return (self.n, *self.manifold.point_shape)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (self.n, *self.manifold.noise_shape)

    @property
    def compact(self) -> bool:
        return self.manifold.compact

    @property
    def is_group(self) -> bool:
        return self.manifold.is_group

    @property
    def period(self) -> float:
        period = self.manifold.period
        return period if self.n == 1 or math.isinf(period) else super().period

    @property
    def log_volume(self) -> float:
        return self.n * self.manifold.log_volume

    @property
    def spectral_gap(self) -> float:
        return self.manifold.spectral_gap

    @property
    def killing_size(self) -> int:
        return self.n * self.manifold.killing_size

    @property
    def origin(self) -> Point:
        return jnp.broadcast_to(self.manifold.origin, self.point_shape)

    def _exp(self, x: Point, v: Tangent) -> Point:
        return jax.vmap(self.manifold._exp)(x, v)

    def _log(self, x: Point, y: Point) -> Tangent:
        return jax.vmap(self.manifold._log)(x, y)

    def _dist(self, x: Point, y: Point) -> Scalar:
        return safe_sqrt(jnp.sum(jax.vmap(self.manifold._dist)(x, y) ** 2))

    def _inner(self, x: Point, u: Tangent, v: Tangent) -> Scalar:
        return jnp.sum(jax.vmap(self.manifold._inner)(x, u, v))

    def _project(self, x: Point) -> Point:
        return jax.vmap(self.manifold._project)(x)

    def _to_tangent(self, x: Point, v: Tangent) -> Tangent:
        return jax.vmap(self.manifold._to_tangent)(x, v)

    def _transport(self, x: Point, y: Point, v: Tangent) -> Tangent:
        return jax.vmap(self.manifold._transport)(x, y, v)

    def _contains(self, x: Point, atol: float) -> BoolScalar:
        return jnp.all(jax.vmap(lambda y: self.manifold._contains(y, atol))(x))

    def _frame(self, x: Point, z: Array) -> Tangent:
        return jax.vmap(self.manifold._frame)(x, z)

    def _basis(self, x: Point) -> Array:
        bases = jax.vmap(self.manifold._basis)(x)
        copies = jnp.eye(self.n, dtype=x.dtype)
        blocks = jnp.einsum("ij,ib...->ibj...", copies, bases)
        return blocks.reshape(self.dim, *self.point_shape)

    def _killing(self, x: Point, a: Array) -> Tangent:
        return jax.vmap(self.manifold._killing)(x, a.reshape(self.n, -1))

    def _features(self, x: Point) -> Array:
        return jnp.ravel(jax.vmap(self.manifold._features)(x))

    def _harmonics(self, x: Point, v: Array, n: int) -> Array:
        return jnp.ravel(jax.vmap(lambda x: self.manifold._harmonics(x, v, n))(x))

    def _log_det_exp(self, x: Point, v: Tangent) -> Scalar:
        return jnp.sum(jax.vmap(self.manifold._log_det_exp)(x, v))

    def _preimages(self, x: Point, y: Point, windings: int) -> Array:
        each = lambda x, y: self.manifold._preimages(x, y, windings)
        return jnp.stack(combinations(list(jax.vmap(each)(x, y))), 1)

    def _uniform(self, key: Key) -> Point:
        return jax.vmap(self.manifold._uniform)(jr.split(key, self.n))

    def _sharp(self, x: Point, a: Array) -> Tangent:
        return jax.vmap(self.manifold._sharp)(x, a)

    def _connection(self, x: Point, v: Tangent, f: Tangent, df: Array) -> Tangent:
        return jax.vmap(self.manifold._connection)(x, v, f, df)
