from .._manifold import AbstractEmbeddedManifold, AbstractManifold
from .._typing import Point, Tangent
from ._retraction import AbstractRetraction


class ProjectionRetraction(AbstractRetraction):
    r"""The point that is nearest to $x + v$, of order 2 on an embedded manifold (Absil
    and Malick 2012). Several times faster than a geodesic that is solved as an ODE.

    A step has to be short against the radius of curvature $\rho$: one of length $h$
    falls short by up to $h^3 / 3\rho^2$, so that a random walk of steps with standard
    deviation $h$ loses a share of about $2 h^2 / \rho^2$ of its variance. Keep $h$
    below $\rho / 6$; "Sharp bits" has measurements.

    Raises a `ValueError` on a manifold that is not an
    [`rgen.AbstractEmbeddedManifold`][].
    """

    @property
    def order(self) -> int:
        return 2

    def __call__(self, manifold: AbstractManifold, x: Point, v: Tangent) -> Point:
        if not isinstance(manifold, AbstractEmbeddedManifold):
            raise ValueError(
                "ProjectionRetraction: expected an embedded manifold, whose `project` "
                f"finds the nearest point in the metric, got {manifold}. Use "
                "rgen.Exponential()."
            )
        return manifold.project(x + v)
