import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from .._numerics import safe_sqrt
from .._typing import Floating, typed


@typed
def to_unit(
    longitude: Floating[Array | np.ndarray, "*batch"],
    latitude: Floating[Array | np.ndarray, "*batch"],
) -> Floating[Array, "*batch 3"]:
    r"""The unit vectors $(\cos\varphi\cos\lambda, \cos\varphi\sin\lambda,
    \sin\varphi)$ of the points at longitude $\lambda$ and latitude $\varphi$.

    The third axis is the Earth's; the first meets the equator at longitude 0. In
    float32 a point is off by up to two metres on the Earth.

    **Arguments:**

    - `longitude`: in degrees, east is positive. Any number of turns around the Earth.
    - `latitude`: in degrees, from -90 in the south to 90.

    **Raises:** a `ValueError` where a latitude is beyond ±90, unless the values are
    traced by `jax.jit`.
    """
    _check_latitude(latitude)
    λ, φ = jnp.deg2rad(jnp.asarray(longitude)), jnp.deg2rad(jnp.asarray(latitude))
    return jnp.stack(
        [jnp.cos(φ) * jnp.cos(λ), jnp.cos(φ) * jnp.sin(λ), jnp.sin(φ)], axis=-1
    )


@typed
def to_degrees(
    x: Floating[Array | np.ndarray, "*batch 3"],
) -> tuple[Floating[Array, "*batch"], Floating[Array, "*batch"]]:
    r"""The longitude $\lambda = \mathrm{atan2}(x_2, x_1)$ and the latitude
    $\varphi = \mathrm{atan2}(x_3, \sqrt{x_1^2 + x_2^2})$ of unit vectors, in degrees:
    the inverse of [`to_unit`][rgen.datasets.to_unit].

    Longitudes are from -180 to 180. A pole has the longitude 0, and so has a point that
    rounding alone may have moved off it: within a metre of it on the Earth in float32.

    **Arguments:**

    - `x`: unit vectors, along the last axis.
    """
    x = jnp.asarray(x)
    # At a pole the longitude is constant, which keeps its gradient finite. The cosine
    # of 90 degrees is no zero, but smaller than a rounding error of 1.
    off_pole = jnp.max(jnp.abs(x[..., :2]), axis=-1) > jnp.finfo(x.dtype).eps
    # The other way round, a NaN would be at the pole.
    off_pole = off_pole | jnp.any(jnp.isnan(x[..., :2]), axis=-1)
    east = jnp.where(off_pole, x[..., 0], 1)
    longitude = jnp.where(off_pole, jnp.arctan2(x[..., 1], east), 0)
    radius = safe_sqrt(x[..., 0] ** 2 + x[..., 1] ** 2)
    return jnp.rad2deg(longitude), jnp.rad2deg(jnp.arctan2(x[..., 2], radius))


def _check_latitude(latitude: Floating[Array | np.ndarray, "*batch"]) -> None:
    if isinstance(latitude, Tracer):
        return
    beyond = np.flatnonzero(np.abs(np.asarray(latitude)) > 90)
    if len(beyond) > 0:
        first = beyond[0]
        raise ValueError(
            "expected `latitude` in degrees from -90 to 90, but entry "
            f"{first} is {np.ravel(latitude)[first]}. Longitude comes first: "
            "to_unit(longitude, latitude)."
        )
