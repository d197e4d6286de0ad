"""Riemannian manifolds."""

from ._base import (
    AbstractEmbeddedManifold as AbstractEmbeddedManifold,
    AbstractManifold as AbstractManifold,
)
from ._euclidean import Euclidean as Euclidean
from ._hyperbolic import Hyperbolic as Hyperbolic
from ._power import Power as Power
from ._product import Product as Product
from ._special_orthogonal import SpecialOrthogonal as SpecialOrthogonal
from ._sphere import Sphere as Sphere
from ._torus import Torus as Torus
