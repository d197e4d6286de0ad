"""Score-based generative modelling on Riemannian manifolds."""

from . import (
    datasets as datasets,
    losses as losses,
    metrics as metrics,
    nn as nn,
    plot as plot,
    symmetry as symmetry,
    testing as testing,
)
from ._batch import (
    log_prob as log_prob,
    log_prob_and_cost as log_prob_and_cost,
    sample as sample,
    sample_and_cost as sample_and_cost,
)
from ._chart import (
    AbstractChart as AbstractChart,
    AffineChart as AffineChart,
    ExponentialChart as ExponentialChart,
    StereographicChart as StereographicChart,
)
from ._check import check_points as check_points
from ._checkpoint import load as load, load_metadata as load_metadata, save as save
from ._cost import Cost as Cost
from ._distribution import (
    AbstractDistribution as AbstractDistribution,
    Gibbs as Gibbs,
    Kent as Kent,
    KernelMixture as KernelMixture,
    Mixture as Mixture,
    PowerDistribution as PowerDistribution,
    ProductDistribution as ProductDistribution,
    Uniform as Uniform,
    VonMisesFisher as VonMisesFisher,
    WrappedNormal as WrappedNormal,
    fit_kent_mixture as fit_kent_mixture,
    fit_kernel_mixture as fit_kernel_mixture,
)
from ._divergence import (
    AbstractDivergence as AbstractDivergence,
    ExactDivergence as ExactDivergence,
    HutchinsonDivergence as HutchinsonDivergence,
)
from ._flow_solver import (
    AdamsBashforthMoulton as AdamsBashforthMoulton,
    DenoisingMultistep as DenoisingMultistep,
    NoiseClock as NoiseClock,
)
from ._given import Given as Given
from ._guidance import (
    ClassifierFreeGuidance as ClassifierFreeGuidance,
    Guided as Guided,
    Particles as Particles,
    Reconstruction as Reconstruction,
    TwistedSampler as TwistedSampler,
)
from ._kernel import (
    AbstractKernel as AbstractKernel,
    AbstractSeriesKernel as AbstractSeriesKernel,
    EuclideanHeatKernel as EuclideanHeatKernel,
    HyperbolicHeatKernel as HyperbolicHeatKernel,
    OrnsteinUhlenbeckKernel as OrnsteinUhlenbeckKernel,
    PowerKernel as PowerKernel,
    ProductKernel as ProductKernel,
    RandomWalkKernel as RandomWalkKernel,
    SpecialOrthogonalHeatKernel as SpecialOrthogonalHeatKernel,
    SphereHeatKernel as SphereHeatKernel,
    TorusHeatKernel as TorusHeatKernel,
    TruncatedHeatKernel as TruncatedHeatKernel,
    VaradhanHeatKernel as VaradhanHeatKernel,
    VonMisesFisherKernel as VonMisesFisherKernel,
    heat_kernel as heat_kernel,
)
from ._manifold import (
    AbstractEmbeddedManifold as AbstractEmbeddedManifold,
    AbstractFlat as AbstractFlat,
    AbstractLevelSet as AbstractLevelSet,
    AbstractManifold as AbstractManifold,
    AbstractMatrixGroup as AbstractMatrixGroup,
    AbstractMetricManifold as AbstractMetricManifold,
    Euclidean as Euclidean,
    Hyperbolic as Hyperbolic,
    Power as Power,
    Product as Product,
    SpecialOrthogonal as SpecialOrthogonal,
    Sphere as Sphere,
    Torus as Torus,
)
from ._model import (
    AbstractModel as AbstractModel,
    ConsistencyModel as ConsistencyModel,
    Flow as Flow,
    FlowMap as FlowMap,
    MoserFlow as MoserFlow,
    Pushforward as Pushforward,
    ScoreModel as ScoreModel,
)
from ._process import (
    AbstractProcess as AbstractProcess,
    Brownian as Brownian,
    Langevin as Langevin,
    OrnsteinUhlenbeck as OrnsteinUhlenbeck,
    PowerProcess as PowerProcess,
    ProductProcess as ProductProcess,
)
from ._sampler import (
    AbstractSampler as AbstractSampler,
    Churn as Churn,
    Denoised as Denoised,
    FewSteps as FewSteps,
    PowerGrid as PowerGrid,
    ProbabilityFlow as ProbabilityFlow,
    ReverseSDE as ReverseSDE,
)
from ._schedule import (
    AbstractSchedule as AbstractSchedule,
    CoarseSchedule as CoarseSchedule,
    ConstantSchedule as ConstantSchedule,
    LinearSchedule as LinearSchedule,
    LogUniformSchedule as LogUniformSchedule,
    ProductSchedule as ProductSchedule,
)
from ._solver import (
    AbstractRetraction as AbstractRetraction,
    BrownianGrid as BrownianGrid,
    Exponential as Exponential,
    GeodesicHeun as GeodesicHeun,
    GeodesicInterpolation as GeodesicInterpolation,
    GeodesicRandomWalk as GeodesicRandomWalk,
    MuntheKaas as MuntheKaas,
    NoiseTerm as NoiseTerm,
    ProjectionRetraction as ProjectionRetraction,
)
from ._term import (
    density_term as density_term,
    flow_term as flow_term,
    forward_sde as forward_sde,
    probability_flow as probability_flow,
    reverse_sde as reverse_sde,
)
from ._velocity import (
    DiagonalVelocity as DiagonalVelocity,
    FlowScore as FlowScore,
    FlowVelocity as FlowVelocity,
    flow_map as flow_map,
)
from ._version import __version__ as __version__
