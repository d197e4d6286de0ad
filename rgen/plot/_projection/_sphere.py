from typing import ClassVar

import numpy as np
from jaxtyping import Float

from ..._manifold import Sphere
from ._base import AbstractProjection


class AbstractSphereProjection(AbstractProjection):
    """A map of the unit sphere, with meridians and parallels at every 30 degrees."""

    manifold: ClassVar[Sphere] = Sphere(2)  # pyright: ignore

    def graticule(self) -> list[Float[np.ndarray, "_ 3"]]:
        """Meridians and parallels."""
        sweep, rise = np.linspace(-180, 180, 721), np.linspace(-80, 80, 321)
        parallels = [_unit(sweep, φ) for φ in range(-60, 90, 30)]
        return parallels + [_unit(λ, rise) for λ in range(-180, 180, 30)]


def _unit(
    longitude: float | Float[np.ndarray, " n"],
    latitude: float | Float[np.ndarray, " n"],
) -> Float[np.ndarray, "n 3"]:
    λ, φ = np.broadcast_arrays(np.deg2rad(longitude), np.deg2rad(latitude))
    return np.stack([np.cos(φ) * np.cos(λ), np.cos(φ) * np.sin(λ), np.sin(φ)], 1)
