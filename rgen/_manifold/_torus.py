import itertools
import math
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .._numerics import sin_cos
from .._typing import Key, Point
from ._base import check_size
from ._flat import AbstractFlat


def wrap(angle: Array) -> Array:
    r"""The angle in $[-\pi, \pi]$ that differs from `angle` by a multiple of $2\pi$.
    Angles in that range are returned to the last bit."""
    return angle - 2 * math.pi * jnp.round(angle / (2 * math.pi))


class Torus(AbstractFlat):
    r"""The flat torus $T^d = (\mathbb R / 2\pi\mathbb Z)^d$.

    A point is a vector of `dim` angles in radians. Any real number is an angle; points
    that the methods return are in $[-\pi, \pi]$. The cut locus of `x` holds the points
    with an angle opposite to that of `x`.

    **Arguments:**

    - `dim`: the number $d \ge 1$ of angles.
    """

    dim: int = eqx.field(static=True)
    compact: ClassVar[bool] = True
    spectral_gap: ClassVar[float] = 1.0  # pyright: ignore

    def __check_init__(self):
        check_size("Torus", "dim", self.dim, 1)

    @property
    def log_volume(self) -> float:
        return self.dim * math.log(2 * math.pi)

    @property
    def period(self) -> float:
        return 2 * math.pi if self.dim == 1 else super().period

    def _wrap(self, x: Array) -> Array:
        return wrap(x)

    def _features(self, x: Point) -> Array:
        return jnp.concatenate([jnp.cos(x), jnp.sin(x)])

    def _harmonics(self, x: Point, v: Array, n: int) -> Array:
        k = jnp.arange(2, n + 1)[:, None]
        sin, cos = sin_cos(k * x)
        # a / sinh(a), without overflow.
        a = (k * v / 2).astype(x.dtype)
        damping = -2 * a * jnp.exp(-a) / jnp.expm1(-2 * a)
        return jnp.concatenate([jnp.ravel(damping * cos), jnp.ravel(damping * sin)])

    def _preimages(self, x: Point, y: Point, windings: int) -> Array:
        steps = sorted(range(-windings, windings + 1), key=abs)
        turns = jnp.array(list(itertools.product(steps, repeat=self.dim)), x.dtype)
        return self._log(x, y) + 2 * math.pi * turns

    def _uniform(self, key: Key) -> Point:
        return jr.uniform(key, (self.dim,), minval=-math.pi, maxval=math.pi)
