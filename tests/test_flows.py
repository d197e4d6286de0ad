"""Flows and their training, against flows that are known in closed form."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats
from helpers import log_probs, samples_of

import rgen
from rgen import Flow, MoserFlow


S2, R1 = rgen.Sphere(2), rgen.Euclidean(1)
NORTH = jnp.array([0.0, 0.0, 1.0])


class Climb(eqx.Module):
    """The gradient of `strength` times the height: conformal on the sphere."""

    strength: jax.Array

    def __call__(self, x, t):
        return self.strength * S2.to_tangent(x, NORTH)


def uniform(n, key=0):
    return samples_of(rgen.Uniform(S2), jr.key(key), n)


def climbed(a, x):
    """The density of uniform points that climb with the strength `a`: their artanh of
    the height grows by `a`."""
    return -np.log(4 * np.pi) - 2 * jnp.log(jnp.cosh(a) - x[:, 2] * jnp.sinh(a))


def climbing(a, **kwargs):
    return Flow(rgen.Uniform(S2), Climb(jnp.asarray(a)), **kwargs)


@pytest.mark.slow
def test_density_of_a_conformal_flow():
    x = uniform(50)
    # The tolerance of a step is 1e-5, and there are about ten.
    np.testing.assert_allclose(log_probs(climbing(1.3), x), climbed(1.3, x), atol=2e-4)


def test_samples_of_a_conformal_flow():
    x = samples_of(climbing(1.3), jr.key(1), 4000)
    rgen.check_points(S2, x)
    start = np.tanh(np.arctanh(np.float64(x[:, 2])) - 1.3)
    assert scipy.stats.kstest(start, scipy.stats.uniform(-1, 2).cdf).pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    "adjoint",
    [diffrax.RecursiveCheckpointAdjoint(), diffrax.BacksolveAdjoint()],
    ids=lambda adjoint: type(adjoint).__name__,
)
def test_gradient_of_the_likelihood(adjoint):
    x = uniform(20)
    flow = climbing(0.7, adjoint=adjoint)
    slope = eqx.filter_grad(lambda flow: jnp.mean(log_probs(flow, x)))(flow)
    exact = jax.grad(lambda a: jnp.mean(climbed(a, x)))(0.7)
    np.testing.assert_allclose(slope.field.strength, exact, atol=1e-3)


def test_hutchinson_estimate_is_unbiased():
    x, n = uniform(1)[0], 2000
    flow = climbing(0.7, divergence=rgen.HutchinsonDivergence())
    one = jax.jit(jax.vmap(flow.log_prob, (None, 0)))
    values = np.asarray(one(x, jr.split(jr.key(2), n)))
    error = values.mean() - climbed(0.7, x[None])[0]
    # A level of 1e-3, and the tolerance of the solver.
    assert abs(error) < 3.3 * values.std() / np.sqrt(n) + 2e-4
    with pytest.raises(ValueError, match="`key`"):
        flow.log_prob(x)


def test_evaluations_are_counted():
    calls = []

    def field(x, t):
        jax.debug.callback(lambda: calls.append(1))
        return S2.to_tangent(x, NORTH)

    flow = Flow(rgen.Uniform(S2), field)
    _, cost = jax.jit(flow.sample_and_cost)(jr.key(0))
    count = cost.evaluations
    jax.effects_barrier()
    # The first step's length is chosen with one further evaluation.
    assert 0 <= len(calls) - count <= 2


def test_a_flow_of_the_wrong_shape():
    flow = Flow(rgen.Uniform(S2), lambda x, t: x[:2])
    with pytest.raises(ValueError, match=r"of shape \(3,\), got \(2,\)"):
        flow.sample(jr.key(0))
    with pytest.raises(ValueError, match="expected `x` to have shape"):
        climbing(1.0).log_prob(uniform(4))


MANIFOLDS = [S2, rgen.Torus(2), rgen.SpecialOrthogonal(3), rgen.Hyperbolic(2)]


@pytest.mark.slow
@pytest.mark.parametrize("manifold", MANIFOLDS, ids=str)
def test_flow_matching_of_one_point(manifold):
    # All geodesics end in the point, and the field is that of the way that is left.
    base = rgen.WrappedNormal(manifold, manifold.origin, 0.4)
    x1 = base.sample(jr.key(0))
    exact = lambda x, t: manifold.log(x, x1) / (1 - t)
    turned = lambda x, t: exact(x, t) + 3 * manifold.basis(x)[0]
    keys, t = jr.split(jr.key(1), 50), jnp.linspace(0.0, 0.9, 50)
    for field, expected in ((exact, 0.0), (turned, 9.0)):
        loss = lambda t, key, f=field: rgen.losses.flow_matching(f, base, x1, t, key)
        # Rounding, divided by 1 - t.
        np.testing.assert_allclose(
            jax.jit(jax.vmap(loss))(t, keys), expected, atol=1e-3
        )


def test_the_field_that_matches_makes_the_law_of_the_data():
    # Normal data: the mean of x1 - x0 given the point between is linear in it.
    scale = 0.3
    spread = lambda t: (1 - t) ** 2 + (t * scale) ** 2
    field = lambda x, t: x * (t * scale**2 - (1 - t)) / spread(t)
    flow = Flow(rgen.WrappedNormal(R1, jnp.zeros(1), 1.0), field)
    x = jnp.linspace(-1, 1, 21)[:, None]
    exact = scipy.stats.norm(0, scale).logpdf(np.asarray(x[:, 0]))
    np.testing.assert_allclose(log_probs(flow, x), exact, atol=1e-3)


def test_flow_matching_is_a_regression():
    # The loss of any field exceeds that of the conditional mean by their squared
    # distance: here of normal data, at one time.
    scale, t, n = 0.3, jnp.array(0.6), 20_000
    base = rgen.WrappedNormal(R1, jnp.zeros(1), 1.0)
    spread = (1 - t) ** 2 + (t * scale) ** 2
    best = lambda x, t: x * (t * scale**2 - (1 - t)) / spread
    data = scale * samples_of(base, jr.key(0), n)

    @jax.jit
    def losses(key):
        one = lambda f, x1, key: rgen.losses.flow_matching(f, base, x1, t, key)
        other = lambda x, t: best(x, t) + 0.5 * x
        gap = lambda x1, key: one(other, x1, key) - one(best, x1, key)
        return jax.vmap(gap)(data, jr.split(key, n))

    gaps = np.asarray(losses(jr.key(1)))
    assert abs(gaps.mean() - 0.25 * spread) < 4 * gaps.std() / np.sqrt(n)


def moser(b, **kwargs):
    """With the ratio 1 + 2 b h of the height h."""
    return MoserFlow(S2, Climb(jnp.asarray(b)), **kwargs)


def test_density_of_a_moser_flow():
    x = uniform(50)
    exact = np.log((1 + 0.8 * np.float64(x[:, 2])) / (4 * np.pi))
    np.testing.assert_allclose(log_probs(moser(0.4), x), exact, atol=1e-5)


def test_samples_of_a_moser_flow():
    x = samples_of(moser(0.4), jr.key(1), 4000)
    rgen.check_points(S2, x)
    cdf = lambda h: (h + 1) / 2 + 0.4 * (h**2 - 1) / 2
    assert scipy.stats.kstest(np.float64(x[:, 2]), cdf).pvalue > 1e-3


def test_negative_mass_is_paid_for_and_has_no_density():
    flow, x, n = moser(1.0), NORTH, 20_000
    with pytest.raises(ValueError, match="negative"):
        flow.log_prob(-NORTH)
    with pytest.raises(eqx.EquinoxRuntimeError, match="negative"):
        eqx.filter_jit(flow.log_prob)(-NORTH)
    assert flow.ratio(-NORTH) == pytest.approx(-1, abs=1e-5)
    loss = lambda key: flow.loss(x, key, 2.0)
    values = np.asarray(jax.jit(jax.vmap(loss))(jr.split(jr.key(0), n)))
    # The mean of the negative part of 1 + 2 h, for h uniform, is 1/8.
    expected = 2 / 8 - np.log(3)
    # The floor adds at most its own size, twice.
    assert abs(values.mean() - expected) < 4 * values.std() / np.sqrt(n) + 2e-4


def test_negative_mass_costs_the_same_by_every_proposal():
    # Where the mass is negative a proposal near the south pole has more of its points.
    kernel = rgen.VonMisesFisherKernel(S2)
    near = rgen.KernelMixture(kernel, -NORTH[None], jnp.array([1e4, 1.0]), jnp.zeros(2))
    flow, n = moser(1.0), 20_000
    loss = lambda key: flow.loss(NORTH, key, 2.0, near)
    values = np.asarray(jax.jit(jax.vmap(loss))(jr.split(jr.key(0), n)))
    # The expected value of the test above, and its bound.
    expected = 2 / 8 - np.log(3)
    assert abs(values.mean() - expected) < 4 * values.std() / np.sqrt(n) + 2e-4
    evenly = lambda key: flow.loss(NORTH, key, 2.0)
    assert values.std() < jax.jit(jax.vmap(evenly))(jr.split(jr.key(0), n)).std()


def test_a_moser_flow_refuses():
    with pytest.raises(ValueError, match="compact"):
        MoserFlow(R1, lambda x, t: x)
    with pytest.raises(ValueError, match="`floor` to be positive"):
        moser(0.4, floor=0.0)


def test_a_flow_field_has_a_finest_scale():
    with pytest.raises(ValueError, match="`v_min` to be positive"):
        rgen.nn.FlowField(S2, v_min=0.0, key=jr.key(0))


def test_a_flow_field():
    field = rgen.nn.FlowField(S2, width=16, depth=2, frequencies=8, key=jr.key(0))
    x, t = uniform(1)[0], jnp.array(0.3)
    assert jnp.all(field(x, t) == 0)
    weight = field.field.network.last.weight
    field = eqx.tree_at(
        lambda f: f.field.network.last.weight, field, jr.normal(jr.key(1), weight.shape)
    )
    v = field(x, t)
    assert jnp.abs(v @ x) < 1e-5
    assert not jnp.allclose(v, field(x, jnp.array(0.9)))
    log_p = log_probs(Flow(rgen.Uniform(S2), field), uniform(4))
    assert jnp.all(jnp.isfinite(log_p))


def noised_normal():
    """A score model of normal data, whose score is exact."""
    plane = rgen.Euclidean(2)
    process = rgen.OrnsteinUhlenbeck(plane, rgen.LogUniformSchedule(1e-2))

    def score(x, t):
        return -x / (1 - 0.75 * jnp.exp(-process.schedule.variance(t)))

    return rgen.ScoreModel(score, process)


@pytest.mark.parametrize(
    "model",
    [
        rgen.VonMisesFisher(S2.origin, 3.0),
        pytest.param(climbing(1.3), marks=pytest.mark.slow),
        noised_normal(),
    ],
    ids=["closed form", "flow", "score model"],
)
def test_samples_come_with_their_densities(model):
    draw = eqx.filter_jit(eqx.filter_vmap(model.sample_and_log_prob))
    x, log_prob = draw(jr.split(jr.key(3), 50))
    assert jnp.std(x[:, 0]) > 0.1
    # The tolerance of a step is 1e-5 there and back, and there are about ten.
    np.testing.assert_allclose(log_prob, log_probs(model, x), atol=5e-4)


def test_samples_with_densities_are_those_without():
    model = climbing(1.3)
    keys = jr.split(jr.key(4), 2000)
    x, _ = eqx.filter_jit(eqx.filter_vmap(model.sample_and_log_prob))(keys)
    start = np.tanh(np.arctanh(np.float64(x[:, 2])) - 1.3)
    assert scipy.stats.kstest(start, scipy.stats.uniform(-1, 2).cdf).pvalue > 1e-3


def test_a_sample_with_its_density_that_does_not_finish():
    model = climbing(1.3, max_steps=1)
    with pytest.raises(eqx.EquinoxRuntimeError, match="max_steps"):
        eqx.filter_jit(model.sample_and_log_prob)(jr.key(0))
