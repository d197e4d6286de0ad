"""Maps of a manifold to the plane."""

from ._angle_plane import AnglePlane as AnglePlane
from ._base import AbstractProjection as AbstractProjection
from ._coordinates import Coordinates as Coordinates
from ._mollweide import Mollweide as Mollweide
from ._orthographic import Orthographic as Orthographic
from ._poincare_disc import PoincareDisc as PoincareDisc
from ._sphere import AbstractSphereProjection as AbstractSphereProjection
from ._surface_view import SurfaceView as SurfaceView
