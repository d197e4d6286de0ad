"""Score-based generative modelling on Riemannian manifolds."""

from . import (
    datasets as datasets,
    losses as losses,
    metrics as metrics,
    nn as nn,
    plot as plot,
)
from ._chart import (
    AbstractChart as AbstractChart,
    ExponentialChart as ExponentialChart,
    StereographicChart as StereographicChart,
)
from ._check import check_points as check_points
from ._distribution import (
    AbstractDistribution as AbstractDistribution,
    Gibbs as Gibbs,
    HeatKernelMixture as HeatKernelMixture,
    Kent as Kent,
    KernelMixture as KernelMixture,
    Mixture as Mixture,
    Uniform as Uniform,
    VonMisesFisher as VonMisesFisher,
    WrappedNormal as WrappedNormal,
    fit_heat_kernel_mixture as fit_heat_kernel_mixture,
    fit_kent_mixture as fit_kent_mixture,
    fit_kernel_mixture as fit_kernel_mixture,
)
from ._divergence import (
    AbstractDivergence as AbstractDivergence,
    ExactDivergence as ExactDivergence,
    HutchinsonDivergence as HutchinsonDivergence,
)
from ._kernel import (
    AbstractHeatKernel as AbstractHeatKernel,
    EuclideanHeatKernel as EuclideanHeatKernel,
    HyperbolicHeatKernel as HyperbolicHeatKernel,
    PowerHeatKernel as PowerHeatKernel,
    ProductHeatKernel as ProductHeatKernel,
    SpecialOrthogonalHeatKernel as SpecialOrthogonalHeatKernel,
    SphereHeatKernel as SphereHeatKernel,
    TorusHeatKernel as TorusHeatKernel,
    TruncatedHeatKernel as TruncatedHeatKernel,
    VaradhanHeatKernel as VaradhanHeatKernel,
    heat_kernel as heat_kernel,
)
from ._manifold import (
    AbstractEmbeddedManifold as AbstractEmbeddedManifold,
    AbstractManifold as AbstractManifold,
    Euclidean as Euclidean,
    Hyperbolic as Hyperbolic,
    Power as Power,
    Product as Product,
    SpecialOrthogonal as SpecialOrthogonal,
    Sphere as Sphere,
    Torus as Torus,
)
from ._model import (
    Flow as Flow,
    MoserFlow as MoserFlow,
    Pushforward as Pushforward,
    ScoreModel as ScoreModel,
    log_prob as log_prob,
    log_prob_evaluations as log_prob_evaluations,
)
from ._process import (
    AbstractProcess as AbstractProcess,
    Brownian as Brownian,
    Langevin as Langevin,
    OrnsteinUhlenbeck as OrnsteinUhlenbeck,
)
from ._sampler import (
    AbstractSampler as AbstractSampler,
    ProbabilityFlow as ProbabilityFlow,
    ReverseSDE as ReverseSDE,
    sample as sample,
)
from ._schedule import (
    AbstractSchedule as AbstractSchedule,
    CoarseSchedule as CoarseSchedule,
    ConstantSchedule as ConstantSchedule,
    LinearSchedule as LinearSchedule,
    LogUniformSchedule as LogUniformSchedule,
)
from ._solver import (
    BrownianGrid as BrownianGrid,
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


__version__ = "0.2.0"
