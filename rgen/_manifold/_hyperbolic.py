import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array

from .._numerics import polynomial, safe_norm, sinhc_sq, skew
from .._typing import BoolScalar, Point, Scalar, Tangent, typed
from ._base import AbstractManifold, check_size


class Hyperbolic(AbstractManifold):
    r"""Hyperbolic space $\mathbb H^d$, of curvature $-1$, in normal coordinates.

    A point is an array $x$ of shape `(dim,)`, the tangent vector at the origin whose
    exponential the point is: $r = |x|$ is the distance to the origin and $n = x / r$
    the direction. Every finite vector is a point, so that nothing drifts off the
    manifold, and distances are not limited by the floating-point range as they are in
    the Poincaré ball and on the hyperboloid. With $v = v_\parallel + v_\perp$ along and
    across $n$, the metric is

    $$|v|_x^2 = |v_\parallel|^2 + \left(\frac{\sinh r}{r}\right)^2 |v_\perp|^2.$$

    Coefficients in the frame are along $n$ and across it, as parallel transport from
    the origin takes them: $E(x) z = z_\parallel + \frac{r}{\sinh r} z_\perp$.

    Rounding an array moves its point by up to $\epsilon \sinh r$ in the metric, where
    $\epsilon$ is the spacing of floating-point numbers: this is the error to expect
    from any method. In float32 it is 0.001 at $r = 10$ and reaches 1 near $r = 16$
    (float64: $r = 36$). Further out the array of a tangent vector says nothing of its
    part across $n$, and $\sinh r$ in the metric stays at $1 / (2 \epsilon)$. Distances
    have no such limit, and everything stays finite, up to $r = 10^{18}$ in float32.

    Geodesics are translations of the origin's: $\exp_x(E(x) w) = x \oplus w$, the
    addition of relativistic velocities, here of rapidities (Ungar, *Analytic Hyperbolic
    Geometry*, 2005, Chapter 3), evaluated without cancellation.

    **Arguments:**

    - `dim`: the dimension $d \ge 2$.
    """

    dim: int = eqx.field(static=True)
    compact: ClassVar[bool] = False
    period: ClassVar[float] = math.inf  # pyright: ignore

    def __check_init__(self):
        hint = " In dimension 1 there is no curvature: use rgen.Euclidean(1)."
        check_size("Hyperbolic", "dim", self.dim, 2, hint)

    @property
    def point_shape(self) -> tuple[int, ...]:
        return (self.dim,)

    @property
    def killing_size(self) -> int:
        """`dim` translations along the axes, then the rotations."""
        return self.dim * (self.dim + 1) // 2

    @property
    def origin(self) -> Point:
        return jnp.zeros(self.dim)

    @typed
    def to_poincare(self, x: Point) -> Array:
        r"""The point `x` in the Poincaré ball, $\tanh(r / 2)\, n$, of shape `(dim,)`.
        Rounds to the boundary from $r = 18$ in float32 and $r = 38$ in float64."""
        self._check_shapes("to_poincare", x=x)
        return _tanhc_half_sq(jnp.sum(x * x)) * x

    @typed
    def from_poincare(self, p: Point) -> Point:
        r"""The point at `p` in the Poincaré ball, of shape `(dim,)` and of length less
        than 1: $2 \operatorname{artanh}(|p|)\, p / |p|$. Not finite where
        $|p| \ge 1$."""
        self._check_shapes("from_poincare", p=p)
        return 2 * _atanhc_sq(jnp.sum(p * p)) * p

    @typed
    def to_hyperboloid(self, x: Point) -> Array:
        r"""The point `x` on the hyperboloid $h_0^2 - |h_{1:}|^2 = 1$,
        $h = (\cosh r, \sinh(r)\, n)$ of shape `(dim + 1,)`. Overflows at $r = 89$ in
        float32 and $r = 710$ in float64."""
        self._check_shapes("to_hyperboloid", x=x)
        sq = jnp.sum(x * x)
        return jnp.concatenate([_cosh_sq(sq)[None], sinhc_sq(sq) * x])

    @typed
    def from_hyperboloid(self, h: Point) -> Point:
        r"""The point at `h` on the hyperboloid, of shape `(dim + 1,)`:
        $\operatorname{arsinh}(|h_{1:}|)\, h_{1:} / |h_{1:}|$. The first entry of `h`
        follows from the others, and is not read."""
        self._check_shape("from_hyperboloid", "h", h, (self.dim + 1,))
        return _asinhc_sq(jnp.sum(h[1:] * h[1:])) * h[1:]

    def _exp(self, x: Point, v: Tangent) -> Point:
        return translate(x, _coefficients(x, v))

    def _log(self, x: Point, y: Point) -> Tangent:
        return self._frame(x, translate(-x, y))

    def _dist(self, x: Point, y: Point) -> Scalar:
        return safe_norm(translate(-x, y))

    def _inner(self, x: Point, u: Tangent, v: Tangent) -> Scalar:
        return jnp.sum(_coefficients(x, u) * _coefficients(x, v))

    def _project(self, x: Point) -> Point:
        return x

    def _to_tangent(self, x: Point, v: Tangent) -> Tangent:
        return v

    def _transport(self, x: Point, y: Point, v: Tangent) -> Tangent:
        return self._frame(y, _rotate(x, y, _coefficients(x, v)))

    def _contains(self, x: Point, atol: float) -> BoolScalar:
        return jnp.array(True)

    def _frame(self, x: Point, z: Array) -> Tangent:
        sq = jnp.sum(x * x)
        stretch = _stretch(sq)
        return _scale_across(x, z, 1 / stretch, -_sinhc_rest_sq(sq) / stretch)

    def _basis(self, x: Point) -> Array:
        return jax.vmap(self._frame, (None, 0))(x, jnp.eye(self.dim, dtype=x.dtype))

    def _killing(self, x: Point, a: Array) -> Tangent:
        sq = jnp.sum(x * x)
        rate = coth_rest_sq(sq)
        translation = _scale_across(x, a[: self.dim], 1 + sq * rate, rate)
        return translation + skew(self.dim, a[self.dim :]) @ x

    def _log_det_exp(self, x: Point, v: Tangent) -> Scalar:
        return (self.dim - 1) * log_sinhc_sq(self._inner(x, v, v))

    def _sharp(self, x: Point, a: Array) -> Tangent:
        # The frame is a symmetric matrix.
        return self._frame(x, self._frame(x, a))

    def _connection(self, x: Point, v: Tangent, f: Tangent, df: Array) -> Tangent:
        # In the frame, which parallel transport turns in the plane of `x` and `v`.
        z, dz = jax.jvp(_coefficients, (x, f), (v, df))
        w = _coefficients(x, v)
        turn = jnp.sum(x * z) * w - jnp.sum(w * z) * x
        return self._frame(x, dz + _tanhc_half_sq(jnp.sum(x * x)) * turn)


def translate(a: Point, b: Point) -> Point:
    r"""$a \oplus b = \exp_a(E(a) b)$: the point `b` moved by the translation along the
    geodesic from the origin to `a`. Its inverse is the translation by `-a`.

    With $r = |a|$, $s = |b|$, on the hyperboloid the result is $(\cdot, Y)$ with

    $$Y = \frac{\sinh r}{r} \cosh(s)\, a + \frac{\sinh s}{s} \left(b + \frac{\cosh r -
    1}{r^2} (a \cdot b)\, a\right).$$

    The relative error is that of rounding `a + b` and, where this is large, `a` and
    `b`.
    """
    aa, bb = jnp.sum(a * a), jnp.sum(b * b)
    low, high = jnp.minimum(aa, bb), jnp.maximum(aa, bb)
    small = high < 4
    apart = ~small & (low >= 1)
    e, two = _unit_like(a), 2 * _unit_like(a)
    near, _ = _sum_small(jnp.where(small, a, 0), jnp.where(small, b, 0))
    polar, polar_shift = _sum_polar(jnp.where(apart, a, e), jnp.where(apart, b, two))
    mixed = ~small & ~apart
    rest, rest_shift = _sum_mixed(jnp.where(mixed, a, 0), jnp.where(mixed, b, e))
    y = jnp.where(small, near, jnp.where(apart, polar, rest))
    shift = jnp.where(small, 0, jnp.where(apart, polar_shift, rest_shift))
    return _from_scaled(y, shift)


def _unit_like(a: Array) -> Array:
    return jnp.zeros_like(a).at[0].set(1)


# The next three give `Y` of `translate` as exp(-shift) Y and shift, which holds for
# any shift, so that none has a derivative.


def _sum_small(a: Array, b: Array) -> tuple[Array, Array]:
    """For |a|, |b| < 2: polynomials, in which `b` stands as (a + b) - a, so that what
    cancels is cancelled before it is rounded."""
    total = a + b
    aa, bb = jnp.sum(a * a), jnp.sum(b * b)
    (sinhc_a, cosh_a), (sinhc_b, _), (sinhc_slope, cosh_slope) = _divided(aa, bb)
    sum_gap = jnp.sum(total * (b - a))
    along = sum_gap * (sinhc_a * cosh_slope - cosh_a * sinhc_slope)
    along = along + _cosh_rest_sq(aa) * sinhc_b * jnp.sum(a * total)
    return sinhc_b * total + along * a, jnp.zeros_like(aa)


def _sum_mixed(a: Array, b: Array) -> tuple[Array, Array]:
    """For |a| or |b| less than 1 and the other at least 2: nothing cancels."""
    aa, bb = jnp.sum(a * a), jnp.sum(b * b)
    r, s = stop_gradient(safe_norm(a)), stop_gradient(safe_norm(b))
    cosh_b = jnp.exp(-s) + bb * sinhc_scaled(bb / 4, s / 2) ** 2 / 2
    cosh_rest_a = sinhc_scaled(aa / 4, r / 2) ** 2 / 2
    inner = jnp.exp(-r) * b + cosh_rest_a * jnp.sum(a * b) * a
    y = sinhc_scaled(aa, r) * cosh_b * a + sinhc_scaled(bb, s) * inner
    return y, r + s


def _sum_polar(a: Array, b: Array) -> tuple[Array, Array]:
    """For |a| and |b| at least 1: with the angle of `a` and `b` halved."""
    r, s, n, m, gap, shift = _polar(a, b)
    sinh_b = -jnp.expm1(-2 * s) / 2
    cap = _cap(a)
    both = jnp.exp(jnp.minimum(r + s - shift, cap)) * (1 + jnp.exp(-2 * r)) * sinh_b
    along = both * jnp.sum(m * m) / 4 - gap * sinhc_scaled(gap * gap, shift)
    across = jnp.exp(jnp.minimum(s - shift, cap / 2)) * sinh_b
    return along * n + across * (m - jnp.sum(m * n) * n), shift


def _polar(a: Array, b: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
    r"""For |a| and |b| at least 1: |a|, |b|, the direction `n` of `a`, the sum `m` of
    the two directions, the gap |b| - |a|, and the distance from the origin to
    $a \oplus b$ but for a constant, a bound on what is to be scaled."""
    total = a + b
    r, s = jnp.sqrt(jnp.sum(a * a)), jnp.sqrt(jnp.sum(b * b))
    gap = jnp.sum(total * (b - a)) / (r + s)
    b_longer = gap > 0
    shorter = jnp.where(b_longer, a / r, b / s)
    m = total + jnp.where(b_longer, gap, -gap) * shorter
    m = m / jnp.where(b_longer, s, r)
    half_sq = jnp.sum(m * m) / 4
    wide = half_sq > jnp.exp(-_cap(a))
    around = jnp.where(wide, r + s + jnp.log(jnp.where(wide, half_sq, 1)), 0)
    return r, s, a / r, m, gap, stop_gradient(jnp.maximum(jnp.abs(gap), around))


def _cap(a: Array) -> float:
    # No factor exceeds exp(cap), the square root of the largest number.
    return math.log(float(jnp.finfo(a.dtype).max)) / 2


def _from_scaled(y: Array, shift: Array) -> Point:
    """arsinh(|Y|) Y / |Y| for Y = exp(shift) y."""
    shift = stop_gradient(shift)
    yy = jnp.sum(y * y)
    scale = jnp.exp(jnp.minimum(shift, 5))
    near = (shift < 5) & (yy * scale**2 < 1)
    low = jnp.where(near, y * scale, 0)
    high = jnp.where(near, _unit_like(y), y)
    length = jnp.sqrt(jnp.sum(high * high))
    root = jnp.sqrt(length**2 + jnp.exp(-2 * shift))
    far = (shift + jnp.log(length + root)) / length * high
    return jnp.where(near, _asinhc_sq(jnp.sum(low * low)) * low, far)


def _rotate(x: Point, y: Point, w: Array) -> Array:
    r"""The coefficients at `y` of what has coefficients `w` at `x`, transported: turned
    in the plane of `x` and `y` by the angle defect of the triangle `(0, x, y)`.

    Written with $P$ and $B$, the scalar and the bivector of the product of the two
    translations' half-angle forms, $\tan(\mathrm{defect} / 2) = |B| / P$.
    """
    apart = jnp.minimum(jnp.sum(x * x), jnp.sum(y * y)) >= 1
    e = _unit_like(x)
    polar = _rotor_polar(jnp.where(apart, x, e), jnp.where(apart, y, e))
    near = _rotor_near(jnp.where(apart, 0, x), jnp.where(apart, 0, y))
    scalar, p, q = (jnp.where(apart, f, g) for f, g in zip(polar, near, strict=True))
    bivector = lambda u: jnp.sum(q * u) * p - jnp.sum(p * u) * q
    area_sq = jnp.sum(p * p) * jnp.sum(q * q) - jnp.sum(p * q) ** 2
    turned = bivector(w)
    turn = scalar * turned + bivector(turned)
    return w + 2 / (scalar**2 + area_sq) * turn


# The next two give `P`, and two vectors whose wedge product is `B`, up to a factor.


def _rotor_near(x: Array, y: Array) -> tuple[Array, Array, Array]:
    xx, yy = jnp.sum(x * x), jnp.sum(y * y)
    r, s = stop_gradient(safe_norm(x)), stop_gradient(safe_norm(y))
    half_x, half_y = sinhc_scaled(xx / 4, r / 2), sinhc_scaled(yy / 4, s / 2)
    cosh_x = jnp.exp(-r / 2) + xx / 8 * sinhc_scaled(xx / 16, r / 4) ** 2
    cosh_y = jnp.exp(-s / 2) + yy / 8 * sinhc_scaled(yy / 16, s / 4) ** 2
    scalar = cosh_x * cosh_y - half_x * half_y * jnp.sum(x * y) / 4
    return scalar, half_x * x / 2, half_y * (y - x) / 2


def _rotor_polar(x: Array, y: Array) -> tuple[Array, Array, Array]:
    r, s, n, m, gap, shift = _polar(-x, y)
    both = jnp.exp(jnp.minimum(r + s - shift, _cap(x)) / 2)
    both = both * jnp.expm1(-r) * jnp.expm1(-s) / 4
    cosh_gap = (jnp.exp((gap - shift) / 2) + jnp.exp((-gap - shift) / 2)) / 2
    return cosh_gap + both * jnp.sum(m * m) / 2, -n, both * m


def _coefficients(x: Point, v: Tangent) -> Array:
    """The inverse of the frame."""
    sq = jnp.sum(x * x)
    return _scale_across(x, v, _stretch(sq), _sinhc_rest_sq(sq))


def _scale_across(x: Point, v: Array, factor: Array, rest: Array) -> Array:
    """The part of `v` along `x`, plus `factor` times the part across. `rest`, which is
    (factor - 1) / |x|^2, is used where `x` is small: there this is smooth."""
    sq = jnp.sum(x * x)
    small = sq < 1
    low = jnp.where(small, x, 0)
    near = v + rest * (jnp.sum(low * low) * v - jnp.sum(low * v) * low)
    n = jnp.where(small, _unit_like(x), x / jnp.sqrt(jnp.where(small, 1, sq)))
    along = jnp.sum(n * v) * n
    return jnp.where(small, near, along + factor * (v - along))


def _stretch(sq: Array) -> Array:
    """sinh(r) / r in the metric, for sq = r^2: bounded in value, not in its logarithmic
    derivative, so that curvature stays what it is."""
    limit = -math.log(float(jnp.finfo(sq.dtype).eps))
    small = sq < limit**2
    r = jnp.sqrt(jnp.where(small, limit**2, sq))
    far = math.sinh(limit) * jnp.exp(r - stop_gradient(r)) / r
    return jnp.where(small, sinhc_sq(jnp.where(small, sq, 1)), far)


# Functions of hyperbolic sines, with the convention of `_numerics`: `_sq` takes the
# square of the argument. Below a square of 4, the polynomials are exact to rounding.

_TERMS = 12
_SINHC = [1 / math.factorial(2 * k + 1) for k in range(_TERMS)]
_COSH = [1 / math.factorial(2 * k) for k in range(_TERMS)]
_COTH_REST = [(2 * k + 2) / math.factorial(2 * k + 3) for k in range(_TERMS)]


def _divided(s: Array, t: Array) -> tuple[Array, Array, Array]:
    """With f = [sinhc, cosh] as polynomials in the square of the argument: f(s), f(t)
    and, by synthetic division, (f(t) - f(s)) / (t - s)."""
    at_s = at_t = slope = jnp.zeros(2, s.dtype)
    for pair in zip(reversed(_SINHC), reversed(_COSH), strict=True):
        coefficient = jnp.array(pair, s.dtype)
        slope = slope * t + at_s
        at_s, at_t = at_s * s + coefficient, at_t * t + coefficient
    return at_s, at_t, slope


def divided_ratio_sq(s: Array, t: Array) -> Array:
    r"""$(\operatorname{sinhc} b - \operatorname{sinhc} a) / (\cosh b - \cosh a)$ for
    $s = a^2$ and $t = b^2$ that are less than 4."""
    sinhc_slope, cosh_slope = _divided(s, t)[2]
    return sinhc_slope / cosh_slope


def _cosh_sq(s: Array) -> Array:
    return 1 + s * _cosh_rest_sq(s)


def _cosh_rest_sq(s: Array) -> Array:
    """(cosh(r) - 1) / r^2."""
    return sinhc_sq(s / 4) ** 2 / 2


def _sinhc_rest_sq(s: Array) -> Array:
    """(sinh(r) / r - 1) / r^2 for r < 1, else a number of no use."""
    return polynomial(jnp.where(s < 1, s, 1), _SINHC[1:])


def sinhc_scaled(s: Array, shift: Array) -> Array:
    """exp(-shift) sinh(r) / r: no overflow where `shift` is near `r`."""
    small = s < 1
    low = sinhc_sq(jnp.where(small, s, 0)) * jnp.exp(-jnp.where(small, shift, 0))
    r = jnp.sqrt(jnp.where(small, 1, s))
    high = jnp.exp(jnp.where(small, 0, r - shift)) * -jnp.expm1(-2 * r) / (2 * r)
    return jnp.where(small, low, high)


def log_sinhc_sq(s: Array) -> Array:
    """log(sinh(r) / r)."""
    small = s < 1
    low = jnp.where(small, s, 0)
    r = jnp.sqrt(jnp.where(small, 1, s))
    far = r + jnp.log(-jnp.expm1(-2 * r) / (2 * r))
    return jnp.where(small, jnp.log1p(low * polynomial(low, _SINHC[1:])), far)


def coth_rest_sq(s: Array) -> Array:
    """(r coth(r) - 1) / r^2."""
    small = s < 1
    low, high = jnp.where(small, s, 0), jnp.where(small, 1, s)
    r = jnp.sqrt(high)
    near = polynomial(low, _COTH_REST) / sinhc_sq(low)
    return jnp.where(small, near, (r / jnp.tanh(r) - 1) / high)


def _tanhc_half_sq(s: Array) -> Array:
    """tanh(r / 2) / r."""
    small = s < 1
    low, r = jnp.where(small, s / 4, 0), jnp.sqrt(jnp.where(small, 1, s))
    return jnp.where(small, sinhc_sq(low) / (2 * _cosh_sq(low)), jnp.tanh(r / 2) / r)


def _asinhc_sq(s: Array) -> Array:
    """arsinh(r) / r."""
    small = s < 0.05
    low, r = jnp.where(small, s, 0), jnp.sqrt(jnp.where(small, 1, s))
    series = [(-1 / 4) ** k * math.comb(2 * k, k) / (2 * k + 1) for k in range(_TERMS)]
    return jnp.where(small, polynomial(low, series), jnp.arcsinh(r) / r)


def _atanhc_sq(s: Array) -> Array:
    """artanh(r) / r."""
    small = s < 0.05
    low, r = jnp.where(small, s, 0), jnp.sqrt(jnp.where(small, 1, s))
    series = [1 / (2 * k + 1) for k in range(_TERMS)]
    return jnp.where(small, polynomial(low, series), jnp.arctanh(r) / r)
