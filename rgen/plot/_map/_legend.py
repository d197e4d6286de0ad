from typing import TYPE_CHECKING, Any

from ..._typing import typed
from .._style import INK, PAPER


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend
else:
    Axes = Legend = Any


@typed
def legend(ax: Axes) -> Legend:
    """Draws a legend of what has a label, below a map without ticks and above other
    axes, with dots that are large and opaque enough to tell their colours."""
    handles, labels = ax.get_legend_handles_labels()
    # What several calls have drawn alike, such as a line of reference, is there once.
    unique = dict(zip(labels, handles, strict=True))
    above = ax.axison
    key = ax.legend(
        list(unique.values()),
        list(unique),
        # Paper, where the colours are as they are on the map.
        facecolor=PAPER,
        framealpha=1,
        edgecolor="none",
        labelcolor=INK,
        markerscale=2.5,
        handlelength=1.2,
        handletextpad=0.5,
        loc="lower left" if above else "upper left",
        bbox_to_anchor=(0, int(above)),
        ncols=len(unique) if above else 1,
    )
    for handle in filter(None, key.legend_handles):
        handle.set_alpha(1)
    return key
