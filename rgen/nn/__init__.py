"""Neural vector fields on a manifold, of a point and a time."""

from ._base import AbstractField as AbstractField
from ._droppable import Droppable as Droppable, drop as drop
from ._ensemble import Ensemble as Ensemble
from ._features import FourierFeatures as FourierFeatures
from ._flow_field import FlowField as FlowField
from ._flow_map_field import FlowMapField as FlowMapField
from ._neural_field import NeuralField as NeuralField
from ._parametrisation import (
    AbstractParametrisation as AbstractParametrisation,
    KillingFrame as KillingFrame,
    LieAlgebra as LieAlgebra,
    Projected as Projected,
)
from ._point_features import PointFeatures as PointFeatures
from ._residual import ResidualMLP as ResidualMLP
from ._score_field import ScoreField as ScoreField
