import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Int

from .._manifold import AbstractManifold
from .._typing import Floating, Point, Tangent, typed


class FiniteGroup(eqx.Module):
    r"""A finite group of isometries $g$ of a manifold, each the map $x \mapsto A x + b$
    of the entries of a point, projected to the manifold.

    **Arguments:**

    - `manifold`: the manifold.
    - `matrices`: $A$ of each element, of shape `(order, size, size)` with `size` the
        number of entries of a point. The identity is one of them.
    - `offsets`: $b$ of each element, of shape `(order, size)`. Zero by default.

    **Raises:** a `ValueError` that names the first element that is no isometry, or
    whose product with another one is no element, found at random points.
    """

    manifold: AbstractManifold
    matrices: Floating[Array, "order size size"]
    offsets: Floating[Array, "order size"]

    @typed
    def __init__(
        self,
        manifold: AbstractManifold,
        matrices: Floating[Array, "order size size"] | np.ndarray,
        offsets: Floating[Array, "order size"] | np.ndarray | None = None,
    ):
        self.manifold = manifold
        dtype = manifold.origin.dtype
        self.matrices = jnp.asarray(matrices, dtype)
        if offsets is None:
            offsets = np.zeros(self.matrices.shape[:2])
        self.offsets = jnp.asarray(offsets, dtype)

    def __check_init__(self):
        size = math.prod(self.manifold.point_shape)
        if self.matrices.shape[1:] != (size, size):
            raise ValueError(
                f"FiniteGroup: expected `matrices` of shape (order, {size}, {size}) "
                f"for {self.manifold}, got {self.matrices.shape}."
            )
        with jax.ensure_compile_time_eval():
            _require_group(self)

    @property
    def order(self) -> int:
        """The number of elements."""
        return len(self.matrices)

    @typed
    def act(self, index: int | Int[Array, ""], x: Point) -> Point:
        """The image of the point `x` under one element."""
        image = self.matrices[index].astype(x.dtype) @ jnp.ravel(x)
        image = image + self.offsets[index].astype(x.dtype)
        return self.manifold.project(image.reshape(x.shape))

    @typed
    def orbit(self, x: Point) -> Floating[Array, "order ..."]:
        """The images of the point `x` under all elements."""
        return jax.vmap(self.act, (0, None))(jnp.arange(self.order), x)

    @typed
    def pull_back(self, index: int | Int[Array, ""], v: Tangent) -> Tangent:
        """The tangent vector whose image under the differential of an element is `v`:
        $A^\\top v$, since the element is an isometry."""
        return (self.matrices[index].astype(v.dtype).T @ jnp.ravel(v)).reshape(v.shape)

    @typed
    def fold(self, x: Point, reference: Point) -> Point:
        """The point of the orbit of `x` that is nearest to `reference` in the features
        of the manifold: all points of an orbit become one, in a fundamental domain
        around the reference."""
        orbit = self.orbit(x)
        gap = jax.vmap(self.manifold.features)(orbit) - self.manifold.features(
            reference
        )
        distances = jnp.sum(gap.reshape(self.order, -1) ** 2, axis=1)
        return orbit[jnp.argmin(distances)]


def _require_group(group: FiniteGroup) -> None:
    m = group.manifold
    start_key, v_key, u_key = jr.split(jr.key(0), 3)
    x = m.exp(m.origin, m.tangent_noise(m.origin, start_key) / 2)
    u, v = m.tangent_noise(x, u_key), m.tangent_noise(x, v_key)
    tolerance = 100 * float(jnp.finfo(x.dtype).eps)
    gap = lambda a, b: float(jnp.max(jnp.abs(a - b)))
    images, features = group.orbit(x), jax.vmap(m.features)
    for index in range(group.order):
        matrix, offset = group.matrices[index], group.offsets[index]
        raw = (matrix @ jnp.ravel(x) + offset).reshape(x.shape)
        push = lambda w, matrix=matrix: (matrix @ jnp.ravel(w)).reshape(w.shape)
        y = images[index]
        faults = {
            "leaves the manifold": gap(m.features(raw), m.features(y)),
            "does not keep lengths": gap(
                m.inner(y, push(u), push(v)), m.inner(x, u, v)
            ),
            "is not orthogonal": gap(matrix @ matrix.T, jnp.eye(len(matrix))),
        }
        for fault, size in faults.items():
            if not size <= tolerance:
                raise ValueError(
                    f"FiniteGroup: expected isometries of {m}, but element {index} "
                    f"{fault}, by {size:.2g}."
                )
        products = features(group.orbit(y)).reshape(group.order, -1)
        known = features(images).reshape(group.order, -1)
        nearest = jnp.min(jnp.max(jnp.abs(products[:, None] - known), axis=-1), axis=1)
        if not float(jnp.max(nearest)) <= tolerance:
            raise ValueError(
                f"FiniteGroup: expected all products of elements, but one with element "
                f"{index} is missing. Add it, and the inverses."
            )
