from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..._manifold import Euclidean
from ..._typing import BoolScalar, Floating, typed
from .._style import without_spines
from ._square import AbstractSquareProjection


if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:
    Axes = Any


class Plane(AbstractSquareProjection):
    """A square of the Euclidean plane, with its centre at the origin.

    **Arguments:**

    - `half_width`: half the side of the square.

    **Raises:** a `ValueError` where `half_width` is not positive.
    """

    half_width: float = eqx.field(static=True, default=3.0)
    manifold: ClassVar[Euclidean] = Euclidean(2)  # pyright: ignore

    def __check_init__(self):
        if not self.half_width > 0:
            raise ValueError(
                f"Plane: expected `half_width` to be positive, got {self.half_width}. "
                "Give the largest coordinate that you want to see."
            )

    @property
    def semi_axes(self) -> tuple[float, float]:
        return self.half_width, self.half_width

    @typed
    def forward(
        self, x: Floating[Array, "2"]
    ) -> tuple[Floating[Array, "2"], BoolScalar]:
        return x, self.contains(x)

    @typed
    def inverse(self, uv: Floating[Array, "2"]) -> Floating[Array, "2"]:
        return jnp.clip(uv, -self.half_width, self.half_width)

    def decorate(self, ax: Axes) -> None:
        """The ticks of Matplotlib."""
        without_spines(ax)
