"""Colours and layers that the functions share, and what is done to axes.

Maps and diagrams have a light paper of their own, so that their colours are the same on
every page. What is outside of it, ticks and titles, has the colours of Matplotlib's
style: `dark_background` makes it light.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float


if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.lines import Line2D
    from matplotlib.path import Path
else:
    # You have Matplotlib if you have axes: importing this module does not need it.
    Artist = Axes = Axis = Line2D = Path = Any

PAPER, GRID, INK = "#f7f6f3", "#9a9a9a", "#2b2b2b"
RED, GREEN, BLUE = "#d1342f", "#2f7f6f", "#1f4e79"
# Back to front.
BACKGROUND_LAYER, DENSITY_LAYER, SHADE_LAYER, GRID_LAYER, COAST_LAYER, POINT_LAYER = (
    range(1, 7)
)


def compound_path(lines: Sequence[Float[np.ndarray, "_ 2"]]) -> Path:
    from matplotlib.path import Path

    return Path.make_compound_path(*[Path(line, closed=True) for line in lines])


def clip_to(artist: Artist, lines: Sequence[Float[np.ndarray, "_ 2"]]) -> None:
    """Cuts off what is outside of closed lines."""
    assert artist.axes is not None
    artist.set_clip_path(compound_path(lines), artist.axes.transData)


def draw_line(
    ax: Axes, uv: Float[np.ndarray, "_ 2"], color: str, width: float, layer: int
) -> Line2D:
    (line,) = ax.plot(*uv.T, color=color, linewidth=width, zorder=layer)
    return line


def draw_paper(ax: Axes) -> None:
    """Fills the axes. It is an artist, which stays where a picture is saved with
    `transparent=True`."""
    from matplotlib.patches import Rectangle

    paper = Rectangle((0, 0), 1, 1, transform=ax.transAxes, facecolor=PAPER)
    paper.set_zorder(BACKGROUND_LAYER)
    ax.add_artist(paper)


def set_degree_ticks(axis: Axis) -> None:
    axis.set_ticks([-180, -90, 0, 90, 180])
    axis.set_major_formatter("{x:.0f}°")


def without_spines(ax: Axes) -> None:
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, labelsize="small")
