"""Neural vector fields on a manifold, of a point and a time."""

from ._ensemble import Ensemble
from ._features import FourierFeatures
from ._flow_field import FlowField
from ._parametrisation import AbstractParametrisation, Killing, LieAlgebra, Projected
from ._residual import ResidualMLP
from ._score_field import ScoreField


__all__ = [
    "AbstractParametrisation",
    "Ensemble",
    "FlowField",
    "FourierFeatures",
    "Killing",
    "LieAlgebra",
    "Projected",
    "ResidualMLP",
    "ScoreField",
]
