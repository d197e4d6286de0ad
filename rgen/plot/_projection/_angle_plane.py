from typing import TYPE_CHECKING, Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array

from ..._manifold import Torus
from ..._typing import BoolScalar, Floating, typed
from .._style import set_degree_ticks, without_spines
from ._square import AbstractSquareProjection


if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:
    Axes = Any


class AnglePlane(AbstractSquareProjection):
    """The torus of two angles as a square, each side from -180 to 180 degrees: a
    Ramachandran plot where the angles are those of a protein.

    Opposite sides are the same points. Of more angles show a pair, `x[:, [0, 3]]`, or
    all pairs by [`corner`][rgen.plot.corner].
    """

    manifold: ClassVar[Torus] = Torus(2)  # pyright: ignore

    @property
    def semi_axes(self) -> tuple[float, float]:
        return 180.0, 180.0

    @typed
    def forward(
        self, x: Floating[Array, "2"]
    ) -> tuple[Floating[Array, "2"], BoolScalar]:
        return jnp.rad2deg(self.manifold.project(x)), jnp.array(True)

    @typed
    def inverse(self, uv: Floating[Array, "2"]) -> Floating[Array, "2"]:
        return jnp.deg2rad(jnp.clip(uv, -180, 180))

    def decorate(self, ax: Axes) -> None:
        """Ticks in degrees."""
        set_degree_ticks(ax.xaxis)
        set_degree_ticks(ax.yaxis)
        without_spines(ax)
