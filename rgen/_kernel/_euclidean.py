import math

import jax.numpy as jnp
import jax.random as jr

from .._manifold import Euclidean
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractKernel, positive_variance
from ._heat_kernel import heat_kernel


@heat_kernel.register(Euclidean)
class EuclideanHeatKernel(AbstractKernel):
    r"""The heat kernel of $\mathbb R^d$, the normal distribution
    $(2\pi v)^{-d/2} e^{-|x - x_0|^2/2v}$.

    **Arguments:**

    - `manifold`: the Euclidean space.
    """

    manifold: Euclidean

    @typed
    def log_prob(self, x0: Point, x: Point, v: Scalar) -> Scalar:
        self.manifold._check_shapes("log_prob", x0=x0, x=x)
        v = positive_variance("EuclideanHeatKernel.log_prob", v)
        sq = jnp.sum((x - x0) ** 2)
        return -sq / (2 * v) - self.manifold.dim / 2 * jnp.log(2 * math.pi * v)

    @typed
    def score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        self.manifold._check_shapes("score", x0=x0, x=x)
        return (x0 - x) / positive_variance("EuclideanHeatKernel.score", v)

    @typed
    def sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        self.manifold._check_shapes("sample", x0=x0)
        v = positive_variance("EuclideanHeatKernel.sample", v)
        return x0 + jnp.sqrt(v) * jr.normal(key, x0.shape, x0.dtype)
