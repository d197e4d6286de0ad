"""Diffrax's parts, and a user's own, go into samplers and densities as they are."""

from typing import ClassVar

import diffrax
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats

import rgen


S2 = rgen.Sphere(2)
# At the variance 20 all but e^{-20} of the data is forgotten.
PROCESS = rgen.Brownian(S2, rgen.LogUniformSchedule(0.05, 20.0))
X = jnp.array([0.6, 0.0, 0.8])


# The first eigenfunction of the Laplacian makes a density with a short score: that of
# data whose density is (1 + 0.9 z) / (4 pi).
def slope(v):
    return 0.9 * jnp.exp(-v)


def score(x, t):
    a = slope(PROCESS.schedule.variance(t))
    return a * (S2.origin - x[2] * x) / (1 + a * x[2])


def log_density(x):
    return jnp.log1p(slope(0.05) * x[2]) - S2.log_volume


class GeodesicHeun(diffrax.AbstractItoSolver):
    """A solver of a user's: the average of the drifts at both ends of a step, and the
    noise at its start."""

    manifold: rgen.AbstractManifold
    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar = diffrax.LocalLinearInterpolation

    def order(self, terms):
        return 2

    def init(self, terms, t0, t1, y0, args):
        return None

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        control = terms.contr(t0, t1)
        v0 = terms.vf_prod(t0, y0, args, control)
        y = self.manifold.exp(y0, v0)
        v1 = self.manifold.transport(y, y0, terms.vf_prod(t1, y, args, control))
        y1 = self.manifold.exp(y0, (v0 + v1) / 2)
        return y1, None, dict(y0=y0, y1=y1), None, diffrax.RESULTS.successful

    def func(self, terms, t0, y0, args):
        return terms.vf(t0, y0, args)


@pytest.mark.slow
def test_a_solver_of_your_own_for_the_probability_flow():
    errors = []
    for steps in (20, 40):
        grid = diffrax.StepTo(PROCESS.time_grid(steps))
        flow = rgen.ProbabilityFlow(diffrax.Heun(), grid)
        model = rgen.ScoreModel(score, PROCESS, flow=flow)
        log_p, cost = rgen.log_prob_and_cost(model, X[None])
        assert cost.steps[0] == steps and cost.evaluations[0] == 2 * steps
        errors.append(abs(log_p[0] - log_density(X)))
        # The geodesic solver moves the point alone, which is what a sample needs.
        sampler = rgen.ProbabilityFlow(GeodesicHeun(S2), grid)
        x = rgen.sample(rgen.ScoreModel(score, PROCESS, sampler), jr.key(0), 64)
        assert jax.vmap(S2.contains)(x).all()
    # Of order two, and to the right limit.
    assert errors[0] < 0.1 and errors[1] < errors[0] / 3


def test_a_solver_of_your_own_for_the_reverse_sde():
    sampler = rgen.ReverseSDE(100, solver=GeodesicHeun(S2))
    x = rgen.sample(rgen.ScoreModel(score, PROCESS, sampler), jr.key(1), 1024)
    cdf = lambda z: (1 + z) / 2 + float(slope(0.05)) * (z**2 - 1) / 4
    assert scipy.stats.kstest(x[:, 2], cdf).pvalue > 1e-3


# Derivatives, whose adjoint is the caller's choice

either_mode = pytest.mark.parametrize(
    ("derivative", "adjoint"),
    [
        (jax.jacrev, diffrax.RecursiveCheckpointAdjoint()),
        (jax.jacfwd, diffrax.ForwardMode()),
    ],
    ids=["reverse", "forward"],
)

# In the plane, with normal data, the exact score is a short program.
PLANE = rgen.OrnsteinUhlenbeck(rgen.Euclidean(2), rgen.LogUniformSchedule(0.05, 12.0))
MEAN, VARIANCE = jnp.array([1.0, -0.5]), jnp.array([0.2, 0.5])


def moments(v):
    """The mean and the variances of normal data with noise of the variance `v`."""
    decay = jnp.exp(-v)
    return jnp.sqrt(decay) * MEAN, decay * VARIANCE + 1 - decay


def normal_score(x, t):
    mean, variance = moments(PLANE.schedule.variance(t))
    return (mean - x) / variance


def density(adjoint, score=normal_score, process=PLANE):
    controller = diffrax.PIDController(rtol=1e-4, atol=1e-4)
    # Of few stages, for the program of a Hessian is long.
    flow = rgen.ProbabilityFlow(diffrax.Bosh3(), controller, adjoint, max_steps=64)
    model = rgen.ScoreModel(score, process, flow=flow)
    return lambda x: model.log_prob_and_cost(x)[0]


@either_mode
def test_gradients_of_a_density(derivative, adjoint):
    x = jnp.array([0.3, 0.8])
    gradient = jax.jit(derivative(density(adjoint)))(x)
    # Some dozens of steps to a tolerance of 1e-4, and e^{-6} of the mean that is left.
    np.testing.assert_allclose(gradient, normal_score(x, jnp.array(0.0)), atol=0.01)


def test_a_hessian_of_a_density():
    found = jax.jit(jax.hessian(density(diffrax.DirectAdjoint())))(MEAN)
    _, variance = moments(jnp.array(0.05))
    np.testing.assert_allclose(found, -jnp.diag(1 / variance), atol=0.02)


@pytest.mark.slow
@either_mode
def test_gradients_of_a_density_on_the_sphere(derivative, adjoint):
    gradient = jax.jit(derivative(density(adjoint, score, PROCESS)))(X)
    tangent = S2.to_tangent(X, gradient)
    # The tolerance of the solver, over the standard deviation of the noise.
    exact = score(X, jnp.array(0.0))
    np.testing.assert_allclose(tangent, exact, atol=0.02 * S2.norm(X, exact))


@pytest.mark.slow
def test_a_hessian_of_a_density_on_the_sphere():
    v = S2.basis(X)[0]
    curve = lambda f: lambda s: f(S2.exp(X, s * v))
    found = jax.jit(
        jax.hessian(curve(density(diffrax.DirectAdjoint(), score, PROCESS)))
    )(0.0)
    exact = jax.hessian(curve(log_density))(0.0)
    assert found == pytest.approx(float(exact), rel=0.05)


@pytest.mark.slow
@either_mode
def test_derivatives_of_a_sample(derivative, adjoint):
    sampler = rgen.ReverseSDE(10, adjoint=adjoint)

    def sample(strength):
        field = lambda x, t: strength * score(x, t)
        return sampler(field, PROCESS, X, jr.key(3))[0]

    slope = jax.jit(derivative(sample))(1.0)
    step = 1e-2
    difference = (sample(1.0 + step) - sample(1.0 - step)) / (2 * step)
    # Rounding over the step, and its square.
    np.testing.assert_allclose(slope, difference, atol=2e-3)
