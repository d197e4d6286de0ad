"""Models: distributions that are learnt."""

from ._flow import Flow as Flow
from ._likelihood import (
    log_prob as log_prob,
    log_prob_evaluations as log_prob_evaluations,
)
from ._moser_flow import MoserFlow as MoserFlow
from ._pushforward import Pushforward as Pushforward
from ._score_model import ScoreModel as ScoreModel
