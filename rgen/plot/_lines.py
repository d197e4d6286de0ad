from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .. import datasets
from .._typing import Floating, typed
from ._projection import AbstractProjection
from ._projection._base import forward
from ._style import (
    BACKGROUND_LAYER,
    COAST_LAYER,
    GRID,
    GRID_LAYER,
    INK,
    PAPER,
    POINT_LAYER,
    draw_line,
    outline,
)


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.patches import Polygon
else:
    Axes = Line2D = Polygon = Any


@typed
def frame(ax: Axes, projection: AbstractProjection) -> Polygon:
    """Prepares the axes for a map: its outline, and meridians and parallels at every 30
    degrees. Draw it first."""
    a, b = projection.semi_axes
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_xlim(-1.01 * a, 1.01 * a)
    ax.set_ylim(-1.01 * b, 1.01 * b)
    draw_line(ax, _polyline(projection, _graticule()), GRID, 0.3, GRID_LAYER)
    (background,) = ax.fill(*outline(projection), facecolor=PAPER, edgecolor="none")
    background.set_zorder(BACKGROUND_LAYER)
    ax.plot(*outline(projection), color=INK, linewidth=0.8, zorder=POINT_LAYER + 1)
    return background


@typed
def coastlines(ax: Axes, projection: AbstractProjection) -> Line2D:
    """Draws [`rgen.datasets.coastlines`][] as thin lines."""
    lines = [np.asarray(line) for line in datasets.coastlines()]
    return draw_line(ax, _polyline(projection, lines), INK, 0.5, COAST_LAYER)


def _graticule() -> list[Float[np.ndarray, "_ 3"]]:
    """Meridians and parallels."""
    sweep = np.linspace(0, 2 * np.pi, 721)
    parallels = [
        np.stack(
            [np.cos(φ) * np.cos(sweep), np.cos(φ) * np.sin(sweep), 0 * sweep + z], 1
        )
        for φ, z in ((φ, np.sin(φ)) for φ in np.deg2rad([-60, -30, 0, 30, 60]))
    ]
    rise = np.deg2rad(np.linspace(-80, 80, 321))
    meridians = [
        np.stack([np.cos(rise) * np.cos(λ), np.cos(rise) * np.sin(λ), np.sin(rise)], 1)
        for λ in np.deg2rad(np.arange(-180, 180, 30))
    ]
    return parallels + meridians


def _polyline(
    projection: AbstractProjection, lines: Sequence[Floating[np.ndarray, "_ 3"]]
) -> Float[np.ndarray, "_ 2"]:
    """The lines on the map, as one array with a row of NaN wherever the pen is up:
    between lines, on the far side, and where a line leaves the map at one edge and
    comes back at another."""
    fine = [_refine(line) for line in lines]
    x = jnp.asarray(np.concatenate(fine), jnp.result_type(float))
    uv, visible = (np.array(part, copy=True) for part in forward(projection, x))
    uv[~visible] = np.nan
    # Steps are half a degree, and no map stretches that to a fifth of its size.
    jump = np.linalg.norm(np.diff(uv, axis=0), axis=1) > 0.2
    jump[np.cumsum([len(line) for line in fine])[:-1] - 1] = True
    return np.insert(uv.astype(float), np.flatnonzero(jump) + 1, np.nan, axis=0)


def _refine(line: Floating[np.ndarray, "_ 3"]) -> Float[np.ndarray, "_ 3"]:
    """Adds points of the sphere, so that no step is over half a degree."""
    step = np.linalg.norm(np.diff(line, axis=0), axis=1)
    pieces = np.maximum(np.ceil(np.rad2deg(step) / 0.5), 1).astype(int)
    start = np.repeat(np.arange(len(step)), pieces)
    first = np.repeat(np.cumsum(pieces) - pieces, pieces)
    share = (np.arange(len(start)) - first) / np.repeat(pieces, pieces)
    between = line[start] + share[:, None] * (line[start + 1] - line[start])
    between = np.concatenate([between, line[-1:]])
    return between / np.linalg.norm(between, axis=1, keepdims=True)
