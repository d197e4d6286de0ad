"""Samplers: from the prior of a process to a model."""

from ._base import AbstractSampler as AbstractSampler
from ._probability_flow import ProbabilityFlow as ProbabilityFlow
from ._reverse_sde import ReverseSDE as ReverseSDE
