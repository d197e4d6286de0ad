import abc

import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array

from .._manifold import AbstractManifold
from .._typing import BoolScalar, Floating, Key, Point, Scalar


class AbstractDistribution(eqx.Module):
    r"""A probability law on a manifold.

    Both methods concern *one* point: map over a batch with `jax.vmap`. Densities are
    with respect to the Riemannian volume, in nats. That of a model or a mixture is an
    error off the manifold; simple laws trust their points.
    """

    manifold: eqx.AbstractVar[AbstractManifold]
    """The manifold on which the law lives."""

    @abc.abstractmethod
    def log_prob(self, x: Point) -> Scalar:
        r"""$\log p(x)$."""

    @abc.abstractmethod
    def sample(self, key: Key) -> Point:
        r"""A draw from $p$."""


def on_manifold(manifold: AbstractManifold, x: Point) -> Point:
    """`x`, which is required to be on the manifold, or to hold a NaN."""
    manifold._check_shapes("log_prob", x=x)
    ok = manifold.contains(x) | jnp.any(jnp.isnan(x))
    what = (
        f"log_prob: expected `x` to be a point of {manifold}, but it is not on it (if "
        "that is rounding, take manifold.project(x))"
    )
    return require(ok, x, what)


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
