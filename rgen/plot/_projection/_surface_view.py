import functools
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._manifold import AbstractLevelSet
from ..._typing import BoolScalar, Floating, Scalar, typed
from .._style import SHADE_LAYER, clip_to
from ._base import AbstractProjection
from ._batch import inverse, over_points
from ._pixels import pixels_of
from ._view_axes import view_axes


if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:
    Axes = Any

# Pieces of a line of sight that are searched for the surface.
_PIECES = 128
# Pixels in the height of the view for its outline, and for its shading.
_PIXELS = 240
# From the left, from above and from behind the viewer.
_LIGHT = np.array([-0.4, 0.5, 0.77])
_DARKEST = 0.45


class SurfaceView(AbstractProjection):
    """A surface in space, as it is seen from far away: what another part of the surface
    hides is not visible.

    Each pixel shows the point in which its line of sight first meets the surface. The
    frame is the silhouette, with shading that shows the shape; the shading darkens the
    colours of a density by a half at most.

    **Arguments:**

    - `manifold`: a compact surface in space: an [`rgen.AbstractLevelSet`][] of points
      of shape `(3,)` with a finite `radius`. Its parts are thicker than `radius / 64`.
    - `longitude`, `latitude`: of the viewer, in degrees.

    **Raises:** a `ValueError` where `manifold` is no compact surface in space.
    """

    manifold: AbstractLevelSet
    longitude: float = eqx.field(static=True)
    latitude: float = eqx.field(static=True)

    @typed
    def __init__(
        self,
        manifold: AbstractLevelSet,
        longitude: float = 30.0,
        latitude: float = 30.0,
    ):
        shape, compact = manifold.point_shape, manifold.compact
        if shape != (3,) or manifold.dim != 2 or not compact:
            raise ValueError(
                "SurfaceView: expected `manifold` to be a compact surface in space, "
                f"of dimension 2 and points of shape (3,), got {manifold} of "
                f"dimension {manifold.dim} and points of shape {shape}, "
                f"{'compact' if compact else 'not compact'}. Where its points are in "
                "a ball, give it the property `radius`."
            )
        self.manifold, self.longitude, self.latitude = manifold, longitude, latitude

    @property
    def semi_axes(self) -> tuple[float, float]:
        return self.manifold.radius, self.manifold.radius

    @property
    def unit(self) -> float:
        return self.manifold.radius

    @typed
    def forward(
        self, x: Floating[Array, "3"]
    ) -> tuple[Floating[Array, "2"], BoolScalar]:
        axes = self._axes(x.dtype)
        right, up, depth = axes @ x
        room = self._reach - depth
        before = x + jnp.linspace(0, room, _PIECES + 1)[1:, None] * axes[2]
        free = jnp.all(jax.vmap(self._height)(before) > 0)
        faces = jax.grad(self._height)(x) @ axes[2] >= 0
        return jnp.stack([right, up]), free & faces

    @typed
    def inverse(self, uv: Floating[Array, "2"]) -> Floating[Array, "3"]:
        sight, heights = self._sight(uv)
        inside = heights <= 0
        first = jnp.argmax(inside)
        met = self._bisect(sight[first - 1], sight[first])
        # A line of sight that misses the surface by a pixel or two has a point near it.
        missed = sight[jnp.argmin(heights)]
        # Not `project`, which takes many times as long to compile.
        near = jnp.where(jnp.any(inside), met, missed)
        return self.manifold._land(self.manifold._land(near))

    def contains(self, uv: Floating[Array, "2"]) -> BoolScalar:
        return self._lowest(uv) <= 0

    def outline(self) -> list[Float[np.ndarray, "_ 2"]]:
        """The silhouette."""
        return _silhouette(self)

    def decorate(self, ax: Axes) -> None:
        """The shading."""
        ax.set_axis_off()
        r = self.manifold.radius
        image = ax.imshow(
            _shading(self),
            origin="lower",
            extent=(-r, r, -r, r),
            interpolation="bilinear",
            zorder=SHADE_LAYER,
        )
        clip_to(image, self.outline())

    def between(
        self, x: Floating[Array, "3"], y: Floating[Array, "3"], share: Scalar
    ) -> Floating[Array, "3"]:
        # Few surfaces have a logarithm in closed form.
        return self.manifold.project(x + share * (y - x))

    @property
    def _reach(self) -> float:
        # A little more than the ball, so that no line of sight starts on the surface.
        return 1.01 * self.manifold.radius

    def _axes(self, dtype: Any) -> Floating[Array, "3 3"]:
        return view_axes(self.longitude, self.latitude, dtype)

    def _height(self, x: Floating[Array, "3"]) -> Scalar:
        """The constraint, with the sign that makes it positive outside."""
        value = lambda x: jnp.reshape(self.manifold.constraint(x), ())
        outside = self._reach * self._axes(x.dtype)[2]
        return jnp.where(value(outside) > 0, 1, -1) * value(x)

    def _sight(
        self, uv: Floating[Array, "2"]
    ) -> tuple[Floating[Array, "m 3"], Floating[Array, " m"]]:
        """Points of the line of sight from front to back, and their heights."""
        depths = jnp.linspace(self._reach, -self._reach, _PIECES + 1, dtype=uv.dtype)
        axes = self._axes(uv.dtype)
        points = uv @ axes[:2] + depths[:, None] * axes[2]
        return points, jax.vmap(self._height)(points)

    def _lowest(self, uv: Floating[Array, "2"]) -> Scalar:
        return jnp.min(self._sight(uv)[1])

    def _normal(self, x: Floating[Array, "3"]) -> Floating[Array, "3"]:
        """The unit normal: to the right, up and towards the viewer."""
        slope = self._axes(x.dtype) @ jax.grad(self._height)(x)
        return slope / jnp.linalg.norm(slope)

    def _bisect(
        self, outside: Floating[Array, "3"], inside: Floating[Array, "3"]
    ) -> Floating[Array, "3"]:
        def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            outside, inside = ends
            middle = (outside + inside) / 2
            out = self._height(middle) > 0
            return jnp.where(out, middle, outside), jnp.where(out, inside, middle)

        steps = jnp.finfo(inside.dtype).nmant // 2
        return jax.lax.fori_loop(0, steps, halve, (outside, inside))[1]


@functools.lru_cache(maxsize=16)
def _silhouette(view: SurfaceView) -> list[Float[np.ndarray, "_ 2"]]:
    from contourpy import contour_generator

    # One pixel more on every side than the ball, so that all lines are closed.
    step = 2.0 * view.manifold.radius / _PIXELS
    ends = view.manifold.radius + step
    axis = np.linspace(-ends, ends, _PIXELS + 3)
    uv = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    height = over_points(view._lowest, uv.astype(jnp.result_type(float)))
    contours = contour_generator(axis, axis, height.reshape(len(axis), -1))
    return [np.asarray(line) for line in contours.lines(0.0)]


@functools.lru_cache(maxsize=16)
def _shading(view: SurfaceView) -> Float[np.ndarray, "n n 4"]:
    """Black, the more opaque the less light falls on a pixel."""
    uv, inside = pixels_of(view, _PIXELS)
    x = inverse(view, uv[inside].astype(jnp.result_type(float)))
    light = over_points(view._normal, x) @ (_LIGHT / np.linalg.norm(_LIGHT))
    black = np.zeros((*inside.shape, 4))
    black[inside, 3] = _DARKEST * (1 - np.maximum(light, 0))
    return black
