import abc

import equinox as eqx
from jaxtyping import Array

from .._manifold import AbstractManifold, Euclidean
from .._typing import Floating, Point, Scalar


class AbstractChart(eqx.Module):
    r"""A map $\phi: \mathbb R^d \to \mathcal M$ that carries distributions of Euclidean
    space to a manifold. It need not be one to one.

    [`rgen.AffineChart`][] maps from another `domain`, the manifold itself."""

    manifold: eqx.AbstractVar[AbstractManifold]
    """The manifold."""

    @property
    def domain(self) -> AbstractManifold:
        """The space that the chart maps from, by default Euclidean space of the
        dimension of the manifold."""
        return Euclidean(self.manifold.dim)

    @abc.abstractmethod
    def to_manifold(self, y: Point) -> Point:
        r"""$\phi(y)$."""

    @abc.abstractmethod
    def to_chart(self, x: Point) -> Point:
        r"""The shortest $y$ with $\phi(y) = x$."""

    @abc.abstractmethod
    def preimages(self, x: Point) -> Floating[Array, "n ..."]:
        r"""All $y$ with $\phi(y) = x$ that matter, `to_chart(x)` among them."""

    @abc.abstractmethod
    def log_det(self, y: Point) -> Scalar:
        r"""$\log |\det \mathrm d\phi_y|$, to orthonormal bases of the tangent space."""


def in_chart(
    chart: AbstractChart, y: Floating[Array, " dim"]
) -> Floating[Array, " dim"]:
    """`y`, which is required to have as many coordinates as the chart."""
    if len(y) != chart.manifold.dim:
        raise ValueError(
            f"{type(chart).__name__}: expected `y` of shape {(chart.manifold.dim,)}, "
            f"as the chart is one of {chart.manifold}, got {y.shape}."
        )
    return y
