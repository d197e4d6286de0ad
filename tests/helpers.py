"""The one table of what rgen has of each kind, by name, for tests to run through.

A public class that is not in the table of its kind fails `test_helpers.py`.
"""

import os
from functools import partial, singledispatch

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import rgen


needs_earth_files = pytest.mark.skipif(
    "RGEN_DATA" not in os.environ,
    reason="RGEN_DATA names no folder with the four earth files",
)

MANIFOLDS = {
    "Euclidean(3)": lambda: rgen.Euclidean(3),
    "Torus(2)": lambda: rgen.Torus(2),
    "Sphere(1)": lambda: rgen.Sphere(1),
    "Sphere(2)": lambda: rgen.Sphere(2),
    "Sphere(5)": lambda: rgen.Sphere(5),
    "SO(2)": lambda: rgen.SpecialOrthogonal(2),
    "SO(3)": lambda: rgen.SpecialOrthogonal(3),
    "SO(4)": lambda: rgen.SpecialOrthogonal(4),
    "Hyperbolic(2)": lambda: rgen.Hyperbolic(2),
    "Product": lambda: rgen.Product(rgen.Sphere(2), rgen.SpecialOrthogonal(3)),
    "Power": lambda: rgen.Power(rgen.Sphere(2), 3),
}
COMPACT = [name for name, make in MANIFOLDS.items() if make().compact]
# For the quick run of what all manifolds have to satisfy.
QUICK = {"Euclidean(3)", "Torus(2)", "Sphere(2)"}


def slow(values):
    """Parameters of a test that are for the slow run."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


def over(names):
    """Runs a test for each of these manifolds, most of them in the slow run."""
    quick = [name for name in names if name in QUICK]
    rest = [name for name in names if name not in QUICK]
    return pytest.mark.parametrize("name", [*quick, *slow(rest)])


every_manifold, compact_manifolds = over(MANIFOLDS), over(COMPACT)

SCHEDULES = {
    "Constant": rgen.ConstantSchedule,
    "Linear": rgen.LinearSchedule,
    "LogUniform": lambda: rgen.LogUniformSchedule(1e-4, 5.0),
    "Coarse": lambda: rgen.CoarseSchedule(rgen.LogUniformSchedule(1e-4, 5.0), 0.4),
    "Product": lambda: rgen.ProductSchedule(
        rgen.LinearSchedule(), rgen.ConstantSchedule()
    ),
}

PROCESSES = {
    "Brownian on S2": lambda: rgen.Brownian(rgen.Sphere(2), rgen.LinearSchedule()),
    "Brownian on T2": lambda: rgen.Brownian(rgen.Torus(2), rgen.LogUniformSchedule()),
    "Brownian on SO(3)": lambda: rgen.Brownian(
        rgen.SpecialOrthogonal(3), rgen.LinearSchedule()
    ),
    "Brownian on SO(4)": lambda: rgen.Brownian(
        rgen.SpecialOrthogonal(4),
        rgen.LinearSchedule(),
        kernel=rgen.RandomWalkKernel(rgen.SpecialOrthogonal(4), steps=20),
    ),
    "Brownian on a product": lambda: rgen.Brownian(
        MANIFOLDS["Product"](), rgen.LinearSchedule()
    ),
    "Langevin on H2": lambda: rgen.Langevin(
        rgen.Hyperbolic(2), rgen.LinearSchedule(), steps=20
    ),
    "Langevin on S2": lambda: rgen.Langevin(
        rgen.Sphere(2),
        rgen.ConstantSchedule(),
        rgen.VonMisesFisher(rgen.Sphere(2).origin, 3.0),
        steps=20,
    ),
    "Ornstein-Uhlenbeck": lambda: rgen.OrnsteinUhlenbeck(
        rgen.Euclidean(3), rgen.LinearSchedule()
    ),
    "Poses": lambda: _poses(),
    "Two poses": lambda: rgen.PowerProcess(_poses(), 2),
}

# Of a manifold.
RETRACTIONS = {
    "Exponential": rgen.Exponential,
    "ProjectionRetraction": rgen.ProjectionRetraction,
}


def solve_along(solver, term, y0, times, **kwargs):
    """The solution of an ODE, with steps at given times unless a controller says."""
    options = {"stepsize_controller": diffrax.StepTo(times), **kwargs}
    return diffrax.diffeqsolve(term, solver, times[0], times[-1], None, y0, **options)


def uneven_shares(n):
    """From 0 to 1 in `n` steps, every second three times as long."""
    walked = jnp.cumsum(jnp.where(jnp.arange(n) % 2 == 0, 1.0, 3.0))
    return jnp.concatenate([jnp.zeros(1), walked / walked[-1]])


SOLVERS = {
    "AdamsBashforthMoulton": lambda m: rgen.AdamsBashforthMoulton(),
    "GeodesicRandomWalk": rgen.GeodesicRandomWalk,
    "GeodesicHeun": rgen.GeodesicHeun,
    "MuntheKaas": lambda m: rgen.MuntheKaas(m, diffrax.Bosh3()),
    "NoiseClock": lambda m: rgen.NoiseClock(
        rgen.GeodesicHeun(m), rgen.LinearSchedule()
    ),
    "DenoisingMultistep": lambda m: rgen.DenoisingMultistep(rgen.Brownian(m)),
}

# Of a score field, a process, a point, a time and a key.
LOSSES = {
    "denoising": rgen.losses.denoising,
    "denoising_step": partial(rgen.losses.denoising_step, steps=20),
    "implicit, exact": rgen.losses.implicit,
    "implicit, Hutchinson": partial(
        rgen.losses.implicit, divergence=rgen.HutchinsonDivergence()
    ),
    "sliced": rgen.losses.sliced,
}
# Of a vector field, a base, a point, a time and a key.
FLOW_LOSSES = {"flow_matching": rgen.losses.flow_matching}
# Of a field of two times, a velocity, a process, a point, two times and a key.
MAP_LOSSES = {
    "lagrangian": rgen.losses.lagrangian,
    "eulerian": rgen.losses.eulerian,
    "semigroup": rgen.losses.semigroup,
}
# Of a process and a time.
WEIGHTS = {
    "unit": rgen.losses.unit_weight,
    "likelihood": rgen.losses.likelihood_weight,
    "variance": rgen.losses.variance_weight,
}

DIVERGENCES = {
    "Exact": rgen.ExactDivergence,
    "Hutchinson": rgen.HutchinsonDivergence,
}

SAMPLERS = {
    "ReverseSDE": lambda: rgen.ReverseSDE(steps=20),
    "ProbabilityFlow": rgen.ProbabilityFlow,
    "FewSteps": lambda: rgen.FewSteps(8),
    "Churn": lambda: rgen.Churn(8, 2.0),
    "Denoised": lambda: rgen.Denoised(rgen.FewSteps(8)),
}

PARAMETRISATIONS = {
    "Projected": rgen.nn.Projected,
    "KillingFrame": rgen.nn.KillingFrame,
    "LieAlgebra": rgen.nn.LieAlgebra,
}

FIELDS = {
    "ScoreField": lambda: _score_field(jr.key(0)),
    "FlowField": lambda: rgen.nn.FlowField(
        rgen.Sphere(2), width=8, depth=2, frequencies=4, key=jr.key(0)
    ),
    "Ensemble": lambda: rgen.nn.Ensemble(
        eqx.filter_vmap(_score_field)(jr.split(jr.key(0), 2))
    ),
}

KERNELS = {
    "Euclidean(3)": lambda: rgen.EuclideanHeatKernel(rgen.Euclidean(3)),
    "Torus(2)": lambda: rgen.TorusHeatKernel(rgen.Torus(2)),
    "Sphere(1)": lambda: rgen.SphereHeatKernel(rgen.Sphere(1)),
    "Sphere(2)": lambda: rgen.SphereHeatKernel(rgen.Sphere(2)),
    "Sphere(5)": lambda: rgen.SphereHeatKernel(rgen.Sphere(5)),
    "SO(3)": lambda: rgen.SpecialOrthogonalHeatKernel(rgen.SpecialOrthogonal(3)),
    "Hyperbolic(2)": lambda: rgen.HyperbolicHeatKernel(rgen.Hyperbolic(2)),
    "Hyperbolic(3)": lambda: rgen.HyperbolicHeatKernel(rgen.Hyperbolic(3)),
    "Ornstein-Uhlenbeck": lambda: rgen.OrnsteinUhlenbeckKernel(rgen.Euclidean(3)),
    "Product": lambda: rgen.heat_kernel(MANIFOLDS["Product"]()),
    "Power": lambda: rgen.heat_kernel(MANIFOLDS["Power"]()),
    "RandomWalk": lambda: rgen.RandomWalkKernel(rgen.Sphere(2), steps=5),
    "Truncated": lambda: rgen.TruncatedHeatKernel(rgen.Sphere(2), 10),
    "Varadhan": lambda: rgen.VaradhanHeatKernel(rgen.Sphere(2)),
    "von Mises-Fisher": lambda: rgen.VonMisesFisherKernel(rgen.Sphere(2)),
}

DISTRIBUTIONS = {
    "Uniform": lambda: rgen.Uniform(rgen.Sphere(2)),
    "WrappedNormal": lambda: _wrapped_normal(rgen.SpecialOrthogonal(3).origin),
    "VonMisesFisher": lambda: rgen.VonMisesFisher(rgen.Sphere(2).origin, 3.0),
    "Gibbs": lambda: rgen.Gibbs(rgen.Torus(2), lambda x: jnp.sum(jnp.sin(x))),
    "Mixture": lambda: rgen.Mixture(
        eqx.filter_vmap(_wrapped_normal)(
            points(rgen.SpecialOrthogonal(3), jr.key(0), 4)
        ),
        jnp.zeros(4),
    ),
    "Product": lambda: rgen.ProductDistribution(
        rgen.Uniform(rgen.Sphere(2)), _wrapped_normal(rgen.SpecialOrthogonal(3).origin)
    ),
    "Power": lambda: rgen.PowerDistribution(
        _wrapped_normal(rgen.SpecialOrthogonal(3).origin), 2
    ),
    "Kent": lambda: rgen.Kent(jnp.eye(3), 10.0, 3.0),
    "ScoreModel": lambda: rgen.ScoreModel(_zero, rgen.Brownian(rgen.Sphere(2))),
    "Flow": lambda: rgen.Flow(rgen.Uniform(rgen.Sphere(2)), _zero),
    "MoserFlow": lambda: rgen.MoserFlow(rgen.Sphere(2), _zero),
    "FlowMap": lambda: rgen.FlowMap(rgen.Uniform(rgen.Sphere(2)), _still),
    "ConsistencyModel": lambda: rgen.ConsistencyModel(
        rgen.Brownian(rgen.Sphere(2)), _still
    ),
    "Pushforward": lambda: rgen.Pushforward(
        CHARTS["stereographic"](),
        rgen.WrappedNormal(rgen.Euclidean(2), jnp.zeros(2), 0.5),
    ),
    "Symmetrised": lambda: rgen.symmetry.SymmetrisedDistribution(
        rgen.VonMisesFisher(rgen.Sphere(2).origin, 3.0),
        rgen.symmetry.antipodes(rgen.Sphere(2)),
    ),
    "KernelMixture": lambda: rgen.KernelMixture(
        rgen.heat_kernel(rgen.SpecialOrthogonal(3)),
        points(rgen.SpecialOrthogonal(3), jr.key(0), 4),
        jnp.array([0.1, 1.0]),
        jnp.log(jnp.array([0.5, 0.5])),
    ),
}

CHARTS = {
    "stereographic": lambda: rgen.StereographicChart(rgen.Sphere(2).origin),
    "exponential, S2": lambda: _exponential(rgen.Sphere(2)),
    "exponential, SO(3)": lambda: _exponential(rgen.SpecialOrthogonal(3)),
    "exponential, H2": lambda: _exponential(rgen.Hyperbolic(2)),
    "affine": lambda: rgen.AffineChart(
        rgen.Euclidean(3), jnp.array([2.0, 0.0, -1.0]), jnp.array([0.5, 1.0, 3.0])
    ),
}

# The kinds: what every class of the kind derives from, and examples made of its table.
KINDS = {
    rgen.AbstractManifold: lambda: [make() for make in MANIFOLDS.values()],
    rgen.AbstractSchedule: lambda: [make() for make in SCHEDULES.values()],
    rgen.AbstractProcess: lambda: [make() for make in PROCESSES.values()],
    diffrax.AbstractSolver: lambda: [make(rgen.Sphere(2)) for make in SOLVERS.values()],
    rgen.AbstractRetraction: lambda: [make() for make in RETRACTIONS.values()],
    rgen.AbstractDivergence: lambda: [make() for make in DIVERGENCES.values()],
    rgen.AbstractSampler: lambda: [make() for make in SAMPLERS.values()],
    rgen.nn.AbstractParametrisation: lambda: [
        make() for make in PARAMETRISATIONS.values()
    ],
    rgen.nn.AbstractField: lambda: [make() for make in FIELDS.values()],
    rgen.AbstractKernel: lambda: [make() for make in KERNELS.values()],
    rgen.AbstractDistribution: lambda: [make() for make in DISTRIBUTIONS.values()],
    rgen.AbstractChart: lambda: [make() for make in CHARTS.values()],
}


def _poses():
    return rgen.ProductProcess(
        rgen.Brownian(rgen.SpecialOrthogonal(3), rgen.LogUniformSchedule(1e-3)),
        rgen.OrnsteinUhlenbeck(rgen.Euclidean(3), rgen.LogUniformSchedule(1e-2)),
    )


def _exponential(manifold):
    return rgen.ExponentialChart(manifold, manifold.origin)


def _score_field(key):
    process = rgen.Brownian(rgen.Sphere(2))
    return rgen.nn.ScoreField(process, width=8, depth=2, frequencies=4, key=key)


def _zero(x, t):
    return jnp.zeros_like(x)


def _still(x, s, t):
    return jnp.zeros_like(x)


def _wrapped_normal(mean):
    return rgen.WrappedNormal(rgen.SpecialOrthogonal(3), mean, 0.5)


@eqx.filter_jit
def points(manifold, key, n):
    """`n` independent points: uniform where there is a uniform distribution, and else
    within a distance of about 2 from the origin."""
    if manifold.compact:
        return jax.vmap(manifold.uniform)(jr.split(key, n))
    origin = manifold.origin
    near = lambda k: manifold.exp(origin, manifold.tangent_noise(origin, k) / 2)
    return jax.vmap(near)(jr.split(key, n))


@eqx.filter_jit
def log_probs(distribution, x):
    return jax.vmap(distribution.log_prob)(x)


@eqx.filter_jit
def samples_of(distribution, key, n):
    return jax.vmap(distribution.sample)(jr.split(key, n))


def sphere_rule(n):
    """Points of the sphere, and weights, that integrate harmonics of degree less than
    2 n."""
    height, w = np.polynomial.legendre.leggauss(n)
    longitude = np.pi * np.arange(2 * n) / n
    flat = np.sqrt(1 - height**2)
    rows = [np.outer(flat, np.cos(longitude)), np.outer(flat, np.sin(longitude))]
    x = np.stack([*rows, np.outer(height, np.ones(2 * n))], -1)
    return x.reshape(-1, 3), np.repeat(w * np.pi / n, 2 * n)


def torus_rule(n):
    """Points of the torus of two angles, and weights: exact for Fourier series of
    degree less than n."""
    angle = 2 * np.pi * np.arange(n) / n - np.pi
    x = np.stack(np.meshgrid(angle, angle), axis=-1).reshape(-1, 2)
    return x, np.full(len(x), (2 * np.pi / n) ** 2)


@eqx.filter_jit
def directions(manifold, x, key):
    """A unit tangent vector at each of the points `x`, uniform in direction."""

    def one(x, key):
        v = manifold.tangent_noise(x, key)
        # Twice, for a short projection of long noise has large errors.
        v = manifold.to_tangent(x, v / manifold.norm(x, v))
        return v / manifold.norm(x, v)

    return jax.vmap(one)(x, jr.split(key, len(x)))


@singledispatch
def injectivity_radius(manifold):
    """The distance up to which every geodesic is the shortest one; 2 where that is
    infinite, a bound that the accuracy of hyperbolic points asks for."""
    raise NotImplementedError(f"add {type(manifold).__name__} to injectivity_radius")


@injectivity_radius.register(rgen.Euclidean)
@injectivity_radius.register(rgen.Hyperbolic)
def _(manifold):
    return 2.0


@injectivity_radius.register(rgen.Sphere)
@injectivity_radius.register(rgen.SpecialOrthogonal)
@injectivity_radius.register(rgen.Torus)
def _(manifold):
    return jnp.pi


@injectivity_radius.register
def _(manifold: rgen.Product):
    return min(injectivity_radius(factor) for factor in manifold.manifolds)


@injectivity_radius.register
def _(manifold: rgen.Power):
    return injectivity_radius(manifold.manifold)
