from typing import TYPE_CHECKING, Any

import numpy as np

from ... import datasets
from ..._typing import typed
from .._projection import AbstractSphereProjection
from .._style import COAST_LAYER, INK, draw_line
from ._polyline import polyline


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
else:
    Axes = Line2D = Any


@typed
def coastlines(ax: Axes, projection: AbstractSphereProjection) -> Line2D:
    """Draws [`rgen.datasets.coastlines`][] as thin lines."""
    lines = [np.asarray(line) for line in datasets.coastlines()]
    return draw_line(ax, polyline(projection, lines), INK, 0.5, COAST_LAYER)
