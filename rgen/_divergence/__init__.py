"""The divergence of a vector field, exact and estimated."""

from ._base import AbstractDivergence as AbstractDivergence
from ._exact import ExactDivergence as ExactDivergence
from ._hutchinson import HutchinsonDivergence as HutchinsonDivergence
