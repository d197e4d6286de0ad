import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._distribution._base import require
from .._manifold import AbstractManifold
from .._typing import Floating, Point, Scalar, Tangent, typed
from ._base import AbstractChart, in_chart


class ExponentialChart(AbstractChart):
    r"""The exponential map at a point $o$, $\phi(y) = \exp_o(\sum_i y_i e_i)$ with an
    orthonormal basis $e_i$ of $T_o\mathcal M$ (Falorsi et al. 2019; the exp-wrapped
    model of De Bortoli et al. 2022, section 6).

    On Euclidean and hyperbolic space it is one to one. Elsewhere `preimages` are the
    [`preimages`][rgen.AbstractManifold.preimages] of the manifold that wind around its
    closed geodesics at most once, on spheres and on $SO(3)$ those of less than $3\pi$
    in length; where they are not known, a `NotImplementedError` is raised.

    Whole spheres of $y$ have one image: $o$ for $|y| = 2\pi$, and on spheres its
    antipode for $|y| = \pi$. There a distribution pushed forward has an infinite
    density, and what is returned is determined by rounding.

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
        return self._coordinates(self.manifold.log(self.origin, x))

    @typed
    def preimages(self, x: Point) -> Floating[Array, "n dim"]:
        return jax.vmap(self._coordinates)(self.manifold.preimages(self.origin, x))

    @typed
    def log_det(self, y: Floating[Array, " dim"]) -> Scalar:
        return self.manifold.log_det_exp(self.origin, self._tangent(y))

    def _coordinates(self, v: Tangent) -> Floating[Array, " dim"]:
        along = lambda e: self.manifold.inner(self.origin, v, e)
        return jax.vmap(along)(self.manifold.basis(self.origin))

    def _tangent(self, y: Floating[Array, " dim"]) -> Array:
        y = in_chart(self, y)
        return jnp.tensordot(y, self.manifold.basis(self.origin), 1)
