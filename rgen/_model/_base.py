import abc
from typing import final

import jax.numpy as jnp
from jaxtyping import Array

from .._cost import Cost, why_not_finished
from .._distribution import AbstractDistribution
from .._distribution._base import on_manifold
from .._errors import require
from .._typing import BoolScalar, Floating, Key, Point, Scalar, typed


def require_finished(
    cost: Cost, value: Floating[Array, "..."], ok: BoolScalar | bool = False
) -> Floating[Array, "..."]:
    """`value`, or an error where the solver did not finish and it is not `ok`."""
    return require(cost.finished | ok, value, why_not_finished(cost.stopped_at))


class AbstractModel(AbstractDistribution):
    """A distribution that is learnt, and whose samples or densities take evaluations of
    a network.

    A model of your own defines the two methods that give the cost too.
    """

    @final
    @typed
    def log_prob(self, x: Point, key: Key | None = None) -> Scalar:
        r"""$\log p(x)$, or with a random `key` an estimate of it where the model has
        one. A point off the manifold is an error, and so is a solver that does not
        finish; [`rgen.log_prob`][] keeps the other points of a batch."""
        log_prob, cost = self.log_prob_and_cost(on_manifold(self.manifold, x), key)
        return require_finished(cost, log_prob, ok=jnp.any(jnp.isnan(x)))

    @final
    @typed
    def sample(self, key: Key) -> Point:
        r"""A sample of $p$. A solver that does not finish is an error."""
        x, cost = self.sample_and_cost(key)
        return require_finished(cost, x)

    @abc.abstractmethod
    def log_prob_and_cost(
        self, x: Point, key: Key | None = None
    ) -> tuple[Scalar, Cost]:
        r"""$\log p(x)$, and its [`rgen.Cost`][]."""

    @abc.abstractmethod
    def sample_and_cost(self, key: Key) -> tuple[Point, Cost]:
        """A sample, and its [`rgen.Cost`][]."""
