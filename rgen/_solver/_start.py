from typing import Any

from jaxtyping import Array

from .._manifold import AbstractManifold


def check_start(owner: str, manifold: AbstractManifold, y0: Any) -> None:
    """Raises a `ValueError` unless `y0` is one array with the shape of a point."""
    if not isinstance(y0, Array):
        raise ValueError(
            f"{owner}: expected `y0` to be one point of {manifold}, got a "
            f"{type(y0).__name__}. It moves points: for a density, whose state has the "
            "log-density beside the point, take a Diffrax solver such as "
            "diffrax.Tsit5()."
        )
    manifold._check_shapes("init", y0=y0)
