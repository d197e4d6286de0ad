"""Fields that depend on a condition."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ._typing import Point, Scalar, Tangent, typed


class Given(eqx.Module):
    r"""A field $f(x, t, c)$ with its condition $c$: a function of a point and a time,
    as every sampler, density and loss takes it. Of a field $f(x, s, t, c)$ of two times
    it is a function of a point and both.

    Another condition of the same shapes compiles nothing again.

    **Arguments:**

    - `field`: a function of a point, a time or two, and a condition.
    - `condition`: an array, or a pytree of arrays.
    """

    field: Callable
    condition: Any

    @typed
    def __init__(self, field: Callable, condition: Any):
        self.field = field
        # A number would be part of the program, and each compile one of its own.
        self.condition = jax.tree.map(jnp.asarray, condition)

    @typed
    def __call__(self, x: Point, *times: Scalar) -> Tangent:
        """The vector at the point `x` and the times, given the condition."""
        return self.field(x, *times, self.condition)
