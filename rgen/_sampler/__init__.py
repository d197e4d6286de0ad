"""Samplers: from the prior of a process to a model, and grids of times for them."""

from ._base import AbstractSampler as AbstractSampler
from ._churn import Churn as Churn
from ._denoised import Denoised as Denoised
from ._few_steps import FewSteps as FewSteps
from ._power_grid import PowerGrid as PowerGrid
from ._probability_flow import ProbabilityFlow as ProbabilityFlow
from ._reverse_sde import ReverseSDE as ReverseSDE
