"""Heat kernels as sums over eigenfunctions of the Laplacian."""

import math

import jax.numpy as jnp
from jaxtyping import Array

from .._typing import Floating, Scalar


def sphere_series(dim: int, terms: int, cos: Scalar, v: Scalar) -> Scalar:
    r"""$\mathrm{vol}(S^d)\,p_v$ from the eigenspaces of degree 0 to `terms`:

    $$\sum_{l=0}^{J} N_l\, e^{-l(l+d-1)v/2} P_l(\cos r),$$

    with the dimension $N_l$ of the space of spherical harmonics and the Gegenbauer
    polynomial $P_l$ that is 1 at 1. Negative where `terms` is too small for `v`.
    """
    before, now, total = jnp.ones_like(cos), cos, jnp.ones_like(cos)
    for l in range(1, terms + 1):
        size = float(_multiplicity(dim, l))
        total = total + size * jnp.exp(-l * (l + dim - 1) / 2 * v) * now
        after = (2 * l + dim - 1) * cos * now - l * before
        before, now = now, after / (l + dim - 1)
    return total


def sphere_series_slope(dim: int, terms: int, cos: Scalar, v: Scalar) -> Scalar:
    r"""The derivative of `sphere_series` by $\cos r$, which is the series of
    dimension $d + 2$ with one term less, times $(d + 1) e^{-dt/2}$."""
    if terms == 0:
        return jnp.zeros_like(cos)
    above = sphere_series(dim + 2, terms - 1, cos, v)
    return (dim + 1) * jnp.exp(-dim / 2 * v) * above


def rotation_series(terms: int, cos: Scalar, v: Scalar) -> tuple[Scalar, Scalar]:
    r"""$8\pi^2\,p_v$ on SO(3) from the representations of degree 0 to `terms`, and its
    derivative by the cosine of the rotation angle $\omega$:

    $$\sum_{l=0}^{J} (2l+1)\, e^{-l(l+1)v/2} \chi_l(\omega),
    \qquad \chi_l = 1 + 2 \sum_{k=1}^{l} \cos k\omega.$$

    Negative where `terms` is too small for `v`.
    """
    before, now = jnp.ones_like(cos), cos
    before_slope, now_slope = jnp.zeros_like(cos), jnp.ones_like(cos)
    character, character_slope = jnp.ones_like(cos), jnp.zeros_like(cos)
    total, slope = jnp.ones_like(cos), jnp.zeros_like(cos)
    for l in range(1, terms + 1):
        character = character + 2 * now
        character_slope = character_slope + 2 * now_slope
        weight = (2 * l + 1) * jnp.exp(-l * (l + 1) / 2 * v)
        total, slope = total + weight * character, slope + weight * character_slope
        after_slope = 2 * now + 2 * cos * now_slope - before_slope
        before, now = now, 2 * cos * now - before
        before_slope, now_slope = now_slope, after_slope
    return total, slope


def circle_series(
    terms: int, angle: Floating[Array, "..."], v: Scalar
) -> tuple[Floating[Array, "..."], Floating[Array, "..."]]:
    r"""$2\pi\,p_v$ on the circle from the modes 0 to `terms`, and its derivative by the
    angle $a$: $1 + 2 \sum_{n=1}^{J} e^{-n^2v/2} \cos na$. Negative where `terms` is
    too small for `v`."""
    total, slope = jnp.ones_like(angle), jnp.zeros_like(angle)
    for n in range(1, terms + 1):
        weight = 2 * jnp.exp(-n * n / 2 * v)
        total = total + weight * jnp.cos(n * angle)
        slope = slope - n * weight * jnp.sin(n * angle)
    return total, slope


def sphere_terms(dim: int, v: float) -> int:
    r"""How many terms give `sphere_series` and its slope to 1e-18 of the value at
    $r = 0$ for times from `v` on."""
    l = 1
    while _multiplicity(dim + 2, l) * math.exp(-l * (l + dim - 1) / 2 * v) > 1e-18:
        l += 1
    return l


def _multiplicity(dim: int, degree: int) -> int:
    top = math.comb(degree + dim, dim)
    return top - (math.comb(degree + dim - 2, dim) if degree > 1 else 0)
