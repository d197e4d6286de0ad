import abc

import equinox as eqx
import jax.numpy as jnp

from .._cost import Cost, free
from .._errors import require
from .._manifold import AbstractManifold
from .._typing import Key, Point, Scalar


class AbstractDistribution(eqx.Module):
    r"""A probability distribution on a manifold.

    Its methods concern *one* point: [`rgen.sample`][] and [`rgen.log_prob`][] are the
    same for batches. Densities are with respect to the Riemannian volume, in nats.

    Points that parametrise a distribution, such as a mean, are checked where they
    enter. Where an optimiser moves them off the manifold they are projected onto it
    before use, so that the density integrates to one; centres that are data get no
    gradient.

    A distribution of your own defines `log_prob` and `sample`.
    """

    manifold: eqx.AbstractVar[AbstractManifold]
    """The manifold on which the distribution lives."""

    @abc.abstractmethod
    def log_prob(self, x: Point) -> Scalar:
        r"""$\log p(x)$."""

    @abc.abstractmethod
    def sample(self, key: Key) -> Point:
        r"""A sample of $p$."""

    def sample_and_log_prob(self, key: Key) -> tuple[Point, Scalar]:
        r"""A sample $x$ of $p$, and $\log p(x)$."""
        x = self.sample(key)
        return x, self.log_prob(x)

    def log_prob_and_cost(
        self, x: Point, key: Key | None = None
    ) -> tuple[Scalar, Cost]:
        r"""$\log p(x)$, or with a random `key` an estimate of it where the distribution
        has one, and its [`rgen.Cost`][]: zero for a closed form."""
        return self.log_prob(x), free()

    def sample_and_cost(self, key: Key) -> tuple[Point, Cost]:
        """A sample, and its [`rgen.Cost`][]: zero for a closed form."""
        return self.sample(key), free()


def on_manifold(manifold: AbstractManifold, x: Point) -> Point:
    """`x`, which is required to be on the manifold, or to hold a NaN."""
    manifold._check_shapes("log_prob", x=x)
    ok = manifold.contains(x) | jnp.any(jnp.isnan(x))
    what = (
        f"log_prob: expected `x` to be a point of {manifold}, but it is not on it (if "
        "that is rounding, take manifold.project(x))"
    )
    return require(ok, x, what)


def require_point(where: str, name: str, manifold: AbstractManifold, x: Point) -> Point:
    """`x`, a parameter that is required to be on the manifold."""
    what = (
        f"{where}: expected `{name}` to be a point of {manifold}, but it is not on it "
        f"(the nearest one is manifold.project({name}))"
    )
    return require(manifold.contains(x), x, what)
