import math
from functools import singledispatch
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array

from .._manifold._base import AbstractManifold
from .._manifold._hyperbolic import Hyperbolic, log_sinhc_sq, translate
from .._manifold._power import Power
from .._manifold._product import Product
from .._manifold._special_orthogonal import SpecialOrthogonal
from .._manifold._sphere import Sphere
from .._manifold._torus import Torus
from .._numerics import log_sum_exp
from .._typing import Floating, Key, Point, Scalar, typed
from ._base import AbstractDistribution, require


# Turns around a closed geodesic, in either direction. Those left out weigh less than
# a rounding error of float64 for scales up to 4.
_TURNS = 6

_UNKNOWN = (
    "WrappedNormal: no density is known on {}: which tangent vectors end in one point "
    "is known on Sphere, Torus, SpecialOrthogonal(2), SpecialOrthogonal(3), manifolds "
    "that are not compact, and products of those. Use a heat kernel, or draw only."
)


class WrappedNormal(AbstractDistribution):
    r"""The law of $\exp_\mu(\sigma Z)$ for a standard normal tangent vector $Z$ at the
    mean $\mu$.

    The density is exact. It sums over every tangent vector that ends in `x`,

    $$p(x) = \sum_{v\,:\,\exp_\mu(v) = x}
    \frac{(2\pi\sigma^2)^{-d/2} e^{-|v|^2/2\sigma^2}}{|\det \mathrm d(\exp_\mu)_v|},$$

    that is, over the turns around the closed geodesics of a compact manifold, for
    $\sigma \le 4$. Where whole spheres of vectors end in one point, as $|v| = \pi$ does
    in the antipode of a sphere and $|v| = 2\pi$ in the mean itself, the density is
    infinite, and what is returned there is finite.

    For a mixture, map the constructor:
    `Mixture(eqx.filter_vmap(lambda m, s: WrappedNormal(manifold, m, s))(means, scales),
    log_weights)`.

    **Arguments:**

    - `manifold`: where the law lives.
    - `mean`: the point $\mu$.
    - `scale`: the standard deviation $\sigma > 0$ of each component of the tangent
        vector, in the metric's unit of length. One that is not positive is an error.

    `log_prob` raises a `NotImplementedError` on a compact manifold whose preimages are
    not known.
    """

    manifold: AbstractManifold
    mean: Point
    scale: Scalar

    @typed
    def __init__(self, manifold: AbstractManifold, mean: Point, scale: Scalar | float):
        if mean.shape != manifold.point_shape:
            raise ValueError(
                f"WrappedNormal: expected `mean` to be a point of {manifold}, of shape "
                f"{manifold.point_shape}, got {mean.shape}. Map over several with "
                "eqx.filter_vmap."
            )
        scale = jnp.asarray(scale, mean.dtype)
        self.manifold = manifold
        self.mean = mean
        self.scale = require(
            scale > 0, scale, "WrappedNormal: expected `scale` to be positive"
        )

    @typed
    def log_prob(self, x: Point) -> Scalar:
        return _log_density(self.manifold, self.mean, x, self.scale)

    @typed
    def sample(self, key: Key) -> Point:
        noise = self.manifold.tangent_noise(self.mean, key)
        return self.manifold.exp(self.mean, self.scale * noise)


@singledispatch
def _log_density(manifold: Any, mean: Point, x: Point, scale: Scalar) -> Scalar:
    if manifold.compact:
        raise NotImplementedError(_UNKNOWN.format(manifold))
    return _principal(manifold, mean, x, scale)


@_log_density.register
def _(manifold: Sphere, mean: Point, x: Point, scale: Scalar) -> Scalar:
    return _sum_over_turns(manifold, mean, x, scale, manifold.dim - 1)


@_log_density.register
def _(manifold: SpecialOrthogonal, mean: Point, x: Point, scale: Scalar) -> Scalar:
    if manifold.n > 3:
        raise NotImplementedError(_UNKNOWN.format(manifold))
    return _sum_over_turns(manifold, mean, x, scale, manifold.dim - 1)


@_log_density.register
def _(manifold: Torus, mean: Point, x: Point, scale: Scalar) -> Scalar:
    angles = manifold.log(mean, x)
    corrections = jax.vmap(lambda a: log_sum_exp(_log_ratios(a, scale)))(angles)
    return _principal(manifold, mean, x, scale) + jnp.sum(corrections)


@_log_density.register
def _(manifold: Hyperbolic, mean: Point, x: Point, scale: Scalar) -> Scalar:
    # Of the squared distance alone: the general formula compiles three times as long.
    sq = jnp.sum(translate(-mean, x) ** 2)
    volume = (manifold.dim - 1) * log_sinhc_sq(sq)
    return _normal(manifold.dim, sq, scale) - volume


@_log_density.register
def _(manifold: Product, mean: Point, x: Point, scale: Scalar) -> Scalar:
    factors = zip(
        manifold.manifolds, manifold.split(mean), manifold.split(x), strict=True
    )
    terms = [_log_density(m, factor, point, scale) for m, factor, point in factors]
    return jnp.sum(jnp.stack(terms))


@_log_density.register
def _(manifold: Power, mean: Point, x: Point, scale: Scalar) -> Scalar:
    one = lambda mean, x: _log_density(manifold.manifold, mean, x, scale)
    return jnp.sum(jax.vmap(one)(mean, x))


def _principal(
    manifold: AbstractManifold, mean: Point, x: Point, scale: Scalar
) -> Scalar:
    """The term of the shortest tangent vector."""
    v = manifold.log(mean, x)
    normal = _normal(manifold.dim, manifold.inner(mean, v, v), scale)
    return normal - manifold.log_det_exp(mean, v)


def _normal(dim: int, sq: Scalar, scale: Scalar) -> Scalar:
    """The normal log-density of a tangent vector of the squared length `sq`."""
    log_constant = jnp.log(scale) + math.log(2 * math.pi) / 2
    return -sq / (2 * scale**2) - dim * log_constant


def _sum_over_turns(
    manifold: AbstractManifold, mean: Point, x: Point, scale: Scalar, power: int
) -> Scalar:
    """The terms of all vectors along one closed geodesic, where the determinant is a
    function of period 2 pi over the length to the given power."""
    angle = manifold.dist(mean, x)
    longer = jnp.log(jnp.abs(angle + _turns(angle.dtype)))
    safe = jnp.maximum(angle, jnp.finfo(angle.dtype).eps)
    ratios = _log_ratios(angle, scale).at[1:].add(power * (longer - jnp.log(safe)))
    return _principal(manifold, mean, x, scale) + log_sum_exp(ratios)


def _log_ratios(angle: Scalar, scale: Scalar) -> Floating[Array, " images"]:
    """The logarithms of the normal densities at `angle` plus whole turns, less that at
    `angle`, which comes first."""
    turns = _turns(angle.dtype)
    return jnp.append(0.0, -turns * (turns + 2 * angle) / (2 * scale**2))


def _turns(dtype: DTypeLike) -> Floating[Array, " turns"]:
    k = jnp.arange(1, _TURNS + 1, dtype=dtype)
    return 2 * math.pi * jnp.concatenate([-k, k])
