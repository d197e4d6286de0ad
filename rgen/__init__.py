"""Score-based generative modelling on Riemannian manifolds."""

from . import (
    baselines as baselines,
    datasets as datasets,
    losses as losses,
    metrics as metrics,
    nn as nn,
    plot as plot,
)
from ._check import check_points as check_points
from ._divergence import (
    AbstractDivergence as AbstractDivergence,
    ExactDivergence as ExactDivergence,
    HutchinsonDivergence as HutchinsonDivergence,
)
from ._heat_kernel._base import (
    AbstractHeatKernel as AbstractHeatKernel,
    heat_kernel as heat_kernel,
)
from ._heat_kernel._euclidean import EuclideanHeatKernel as EuclideanHeatKernel
from ._heat_kernel._hyperbolic import HyperbolicHeatKernel as HyperbolicHeatKernel
from ._heat_kernel._power import PowerHeatKernel as PowerHeatKernel
from ._heat_kernel._product import ProductHeatKernel as ProductHeatKernel
from ._heat_kernel._special_orthogonal import (
    SpecialOrthogonalHeatKernel as SpecialOrthogonalHeatKernel,
)
from ._heat_kernel._sphere import SphereHeatKernel as SphereHeatKernel
from ._heat_kernel._torus import TorusHeatKernel as TorusHeatKernel
from ._heat_kernel._truncated import TruncatedHeatKernel as TruncatedHeatKernel
from ._heat_kernel._varadhan import VaradhanHeatKernel as VaradhanHeatKernel
from ._likelihood import (
    log_prob as log_prob,
    log_prob_evaluations as log_prob_evaluations,
)
from ._manifold._base import (
    AbstractEmbeddedManifold as AbstractEmbeddedManifold,
    AbstractManifold as AbstractManifold,
)
from ._manifold._euclidean import Euclidean as Euclidean
from ._manifold._hyperbolic import Hyperbolic as Hyperbolic
from ._manifold._power import Power as Power
from ._manifold._product import Product as Product
from ._manifold._special_orthogonal import SpecialOrthogonal as SpecialOrthogonal
from ._manifold._sphere import Sphere as Sphere
from ._manifold._torus import Torus as Torus
from ._process._base import AbstractProcess as AbstractProcess
from ._process._brownian import Brownian as Brownian
from ._process._langevin import Langevin as Langevin
from ._process._ornstein_uhlenbeck import OrnsteinUhlenbeck as OrnsteinUhlenbeck
from ._process._schedule import (
    AbstractSchedule as AbstractSchedule,
    CoarseSchedule as CoarseSchedule,
    ConstantSchedule as ConstantSchedule,
    LinearSchedule as LinearSchedule,
    LogUniformSchedule as LogUniformSchedule,
)
from ._sampler import (
    AbstractSampler as AbstractSampler,
    ProbabilityFlow as ProbabilityFlow,
    ReverseSDE as ReverseSDE,
    sample as sample,
)
from ._score_model import ScoreModel as ScoreModel
from ._solver._brownian_grid import BrownianGrid as BrownianGrid
from ._solver._geodesic_random_walk import (
    GeodesicInterpolation as GeodesicInterpolation,
    GeodesicRandomWalk as GeodesicRandomWalk,
)
from ._target import (
    AbstractTarget as AbstractTarget,
    Exact as Exact,
    Truncated as Truncated,
    Varadhan as Varadhan,
)
from ._term import (
    NoiseTerm as NoiseTerm,
    forward_sde as forward_sde,
    probability_flow as probability_flow,
    reverse_sde as reverse_sde,
)
from .distributions._base import AbstractDistribution as AbstractDistribution
from .distributions._gibbs import Gibbs as Gibbs
from .distributions._kent import Kent as Kent
from .distributions._mixture import Mixture as Mixture
from .distributions._uniform import Uniform as Uniform
from .distributions._von_mises_fisher import VonMisesFisher as VonMisesFisher
from .distributions._wrapped_normal import WrappedNormal as WrappedNormal


__version__ = "0.1.0"
