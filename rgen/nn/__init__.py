"""Score fields: neural vector fields on a manifold, of a point and a time."""

from ._ensemble import Ensemble
from ._features import FourierFeatures
from ._parametrisation import AbstractParametrisation, Killing, LieAlgebra, Projected
from ._residual import ResidualMLP
from ._score_field import ScoreField


__all__ = [
    "AbstractParametrisation",
    "Ensemble",
    "FourierFeatures",
    "Killing",
    "LieAlgebra",
    "Projected",
    "ResidualMLP",
    "ScoreField",
]
