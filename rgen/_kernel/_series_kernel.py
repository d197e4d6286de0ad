import abc

from jaxtyping import Array

from .._typing import Point, Scalar, Tangent
from ._base import AbstractKernel


class AbstractSeriesKernel(AbstractKernel):
    """A heat kernel that is known as a series in eigenfunctions of the Laplacian."""

    @abc.abstractmethod
    def series(
        self, terms: int, x0: Point, x: Point, v: Scalar
    ) -> tuple[Array, Tangent]:
        r"""$\mathrm{vol}(\mathcal M)\, p_v(x \mid x_0)$ from the eigenfunctions of
        degree 0 to `terms`, and its derivative by `x`; on a torus of every angle
        separately, in arrays of shape `(dim,)`."""
