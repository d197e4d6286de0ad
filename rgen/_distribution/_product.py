import jax.numpy as jnp
import jax.random as jr

from .._manifold import Product
from .._typing import Key, Point, Scalar, typed
from ._base import AbstractDistribution


class ProductDistribution(AbstractDistribution):
    r"""Independent distributions, one on each factor of a product of manifolds:
    $p(x) = \prod_i p_i(x_i)$. A point is that of [`rgen.Product`][].

    **Arguments:**

    - `distributions`: the distributions on the factors, one argument each.
    """

    distributions: tuple[AbstractDistribution, ...]

    @typed
    def __init__(self, *distributions: AbstractDistribution):
        self.distributions = distributions

    @property
    def manifold(self) -> Product:
        """The product of the manifolds of the distributions."""
        return Product(*(each.manifold for each in self.distributions))

    @typed
    def log_prob(self, x: Point) -> Scalar:
        self.manifold._check_shapes("log_prob", x=x)
        pairs = zip(self.distributions, self.manifold.split(x), strict=True)
        return jnp.sum(jnp.stack([each.log_prob(x) for each, x in pairs]))

    @typed
    def sample(self, key: Key) -> Point:
        keys = jr.split(key, len(self.distributions))
        pairs = zip(self.distributions, keys, strict=True)
        return self.manifold.join(*(each.sample(key) for each, key in pairs))
