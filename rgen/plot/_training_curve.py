from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .._typing import typed
from ._style import BLUE, POINT_LAYER, draw_paper


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
else:
    Axes = Line2D = Any


@typed
def training_curve(
    ax: Axes,
    losses: Any,
    window: int = 100,
    color: str = BLUE,
    label: str | None = None,
) -> Line2D:
    """Draws the loss of every step, and darker its mean over the last `window` steps.
    The axis of the loss is logarithmic where all losses are positive. Returns the line
    of the mean.

    **Arguments:**

    - `ax`: the axes.
    - `losses`: one number a step, an array or a list of numbers. What is not finite is
        left out of the picture and of the means.
    - `window`: the number of steps of the mean, at least 1.
    - `color`, `label`: of the line, for the legend.

    **Raises:** a `ValueError` where `losses` is empty or has another shape, and where
    `window` is less than 1.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    losses = np.asarray(losses, float)
    if losses.ndim != 1 or len(losses) == 0:
        raise ValueError(
            "training_curve: expected `losses` to have the shape (steps,), with at "
            f"least one step, got {losses.shape}. Append the loss of each step to a "
            "list."
        )
    if window < 1:
        raise ValueError(
            f"training_curve: expected `window` to be at least 1 step, got {window}. "
            "The default is 100."
        )
    finite = np.isfinite(losses)
    sums = np.cumsum(np.pad(np.where(finite, losses, 0), (window, 0)))
    counts = np.cumsum(np.pad(finite, (window, 0)))
    held = counts[window:] - counts[:-window]
    means = np.where(held > 0, sums[window:] - sums[:-window], np.nan)
    means = means / np.maximum(held, 1)
    steps = np.arange(1, len(losses) + 1)
    draw_paper(ax)
    draw = partial(ax.plot, steps, color=color, zorder=POINT_LAYER)
    draw(np.where(finite, losses, np.nan), linewidth=0.6, alpha=0.3)
    (line,) = draw(means, linewidth=1.4, label=label)
    if np.all(losses[finite] > 0):
        ax.set_yscale("log")
        # Most losses stay within a few powers of ten, where these alone say little.
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel("step")
    ax.set_ylabel("loss")
    ax.margins(x=0.01)
    return line
