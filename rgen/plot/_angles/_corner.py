from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ..._check import as_array, check_points
from ..._manifold import Torus
from ..._manifold._torus import wrap
from ..._typing import typed
from .._map import frame
from .._projection import AnglePlane
from .._style import BLUE, POINT_LAYER, set_degree_ticks
from ._histogram import BIN, draw_histogram


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
else:
    Axes = Line2D = Any

# The parts of the sample that the two regions leave out.
_LEVELS = [0.1, 0.5]
# The width of the smoothing of one point, in degrees; that of n is n^(-1/6) times it.
_WIDTH = 40.0


@typed
def corner(
    axes: np.ndarray,
    x: Any,
    color: str = BLUE,
    label: str | None = None,
    names: Sequence[str] | None = None,
) -> list[Line2D]:
    r"""Draws a sample of angles: the histogram of each on the diagonal, and each pair
    below it, in degrees. Returns the lines of the diagonal.

    A pair is shown by the regions of highest density that hold 50 % and 90 % of the
    sample. The density is a histogram with bins of 5 degrees, smoothed on the torus by
    a normal distribution with the standard deviation $40\, n^{-1/6}$ degrees.

    Several samples are compared by several calls:

    ```python
    figure, axes = plt.subplots(3, 3, figsize=(6, 6))
    rgen.plot.corner(axes, data, label="data")
    rgen.plot.corner(axes, samples, color="#d1342f", label="model")
    rgen.plot.legend(axes[0, 0])
    ```

    **Arguments:**

    - `axes`: `plt.subplots(dim, dim, squeeze=False)`.
    - `x`: points of [`rgen.Torus`][], of shape `(n, dim)`.
    - `color`: of the lines and regions.
    - `label`: for the legend.
    - `names`: of the angles (default: $\theta_1$, $\theta_2$, and so on).

    **Raises:** a `ValueError` where the shape of `axes`, or the number of `names`, does
    not fit to `x`, and those of [`check_points`][rgen.check_points].
    """
    x = as_array(x)
    dim = x.shape[-1] if x.ndim == 2 else 1
    torus = Torus(max(dim, 1))
    degrees = np.rad2deg(np.asarray(wrap(check_points(torus, x)), float))
    _check_fit(axes, dim, names)
    for i, j in zip(*np.triu_indices(dim, 1), strict=True):
        axes[i, j].set_axis_off()
    for i, j in zip(*np.tril_indices(dim, -1), strict=True):
        frame(axes[i, j], AnglePlane())
        _draw_regions(axes[i, j], degrees[:, j], degrees[:, i], color)
    lines = []
    for ax, angle in zip(np.diagonal(axes), degrees.T, strict=True):
        lines.append(draw_histogram(ax, angle, (-180, 180), color, label))
        ax.set_box_aspect(1)
        set_degree_ticks(ax.xaxis)
    for i in range(dim):
        numbered = axes[-1, i].get_xlabel() or rf"$\theta_{{{i + 1}}}$"
        _label(axes, i, numbered if names is None else names[i])
    return lines


def _check_fit(axes: np.ndarray, dim: int, names: Sequence[str] | None) -> None:
    if axes.shape != (dim, dim):
        raise ValueError(
            f"corner: expected `axes` of shape ({dim}, {dim}), a row and a column for "
            f"each angle of `x`, got {axes.shape}. Make them by plt.subplots({dim}, "
            f"{dim}, squeeze=False)."
        )
    if names is not None and len(names) != dim:
        raise ValueError(
            f"corner: expected `names` to have {dim} entries, one for each angle of "
            f"`x`, got {len(names)}. Leave it out to number them."
        )


def _label(axes: np.ndarray, i: int, name: str) -> None:
    """Ticks and names at the left and at the bottom alone."""
    last = len(axes) - 1
    for ax in axes[i:, i]:
        ax.set_xticks([-90, 0, 90])
        ax.tick_params(labelbottom=ax is axes[last, i])
    for ax in axes[i, :i]:
        ax.set_yticks([-90, 0, 90])
        ax.tick_params(labelleft=ax is axes[i, 0])
    axes[last, i].set_xlabel(name)
    if i > 0:
        axes[i, 0].set_ylabel(name)


def _draw_regions(
    ax: Axes, u: Float[np.ndarray, " n"], v: Float[np.ndarray, " n"], color: str
) -> None:
    heights = _smooth_histogram(u, v)
    # What the sample has in its own places (Hyndman 1996).
    row, column = (np.minimum((w + 180) // BIN, 360 // BIN - 1) for w in (u, v))
    levels = np.quantile(heights[row.astype(int), column.astype(int)], _LEVELS)
    # Both are one where all points are in one bin.
    levels = np.unique(levels)
    # One bin more on every side, so that regions are cut at the edges and not closed.
    centres = np.arange(-180 - BIN / 2, 180 + BIN, BIN)
    around = np.pad(heights.T, 1, mode="wrap")
    for level in levels:
        ax.contourf(
            centres,
            centres,
            around,
            levels=[level, np.inf],
            colors=[color],
            alpha=0.2,
            zorder=POINT_LAYER,
        )
    ax.contour(
        centres,
        centres,
        around,
        levels=levels,
        colors=[color],
        linewidths=0.8,
        zorder=POINT_LAYER,
    )


def _smooth_histogram(
    u: Float[np.ndarray, " n"], v: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "bins bins"]:
    edges = np.arange(-180, 180 + BIN, BIN)
    counts, _, _ = np.histogram2d(u, v, [edges, edges])
    width = np.deg2rad(_WIDTH * len(u) ** (-1 / 6))
    k = np.fft.fftfreq(len(counts), 1 / len(counts))
    damping = np.exp(-(width**2) * (k[:, None] ** 2 + k**2) / 2)
    return np.fft.ifft2(np.fft.fft2(counts) * damping).real
