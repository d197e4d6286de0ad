import math

import equinox as eqx
import jax.numpy as jnp

from .._typing import Scalar, typed
from ._base import AbstractSchedule, check_start


class LinearSchedule(AbstractSchedule):
    r"""$\beta(t) = \beta_0 + (\beta_1 - \beta_0)\, t$, the schedule of the paper's
    experiments (De Bortoli et al. 2022, appendix O), with accumulated variance
    $\beta_0 t + \tfrac12 (\beta_1 - \beta_0)\, t^2$.

    **Arguments:**

    - `beta_0`, `beta_1`: the speed at times 0 and 1, neither of them negative. It is
        positive at `t1`.
    - `t0`, `t1`: the times between which a score is learnt, positive: at time 0 there
        is no noise, and no score.
    """

    beta_0: float = eqx.field(static=True)
    beta_1: float = eqx.field(static=True)
    t0: float = eqx.field(static=True)
    t1: float = eqx.field(static=True)

    @typed
    def __init__(
        self,
        beta_0: float = 1e-3,
        beta_1: float = 5.0,
        t0: float = 1e-3,
        t1: float = 1.0,
    ):
        self.beta_0 = beta_0
        self.beta_1 = beta_1
        self.t0 = t0
        self.t1 = t1

    def __check_init__(self):
        check_start(self)
        speeds = self.beta_0, self.beta_1
        if not all(0 <= speed < math.inf for speed in speeds) or speeds == (0, 0):
            raise ValueError(
                "LinearSchedule: expected `beta_0` and `beta_1` to be finite, at least "
                f"0, and one of them positive, got {self.beta_0} and {self.beta_1}."
            )
        end = self.beta_0 + (self.beta_1 - self.beta_0) * self.t1
        # Solvers on the clock of the noise divide by the speed.
        if end <= 0:
            raise ValueError(
                "LinearSchedule: expected the speed to be positive up to `t1`, got "
                f"{end} at t1={self.t1}. Take an earlier `t1`, or a larger `beta_1`."
            )

    @typed
    def beta(self, t: Scalar) -> Scalar:
        return self.beta_0 + (self.beta_1 - self.beta_0) * t

    @typed
    def variance(self, t: Scalar) -> Scalar:
        return t * (self.beta_0 + (self.beta_1 - self.beta_0) * t / 2)

    @typed
    def time(self, v: Scalar) -> Scalar:
        # The root of the quadratic that does not cancel.
        slope = self.beta_1 - self.beta_0
        root = jnp.sqrt(self.beta_0**2 + 2 * slope * v)
        return 2 * v / (self.beta_0 + root)
