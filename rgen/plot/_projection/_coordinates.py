from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..._manifold import AbstractManifold
from ..._typing import BoolScalar, Floating, Scalar, typed
from .._style import without_spines
from ._square import AbstractSquareProjection


if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:
    Axes = Any


class Coordinates(AbstractSquareProjection):
    """A manifold in its own two coordinates: the Euclidean plane, say, or a surface
    that is given by its metric. It shows a square with its centre at the origin.

    A log-density is, as everywhere in rgen, that with respect to the Riemannian volume,
    not to the area of the picture.

    **Arguments:**

    - `manifold`: with points of shape `(2,)`, such as `rgen.Euclidean(2)` or an
        [`rgen.AbstractMetricManifold`][].
    - `half_width`: half the side of the square.

    **Raises:** a `ValueError` where the points of `manifold` have another shape, or
    `half_width` is not positive.
    """

    manifold: AbstractManifold
    half_width: float = eqx.field(static=True)

    @typed
    def __init__(self, manifold: AbstractManifold, half_width: float = 3.0):
        if manifold.point_shape != (2,):
            raise ValueError(
                "Coordinates: expected `manifold` to have points of shape (2,), got "
                f"{manifold} with points of shape {manifold.point_shape}. "
                "For a surface in space use rgen.plot.SurfaceView."
            )
        if not half_width > 0:
            raise ValueError(
                "Coordinates: expected `half_width` to be positive, got "
                f"{half_width}. Give the largest coordinate that you want to see."
            )
        self.manifold, self.half_width = manifold, half_width

    @property
    def semi_axes(self) -> tuple[float, float]:
        return self.half_width, self.half_width

    @property
    def unit(self) -> float:
        return self.half_width

    @typed
    def forward(
        self, x: Floating[Array, "2"]
    ) -> tuple[Floating[Array, "2"], BoolScalar]:
        uv = self.manifold.project(x)
        return uv, self.contains(uv)

    @typed
    def inverse(self, uv: Floating[Array, "2"]) -> Floating[Array, "2"]:
        return jnp.clip(uv, -self.half_width, self.half_width)

    def decorate(self, ax: Axes) -> None:
        """The ticks of Matplotlib."""
        without_spines(ax)

    def between(
        self, x: Floating[Array, "2"], y: Floating[Array, "2"], share: Scalar
    ) -> Floating[Array, "2"]:
        """On the straight line in the coordinates, the shortest where they wrap."""
        return self.manifold.project(x + share * self.manifold.project(y - x))
