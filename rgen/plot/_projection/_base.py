import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from ..._numerics import safe_sqrt
from ..._typing import BoolScalar, Floating


class AbstractProjection(eqx.Module):
    """A map of the unit sphere, or of half of it, to an ellipse in the plane with its
    centre at the origin."""

    @property
    @abc.abstractmethod
    def semi_axes(self) -> tuple[float, float]:
        """Half the width and half the height of the map."""

    @abc.abstractmethod
    def forward(
        self, x: Floating[Array, "3"]
    ) -> tuple[Floating[Array, "2"], BoolScalar]:
        """Where the point `x` of the sphere is on the map, and whether it is visible
        there."""

    @abc.abstractmethod
    def inverse(self, uv: Floating[Array, "2"]) -> Floating[Array, "3"]:
        """The point of the sphere that is at `uv`. Outside the map, the point at the
        rim in that direction."""


@eqx.filter_jit
def forward(
    projection: AbstractProjection, x: Floating[Array, "n 3"]
) -> tuple[Floating[Array, "n 2"], Bool[Array, " n"]]:
    return jax.vmap(projection.forward)(x)


@eqx.filter_jit
def inverse(
    projection: AbstractProjection, uv: Floating[Array, "n 2"]
) -> Floating[Array, "n 3"]:
    return jax.vmap(projection.inverse)(uv)


def clamp(
    uv: Floating[Array, "2"], semi_axes: tuple[float, float]
) -> Floating[Array, "2"]:
    radius = safe_sqrt(jnp.sum((uv / jnp.array(semi_axes, uv.dtype)) ** 2))
    return uv / jnp.maximum(radius, 1)
