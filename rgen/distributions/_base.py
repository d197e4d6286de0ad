import abc

import equinox as eqx
from jax.core import Tracer
from jaxtyping import Array

from .._manifold._base import AbstractManifold
from .._typing import BoolScalar, Floating, Key, Point, Scalar


class AbstractDistribution(eqx.Module):
    r"""A probability law on a manifold.

    Both methods concern *one* point: map over a batch with `jax.vmap`. Densities are
    with respect to the Riemannian volume, in nats.
    """

    manifold: eqx.AbstractVar[AbstractManifold]
    """The manifold on which the law lives."""

    @abc.abstractmethod
    def log_prob(self, x: Point) -> Scalar:
        r"""$\log p(x)$."""

    @abc.abstractmethod
    def sample(self, key: Key) -> Point:
        r"""A draw from $p$."""


def require(
    ok: BoolScalar, value: Floating[Array, "..."], what: str
) -> Floating[Array, "..."]:
    """Returns `value`, having raised a `ValueError` where it is known and not `ok`, or
    an error at run time where it is traced."""
    if isinstance(ok, Tracer):
        return eqx.error_if(value, ~ok, f"{what}.")
    if not ok:
        raise ValueError(f"{what}, got {value}.")
    return value
