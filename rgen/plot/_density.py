from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .._typing import Floating, typed
from ._projection import AbstractProjection
from ._projection._base import inverse
from ._style import DENSITY_LAYER, POINT_LAYER, outline


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.image import AxesImage
else:
    Axes = Colorbar = AxesImage = Any

# From paper through sea green to ink blue, at equal steps of the OKLab colour space, so
# that equal differences of log-density look equally large.
_COLORS = ["#faf8f3", "#d2e7e2", "#a9d5d0", "#7ec3bf", "#6aabb2"]
_COLORS += ["#5693a4", "#437b95", "#306487", "#1f4e79"]
_MARK = "#d1342f"


@typed
def grid(projection: AbstractProjection, pixels: int = 200) -> Floating[Array, "n 3"]:
    """The points of the sphere at the pixels of a map, where
    [`density`][rgen.plot.density] takes its values.

    **Arguments:**

    - `projection`: the map.
    - `pixels`: its height in pixels, at least 1.
    """
    uv, inside = _pixels(projection, pixels)
    return inverse(projection, jnp.asarray(uv[inside], jnp.result_type(float)))


@typed
def density(
    ax: Axes,
    projection: AbstractProjection,
    log_prob: Floating[Array, " n"],
    pixels: int = 200,
    span: float = 8.0,
) -> AxesImage:
    """Draws a log-density as an image, from light to dark as it rises.

    **Arguments:**

    - `ax`, `projection`: the axes and the map.
    - `log_prob`: the values at [`grid`][rgen.plot.grid]`(projection, pixels)`, in nats.
        A NaN is left blank. A value of plus infinity is marked by a red cross; it does
        not count for the range of the colours.
    - `pixels`: the height of the map in pixels.
    - `span`: the range of the colours, in nats below the highest value. What is lower
        gets the lightest colour.

    **Raises:** a `ValueError` where `log_prob` has another length or no finite value,
    or `pixels` or `span` is not positive.
    """
    from matplotlib.colors import LinearSegmentedColormap

    uv, inside = _pixels(projection, pixels)
    if not span > 0:
        raise ValueError(f"expected `span` in nats to be positive, got {span}.")
    if len(log_prob) != inside.sum():
        raise ValueError(
            f"expected `log_prob` to have {inside.sum()} entries, got {len(log_prob)}. "
            f"Evaluate it on rgen.plot.grid(projection, {pixels})."
        )
    image = np.full(inside.shape, np.nan)
    image[inside] = log_prob
    finite = np.isfinite(image)
    if not finite.any():
        raise ValueError(
            "expected `log_prob` to have a finite value, but all are NaN or infinite. "
            "Look at the density at one point of rgen.plot.grid(projection)."
        )
    top = image[finite].max()
    infinite = np.isposinf(image)
    image[infinite] = np.nan
    a, b = projection.semi_axes
    artist = ax.imshow(
        np.ma.masked_invalid(np.maximum(image, top - span)),
        cmap=LinearSegmentedColormap.from_list("rgen", _COLORS),
        vmin=top - span,
        vmax=top,
        origin="lower",
        extent=(-a, a, -b, b),
        interpolation="bilinear",
        zorder=DENSITY_LAYER,
    )
    (border,) = ax.fill(*outline(projection), facecolor="none", edgecolor="none")
    artist.set_clip_path(border)
    if infinite.any():
        ax.plot(*uv[infinite].T, "x", color=_MARK, markersize=4, zorder=POINT_LAYER)
    return artist


@typed
def color_bar(ax: Axes | Sequence[Axes], image: AxesImage) -> Colorbar:
    """Draws the scale of a [`density`][rgen.plot.density], in nats, below one map or
    several."""
    return image.figure.colorbar(
        image,
        ax=ax,
        location="bottom",
        label="log-density (nats)",
        extend="min",
        shrink=0.5,
        pad=0.03,
        aspect=30,
    )


def _pixels(
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
    return np.stack([u, v], -1), np.hypot(u / a, v / b) <= 1 + 4 / pixels
