from typing import TYPE_CHECKING, Any

import numpy as np

from ..._typing import typed
from .._projection import AbstractProjection
from .._projection._batch import forward
from .._style import RED
from ._paths import check_paths
from ._points import points


if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes
else:
    Axes = FuncAnimation = Any


@typed
def animate(
    ax: Axes,
    projection: AbstractProjection,
    xs: Any,
    color: str = RED,
    size: float = 4.0,
    alpha: float = 0.6,
) -> FuncAnimation:
    """Animates points that move, such as those of a sampler: one frame a step, over
    what is drawn on the axes already.

    ```python
    animation = rgen.plot.animate(ax, projection, xs)
    animation.save("sampler.gif", writer="pillow", fps=20)
    ```

    In a notebook show it by `IPython.display.HTML(animation.to_jshtml())`.

    **Arguments:**

    - `ax`, `projection`: the axes and the map.
    - `xs`: paths of points of `projection.manifold`, of shape
        `(n, steps, *point_shape)`, as [`trajectories`][rgen.plot.trajectories] takes.
    - `color`, `alpha`: of the dots, the opacity from 0 to 1.
    - `size`: the area of a dot, in square points.

    **Raises:** as [`trajectories`][rgen.plot.trajectories].
    """
    from matplotlib.animation import FuncAnimation

    xs = check_paths(projection.manifold, xs)
    n, steps, *shape = xs.shape
    flat, visible = forward(projection, xs.reshape(-1, *shape))
    places = np.where(visible[:, None], flat, np.nan).reshape(n, steps, 2)
    dots = points(ax, projection, xs[:, 0], color, size=size, alpha=alpha)

    def draw(step: int) -> list:
        dots.set_offsets(places[:, step])
        return [dots]

    return FuncAnimation(ax.figure, draw, frames=steps, interval=50)  # pyright: ignore
