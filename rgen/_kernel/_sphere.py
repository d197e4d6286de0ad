import functools
import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._manifold import Sphere
from .._numerics import safe_norm
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import positive_variance
from ._contour import NodeValues, Reals, array_module, contour_integral
from ._heat_kernel import heat_kernel
from ._radial import radial_sample, radial_table
from ._series import sphere_series, sphere_terms
from ._series_kernel import AbstractSeriesKernel


@heat_kernel.register(Sphere)
class SphereHeatKernel(AbstractSeriesKernel):
    r"""The heat kernel of $S^d$ for every $d \ge 1$, exact to rounding: with the
    distance $r$ and $a = (d-1)/2$,

    $$p_v = \frac{1}{\mathrm{vol}(S^d)} \sum_{l \ge 0} e^{-l(l+d-1)v/2}\,
    \frac{2l+d-1}{d-1}\, C_l^{(a)}(\cos r)$$

    summed as it stands at large $v$. At small $v$, where the terms of the series cancel
    ($v < 1$ for $d \le 5$, $v < \frac2d \log\frac{5(d+1)}4$ in high dimension), it is

    $$p_v = \frac{e^{a^2 v/2 - r^2/2v}}{(2\pi v)^{d/2}}\,
    \frac{\Gamma(a)}{2\pi i} \int e^{-\zeta}
    \left(\frac{v}{\cos s - \cos r}\right)^a \mathrm d\zeta,
    \qquad s^2 = r^2 + 2v\zeta,$$

    around the positive real axis, on 9 nodes in float32 and 18 in float64; for $d = 1$
    with $\sin s / s$ in the integrand and $a + 1$ for the power. The score is

    $$\nabla_x \log p_v = \frac{\mathrm d \log p_v}{\mathrm d \cos r}\,
    (x_0 - \langle x_0, x\rangle x).$$

    The first factor is $2\pi e^{-dv/2}$ times the ratio of the kernels in dimensions
    $d + 2$ and $d$, both positive, and nothing is singular or cancels at $x_0$ or at
    its antipode.

    Against values with 50 digits, for $d$ from 1 to 511, $v$ from $10^{-6}$ to 50 and
    $r$ from 0 to $\pi$, the relative error of the score is below 1e-5 in float32 (4e-6
    up to $d = 100$) and 1e-12 in float64, where the score is above $10^{-3}$. The error
    of the logarithm is below 4e-6 and 1e-12 of its largest term
    (`python -m benchmarks.accuracy`).

    The direction of a sample is uniform, and its distance comes from a table of
    quantiles with a relative error under 1e-4, or 1e-3 in the one in 1000 that end
    closest to the antipode. The table is built at the first call, in tenths of a
    second. On the circle a sample is a wrapped normal.

    **Arguments:**

    - `manifold`: the sphere.
    """

    manifold: Sphere

    @typed
    def log_prob(self, x0: Point, x: Point, v: Scalar) -> Scalar:
        self.manifold._check_shapes("log_prob", x0=x0, x=x)
        v = positive_variance("SphereHeatKernel.log_prob", v)
        r, supplement, _ = polar(self.manifold, x0, x)
        return _radial(self.manifold.dim, r, supplement, v)[0]

    @typed
    def score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        self.manifold._check_shapes("score", x0=x0, x=x)
        v = positive_variance("SphereHeatKernel.score", v)
        r, supplement, gradient = polar(self.manifold, x0, x)
        return _radial(self.manifold.dim, r, supplement, v)[1] * gradient

    @typed
    def sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        self.manifold._check_shapes("sample", x0=x0)
        v = positive_variance("SphereHeatKernel.sample", v)
        if self.manifold.dim == 1:
            noise = self.manifold.tangent_noise(x0, key)
            return self.manifold.exp(x0, jnp.sqrt(v) * noise)
        return radial_sample(self.manifold, _table(self.manifold.dim), x0, v, key)

    @typed
    def series(
        self, terms: int, x0: Point, x: Point, v: Scalar
    ) -> tuple[Array, Tangent]:
        r, _, gradient = polar(self.manifold, x0, x)
        total, slope = sphere_series(self.manifold.dim, terms, r, v)
        return total, slope * gradient


def polar(manifold: Sphere, x0: Point, x: Point) -> tuple[Scalar, Scalar, Tangent]:
    r"""$r = d(x_0, x)$, $\pi - r$, and the gradient of $\cos r$ at $x$, whose length is
    $\sin r$: each to rounding, at $x_0$ and at its antipode as well."""
    near, far = x0 - x, x0 + x
    near_sq, far_sq = jnp.sum(near * near), jnp.sum(far * far)
    close = near_sq < far_sq
    gradient = manifold.to_tangent(x, jnp.where(close, near, far))
    cos = jnp.where(close, 1 - near_sq / 2, far_sq / 2 - 1)
    sin = safe_norm(gradient)
    return jnp.arctan2(sin, cos), jnp.arctan2(sin, -cos), gradient


def _radial(dim: int, r: Reals, supplement: Reals, v: Reals) -> tuple[Reals, Reals]:
    r"""$\log p_v$ and its derivative by $\cos r$."""
    xp, switch = array_module(v), _switch(dim)
    early, early_slope = _early(dim, r, supplement, xp.minimum(v, switch))
    late, late_slope = _late(dim, r, xp.maximum(v, switch))
    pick = lambda a, b: xp.where(v < switch, a, b)
    return pick(early, late), pick(early_slope, late_slope)


def _switch(dim: int) -> float:
    """From this variance on the terms of the series do not cancel: the first one is
    at most .8 in high dimension, and 1.1 on the sphere of dimension 2."""
    return min(1.0, max(5 / dim, 2 / dim * math.log(1.25 * (dim + 1))))


def _early(dim: int, r: Reals, supplement: Reals, v: Reals) -> tuple[Reals, Reals]:
    xp = array_module(v)
    power, numerator = ((dim - 1) / 2, None) if dim > 1 else (1.0, _sinc)
    log_total, slope = contour_integral(power, r, supplement, v, numerator)
    log_prob = log_total + (dim - 1) ** 2 / 8 * v - r * r / (2 * v)
    return log_prob - dim / 2 * xp.log(2 * math.pi * v), slope


def _sinc(r: Reals, supplement: Reals, s: NodeValues, step: NodeValues) -> NodeValues:
    xp = array_module(s)
    return xp.sin(xp.where(r < supplement, r + step, supplement - step)) / s


def _late(dim: int, r: Reals, v: Reals) -> tuple[Reals, Reals]:
    terms = sphere_terms(dim, _switch(dim))
    total, slope = sphere_series(dim, terms, r, v)
    return array_module(v).log(total) - Sphere(dim).log_volume, slope / total


@functools.lru_cache
def _table(dim: int) -> Float[np.ndarray, "variances radii"]:
    log_prob = lambda r, supplement, v: _radial(dim, r, supplement, v)[0]
    log_area = lambda r, supplement: (
        (dim - 1) * np.log(np.sin(np.minimum(r, supplement)))
    )
    return radial_table(
        dim, log_prob, log_area, last_variance=40 / dim, codimension=dim
    )
