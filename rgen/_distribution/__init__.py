"""Distributions on a manifold."""

from ._base import AbstractDistribution as AbstractDistribution
from ._gibbs import Gibbs as Gibbs
from ._kent import Kent as Kent
from ._kent_mixture import fit_kent_mixture as fit_kent_mixture
from ._kernel_mixture import (
    KernelMixture as KernelMixture,
    fit_kernel_mixture as fit_kernel_mixture,
)
from ._mixture import Mixture as Mixture
from ._power import PowerDistribution as PowerDistribution
from ._product import ProductDistribution as ProductDistribution
from ._uniform import Uniform as Uniform
from ._von_mises_fisher import VonMisesFisher as VonMisesFisher
from ._wrapped_normal import WrappedNormal as WrappedNormal
