import math

import jax.numpy as jnp

from .._manifold import AbstractManifold
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractKernel, positive_variance
from ._heat_kernel import heat_kernel


class VaradhanHeatKernel(AbstractKernel):
    r"""The limit $\lim_{v \to 0} v \log p_v = -\tfrac12 d(x_0, x)^2$ of Varadhan
    (1967) taken for the heat kernel, on any manifold (De Bortoli et al. 2022, Table 2):

    $$\log p_v \approx -\frac{d(x_0, x)^2}{2v} - \frac d2 \log 2\pi v,
    \qquad \nabla_x \log p_v \approx \frac{\log_x(x_0)}{v}.$$

    On a curved manifold the error of the score is of order $d(x_0, x)$, not small
    against $1$, at points away from the cut locus, and of order $1/v$ on it. The
    density is not normalised. Samples are those of [`rgen.heat_kernel`][].

    **Arguments:**

    - `manifold`: the manifold.
    """

    manifold: AbstractManifold

    @typed
    def log_prob(self, x0: Point, x: Point, v: Scalar) -> Scalar:
        v = positive_variance("VaradhanHeatKernel.log_prob", v)
        u = self.manifold.log(x, x0)
        log_scale = self.manifold.dim / 2 * jnp.log(2 * math.pi * v)
        return -self.manifold.inner(x, u, u) / (2 * v) - log_scale

    @typed
    def score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        v = positive_variance("VaradhanHeatKernel.score", v)
        return self.manifold.log(x, x0) / v

    @typed
    def sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        return heat_kernel(self.manifold).sample(x0, v, key)
