import abc

import equinox as eqx
import jax.random as jr

from ._manifold import AbstractManifold
from ._typing import Key, Point, Scalar, VectorField, typed


class AbstractDivergence(eqx.Module):
    """A way to compute the divergence of a vector field at one point."""

    @abc.abstractmethod
    def __call__(
        self, manifold: AbstractManifold, f: VectorField, x: Point, key: Key | None
    ) -> Scalar:
        """The divergence of `f` at `x`, or an unbiased estimate of it."""


class ExactDivergence(AbstractDivergence):
    """The exact divergence, [`rgen.AbstractManifold.divergence`][], from `dim` forward
    passes. Needs no key."""

    @typed
    def __call__(
        self,
        manifold: AbstractManifold,
        f: VectorField,
        x: Point,
        key: Key | None = None,
    ) -> Scalar:
        return manifold.divergence(f, x)


class HutchinsonDivergence(AbstractDivergence):
    r"""Hutchinson's unbiased estimate of the divergence,
    $\langle u, \nabla_u f\rangle$ with a random tangent vector $u$ of identity
    covariance (signs in the frame of the manifold), from one forward pass."""

    @typed
    def __call__(
        self, manifold: AbstractManifold, f: VectorField, x: Point, key: Key | None
    ) -> Scalar:
        if key is None:
            raise ValueError(
                "HutchinsonDivergence: expected a random `key`, got None. Pass one, or "
                "use rgen.ExactDivergence()."
            )
        u = manifold.frame(x, jr.rademacher(key, manifold.noise_shape, x.dtype))
        return manifold.inner(x, u, manifold.covariant_derivative(f, x, u))
