"""Transition kernels of diffusions, of which most are heat kernels."""

from ._base import AbstractKernel as AbstractKernel
from ._euclidean import EuclideanHeatKernel as EuclideanHeatKernel
from ._heat_kernel import heat_kernel as heat_kernel
from ._hyperbolic import HyperbolicHeatKernel as HyperbolicHeatKernel
from ._ornstein_uhlenbeck import OrnsteinUhlenbeckKernel as OrnsteinUhlenbeckKernel
from ._power import PowerKernel as PowerKernel
from ._product import ProductKernel as ProductKernel
from ._random_walk import RandomWalkKernel as RandomWalkKernel
from ._series_kernel import AbstractSeriesKernel as AbstractSeriesKernel
from ._special_orthogonal import (
    SpecialOrthogonalHeatKernel as SpecialOrthogonalHeatKernel,
)
from ._sphere import SphereHeatKernel as SphereHeatKernel
from ._torus import TorusHeatKernel as TorusHeatKernel
from ._truncated import TruncatedHeatKernel as TruncatedHeatKernel
from ._varadhan import VaradhanHeatKernel as VaradhanHeatKernel
from ._von_mises_fisher import VonMisesFisherKernel as VonMisesFisherKernel
