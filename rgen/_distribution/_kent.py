import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import i0e, i1e
from jaxtyping import Array

from .._errors import require
from .._manifold import Sphere
from .._numerics import log_sum_exp
from .._rejection import rejection_sample
from .._typing import BoolScalar, Floating, Key, Point, Scalar, typed
from ._base import AbstractDistribution


# The nodes w = 1 + tanh y of the rule for the normaliser, 2 - w, and the step of y. For
# concentrations up to 1e8 it leaves out less than a rounding error of float64.
_STEP = 0.05
_Y = _STEP * np.arange(-600, 600)
_VERSINE, _RISE = 2 / (1 + np.exp(-2 * _Y)), 2 / (1 + np.exp(2 * _Y))


class Kent(AbstractDistribution):
    r"""The Kent distribution, or five-parameter Fisher-Bingham distribution, on $S^2$
    (Kent 1982), an oval bump of density

    $$p(x) = \frac{1}{Z(\kappa, \beta)} \exp\left\{-\frac\kappa2 |x - \gamma_1|^2 +
    \beta\left(\langle\gamma_2, x\rangle^2 - \langle\gamma_3, x\rangle^2\right)
    \right\}, \qquad 0 \le 2\beta \le \kappa.$$

    The axes $\gamma_i$ are orthonormal columns: the mean, and the directions in which
    the bump is longest and shortest. With $\beta = 0$ it is the von Mises-Fisher
    distribution. For large $\kappa$ it is a normal of the variances
    $1/(\kappa - 2\beta)$ and $1/(\kappa + 2\beta)$ along the two.

    The normaliser is an integral, computed by a quadrature whose error is that of
    rounding for $\kappa \le 10^8$.

    Samples are exact, by rejection in the equal-area projection of Lambert, where the
    density is a product (Kent and Hamelryck 2005). The proposals are normal along both
    axes, and a sample takes 1.78 of them on average at most, whatever the parameters.
    Samples cannot be differentiated in reverse mode.

    The density and the samples are those of the axes after Gram-Schmidt
    orthonormalisation, so that the distribution stays a proper one where an optimiser
    moves them. An ovalness that it moves below 0 swaps the two sides, and one above
    $\kappa / 2$ counts as $\kappa / 2$.

    **Arguments:**

    - `axes`: $(\gamma_1, \gamma_2, \gamma_3)$ as columns, orthonormal, of shape
        `(3, 3)`.
    - `concentration`: $\kappa \ge 0$, finite.
    - `ovalness`: $\beta$, between 0 and $\kappa / 2$.

    **Raises:** a `ValueError` where the axes are not orthonormal or a parameter is out
    of its range; an error at run time inside of `jax.jit`.
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
        self.axes = require(
            _orthonormal(axes),
            axes,
            "Kent: expected the columns of `axes` to be orthonormal (the nearest such "
            "matrix is jax.numpy.asarray(scipy.linalg.polar(axes)[0]))",
        )
        self.concentration = require(
            (concentration >= 0) & (concentration < jnp.inf),
            concentration,
            "Kent: expected `concentration` to be finite and at least 0",
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
        (mean, *sides), ovalness = self._proper()
        offset = x - mean
        long, short = (side @ x for side in sides)
        exponent = -self.concentration * jnp.sum(offset * offset) / 2
        exponent = exponent + ovalness * (long - short) * (long + short)
        return exponent - log_kent_normaliser(self.concentration, ovalness)

    @typed
    def sample(self, key: Key) -> Point:
        axes, ovalness = self._proper()
        y = rejection_sample(_proposal(self.concentration, ovalness), key)
        square = jnp.sum(y * y)
        along = y * jnp.sqrt(1 - square / 4)
        local = jnp.stack([1 - square / 2, *along])
        return self.manifold.project(local @ jnp.stack(axes))

    def _proper(self) -> tuple[tuple[Point, Point, Point], Scalar]:
        """The axes, orthonormal, and an ovalness in its range along the second one."""
        mean = self.manifold.project(self.axes[:, 0])
        long = self.manifold.to_tangent(mean, self.axes[:, 1])
        # Twice, for a short projection of a long vector has large errors.
        long = self.manifold.project(self.manifold.to_tangent(mean, long))
        short = jnp.cross(mean, long)
        flip = self.ovalness < 0
        swap = lambda a, b: jnp.where(flip, b, a)
        sides = swap(long, short), swap(short, long)
        ovalness = swap(self.ovalness, -self.ovalness)
        return (mean, *sides), jnp.minimum(ovalness, self.concentration / 2)


def _orthonormal(axes: Floating[Array, "3 3"]) -> BoolScalar:
    tolerance = 1e-5 if axes.dtype == jnp.float32 else 1e-10
    gram = axes.T @ axes
    return jnp.max(jnp.abs(gram - jnp.eye(3, dtype=axes.dtype))) <= tolerance


def log_kent_normaliser(concentration: Scalar, ovalness: Scalar) -> Scalar:
    r"""$\log Z(\kappa, \beta) = \log 2\pi \int_0^2 e^{-\kappa w} I_0(\beta w (2 -
    w))\,\mathrm dw$, with the versine $w = 1 - \langle x, \gamma_1\rangle$."""
    # In y with w = 1 + tanh y the integrand decays exponentially on both sides, and the
    # trapezoidal rule converges as fast.
    dtype = concentration.dtype
    versine = jnp.asarray(_VERSINE, dtype)
    bend = ovalness * jnp.asarray(_VERSINE * _RISE, dtype)
    # bend - concentration * versine, which would cancel where the ovalness is large.
    exponents = -(concentration - 2 * ovalness) * versine - ovalness * versine**2
    exponents = exponents + _log_i0e(bend)
    log_weights = jnp.asarray(np.log(2 * math.pi * _STEP * _VERSINE * _RISE), dtype)
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


def _proposal(
    concentration: Scalar, ovalness: Scalar
) -> Callable[[Key], tuple[Floating[Array, "2"], Scalar]]:
    r"""Proposals, and the logarithm of the probability of acceptance, in the equal-area
    projection $y$ of Lambert, which maps points of the versine $w = |y|^2/2$ to the
    disc of radius 2. There the density is

    $$\propto e^{-a y_1^2 - \beta y_1^4/4}\; e^{-c y_2^2 + \beta y_2^4/4}, \qquad
    a = \frac\kappa2 - \beta,\quad c = \frac\kappa2 + \beta.$$

    Bounds that are normal along both axes follow from $y_1^4 \ge 2 s y_1^2 - s^2$ for
    any $s$, here the best one, and from $y_2^2 \le 4$.
    """
    a = concentration / 2 - ovalness
    # From 1 on, s is no better: the disc ends at y^2 = 4.
    s = 1 / jnp.maximum(a + jnp.sqrt(a * a + ovalness), 1)
    precision = jnp.stack([2 * a + ovalness * s, concentration])
    # Positive at a concentration of 0 too, and by too little to matter.
    precision = jnp.maximum(precision, 1e-20)

    def propose(key: Key) -> tuple[Floating[Array, "2"], Scalar]:
        y = _truncated_normal(precision, key)
        first, second = y * y
        log_ratio = -ovalness * ((first - s) ** 2 / 4 + second * (1 - second / 4))
        return y, jnp.where(first + second > 4, -jnp.inf, log_ratio)

    return propose


def _truncated_normal(
    precision: Floating[Array, "2"], key: Key
) -> Floating[Array, "2"]:
    """Normal numbers of given precisions, cut off at 2 on both sides."""
    # Never at the ends, where the inverse is infinite.
    least = jnp.nextafter(jnp.array(-1, precision.dtype), 0)
    uniform = jr.uniform(key, (2,), precision.dtype, least, 1)
    mass = jax.scipy.special.erf(jnp.sqrt(2 * precision))
    return jax.scipy.special.erfinv(uniform * mass) * jnp.sqrt(2 / precision)
