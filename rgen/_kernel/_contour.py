"""The contour integral from which the heat kernels of spheres and of SO(3) come."""

import math
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Array, Complex, Float


# Everything here takes NumPy arrays too, without compilation: see `radial_table`. What
# comes out is of the kind that goes in, which a union of the two would not say.
if TYPE_CHECKING:
    Reals: TypeAlias = Any
else:
    Reals: TypeAlias = Float[Array, "..."] | Float[np.ndarray, "..."]
_Nodes: TypeAlias = Float[Array, "... nodes"] | Float[np.ndarray, "... nodes"]
NodeValues: TypeAlias = Complex[Array, "... nodes"] | Complex[np.ndarray, "... nodes"]

# Nodes, their spacing in units of the inverse root of the vertex, and how far the
# vertex lies left of the saddle point, which keeps the nodes away from the
# singularities. With these the score has a relative error under 1e-5 in float32 and
# 1e-12 in float64 for every power from 1/2 to 255.
_RULES = {"float32": (9, 0.43, 1.5), "float64": (18, 0.31, 3.0)}
# Up to this power the integrand is so flat that one vertex serves all arguments, in
# units of the power.
_FLAT_POWER, _FLAT_VERTEX = 4.0, 1.7


def array_module(x: Any) -> ModuleType:
    """`numpy` for an array of NumPy, and `jax.numpy` otherwise."""
    return np if isinstance(x, np.ndarray) else jnp


def contour_integral(
    power: float,
    r: Reals,
    supplement: Reals,
    v: Reals,
    numerator: Callable[[_Nodes, _Nodes, NodeValues, NodeValues], NodeValues]
    | None = None,
) -> tuple[Reals, Reals]:
    r"""The logarithm of

    $$\frac{\Gamma(p)}{2\pi i} \int e^{-\zeta}
    \left(\frac{v}{\cos s - \cos r}\right)^p n(s)\,\mathrm d\zeta,
    \qquad s^2 = r^2 + 2v\zeta,$$

    with an even, entire function $n$, and the derivative by $\cos r$ of the logarithm
    of $e^{-r^2/2v}$ times this integral.

    The contour comes from infinity along the positive real axis, crosses the axis left
    of 0 and goes back. As $v \to 0$ the integral tends to $n(r)\,(r/\sin r)^p$.

    The heat semigroup is the inverse Laplace transform of the resolvent. On spheres and
    on SO(3) the kernel of the resolvent is, up to a factor, elementary, and all its
    singularities in $\zeta$ are on the positive axis: at $s = r$, $2\pi - r$,
    $2\pi + r$ and so on, one for every geodesic between the two points. The contour
    passes around all of them together. So there is no special case at the cut locus,
    where two of them merge, and with the factor $e^{-r^2/2v}$ taken out none at small
    `v`. On a parabola the trapezoidal rule converges geometrically (Weideman and
    Trefethen 2007, *Parabolic and hyperbolic contours for computing the Bromwich
    integral*). Where the power is large the parabola crosses the axis at the saddle
    point of the integrand, so that nothing cancels and the number of nodes does not
    depend on the power. The integrand is scaled by its value at the first node, so
    that it neither overflows nor underflows.

    **Arguments:**

    - `power`: $p$.
    - `r`, `supplement`: the distance $0 \le r \le \pi$, and $\pi - r$, each to its own
      relative accuracy.
    - `v`: the accumulated variance.
    - `numerator`: $n(s)$ as a function of $r$, $\pi - r$, $s$ and $s - r$; 1 by
        default.
    """
    xp = array_module(v)
    r, supplement, v = r[..., None], supplement[..., None], v[..., None]
    nodes, spacing, shift = _RULES[r.dtype.name]
    if power > _FLAT_POWER:
        vertex = shift + power * _saddle_point(power, r, supplement, v)
        spacing = spacing / xp.sqrt(vertex)
    else:
        vertex = shift + power * _FLAT_VERTEX
        spacing = spacing / math.sqrt(vertex)

    # zeta = -vertex (1 + iy)^2. In real arithmetic, since complex square roots,
    # exponentials and products take several times as long to compile.
    y = spacing * (np.arange(nodes) + 0.5).astype(r.dtype)
    zeta_re, zeta_im = -vertex * (1 - y * y), -2 * vertex * y
    square_re, square_im = r * r + 2 * v * zeta_re, 2 * v * zeta_im
    modulus = xp.sqrt(square_re * square_re + square_im * square_im)
    large = xp.sqrt((modulus + xp.abs(square_re)) / 2)
    small = -square_im / (2 * large)
    s_re = xp.where(square_re > 0, large, small)
    s_im = -xp.where(square_re > 0, small, large)
    # s - r = 2 v zeta / (s + r)
    sum_re = s_re + r
    scale = 2 * v / (sum_re * sum_re + s_im * s_im)
    step_re = scale * (zeta_re * sum_re + zeta_im * s_im)
    step_im = scale * (zeta_im * sum_re - zeta_re * s_im)

    # 2 (cos s - cos r) = e^{is} (1 - e^{-i(s-r)}) (1 - e^{-i(s+r)}). On the contour
    # Im s is negative, so both brackets have a positive real part and their product a
    # principal logarithm that is continuous.
    decay = xp.expm1(step_im)
    wrapped = xp.where(r < supplement, 2 * r, -2 * supplement)
    a, b = _one_minus_phase(step_re, decay)
    c, d = _one_minus_phase(step_re + wrapped, decay)
    unit = 1 / (2 * power * v)
    gap_re, gap_im = unit * (a * c - b * d), unit * (a * d + b * c)
    # In units of the first one, for logarithms without a large common part.
    first_re, first_im = gap_re[..., :1], gap_im[..., :1]
    first = xp.sqrt(first_re * first_re + first_im * first_im)
    gap_re, gap_im = gap_re / first, gap_im / first
    # The logarithm of first p v / (cos s - cos r), and the exponent of the integrand.
    log_re = s_im - xp.log(gap_re * gap_re + gap_im * gap_im) / 2
    log_im = -s_re - xp.arctan2(gap_im, gap_re)
    # Less the common part, vertex - power, which is large in high dimension.
    size, angle = power * log_re - vertex * (y * y), power * log_im - zeta_im
    peak = size[..., :1] if xp is np else stop_gradient(size[..., :1])
    size = xp.exp(size - peak)

    # The nodes above the real axis are the conjugates of those below: count them twice.
    factor_re, factor_im = 1.0, y
    if numerator is not None:
        step = step_re + 1j * step_im
        factor = (1 + 1j * y) * numerator(r, supplement, s_re + 1j * s_im, step)
        factor_re, factor_im = xp.real(factor), xp.imag(factor)
    real_part = lambda angle: factor_re * xp.cos(angle) - factor_im * xp.sin(angle)
    total = xp.sum(size * real_part(angle), axis=-1)
    slope = xp.sum(size * xp.exp(log_re) * real_part(angle + log_im), axis=-1)
    constant = math.lgamma(power) + power - power * math.log(power)
    measure = 2 / math.pi * vertex * spacing
    peak = peak - power * xp.log(first) + (vertex - power)
    log_total = constant + (peak + xp.log(measure * total[..., None]))[..., 0]
    return log_total, slope / total / (first * v)[..., 0]


def _one_minus_phase(re: _Nodes, decay: _Nodes) -> tuple[_Nodes, _Nodes]:
    r"""$1 - e^{-i\phi}$, without cancellation where $\phi$ is small, from the real part
    of $\phi$ and $e^{\mathrm{Im}\,\phi} - 1$."""
    xp = array_module(re)
    half = xp.sin(re / 2)
    return 2 * (1 + decay) * half * half - decay, (1 + decay) * xp.sin(re)


def _saddle_point(power: float, r: _Nodes, supplement: _Nodes, v: _Nodes) -> _Nodes:
    r"""$\rho$ so that the derivative of the integrand of `contour_integral` by $\zeta$
    is about zero at $-\rho p$, where $p v \sin s / s = \cos s - \cos r$.

    Between 1 and 2 for small `v`. The integral depends little on it, so it is the best
    of a list."""
    xp = array_module(v)
    rho = np.geomspace(1, 8, 32).astype(r.dtype)
    square = r * r - 2 * power * v * rho
    size = xp.sqrt(xp.abs(square))
    # s is real or imaginary.
    step = -2 * power * v * rho / (size + r)
    near = r < supplement
    mid = xp.sin(xp.where(near, r + step / 2, supplement - step / 2))
    real = -2 * xp.sin(step / 2) * mid * size
    real = real - power * v * xp.sin(xp.where(near, r + step, supplement - step))
    imaginary = 2 * (xp.sinh(size / 2) ** 2 + xp.sin(r / 2) ** 2) * size
    imaginary = imaginary - power * v * xp.sinh(size)
    before = xp.where(square > 0, real, imaginary) < 0
    count = xp.sum(before, axis=-1, keepdims=True).astype(r.dtype)
    return xp.exp(math.log(8) / 31 * (count - 0.5).clip(0))
