from typing import TYPE_CHECKING, Any

import numpy as np

from .._check import check_points
from .._manifold import Sphere
from .._typing import typed
from ._projection import AbstractProjection
from ._projection._base import forward
from ._style import POINT_LAYER


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.legend import Legend
else:
    Axes = PathCollection = Legend = Any


@typed
def points(
    ax: Axes,
    projection: AbstractProjection,
    x: Any,
    color: str = "#d1342f",
    label: str | None = None,
    size: float = 3.0,
    alpha: float = 0.4,
) -> PathCollection:
    """Draws points as small translucent dots. Those on the far side are left out.

    **Arguments:**

    - `ax`, `projection`: the axes and the map.
    - `x`: points of the unit sphere, of shape `(n, 3)`.
    - `color`, `alpha`: of the dots, the opacity from 0 to 1.
    - `label`: for the legend.
    - `size`: the area of a dot, in square points.

    **Raises:** the `ValueError`s of [`check_points`][rgen.check_points].
    """
    uv, visible = forward(projection, check_points(Sphere(2), x))
    u, v = np.asarray(uv)[np.asarray(visible)].T
    return ax.scatter(
        u,
        v,
        s=size,
        color=color,
        alpha=alpha,
        label=label,
        linewidths=0,
        zorder=POINT_LAYER,
    )


@typed
def legend(ax: Axes) -> Legend:
    """Draws a legend of the [`points`][rgen.plot.points], with dots that are large and
    opaque enough to tell their colours."""
    key = ax.legend(
        loc="upper left", bbox_to_anchor=(0, 0), frameon=False, markerscale=2.5
    )
    for handle in filter(None, key.legend_handles):
        handle.set_alpha(1)
    return key
