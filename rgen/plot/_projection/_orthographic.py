import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..._numerics import safe_sqrt
from ..._typing import BoolScalar, Floating, typed
from ._base import clamp
from ._sphere import AbstractSphereProjection
from ._view_axes import view_axes


class Orthographic(AbstractSphereProjection):
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
        east, north, centre = view_axes(self.longitude, self.latitude, x.dtype) @ x
        return jnp.stack([east, north]), centre >= 0

    @typed
    def inverse(self, uv: Floating[Array, "2"]) -> Floating[Array, "3"]:
        east, north = clamp(uv, self.semi_axes)
        centre = safe_sqrt(1 - east**2 - north**2)
        axes = view_axes(self.longitude, self.latitude, uv.dtype)
        return jnp.stack([east, north, centre]) @ axes
