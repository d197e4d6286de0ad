import math

import jax.numpy as jnp
import jax.random as jr

from .._manifold import Euclidean
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractKernel, positive_variance


class OrnsteinUhlenbeckKernel(AbstractKernel):
    r"""The transition kernel of the Ornstein–Uhlenbeck process $\mathrm dX_v =
    -\tfrac12 X_v\,\mathrm dv + \mathrm dB_v$ of Euclidean space, the normal
    distribution $\mathcal N(e^{-v/2} x_0,\, (1 - e^{-v}) I)$.

    **Arguments:**

    - `manifold`: Euclidean space.
    """

    manifold: Euclidean

    @typed
    def log_prob(self, x0: Point, x: Point, v: Scalar) -> Scalar:
        self.manifold._check_shapes("log_prob", x0=x0, x=x)
        v = positive_variance("OrnsteinUhlenbeckKernel.log_prob", v)
        variance = -jnp.expm1(-v)
        sq = jnp.sum((x - jnp.exp(-v / 2) * x0) ** 2)
        log_scale = self.manifold.dim / 2 * jnp.log(2 * math.pi * variance)
        return -sq / (2 * variance) - log_scale

    @typed
    def score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        self.manifold._check_shapes("score", x0=x0, x=x)
        v = positive_variance("OrnsteinUhlenbeckKernel.score", v)
        return (x - jnp.exp(-v / 2) * x0) / jnp.expm1(-v)

    @typed
    def sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        self.manifold._check_shapes("sample", x0=x0)
        v = positive_variance("OrnsteinUhlenbeckKernel.sample", v)
        noise = jr.normal(key, x0.shape, x0.dtype)
        return jnp.exp(-v / 2) * x0 + jnp.sqrt(-jnp.expm1(-v)) * noise
