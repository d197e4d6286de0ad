import math

import jax
import jax.numpy as jnp
import jax.random as jr

from .._manifold import Sphere
from .._numerics import log_sphere_volume, log_sum_exp, sinhc_sq
from .._rejection import rejection_sample
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractKernel, positive_variance


class VonMisesFisherKernel(AbstractKernel):
    r"""The von Mises-Fisher distribution with mean $x_0$ and concentration $1/v$ on the
    sphere $S^d$, of density

    $$p_v(x \mid x_0) = \frac{e^{-|x - x_0|^2/2v}}{Z_d(1/v)},$$

    as an approximation to the heat kernel at small $v$. It is the cheapest kernel of
    the sphere, since it needs no distance. $Z_d$ is that of
    [`rgen.VonMisesFisher`][].

    **Arguments:**

    - `manifold`: the sphere.
    """

    manifold: Sphere

    @typed
    def log_prob(self, x0: Point, x: Point, v: Scalar) -> Scalar:
        self.manifold._check_shapes("log_prob", x0=x0, x=x)
        v = positive_variance("VonMisesFisherKernel.log_prob", v)
        return log_density(x0, x, 1 / v)

    @typed
    def score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        self.manifold._check_shapes("score", x0=x0, x=x)
        v = positive_variance("VonMisesFisherKernel.score", v)
        # Of the difference, which is accurate near x0.
        return self.manifold.to_tangent(x, x0 - x) / v

    @typed
    def sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        self.manifold._check_shapes("sample", x0=x0)
        v = positive_variance("VonMisesFisherKernel.sample", v)
        return sample(self.manifold, x0, 1 / v, key)


def log_density(mean: Point, x: Point, concentration: Scalar) -> Scalar:
    r"""$-\kappa|x - \mu|^2/2 - \log Z_d(\kappa)$."""
    # Without the cancellation of kappa <x, mu> against log I.
    offset = x - mean
    exponent = -concentration * (jnp.sum(offset * offset) / 2)
    return exponent - log_normaliser(len(mean) - 1, concentration)


def sample(sphere: Sphere, mean: Point, concentration: Scalar, key: Key) -> Point:
    versine_key, direction_key = jr.split(key)
    versine = _sample_versine(sphere.dim, concentration, versine_key)
    direction = sphere.tangent_noise(mean, direction_key)
    direction = direction / jnp.sqrt(jnp.sum(direction * direction))
    sin = jnp.sqrt(versine * (2 - versine))
    return sphere.project((1 - versine) * mean + sin * direction)


def log_normaliser(dim: int, concentration: Scalar) -> Scalar:
    r"""$\log Z_d(\kappa) = \log \int_{S^d} e^{-\kappa |x - \mu|^2/2}\,\mathrm dx$."""
    if dim == 2:
        return math.log(4 * math.pi) + _log_mean_exp(concentration)
    # In y = log tan(angle / 2) the integrand is exp(-k (1 + tanh y)) / cosh(y)^d: it is
    # analytic and decays exponentially, where the trapezoidal rule converges as fast.
    step = min(0.1, 0.35 / math.sqrt(dim))
    reach = math.ceil((40 / dim + 9 / math.sqrt(dim)) / step)
    offsets = step * jnp.arange(-reach, reach + 1, dtype=concentration.dtype)
    root = jnp.sqrt(dim**2 + 4 * concentration**2)
    peak = jnp.log(dim / (root + 2 * concentration)) / 2
    y = jax.lax.stop_gradient(peak) + offsets
    log_cosh = jnp.abs(y) + jnp.log1p(jnp.exp(-2 * jnp.abs(y))) - math.log(2)
    versine = 2 * jax.nn.sigmoid(2 * y)
    exponents = -concentration * versine - dim * log_cosh
    # Times the volume of the sphere of directions around the mean.
    return log_sum_exp(exponents) + log_sphere_volume(dim - 1) + math.log(step)


def _log_mean_exp(k: Scalar) -> Scalar:
    """log((1 - exp(-2 k)) / (2 k)), the mean of exp(-k w) over w from 0 to 2."""
    small = k < 1
    low, high = jnp.where(small, k, 0), jnp.where(small, 1, k)
    series = jnp.log(sinhc_sq(low * low)) - low
    return jnp.where(small, series, jnp.log(-jnp.expm1(-2 * high) / (2 * high)))


def _sample_versine(dim: int, concentration: Scalar, key: Key) -> Scalar:
    """A sample of the versine 1 - <x, mu>, by rejection from a distribution of heavier
    tails.

    Wood's proposal is a function of a Beta(d/2, d/2) variable a / (a + b), written here
    in terms of the versine, which stays accurate for large concentrations.
    """
    ratio = dim / (2 * concentration + jnp.sqrt(dim**2 + 4 * concentration**2))
    centre = 2 * ratio / (1 + ratio)

    def propose(key: Key) -> tuple[Scalar, Scalar]:
        a, b = jnp.sum(jr.normal(key, (2, dim), ratio.dtype) ** 2, axis=1)
        versine = 2 * ratio * a / (ratio * a + b)
        envelope = (centre + versine - centre * versine) / (centre * (2 - centre))
        log_ratio = concentration * (centre - versine) + dim * jnp.log(envelope)
        return versine, log_ratio

    return rejection_sample(propose, key)
