import abc
import math

import equinox as eqx
from jaxtyping import Array

from .._manifold import AbstractManifold
from .._typing import Floating, Point, Tangent, typed


class AbstractParametrisation(eqx.Module):
    """How the output of a network, a vector, becomes a tangent vector."""

    @abc.abstractmethod
    def size(self, manifold: AbstractManifold) -> int:
        """The length of the network's output."""

    @abc.abstractmethod
    def __call__(
        self, manifold: AbstractManifold, x: Point, output: Floating[Array, " size"]
    ) -> Tangent:
        """The tangent vector at `x`, linear in `output`."""


class Projected(AbstractParametrisation):
    r"""An ambient vector, projected to the tangent space (De Bortoli et al. 2022,
    section 3)."""

    @typed
    def size(self, manifold: AbstractManifold) -> int:
        return math.prod(manifold.point_shape)

    @typed
    def __call__(
        self, manifold: AbstractManifold, x: Point, output: Floating[Array, " size"]
    ) -> Tangent:
        return manifold.to_tangent(x, output.reshape(manifold.point_shape))


class KillingFrame(AbstractParametrisation):
    r"""$\sum_i a_i(x, t)\, K_i(x)$ with Killing fields $K_i$, which are free of
    divergence (De Bortoli et al. 2022, section 3, "divergence-free vector
    fields")."""

    @typed
    def size(self, manifold: AbstractManifold) -> int:
        return manifold.killing_size

    @typed
    def __call__(
        self, manifold: AbstractManifold, x: Point, output: Floating[Array, " size"]
    ) -> Tangent:
        return manifold.killing(x, output)


class LieAlgebra(AbstractParametrisation):
    r"""$\sum_i a_i(x, t)\, E_i(x)$ in the left-invariant frame $E_i$ of a Lie group:
    an element of its Lie algebra, carried to `x`.

    Raises a `ValueError` on a manifold that is not a group: use
    [`rgen.nn.KillingFrame`][] there.
    """

    @typed
    def size(self, manifold: AbstractManifold) -> int:
        if not manifold.is_group:
            raise ValueError(
                f"LieAlgebra: expected a Lie group, got {manifold}. Use "
                "rgen.nn.Projected() or rgen.nn.KillingFrame()."
            )
        return manifold.dim

    @typed
    def __call__(
        self, manifold: AbstractManifold, x: Point, output: Floating[Array, " size"]
    ) -> Tangent:
        return manifold.frame(x, output.reshape(manifold.noise_shape))
