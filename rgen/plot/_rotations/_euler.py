from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ..._check import check_points
from ..._manifold import SpecialOrthogonal
from ..._typing import typed
from .._angles._histogram import draw_histogram
from .._style import BLUE, INK, POINT_LAYER


if TYPE_CHECKING:
    from matplotlib.lines import Line2D
else:
    Line2D = Any


@typed
def euler_histograms(
    axes: Any, x: Any, color: str = BLUE, label: str | None = None
) -> list[Line2D]:
    r"""Draws the histograms of the three Euler angles of rotations, in degrees, and
    dotted those of uniformly distributed ones. Returns the lines of the histograms.

    The angles are those of $R = R_z(\alpha)\, R_y(\beta)\, R_z(\gamma)$. Of the uniform
    distribution, the Haar measure, $\alpha$ and $\gamma$ are uniform and $\beta$ has
    the density $\tfrac12 \sin\beta$.

    **Arguments:**

    - `axes`: three axes, `plt.subplots(1, 3)[1]`.
    - `x`: rotations, points of `rgen.SpecialOrthogonal(3)` of shape `(n, 3, 3)`.
    - `color`: of the lines.
    - `label`: for the legend.

    **Raises:** a `ValueError` where there are not three axes, and those of
    [`check_points`][rgen.check_points].
    """
    axes = np.ravel(axes)
    if len(axes) != 3:
        raise ValueError(
            "euler_histograms: expected `axes` to be three axes, one for each angle, "
            f"got {len(axes)}. Make them by figure, axes = plt.subplots(1, 3)."
        )
    angles = _euler_angles(np.asarray(check_points(SpecialOrthogonal(3), x), float))
    limits = [(-180, 180), (0, 180), (-180, 180)]
    names = [r"$\alpha$", r"$\beta$", r"$\gamma$"]
    lines = []
    for ax, angle, ends, name in zip(axes, angles, limits, names, strict=True):
        lines.append(draw_histogram(ax, angle, ends, color, label))
        at, height = _haar_density(ends)
        style = dict(color=INK, linewidth=1, linestyle=":", zorder=POINT_LAYER)
        ax.plot(at, height, label="uniform", **style)
        ax.set_xlabel(name)
        ax.xaxis.set_major_locator(_every(90 if ends[0] < 0 else 45))
        ax.xaxis.set_major_formatter("{x:.0f}°")
    return lines


def _euler_angles(x: Float[np.ndarray, "n 3 3"]) -> list[Float[np.ndarray, " n"]]:
    α = np.arctan2(x[:, 1, 2], x[:, 0, 2])
    β = np.arctan2(np.hypot(x[:, 0, 2], x[:, 1, 2]), x[:, 2, 2])
    γ = np.arctan2(x[:, 2, 1], -x[:, 2, 0])
    return [np.rad2deg(angle) for angle in (α, β, γ)]


def _haar_density(
    ends: tuple[int, int],
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """The density per degree of an Euler angle of a uniformly distributed rotation."""
    low, high = ends
    at = np.linspace(low, high, 181)
    if low < 0:
        return at, np.full_like(at, 1 / (high - low))
    return at, np.deg2rad(np.sin(np.deg2rad(at)) / 2)


def _every(step: int) -> Any:
    from matplotlib.ticker import MultipleLocator

    return MultipleLocator(step)
