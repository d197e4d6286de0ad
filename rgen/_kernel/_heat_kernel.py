from functools import singledispatch

from .._manifold import AbstractManifold
from ._base import AbstractKernel
from ._random_walk import RandomWalkKernel


@singledispatch
def heat_kernel(manifold: AbstractManifold) -> AbstractKernel:
    """The heat kernel of a manifold, chosen by the manifold's type: exact where it is
    known, and otherwise a geodesic random walk, [`rgen.RandomWalkKernel`][], which can
    be sampled and has no density.

    Make the kernel of a manifold of your own known with
    `rgen.heat_kernel.register(MyManifold, MyHeatKernel)`.
    """
    return RandomWalkKernel(manifold)
