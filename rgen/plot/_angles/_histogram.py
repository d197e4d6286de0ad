from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from .._style import DENSITY_LAYER, POINT_LAYER, draw_paper


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
else:
    Axes = Line2D = Any

# The width of a bin, in degrees.
BIN = 5


def draw_histogram(
    ax: Axes,
    degrees: Float[np.ndarray, " n"],
    limits: tuple[int, int],
    color: str,
    label: str | None,
) -> Line2D:
    """Draws the histogram of angles as a density, on paper, without a vertical axis."""
    low, high = limits
    edges = np.arange(low, high + BIN, BIN)
    heights, _ = np.histogram(degrees, edges, density=True)
    draw_paper(ax)
    ax.spines[["left", "top", "right"]].set_visible(False)
    ax.set_yticks([])
    ax.set_xlim(low, high)
    ax.tick_params(length=2, labelsize="small")
    heights = np.append(heights, heights[-1])
    ax.fill_between(
        edges,
        heights,
        step="post",
        color=color,
        alpha=0.15,
        linewidth=0,
        zorder=DENSITY_LAYER,
    )
    (line,) = ax.step(
        edges,
        heights,
        where="post",
        color=color,
        linewidth=1,
        label=label,
        zorder=POINT_LAYER,
    )
    # Autoscaling goes on with the next sample, but not below zero.
    line.sticky_edges.y.append(0)
    ax.autoscale_view(scalex=False)
    return line
