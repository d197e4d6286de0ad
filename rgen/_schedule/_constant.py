import math

import equinox as eqx
import jax.numpy as jnp

from .._typing import Scalar, typed
from ._base import AbstractSchedule, check_start


class ConstantSchedule(AbstractSchedule):
    r"""$\beta(t) = \beta$, so that the accumulated variance is $\beta t$.

    **Arguments:**

    - `speed`: the constant $\beta > 0$.
    - `t0`, `t1`: the times between which a score is learnt, positive: at time 0 there
        is no noise, and no score.
    """

    speed: float = eqx.field(static=True)
    t0: float = eqx.field(static=True)
    t1: float = eqx.field(static=True)

    @typed
    def __init__(self, speed: float = 1.0, t0: float = 1e-3, t1: float = 1.0):
        self.speed = speed
        self.t0 = t0
        self.t1 = t1

    def __check_init__(self):
        check_start(self)
        if not 0 < self.speed < math.inf:
            raise ValueError(
                "ConstantSchedule: expected `speed` to be positive and finite, got "
                f"{self.speed}."
            )

    @typed
    def beta(self, t: Scalar) -> Scalar:
        return jnp.full_like(t, self.speed)

    @typed
    def variance(self, t: Scalar) -> Scalar:
        return self.speed * t

    @typed
    def time(self, v: Scalar) -> Scalar:
        return v / self.speed
