"""What a score-based model is compared with."""

from ._chart import AbstractChart, Pushforward
from ._exponential import ExponentialChart
from ._flow import Flow
from ._heat_kernel_mixture import HeatKernelMixture, fit_heat_kernel_mixture
from ._kent_mixture import fit_kent_mixture
from ._kernel_mixture import KernelMixture, fit_kernel_mixture
from ._moser_flow import MoserFlow
from ._stereographic import StereographicChart


__all__ = [
    "AbstractChart",
    "ExponentialChart",
    "Flow",
    "HeatKernelMixture",
    "KernelMixture",
    "MoserFlow",
    "Pushforward",
    "StereographicChart",
    "fit_heat_kernel_mixture",
    "fit_kent_mixture",
    "fit_kernel_mixture",
]
