import equinox as eqx

from .._typing import Scalar, typed
from ._base import AbstractSchedule


class LinearSchedule(AbstractSchedule):
    r"""$\beta(t) = \beta_0 + (\beta_1 - \beta_0)\, t$, the schedule of the paper's
    experiments (appendix O), with accumulated variance
    $\beta_0 t + \tfrac12 (\beta_1 - \beta_0)\, t^2$.

    **Arguments:**

    - `beta_0`, `beta_1`: the speed at times 0 and 1.
    - `t0`, `t1`: the times between which a score is learnt.
    """

    beta_0: float = eqx.field(static=True, default=1e-3)
    beta_1: float = eqx.field(static=True, default=5.0)
    t0: float = eqx.field(static=True, default=1e-3)
    t1: float = eqx.field(static=True, default=1.0)

    @typed
    def beta(self, t: Scalar) -> Scalar:
        return self.beta_0 + (self.beta_1 - self.beta_0) * t

    @typed
    def integral(self, t: Scalar) -> Scalar:
        return t * (self.beta_0 + (self.beta_1 - self.beta_0) * t / 2)
