import math

import jax.numpy as jnp
from jaxtyping import Array

from .._distribution._base import require
from .._manifold import Sphere
from .._typing import Floating, Point, Scalar, typed
from ._base import AbstractChart, in_chart


class StereographicChart(AbstractChart):
    r"""The stereographic projection of the sphere $S^d$ from the antipode of its
    origin $o$,

    $$\phi(y) = \frac{2 \sum_i y_i e_i + (1 - |y|^2)\, o}{1 + |y|^2}, \qquad
    |\det \mathrm d\phi_y| = \left(\frac{2}{1 + |y|^2}\right)^d,$$

    with an orthonormal basis $e_i$ of $T_o S^d$ (Gemici et al. 2016). The antipode, the
    pole of the projection, is beyond the chart: `to_chart` of it, and of what rounding
    cannot tell from it, is an error.

    **Arguments:**

    - `origin`: the unit vector $o$, of shape `(d + 1,)`. Another is an error.
    """

    origin: Floating[Array, " ambient"]

    @typed
    def __init__(self, origin: Floating[Array, " ambient"]):
        self.origin = require(
            Sphere(origin.shape[-1] - 1).contains(origin),
            origin,
            "StereographicChart: expected `origin` to be a unit vector",
        )

    @property
    def manifold(self) -> Sphere:
        """The sphere that the origin lies on."""
        return Sphere(self.origin.shape[-1] - 1)

    @typed
    def to_manifold(self, y: Floating[Array, " dim"]) -> Point:
        # Half the height above the pole: zero where the square of `y` overflows.
        half = 1 / (1 + jnp.sum(in_chart(self, y) ** 2))
        across = 2 * half * y @ self.manifold.basis(self.origin)
        return self.manifold.project(across + (2 * half - 1) * self.origin)

    @typed
    def to_chart(self, x: Point) -> Floating[Array, " dim"]:
        self.manifold._check_shapes("to_chart", x=x)
        y = self._coordinates(x)
        return require(
            ~jnp.any(jnp.isnan(y)) | jnp.any(jnp.isnan(x)),
            y,
            "StereographicChart: expected `x` in the chart, got its pole, the antipode "
            "of `origin` (choose an origin whose antipode is no data point)",
        )

    def _coordinates(self, x: Point) -> Floating[Array, " dim"]:
        """Those of `x`, NaN for the pole."""
        # 1 + <x, o>, without cancellation near the pole.
        height = jnp.sum((x + self.origin) ** 2) / 2
        # The coordinates of a point are rounded, by exp and project to a few epsilon:
        # nearer the pole than that, the direction from it is lost.
        at_pole = height <= (8 * jnp.finfo(x.dtype).eps) ** 2 / 2
        height = jnp.where(at_pole, jnp.nan, height)
        return self.manifold.basis(self.origin) @ x / height

    @typed
    def preimages(self, x: Point) -> Floating[Array, "1 dim"]:
        """`to_chart(x)`; NaN for the pole."""
        self.manifold._check_shapes("preimages", x=x)
        return self._coordinates(x)[None]

    @typed
    def log_det(self, y: Floating[Array, " dim"]) -> Scalar:
        return len(y) * (math.log(2) - jnp.log1p(jnp.sum(in_chart(self, y) ** 2)))
