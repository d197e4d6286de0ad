"""Heat kernels as sums over eigenfunctions of the Laplacian."""

import functools
import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._typing import Floating, Scalar
from ._contour import Reals, array_module


class _CosineTable(NamedTuple):
    r"""Zonal functions $f_l = \sum_k c_{lk} \cos kr$ and their derivatives by $\cos r$
    over the rate of decay and the multiplicity of each.

    - `rate`, `log_size`: the eigenvalue over 2 and the logarithm of what multiplies
      the function.
    - `values`, `slopes`: the coefficients, of shape `(degrees, frequencies)`.
    """

    rate: Float[np.ndarray, " degrees"]
    log_size: Float[np.ndarray, " degrees"]
    values: Float[np.ndarray, "degrees frequencies"]
    slopes: Float[np.ndarray, "degrees frequencies"]

    def sum(self, r: Reals, v: Reals) -> tuple[Reals, Reals]:
        """The sum over the degrees, and its derivative by the cosine."""
        xp, dtype = array_module(v), r.dtype
        rate, log_size, values, slopes = (y.astype(dtype) for y in self)
        # Multiplicities leave float32 in high dimension, their products do not.
        weight = xp.exp(log_size - rate * v[..., None])
        cosines = xp.cos(np.arange(values.shape[1], dtype=dtype) * r[..., None])
        # Each row of a matrix sums to a value at r = 0, and nothing cancels there.
        precision = {} if xp is np else {"precision": "highest"}
        value = xp.matmul(cosines, values.T, **precision)
        slope = xp.matmul(cosines, slopes.T, **precision)
        return xp.sum(weight * value, axis=-1), xp.sum(weight * slope, axis=-1)


def sphere_series(dim: int, terms: int, r: Reals, v: Reals) -> tuple[Reals, Reals]:
    r"""$\mathrm{vol}(S^d)\,p_v$ from the eigenspaces of degree 0 to `terms`, and its
    derivative by $\cos r$:

    $$\sum_{l=0}^{J} N_l\, e^{-l(l+d-1)v/2} P_l(\cos r),$$

    with the dimension $N_l$ of the space of spherical harmonics and the Gegenbauer
    polynomial $P_l$ that is 1 at 1. Negative where `terms` is too small for `v`.
    """
    return _sphere_table(dim, terms).sum(r, v)


def rotation_series(terms: int, angle: Reals, v: Reals) -> tuple[Reals, Reals]:
    r"""$8\pi^2\,p_v$ on SO(3) from the representations of degree 0 to `terms`, and its
    derivative by the cosine of the rotation angle $\omega$:

    $$\sum_{l=0}^{J} (2l+1)\, e^{-l(l+1)v/2} \chi_l(\omega),
    \qquad \chi_l = 1 + 2 \sum_{k=1}^{l} \cos k\omega.$$

    Negative where `terms` is too small for `v`.
    """
    return _rotation_table(terms).sum(angle, v)


def circle_series(
    terms: int, angle: Floating[Array, "..."], v: Scalar
) -> tuple[Floating[Array, "..."], Floating[Array, "..."]]:
    r"""$2\pi\,p_v$ on the circle from the modes 0 to `terms`, and its derivative by the
    angle $a$: $1 + 2 \sum_{n=1}^{J} e^{-n^2v/2} \cos na$. Negative where `terms` is
    too small for `v`."""
    n = np.arange(1, terms + 1, dtype=angle.dtype)
    weight = 2 * jnp.exp(-n * n / 2 * v)
    phase = n * angle[..., None]
    total = 1 + jnp.sum(weight * jnp.cos(phase), axis=-1)
    return total, -jnp.sum(n * weight * jnp.sin(phase), axis=-1)


def sphere_terms(dim: int, v: float) -> int:
    r"""How many terms give `sphere_series` and its slope to 1e-18 of the value at
    $r = 0$ for variances from `v` on."""
    l = 1
    while _multiplicity(dim + 2, l) * math.exp(-l * (l + dim - 1) / 2 * v) > 1e-18:
        l += 1
    return l


@functools.lru_cache
def _sphere_table(dim: int, terms: int) -> _CosineTable:
    l = np.arange(terms + 1)
    log_size = np.array([math.log(_multiplicity(dim, k)) for k in l.tolist()])
    # The derivative of P_l is its value l(l+d-1)/d at 1 times the polynomial of degree
    # l - 1 in dimension d + 2.
    slopes = np.zeros((terms + 1, terms + 1))
    slopes[1:, :-1] = _gegenbauer(dim + 2, terms - 1)
    slopes *= (l * (l + dim - 1) / dim)[:, None]
    return _CosineTable(
        l * (l + dim - 1) / 2, log_size, _gegenbauer(dim, terms), slopes
    )


def _gegenbauer(dim: int, terms: int) -> Float[np.ndarray, "degrees frequencies"]:
    r"""The coefficients, all of them positive, of
    $C_l^{(a)}(\cos r) = \sum_j c_j c_{l-j} \cos (l-2j)r$ with $c_j = (a)_j / j!$, over
    their sum."""
    if dim == 1:
        return np.eye(terms + 1)
    out = np.zeros((terms + 1, terms + 1))
    half = (dim - 1) / 2
    j = np.arange(1, terms + 1)
    c = np.cumprod(np.concatenate([[1.0], (half + j - 1) / j]))
    for l in range(terms + 1):
        row = c[: l + 1] * c[l::-1]
        np.add.at(out[l], np.abs(l - 2 * np.arange(l + 1)), row / row.sum())
    return out


@functools.lru_cache
def _rotation_table(terms: int) -> _CosineTable:
    l = np.arange(terms + 1)
    k = np.where(l > 0, 2.0, 1.0)
    # The derivative of cos kr by cos r is k times the polynomial of degree k - 1 on
    # S^3, times the k that is its value at 1.
    slopes = np.zeros((terms + 1, terms + 1))
    slopes[1:, :-1] = 2 * (l[1:] ** 2)[:, None] * _gegenbauer(3, terms - 1)
    below = np.tri(terms + 1)
    return _CosineTable(l * (l + 1) / 2, np.log(2 * l + 1.0), below * k, below @ slopes)


def _multiplicity(dim: int, degree: int) -> int:
    top = math.comb(degree + dim, dim)
    return top - (math.comb(degree + dim - 2, dim) if degree > 1 else 0)
