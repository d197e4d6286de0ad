import abc

import equinox as eqx

from .._manifold import AbstractManifold
from .._typing import Key, Point, Scalar, Tangent, VectorField


class AbstractDivergence(eqx.Module):
    """A way to compute the divergence of a vector field at one point."""

    @abc.abstractmethod
    def __call__(
        self, manifold: AbstractManifold, f: VectorField, x: Point, key: Key | None
    ) -> tuple[Tangent, Scalar]:
        """The tangent part of the vector field `f` at `x`, and its divergence, or an
        unbiased estimate of it."""
