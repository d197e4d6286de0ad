"""Schedules: the speed of a noising process, and when a score is learnt."""

from ._base import AbstractSchedule as AbstractSchedule
from ._coarse import CoarseSchedule as CoarseSchedule
from ._constant import ConstantSchedule as ConstantSchedule
from ._linear import LinearSchedule as LinearSchedule
from ._log_uniform import LogUniformSchedule as LogUniformSchedule
from ._product import ProductSchedule as ProductSchedule
