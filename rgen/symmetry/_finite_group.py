import math
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
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
        if offsets is None:
            offsets = np.zeros(matrices.shape[:2])
        with jax.ensure_compile_time_eval():
            self.matrices = jnp.asarray(matrices, dtype)
            self.offsets = jnp.asarray(offsets, dtype)

    def __check_init__(self):
        size = math.prod(self.manifold.point_shape)
        if self.matrices.shape[1:] != (size, size):
            raise ValueError(
                f"FiniteGroup: expected `matrices` of shape (order, {size}, {size}) "
                f"for {self.manifold}, got {self.matrices.shape}."
            )
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


_FAULTS = ("leaves the manifold", "does not keep lengths", "is not orthogonal")


def _require_group(group: FiniteGroup) -> None:
    # Compiled first: evaluated at once, it would run operation by operation.
    noise = np.random.default_rng(0).normal(size=(3, *group.manifold.point_shape))
    noise = np.asarray(noise, group.matrices.dtype)
    sizes_of_faults = jax.jit(partial(_sizes_of_faults, group.manifold))
    arguments = group.matrices, group.offsets, noise
    compiled = sizes_of_faults.lower(*arguments).compile()
    with jax.ensure_compile_time_eval():
        faults, missing = map(np.asarray, compiled(*arguments))
    tolerance = 100 * float(jnp.finfo(noise.dtype).eps)
    for index in range(group.order):
        for fault, size in zip(_FAULTS, faults[index], strict=True):
            if not size <= tolerance:
                raise ValueError(
                    f"FiniteGroup: expected isometries of {group.manifold}, but "
                    f"element {index} {fault}, by {size:.2g}."
                )
        if not missing[index] <= tolerance:
            raise ValueError(
                f"FiniteGroup: expected all products of elements, but one with element "
                f"{index} is missing. Add it, and the inverses."
            )


def _sizes_of_faults(
    m: AbstractManifold, matrices: Array, offsets: Array, noise: Array
) -> tuple[Floating[Array, "order faults"], Floating[Array, " order"]]:
    """How far each element is from being an isometry, and its products with all
    elements from being elements, at a random point."""
    x = m.exp(m.origin, m.to_tangent(m.origin, noise[0]) / 2)
    u, v = m.to_tangent(x, noise[1]), m.to_tangent(x, noise[2])
    gap = lambda a, b: jnp.max(jnp.abs(a - b))
    features = lambda x: jax.vmap(lambda x: m.features(x.reshape(m.point_shape)))(x)
    images = matrices @ jnp.ravel(x) + offsets
    known = features(images)

    def one(matrix: Array, image: Array) -> tuple[Array, Array]:
        y = m.project(image.reshape(x.shape))
        push = lambda w: (matrix @ jnp.ravel(w)).reshape(w.shape)
        faults = [
            gap(m.features(image.reshape(x.shape)), m.features(y)),
            gap(m.inner(y, push(u), push(v)), m.inner(x, u, v)),
            gap(matrix @ matrix.T, jnp.eye(len(matrix))),
        ]
        products = features(matrices @ image + offsets)
        gaps = jnp.max(jnp.abs(products[:, None] - known), axis=-1)
        return jnp.stack(faults), jnp.max(jnp.min(gaps, axis=1))

    return jax.vmap(one)(matrices, images)
