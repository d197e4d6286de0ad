import math
from functools import partial, singledispatch
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .._manifold import (
    AbstractManifold,
    Hyperbolic,
    Power,
    Product,
    Torus,
)
from .._manifold._hyperbolic import log_sinhc_sq, translate
from .._numerics import log_sum_exp
from .._typing import Floating, Key, Point, Scalar, Tangent, typed
from ._base import AbstractDistribution, require, require_point


# One standard deviation for all directions, of shape (), or one for each.
Scale: TypeAlias = Floating[Array, "..."]

# Up to this scale all windings are summed, to the rounding of float64; from
# there on the longer ones are summed by the Euler-Maclaurin formula.
_LARGE_SCALE = 24.0
# Coefficients of its version for midpoints, (1 - 2^(1-2p)) B_2p / (2p)!.
_MIDPOINT = [1 / 24, -7 / 5760, 31 / 967680, -127 / 154828800, 73 / 3503554560]


class WrappedNormal(AbstractDistribution):
    r"""The distribution of $\exp_\mu(\sum_i \sigma_i Z_i e_i)$ for standard normal
    numbers $Z_i$ and the orthonormal [`basis`][rgen.AbstractManifold.basis] $e_i$ of
    the tangent space at the mean $\mu$.

    The density is exact. It sums over every tangent vector that ends in `x`,

    $$p(x) = \sum_{v\,:\,\exp_\mu(v) = x} \frac{1}{|\det \mathrm d(\exp_\mu)_v|}
    \prod_i \frac{e^{-\langle v, e_i\rangle^2 / 2\sigma_i^2}}{\sqrt{2\pi}\, \sigma_i},$$

    that is, over the windings around the closed geodesics of a compact manifold: one by
    one as far as a scale of 24 reaches, and those beyond by the Euler-Maclaurin
    formula.
    Every scale and dimension is right, to 1e-10 in float64. Where whole spheres of
    vectors end in one point, as $|v| = \pi$ does in the antipode of a sphere and
    $|v| = 2\pi$ in the mean itself, the density is infinite, and what is returned there
    is finite.

    For a mixture, map the constructor:
    `Mixture(eqx.filter_vmap(lambda m, s: WrappedNormal(manifold, m, s))(means, scales),
    log_weights)`.

    **Arguments:**

    - `manifold`: the manifold.
    - `mean`: the point $\mu$.
    - `scale`: the standard deviations $\sigma_i > 0$ of the components of the tangent
        vector, in the metric's unit of length: one number for all of them, or an array
        of shape `(dim,)`.

    **Raises:** a `ValueError` where the mean is not on the manifold or a scale is not
    positive and finite; an error at run time inside of `jax.jit`.

    `log_prob` raises a `NotImplementedError` where the manifold has no
    [`period`][rgen.AbstractManifold]: where it is not known which vectors end in one
    point, as on SO(n) for n > 3.
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
        self.mean = require_point("WrappedNormal", "mean", manifold, mean)
        self.scale = require(
            jnp.all((scale > 0) & (scale < jnp.inf)),
            scale,
            "WrappedNormal: expected `scale` to be positive and finite",
        )

    @typed
    def log_prob(self, x: Point) -> Scalar:
        self.manifold._check_shapes("log_prob", x=x)
        mean = self.manifold.project(self.mean)
        return _log_density(self.manifold, mean, x, self.scale)

    @typed
    def sample(self, key: Key) -> Point:
        mean = self.manifold.project(self.mean)
        if self.scale.shape == ():
            v = self.scale * self.manifold.tangent_noise(mean, key)
        else:
            z = jr.normal(key, self.scale.shape, self.scale.dtype)
            v = jnp.tensordot(self.scale * z, self.manifold.basis(mean), 1)
        return self.manifold.exp(mean, v)


@singledispatch
def _log_density(manifold: Any, mean: Point, x: Point, scale: Scale) -> Scalar:
    """Products, of which the density is one of the factors', are told apart here."""
    v = manifold.log(mean, x)
    principal = _principal(manifold, mean, v, scale)
    if math.isinf(manifold.period):
        return principal
    # Not the distance, which keeps roundings that are taken out of the logarithm.
    length, along = manifold.norm(mean, v), _scale_along(manifold, mean, v, scale)
    power = manifold.dim - 1
    return principal + _log_windings(length, along, manifold.period, power)


@_log_density.register
def _(manifold: Torus, mean: Point, x: Point, scale: Scale) -> Scalar:
    angles = manifold.log(mean, x)
    scales = jnp.broadcast_to(scale, angles.shape)
    corrections = jax.vmap(lambda a, s: _log_windings(a, s, 2 * math.pi, 0))
    principal = _principal(manifold, mean, angles, scale)
    return principal + jnp.sum(corrections(angles, scales))


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


def _log_windings(length: Scalar, scale: Scalar, period: float, power: int) -> Scalar:
    r"""$\log \sum_k f(r + k P) / f(r)$ over all integers for
    $f(r) = |r|^p e^{-r^2 / 2 s^2}$ and the period $P$.

    The determinant of the exponential map is periodic along a closed geodesic, but for
    the power `dim - 1` of the length.
    """
    count = _windings(period, power)
    k = jnp.arange(1, count + 1, dtype=length.dtype)
    others = length + period * jnp.concatenate([-k, k])
    safe = jnp.maximum(jnp.abs(length), jnp.finfo(length.dtype).eps)
    log_ratio = lambda r: (
        (length - r) * (length + r) / (2 * scale**2)
        + power * (jnp.log(jnp.abs(r)) - jnp.log(safe))
    )
    # The sum goes on half a period beyond the last winding.
    ends = jnp.stack([-length, length]) + (count + 0.5) * period
    tails = jax.vmap(lambda end: _log_tail(end, scale, period, power))(ends)
    tails = tails + length**2 / (2 * scale**2) - power * jnp.log(safe)
    none = jnp.zeros(1, length.dtype)
    return log_sum_exp(jnp.concatenate([none, log_ratio(others), tails]))


def _windings(period: float, power: int) -> int:
    """How often to wind: the mass of f beyond that, which has its peak at
    scale * sqrt(power), is a rounding error of float64 for the largest scale."""
    return math.ceil(_LARGE_SCALE * (math.sqrt(power) + 8.6) / period)


def _log_tail(end: Scalar, scale: Scalar, period: float, power: int) -> Scalar:
    r"""$\log \sum_{k \ge 0} f(a + (k + \tfrac12) P)$ from `end` $a$, by the
    Euler-Maclaurin formula: an integral, and derivatives at its end."""
    # For smaller scales the tail is nothing, and the formula would overflow.
    nothing = scale < _LARGE_SCALE / 2
    scale = jnp.where(nothing, _LARGE_SCALE, scale)
    log_end = power * jnp.log(end) - (end / scale) ** 2 / 2
    half, tiny = (power + 1) / 2, jnp.finfo(end.dtype).tiny
    log_share = _log_gammaincc(half, (end / scale) ** 2 / 2)
    log_mass = math.lgamma(half) + (half - 1) * math.log(2) - math.log(period)
    log_integral = log_mass + 2 * half * jnp.log(scale) + log_share
    derivatives = _derivatives(end, scale, period, power)
    correction = sum(c * d for c, d in zip(_MIDPOINT, derivatives, strict=True))
    top = jax.lax.stop_gradient(jnp.maximum(log_integral, log_end))
    total = jnp.exp(log_integral - top) + correction * jnp.exp(log_end - top)
    log_total = top + jnp.log(jnp.where(total > tiny, total, tiny))
    return jnp.where(nothing, -jnp.inf, log_total)


# Derivatives in logarithms, for the square of a small share underflows.
@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _log_gammaincc(a: float, x: Scalar) -> Scalar:
    share, tiny = jax.scipy.special.gammaincc(a, x), jnp.finfo(x.dtype).tiny
    return jnp.log(jnp.where(share > tiny, share, tiny))


@_log_gammaincc.defjvp
def _(a: float, primals: tuple[Scalar], tangents: tuple[Scalar]) -> tuple:
    (x,) = primals
    value = _log_gammaincc(a, x)
    slope = -jnp.exp((a - 1) * jnp.log(x) - x - math.lgamma(a) - value)
    return value, slope * tangents[0]


def _derivatives(end: Scalar, scale: Scalar, period: float, power: int) -> list[Scalar]:
    """The derivatives of f of odd order at `end` over f there, in units of the
    period."""
    u, count = period / end, 2 * len(_MIDPOINT)
    # Taylor coefficients of log f, and then of f.
    logs = [-power * (-u) ** k / k for k in range(1, count)]
    logs[0] = logs[0] - end * period / scale**2
    logs[1] = logs[1] - (period / scale) ** 2 / 2
    series = [jnp.ones_like(end)]
    for n in range(1, count):
        terms = [(k + 1) * logs[k] * series[n - k - 1] for k in range(n)]
        series.append(sum(terms, jnp.zeros_like(end)) / n)
    return [math.factorial(n) * series[n] for n in range(1, count, 2)]
