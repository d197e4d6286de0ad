import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .._manifold import Product
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractHeatKernel, heat_kernel


class ProductHeatKernel(AbstractHeatKernel):
    r"""The heat kernel of a product, $p_v(x \mid x_0) = \prod_i p^i_v(x_i \mid
    x_{0, i})$.

    **Arguments:**

    - `manifold`: the product.
    """

    manifold: Product

    def __check_init__(self):
        for factor in self.manifold.manifolds:
            heat_kernel(factor)

    def _factors(self, *points: Array) -> list:
        kernels = [heat_kernel(factor) for factor in self.manifold.manifolds]
        return list(zip(kernels, *map(self.manifold.split, points), strict=True))

    @typed
    def log_prob(self, x0: Point, x: Point, v: Scalar) -> Scalar:
        terms = [kernel.log_prob(x0, x, v) for kernel, x0, x in self._factors(x0, x)]
        return jnp.sum(jnp.stack(terms))

    @typed
    def score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        scores = [kernel.score(x0, x, v) for kernel, x0, x in self._factors(x0, x)]
        return self.manifold.join(*scores)

    @typed
    def sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        keys = jr.split(key, len(self.manifold.manifolds))
        factors = zip(self._factors(x0), keys, strict=True)
        draws = [kernel.sample(x0, v, k) for (kernel, x0), k in factors]
        return self.manifold.join(*draws)


heat_kernel.register(Product, ProductHeatKernel)
