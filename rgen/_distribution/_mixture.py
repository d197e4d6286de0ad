import equinox as eqx
import jax
import jax.random as jr
from jaxtyping import Array

from .._cost import Cost, total
from .._errors import leading_axis
from .._manifold import AbstractManifold
from .._numerics import log_sum_exp
from .._typing import Floating, Key, Point, Scalar, typed
from ._base import AbstractDistribution, on_manifold


class Mixture(AbstractDistribution):
    r"""A mixture $p(x) = \sum_k w_k\, p_k(x)$ of distributions of one family.

    ```python
    components = eqx.filter_vmap(
        lambda mean, scale: rgen.WrappedNormal(manifold, mean, scale)
    )(means, scales)
    mixture = rgen.Mixture(components, jnp.zeros(len(means)))
    ```

    **Arguments:**

    - `components`: one distribution whose arrays all have a further leading axis, which
        counts the components; `eqx.filter_vmap` of a constructor makes one.
    - `log_weights`: $\log w_k$, of shape `(components,)`, up to a constant: they are
        normalised.
    """

    components: AbstractDistribution
    log_weights: Floating[Array, " components"]

    @typed
    def __init__(
        self,
        components: AbstractDistribution,
        log_weights: Floating[Array, " components"],
    ):
        leading_axis(
            "Mixture",
            "components",
            components,
            len(log_weights),
            "Make them with eqx.filter_vmap, as many as there are `log_weights`.",
        )
        self.components = components
        self.log_weights = log_weights

    @property
    def manifold(self) -> AbstractManifold:
        """The manifold of the components."""
        return self.components.manifold

    @typed
    def log_prob(self, x: Point) -> Scalar:
        x = on_manifold(self.manifold, x)
        each = eqx.filter_vmap(lambda component: component.log_prob(x))
        return self._mix(each(self.components))

    @typed
    def log_prob_and_cost(
        self, x: Point, key: Key | None = None
    ) -> tuple[Scalar, Cost]:
        each = eqx.filter_vmap(lambda component: component.log_prob_and_cost(x, key))
        log_probs, costs = each(self.components)
        return self._mix(log_probs), total(costs)

    @typed
    def sample(self, key: Key) -> Point:
        component, key = self._pick(key)
        return component.sample(key)

    @typed
    def sample_and_cost(self, key: Key) -> tuple[Point, Cost]:
        component, key = self._pick(key)
        return component.sample_and_cost(key)

    def _mix(self, log_probs: Floating[Array, " components"]) -> Scalar:
        return log_sum_exp(jax.nn.log_softmax(self.log_weights) + log_probs)

    def _pick(self, key: Key) -> tuple[AbstractDistribution, Key]:
        index_key, key = jr.split(key)
        index = jr.categorical(index_key, self.log_weights)
        pick = lambda leaf: leaf[index] if eqx.is_array(leaf) else leaf
        return jax.tree.map(pick, self.components), key
