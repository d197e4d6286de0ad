from typing import TYPE_CHECKING, Any

import numpy as np

from ..._check import check_points
from ..._manifold import SpecialOrthogonal
from ..._typing import typed
from .._projection import AbstractSphereProjection
from .._projection._batch import forward
from .._style import POINT_LAYER
from ._color_wheel import cyclic_colors


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
else:
    Axes = PathCollection = Any


@typed
def rotations(
    ax: Axes,
    projection: AbstractSphereProjection,
    x: Any,
    size: float = 6.0,
    alpha: float = 0.8,
) -> PathCollection:
    r"""Draws rotations as dots on a map of the sphere: the place of a dot is where the
    rotation takes the first axis, and its colour is the tilt, the angle of the turn
    about that direction.

    The rotation is $R = R_z(\lambda)\, R_y(-\varphi)\, R_x(\tau)$ with the longitude
    $\lambda$ and the latitude $\varphi$ of its first column, and the tilt is
    $\tau = \mathrm{atan2}(R_{32}, R_{33})$. At the poles, where longitudes meet, the
    tilt jumps.

    Source: Murphy, Esteves, Jampani, Ramalingam and Makadia, *Implicit-PDF* (2021).

    ```python
    world = rgen.plot.Mollweide()
    rgen.plot.frame(ax, world)
    rgen.plot.rotations(ax, world, samples)
    rgen.plot.color_wheel(ax)
    ```

    **Arguments:**

    - `ax`, `projection`: the axes and the map of the sphere.
    - `x`: rotations, points of `rgen.SpecialOrthogonal(3)` of shape `(n, 3, 3)`.
    - `size`: the area of a dot, in square points.
    - `alpha`: the opacity of the dots, from 0 to 1.

    **Raises:** the `ValueError`s of [`check_points`][rgen.check_points].
    """
    x = check_points(SpecialOrthogonal(3), x)
    uv, visible = forward(projection, x[:, :, 0])
    tilt = np.rad2deg(np.arctan2(np.asarray(x[:, 2, 1]), np.asarray(x[:, 2, 2])))
    return ax.scatter(
        *uv[visible].T,
        c=tilt[visible],
        cmap=cyclic_colors(),
        vmin=-180,
        vmax=180,
        s=size,
        alpha=alpha,
        linewidths=0,
        zorder=POINT_LAYER,
    )
