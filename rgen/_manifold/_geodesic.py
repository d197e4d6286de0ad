from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._typing import Point, Tangent


# Relative and absolute tolerance of the geodesic equation. In float32 a tighter one
# asks for less than the spacing of numbers.
_TOLERANCE = {jnp.dtype("float32"): 1e-6, jnp.dtype("float64"): 1e-10}
_MAX_STEPS = 4096


def solve_geodesic(
    acceleration: Callable[[Point, Tangent], Array], x: Point, v: Tangent
) -> Point:
    r"""Where the curve with $x'' = a(x, x')$ that leaves `x` with velocity `v` is at
    time 1: by Diffrax's `Tsit5` with adaptive steps. NaN if it takes more than 4096.

    Differentiable in forward and reverse mode, to every order.
    """

    def end(xv: Array) -> Point:
        rate = lambda t, y, args: jnp.stack([y[1], acceleration(y[0], y[1])])
        tolerance = _TOLERANCE[xv.dtype]
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(rate),
            diffrax.Tsit5(),
            jnp.zeros((), xv.dtype),
            jnp.ones((), xv.dtype),
            None,
            xv,
            stepsize_controller=diffrax.PIDController(tolerance, tolerance),
            adjoint=diffrax.ForwardMode(),
            max_steps=_MAX_STEPS,
            throw=False,
        )
        assert solution.ys is not None
        solved = solution.result == diffrax.RESULTS.successful
        return jnp.where(solved, solution.ys[0][0], jnp.nan)

    return _with_jacobian(end)(jnp.stack([x, v]))


def _with_jacobian(f: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """`f`, of which forward mode alone is known, in reverse mode too: its derivative is
    the product with its Jacobian, a function of the same kind."""

    @jax.custom_jvp
    def value(x: Array) -> Array:
        return f(x)

    @value.defjvp
    def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Any, Any]:
        (x,), (dx,) = primals, tangents
        both = _with_jacobian(lambda x: _value_and_columns(f, x))(x)
        return both[0], jnp.tensordot(jnp.ravel(dx), both[1:], 1)

    return value


def _value_and_columns(f: Callable[[Array], Array], x: Array) -> Array:
    """The value of `f`, and its derivatives by every entry of `x`, from one solve."""
    units = jnp.eye(x.size, dtype=x.dtype).reshape(x.size, *x.shape)
    push = lambda e: jax.jvp(f, (x,), (e,))
    value, columns = jax.vmap(push, out_axes=(None, 0))(units)
    return jnp.concatenate([value[None], columns])
