import functools
import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._manifold import SpecialOrthogonal
from .._numerics import safe_norm
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractKernel, positive_variance
from ._contour import NodeValues, Reals, array_module, contour_integral
from ._heat_kernel import heat_kernel
from ._radial import radial_sample, radial_table
from ._series import rotation_series
from ._series_kernel import AbstractSeriesKernel


class SpecialOrthogonalHeatKernel(AbstractSeriesKernel):
    r"""The heat kernel of $SO(3)$, exact to rounding at every variance and
    rotation angle $\omega$:

    $$p_v = \frac{1}{8\pi^2} \sum_{l \ge 0} (2l+1)\, e^{-l(l+1)v/2}\,
    \frac{\sin (l+\frac12)\omega}{\sin \frac\omega2},$$

    summed as it stands from $v = 1$ on. Below, where the terms cancel, it is the sum
    over the geodesics from $x_0$ to $x$,

    $$p_v = \frac{e^{v/8}}{(2\pi v)^{3/2}} \sum_{k \in \mathbb Z} (-1)^k\,
    \frac{(\omega + 2\pi k) / 2}{\sin \frac\omega2}\,
    e^{-(\omega + 2\pi k)^2/2v},$$

    computed without cancellation at $\omega = \pi$ as the integral

    $$\frac{e^{v/8 - \omega^2/2v}}{(2\pi v)^{3/2}}\, \frac{1}{2\pi i} \int e^{-\zeta}
    \frac{v \cos\frac s2}{\cos s - \cos\omega}\, \mathrm d\zeta,
    \qquad s^2 = \omega^2 + 2v\zeta,$$

    around the positive real axis, on 9 nodes in float32 and 18 in float64. The score is
    $\mathrm d \log p_v / \mathrm d \cos\omega$ times the gradient of $\cos\omega$. Its
    relative error is below 1e-5 in float32 and 1e-12 in float64, where it is above
    $10^{-3}$ (`python -m benchmarks.accuracy`).

    The entries of a matrix determine $\pi - \omega$ to their rounding error and no
    better, so at angles that close to $\pi$ the score is accurate where $v$ is well
    above that error.

    The axis of a sample is uniform, and its angle comes from a table of quantiles with
    a relative error under 4e-4, or 2e-3 in the one in 1000 that end closest to
    $\omega = \pi$. The table is built at the first call, in tenths of a second.

    **Arguments:**

    - `manifold`: `rgen.SpecialOrthogonal(3)`.
    """

    manifold: SpecialOrthogonal

    def __check_init__(self):
        if self.manifold.n != 3:
            raise NotImplementedError(
                "SpecialOrthogonalHeatKernel: expected a `manifold` with n = 3, got "
                f"{self.manifold}. Use the approximation "
                "rgen.VaradhanHeatKernel(manifold)."
            )

    @typed
    def log_prob(self, x0: Point, x: Point, v: Scalar) -> Scalar:
        self.manifold._check_shapes("log_prob", x0=x0, x=x)
        v = positive_variance("SpecialOrthogonalHeatKernel.log_prob", v)
        angle, supplement, _ = rotation_polar(x0, x)
        return _radial(angle, supplement, v)[0]

    @typed
    def score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        self.manifold._check_shapes("score", x0=x0, x=x)
        v = positive_variance("SpecialOrthogonalHeatKernel.score", v)
        angle, supplement, gradient = rotation_polar(x0, x)
        return _radial(angle, supplement, v)[1] * gradient

    @typed
    def sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        self.manifold._check_shapes("sample", x0=x0)
        v = positive_variance("SpecialOrthogonalHeatKernel.sample", v)
        return radial_sample(self.manifold, _table(), x0, v, key)

    @typed
    def series(
        self, terms: int, x0: Point, x: Point, v: Scalar
    ) -> tuple[Array, Tangent]:
        angle, _, gradient = rotation_polar(x0, x)
        total, slope = rotation_series(terms, angle, v)
        return total, slope * gradient


@heat_kernel.register
def _(manifold: SpecialOrthogonal) -> AbstractKernel:
    if manifold.n == 3:
        return SpecialOrthogonalHeatKernel(manifold)
    return heat_kernel.dispatch(object)(manifold)


def rotation_polar(
    x0: Float[Array, "3 3"], x: Float[Array, "3 3"]
) -> tuple[Scalar, Scalar, Float[Array, "3 3"]]:
    r"""The angle $\omega$ of $x_0^\top x$, $\pi - \omega$, and the gradient of
    $\cos\omega$ at $x$, whose length is $\sin\omega$."""
    near = x - x0
    # x0^T x, less an identity that the skew-symmetric part does not see: nothing
    # cancels where the two rotations are close.
    relative = jnp.matmul(x0.T, near, precision="highest")
    skew = (relative - relative.T) / 2
    sin = safe_norm(skew) / math.sqrt(2)
    cos = 1 - jnp.sum(near * near) / 4
    gradient = -jnp.matmul(x, skew, precision="highest")
    return jnp.arctan2(sin, cos), jnp.arctan2(sin, -cos), gradient


_SWITCH = 1.0
_TERMS = 10


def _radial(angle: Reals, supplement: Reals, v: Reals) -> tuple[Reals, Reals]:
    r"""$\log p_v$ and its derivative by $\cos\omega$."""
    xp = array_module(v)
    early, early_slope = _early(angle, supplement, xp.minimum(v, _SWITCH))
    late, late_slope = _late(angle, xp.maximum(v, _SWITCH))
    pick = lambda a, b: xp.where(v < _SWITCH, a, b)
    return pick(early, late), pick(early_slope, late_slope)


def _early(angle: Reals, supplement: Reals, v: Reals) -> tuple[Reals, Reals]:
    xp = array_module(v)
    log_total, slope = contour_integral(1.0, angle, supplement, v, _cos_half)
    log_prob = log_total + v / 8 - 1.5 * xp.log(2 * math.pi * v)
    return log_prob - angle * angle / (2 * v), slope


def _cos_half(
    r: Reals, supplement: Reals, s: NodeValues, step: NodeValues
) -> NodeValues:
    return array_module(s).sin((supplement - step) / 2)


def _late(angle: Reals, v: Reals) -> tuple[Reals, Reals]:
    total, slope = rotation_series(_TERMS, angle, v)
    return array_module(v).log(total) - math.log(8 * math.pi**2), slope / total


@functools.lru_cache
def _table() -> Float[np.ndarray, "variances radii"]:
    log_prob = lambda angle, supplement, v: _radial(angle, supplement, v)[0]
    log_area = lambda angle, supplement: 2 * np.log(np.sin(angle / 2))
    return radial_table(3, log_prob, log_area, last_variance=20.0, codimension=1)
