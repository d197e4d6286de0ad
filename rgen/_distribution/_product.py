from collections.abc import Iterator

import jax.numpy as jnp
import jax.random as jr

from .._cost import Cost, free
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

    def __check_init__(self):
        # Which there is for one factor or more.
        _ = self.manifold

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
    def log_prob_and_cost(
        self, x: Point, key: Key | None = None
    ) -> tuple[Scalar, Cost]:
        factors = len(self.distributions)
        keys = [None] * factors if key is None else jr.split(key, factors)
        each = zip(self.distributions, self.manifold.split(x), keys, strict=True)
        log_probs, costs = zip(
            *(factor.log_prob_and_cost(x, key) for factor, x, key in each), strict=True
        )
        return jnp.sum(jnp.stack(log_probs)), sum(costs, free())

    @typed
    def sample(self, key: Key) -> Point:
        return self.manifold.join(*(each.sample(key) for each, key in self._keys(key)))

    @typed
    def sample_and_cost(self, key: Key) -> tuple[Point, Cost]:
        points, costs = zip(
            *(each.sample_and_cost(key) for each, key in self._keys(key)), strict=True
        )
        return self.manifold.join(*points), sum(costs, free())

    def _keys(self, key: Key) -> Iterator[tuple[AbstractDistribution, Key]]:
        keys = jr.split(key, len(self.distributions))
        return zip(self.distributions, keys, strict=True)
