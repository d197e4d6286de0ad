import abc
from typing import ClassVar, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._numerics import cosc_sq, sinc_sq
from .._typing import Floating, Point, Scalar, Tangent
from ._embedded import AbstractEmbeddedManifold


class AbstractMatrixGroup(AbstractEmbeddedManifold):
    r"""A connected, closed group of rotations, with the metric
    $\langle u, v\rangle = c\, \mathrm{tr}(u^\top v)$: every compact Lie group is one.

    **Hooks:**

    - `dim`: the dimension.
    - `n`: the size of the matrices.
    - `algebra(z)`: $\hat z = \sum_i z_i \hat e_i$, a skew-symmetric matrix of the
      Lie algebra, with $c\,\mathrm{tr}(\hat e_i^\top \hat e_j) = \delta_{ij}$.
    - `_project(x)`: the nearest point of the group.
    - `metric_scale`: the constant $c$ (default: 1).

    A point is a matrix $R$ of shape `(n, n)`, the origin is the identity, and a
    tangent vector is $R\,\Omega$ with $\Omega$ in the algebra. The frame is the
    left-invariant one, $E(R) z = R \hat z$, whose fields are Killing fields, and `exp`
    is the matrix exponential, $\exp_R(R\,\Omega) = R\, e^\Omega$.
    """

    n: eqx.AbstractVar[int]
    """The size of the matrices."""

    compact: ClassVar[bool] = True

    @property
    def point_shape(self) -> tuple[int, ...]:
        return (self.n, self.n)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (self.dim,)

    @property
    def killing_size(self) -> int:
        return self.dim

    @property
    def origin(self) -> Point:
        return jnp.eye(self.n)

    @property
    @final
    def is_group(self) -> bool:
        return True

    @abc.abstractmethod
    def algebra(self, z: Floating[Array, " dim"]) -> Floating[Array, "n n"]:
        """The element of the Lie algebra with coefficients `z`."""

    @final
    def axes(self, x: Point) -> Floating[Array, "dim n n"]:
        """The basis of the Lie algebra, in the dtype of `x`."""
        return jax.vmap(self.algebra)(jnp.eye(self.dim, dtype=x.dtype))

    def _exp(self, x: Point, v: Tangent) -> Point:
        return newton_schulz(x @ exp_skew(x.T @ v), 1)

    def _to_tangent(self, x: Point, v: Tangent) -> Tangent:
        axes = self.axes(x)
        z = self.metric_scale * jnp.einsum("iab,ab->i", axes, x.T @ v)
        return x @ jnp.tensordot(z, axes, 1)

    def _transport(self, x: Point, y: Point, v: Tangent) -> Tangent:
        half = exp_skew(x.T @ self._log(x, y) / 2)
        return y @ half.T @ (x.T @ v) @ half

    def _frame(self, x: Point, z: Array) -> Tangent:
        return x @ self.algebra(z)

    def _basis(self, x: Point) -> Array:
        return x @ self.axes(x)

    def _killing(self, x: Point, a: Array) -> Tangent:
        return self._frame(x, a)

    def _log_det_exp(self, x: Point, v: Tangent) -> Scalar:
        return jnp.linalg.slogdet(self.differential(x.T @ v))[1]

    @final
    def differential(self, element: Floating[Array, "n n"]) -> Floating[Array, "d d"]:
        r"""The matrix of $(1 - e^{-\mathrm{ad}}) / \mathrm{ad}$ with ad of an element
        $\Omega$ of the algebra: $e^{-\Omega}\, \mathrm d e^\Omega$ is its product
        with $\mathrm d\Omega$."""
        # Read off the exponential of a block matrix.
        axes = self.axes(element)
        brackets = element @ axes - axes @ element
        ad = self.metric_scale * jnp.einsum("iab,jab->ij", axes, brackets)
        eye, zero = jnp.eye(self.dim, dtype=ad.dtype), jnp.zeros_like(ad)
        block = jax.scipy.linalg.expm(jnp.block([[-ad, eye], [zero, zero]]))
        return block[: self.dim, self.dim :]


def exp_skew(skew: Array) -> Array:
    """The matrix exponential of a skew-symmetric matrix."""
    if skew.shape[0] > 3:
        return jax.scipy.linalg.expm(skew)
    s = jnp.sum(skew * skew) / 2
    eye = jnp.eye(skew.shape[0], dtype=skew.dtype)
    return eye + sinc_sq(s) * skew + cosc_sq(s) * (skew @ skew)


def newton_schulz(x: Array, steps: int) -> Array:
    """The orthogonal factor of a matrix that is nearly orthogonal, by a quadratically
    convergent iteration without inverses."""
    for _ in range(steps):
        x = x @ (3 * jnp.eye(x.shape[0], dtype=x.dtype) - x.T @ x) / 2
    return x
