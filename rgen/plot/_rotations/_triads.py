from typing import TYPE_CHECKING, Any

import numpy as np

from ..._check import check_floating, check_points
from ..._manifold import SpecialOrthogonal
from ..._typing import typed
from .._style import BLUE, GREEN, PAPER, RED


if TYPE_CHECKING:
    from mpl_toolkits.mplot3d.art3d import Line3D
    from mpl_toolkits.mplot3d.axes3d import Axes3D
else:
    Axes3D = Line3D = Any


@typed
def triads(
    ax: Axes3D, x: Any, positions: Any = None, length: float = 1.0
) -> list[Line3D]:
    """Draws rotations in space, each as a triad of its columns: red the first, green
    the second, and blue the third. Returns three lines, one for each colour.

    Poses have positions, too:

    ```python
    poses = rgen.Product(rgen.SpecialOrthogonal(3), rgen.Euclidean(3))
    x, positions = jax.vmap(poses.split)(samples)
    rgen.plot.triads(ax, x, positions)
    ```

    **Arguments:**

    - `ax`: `figure.add_subplot(projection="3d")`.
    - `x`: rotations, points of `rgen.SpecialOrthogonal(3)` of shape `(n, 3, 3)`.
    - `positions`: the origins of the triads, of shape `(n, 3)` (default: zero for all).
    - `length`: of the axes of a triad, in units of the positions.

    **Raises:** a `ValueError` where `positions` has another shape or is not finite, and
    those of [`check_points`][rgen.check_points].
    """
    x = np.asarray(check_points(SpecialOrthogonal(3), x))
    origins = np.zeros((len(x), 3)) if positions is None else positions
    origins = np.asarray(check_floating(origins, (len(x), 3), "positions"))
    lines = []
    for axis, color in zip(np.moveaxis(x, 2, 0), [RED, GREEN, BLUE], strict=True):
        blank = np.full_like(axis, np.nan)
        pieces = np.stack([origins, origins + length * axis, blank], 1).reshape(-1, 3)
        lines += ax.plot(*pieces.T, color=color, linewidth=1.2)
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_pane_color(PAPER)  # pyright: ignore
    ax.set_aspect("equal")
    return lines
