import jax.numpy as jnp
import jax.random as jr

from .._distribution import WrappedNormal
from .._manifold import Euclidean
from .._schedule import AbstractSchedule
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractProcess


class OrnsteinUhlenbeck(AbstractProcess):
    r"""The Ornstein-Uhlenbeck process of Euclidean space, $\mathrm dX_t =
    -\tfrac12 \beta(t) X_t\,\mathrm dt + \sqrt{\beta(t)}\,\mathrm dB_t$, known as the
    variance-preserving process (Song et al. 2021).

    It is [`rgen.Langevin`][] in flat space, with transitions in closed form:
    $X_t \mid X_0 \sim \mathcal N(e^{-v/2} X_0,\, (1 - e^{-v}) I)$ with $v$ the
    accumulated variance. It converges to the standard normal law.

    **Arguments:**

    - `manifold`: Euclidean space.
    - `schedule`: the schedule of $\beta$.
    """

    manifold: Euclidean
    schedule: AbstractSchedule

    @typed
    def __init__(self, manifold: Euclidean, schedule: AbstractSchedule):
        self.manifold = manifold
        self.schedule = schedule

    @property
    def prior(self) -> WrappedNormal:
        return WrappedNormal(self.manifold, self.manifold.origin, jnp.array(1.0))

    @property
    def rate(self) -> float:
        return -1.0

    def _drift(self, x: Point) -> Tangent:
        return -x / 2

    def _sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        noise = jr.normal(key, x0.shape, x0.dtype)
        return jnp.exp(-v / 2) * x0 + jnp.sqrt(-jnp.expm1(-v)) * noise

    def _score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        return (x - jnp.exp(-v / 2) * x0) / jnp.expm1(-v)
