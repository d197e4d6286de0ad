"""Exact samples of radial distributions, from a table of quantiles."""

import math
from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._manifold import AbstractManifold
from .._typing import Key, Point, Scalar


_Grid: TypeAlias = Float[np.ndarray, "..."]

# Rows are uniform in log(1 + v / bend): in v where the distribution of r / sqrt(v) is
# analytic in v, and in log v above. The bend is this one, and falls as 1 / d in high
# dimension.
_BEND = 0.05
_STEP = 0.125  # between rows, and between the radii of a normal vector


def radial_sample(
    manifold: AbstractManifold,
    table: Float[np.ndarray, "variances radii"],
    x0: Point,
    v: Scalar,
    key: Key,
) -> Point:
    r"""$\exp_{x_0}(\sqrt v\,e^{f(|z|, v)} z)$ for a standard normal tangent vector $z$,
    with $f$ from `radial_table`.

    So a sample is a normal vector, stretched: by nothing as $v \to 0$, and by as much
    as it takes to be uniform as $v \to \infty$."""
    z = manifold.tangent_noise(x0, key)
    radius = manifold.norm(x0, z)
    bend = _bend(manifold.dim)
    last = bend * math.expm1(_STEP * (table.shape[0] - 1))
    stretch = _interpolate(table, jnp.log1p(v / bend) / _STEP, radius / _STEP)
    return manifold.exp(x0, jnp.sqrt(jnp.minimum(v, last)) * jnp.exp(stretch) * z)


def radial_table(
    dim: int,
    log_prob: Callable[[_Grid, _Grid, _Grid], _Grid],
    log_area: Callable[[_Grid, _Grid], _Grid],
    last_variance: float,
    codimension: int,
) -> Float[np.ndarray, "variances radii"]:
    r"""$f = \log(r / \sqrt v \rho)$ on a grid of variances and of $\rho$, where $r$ and
    the radius $\rho$ of a standard normal vector of $\mathbb R^d$ are at the same
    quantile of their distributions.

    Computed with NumPy, since compiling the same takes seconds, and the density in
    float32, which is accurate to 1e-6 of the table's 1e-4.

    **Arguments:**

    - `dim`: $d$.
    - `log_prob`: $\log p_v$ as a function of $r$, $\pi - r$ and $v$.
    - `log_area`: the logarithm of the area of a geodesic sphere, up to a constant, as
      a function of $r$ and $\pi - r$.
    - `last_variance`: when the distribution may be taken as uniform.
    - `codimension`: that of the cut locus, where the mass beyond $r$ vanishes as a
        power of $\pi - r$.
    """
    bend, stop = _bend(dim), math.sqrt(dim) + 8
    rows = 2 + int(np.log1p(last_variance / bend) / _STEP)
    # The first row stands for v = 0, where f = 0.
    variances = np.maximum(bend * np.expm1(_STEP * np.arange(rows)), 1e-6)
    rho = _STEP * np.arange(4 + int(stop / _STEP))
    normal_radii, normal_logits = _normal_quantiles(dim, rho[-1])
    # Panels in the logit of r over its upper bound, fine at both ends for both tails.
    # In high dimension the distribution is narrow.
    root, margin = math.sqrt(dim), 14 / dim
    start = min(0.0, math.log(root / 10)) - min(8.0, 46 / dim + 24 / root)
    end = 3 + (root + 8) ** 2 / (2 * codimension)
    edges = np.arange(start - margin, end + margin, 0.2 * min(1.0, 2 / root))
    y, weights = _panels(edges)
    # Nearer to its ends the mass beyond them is missed.
    use = (edges > start) & (edges < end)
    out = np.empty((rows, len(rho)))
    for i, v in enumerate(variances):
        top = min(math.pi, (root + 10) * math.sqrt(v))
        r, below = top / (1 + np.exp(-y)), top / (1 + np.exp(y))
        supplement = math.pi - r if top < math.pi else below
        exact = (r, supplement, np.full_like(r, v))
        log_density = log_prob(*(x.astype(np.float32) for x in exact))
        log_mass = log_density + log_area(r, supplement) + np.log(r * below * weights)
        logits = _logits(log_mass)[use]
        log_r = math.log(top) - np.logaddexp(0, -edges[use])
        inside = (logits > normal_logits[0]) & (logits < normal_logits[-1])
        radius = _cubic(normal_logits, normal_radii, logits[inside])
        log_stretch = log_r[inside] - np.log(radius) - math.log(v) / 2
        out[i] = _cubic(radius, log_stretch, rho)
    return out


def _bend(dim: int) -> float:
    return min(_BEND, 10 * _BEND / dim)


def _normal_quantiles(dim: int, stop: float) -> tuple[_Grid, _Grid]:
    """The lengths of a normal vector between two that are out of reach, and the logits
    of the probabilities that it is shorter."""
    edges = np.concatenate(
        [np.geomspace(1e-4, 0.1, 60), np.arange(0.11, stop + 2, 0.03)]
    )
    x, weights = _panels(np.concatenate([[0], edges, edges[-1] + np.arange(1.0, 5.0)]))
    logits = _logits((dim - 1) * np.log(x) - x * x / 2 + np.log(weights))
    logits = logits[1 : 1 + len(edges)]
    # In high dimension the probability of the shorter ones is no float.
    use = np.isfinite(logits)
    return edges[use], logits[use]


def _panels(edges: Float[np.ndarray, " edges"]) -> tuple[_Grid, _Grid]:
    """Nodes and weights of Gauss's rule on each panel."""
    nodes, weights = np.polynomial.legendre.leggauss(_ORDER)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + nodes)).ravel(), (half * weights).ravel()


_ORDER = 3


def _logits(log_mass: _Grid) -> _Grid:
    """The logit of the share of the mass below each edge, from the logarithm of
    the mass of each node. Each tail is summed from its own end."""
    mass = np.exp(log_mass - log_mass.max()).reshape(-1, _ORDER).sum(axis=1)
    below, above = np.cumsum(mass)[:-1], np.cumsum(mass[::-1])[::-1][1:]
    with np.errstate(divide="ignore"):
        logits = np.log(below) - np.log(above)
    return np.concatenate([[-np.inf], logits, [np.inf]])


def _cubic(x: _Grid, y: _Grid, at: _Grid) -> _Grid:
    """Cubic interpolation of a function of the increasing numbers `x`, constant
    outside of them."""
    at = np.clip(at, x[0], x[-1])
    first = np.clip(np.searchsorted(x, at) - 2, 0, len(x) - 4)
    nodes = [x[first + k] for k in range(4)]
    out = np.zeros_like(at)
    for k, node in enumerate(nodes):
        others = [(at - other) / (node - other) for other in nodes if other is not node]
        out += y[first + k] * others[0] * others[1] * others[2]
    return out


def _interpolate(
    table: Float[np.ndarray, "variances radii"], row: Scalar, column: Scalar
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
