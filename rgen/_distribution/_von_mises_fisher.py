import math

import jax
import jax.numpy as jnp
import jax.random as jr

from .._manifold import Sphere
from .._numerics import log_sum_exp, sinhc_sq
from .._typing import BoolScalar, Key, Point, Scalar, typed
from ._base import AbstractDistribution, require


class VonMisesFisher(AbstractDistribution):
    r"""The von Mises-Fisher law on the sphere $S^d$, of density

    $$p(x) = \frac{e^{-\kappa |x - \mu|^2/2}}{Z_d(\kappa)}, \qquad
    Z_d(\kappa) = (2\pi)^{\nu+1} \kappa^{-\nu} e^{-\kappa} I_\nu(\kappa), \qquad
    \nu = \frac{d-1}{2},$$

    which is proportional to $e^{\kappa\langle x, \mu\rangle}$. It is uniform at
    $\kappa = 0$. For large $\kappa$ it is a normal of variance $1/\kappa$ in each
    direction, so that it approaches the heat kernel at time $1/\kappa$.

    $\log Z_d$ is a closed form for $d = 2$. Otherwise it is an integral, computed by a
    quadrature whose error is at most 1e-13 in float64, and rounding in float32, for
    $0 \le \kappa \le 10^8$ and $d \le 100$.

    Draws are exact, by rejection (Wood, *Simulation of the von Mises Fisher
    distribution*, 1994). They cannot be differentiated in reverse mode.

    **Arguments:**

    - `mean`: the unit vector $\mu$, of shape `(d + 1,)`.
    - `concentration`: $\kappa \ge 0$. One that is negative is an error.
    """

    mean: Point
    concentration: Scalar

    @typed
    def __init__(self, mean: Point, concentration: Scalar | float):
        if mean.ndim != 1 or len(mean) < 2:
            raise ValueError(
                "VonMisesFisher: expected `mean` to be a point of a sphere, of shape "
                f"(dim + 1,), got {mean.shape}. Map over several with eqx.filter_vmap."
            )
        concentration = jnp.asarray(concentration, mean.dtype)
        self.mean = mean
        self.concentration = require(
            concentration >= 0,
            concentration,
            "VonMisesFisher: expected `concentration` to be at least 0",
        )

    @property
    def manifold(self) -> Sphere:
        """The sphere that the mean lies on."""
        return Sphere(self.mean.shape[-1] - 1)

    @typed
    def log_prob(self, x: Point) -> Scalar:
        self.manifold._check_shapes("log_prob", x=x)
        # Without the cancellation of kappa <x, mu> against log I.
        offset = x - self.mean
        exponent = -self.concentration * jnp.sum(offset * offset) / 2
        return exponent - log_normaliser(self.manifold.dim, self.concentration)

    @typed
    def sample(self, key: Key) -> Point:
        height_key, direction_key = jr.split(key)
        drop = _sample_drop(self.manifold.dim, self.concentration, height_key)
        direction = self.manifold.tangent_noise(self.mean, direction_key)
        direction = direction / jnp.sqrt(jnp.sum(direction * direction))
        sin = jnp.sqrt(drop * (2 - drop))
        return self.manifold.project((1 - drop) * self.mean + sin * direction)


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
    drop = 2 * jax.nn.sigmoid(2 * y)
    exponents = -concentration * drop - dim * log_cosh
    # The volume of the sphere of directions around the mean, S^(d - 1).
    directions = math.log(2) + dim / 2 * math.log(math.pi) - math.lgamma(dim / 2)
    return log_sum_exp(exponents) + directions + math.log(step)


def _log_mean_exp(k: Scalar) -> Scalar:
    """log((1 - exp(-2 k)) / (2 k)), the mean of exp(-k w) over w from 0 to 2."""
    small = k < 1
    low, high = jnp.where(small, k, 0), jnp.where(small, 1, k)
    series = jnp.log(sinhc_sq(low * low)) - low
    return jnp.where(small, series, jnp.log(-jnp.expm1(-2 * high) / (2 * high)))


def _sample_drop(dim: int, concentration: Scalar, key: Key) -> Scalar:
    """A draw of 1 - <x, mu>, by rejection from a law of heavier tails.

    Wood's proposal is a function of a Beta(d/2, d/2) variable a / (a + b), written here
    in terms of the drop, which stays accurate for large concentrations.
    """
    ratio = dim / (2 * concentration + jnp.sqrt(dim**2 + 4 * concentration**2))
    centre = 2 * ratio / (1 + ratio)

    def propose(state: tuple[Key, Scalar, BoolScalar]):
        key, _, _ = state
        key, normal_key, uniform_key = jr.split(key, 3)
        a, b = jnp.sum(jr.normal(normal_key, (2, dim), ratio.dtype) ** 2, axis=1)
        drop = 2 * ratio * a / (ratio * a + b)
        envelope = (centre + drop - centre * drop) / (centre * (2 - centre))
        log_ratio = concentration * (centre - drop) + dim * jnp.log(envelope)
        # In this form a NaN ends the loop.
        reject = log_ratio < jnp.log(jr.uniform(uniform_key, dtype=ratio.dtype))
        return key, drop, reject

    start = key, jnp.zeros_like(ratio), jnp.array(True)
    return jax.lax.while_loop(lambda state: state[2], propose, start)[1]
