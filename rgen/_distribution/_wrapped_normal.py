import math
from functools import partial, singledispatch
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import jax.random as jr
from jax.typing import DTypeLike
from jaxtyping import Array

from .._manifold import (
    AbstractManifold,
    Hyperbolic,
    Power,
    Product,
    SpecialOrthogonal,
    Sphere,
    Torus,
)
from .._manifold._hyperbolic import log_sinhc_sq, translate
from .._numerics import log_sum_exp
from .._typing import Floating, Key, Point, Scalar, Tangent, typed
from ._base import AbstractDistribution, require


# One standard deviation for all directions, of shape (), or one for each.
Scale: TypeAlias = Floating[Array, "..."]

# Turns around a closed geodesic, in either direction. Those left out weigh less than
# a rounding error of float64 for scales up to 4.
_TURNS = 6

_UNKNOWN = (
    "WrappedNormal: no density is known on {}: which tangent vectors end in one point "
    "is known on Sphere, Torus, SpecialOrthogonal(2), SpecialOrthogonal(3), manifolds "
    "that are not compact, and products of those. Use a heat kernel, or draw only."
)


class WrappedNormal(AbstractDistribution):
    r"""The law of $\exp_\mu(\sum_i \sigma_i Z_i e_i)$ for standard normal numbers $Z_i$
    and the orthonormal basis $e_i$ of the tangent space at the mean $\mu$ that
    [`basis`][rgen.AbstractManifold.basis] is.

    The density is exact. It sums over every tangent vector that ends in `x`,

    $$p(x) = \sum_{v\,:\,\exp_\mu(v) = x} \frac{1}{|\det \mathrm d(\exp_\mu)_v|}
    \prod_i \frac{e^{-\langle v, e_i\rangle^2 / 2\sigma_i^2}}{\sqrt{2\pi}\, \sigma_i},$$

    that is, over the turns around the closed geodesics of a compact manifold, for
    $\sigma_i \le 4$. Where whole spheres of vectors end in one point, as $|v| = \pi$
    does in the antipode of a sphere and $|v| = 2\pi$ in the mean itself, the density is
    infinite, and what is returned there is finite.

    For a mixture, map the constructor:
    `Mixture(eqx.filter_vmap(lambda m, s: WrappedNormal(manifold, m, s))(means, scales),
    log_weights)`.

    **Arguments:**

    - `manifold`: where the law lives.
    - `mean`: the point $\mu$.
    - `scale`: the standard deviations $\sigma_i > 0$ of the components of the tangent
        vector, in the metric's unit of length: one number for all of them, or an array
        of shape `(dim,)`. One that is not positive is an error.

    `log_prob` raises a `NotImplementedError` on a compact manifold whose preimages are
    not known.
    """

    manifold: AbstractManifold
    mean: Point
    scale: Scale

    @typed
    def __init__(self, manifold: AbstractManifold, mean: Point, scale: Scale | float):
        if mean.shape != manifold.point_shape:
            raise ValueError(
                f"WrappedNormal: expected `mean` to be a point of {manifold}, of shape "
                f"{manifold.point_shape}, got {mean.shape}. Map over several with "
                "eqx.filter_vmap."
            )
        scale = jnp.asarray(scale, mean.dtype)
        if scale.shape not in ((), (manifold.dim,)):
            raise ValueError(
                "WrappedNormal: expected `scale` to be one number or an array of shape "
                f"{(manifold.dim,)}, got {scale.shape}. Map over several with "
                "eqx.filter_vmap."
            )
        self.manifold = manifold
        self.mean = mean
        self.scale = require(
            jnp.all(scale > 0), scale, "WrappedNormal: expected `scale` to be positive"
        )

    @typed
    def log_prob(self, x: Point) -> Scalar:
        self.manifold._check_shapes("log_prob", x=x)
        return _log_density(self.manifold, self.mean, x, self.scale)

    @typed
    def sample(self, key: Key) -> Point:
        if self.scale.shape == ():
            v = self.scale * self.manifold.tangent_noise(self.mean, key)
        else:
            z = jr.normal(key, self.scale.shape, self.scale.dtype)
            v = jnp.tensordot(self.scale * z, self.manifold.basis(self.mean), 1)
        return self.manifold.exp(self.mean, v)


@singledispatch
def _log_density(manifold: Any, mean: Point, x: Point, scale: Scale) -> Scalar:
    if manifold.compact:
        raise NotImplementedError(_UNKNOWN.format(manifold))
    return _principal(manifold, mean, manifold.log(mean, x), scale)


@_log_density.register
def _(manifold: Sphere, mean: Point, x: Point, scale: Scale) -> Scalar:
    return _sum_over_turns(manifold, mean, x, scale, manifold.dim - 1)


@_log_density.register
def _(manifold: SpecialOrthogonal, mean: Point, x: Point, scale: Scale) -> Scalar:
    if manifold.n > 3:
        raise NotImplementedError(_UNKNOWN.format(manifold))
    return _sum_over_turns(manifold, mean, x, scale, manifold.dim - 1)


@_log_density.register
def _(manifold: Torus, mean: Point, x: Point, scale: Scale) -> Scalar:
    angles = manifold.log(mean, x)
    scales = jnp.broadcast_to(scale, angles.shape)
    corrections = jax.vmap(lambda a, s: log_sum_exp(_log_ratios(a, s)))(angles, scales)
    return _principal(manifold, mean, angles, scale) + jnp.sum(corrections)


@_log_density.register
def _(manifold: Hyperbolic, mean: Point, x: Point, scale: Scale) -> Scalar:
    # By coordinates alone: the general formula compiles three times as long.
    z = translate(-mean, x)
    volume = (manifold.dim - 1) * log_sinhc_sq(jnp.sum(z**2))
    return _normal(manifold.dim, jnp.sum((z / scale) ** 2), scale) - volume


@_log_density.register
def _(manifold: Product, mean: Point, x: Point, scale: Scale) -> Scalar:
    factors = zip(
        manifold.manifolds, manifold.split(mean), manifold.split(x), strict=True
    )
    terms, used = [], 0
    for factor, factor_mean, point in factors:
        own = scale if scale.shape == () else scale[used : used + factor.dim]
        terms.append(_log_density(factor, factor_mean, point, own))
        used += factor.dim
    return jnp.sum(jnp.stack(terms))


@_log_density.register
def _(manifold: Power, mean: Point, x: Point, scale: Scale) -> Scalar:
    one = partial(_log_density, manifold.manifold)
    if scale.shape == ():
        return jnp.sum(jax.vmap(one, (0, 0, None))(mean, x, scale))
    return jnp.sum(jax.vmap(one)(mean, x, scale.reshape(manifold.n, -1)))


def _principal(
    manifold: AbstractManifold, mean: Point, v: Tangent, scale: Scale
) -> Scalar:
    """The term of the tangent vector `v`."""
    sq = _scaled_sq(manifold, mean, v, scale)
    return _normal(manifold.dim, sq, scale) - manifold.log_det_exp(mean, v)


def _scaled_sq(
    manifold: AbstractManifold, mean: Point, v: Tangent, scale: Scale
) -> Scalar:
    """The squared length of `v` in units of the scale."""
    if scale.shape == ():
        return manifold.inner(mean, v, v) / scale**2
    along = lambda e: manifold.inner(mean, v, e)
    return jnp.sum((jax.vmap(along)(manifold.basis(mean)) / scale) ** 2)


def _normal(dim: int, scaled_sq: Scalar, scale: Scale) -> Scalar:
    """The normal log-density of a tangent vector of that squared length in units of the
    scale."""
    log_scales = jnp.sum(jnp.broadcast_to(jnp.log(scale), (dim,)))
    return -scaled_sq / 2 - log_scales - dim * math.log(2 * math.pi) / 2


def _sum_over_turns(
    manifold: AbstractManifold, mean: Point, x: Point, scale: Scale, power: int
) -> Scalar:
    """The terms of all vectors along one closed geodesic, where the determinant is a
    function of period 2 pi over the length to the given power."""
    v = manifold.log(mean, x)
    angle = manifold.dist(mean, x)
    longer = jnp.log(jnp.abs(angle + _turns(angle.dtype)))
    safe = jnp.maximum(angle, jnp.finfo(angle.dtype).eps)
    ratios = _log_ratios(angle, _scale_along(manifold, mean, v, scale))
    ratios = ratios.at[1:].add(power * (longer - jnp.log(safe)))
    return _principal(manifold, mean, v, scale) + log_sum_exp(ratios)


def _scale_along(
    manifold: AbstractManifold, mean: Point, v: Tangent, scale: Scale
) -> Scalar:
    """The standard deviation along the direction of `v`; where `v` is too short to have
    one, along the first axis."""
    if scale.shape == ():
        return scale
    sq, scaled_sq = manifold.inner(mean, v, v), _scaled_sq(manifold, mean, v, scale)
    long = sq > jnp.finfo(sq.dtype).eps
    ratio = jnp.where(long, sq, 1) / jnp.where(long, scaled_sq, 1)
    return jnp.where(long, jnp.sqrt(ratio), scale[0])


def _log_ratios(angle: Scalar, scale: Scalar) -> Floating[Array, " images"]:
    """The logarithms of the normal densities at `angle` plus whole turns, less that at
    `angle`, which comes first."""
    turns = _turns(angle.dtype)
    return jnp.append(0.0, -turns * (turns + 2 * angle) / (2 * scale**2))


def _turns(dtype: DTypeLike) -> Floating[Array, " turns"]:
    k = jnp.arange(1, _TURNS + 1, dtype=dtype)
    return 2 * math.pi * jnp.concatenate([-k, k])
