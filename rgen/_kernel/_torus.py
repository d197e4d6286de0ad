import math

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array

from .._manifold import Torus
from .._typing import Floating, Key, Point, Scalar, Tangent, typed
from ._base import positive_variance
from ._heat_kernel import heat_kernel
from ._series import circle_series
from ._series_kernel import AbstractSeriesKernel


# Three images leave exp(-4 pi^2 / v) out, and nine modes exp(-50 v).
_SWITCH = 1.0
_MODES = 9


@heat_kernel.register(Torus)
class TorusHeatKernel(AbstractSeriesKernel):
    r"""The heat kernel of the flat torus $T^d$, a product of wrapped normals, exact to
    rounding at every variance: with the angle $a = x - x_0 \in [-\pi, \pi]$, each
    factor is

    $$p_v = \frac{1}{\sqrt{2\pi v}} \sum_{n \in \mathbb Z} e^{-(a + 2\pi n)^2/2v}
    = \frac{1}{2\pi} \Big(1 + 2 \sum_{n \ge 1} e^{-n^2 v/2} \cos na\Big),$$

    the first sum for $v < 1$ and the second above. Samples are wrapped normal vectors.

    **Arguments:**

    - `manifold`: the torus.
    """

    manifold: Torus

    @typed
    def log_prob(self, x0: Point, x: Point, v: Scalar) -> Scalar:
        self.manifold._check_shapes("log_prob", x0=x0, x=x)
        v = positive_variance("TorusHeatKernel.log_prob", v)
        angle, supplement = difference(x0, x)
        early = _early_log_prob(angle, supplement, jnp.minimum(v, _SWITCH))
        late, _ = circle_series(_MODES, angle, jnp.maximum(v, _SWITCH))
        late = jnp.log(late) - math.log(2 * math.pi)
        return jnp.sum(jnp.where(v < _SWITCH, early, late))

    @typed
    def score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        self.manifold._check_shapes("score", x0=x0, x=x)
        v = positive_variance("TorusHeatKernel.score", v)
        angle, supplement = difference(x0, x)
        early = _early_score(angle, supplement, jnp.minimum(v, _SWITCH))
        total, slope = circle_series(_MODES, angle, jnp.maximum(v, _SWITCH))
        return jnp.where(v < _SWITCH, early, slope / total)

    @typed
    def sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        self.manifold._check_shapes("sample", x0=x0)
        v = positive_variance("TorusHeatKernel.sample", v)
        return self.manifold.exp(x0, jnp.sqrt(v) * jr.normal(key, x0.shape, x0.dtype))

    @typed
    def series(
        self, terms: int, x0: Point, x: Point, v: Scalar
    ) -> tuple[Array, Tangent]:
        angle, _ = difference(x0, x)
        return circle_series(terms, angle, v)


def difference(
    x0: Floating[Array, " d"], x: Floating[Array, " d"]
) -> tuple[Floating[Array, " d"], Floating[Array, " d"]]:
    r"""The angles $a$ from `x0` to `x` in $[-\pi, \pi]$, and $\pi - |a|$, each to
    rounding: near the cut locus the score depends on the second through
    $(\pi - |a|) / v$."""
    high = x - x0
    # What the subtraction rounded away (Knuth's two-sum).
    back = high - x
    low = (x - (high - back)) - (x0 + back)
    windings = jnp.round(high / (2 * math.pi))
    # pi is the sum of two floats, of which the first is that of the dtype.
    pi = float(np.asarray(math.pi, high.dtype))
    pi_low = math.pi - pi if high.dtype == jnp.float32 else math.sin(math.pi)
    high = high - windings * (2 * pi)
    low = low - windings * (2 * pi_low)
    supplement = (pi - jnp.abs(high)) + (pi_low - jnp.where(high < 0, -low, low))
    return high + low, supplement


def _images(angle: Array, supplement: Array, v: Scalar) -> tuple[Array, Array]:
    """The nearest and the next image, relative to the angle itself."""
    nearest = jnp.exp(-2 * math.pi / v * supplement)
    return nearest, jnp.exp(-2 * math.pi / v * (2 * math.pi - supplement))


def _early_log_prob(angle: Array, supplement: Array, v: Scalar) -> Array:
    nearest, next_one = _images(angle, supplement, v)
    images = jnp.log1p(nearest + next_one)
    return images - angle * angle / (2 * v) - jnp.log(2 * math.pi * v) / 2


def _early_score(angle: Array, supplement: Array, v: Scalar) -> Array:
    nearest, next_one = _images(angle, supplement, v)
    size = jnp.abs(angle)
    near = size - 2 * math.pi * (nearest - next_one) / (1 + nearest + next_one)
    # The same, where the angle and its nearest image nearly cancel.
    apart = -math.pi * jnp.expm1(-2 * math.pi / v * supplement) - supplement * (
        1 + nearest
    )
    far = (apart + next_one * (3 * math.pi - supplement)) / (1 + nearest + next_one)
    return -jnp.sign(angle) * jnp.where(size < math.pi / 2, near, far) / v
