import abc
import functools
import itertools
import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array

from .._rejection import rejection_sample
from .._typing import BoolScalar, Floating, Key, Point, Scalar, Tangent
from ._base import AbstractManifold


# Points of the grids on which the volume is integrated, the highest dimension that
# leaves eight of them on an axis, and by how much the two may disagree.
_GRID = 2**16
_MOST_DIM = 5
_DISAGREEMENT = 5e-3


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
      trapezoidal rule on two grids of about 32768 points, up to dimension 5; where they
      disagree by 1 % a `ValueError` is raised. The uniform distribution is sampled by
      rejection below the maximum there and 5 % more.
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

        def propose(key: Key) -> tuple[Point, Scalar]:
            x = periods * jr.uniform(key, (self.dim,), minval=-0.5, maxval=0.5)
            return x, self._density(x) - top

        return rejection_sample(propose, key)


@functools.cache
def _volume(manifold: AbstractMetricManifold) -> tuple[float, float]:
    """The logarithms of the volume, and of the largest density of the coordinates."""
    if manifold.dim > _MOST_DIM:
        raise NotImplementedError(
            f"{type(manifold).__name__}: the volume is integrated on a grid up to "
            f"dimension {_MOST_DIM}, got {manifold.dim}. Define `log_volume` and "
            "`_uniform`."
        )
    n = math.ceil((_GRID / 2) ** (1 / manifold.dim))
    # Two grids that are as far from each other as they can be.
    grids = [_grid_values(manifold, n, shift) for shift in (0.0, 0.5)]
    top = float(max(values.max() for values in grids))
    means = [float(np.mean(np.exp(values.astype(float) - top))) for values in grids]
    if abs(means[0] - means[1]) > _DISAGREEMENT * sum(means):
        raise ValueError(
            f"{type(manifold).__name__}: the metric varies too fast for a grid of {n} "
            f"points an axis: on two of them the volume is {means[0] / means[1]:.3g} "
            "times as large. Define `log_volume` and `_uniform`."
        )
    log_box = sum(map(math.log, manifold.periods))
    return top + math.log(sum(means) / 2) + log_box, top


def _grid_values(manifold: AbstractMetricManifold, n: int, shift: float) -> np.ndarray:
    axes = [(np.arange(n) + shift) / n * period for period in manifold.periods]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, manifold.dim)
    with jax.ensure_compile_time_eval():
        return np.asarray(jax.jit(jax.vmap(manifold._density))(jnp.asarray(grid)))
