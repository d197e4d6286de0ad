"""What a score-based model is compared with."""

from ._chart import AbstractChart, Pushforward
from ._exponential import ExponentialChart
from ._flow import Flow
from ._kent_mixture import fit_kent_mixture
from ._kernel_mixture import KernelMixture, fit_kernel_mixture
from ._moser_flow import MoserFlow
from ._stereographic import StereographicChart


__all__ = [
    "AbstractChart",
    "ExponentialChart",
    "Flow",
    "KernelMixture",
    "MoserFlow",
    "Pushforward",
    "StereographicChart",
    "fit_kent_mixture",
    "fit_kernel_mixture",
]
