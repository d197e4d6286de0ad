from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..._typing import Floating, typed
from .._projection import AbstractProjection
from .._projection._batch import inverse
from .._projection._pixels import pixels_of
from .._style import DENSITY_LAYER, POINT_LAYER, RED, clip_to


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


@typed
def grid(projection: AbstractProjection, pixels: int = 200) -> Floating[Array, "n ..."]:
    """The points of the manifold at the pixels of a map, where
    [`density`][rgen.plot.density] takes its values.

    **Arguments:**

    - `projection`: the map.
    - `pixels`: its height in pixels, at least 1.
    """
    uv, inside = pixels_of(projection, pixels)
    return jnp.asarray(inverse(projection, uv[inside].astype(jnp.result_type(float))))


@typed
def density(
    ax: Axes,
    projection: AbstractProjection,
    log_prob: Floating[Array | np.ndarray, " n"],
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

    uv, inside = pixels_of(projection, pixels)
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
    clip_to(artist, projection.outline())
    if infinite.any():
        ax.plot(*uv[infinite].T, "x", color=RED, markersize=4, zorder=POINT_LAYER)
    return artist


@typed
def color_bar(
    ax: Axes | Sequence[Axes], image: AxesImage | Sequence[AxesImage]
) -> Colorbar:
    """Draws the scale of a [`density`][rgen.plot.density], in nats, below one map or
    several. Densities that are given together get one scale, from the highest value of
    all downwards:

    ```python
    figure, axes = plt.subplots(1, 2)
    x, images = rgen.plot.grid(projection), []
    for ax, model in zip(axes, models):
        rgen.plot.frame(ax, projection)
        images.append(rgen.plot.density(ax, projection, rgen.log_prob(model, x)))
    rgen.plot.color_bar(axes, images)
    ```

    **Arguments:**

    - `ax`: the axes to draw below, one or several.
    - `image`: what [`density`][rgen.plot.density] has returned, one or several.

    **Raises:** a `ValueError` where the densities have different spans.
    """
    images = list(image) if isinstance(image, Sequence) else [image]
    limits = np.array([image.get_clim() for image in images])
    top, spans = limits[:, 1].max(), np.diff(limits)
    # What is below its own span is cut off: a wider one would show it too dark.
    if not np.allclose(spans, spans[0]):
        raise ValueError(
            "color_bar: expected densities of one span, got spans of "
            f"{', '.join(f'{span:g}' for span in spans.ravel())} nats. Draw them with "
            "the same `span`."
        )
    for image in images:
        image.set_clim(top - spans[0, 0], top)
    return images[0].figure.colorbar(
        images[0],
        ax=ax,
        location="bottom",
        label="log-density (nats)",
        extend="min",
        shrink=0.5,
        pad=0.03,
        aspect=30,
    )
