"""Exact draws from a law that is radial: a table of its quantiles."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._manifold import AbstractManifold
from .._typing import Key, Point, Scalar


# Rows are uniform in log(1 + v / _BEND): in v where the law of r / sqrt(v) is analytic
# in v, and in log v above.
_BEND = 0.05
_STEP = 0.125  # between rows, and between the radii of a normal vector


def radial_draw(
    manifold: AbstractManifold,
    table: Float[np.ndarray, "times radii"],
    x0: Point,
    v: Scalar,
    key: Key,
) -> Point:
    r"""$\exp_{x_0}(\sqrt v\,e^{f(|z|, v)} z)$ for a standard normal tangent vector $z$,
    with $f$ from `radial_table`.

    So a draw is a normal one, stretched: by nothing as $v \to 0$, and by as much as it
    takes to be uniform as $v \to \infty$."""
    z = manifold.tangent_noise(x0, key)
    radius = manifold.norm(x0, z)
    last = _BEND * math.expm1(_STEP * (table.shape[0] - 1))
    stretch = _interpolate(table, jnp.log1p(v / _BEND) / _STEP, radius / _STEP)
    return manifold.exp(x0, jnp.sqrt(jnp.minimum(v, last)) * jnp.exp(stretch) * z)


def radial_table(
    dim: int,
    log_prob: Callable[[Scalar, Scalar, Scalar], Scalar],
    log_area: Callable[[Scalar, Scalar], Scalar],
    last_time: float,
) -> Float[np.ndarray, "times radii"]:
    r"""$f = \log(r / \sqrt v \rho)$ on a grid of times and of $\rho$, where $r$ and the
    radius $\rho$ of a standard normal vector of $\mathbb R^d$ are at the same quantile
    of their laws.

    Computed in float64, and outside of any trace in which it is called.

    **Arguments:**

    - `dim`: $d$.
    - `log_prob`: $\log p_v$ as a function of $r$, $\pi - r$ and $v$.
    - `log_area`: the logarithm of the area of a geodesic sphere, up to a constant, as
      a function of $r$ and $\pi - r$.
    - `last_time`: when the law may be taken as uniform.
    """
    rows = 2 + int(np.log1p(last_time / _BEND) / _STEP)
    # The first row stands for v = 0, where f = 0.
    times = np.maximum(_BEND * np.expm1(_STEP * np.arange(rows)), 1e-6)
    radii = _STEP * np.arange(4 + int((np.sqrt(dim) + 8) / _STEP))
    # Panels that are fine at both ends, for both tails of the law.
    edges = np.arange(-24.0, 38.0, 0.4)
    offsets, weights = np.polynomial.legendre.leggauss(6)
    y = (edges[:-1, None] + 0.2 * (1 + offsets)).ravel()
    top = np.minimum(np.pi, (np.sqrt(dim) + 10) * np.sqrt(times))[:, None]
    r, below = top / (1 + np.exp(-y)), top / (1 + np.exp(y))
    rest = np.where(top < np.pi, np.pi - r, below)
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        density = lambda r, rest, v: log_prob(r, rest, v) + log_area(r, rest)
        density = jax.jit(jax.vmap(jax.vmap(density, (0, 0, None))))
        log_density = np.asarray(density(*map(jnp.asarray, (r, rest, times))))
    mass = np.exp(log_density - log_density.max(axis=1, keepdims=True)) * r * below
    mass = np.sum(mass.reshape(rows, -1, 6) * weights, axis=2)
    mass /= mass.sum(axis=1, keepdims=True)
    normal_radius = _chi_radius(dim, mass)
    radius = top / (1 + np.exp(-edges[1:-1]))
    return np.stack(
        [
            _resample(rho, np.log(r / np.sqrt(v)), radii)
            for rho, r, v in zip(normal_radius, radius, times, strict=True)
        ]
    )


def _chi_radius(
    dim: int, mass: Float[np.ndarray, "times panels"]
) -> Float[np.ndarray, "times edges"]:
    """The radii of a standard normal vector with the same mass below them as the inner
    edges of the panels. Each tail is summed from its own end."""
    from scipy.special import gammainccinv, gammaincinv

    below = np.cumsum(mass, axis=1)[:, :-1]
    above = np.cumsum(mass[:, ::-1], axis=1)[:, ::-1][:, 1:]
    low = gammaincinv(dim / 2, np.minimum(below, 0.6))
    high = gammainccinv(dim / 2, np.minimum(above, 0.6))
    return np.sqrt(2 * np.where(below < 0.5, low, high))


def _resample(
    rho: Float[np.ndarray, " edges"],
    log_radius: Float[np.ndarray, " edges"],
    grid: Float[np.ndarray, " radii"],
) -> Float[np.ndarray, " radii"]:
    # Imported here, since it takes as long as the rest of the library.
    from scipy.interpolate import CubicSpline

    # Beyond these bounds the tails are not resolved; f is even and smooth at 0.
    use = (rho > 1e-3) & (rho < grid[-1] + 2)
    rho, log_stretch = rho[use], log_radius[use] - np.log(rho[use])
    rho, log_stretch = np.append(0, rho), np.append(log_stretch[0], log_stretch)
    return CubicSpline(rho, log_stretch)(grid)


def _interpolate(
    table: Float[np.ndarray, "times radii"], row: Scalar, column: Scalar
) -> Scalar:
    """Bicubic interpolation at fractional indices; constant outside of the table."""
    i, row_weights = _lagrange(row, table.shape[0])
    j, column_weights = _lagrange(column, table.shape[1])
    values = jnp.asarray(table, row.dtype)
    block = jax.lax.dynamic_slice(values, (i, j), (4, 4))
    return row_weights @ block @ column_weights


def _lagrange(position: Scalar, size: int) -> tuple:
    position = jnp.clip(position, 0, size - 1)
    first = jnp.clip(jnp.floor(position) - 1, 0, size - 4)
    a, b, c, d = (position - first - k for k in range(4))
    weights = jnp.stack([-b * c * d / 6, a * c * d / 2, -a * b * d / 2, a * b * c / 6])
    return first.astype(int), weights
