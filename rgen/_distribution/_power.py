import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from .._cost import Cost, total
from .._manifold import Power
from .._typing import Key, Point, Scalar, typed
from ._base import AbstractDistribution


class PowerDistribution(AbstractDistribution):
    r"""Independent copies of one distribution on a power of its manifold:
    $p(x) = \prod_i p(x_i)$. A point is that of [`rgen.Power`][].

    **Arguments:**

    - `distribution`: the distribution of one copy.
    - `n`: the number of copies, at least 1.
    """

    distribution: AbstractDistribution
    n: int = eqx.field(static=True)

    @typed
    def __init__(self, distribution: AbstractDistribution, n: int):
        self.distribution = distribution
        self.n = n

    def __check_init__(self):
        # Which there is for one copy or more.
        _ = self.manifold

    @property
    def manifold(self) -> Power:
        """The power of the manifold of the distribution."""
        return Power(self.distribution.manifold, self.n)

    @typed
    def log_prob(self, x: Point) -> Scalar:
        self.manifold._check_shapes("log_prob", x=x)
        return jnp.sum(jax.vmap(self.distribution.log_prob)(x))

    @typed
    def log_prob_and_cost(
        self, x: Point, key: Key | None = None
    ) -> tuple[Scalar, Cost]:
        keys = None if key is None else jr.split(key, self.n)
        log_probs, costs = jax.vmap(self.distribution.log_prob_and_cost)(x, keys)
        return jnp.sum(log_probs), total(costs)

    @typed
    def sample(self, key: Key) -> Point:
        return jax.vmap(self.distribution.sample)(jr.split(key, self.n))

    @typed
    def sample_and_cost(self, key: Key) -> tuple[Point, Cost]:
        keys = jr.split(key, self.n)
        x, costs = jax.vmap(self.distribution.sample_and_cost)(keys)
        return x, total(costs)
