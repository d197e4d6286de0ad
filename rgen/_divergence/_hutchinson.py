import jax
import jax.random as jr

from .._manifold import AbstractManifold
from .._typing import Key, Point, Scalar, Tangent, VectorField, typed
from ._base import AbstractDivergence


class HutchinsonDivergence(AbstractDivergence):
    r"""Hutchinson's unbiased estimate of the divergence,
    $\langle u, \nabla_u f\rangle$ with a random tangent vector $u$ of identity
    covariance (signs in the frame of the manifold), from one tangent vector pushed
    through the field."""

    @typed
    def __call__(
        self, manifold: AbstractManifold, f: VectorField, x: Point, key: Key | None
    ) -> tuple[Tangent, Scalar]:
        if key is None:
            raise ValueError(
                "HutchinsonDivergence: expected a random `key`, got None. Pass one, or "
                "use rgen.ExactDivergence()."
            )
        u = manifold.frame(x, jr.rademacher(key, manifold.noise_shape, x.dtype))
        field = lambda y: manifold.to_tangent(y, f(y))
        value, derivative = jax.jvp(field, (x,), (u,))
        along_u = manifold._connection(x, u, value, derivative)
        return value, manifold.inner(x, u, along_u)
