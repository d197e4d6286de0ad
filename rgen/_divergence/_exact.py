import jax
import jax.numpy as jnp

from .._manifold import AbstractManifold
from .._typing import Key, Point, Scalar, Tangent, VectorField, typed
from ._base import AbstractDivergence


class ExactDivergence(AbstractDivergence):
    r"""The exact divergence $\sum_i \langle e_i, \nabla_{e_i} f\rangle$ over an
    orthonormal basis, from one evaluation of the field and `dim` tangent vectors
    pushed through it. Needs no key."""

    @typed
    def __call__(
        self,
        manifold: AbstractManifold,
        f: VectorField,
        x: Point,
        key: Key | None = None,
    ) -> tuple[Tangent, Scalar]:
        value, push = jax.linearize(lambda y: manifold.to_tangent(y, f(y)), x)

        def along(e: Tangent) -> Scalar:
            derivative = manifold._connection(x, e, value, push(e))
            return manifold.inner(x, e, derivative)

        return value, jnp.sum(jax.vmap(along)(manifold.basis(x)))
