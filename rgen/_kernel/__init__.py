"""Transition kernels."""

from ._base import AbstractHeatKernel as AbstractHeatKernel, heat_kernel as heat_kernel
from ._euclidean import EuclideanHeatKernel as EuclideanHeatKernel
from ._hyperbolic import HyperbolicHeatKernel as HyperbolicHeatKernel
from ._power import PowerHeatKernel as PowerHeatKernel
from ._product import ProductHeatKernel as ProductHeatKernel
from ._special_orthogonal import (
    SpecialOrthogonalHeatKernel as SpecialOrthogonalHeatKernel,
)
from ._sphere import SphereHeatKernel as SphereHeatKernel
from ._torus import TorusHeatKernel as TorusHeatKernel
from ._truncated import TruncatedHeatKernel as TruncatedHeatKernel
from ._varadhan import VaradhanHeatKernel as VaradhanHeatKernel
