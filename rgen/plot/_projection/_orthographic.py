import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..._numerics import safe_sqrt
from ..._typing import BoolScalar, Floating, typed
from ._base import AbstractProjection, clamp


class Orthographic(AbstractProjection):
    """The globe as it is seen from far away: half of the sphere, in the unit disc.

    **Arguments:**

    - `longitude`, `latitude`: of the point in the middle, in degrees.
    """

    longitude: float = eqx.field(static=True, default=0.0)
    latitude: float = eqx.field(static=True, default=0.0)

    @property
    def semi_axes(self) -> tuple[float, float]:
        return 1.0, 1.0

    @typed
    def forward(
        self, x: Floating[Array, "3"]
    ) -> tuple[Floating[Array, "2"], BoolScalar]:
        east, north, centre = self._axes(x.dtype) @ x
        return jnp.stack([east, north]), centre >= 0

    @typed
    def inverse(self, uv: Floating[Array, "2"]) -> Floating[Array, "3"]:
        east, north = clamp(uv, self.semi_axes)
        centre = safe_sqrt(1 - east**2 - north**2)
        return jnp.stack([east, north, centre]) @ self._axes(uv.dtype)

    def _axes(self, dtype: Any) -> Array:
        """East, north and up at the middle of the map, one a row."""
        λ, φ = math.radians(self.longitude), math.radians(self.latitude)
        east = [-math.sin(λ), math.cos(λ), 0]
        north = [-math.sin(φ) * math.cos(λ), -math.sin(φ) * math.sin(λ), math.cos(φ)]
        up = [math.cos(φ) * math.cos(λ), math.cos(φ) * math.sin(λ), math.sin(φ)]
        return jnp.array([east, north, up], dtype)
