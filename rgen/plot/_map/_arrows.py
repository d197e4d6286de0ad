from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array

from ..._check import check_points
from ..._typing import BoolScalar, Floating, Point, Tangent, typed
from .._projection import AbstractProjection
from .._projection._batch import over_points
from .._style import INK, POINT_LAYER


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.quiver import Quiver
else:
    Axes = Quiver = Any


@typed
def arrows(
    ax: Axes, projection: AbstractProjection, x: Any, v: Any, color: str = INK
) -> Quiver:
    """Draws tangent vectors, such as the values of a field, as arrows at their points.
    The map takes them to the plane by its derivative, and Matplotlib chooses one scale
    for their lengths.

    **Arguments:**

    - `ax`, `projection`: the axes and the map.
    - `x`: points of `projection.manifold`, of shape `(n, *point_shape)`.
    - `v`: a tangent vector at each, of the same shape.
    - `color`: of the arrows.

    **Raises:** a `ValueError` where `v` has another shape than `x`, and those of
    [`check_points`][rgen.check_points].
    """
    x = check_points(projection.manifold, x)
    v = np.asarray(v, x.dtype)
    if v.shape != x.shape:
        raise ValueError(
            f"expected `v` to have one tangent vector at each point, of shape {x.shape}"
            f" as `x`, got shape {v.shape}. For a field of points write jax.vmap(f)(x)."
        )
    uv, velocity, visible = over_points(eqx.Partial(_push, projection), x, v)
    shown = visible & np.isfinite(velocity).all(1)
    return ax.quiver(
        *uv[shown].T,
        *velocity[shown].T,
        color=color,
        angles="xy",
        units="inches",
        width=0.012,
        zorder=POINT_LAYER,
    )


# Not a closure, which would be compiled again at each call.
def _push(
    projection: AbstractProjection, x: Point, v: Tangent
) -> tuple[Floating[Array, "2"], Floating[Array, "2"], BoolScalar]:
    return jax.jvp(projection.forward, (x,), (v,), has_aux=True)
