import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .._numerics import safe_sqrt
from .._typing import BoolScalar, Floating, Key, Point, Scalar, Tangent, typed
from ._base import AbstractManifold, check_manifold_type, combinations


def _split(vector: Array, shapes: list[tuple[int, ...]]) -> list[Array]:
    ends = list(itertools.accumulate(math.prod(shape) for shape in shapes))
    pieces = jnp.split(vector, ends[:-1])
    return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]


def _sum(terms: list[Array]) -> Array:
    return jnp.sum(jnp.stack(terms))


def _join(pieces: list[Array]) -> Array:
    return jnp.concatenate([jnp.ravel(piece) for piece in pieces])


class Product(AbstractManifold):
    r"""The product $\mathcal M_1 \times \dots \times \mathcal M_k$ with the metric
    $\langle u, v\rangle = \sum_i \langle u_i, v_i\rangle$.

    A point is one vector: the points of the factors, ravelled, one after the other.
    [`split`][rgen.Product.split] takes it apart and [`join`][rgen.Product.join] puts it
    together; both do the same to tangent vectors.

    **Arguments:**

    - `manifolds`: the factors, one argument each. For many copies of one manifold use
        [`rgen.Power`][].
    """

    manifolds: tuple[AbstractManifold, ...]

    def __init__(self, *manifolds: AbstractManifold):
        if not manifolds:
            raise ValueError("Product: expected at least one manifold, got none.")
        self.manifolds = tuple(check_manifold_type("Product", m) for m in manifolds)

    @property
    def dim(self) -> int:
        return sum(m.dim for m in self.manifolds)

    @property
    def point_shape(self) -> tuple[int, ...]:
        return (sum(math.prod(m.point_shape) for m in self.manifolds),)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (sum(math.prod(m.noise_shape) for m in self.manifolds),)

    @property
    def compact(self) -> bool:
        return all(m.compact for m in self.manifolds)

    @property
    def is_group(self) -> bool:
        return all(m.is_group for m in self.manifolds)

    @property
    def period(self) -> float:
        periods = [m.period for m in self.manifolds]
        infinite = all(map(math.isinf, periods))
        return periods[0] if len(periods) == 1 or infinite else super().period

    @property
    def log_volume(self) -> float:
        return sum(m.log_volume for m in self.manifolds)

    @property
    def spectral_gap(self) -> float:
        return min(m.spectral_gap for m in self.manifolds)

    @property
    def killing_size(self) -> int:
        return sum(m.killing_size for m in self.manifolds)

    @property
    def origin(self) -> Point:
        return _join([m.origin for m in self.manifolds])

    @typed
    def split(self, x: Floating[Array, " size"]) -> list[Array]:
        """The points (or tangent vectors) of the factors that make up `x`."""
        self._check_shapes("split", x=x)
        return _split(x, [m.point_shape for m in self.manifolds])

    def join(self, *points: Array) -> Floating[Array, " size"]:
        """The point (or tangent vector) that is made up of one for each factor."""
        if len(points) != len(self.manifolds):
            raise ValueError(
                f"Product.join: expected {len(self.manifolds)} points, one for each "
                f"factor, got {len(points)}. Give each as an argument."
            )
        for manifold, point in zip(self.manifolds, points, strict=True):
            manifold._check_shapes("join", points=point)
        return _join(list(points))

    def _each(self, f: Callable[..., Array], *arrays: Array) -> list[Array]:
        """`f(manifold, *pieces)` for every factor."""
        pieces = [self.split(array) for array in arrays]
        return [f(*args) for args in zip(self.manifolds, *pieces, strict=True)]

    def _exp(self, x: Point, v: Tangent) -> Point:
        return _join(self._each(lambda m, x, v: m._exp(x, v), x, v))

    def _log(self, x: Point, y: Point) -> Tangent:
        return _join(self._each(lambda m, x, y: m._log(x, y), x, y))

    def _dist(self, x: Point, y: Point) -> Scalar:
        return safe_sqrt(_sum(self._each(lambda m, x, y: m._dist(x, y) ** 2, x, y)))

    def _inner(self, x: Point, u: Tangent, v: Tangent) -> Scalar:
        return _sum(self._each(lambda m, x, u, v: m._inner(x, u, v), x, u, v))

    def _project(self, x: Point) -> Point:
        return _join(self._each(lambda m, x: m._project(x), x))

    def _to_tangent(self, x: Point, v: Tangent) -> Tangent:
        return _join(self._each(lambda m, x, v: m._to_tangent(x, v), x, v))

    def _transport(self, x: Point, y: Point, v: Tangent) -> Tangent:
        return _join(self._each(lambda m, x, y, v: m._transport(x, y, v), x, y, v))

    def _contains(self, x: Point, atol: float) -> BoolScalar:
        return jnp.all(jnp.stack(self._each(lambda m, x: m._contains(x, atol), x)))

    def _frame(self, x: Point, z: Array) -> Tangent:
        noise = _split(z, [m.noise_shape for m in self.manifolds])
        factors = zip(self.manifolds, self.split(x), noise, strict=True)
        return _join([m._frame(x, z) for m, x, z in factors])

    def _basis(self, x: Point) -> Array:
        bases = self._each(lambda m, x: m._basis(x).reshape(m.dim, -1), x)
        return jax.scipy.linalg.block_diag(*bases)

    def _killing(self, x: Point, a: Array) -> Tangent:
        coefficients = _split(a, [(m.killing_size,) for m in self.manifolds])
        factors = zip(self.manifolds, self.split(x), coefficients, strict=True)
        return _join([m._killing(x, a) for m, x, a in factors])

    def _features(self, x: Point) -> Array:
        return jnp.concatenate(self._each(lambda m, x: m._features(x), x))

    def _harmonics(self, x: Point, v: Array, n: int) -> Array:
        each = jnp.broadcast_to(v, (len(self.manifolds),))
        factors = zip(self.manifolds, self.split(x), each, strict=True)
        return jnp.concatenate([m._harmonics(x, v, n) for m, x, v in factors])

    def _log_det_exp(self, x: Point, v: Tangent) -> Scalar:
        return _sum(self._each(lambda m, x, v: m._log_det_exp(x, v), x, v))

    def _preimages(self, x: Point, y: Point, windings: int) -> Array:
        each = self._each(lambda m, x, y: m._preimages(x, y, windings), x, y)
        return jnp.concatenate(
            combinations([v.reshape(len(v), -1) for v in each]), axis=1
        )

    def _uniform(self, key: Key) -> Point:
        keys = jr.split(key, len(self.manifolds))
        factors = zip(self.manifolds, keys, strict=True)
        return _join([m._uniform(k) for m, k in factors])

    def _sharp(self, x: Point, a: Array) -> Tangent:
        return _join(self._each(lambda m, x, a: m._sharp(x, a), x, a))

    def _connection(self, x: Point, v: Tangent, f: Tangent, df: Array) -> Tangent:
        connect = lambda m, x, v, f, df: m._connection(x, v, f, df)
        return _join(self._each(connect, x, v, f, df))
