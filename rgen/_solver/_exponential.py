from .._manifold import AbstractManifold
from .._typing import Point, Tangent
from ._retraction import AbstractRetraction


class Exponential(AbstractRetraction):
    """The exponential map itself: steps along geodesics. On a manifold without a closed
    form each step solves an ODE."""

    @property
    def order(self) -> None:
        return None

    def __call__(self, manifold: AbstractManifold, x: Point, v: Tangent) -> Point:
        return manifold.exp(x, v)
