import numpy as np
from jaxtyping import Array, Shaped

from .._check import check_points
from .._manifold._base import AbstractManifold
from .._typing import Floating


def check_fit(
    who: str,
    manifold: AbstractManifold,
    train: Shaped[Array | np.ndarray, "train ..."],
    validation: Shaped[Array | np.ndarray, "validation ..."],
    resolution: float,
) -> tuple[Floating[Array, "train ..."], Floating[Array, "validation ..."]]:
    """The points that a mixture is fitted to, having checked them and the
    resolution."""
    if not 0 < resolution < 1:
        raise ValueError(
            f"{who}: expected `resolution`, a variance in units of length squared, to "
            f"be between 0 and 1, got {resolution}."
        )
    return check_points(manifold, train), check_points(manifold, validation)
