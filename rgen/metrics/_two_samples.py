from typing import Any

from jaxtyping import Array

from .._check import check_points
from .._manifold import AbstractManifold
from .._sharding import replicated


def two_samples(
    where: str, manifold: AbstractManifold, x: Any, y: Any
) -> tuple[Array, Array]:
    """Two samples, whole on every device. Raises a `ValueError` where they are no
    points, or there are fewer than two of either."""
    x = replicated(check_points(manifold, x))
    y = replicated(check_points(manifold, y, "y"))
    if min(len(x), len(y)) < 2:
        raise ValueError(
            f"{where}: expected `x` and `y` to hold two points or more, got {len(x)} "
            f"and {len(y)}."
        )
    return x, y
