"""Riemannian manifolds."""

from ._base import AbstractManifold as AbstractManifold
from ._embedded import AbstractEmbeddedManifold as AbstractEmbeddedManifold
from ._euclidean import Euclidean as Euclidean
from ._flat import AbstractFlat as AbstractFlat
from ._hyperbolic import Hyperbolic as Hyperbolic
from ._level_set import AbstractLevelSet as AbstractLevelSet
from ._matrix_group import AbstractMatrixGroup as AbstractMatrixGroup
from ._metric import AbstractMetricManifold as AbstractMetricManifold
from ._power import Power as Power
from ._product import Product as Product
from ._special_orthogonal import SpecialOrthogonal as SpecialOrthogonal
from ._sphere import Sphere as Sphere
from ._torus import Torus as Torus
