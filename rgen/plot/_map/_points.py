from typing import TYPE_CHECKING, Any

from ..._check import check_points
from ..._typing import typed
from .._projection import AbstractProjection
from .._projection._batch import forward
from .._style import POINT_LAYER, RED


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
else:
    Axes = PathCollection = Any


@typed
def points(
    ax: Axes,
    projection: AbstractProjection,
    x: Any,
    color: str = RED,
    label: str | None = None,
    size: float = 4.0,
    alpha: float = 0.6,
) -> PathCollection:
    """Draws points as small translucent dots. Those that are not visible, such
    as on the far side of a globe, are left out.

    **Arguments:**

    - `ax`, `projection`: the axes and the map.
    - `x`: points of `projection.manifold`, of shape `(n, *point_shape)`.
    - `color`, `alpha`: of the dots, the opacity from 0 to 1.
    - `label`: for the legend.
    - `size`: the area of a dot, in square points.

    **Raises:** the `ValueError`s of [`check_points`][rgen.check_points].
    """
    uv, visible = forward(projection, check_points(projection.manifold, x))
    u, v = uv[visible].T
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
