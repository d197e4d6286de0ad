from typing import TYPE_CHECKING, Any

import numpy as np

from ..._typing import typed


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import ListedColormap
else:
    Axes = ListedColormap = Any

# Lightness and chroma in the OKLCh colour space: of one lightness, no angle stands out.
_LIGHTNESS, _CHROMA = 0.7, 0.115


def cyclic_colors() -> ListedColormap:
    """Colours of all hues, for angles from -180 to 180 degrees."""
    from matplotlib.colors import ListedColormap

    hue = np.deg2rad(np.arange(-180, 180) + 20)
    a, b = _CHROMA * np.cos(hue), _CHROMA * np.sin(hue)
    # From OKLab to linear sRGB (Ottosson 2020), and from that to sRGB.
    l = (_LIGHTNESS + 0.3963377774 * a + 0.2158037573 * b) ** 3
    m = (_LIGHTNESS - 0.1055613458 * a - 0.0638541728 * b) ** 3
    s = (_LIGHTNESS - 0.0894841775 * a - 1.2914855480 * b) ** 3
    to_rgb = [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
    linear = np.clip(np.stack([l, m, s], 1) @ np.array(to_rgb).T, 0, 1)
    rgb = np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
    )
    return ListedColormap(rgb, name="rgen_cyclic")


@typed
def color_wheel(ax: Axes) -> Axes:
    """Draws the colours of the tilt of [`rotations`][rgen.plot.rotations] as a wheel in
    the lower right corner of the map, and returns the axes of the wheel."""
    wheel = ax.inset_axes((0.91, -0.04, 0.1, 0.2), projection="polar")
    angle = np.deg2rad(np.linspace(-180, 180, 361))
    colors = np.rad2deg(angle[:-1])[None]
    wheel.pcolormesh(
        angle, [0.65, 1.0], colors, cmap=cyclic_colors(), vmin=-180, vmax=180
    )
    wheel.set_ylim(0, 1)
    wheel.set_yticks([])
    wheel.set_xticks(np.deg2rad([0, 90, 180, 270]), ["0°", "90°", "180°", "−90°"])
    wheel.tick_params(labelsize="x-small", pad=-2)
    wheel.grid(False)
    wheel.spines[:].set_visible(False)
    wheel.patch.set_visible(False)
    wheel.text(0, 0, "tilt", ha="center", va="center", fontsize="x-small")
    return wheel
