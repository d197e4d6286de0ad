import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._typing import BoolScalar, Floating
from ._base import AbstractProjection


class AbstractSquareProjection(AbstractProjection):
    """A map in the shape of a square."""

    def contains(self, uv: Floating[Array, "2"]) -> BoolScalar:
        return jnp.all(jnp.abs(uv) <= self.semi_axes[0])

    def outline(self) -> list[Float[np.ndarray, "_ 2"]]:
        corners = [[1, 1], [-1, 1], [-1, -1], [1, -1], [1, 1]]
        return [np.array(corners) * self.semi_axes]
