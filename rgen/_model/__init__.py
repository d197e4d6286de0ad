"""Models: distributions that are learnt."""

from ._base import AbstractModel as AbstractModel
from ._consistency_model import ConsistencyModel as ConsistencyModel
from ._flow import Flow as Flow
from ._flow_map import FlowMap as FlowMap
from ._moser_flow import MoserFlow as MoserFlow
from ._pushforward import Pushforward as Pushforward
from ._score_model import ScoreModel as ScoreModel
