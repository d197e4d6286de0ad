import abc
from typing import final

from .._cost import Cost
from .._distribution import AbstractDistribution
from .._distribution._base import on_manifold
from .._typing import Key, Point, Scalar, typed


class AbstractModel(AbstractDistribution):
    """A distribution that is learnt, and whose samples or densities take evaluations of
    a network.

    A model of your own defines the two methods that give the cost too.
    """

    @final
    @typed
    def log_prob(self, x: Point, key: Key | None = None) -> Scalar:
        r"""$\log p(x)$, or with a random `key` an estimate of it where the model has
        one. A point off the manifold is an error."""
        return self.log_prob_and_cost(on_manifold(self.manifold, x), key)[0]

    @final
    @typed
    def sample(self, key: Key) -> Point:
        r"""A sample of $p$."""
        return self.sample_and_cost(key)[0]

    @abc.abstractmethod
    def log_prob_and_cost(
        self, x: Point, key: Key | None = None
    ) -> tuple[Scalar, Cost]:
        r"""$\log p(x)$, and its [`rgen.Cost`][]."""

    @abc.abstractmethod
    def sample_and_cost(self, key: Key) -> tuple[Point, Cost]:
        """A sample, and its [`rgen.Cost`][]."""
