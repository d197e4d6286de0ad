"""Elementary functions that stay accurate, gradients included, where their textbook
forms do not.

Functions whose name ends in `_sq` take the square of their argument. They are analytic
in it, so that `f(|v|^2)` has derivatives of every order at `v = 0`, which `f(|v|)`
evaluated through a norm has not.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._typing import Floating, Scalar


# Below this square the series is used. Seven terms leave an error under 1e-17.
_SMALL_SQ = 0.05
_TERMS = 7
# pi / 2, of which the first two parts have 11 bits each.
_QUARTER = 1.5703125, 0.0004837512969970703, 7.549790126404332e-08


def polynomial(s: Array, coefficients: list[float]) -> Array:
    """The polynomial with the given coefficients, the constant first, at `s`."""
    total = jnp.zeros_like(s)
    for coefficient in reversed(coefficients):
        total = total * s + coefficient
    return total


def _split(s: Array) -> tuple[Array, Array, Array]:
    """Whether `s` is small, `s` where it is and 0 elsewhere, sqrt(s) where it is not
    and 1 elsewhere: the pieces of a double `where`."""
    small = s < _SMALL_SQ
    return small, jnp.where(small, s, 0), jnp.sqrt(jnp.where(small, 1, s))


@jax.custom_jvp
def sin_cos(x: Array) -> tuple[Array, Array]:
    """The sine and the cosine of each entry of `x`.

    In float32 by polynomials, with errors of one rounding for |x| up to 1e4; from 1e7
    on, where rounding moves `x` by a radian, of the result nothing but its range is
    right. On CPU, XLA's own call a function for each entry and take several times as
    long (`benchmarks/features.py`).
    """
    if x.dtype != jnp.float32:
        return jnp.sin(x), jnp.cos(x)
    quarters = jnp.round(x * (2 / math.pi))
    # A quarter of a turn in three parts: products with the first two are exact.
    r = x
    for part in _QUARTER:
        r = r - quarters * part
    # A little more than an eighth of a turn: by so much can rounding miss.
    r = jnp.clip(r, -0.8, 0.8)
    s = r * r
    sin = r * polynomial(s, [(-1) ** k / math.factorial(2 * k + 1) for k in range(5)])
    cos = polynomial(s, [(-1) ** k / math.factorial(2 * k) for k in range(6)])
    turn = quarters.astype(jnp.int32)
    odd = turn % 2 == 1
    sin, cos = jnp.where(odd, cos, sin), jnp.where(odd, sin, cos)
    flip = lambda turn, value: jnp.where(turn % 4 >= 2, -value, value)
    return flip(turn, sin), flip(turn + 1, cos)


@sin_cos.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple:
    (x,), (dx,) = primals, tangents
    sin, cos = sin_cos(x)
    return (sin, cos), (cos * dx, -sin * dx)


def cos_sq(s: Array) -> Array:
    """cos(sqrt(s)) for s >= 0."""
    small, low, root = _split(s)
    series = [(-1) ** k / math.factorial(2 * k) for k in range(_TERMS)]
    return jnp.where(small, polynomial(low, series), jnp.cos(root))


def sinc_sq(s: Array) -> Array:
    """sin(sqrt(s)) / sqrt(s) for s >= 0."""
    small, low, root = _split(s)
    series = [(-1) ** k / math.factorial(2 * k + 1) for k in range(_TERMS)]
    return jnp.where(small, polynomial(low, series), jnp.sin(root) / root)


def cosc_sq(s: Array) -> Array:
    """(1 - cos(sqrt(s))) / s for s >= 0."""
    half = sinc_sq(s / 4)
    return half * half / 2


def sinhc_sq(s: Array) -> Array:
    """sinh(sqrt(s)) / sqrt(s) for s >= 0."""
    small, low, root = _split(s)
    series = [1 / math.factorial(2 * k + 1) for k in range(_TERMS)]
    return jnp.where(small, polynomial(low, series), jnp.sinh(root) / root)


def asinc_sq(s: Array) -> Array:
    """arcsin(sqrt(s)) / sqrt(s) for 0 <= s < 1."""
    small, low, root = _split(s)
    # Slower to converge than the others: s^16 has the size of a rounding error.
    series = [math.comb(2 * k, k) / (4**k * (2 * k + 1)) for k in range(14)]
    safe = jnp.where(root >= 1, 0.5, root)
    return jnp.where(small, polynomial(low, series), jnp.arcsin(safe) / safe)


def safe_sqrt(s: Array) -> Array:
    """sqrt(s), with derivative zero instead of infinity at s = 0."""
    zero = s <= 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, s)))


def safe_norm(v: Floating[Array, "..."]) -> Scalar:
    """The Frobenius norm of `v`, with derivative zero at `v = 0`."""
    return safe_sqrt(jnp.sum(v * v))


def log_sum_exp(a: Floating[Array, "..."], axis: int = -1) -> Floating[Array, "..."]:
    """log(sum(exp(a))), finite gradients included, where every term is -inf but one."""
    # What is taken out of the exponents cancels, in the derivatives too.
    top = jax.lax.stop_gradient(jnp.max(a, axis=axis, keepdims=True))
    top = jnp.where(jnp.isfinite(top), top, 0)
    total = jnp.sum(jnp.exp(a - top), axis=axis)
    return jnp.log(total) + jnp.squeeze(top, axis)


def unit(v: Floating[Array, "..."], otherwise: Array) -> Floating[Array, "..."]:
    """`v` over its norm, and `otherwise` for `v = 0`: also where the square of `v`
    underflows, with finite derivatives as long as 1 / |v| has them."""
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(v)))
    zero = size == 0
    scaled = jnp.where(zero, otherwise, v / jnp.where(zero, 1, size))
    return scaled / jnp.sqrt(jnp.sum(scaled * scaled))


def log_sphere_volume(dim: int) -> float:
    """The logarithm of the volume of the unit sphere of dimension `dim`."""
    n = (dim + 1) / 2
    return math.log(2) + n * math.log(math.pi) - math.lgamma(n)


def skew(n: int, z: Floating[Array, " size"]) -> Floating[Array, "n n"]:
    """The skew-symmetric matrix of size `n` with `z` above the diagonal, by rows."""
    rows, columns = jnp.triu_indices(n, 1)
    upper = jnp.zeros((n, n), z.dtype).at[rows, columns].set(z)
    return upper - upper.T
