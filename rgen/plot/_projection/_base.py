import abc
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._manifold import AbstractManifold
from ..._numerics import safe_sqrt
from ..._typing import BoolScalar, Floating, Point, Scalar


if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:
    Axes = Any


class AbstractProjection(eqx.Module):
    """A map of a two-dimensional manifold, or of a part of it, to the plane.

    **Hooks:**

    - `manifold`, `semi_axes`, `forward(x)`, `inverse(uv)`: see below.
    - `unit`: the size of the arrays of points that the map shows (default: 1).
    - `contains(uv)`, `outline()`: the shape of the map (default: an ellipse).
    - `graticule()`: lines that [`frame`][rgen.plot.frame] draws (default: none).
    - `decorate(ax)`: the rest of what it draws, such as ticks (default: no axes).
    - `between(x, y, share)`: the way from point to point that lines take (default: a
      geodesic, by `exp` and `log` of the manifold).

    The map has its centre at the origin. Maps hold no arrays, only Python numbers.
    """

    manifold: eqx.AbstractVar[AbstractManifold]
    """The manifold whose points are on the map."""

    @property
    @abc.abstractmethod
    def semi_axes(self) -> tuple[float, float]:
        """Half the width and half the height of the map."""

    @property
    def unit(self) -> float:
        """The size of the arrays of points: lines have steps of a hundredth of it."""
        return 1.0

    @abc.abstractmethod
    def forward(self, x: Point) -> tuple[Floating[Array, "2"], BoolScalar]:
        """Where the point `x` is on the map, and whether it is visible there."""

    @abc.abstractmethod
    def inverse(self, uv: Floating[Array, "2"]) -> Point:
        """The point that is at `uv`. Next to the map, a point at its rim."""

    def contains(self, uv: Floating[Array, "2"]) -> BoolScalar:
        """Whether `uv` is on the map."""
        return jnp.sum((uv / jnp.array(self.semi_axes, uv.dtype)) ** 2) <= 1

    def outline(self) -> list[Float[np.ndarray, "_ 2"]]:
        """Closed lines around the map, and around its holes in the other sense."""
        angle = np.linspace(0, 2 * np.pi, 361)
        return [np.stack([np.cos(angle), np.sin(angle)], 1) * self.semi_axes]

    def graticule(self) -> list[Float[np.ndarray, "_ ..."]]:
        """Lines of reference, each as an array of points."""
        return []

    def decorate(self, ax: Axes) -> None:
        """Draws what belongs to the map beside its outline and its lines."""
        ax.set_axis_off()

    def between(self, x: Point, y: Point, share: Scalar) -> Point:
        """The point at `share`, from 0 to 1, of the way from `x` to `y`."""
        return self.manifold.exp(x, share * self.manifold.log(x, y))


def clamp(
    uv: Floating[Array, "2"], semi_axes: tuple[float, float]
) -> Floating[Array, "2"]:
    """The point of the ellipse in the direction of `uv`, where this is outside."""
    radius = safe_sqrt(jnp.sum((uv / jnp.array(semi_axes, uv.dtype)) ** 2))
    return uv / jnp.maximum(radius, 1)
