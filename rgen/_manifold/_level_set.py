import abc
import functools
import math
from typing import final

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._typing import BoolScalar, Floating, Key, Point, Tangent
from ._crofton import log_area, uniform_on_hypersurface
from ._embedded import AbstractEmbeddedManifold
from ._geodesic import solve_geodesic


# Newton's iteration ends long before where it converges at all.
_MAX_STEPS = 50


class AbstractLevelSet(AbstractEmbeddedManifold):
    r"""The solutions of an equation, $\{x : c(x) = 0\}$, with the metric of the
    surrounding space: a surface, say, or the frames of the Stiefel manifold.

    **Hooks:**

    - `dim`, `point_shape`, `origin`: see [`rgen.AbstractManifold`][].
    - `constraint(x)`: $c(x)$, an array with as many entries as the manifold has
      dimensions less than the arrays.
    - `radius`: that of a ball about zero which holds the manifold: finite says that
      it is compact (default: infinite).
    - `crossings`: the most points in which a line meets a compact hypersurface
      (default: 8).

    $c$ is smooth, and its Jacobian $J$ has full rank on the manifold: of a symmetric
    matrix that has to vanish give the upper triangle. By automatic differentiation,

    - the projection to the tangent space is $v - J^\top (J J^\top)^{-1} J v$;
    - `project` is Newton's iteration for the nearest point, which the array has to be
      nearer to than the radii of curvature;
    - `exp` solves the geodesic equation
      $x'' = -J^\top (J J^\top)^{-1}\, D^2 c\,[x', x']$ by Diffrax's `Tsit5`, to a
      relative and absolute tolerance of 1e-6 in float32 and 1e-10 in float64, and
      moves its end onto the manifold.

    The uniform distribution of a compact *hypersurface*, where $c(x)$ is one number, is
    sampled by random lines, each point in which a line meets the surface being equally
    likely (Cauchy and Crofton): exactly, up to pairs of points on one line that are
    nearer than `radius / 64`. `log_volume` comes from 65536 lines, once for each
    manifold, and is right to about 0.3 %. Write `_uniform` and `log_volume` where you
    know better, and where $c(x)$ has several entries.
    """

    @property
    def radius(self) -> float:
        """The radius of a ball about zero that holds the manifold."""
        return math.inf

    @property
    def crossings(self) -> int:
        """The most points in which a line meets a compact hypersurface."""
        return 8

    @property
    def compact(self) -> bool:
        """Whether `radius` is finite."""
        return math.isfinite(self.radius)

    @property
    def log_volume(self) -> float:
        if self.compact and self._is_hypersurface:
            return _log_area(self) + self.dim / 2 * math.log(self.metric_scale)
        return super().log_volume

    @abc.abstractmethod
    def constraint(self, x: Point) -> Floating[Array, "..."]:
        """What is zero on the manifold, at an array near it."""

    @property
    @final
    def _is_hypersurface(self) -> bool:
        return math.prod(self.point_shape) == self.dim + 1

    def _constraint(self, x: Point) -> Array:
        value = jnp.ravel(jnp.asarray(self.constraint(x)))
        expected = math.prod(self.point_shape) - self.dim
        if value.size != expected:
            raise ValueError(
                f"{type(self).__name__}.constraint: expected {expected} entries, the "
                f"size {math.prod(self.point_shape)} of a point less the dimension "
                f"{self.dim}, got {value.size}. Leave out equations that follow from "
                "others, such as the lower triangle of a symmetric matrix."
            )
        return value

    def _jacobian(self, x: Point) -> Array:
        return jax.jacrev(self._constraint)(x).reshape(-1, math.prod(self.point_shape))

    def _normal(self, x: Point, value: Array) -> Array:
        r"""$J^\top (J J^\top)^{-1}$ times `value`."""
        jacobian = self._jacobian(x)
        return (jacobian.T @ _solve_gram(jacobian, value)).reshape(self.point_shape)

    def _to_tangent(self, x: Point, v: Tangent) -> Tangent:
        jacobian = self._jacobian(x)
        change = _solve_gram(jacobian, jacobian @ jnp.ravel(v))
        return v - (jacobian.T @ change).reshape(self.point_shape)

    def _acceleration(self, x: Point, v: Tangent) -> Array:
        rate = lambda y: jax.jvp(self._constraint, (y,), (v,))[1]
        return -self._normal(x, jax.jvp(rate, (x,), (v,))[1])

    def _exp(self, x: Point, v: Tangent) -> Point:
        return self._land(solve_geodesic(self._acceleration, x, v))

    def _land(self, x: Point) -> Point:
        """The point on the manifold under `x`, which is off it by a tolerance: two
        steps square that twice."""
        step = lambda y, _: (y - self._normal(y, self._constraint(y)), None)
        return jax.lax.scan(step, x, length=2)[0]

    def _contains(self, x: Point, atol: float) -> BoolScalar:
        return jnp.max(jnp.abs(self._normal(x, self._constraint(x)))) <= atol

    def _project(self, x: Point) -> Point:
        y = _nearest(self, jax.lax.stop_gradient(x))
        # Newton's steps from the solution: the first two have its derivatives up to
        # the third order, without differentiating through the iteration.
        jacobian = self._jacobian(y)
        multiplier = _solve_gram(jacobian, jacobian @ jnp.ravel(x - y))
        step = lambda state, _: (self._newton(x, *state), None)
        start = y, jax.lax.stop_gradient(multiplier)
        return jax.lax.scan(step, start, length=2)[0][0]

    def _newton(self, x: Point, y: Point, multiplier: Array) -> tuple[Point, Array]:
        """A step for y + J(y)^T multiplier = x and c(y) = 0."""
        size = y.size
        jacobian = self._jacobian(y)
        bend = jax.hessian(lambda y: jnp.sum(multiplier * self._constraint(y)))(y)
        top = jnp.eye(size, dtype=y.dtype) + bend.reshape(size, size)
        zero = jnp.zeros((len(jacobian), len(jacobian)), y.dtype)
        matrix = jnp.block([[top, jacobian.T], [jacobian, zero]])
        rest = jnp.concatenate([jnp.ravel(x - y), -self._constraint(y)])
        solved = jnp.linalg.solve(matrix, rest)
        return y + solved[:size].reshape(y.shape), solved[size:]

    def _uniform(self, key: Key) -> Point:
        if not self._is_hypersurface:
            return super()._uniform(key)
        return self._land(uniform_on_hypersurface(self, key))


def _nearest(manifold: AbstractLevelSet, x: Point) -> Point:
    """The point nearest to `x`: Gauss-Newton along the normals, with the tangential
    part of the way back to `x`."""
    eps = jnp.finfo(x.dtype).eps

    def step(state: tuple[Point, Array, Array]) -> tuple[Point, Array, Array]:
        y, _, k = state
        move = manifold._to_tangent(y, x - y)
        move = move - manifold._normal(y, manifold._constraint(y))
        return y + move, jnp.max(jnp.abs(move)), k + 1

    def moves(state: tuple[Point, Array, Array]) -> Array:
        y, move, k = state
        return (move > 16 * eps * (1 + jnp.max(jnp.abs(y)))) & (k < _MAX_STEPS)

    start = x, jnp.asarray(jnp.inf, x.dtype), jnp.asarray(0)
    return jax.lax.while_loop(moves, step, start)[0]


def _solve_gram(jacobian: Array, value: Array) -> Array:
    gram = jacobian @ jacobian.T
    if len(gram) == 1:
        return value / gram[0]
    return jnp.linalg.solve(gram, value)


@functools.cache
def _log_area(manifold: AbstractLevelSet) -> float:
    return log_area(manifold)
