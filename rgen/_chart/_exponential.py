import math
from functools import singledispatch
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._distribution._base import require
from .._manifold import (
    AbstractManifold,
    Euclidean,
    Hyperbolic,
    SpecialOrthogonal,
    Sphere,
)
from .._numerics import safe_norm
from .._typing import Floating, Point, Scalar, typed
from ._base import AbstractChart, in_chart


_UNKNOWN = (
    "ExponentialChart: which tangent vectors end in one point of {} is not known here. "
    "Take rgen.Euclidean, rgen.Hyperbolic, rgen.Sphere or rgen.SpecialOrthogonal(3)."
)


class ExponentialChart(AbstractChart):
    r"""The exponential map at a point $o$, $\phi(y) = \exp_o(\sum_i y_i e_i)$ with an
    orthonormal basis $e_i$ of $T_o\mathcal M$ (Falorsi et al. 2019; the exp-wrapped
    model of De Bortoli et al. 2022, section 6).

    On Euclidean and hyperbolic space it is one to one. On spheres and on $SO(3)$,
    whose geodesics are closed, `preimages` are those of less than $3\pi$ in length;
    other manifolds raise a `NotImplementedError`.

    Whole spheres of $y$ have one image: $o$ for $|y| = 2\pi$, and on spheres its
    antipode for $|y| = \pi$. There a law pushed forward has an infinite density, and
    what is returned is determined by rounding.

    **Arguments:**

    - `manifold`: the manifold.
    - `origin`: the point $o$. One that is off the manifold is an error.
    """

    manifold: AbstractManifold
    origin: Point

    @typed
    def __init__(self, manifold: AbstractManifold, origin: Point):
        manifold._check_shapes("ExponentialChart", x=origin)
        self.manifold = manifold
        self.origin = require(
            manifold.contains(origin),
            origin,
            f"ExponentialChart: expected `origin` to be a point of {manifold}",
        )

    @typed
    def to_manifold(self, y: Floating[Array, " dim"]) -> Point:
        return self.manifold.exp(self.origin, self._tangent(y))

    @typed
    def to_chart(self, x: Point) -> Floating[Array, " dim"]:
        v = self.manifold.log(self.origin, x)
        along = lambda e: self.manifold.inner(self.origin, v, e)
        return jax.vmap(along)(self.manifold.basis(self.origin))

    @typed
    def preimages(self, x: Point) -> Floating[Array, "n dim"]:
        return _preimages(self.manifold, self.to_chart(x))

    @typed
    def log_det(self, y: Floating[Array, " dim"]) -> Scalar:
        return self.manifold.log_det_exp(self.origin, self._tangent(y))

    def _tangent(self, y: Floating[Array, " dim"]) -> Array:
        y = in_chart(self, y)
        return jnp.tensordot(y, self.manifold.basis(self.origin), 1)


@singledispatch
def _preimages(manifold: Any, y: Array) -> Array:
    raise NotImplementedError(_UNKNOWN.format(manifold))


@_preimages.register
def _(manifold: Euclidean | Hyperbolic, y: Array) -> Array:
    return y[None]


@_preimages.register
def _(manifold: Sphere, y: Array) -> Array:
    return _turned(y)


@_preimages.register
def _(manifold: SpecialOrthogonal, y: Array) -> Array:
    if manifold.n > 3:
        raise NotImplementedError(_UNKNOWN.format(manifold))
    return _turned(y)


def _turned(y: Array) -> Array:
    """`y` and a turn more or less of its geodesic. At the origin the geodesic through
    the first axis stands for all."""
    r = safe_norm(y)
    at_origin = r == 0
    first = jnp.zeros_like(y).at[0].set(1)
    direction = jnp.where(at_origin, first, y / jnp.where(at_origin, 1, r))
    turns = 2 * math.pi * jnp.array([-1, 1], y.dtype)
    return jnp.concatenate([y[None], y + turns[:, None] * direction])
