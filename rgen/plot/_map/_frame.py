from typing import TYPE_CHECKING, Any

from ..._typing import typed
from .._projection import AbstractProjection
from .._style import (
    BACKGROUND_LAYER,
    GRID,
    GRID_LAYER,
    INK,
    PAPER,
    POINT_LAYER,
    compound_path,
    draw_line,
)
from ._polyline import polyline


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import PathPatch
else:
    Axes = PathPatch = Any


@typed
def frame(ax: Axes, projection: AbstractProjection) -> PathPatch:
    """Prepares the axes for a map, and draws its paper, its outline and what belongs to
    it: meridians and parallels of a sphere, circles and radii of the Poincaré disc, the
    shading of a surface, ticks of the others. Draw it first."""
    from matplotlib.patches import PathPatch

    a, b = projection.semi_axes
    ax.set_aspect("equal")
    projection.decorate(ax)
    ax.set_xlim(-1.01 * a, 1.01 * a)
    ax.set_ylim(-1.01 * b, 1.01 * b)
    lines, outline = projection.graticule(), projection.outline()
    if lines:
        draw_line(ax, polyline(projection, lines), GRID, 0.3, GRID_LAYER)
    paper = PathPatch(compound_path(outline), facecolor=PAPER, edgecolor="none")
    paper.set_zorder(BACKGROUND_LAYER)
    for line in outline:
        # At the limits of the axes, which would cut it in two along the line.
        draw_line(ax, line, INK, 0.8, POINT_LAYER + 1).set_clip_on(False)
    ax.add_patch(paper)
    return paper
