import numpy as np
from jaxtyping import Array, Shaped

from .._check import check_points
from .._manifold._sphere import Sphere
from .._typing import Floating


def check_fit(
    who: str,
    train: Shaped[Array | np.ndarray, "train 3"],
    validation: Shaped[Array | np.ndarray, "validation 3"],
    resolution: float,
) -> tuple[Floating[Array, "train 3"], Floating[Array, "validation 3"]]:
    """The points that a mixture on the sphere is fitted to, having checked them and the
    resolution."""
    if not 0 < resolution < 1:
        raise ValueError(
            f"{who}: expected `resolution`, a variance in square radians, to be "
            f"between 0 and 1, got {resolution}."
        )
    return check_points(Sphere(2), train), check_points(Sphere(2), validation)
