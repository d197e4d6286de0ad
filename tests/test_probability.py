"""Densities and samples of every kind of distribution and model, against each other:
the mass is one, and the means of samples are those under the density."""

import functools

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from helpers import DISTRIBUTIONS, log_probs, points, samples_of

import rgen


S2, T2, SO3 = rgen.Sphere(2), rgen.Torus(2), rgen.SpecialOrthogonal(3)
N = 4096
# Of normal numbers: a level of 6e-7 for each number, of which there are at most a
# hundred in a test.
SIGMAS = 5

# Some processes here are stopped early on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:ScoreModel.* still remembers")


def rough(field, key, size):
    """A field with a random last layer, which is zero where training starts."""
    last = lambda f: f.field.network.last.weight
    random = size * jr.normal(key, last(field).shape)
    return eqx.tree_at(last, field, random)


SIZE = dict(width=16, depth=2, frequencies=8, max_frequency=2.0, key=jr.key(4))


def score_model(manifold, **kwargs):
    process = rgen.Brownian(manifold, rgen.LogUniformSchedule(0.1, 6.0))
    score = rough(rgen.nn.ScoreField(process, **SIZE), jr.key(5), 1.0)
    return rgen.ScoreModel(score, process, **kwargs)


def sampled_by_flow(manifold):
    """Its samples are those of its density; a reversed SDE ends elsewhere where the
    score is not that of any data."""
    return score_model(manifold, sampler=rgen.ProbabilityFlow())


def flow(manifold):
    field = rgen.nn.FlowField(manifold, **SIZE)
    return rgen.Flow(rgen.Uniform(manifold), rough(field, jr.key(6), 1.0))


def flow_map(manifold):
    """Of steps that are short enough for the map to be one-to-one, both ways."""
    process = rgen.Brownian(manifold, rgen.LogUniformSchedule(0.5, 2.0))
    field = rough(rgen.nn.FlowMapField(process, **SIZE), jr.key(7), 0.3)
    return rgen.FlowMap(rgen.Uniform(manifold), field, (0.0, 0.5, 1.0))


def symmetrised(manifold):
    group = rgen.symmetry.antipodes(manifold)
    return rgen.symmetry.SymmetrisedDistribution(sampled_by_flow(manifold), group)


def normal_mixture(manifold):
    means = points(manifold, jr.key(8), 3)
    normal = lambda mean: rgen.WrappedNormal(manifold, mean, 0.7)
    return rgen.Mixture(
        eqx.filter_vmap(normal)(means), jnp.log(jnp.array([0.2, 0.3, 0.5]))
    )


def kernel_mixture(manifold):
    kernel = rgen.heat_kernel(manifold)
    variances = jnp.array([0.3, 2.0])
    centres = points(manifold, jr.key(9), 4)
    return rgen.KernelMixture(
        kernel, centres, variances, jnp.log(jnp.array([0.6, 0.4]))
    )


MODELS = {
    "score model": sampled_by_flow,
    "flow": flow,
    "flow map": flow_map,
    "symmetrised": symmetrised,
    "mixture": normal_mixture,
    "kernel mixture": kernel_mixture,
}
SPACES = {
    "S2": S2,
    "T2": T2,
    "SO3": SO3,
    "S9": rgen.Sphere(9),
    "T8": rgen.Torus(8),
    "S2 x SO3": rgen.Product(S2, SO3),
}
CASES = {
    **{name: make for name, make in DISTRIBUTIONS.items() if make().manifold.compact},
    **{
        f"{model} on {space}": functools.partial(make, manifold)
        for space, manifold in SPACES.items()
        for model, make in MODELS.items()
        if model != "symmetrised" or space.startswith("S2")
    },
}
# Antipodes of a product are none of ours, a Gibbs distribution has a density but for a
# factor, and a consistency model none.
del CASES["symmetrised on S2 x SO3"], CASES["Gibbs"], CASES["ConsistencyModel"]
SLOW = "score model on S2", "flow on T2", "flow map on SO3", "Kent", "KernelMixture"


def level(name):
    return pytest.param(
        name, marks=pytest.mark.slow if name in SLOW else pytest.mark.thorough
    )


def mean_and_error(values):
    values = np.asarray(values, np.float64)
    return values.mean(axis=0), values.std(axis=0) / len(values) ** 0.5


def moments(manifold, x):
    """Numbers of order one of each point: its features, and products of the first."""
    features = jax.vmap(manifold.features)(x)[:, :9]
    products = jnp.einsum("ni,nj->nij", features, features)
    return jnp.concatenate([features, products.reshape(len(x), -1)], axis=1)


@pytest.mark.parametrize("name", [level(name) for name in CASES])
def test_samples_are_those_of_a_density_of_mass_one(name):
    model = CASES[name]()
    manifold = model.manifold
    x = points(manifold, jr.key(0), N)
    # Half of the proposals are samples, so that no weight is large.
    y = samples_of(model, jr.key(1), N)
    log_uniform = -manifold.log_volume
    weights = lambda x: jnp.exp(
        (log_p := log_probs(model, x)) - jnp.logaddexp(log_p, log_uniform) + np.log(2)
    )
    mass, error = mean_and_error((weights(x) + weights(y)) / 2)
    assert error < 0.02 and abs(mass - 1) < SIGMAS * error + 1e-3
    inside = weights(x)[:, None] * moments(manifold, x)
    beside = weights(y)[:, None] * moments(manifold, y)
    expected, expected_error = mean_and_error((inside + beside) / 2)
    fresh = samples_of(model, jr.key(2), N)
    found, found_error = mean_and_error(moments(manifold, fresh))
    # The tolerances of solvers, too.
    bound = SIGMAS * np.hypot(expected_error, found_error) + 1e-3
    assert (abs(found - expected) < bound).all()


@pytest.mark.slow
def test_densities_agree_however_they_are_computed():
    x = points(S2, jr.key(0), 256)
    default = np.asarray(log_probs(score_model(S2), x))
    keys = jr.split(jr.key(1), 64)
    estimated = score_model(S2, divergence=rgen.HutchinsonDivergence())
    each = lambda key: jax.vmap(estimated.log_prob)(x, jr.split(key, len(x)))
    estimate = jax.jit(lambda keys: jax.lax.map(each, keys))(keys)
    mean, error = mean_and_error(jnp.mean(estimate, axis=1))
    assert abs(mean - np.mean(default)) < SIGMAS * error + 1e-4
    controller = diffrax.PIDController(1e-9, 1e-9)
    tight = score_model(S2, flow=rgen.ProbabilityFlow(diffrax.Dopri8(), controller))
    with jax.enable_x64(True):
        double = lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a
        exact = jax.tree.map(double, tight)
        expected = np.asarray(log_probs(exact, jax.vmap(S2.project)(double(x))))
    # The tolerance of a step, 1e-5, times the steps.
    np.testing.assert_allclose(default, expected, atol=1e-3)
    assert abs(np.mean(default) - np.mean(expected)) < 1e-4
