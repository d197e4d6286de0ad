"""Charts: maps from Euclidean space to a manifold, and changes of units."""

from ._affine import AffineChart as AffineChart
from ._base import AbstractChart as AbstractChart
from ._exponential import ExponentialChart as ExponentialChart
from ._stereographic import StereographicChart as StereographicChart
