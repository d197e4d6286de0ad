import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from ._base import AbstractProjection
from ._batch import contains


@functools.lru_cache(maxsize=16)
def pixels_of(
    projection: AbstractProjection, pixels: int
) -> tuple[Float[np.ndarray, "rows columns 2"], Bool[np.ndarray, "rows columns"]]:
    """The centres of the pixels, and which are on the map or next to it: those fill the
    rim, where the outline cuts pixels in two."""
    if pixels < 1:
        raise ValueError(
            "expected `pixels`, the height of the map, to be at least 1, got "
            f"{pixels}. The default is 200."
        )
    a, b = projection.semi_axes
    centres = lambda half, n: (np.arange(n) + 0.5) * 2 * half / n - half
    u, v = np.meshgrid(centres(a, round(pixels * a / b)), centres(b, pixels))
    uv = np.stack([u, v], -1)
    flat = uv.reshape(-1, 2).astype(jnp.result_type(float))
    inside = contains(projection, flat).reshape(u.shape)
    return uv, _grown(_grown(inside))


def _grown(mask: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "rows columns"]:
    """With the eight neighbours of each pixel."""
    wide = np.pad(mask, 1)
    tall = wide[:-2] | wide[1:-1] | wide[2:]
    return tall[:, :-2] | tall[:, 1:-1] | tall[:, 2:]
