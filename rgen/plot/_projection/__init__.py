"""Maps of the unit sphere to the plane."""

from ._base import AbstractProjection as AbstractProjection
from ._mollweide import Mollweide as Mollweide
from ._orthographic import Orthographic as Orthographic
