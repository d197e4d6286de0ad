import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import i0e, i1e
from jaxtyping import Array

from .._manifold import Sphere
from .._numerics import log_sum_exp
from .._typing import BoolScalar, Floating, Key, Point, Scalar, typed
from ._base import AbstractDistribution, require
from ._von_mises_fisher import VonMisesFisher


# The nodes w = 1 + tanh y of the rule for the normaliser, 2 - w, and the step of y. For
# concentrations up to 1e8 it leaves out less than a rounding error of float64.
_STEP = 0.1
_Y = np.arange(-30, 30, _STEP)
_DROP, _RISE = 2 / (1 + np.exp(-2 * _Y)), 2 / (1 + np.exp(2 * _Y))


class Kent(AbstractDistribution):
    r"""The Kent law, or five-parameter Fisher-Bingham law, on $S^2$ (Kent 1982), an
    oval bump of density

    $$p(x) = \frac{1}{Z(\kappa, \beta)} \exp\left\{-\frac\kappa2 |x - \gamma_1|^2 +
    \beta\left(\langle\gamma_2, x\rangle^2 - \langle\gamma_3, x\rangle^2\right)
    \right\}, \qquad 0 \le 2\beta \le \kappa.$$

    The axes $\gamma_i$ are the columns of a rotation: the mean, and the directions in
    which the bump is longest and shortest. With $\beta = 0$ it is the von Mises-Fisher
    law. For large $\kappa$ it is a normal of the variances $1/(\kappa - 2\beta)$ and
    $1/(\kappa + 2\beta)$ along the two.

    The normaliser is an integral, computed by a quadrature whose error is that of
    rounding for $\kappa \le 10^8$. Draws are exact, by rejection, and the slower
    the longer the bump is for its width. They cannot be differentiated in reverse mode.

    **Arguments:**

    - `axes`: $(\gamma_1, \gamma_2, \gamma_3)$ as columns, orthonormal, of shape
        `(3, 3)`.
    - `concentration`: $\kappa \ge 0$.
    - `ovalness`: $\beta$, between 0 and $\kappa / 2$. Others are errors.
    """

    axes: Floating[Array, "3 3"]
    concentration: Scalar
    ovalness: Scalar

    @typed
    def __init__(
        self,
        axes: Floating[Array, "3 3"],
        concentration: Scalar | float,
        ovalness: Scalar | float,
    ):
        concentration = jnp.asarray(concentration, axes.dtype)
        ovalness = jnp.asarray(ovalness, axes.dtype)
        self.axes = axes
        self.concentration = require(
            concentration >= 0,
            concentration,
            "Kent: expected `concentration` to be at least 0",
        )
        self.ovalness = require(
            (ovalness >= 0) & (2 * ovalness <= concentration),
            ovalness,
            "Kent: expected `ovalness` between 0 and half the concentration",
        )

    @property
    def manifold(self) -> Sphere:
        """The sphere $S^2$."""
        return Sphere(2)

    @typed
    def log_prob(self, x: Point) -> Scalar:
        self.manifold._check_shapes("log_prob", x=x)
        offset = x - self.axes[:, 0]
        long, short = self.axes[:, 1] @ x, self.axes[:, 2] @ x
        exponent = -self.concentration * jnp.sum(offset * offset) / 2
        exponent = exponent + self.ovalness * (long - short) * (long + short)
        return exponent - log_kent_normaliser(self.concentration, self.ovalness)

    @typed
    def sample(self, key: Key) -> Point:
        height_key, angle_key, side_key = jr.split(key, 3)
        drop = _sample_drop(self.concentration, self.ovalness, height_key)
        # At a given height, twice the angle around the mean is von Mises.
        spread = self.ovalness * drop * (2 - drop)
        circle = jnp.array([1, 0], drop.dtype)
        cos, sin = VonMisesFisher(circle, spread).sample(angle_key)
        angle = jnp.arctan2(sin, cos) / 2
        sign = jr.rademacher(side_key, (), drop.dtype)
        side = sign * jnp.sqrt(drop * (2 - drop))
        local = jnp.stack([1 - drop, side * jnp.cos(angle), side * jnp.sin(angle)])
        return self.manifold.project(self.axes @ local)


def log_kent_normaliser(concentration: Scalar, ovalness: Scalar) -> Scalar:
    r"""$\log Z(\kappa, \beta) = \log 2\pi \int_0^2 e^{-\kappa w} I_0(\beta w (2 -
    w))\,\mathrm dw$, with the drop $w = 1 - \langle x, \gamma_1\rangle$."""
    # In y with w = 1 + tanh y the integrand decays exponentially on both sides, and the
    # trapezoidal rule converges as fast.
    dtype = concentration.dtype
    drop, bend = jnp.asarray(_DROP, dtype), ovalness * jnp.asarray(_DROP * _RISE, dtype)
    # bend - concentration * drop, which would cancel where the ovalness is large.
    exponents = -(concentration - 2 * ovalness) * drop - ovalness * drop**2
    exponents = exponents + _log_i0e(bend)
    log_weights = jnp.asarray(np.log(2 * math.pi * _STEP * _DROP * _RISE), dtype)
    return log_sum_exp(exponents + log_weights)


# The second derivative of JAX's `i0e` is NaN near zero.


@jax.custom_jvp
def _log_i0e(b: Array) -> Array:
    return jnp.log(i0e(b))


@_log_i0e.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return _log_i0e(*primals), (_bessel_ratio(*primals) - 1) * tangents[0]


@jax.custom_jvp
def _bessel_ratio(b: Array) -> Array:
    """I_1(b) / I_0(b)."""
    return i1e(b) / i0e(b)


@_bessel_ratio.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (b,) = primals
    ratio = _bessel_ratio(b)
    small = b < 1e-4
    over_b = jnp.where(small, 0.5, ratio / jnp.where(small, 1, b))
    return ratio, (1 - ratio**2 - over_b) * tangents[0]


def _sample_drop(concentration: Scalar, ovalness: Scalar, key: Key) -> Scalar:
    """A draw of 1 - <x, mean>, by rejection from an exponential law cut off at 2."""
    rate = concentration - 2 * ovalness
    mass = -jnp.expm1(-2 * rate)

    def propose(state: tuple[Key, Scalar, BoolScalar]):
        key, _, _ = state
        key, drop_key, uniform_key = jr.split(key, 3)
        u = jr.uniform(drop_key, dtype=rate.dtype)
        flat = mass < 1e-6
        safe = jnp.where(flat, 1, rate)
        drop = jnp.where(flat, 2 * u, -jnp.log1p(-u * mass) / safe)
        drop = jnp.minimum(drop, 2)
        accepted = i0e(ovalness * drop * (2 - drop)) * jnp.exp(-ovalness * drop**2)
        # In this form a NaN ends the loop.
        return key, drop, accepted < jr.uniform(uniform_key, dtype=rate.dtype)

    start = key, jnp.zeros_like(rate), jnp.array(True)
    return jax.lax.while_loop(lambda state: state[2], propose, start)[1]
