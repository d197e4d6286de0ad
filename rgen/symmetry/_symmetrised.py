from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from .._cost import Cost, total
from .._distribution import AbstractDistribution
from .._manifold import AbstractManifold
from .._model import AbstractModel
from .._term import ScoreFunction
from .._typing import Key, Point, Scalar, Tangent, typed
from ._finite_group import FiniteGroup


class SymmetrisedField(eqx.Module):
    r"""The equivariant part of a field, its average over a group of isometries,
    $\frac{1}{|G|} \sum_g (\mathrm d g)^{-1} f(g x, t)$.

    The scores of data that a group leaves alone are equivariant, since the exact noise
    commutes with every isometry that leaves the prior alone: for Brownian motion with
    all of them. The average is the projection to such fields, orthogonal under the
    noised data: it never enlarges the mean squared error of a score.

    **Arguments:**

    - `field`: a function of a point and a time.
    - `group`: the group.
    """

    field: ScoreFunction
    group: FiniteGroup

    @typed
    def __call__(self, x: Point, t: Scalar) -> Tangent:
        """The average at the point `x` and the time `t`, a tangent vector at `x`."""

        def one(index: Any) -> Tangent:
            return self.group.pull_back(index, self.field(self.group.act(index, x), t))

        return jnp.mean(jax.vmap(one)(jnp.arange(self.group.order)), axis=0)


class SymmetrisedDistribution(AbstractModel):
    r"""The average of a distribution over a group of isometries, of density
    $\frac{1}{|G|} \sum_g p(g x)$: exactly invariant, and of mass one.

    By concavity of the logarithm its mean log-density on data that the group leaves
    alone is at least that of $p$. On the quotient, where an orbit is one point, the
    density is $|G|$ times as large.

    **Arguments:**

    - `distribution`: a distribution, or a model, whose densities then cost as many
        network evaluations as the group has elements.
    - `group`: a group on its manifold.
    """

    distribution: AbstractDistribution
    group: FiniteGroup

    def __check_init__(self):
        if self.group.manifold != self.distribution.manifold:
            raise ValueError(
                "SymmetrisedDistribution: expected a group on "
                f"{self.distribution.manifold}, got one on {self.group.manifold}."
            )

    @property
    def manifold(self) -> AbstractManifold:
        """The manifold of the distribution."""
        return self.distribution.manifold

    @typed
    def log_prob_and_cost(
        self, x: Point, key: Key | None = None
    ) -> tuple[Scalar, Cost]:
        one = lambda x: self.distribution.log_prob_and_cost(x, key)
        each, costs = jax.vmap(one)(self.group.orbit(x))
        return jax.nn.logsumexp(each) - jnp.log(self.group.order), total(costs)

    @typed
    def sample_and_cost(self, key: Key) -> tuple[Point, Cost]:
        index_key, sample_key = jr.split(key)
        index = jr.randint(index_key, (), 0, self.group.order)
        x, cost = self.distribution.sample_and_cost(sample_key)
        return self.group.act(index, x), cost
