import abc
import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array

from .._typing import BoolScalar, Floating, Key, Point, Scalar, Tangent
from ._base import AbstractManifold


# Points of the grid on which the volume is integrated.
_GRID = 2**16


class AbstractMetricManifold(AbstractManifold):
    r"""A manifold in one set of coordinates $x \in \mathbb R^d$, from its metric:
    $\langle u, v\rangle_x = u^\top g(x)\, v$.

    **Hooks:**

    - `dim`: the dimension.
    - `metric(x)`: $g(x)$, a positive definite matrix of shape `(dim, dim)`.
    - `periods`: the period of each coordinate, infinite where it has none (default:
      infinite).
    - `origin`: a marked point, in the default dtype (default: zeros).

    Every vector is a point, and coordinates with a period wrap: $g$ has those periods.
    The manifold is compact where all coordinates have one. By automatic
    differentiation,

    - the basis is $L^{-1}$ with Cholesky's $g = L L^\top$, and the frame that of it;
    - the connection is Levi-Civita's, by the Christoffel symbols;
    - `exp` solves the geodesic equation by Diffrax's `Tsit5`, to a relative and
      absolute tolerance of 1e-6 in float32 and 1e-10 in float64;
    - the volume of a compact manifold is the integral of $\sqrt{\det g}$ by the
      trapezoidal rule on about 65536 points, and the uniform distribution is sampled
      by rejection below the maximum there and 5 % more.
    """

    @abc.abstractmethod
    def metric(self, x: Point) -> Floating[Array, "dim dim"]:
        """The matrix of the metric at `x`."""

    @property
    def periods(self) -> tuple[float, ...]:
        """The period of each coordinate, infinite where it has none."""
        return (math.inf,) * self.dim

    @property
    def compact(self) -> bool:
        """Whether every coordinate has a period."""
        return all(map(math.isfinite, self.periods))

    @property
    def point_shape(self) -> tuple[int, ...]:
        return (self.dim,)

    @property
    def origin(self) -> Point:
        return jnp.zeros(self.dim)

    @property
    def log_volume(self) -> float:
        return _volume(self)[0] if self.compact else math.inf

    def _inner(self, x: Point, u: Tangent, v: Tangent) -> Scalar:
        return u @ self._metric(x) @ v

    def _metric(self, x: Point) -> Array:
        value = jnp.asarray(self.metric(x))
        self._check_shape("metric", "the matrix", value, (self.dim, self.dim))
        return value

    def _to_tangent(self, x: Point, v: Tangent) -> Tangent:
        return v

    def _project(self, x: Point) -> Point:
        if not any(map(math.isfinite, self.periods)):
            return x
        periods = jnp.asarray([p if math.isfinite(p) else 1 for p in self.periods])
        wraps = jnp.asarray([math.isfinite(p) for p in self.periods])
        periods = periods.astype(x.dtype)
        return jnp.where(wraps, x - periods * jnp.round(x / periods), x)

    def _contains(self, x: Point, atol: float) -> BoolScalar:
        return jnp.array(True)

    def _connection(self, x: Point, v: Tangent, f: Tangent, df: Array) -> Tangent:
        along = lambda v: jax.jvp(self._metric, (x,), (v,))
        metric, slope_v = along(v)
        slope_f = along(f)[1]
        gradient = jax.grad(lambda y: v @ self._metric(y) @ f)(x)
        symbols = (slope_v @ f + slope_f @ v - gradient) / 2
        return df + jnp.linalg.solve(metric, symbols)

    def _features(self, x: Point) -> Array:
        angle = lambda i, p: 2 * math.pi * x[i] / p
        entries = [
            [jnp.cos(angle(i, p)), jnp.sin(angle(i, p))] if math.isfinite(p) else [x[i]]
            for i, p in enumerate(self.periods)
        ]
        return jnp.stack(list(itertools.chain.from_iterable(entries)))

    def _density(self, x: Point) -> Scalar:
        return jnp.linalg.slogdet(self._metric(x))[1] / 2

    def _uniform(self, key: Key) -> Point:
        top = _volume(self)[1] + math.log(1.05)
        periods = jnp.asarray(self.periods, jnp.zeros(()).dtype)

        def propose(key: Key) -> tuple[Point, BoolScalar]:
            point_key, uniform_key = jr.split(key)
            x = periods * jr.uniform(point_key, (self.dim,), minval=-0.5, maxval=0.5)
            # In (0, 1], so that a density of nearly zero is nearly never accepted.
            u = 1 - jr.uniform(uniform_key)
            return x, jnp.log(u) <= self._density(x) - top

        def again(state: tuple[Key, Any]) -> tuple[Key, Any]:
            key, proposal_key = jr.split(state[0])
            return key, propose(proposal_key)

        # From values that vary as the key does, also inside of jax.shard_map.
        blank = 0 * jr.normal(key, (self.dim,))
        start = key, (blank, jnp.any(blank > 0))
        return jax.lax.while_loop(lambda state: ~state[1][1], again, start)[1][0]


@functools.cache
def _volume(manifold: AbstractMetricManifold) -> tuple[float, float]:
    """The logarithms of the volume, and of the largest density of the coordinates."""
    n = math.ceil(_GRID ** (1 / manifold.dim))
    axes = [np.arange(n) / n * period for period in manifold.periods]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, manifold.dim)
    with jax.ensure_compile_time_eval():
        density = np.asarray(jax.jit(jax.vmap(manifold._density))(jnp.asarray(grid)))
    top = float(density.max())
    mean = float(np.mean(np.exp(density.astype(float) - top)))
    return top + math.log(mean) + sum(map(math.log, manifold.periods)), top
