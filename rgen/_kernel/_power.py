import jax
import jax.numpy as jnp
import jax.random as jr

from .._manifold import Power
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractHeatKernel, heat_kernel


class PowerHeatKernel(AbstractHeatKernel):
    r"""The heat kernel of a power, $p_v(x \mid x_0) = \prod_i p_v(x_i \mid x_{0, i})$.

    **Arguments:**

    - `manifold`: the power.
    """

    manifold: Power

    def __check_init__(self):
        heat_kernel(self.manifold.manifold)

    @property
    def _kernel(self) -> AbstractHeatKernel:
        return heat_kernel(self.manifold.manifold)

    @typed
    def log_prob(self, x0: Point, x: Point, v: Scalar) -> Scalar:
        return jnp.sum(jax.vmap(self._kernel.log_prob, (0, 0, None))(x0, x, v))

    @typed
    def score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        return jax.vmap(self._kernel.score, (0, 0, None))(x0, x, v)

    @typed
    def sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        keys = jr.split(key, self.manifold.n)
        return jax.vmap(self._kernel.sample, (0, None, 0))(x0, v, keys)


heat_kernel.register(Power, PowerHeatKernel)
