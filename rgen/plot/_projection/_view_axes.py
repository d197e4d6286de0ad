import math
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from ..._typing import Floating


def view_axes(longitude: float, latitude: float, dtype: Any) -> Floating[Array, "3 3"]:
    """Right, up and towards the viewer, one a row, for a viewer who is far away in the
    direction of a longitude and a latitude in degrees."""
    λ, φ = math.radians(longitude), math.radians(latitude)
    right = [-math.sin(λ), math.cos(λ), 0]
    up = [-math.sin(φ) * math.cos(λ), -math.sin(φ) * math.sin(λ), math.cos(φ)]
    towards = [math.cos(φ) * math.cos(λ), math.cos(φ) * math.sin(λ), math.sin(φ)]
    return jnp.array([right, up, towards], dtype)
