import functools
import itertools

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats

import rgen


S2, T2, SO3 = rgen.Sphere(2), rgen.Torus(2), rgen.SpecialOrthogonal(3)
H2 = rgen.Hyperbolic(2)

# Some processes here are stopped early on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:ScoreModel.* still remembers")

# Statistical tests have fixed keys, and compare a mean with its expectation within four
# standard errors: a level of 6e-5 for each number compared.
SIGMAS = 4


def mean_and_error(values):
    values = np.asarray(values, np.float64)
    return values.mean(axis=0), values.std(axis=0) / np.sqrt(len(values))


def zero(x, t):
    return jnp.zeros_like(x)


# A model that is known: two points on the sphere, blurred


class MixtureScore(eqx.Module):
    """The exact score of weighted points."""

    process: rgen.Brownian
    centres: jax.Array
    log_weights: jax.Array

    def terms(self, x, t):
        v = self.process.schedule.variance(t)
        log_prob = rgen.heat_kernel(self.process.manifold).log_prob
        return self.log_weights + jax.vmap(log_prob, (0, None, None))(
            self.centres, x, v
        )

    def log_prob(self, x, t):
        return jax.nn.logsumexp(self.terms(x, t))

    def __call__(self, x, t):
        scores = jax.vmap(self.process.score, (0, None, None))(self.centres, x, t)
        return jax.nn.softmax(self.terms(x, t)) @ scores


# At v = 20 the distribution is uniform to e^{-20}.
PROCESS = rgen.Brownian(S2, rgen.LogUniformSchedule(0.05, 20.0))
CENTRES = np.array([[0.0, 0.6, 0.8], [0.6, -0.8, 0.0]])
WEIGHTS = np.array([0.3, 0.7])


def mixture(dtype):
    centres, weights = jnp.asarray(CENTRES, dtype), jnp.asarray(WEIGHTS, dtype)
    return MixtureScore(PROCESS, centres, jnp.log(weights))


def uniform_points(manifold, n):
    return jax.jit(jax.vmap(manifold.uniform))(jr.split(jr.key(0), n))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "tolerance", "error"),
    # The tolerance of one step, times the two hundred steps that the hardest point
    # takes in float32, and the thousand that it takes in float64.
    [("float32", 1e-5, 2e-3), ("float64", 1e-9, 1e-6)],
)
def test_log_prob_of_the_exact_score(dtype, tolerance, error):
    with jax.enable_x64(dtype == "float64"):
        score = mixture(dtype)
        x = jax.vmap(S2.project)(uniform_points(S2, 64).astype(dtype))
        flow = rgen.ProbabilityFlow(
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance)
        )
        value = rgen.log_prob(rgen.ScoreModel(score, PROCESS, flow=flow), x)
        t0 = jnp.array(PROCESS.schedule.t0, dtype)
        exact = jax.vmap(score.log_prob, (0, None))(x, t0)
        assert value.dtype == dtype
        np.testing.assert_allclose(value, exact, atol=error)
        # From the middle of the data to far away.
        assert jnp.ptp(exact) > 5


@pytest.mark.slow
def test_a_coarse_schedule_stops_at_the_coarser_distribution():
    t0 = 0.3
    schedule = rgen.CoarseSchedule(PROCESS.schedule, t0)
    coarse = rgen.Brownian(S2, schedule)
    score = mixture("float32")
    x = uniform_points(S2, 64)
    exact = jax.vmap(score.log_prob, (0, None))(x, jnp.array(t0))
    # As above; and another distribution than that at the first time.
    np.testing.assert_allclose(
        rgen.log_prob(rgen.ScoreModel(score, coarse), x), exact, atol=2e-3
    )
    finer = jax.vmap(score.log_prob, (0, None))(x, jnp.array(PROCESS.schedule.t0))
    assert np.max(np.abs(finer - exact)) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler",
    [rgen.ReverseSDE(200), rgen.ProbabilityFlow()],
    ids=["ReverseSDE", "ProbabilityFlow"],
)
def test_samples_of_the_exact_score_follow_the_data(sampler):
    n = 4096
    x = rgen.sample(rgen.ScoreModel(mixture("float32"), PROCESS, sampler), jr.key(1), n)
    assert x.shape == (n, 3)
    rgen.check_points(S2, x)
    index = jr.categorical(jr.key(2), jnp.log(WEIGHTS), shape=(n,))
    centres = jnp.asarray(CENTRES, jnp.float32)[index]
    t0 = jnp.array(PROCESS.schedule.t0)
    sample = jax.jit(jax.vmap(PROCESS.sample, (0, None, 0)))
    exact = sample(centres, t0, jr.split(jr.key(3), n))
    for direction in (*CENTRES, [1.0, 0.0, 0.0]):
        direction = np.asarray(direction, np.float32)
        test = scipy.stats.ks_2samp(x @ direction, exact @ direction)
        assert test.pvalue > 1e-3
    mean, error = mean_and_error(x)
    # The last steps of the walk, of relative size log(400) / 200, leave a bias of that
    # order in the blur, 0.05.
    expected = np.exp(-0.05) * WEIGHTS @ CENTRES
    assert (abs(mean - expected) < SIGMAS * error + 0.05 * 0.03).all()


# Any field has a density that integrates to one


def quadrature(manifold):
    """Points and weights that integrate smooth functions over the manifold."""
    if manifold == T2:
        angles = np.arange(24) * 2 * np.pi / 24
        x = np.array(list(itertools.product(angles, angles)))
        return x, np.full(len(x), (2 * np.pi / 24) ** 2)
    heights, weights = np.polynomial.legendre.leggauss(14)
    angles = np.arange(20) * 2 * np.pi / 20
    if manifold == S2:
        z, a = (g.ravel() for g in np.meshgrid(heights, angles, indexing="ij"))
        flat = np.sqrt(1 - z**2)
        x = np.stack([flat * np.cos(a), flat * np.sin(a), z], axis=1)
        return x, np.repeat(weights * 2 * np.pi / 20, 20)
    # Euler angles, with volume sin(b) da db dc.
    b, a, c = (
        g.ravel()
        for g in np.meshgrid(np.arccos(heights), angles, angles, indexing="ij")
    )
    x = turn(a, 2) @ turn(b, 1) @ turn(c, 2)
    return x, np.repeat(weights * (2 * np.pi / 20) ** 2, 20 * 20)


def turn(angle, axis):
    """Rotations about a coordinate axis."""
    i, j = [k for k in range(3) if k != axis]
    matrix = np.tile(np.eye(3), (len(angle), 1, 1))
    matrix[:, i, i] = matrix[:, j, j] = np.cos(angle)
    matrix[:, i, j], matrix[:, j, i] = -np.sin(angle), np.sin(angle)
    return matrix


def integral(score, process, **kwargs):
    x, weights = quadrature(process.manifold)
    log_p = rgen.log_prob(
        rgen.ScoreModel(score, process, **kwargs), jnp.asarray(x, jnp.float32)
    )
    log_p = np.asarray(log_p, np.float64)
    # A density that is all but constant would tell nothing.
    assert np.std(log_p) > 0.2
    return weights @ np.exp(log_p)


def untrained(process):
    """A field with a random last layer, which is zero where training starts."""
    key = jr.key(4)
    size = dict(width=16, depth=2, frequencies=8, max_frequency=2.0)
    score = rgen.nn.ScoreField(process, **size, key=key)
    weight = score.field.network.last.weight
    random = jr.normal(key, weight.shape, weight.dtype)
    return eqx.tree_at(lambda s: s.field.network.last.weight, score, random)


MANIFOLDS = {"S2": S2, "T2": T2, "SO3": SO3}


@pytest.mark.slow
@pytest.mark.parametrize("name", MANIFOLDS)
def test_density_of_an_untrained_field_integrates_to_one(name):
    process = rgen.Brownian(MANIFOLDS[name], rgen.LogUniformSchedule(0.1, 6.0))
    total = integral(untrained(process), process)
    assert total == pytest.approx(1, abs=1e-3)


ADJOINTS = {
    "reverse": (diffrax.RecursiveCheckpointAdjoint(), jax.jacrev),
    "forward": (diffrax.ForwardMode(), jax.jacfwd),
}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ADJOINTS)
@pytest.mark.parametrize("name", ["S2", "SO3"])
def test_gradients_of_a_density(name, mode):
    """In a point and in parameters, against central differences."""
    adjoint, jacobian = ADJOINTS[mode]
    with jax.enable_x64(True):
        manifold = MANIFOLDS[name]
        process = rgen.Brownian(manifold, rgen.LogUniformSchedule(0.1, 6.0))
        score = untrained(process)
        # Of fixed steps, which are a smooth function of all that goes in.
        steps = diffrax.StepTo(process.time_grid(4))
        flow = rgen.ProbabilityFlow(diffrax.Bosh3(), steps, adjoint)
        x = manifold.uniform(jr.key(1))
        direction = manifold.tangent_noise(x, jr.key(2))
        random = jr.normal(jr.key(3), score.field.network.last.weight.shape)

        @jax.jit
        def log_prob(along):
            """Of a point on a geodesic, and of weights on a line."""
            weight = lambda s: s.field.network.last.weight
            moved = eqx.tree_at(weight, score, weight(score) + along[1] * random)
            model = rgen.ScoreModel(moved, process, flow=flow)
            return model.log_prob(manifold.exp(x, along[0] * direction))

        found = jax.jit(jacobian(log_prob))(jnp.zeros(2))
        h = 1e-4
        shifts = h * jnp.eye(2)
        differences = [(log_prob(e) - log_prob(-e)) / (2 * h) for e in shifts]
    assert (np.abs(found) > 1e-2).all()
    # The third derivatives times h^2 / 6, and rounding over h.
    np.testing.assert_allclose(found, differences, rtol=1e-6, atol=1e-7)


@pytest.mark.slow
def test_fixed_steps_of_a_density():
    score = mixture("float32")
    near = lambda c, key: S2.exp(c, 0.2 * S2.tangent_noise(c, key))
    # Among the data: where log p is -38, it is off by 11.
    centres = jnp.repeat(score.centres, 10, axis=0)
    x = jax.vmap(near)(centres, jr.split(jr.key(0), 20))
    exact = jax.vmap(lambda x: score.log_prob(x, jnp.array(PROCESS.schedule.t0)))(x)
    grid = PROCESS.time_grid(60)

    def log_prob_and_cost(times):
        flow = rgen.ProbabilityFlow(stepsize_controller=diffrax.StepTo(times))
        return rgen.log_prob_and_cost(rgen.ScoreModel(score, PROCESS, flow=flow), x)

    (a, cost), (b, _) = map(log_prob_and_cost, (grid, grid[::-1]))
    # The same sums of the same times.
    np.testing.assert_array_equal(a, b)
    assert (cost.evaluations == 61).all()
    # 9e-4 was measured, of the first steps, which are of a lower order.
    np.testing.assert_allclose(a, exact, rtol=0, atol=3e-3)


class Ambient(eqx.Module):
    """The tangent part of a field in the space around the sphere."""

    def ambient(self, x):
        matrix = jnp.array([[1.0, 0.5, -0.3], [0.2, -0.8, 0.9], [0.4, 0.3, 1.5]])
        return matrix @ x + jnp.array([0.4, 0.0, -0.6])

    def __call__(self, x, t):
        return S2.to_tangent(x, self.ambient(x))


class Unprojected(rgen.AbstractDivergence):
    """What it would be to take the trace of the field in space, which is off by twice
    its normal part: the model's flow is minus one half of the score."""

    def __call__(self, manifold, f, x, key):
        value, exact = rgen.ExactDivergence()(manifold, f, x)
        return value, exact - jnp.sum(x * Ambient().ambient(x))


@pytest.mark.slow
def test_density_with_the_trace_of_an_unprojected_field_does_not():
    process = rgen.Brownian(S2, rgen.ConstantSchedule(t0=0.01, t1=1.0))
    right = integral(Ambient(), process)
    wrong = integral(Ambient(), process, divergence=Unprojected())
    assert right == pytest.approx(1, abs=1e-3)
    assert abs(wrong - 1) > 0.1


class Normal(Ambient):
    """The same, with its normal part left in."""

    def __call__(self, x, t):
        return self.ambient(x)


@pytest.mark.slow
def test_normal_part_of_a_field_plays_no_role():
    process = rgen.Brownian(S2, rgen.ConstantSchedule(t0=0.01, t1=1.0))
    x = uniform_points(S2, 16)
    a, b = (
        rgen.log_prob(rgen.ScoreModel(field, process), x)
        for field in (Ambient(), Normal())
    )
    np.testing.assert_allclose(a, b, atol=1e-4)
    for sampler in (rgen.ReverseSDE(20), rgen.ProbabilityFlow()):
        a, b = (
            rgen.sample(rgen.ScoreModel(field, process, sampler), jr.key(0), 16)
            for field in (Ambient(), Normal())
        )
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_only_the_tangent_part_of_a_field_counts():
    x, t = S2.project(jnp.array([0.3, -0.5, 0.6])), jnp.array(0.5)
    flow = rgen.flow_term(S2, Normal())
    field = np.asarray(Normal().ambient(x), np.float64)
    matrix = np.asarray(jax.jacfwd(Normal().ambient)(x), np.float64)
    normal = np.dot(x, field)
    # The divergence of F - <x, F> x on the sphere, where F has a constant derivative:
    # its trace on the tangent space, less twice the normal part of F.
    tangent = field - normal * x
    divergence = np.trace(matrix) - x @ matrix @ x - 2 * normal
    assert abs(normal) > 0.3
    np.testing.assert_allclose(flow.vf(t, x, None), tangent, atol=1e-6)
    along, found = rgen.density_term(flow).vf(t, (x, jnp.zeros(())), None)
    np.testing.assert_allclose(along, tangent, atol=1e-6)
    np.testing.assert_allclose(found, divergence, atol=1e-5)

    def estimate(key):
        term = rgen.density_term(flow, rgen.HutchinsonDivergence(), key)
        return term.vf(t, (x, jnp.zeros(())), None)

    along, found = jax.vmap(estimate)(jr.split(jr.key(10), 65536))
    np.testing.assert_allclose(along[0], tangent, atol=1e-6)
    mean, error = mean_and_error(found)
    assert abs(mean - divergence) < SIGMAS * error < 0.2 * abs(normal)


@pytest.mark.slow
def test_hutchinson_estimate_is_unbiased():
    process = rgen.Brownian(S2, rgen.ConstantSchedule(t0=0.01, t1=1.0))
    points = uniform_points(S2, 4)
    exact = rgen.log_prob(rgen.ScoreModel(Ambient(), process), points)
    n = 1024
    model = rgen.ScoreModel(Ambient(), process, divergence=rgen.HutchinsonDivergence())
    estimate = rgen.log_prob(model, jnp.repeat(points, n, axis=0), jr.key(5))
    mean, error = mean_and_error(estimate.reshape(4, n).T)
    # The tolerance of the solver on top.
    assert (abs(mean - exact) < SIGMAS * error + 1e-4).all()
    assert (error > 1e-3).all()


# Compiled once, and counted right


class Traced(eqx.Module):
    factor: jax.Array
    traces = []  # noqa: RUF012 (shared on purpose)

    def __call__(self, x, t):
        self.traces.append(1)
        return S2.to_tangent(x, self.factor * jnp.array([0.0, 0.0, 1.0], x.dtype))


@pytest.mark.slow
@pytest.mark.parametrize(
    "call",
    [
        lambda score, n: rgen.sample(
            rgen.ScoreModel(score, PROCESS, rgen.ReverseSDE(5)), jr.key(0), n
        ),
        lambda score, n: rgen.sample(
            rgen.ScoreModel(score, PROCESS, rgen.ProbabilityFlow()), jr.key(0), n
        ),
        lambda score, n: rgen.log_prob(
            rgen.ScoreModel(score, PROCESS), uniform_points(S2, n)
        ),
    ],
    ids=["ReverseSDE", "ProbabilityFlow", "log_prob"],
)
def test_other_parameters_do_not_trace_again(call):
    Traced.traces.clear()
    first = call(Traced(jnp.array(0.1)), 3)
    traces = len(Traced.traces)
    second = call(Traced(jnp.array(0.9)), 3)
    assert len(Traced.traces) == traces > 0
    assert not jnp.array_equal(first, second)


class Counting(rgen.AbstractDivergence):
    """Counts the evaluations of the field and its divergence, as they are made."""

    count = []  # noqa: RUF012 (shared on purpose)

    def __call__(self, manifold, f, x, key):
        jax.debug.callback(lambda x: self.count.append(1), x)
        return rgen.ExactDivergence()(manifold, f, x)


@pytest.mark.slow
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6])
def test_number_of_evaluations(tolerance):
    Counting.count.clear()
    flow = rgen.ProbabilityFlow(
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance)
    )
    x = uniform_points(S2, 1)
    _, cost = rgen.log_prob_and_cost(
        rgen.ScoreModel(mixture("float32"), PROCESS, flow=flow, divergence=Counting()),
        x,
    )
    evaluations = jax.block_until_ready(cost.evaluations)
    jax.effects_barrier()
    assert evaluations.shape == (1,)
    # One point is computed as a whole vector of sixteen.
    assert len(Counting.count) == 16 * evaluations[0]


# Other manifolds and processes

WALK = rgen.Langevin(H2, rgen.LinearSchedule(0.1, 2.0))
CALLS = {
    "sample": lambda x, key: rgen.ReverseSDE()(zero, PROCESS, x, key)[0],
    "log_prob": lambda x, key: rgen.ScoreModel(zero, PROCESS).log_prob_and_cost(x),
    "random walk": lambda x, key: WALK.sample(H2.origin, jnp.array(0.5), key),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_programs_can_be_kept_in_the_compilation_cache(call):
    # JAX keeps no program that calls back to Python.
    lowered = jax.jit(call).lower(S2.origin, jr.key(0))
    assert "callback" not in lowered.as_text()


COMPACT = {
    "Product": rgen.Product(S2, T2),
    "Power": rgen.Power(SO3, 2),
    "SO4": rgen.SpecialOrthogonal(4),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPACT)
def test_zero_field_is_the_uniform_distribution(name):
    manifold = COMPACT[name]
    process = rgen.Brownian(manifold, rgen.LogUniformSchedule(0.1, 3.0))
    n = 4096
    x = rgen.sample(rgen.ScoreModel(zero, process, rgen.ReverseSDE(4)), jr.key(6), n)
    assert x.shape == (n, *manifold.point_shape)
    rgen.check_points(manifold, x)
    mean, error = mean_and_error(jax.vmap(manifold.features)(x))
    assert (abs(mean) < SIGMAS * error).all()
    log_p = rgen.log_prob(rgen.ScoreModel(zero, process), x[:2])
    np.testing.assert_allclose(log_p, -manifold.log_volume, rtol=1e-6)


class Stationary(eqx.Module):
    """The score of data that has the distribution of the prior."""

    process: rgen.Langevin

    def __call__(self, x, t):
        limit = self.process.prior
        return self.process.manifold.gradient(limit.log_prob, x)


@pytest.mark.slow
@pytest.mark.parametrize("manifold", [H2, rgen.Euclidean(2)], ids=["H2", "R2"])
def test_score_of_the_limit_keeps_the_limit(manifold):
    process = rgen.Langevin(manifold, rgen.LinearSchedule(0.1, 2.0))
    score = Stationary(process)
    x = rgen.sample(
        rgen.ScoreModel(score, process, rgen.ReverseSDE(50)), jr.key(7), 1024
    )
    radii = jax.vmap(manifold.dist, (None, 0))(manifold.origin, x)
    assert scipy.stats.kstest(radii, "rayleigh").pvalue > 1e-3
    # Drift and score cancel, to rounding, and the flow rests.
    log_p = rgen.log_prob(rgen.ScoreModel(score, process), x[:8])
    np.testing.assert_allclose(
        log_p, jax.vmap(process.prior.log_prob)(x[:8]), atol=1e-5
    )


def test_ornstein_uhlenbeck_model():
    # Data at one point: the model is a normal distribution, of known mean and variance.
    process = rgen.OrnsteinUhlenbeck(
        rgen.Euclidean(2), rgen.LogUniformSchedule(0.05, 12.0)
    )
    x0 = jnp.array([1.0, -0.5])
    score = lambda x, t: process.score(x0, x, t)
    mean, variance = np.exp(-0.025) * x0, 1 - np.exp(-0.05)
    x = rgen.sample(
        rgen.ScoreModel(score, process, rgen.ProbabilityFlow()), jr.key(8), 4096
    )
    for k in range(2):
        distribution = scipy.stats.norm(mean[k], np.sqrt(variance))
        assert scipy.stats.kstest(x[:, k], distribution.cdf).pvalue > 1e-3
    log_p = rgen.log_prob(rgen.ScoreModel(score, process), x[:8])
    normal = scipy.stats.multivariate_normal(mean, variance * np.eye(2))
    # At v = 12 the mean is e^{-6} away from the limit's, 0.0025, times at most four.
    np.testing.assert_allclose(log_p, normal.logpdf(x[:8]), atol=0.012)


def test_moments_of_the_reverse_walk():
    # Data at one point: each step is linear, and its mean and variance follow from
    # those before it, which start at the prior's.
    v_min, v_max, steps, n = 0.05, 3.0, 12, 16384
    schedule = rgen.LogUniformSchedule(v_min, v_max)
    process = rgen.OrnsteinUhlenbeck(rgen.Euclidean(2), schedule)
    x0 = np.array([1.0, -0.5], np.float32)
    score = lambda x, t: process.score(jnp.asarray(x0), x, t)
    model = rgen.ScoreModel(score, process, rgen.ReverseSDE(steps))
    x = rgen.sample(model, jr.key(11), n)

    mean, variance = np.zeros(2), 1.0
    for k in range(steps):
        v = v_max * (v_min / v_max) ** (k / steps)
        passed = v * np.log(v_max / v_min) / steps
        # Back in time: x / 2 for the drift, and the score of the noised point.
        centre, width = np.exp(-v / 2) * x0, 1 - np.exp(-v)
        decay = 1 + passed * (1 / 2 - 1 / width)
        mean = decay * mean + passed * centre / width
        variance = decay**2 * variance + passed
    found, error = mean_and_error(x)
    assert (abs(found - mean) < SIGMAS * error).all()
    square, error = mean_and_error((x - mean) ** 2)
    assert (abs(square - variance) < SIGMAS * error).all()
    # That of one step more or less is another one.
    assert (SIGMAS * error < 0.1 * variance).all()


@pytest.mark.slow
def test_score_model_is_the_same_distribution():
    manifold = rgen.Sphere(2)
    process = rgen.Brownian(manifold, rgen.LogUniformSchedule(0.1, 3.0))
    x0 = manifold.origin
    score = lambda x, t: process.score(x0, x, t)
    # By rounding, two programs may choose other steps: they have to be fine.
    flow = rgen.ProbabilityFlow(
        stepsize_controller=diffrax.PIDController(rtol=1e-6, atol=1e-6)
    )
    model = rgen.ScoreModel(score, process, flow=flow)
    key, n = jr.key(9), 5
    x = rgen.sample(rgen.ScoreModel(score, process), key, n)
    # The same sums, compiled apart.
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4)
    close(jax.jit(jax.vmap(model.sample))(jr.split(key, n)), x)
    log_prob = jax.jit(jax.vmap(model.log_prob))
    close(log_prob(x), rgen.log_prob(rgen.ScoreModel(score, process, flow=flow), x))
    with pytest.raises(ValueError, match="expected `x` to have shape"):
        model.log_prob(x)
