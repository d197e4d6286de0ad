from typing import Any

from jaxtyping import Array

from ..._check import as_array, check_points
from ..._manifold import AbstractManifold
from ..._typing import Floating


def check_paths(manifold: AbstractManifold, xs: Any) -> Floating[Array, "n steps ..."]:
    """Returns paths as a JAX array, having checked that they are of points of
    `manifold`."""
    xs, shape = as_array(xs), manifold.point_shape
    if xs.ndim != 2 + len(shape) or xs.shape[2:] != shape or 0 in xs.shape:
        wanted = ", ".join(map(str, ("n", "steps", *shape)))
        raise ValueError(
            f"expected `xs` to hold paths on {manifold}, of shape ({wanted}), got "
            f"shape {xs.shape}. The first axis counts the paths, and the second the "
            "times: one path alone is xs[None]."
        )
    points = check_points(manifold, xs.reshape(-1, *shape))
    return points.reshape(xs.shape)
