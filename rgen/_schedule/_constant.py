import equinox as eqx
import jax.numpy as jnp

from .._typing import Scalar, typed
from ._base import AbstractSchedule


class ConstantSchedule(AbstractSchedule):
    r"""$\beta(t) = \beta$, so that the accumulated variance is $\beta t$.

    **Arguments:**

    - `speed`: the constant $\beta$.
    - `t0`, `t1`: the times between which a score is learnt.
    """

    speed: float = eqx.field(static=True, default=1.0)
    t0: float = eqx.field(static=True, default=1e-3)
    t1: float = eqx.field(static=True, default=1.0)

    @typed
    def beta(self, t: Scalar) -> Scalar:
        return jnp.full_like(t, self.speed)

    @typed
    def integral(self, t: Scalar) -> Scalar:
        return self.speed * t
