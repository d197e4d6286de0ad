import jax.numpy as jnp
from jaxtyping import Array

from .._distribution import WrappedNormal
from .._kernel import OrnsteinUhlenbeckKernel
from .._manifold import Euclidean
from .._schedule import AbstractSchedule
from .._typing import Point, Tangent, typed
from ._base import AbstractProcess, with_end


class OrnsteinUhlenbeck(AbstractProcess):
    r"""The Ornstein–Uhlenbeck process of Euclidean space, $\mathrm dX_t =
    -\tfrac12 \beta(t) X_t\,\mathrm dt + \sqrt{\beta(t)}\,\mathrm dB_t$, known as the
    variance-preserving process (Song et al. 2021).

    It is [`rgen.Langevin`][] in flat space, with transitions in closed form,
    [`rgen.OrnsteinUhlenbeckKernel`][]. It converges to the standard normal
    distribution.

    **Arguments:**

    - `manifold`: Euclidean space.
    - `schedule`: the schedule of $\beta$. By default a
        [`rgen.LogUniformSchedule`][] from the variance 1e-4 on.
    """

    manifold: Euclidean
    schedule: AbstractSchedule

    @typed
    def __init__(self, manifold: Euclidean, schedule: AbstractSchedule | None = None):
        self.manifold = manifold
        self.schedule = with_end(schedule, self.rate)

    @property
    def kernel(self) -> OrnsteinUhlenbeckKernel:
        return OrnsteinUhlenbeckKernel(self.manifold)

    @property
    def prior(self) -> WrappedNormal:
        return WrappedNormal(self.manifold, self.manifold.origin, jnp.array(1.0))

    @property
    def rate(self) -> float:
        return -1.0

    def _drift(self, x: Point) -> Tangent:
        return -x / 2

    def _denoised(self, x: Point, v: Array, score: Tangent) -> Point:
        # Of x_t = e^{-v/2} x_0 + noise of the variance 1 - e^{-v}.
        return jnp.exp(v / 2) * (x - jnp.expm1(-v) * score)
