"""Samplers."""

from ._base import (
    AbstractSampler as AbstractSampler,
    ProbabilityFlow as ProbabilityFlow,
    ReverseSDE as ReverseSDE,
    sample as sample,
)
