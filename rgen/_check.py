from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool

from ._errors import shortened
from ._manifold import AbstractManifold
from ._typing import Floating, typed


@typed
def check_points(
    manifold: AbstractManifold, x: Any, name: str = "x"
) -> Floating[Array, "..."]:
    """Returns the points `x` as a JAX array, having checked that they are points of
    `manifold`.

    Shapes and dtypes are checked always. Values are checked where there are any: inside
    `jax.jit` they are not known yet, and pass.

    **Arguments:**

    - `manifold`: the manifold.
    - `x`: a batch of points, of shape `(n, *manifold.point_shape)` with `n >= 1`: an
        array of JAX or NumPy, or nested lists, in float32, float64 or whole numbers.
    - `name`: what the errors call the points.

    **Raises:** a `ValueError` where `x` is empty, has another shape or dtype, holds a
    NaN or an infinity, or holds a point off the manifold, by the default tolerance of
    [`contains`][rgen.AbstractManifold.contains]. It names the first row at fault.
    """
    what = f"points of {manifold}"
    points = check_floating(x, ("n", *manifold.point_shape), what, name)
    if not isinstance(points, Tracer):
        _check_on(manifold, points, name)
    return points


def check_floating(
    x: Any, shape: tuple[str | int, ...], what: str, name: str = "x"
) -> Floating[Array, "..."]:
    """Returns `x` as a JAX array of the given shape, where a string stands for any
    length but 0, of finite floating-point numbers. Else raises a `ValueError`."""
    x = as_array(x)
    wanted = f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
    if not _fits(x.shape, shape):
        raise ValueError(
            f"expected `{name}` to hold {what}, of shape {wanted}, got shape "
            f"{x.shape}. The first axis counts the points: one point alone is "
            f"{name}[None]."
        )
    if x.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"expected `{name}` to hold {what} in float32 or float64, got {x.dtype}. "
            f"Convert it: {name}.astype(numpy.float32)."
        )
    if x.shape[0] == 0:
        raise ValueError(
            f"expected `{name}` to hold {what}, of shape {wanted} with at least one "
            f"row, got shape {x.shape}: there is no data. Look at where it was read."
        )
    points = jnp.asarray(x)
    if not isinstance(points, Tracer):
        _check_finite(points, what, name)
    return points


def as_array(x: Any) -> Array | np.ndarray:
    """An array of what the batched doors take: arrays, nested lists, whole numbers."""
    x = x if isinstance(x, Array) else np.asarray(x)
    if jnp.issubdtype(x.dtype, jnp.integer):
        return jnp.asarray(x, jnp.result_type(float))
    return x


def _fits(shape: tuple[int, ...], wanted: tuple[str | int, ...]) -> bool:
    pairs = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(
        isinstance(b, str) or a == b for a, b in pairs
    )


def _check_finite(x: Floating[Array, "n ..."], what: str, name: str) -> None:
    rows = np.asarray(x).reshape(len(x), -1)
    broken = np.flatnonzero(~np.isfinite(rows).all(1))
    if len(broken) > 0:
        first = broken[0]
        raise ValueError(
            f"expected `{name}` to hold {what}, in finite numbers, but {len(broken)} "
            f"of {len(x)} rows hold a NaN or an infinity, the first of them row "
            f"{first}: {shortened(np.asarray(x)[first])}. Drop them: "
            f"{name}[numpy.isfinite({name}).reshape(len({name}), -1).all(1)]."
        )


def _check_on(
    manifold: AbstractManifold, x: Floating[Array, "n ..."], name: str
) -> None:
    # Points that are known inside of `jax.jit`: what is computed of them is to be, too.
    with jax.ensure_compile_time_eval():
        contained = np.asarray(_contained(manifold, x))
    outside = np.flatnonzero(~contained)
    if len(outside) > 0:
        first = outside[0]
        raise ValueError(
            f"expected `{name}` to hold points of {manifold}, but {len(outside)} of "
            f"{len(x)} rows are not on it, the first of them row {first}: "
            f"{shortened(np.asarray(x)[first])}. If that is rounding, move them onto "
            f"it: jax.vmap(manifold.project)({name})."
        )


@eqx.filter_jit
def _contained(
    manifold: AbstractManifold, x: Floating[Array, "n ..."]
) -> Bool[Array, " n"]:
    return jax.vmap(manifold.contains)(x)
