from ._base import AbstractDistribution
from ._gibbs import Gibbs
from ._kent import Kent
from ._mixture import Mixture
from ._uniform import Uniform
from ._von_mises_fisher import VonMisesFisher
from ._wrapped_normal import WrappedNormal


__all__ = [
    "AbstractDistribution",
    "Gibbs",
    "Kent",
    "Mixture",
    "Uniform",
    "VonMisesFisher",
    "WrappedNormal",
]
