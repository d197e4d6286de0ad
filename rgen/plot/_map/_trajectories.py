from typing import TYPE_CHECKING, Any

import numpy as np

from ..._typing import typed
from .._projection import AbstractProjection
from .._style import BLUE, POINT_LAYER
from ._paths import check_paths
from ._polyline import polyline


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
else:
    Axes = Line2D = Any


@typed
def trajectories(
    ax: Axes,
    projection: AbstractProjection,
    xs: Any,
    color: str = BLUE,
    label: str | None = None,
    width: float = 0.8,
    alpha: float = 0.8,
) -> Line2D:
    """Draws paths, with geodesics from step to step. They are broken at the edges of
    the map, and where they are not visible.

    **Arguments:**

    - `ax`, `projection`: the axes and the map.
    - `xs`: paths of points of `projection.manifold`, of shape
        `(n, steps, *point_shape)`.
    - `color`, `alpha`: of the lines, the opacity from 0 to 1.
    - `label`: for the legend.
    - `width`: of the lines, in points.

    **Raises:** a `ValueError` where `xs` has another shape, and those of
    [`check_points`][rgen.check_points].
    """
    paths = np.asarray(check_paths(projection.manifold, xs))
    (line,) = ax.plot(
        *polyline(projection, list(paths)).T,
        color=color,
        linewidth=width,
        alpha=alpha,
        label=label,
        zorder=POINT_LAYER,
    )
    return line
