import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .._manifold import Product
from .._typing import Floating, Key, Point, Scalar, Tangent, typed
from ._base import AbstractKernel
from ._heat_kernel import heat_kernel


class ProductKernel(AbstractKernel):
    r"""The transition kernel of independent diffusions, one on each factor of a
    product, $p_v(x \mid x_0) = \prod_i p^i_{v_i}(x_i \mid x_{0, i})$.

    The variance `v` of its methods is one number for all factors, or an array of shape
    `(factors,)` with one for each.

    **Arguments:**

    - `kernels`: the kernels of the factors, one argument each.
    """

    kernels: tuple[AbstractKernel, ...]
    manifold: Product

    @typed
    def __init__(self, *kernels: AbstractKernel):
        self.kernels = kernels
        self.manifold = Product(*(kernel.manifold for kernel in kernels))

    def _factors(self, v: Array, *points: Array) -> list:
        variances = jnp.broadcast_to(v, (len(self.kernels),))
        pieces = map(self.manifold.split, points)
        return list(zip(self.kernels, variances, *pieces, strict=True))

    @typed
    def log_prob(self, x0: Point, x: Point, v: Floating[Array, "..."]) -> Scalar:
        factors = self._factors(v, x0, x)
        return jnp.sum(jnp.stack([k.log_prob(x0, x, v) for k, v, x0, x in factors]))

    @typed
    def score(self, x0: Point, x: Point, v: Floating[Array, "..."]) -> Tangent:
        factors = self._factors(v, x0, x)
        return self.manifold.join(*(k.score(x0, x, v) for k, v, x0, x in factors))

    @typed
    def sample(self, x0: Point, v: Floating[Array, "..."], key: Key) -> Point:
        factors = self._factors(v, x0)
        keys = jr.split(key, len(factors))
        points = [
            kernel.sample(x0, v, key)
            for (kernel, v, x0), key in zip(factors, keys, strict=True)
        ]
        return self.manifold.join(*points)


@heat_kernel.register
def _(manifold: Product) -> AbstractKernel:
    return ProductKernel(*map(heat_kernel, manifold.manifolds))
