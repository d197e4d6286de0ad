from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from .._check import as_array
from .._numerics import safe_sqrt
from .._typing import Floating, typed


@typed
def to_unit(longitude: Any, latitude: Any) -> Floating[Array, "*batch 3"]:
    r"""The unit vectors $(\cos\varphi\cos\lambda, \cos\varphi\sin\lambda,
    \sin\varphi)$ of the points at longitude $\lambda$ and latitude $\varphi$.

    The third axis is the Earth's; the first meets the equator at longitude 0. In
    float32 a point is off by up to two metres on the Earth.

    **Arguments:**

    - `longitude`: in degrees, east is positive: from -180 to 180, from 0 to 360, or any
        other number of turns around the Earth. An array, a list or a column of a table.
    - `latitude`: in degrees, from -90 in the south to 90, of the same shape.

    **Raises:** a `ValueError` that names the first row where a value is not finite, no
    number, or a latitude beyond ±90; and where the shapes differ. Values that are
    traced by `jax.jit` pass.
    """
    longitude = _degrees("longitude", longitude)
    latitude = _degrees("latitude", latitude)
    if longitude.shape != latitude.shape:
        raise ValueError(
            "to_unit: expected `longitude` and `latitude` of one shape, got "
            f"{longitude.shape} and {latitude.shape}. Give one of each for every point."
        )
    _check_latitude(latitude)
    λ, φ = jnp.deg2rad(longitude), jnp.deg2rad(latitude)
    return jnp.stack(
        [jnp.cos(φ) * jnp.cos(λ), jnp.cos(φ) * jnp.sin(λ), jnp.sin(φ)], axis=-1
    )


@typed
def to_degrees(
    x: Any,
) -> tuple[Floating[Array, "*batch"], Floating[Array, "*batch"]]:
    r"""The longitude $\lambda = \mathrm{atan2}(x_2, x_1)$ and the latitude
    $\varphi = \mathrm{atan2}(x_3, \sqrt{x_1^2 + x_2^2})$ of unit vectors, in degrees:
    the inverse of [`to_unit`][rgen.datasets.to_unit].

    Longitudes are from -180 to 180. A pole has the longitude 0, and so has a point that
    rounding alone may have moved off it: within a metre of it on the Earth in float32.

    **Arguments:**

    - `x`: unit vectors, along the last axis: an array or nested lists.

    **Raises:** a `ValueError` where the last axis is not of length 3.
    """
    x = jnp.asarray(as_array(x))
    if x.shape[-1:] != (3,):
        raise ValueError(
            "to_degrees: expected `x` to hold unit vectors, of shape (..., 3), got "
            f"{x.shape}."
        )
    # At a pole the longitude is constant, which keeps its gradient finite. The cosine
    # of 90 degrees is no zero, but smaller than a rounding error of 1.
    off_pole = jnp.max(jnp.abs(x[..., :2]), axis=-1) > jnp.finfo(x.dtype).eps
    # The other way round, a NaN would be at the pole.
    off_pole = off_pole | jnp.any(jnp.isnan(x[..., :2]), axis=-1)
    east = jnp.where(off_pole, x[..., 0], 1)
    longitude = jnp.where(off_pole, jnp.arctan2(x[..., 1], east), 0)
    radius = safe_sqrt(x[..., 0] ** 2 + x[..., 1] ** 2)
    return jnp.rad2deg(longitude), jnp.rad2deg(jnp.arctan2(x[..., 2], radius))


def _degrees(name: str, value: Any) -> Floating[Array, "..."]:
    array = as_array(value)
    if array.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"to_unit: expected `{name}` to hold numbers, in float32 or float64, got "
            f"{array.dtype}. Skip the header of a file and the columns of text: "
            "numpy.loadtxt(file, delimiter=',', skiprows=1, usecols=(0, 1))."
        )
    if not isinstance(array, Tracer):
        _check_finite(name, np.asarray(array))
    return jnp.asarray(array)


def _check_finite(name: str, value: np.ndarray) -> None:
    broken = np.flatnonzero(~np.isfinite(value))
    if len(broken) > 0:
        raise ValueError(
            f"to_unit: expected `{name}` in degrees, but {len(broken)} of {value.size} "
            f"values are NaN or infinite, the first of them row {broken[0]}, counted "
            "from 0 in the array. "
            + ("Row 0 may be a header: skip it. " if broken[0] == 0 else "")
            + "Drop rows with gaps: table = table[np.isfinite(table).all(1)]."
        )


def _check_latitude(latitude: Floating[Array, "..."]) -> None:
    if isinstance(latitude, Tracer):
        return
    values = np.ravel(latitude)
    beyond = np.flatnonzero(np.abs(values) > 90)
    if len(beyond) > 0:
        first = beyond[0]
        raise ValueError(
            "to_unit: expected `latitude` in degrees from -90 to 90, but "
            f"{len(beyond)} of {len(values)} values are not, the first of them row "
            f"{first}, counted from 0 in the array: {values[first]}. Correct such rows "
            "or drop them: table = table[np.abs(table[:, 1]) <= 90]. If many are so, "
            "the columns may be swapped: longitude comes first."
        )
