"""Charts: maps from Euclidean space to a manifold."""

from ._base import AbstractChart as AbstractChart
from ._exponential import ExponentialChart as ExponentialChart
from ._stereographic import StereographicChart as StereographicChart
