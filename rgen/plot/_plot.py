"""Maps of the sphere: densities, samples and coastlines on Matplotlib axes.

Each function draws one thing on axes that it is given, in one projection, and returns
the Matplotlib artist, for the caller to change. They take Matplotlib, which
`pip install 'rgen-manifold[notebooks]'` brings.

```python
figure, ax = plt.subplots()
projection = rgen.plot.Mollweide()
x = rgen.plot.grid(projection)
rgen.plot.frame(ax, projection)
image = rgen.plot.density(ax, projection, rgen.log_prob(score, process, x))
rgen.plot.coastlines(ax, projection)
rgen.plot.points(ax, projection, test, color="gold", label="held out")
rgen.plot.color_bar(ax, image)
rgen.plot.legend(ax)
```
"""

import abc
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .. import datasets
from .._check import check_points
from .._manifold import Sphere
from .._numerics import safe_sqrt
from .._typing import BoolScalar, Floating, typed


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.colorbar import Colorbar
    from matplotlib.image import AxesImage
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D
    from matplotlib.patches import Polygon
else:
    # Whoever has axes has Matplotlib: importing this module does not take it.
    Axes = PathCollection = Colorbar = AxesImage = Legend = Line2D = Polygon = Any

_PAPER, _GRID, _INK = "#f7f6f3", "#9a9a9a", "#2b2b2b"
# From paper through sea green to ink blue, at equal steps of the OKLab colour space, so
# that equal differences of log-density look equally large.
_COLORS = ["#faf8f3", "#d2e7e2", "#a9d5d0", "#7ec3bf", "#6aabb2"]
_COLORS += ["#5693a4", "#437b95", "#306487", "#1f4e79"]
# Back to front.
_BACKGROUND_LAYER, _DENSITY_LAYER, _GRID_LAYER, _COAST_LAYER, _POINT_LAYER = range(1, 6)


class AbstractProjection(eqx.Module):
    """A map of the unit sphere, or of half of it, to an ellipse in the plane with its
    centre at the origin."""

    @property
    @abc.abstractmethod
    def semi_axes(self) -> tuple[float, float]:
        """Half the width and half the height of the map."""

    @abc.abstractmethod
    def forward(
        self, x: Floating[Array, "3"]
    ) -> tuple[Floating[Array, "2"], BoolScalar]:
        """Where the point `x` of the sphere is on the map, and whether it is visible
        there."""

    @abc.abstractmethod
    def inverse(self, uv: Floating[Array, "2"]) -> Floating[Array, "3"]:
        """The point of the sphere that is at `uv`. Outside the map, the point at the
        rim in that direction."""


class Orthographic(AbstractProjection):
    """The globe as it is seen from far away: half of the sphere, in the unit disc.

    **Arguments:**

    - `longitude`, `latitude`: of the point in the middle, in degrees.
    """

    longitude: float = eqx.field(static=True, default=0.0)
    latitude: float = eqx.field(static=True, default=0.0)

    @property
    def semi_axes(self) -> tuple[float, float]:
        return 1.0, 1.0

    @typed
    def forward(
        self, x: Floating[Array, "3"]
    ) -> tuple[Floating[Array, "2"], BoolScalar]:
        east, north, centre = self._axes(x.dtype) @ x
        return jnp.stack([east, north]), centre >= 0

    @typed
    def inverse(self, uv: Floating[Array, "2"]) -> Floating[Array, "3"]:
        east, north = _clamp(uv, self.semi_axes)
        centre = safe_sqrt(1 - east**2 - north**2)
        return jnp.stack([east, north, centre]) @ self._axes(uv.dtype)

    def _axes(self, dtype: Any) -> Array:
        """East, north and up at the middle of the map, one a row."""
        λ, φ = math.radians(self.longitude), math.radians(self.latitude)
        east = [-math.sin(λ), math.cos(λ), 0]
        north = [-math.sin(φ) * math.cos(λ), -math.sin(φ) * math.sin(λ), math.cos(φ)]
        up = [math.cos(φ) * math.cos(λ), math.cos(φ) * math.sin(λ), math.sin(φ)]
        return jnp.array([east, north, up], dtype)


class Mollweide(AbstractProjection):
    r"""The whole sphere in an ellipse of semi-axes 2 and 1, with areas in proportion.

    The point at longitude $\lambda$ from the middle and latitude $\varphi$ is at
    $(\tfrac2\pi \lambda \cos\theta, \sin\theta)$, where
    $2\theta + \sin 2\theta = \pi \sin\varphi$.

    Source: Snyder, *Map Projections: A Working Manual* (1987), equations 31-1 to 31-3.

    **Arguments:**

    - `longitude`: of the meridian in the middle, in degrees.
    """

    longitude: float = eqx.field(static=True, default=0.0)

    @property
    def semi_axes(self) -> tuple[float, float]:
        return 2.0, 1.0

    @typed
    def forward(
        self, x: Floating[Array, "3"]
    ) -> tuple[Floating[Array, "2"], BoolScalar]:
        λ = jnp.deg2rad(datasets.to_degrees(x)[0] - self.longitude)
        λ = (λ + jnp.pi) % (2 * jnp.pi) - jnp.pi
        # pi (1 - sin|φ|), without the cancellation near a pole.
        c = jnp.pi * (x[0] ** 2 + x[1] ** 2) / (1 + jnp.abs(x[2]))
        # To the pole is the angle ε: θ = ±(pi / 2 - ε).
        ε = _angle_to_pole(c)
        u, v = 2 / jnp.pi * λ * jnp.sin(ε), jnp.where(x[2] < 0, -1, 1) * jnp.cos(ε)
        return jnp.stack([u, v]), jnp.array(True)

    @typed
    def inverse(self, uv: Floating[Array, "2"]) -> Floating[Array, "3"]:
        u, v = _clamp(uv, self.semi_axes)
        θ, width = jnp.arcsin(v), safe_sqrt(1 - v**2)
        z = (2 * θ + jnp.sin(2 * θ)) / jnp.pi
        z = jnp.clip(z, -1, 1)
        λ = jnp.pi / 2 * u / jnp.where(width > 0, width, 1)
        λ = jnp.clip(λ, -jnp.pi, jnp.pi) + math.radians(self.longitude)
        radius = safe_sqrt(1 - z**2)
        return jnp.stack([radius * jnp.cos(λ), radius * jnp.sin(λ), z])


@typed
def frame(ax: Axes, projection: AbstractProjection) -> Polygon:
    """Prepares the axes for a map: its outline, and meridians and parallels at every 30
    degrees. Draw it first."""
    a, b = projection.semi_axes
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_xlim(-1.01 * a, 1.01 * a)
    ax.set_ylim(-1.01 * b, 1.01 * b)
    _line(ax, _polyline(projection, _graticule()), _GRID, 0.3, _GRID_LAYER)
    (outline,) = ax.fill(*_outline(projection), facecolor=_PAPER, edgecolor="none")
    outline.set_zorder(_BACKGROUND_LAYER)
    ax.plot(*_outline(projection), color=_INK, linewidth=0.8, zorder=_POINT_LAYER + 1)
    return outline


@typed
def coastlines(ax: Axes, projection: AbstractProjection) -> Line2D:
    """Draws [`rgen.datasets.coastlines`][] as thin lines."""
    lines = [np.asarray(line) for line in datasets.coastlines()]
    return _line(ax, _polyline(projection, lines), _INK, 0.5, _COAST_LAYER)


@typed
def grid(projection: AbstractProjection, pixels: int = 200) -> Floating[Array, "n 3"]:
    """The points of the sphere at the pixels of a map, for
    [`density`][rgen.plot.density] to be told the values at.

    **Arguments:**

    - `projection`: the map.
    - `pixels`: its height in pixels.
    """
    uv, inside = _pixels(projection, pixels)
    return _inverse(projection, jnp.asarray(uv[inside], jnp.result_type(float)))


@typed
def density(
    ax: Axes,
    projection: AbstractProjection,
    log_prob: Floating[Array, " n"],
    pixels: int = 200,
    span: float = 8.0,
) -> AxesImage:
    """Draws a log-density as an image, from light to dark as it rises.

    **Arguments:**

    - `ax`, `projection`: the axes and the map.
    - `log_prob`: the values at [`grid`][rgen.plot.grid]`(projection, pixels)`, in nats.
        One that is not a number is left blank.
    - `pixels`: the height of the map in pixels.
    - `span`: the range of the colours, in nats below the highest value. What is lower
        gets the lightest colour.

    **Raises:** a `ValueError` where `log_prob` has another length.
    """
    from matplotlib.colors import LinearSegmentedColormap

    _, inside = _pixels(projection, pixels)
    if len(log_prob) != inside.sum():
        raise ValueError(
            f"expected `log_prob` to have {inside.sum()} entries, got {len(log_prob)}. "
            f"Evaluate it on rgen.plot.grid(projection, {pixels})."
        )
    image = np.full(inside.shape, np.nan)
    image[inside] = log_prob
    a, b = projection.semi_axes
    top = np.nanmax(image)
    artist = ax.imshow(
        np.ma.masked_invalid(np.maximum(image, top - span)),
        cmap=LinearSegmentedColormap.from_list("rgen", _COLORS),
        vmin=top - span,
        vmax=top,
        origin="lower",
        extent=(-a, a, -b, b),
        interpolation="bilinear",
        zorder=_DENSITY_LAYER,
    )
    (outline,) = ax.fill(*_outline(projection), facecolor="none", edgecolor="none")
    artist.set_clip_path(outline)
    return artist


@typed
def points(
    ax: Axes,
    projection: AbstractProjection,
    x: Floating[Array, "n 3"],
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
    uv, visible = _forward(projection, check_points(Sphere(2), x))
    u, v = np.asarray(uv)[np.asarray(visible)].T
    return ax.scatter(
        u,
        v,
        s=size,
        color=color,
        alpha=alpha,
        label=label,
        linewidths=0,
        zorder=_POINT_LAYER,
    )


@typed
def color_bar(ax: Axes | Sequence[Axes], image: AxesImage) -> Colorbar:
    """Draws the scale of a [`density`][rgen.plot.density], in nats, below one map or
    several."""
    return image.figure.colorbar(
        image,
        ax=ax,
        location="bottom",
        label="log-density (nats)",
        extend="min",
        shrink=0.5,
        pad=0.03,
        aspect=30,
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


@eqx.filter_jit
def _forward(
    projection: AbstractProjection, x: Floating[Array, "n 3"]
) -> tuple[Floating[Array, "n 2"], Bool[Array, " n"]]:
    return jax.vmap(projection.forward)(x)


@eqx.filter_jit
def _inverse(
    projection: AbstractProjection, uv: Floating[Array, "n 2"]
) -> Floating[Array, "n 3"]:
    return jax.vmap(projection.inverse)(uv)


def _clamp(
    uv: Floating[Array, "2"], semi_axes: tuple[float, float]
) -> Floating[Array, "2"]:
    radius = safe_sqrt(jnp.sum((uv / jnp.array(semi_axes, uv.dtype)) ** 2))
    return uv / jnp.maximum(radius, 1)


def _angle_to_pole(c: Floating[Array, ""]) -> Floating[Array, ""]:
    """Solves 2ε - sin 2ε = c for 0 <= c <= pi. The start is exact to second order in ε,
    and Newton's method gains as many digits again at every step."""
    positive = c > 0
    c = jnp.where(positive, c, 1)
    ε = jnp.cbrt(0.75 * c)
    for _ in range(4):
        ε = ε - (2 * ε - jnp.sin(2 * ε) - c) / (4 * jnp.sin(ε) ** 2)
    return jnp.where(positive, ε, 0)


def _outline(projection: AbstractProjection) -> tuple[np.ndarray, np.ndarray]:
    a, b = projection.semi_axes
    angle = np.linspace(0, 2 * np.pi, 361)
    return a * np.cos(angle), b * np.sin(angle)


def _pixels(
    projection: AbstractProjection, pixels: int
) -> tuple[Float[np.ndarray, "rows columns 2"], Bool[np.ndarray, "rows columns"]]:
    """The centres of the pixels, and which are on the map or next to it: those fill the
    rim, where the outline cuts pixels in two."""
    a, b = projection.semi_axes
    centres = lambda half, n: (np.arange(n) + 0.5) * 2 * half / n - half
    u, v = np.meshgrid(centres(a, round(pixels * a / b)), centres(b, pixels))
    return np.stack([u, v], -1), np.hypot(u / a, v / b) <= 1 + 4 / pixels


def _graticule() -> list[Float[np.ndarray, "_ 3"]]:
    """Meridians and parallels."""
    sweep = np.linspace(0, 2 * np.pi, 721)
    parallels = [
        np.stack(
            [np.cos(φ) * np.cos(sweep), np.cos(φ) * np.sin(sweep), 0 * sweep + z], 1
        )
        for φ, z in ((φ, np.sin(φ)) for φ in np.deg2rad([-60, -30, 0, 30, 60]))
    ]
    rise = np.deg2rad(np.linspace(-80, 80, 321))
    meridians = [
        np.stack([np.cos(rise) * np.cos(λ), np.cos(rise) * np.sin(λ), np.sin(rise)], 1)
        for λ in np.deg2rad(np.arange(-180, 180, 30))
    ]
    return parallels + meridians


def _polyline(
    projection: AbstractProjection, lines: Sequence[Floating[np.ndarray, "_ 3"]]
) -> Float[np.ndarray, "_ 2"]:
    """The lines on the map, as one array with a row of NaN wherever the pen is up:
    between lines, on the far side, and where a line leaves the map at one edge and
    comes back at another."""
    fine = [_refine(line) for line in lines]
    x = jnp.asarray(np.concatenate(fine), jnp.result_type(float))
    uv, visible = (np.array(part, copy=True) for part in _forward(projection, x))
    uv[~visible] = np.nan
    # Steps are half a degree, and no map stretches that to a fifth of its size.
    jump = np.linalg.norm(np.diff(uv, axis=0), axis=1) > 0.2
    jump[np.cumsum([len(line) for line in fine])[:-1] - 1] = True
    return np.insert(uv.astype(float), np.flatnonzero(jump) + 1, np.nan, axis=0)


def _refine(line: Floating[np.ndarray, "_ 3"]) -> Float[np.ndarray, "_ 3"]:
    """Adds points of the sphere, so that no step is over half a degree."""
    step = np.linalg.norm(np.diff(line, axis=0), axis=1)
    pieces = np.maximum(np.ceil(np.rad2deg(step) / 0.5), 1).astype(int)
    start = np.repeat(np.arange(len(step)), pieces)
    first = np.repeat(np.cumsum(pieces) - pieces, pieces)
    share = (np.arange(len(start)) - first) / np.repeat(pieces, pieces)
    between = line[start] + share[:, None] * (line[start + 1] - line[start])
    between = np.concatenate([between, line[-1:]])
    return between / np.linalg.norm(between, axis=1, keepdims=True)


def _line(
    ax: Axes, uv: Float[np.ndarray, "_ 2"], color: str, width: float, layer: int
) -> Line2D:
    (line,) = ax.plot(*uv.T, color=color, linewidth=width, zorder=layer)
    return line
