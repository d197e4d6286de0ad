"""Colours and layers that the functions share, and the outline of a map."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ._projection import AbstractProjection


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
else:
    # You have Matplotlib if you have axes: importing this module does not need it.
    Axes = Line2D = Any

PAPER, GRID, INK = "#f7f6f3", "#9a9a9a", "#2b2b2b"
# Back to front.
BACKGROUND_LAYER, DENSITY_LAYER, GRID_LAYER, COAST_LAYER, POINT_LAYER = range(1, 6)


def outline(projection: AbstractProjection) -> tuple[np.ndarray, np.ndarray]:
    a, b = projection.semi_axes
    angle = np.linspace(0, 2 * np.pi, 361)
    return a * np.cos(angle), b * np.sin(angle)


def draw_line(
    ax: Axes, uv: Float[np.ndarray, "_ 2"], color: str, width: float, layer: int
) -> Line2D:
    (line,) = ax.plot(*uv.T, color=color, linewidth=width, zorder=layer)
    return line
