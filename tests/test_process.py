import re

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats

import rgen


S2, H2, SO4 = rgen.Sphere(2), rgen.Hyperbolic(2), rgen.SpecialOrthogonal(4)
UNIT = rgen.ConstantSchedule()

# Statistical tests have fixed keys, and compare a mean with its expectation within four
# standard errors: a level of 6e-5 for each number compared.
SIGMAS = 4


def samples_of(process, x0, t, n, seed=0):
    sample = jax.jit(jax.vmap(process.sample, (None, None, 0)))
    return sample(x0, jnp.asarray(t, x0.dtype), jr.split(jr.key(seed), n))


def mean_and_error(values):
    values = np.asarray(values, np.float64)
    return values.mean(axis=0), values.std(axis=0) / np.sqrt(len(values))


# Schedules

SCHEDULES = [
    rgen.ConstantSchedule(2.5, 0.01, 3.0),
    rgen.LinearSchedule(0.3, 4.0),
    rgen.LogUniformSchedule(1e-4, 6.0),
    rgen.CoarseSchedule(rgen.LinearSchedule(0.3, 4.0), 0.4),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_speed_is_the_derivative_of_the_accumulated_variance(schedule):
    with jax.enable_x64(True):
        t = jnp.linspace(schedule.t0, schedule.t1, 33)
        beta = jax.vmap(schedule.beta)(t)
        slope = jax.vmap(jax.grad(schedule.variance))(t)
        np.testing.assert_allclose(beta, slope, rtol=1e-13)
        assert (beta > 0).all()
        assert schedule.variance(t[0]) > 0


def test_variance_accumulates_from_the_data_on():
    assert rgen.ConstantSchedule(2.5).variance(jnp.array(0.2)) == 0.5
    assert rgen.LinearSchedule(0.3, 4.0).variance(jnp.array(0.0)) == 0
    log = rgen.LogUniformSchedule(1e-4, 6.0)
    ends = [log.variance(jnp.array(t)) for t in (log.t0, log.t1)]
    # exp in float32 of a number near 11.
    np.testing.assert_allclose(ends, [1e-4, 6.0], rtol=2e-6)


def test_a_coarse_schedule_is_the_other_from_a_later_time_on():
    log = rgen.LogUniformSchedule(1e-4, 6.0)
    coarse = rgen.CoarseSchedule(log, 0.4)
    assert (coarse.t0, coarse.t1) == (0.4, log.t1)
    t = jnp.array(0.7)
    assert coarse.variance(t) == log.variance(t) and coarse.beta(t) == log.beta(t)
    for t0 in (-0.1, 1.0):
        with pytest.raises(ValueError, match="expected `t0`"):
            rgen.CoarseSchedule(log, t0)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_one_time_in_each_stratum(schedule):
    process = rgen.Brownian(S2, schedule)
    n, repeats = 64, 256
    times = jax.vmap(lambda key: process.stratified_times(key, n))
    t = np.asarray(times(jr.split(jr.key(0), repeats)), np.float64)
    place = (t - schedule.t0) / (schedule.t1 - schedule.t0) * n - np.arange(n)
    # The rounding of a time, in strata.
    assert (place > -1e-4).all() and (place < 1 + 1e-4).all()
    # Uniform in its stratum.
    assert scipy.stats.kstest(place.ravel(), "uniform").pvalue > 1e-3


# The Ornstein-Uhlenbeck process


def test_ornstein_uhlenbeck_is_langevin_in_flat_space():
    flat, x0, v, steps = rgen.Euclidean(2), jnp.array([1.5, -0.5]), 1.0, 100
    exact = rgen.OrnsteinUhlenbeck(flat, UNIT)
    walk = rgen.Langevin(flat, UNIT, steps=steps)
    # The linear recursion's own distribution: its mean and variance are known at every
    # step.
    decay, expected = (1 - v / steps / 2) ** steps, np.exp(-v / 2)
    spread = v / steps * (1 - decay**2) / (1 - (1 - v / steps / 2) ** 2)
    for process, factor, variance in [
        (exact, expected, 1 - np.exp(-v)),
        (walk, decay, spread),
    ]:
        x = samples_of(process, x0, v, 16384)
        mean, error = mean_and_error(x)
        assert (abs(mean - factor * x0) < SIGMAS * error).all()
        square, error = mean_and_error((x - mean) ** 2)
        assert (abs(square - variance) < SIGMAS * error).all()
    # The recursion is the process, to the order of its step.
    assert decay == pytest.approx(expected, abs=v / steps)
    assert spread == pytest.approx(1 - np.exp(-v), abs=v / steps)
    np.testing.assert_allclose(walk._drift(x0), exact._drift(x0), rtol=1e-6)


def test_ornstein_uhlenbeck_score():
    process = rgen.OrnsteinUhlenbeck(rgen.Euclidean(2), rgen.LinearSchedule())
    with jax.enable_x64(True):
        x0, x, t = jnp.array([1.5, -0.5]), jnp.array([0.2, 0.7]), jnp.array(0.4)
        v = process.schedule.variance(t)
        mean, variance = jnp.exp(-v / 2) * x0, 1 - jnp.exp(-v)
        log_normal = lambda x: -jnp.sum((x - mean) ** 2) / (2 * variance)
        score = process.score(x0, x, t)
        np.testing.assert_allclose(score, jax.grad(log_normal)(x), rtol=1e-12)


# Langevin dynamics


class Height:
    """A multiple of the height on the sphere."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return self.factor * x[2]


def test_langevin_converges_to_a_gibbs_distribution():
    # exp(k z) has the mean height coth k - 1 / k, and E z^2 = 1 - 2 E z / k.
    k, steps, v = 2.0, 300, 6.0
    limit = rgen.Gibbs(S2, Height(-k))
    process = rgen.Langevin(S2, UNIT, limit, steps=steps)
    x = samples_of(process, jnp.array([0.6, 0.0, -0.8]), v, 8192)
    z = np.asarray(x[:, 2], np.float64)
    first = 1 / np.tanh(k) - 1 / k
    expected = np.array([0, 0, first, 1 - 2 * first / k])
    mean, error = mean_and_error(np.concatenate([x, z[:, None] ** 2], axis=1))
    # After v = 6 the start is forgotten to e^{-6}, 0.0025. The walk's own distribution
    # is a step, 0.02, times a constant under one half away.
    assert (abs(mean - expected) < SIGMAS * error + 0.0025 + 0.01).all()
    # Which tells the distribution of half the potential, with mean height 0.313.
    assert first > 0.53


@pytest.mark.slow
def test_langevin_on_hyperbolic_space_converges_to_the_wrapped_normal():
    # In normal coordinates it is a standard normal: the distance to the origin has the
    # Rayleigh distribution.
    process = rgen.Langevin(H2, UNIT, steps=150)
    assert isinstance(process.prior, rgen.WrappedNormal)
    x = samples_of(process, jnp.array([0.5, -0.3]), 6.0, 2048)
    radii = jax.vmap(H2.dist, (None, 0))(H2.origin, x)
    assert scipy.stats.kstest(radii, "rayleigh").pvalue > 1e-3
    mean, error = mean_and_error(x)
    # The start is forgotten to e^{-3} of its length.
    assert (abs(mean) < SIGMAS * error + 0.05 * 0.6).all()


def test_drift_is_that_of_the_schedule():
    process = rgen.Langevin(rgen.Euclidean(2), rgen.LinearSchedule(1.0, 3.0))
    x, t = jnp.array([0.4, 0.2]), jnp.array(0.5)
    # In flat space the wrapped normal is the normal distribution; beta(0.5) = 2.
    np.testing.assert_allclose(process.drift(x, t), 2 * -x / 2, rtol=1e-6)


# Brownian motion


def test_brownian_motion_without_a_known_kernel():
    # On SO(n) the entries of a rotation are eigenfunctions of eigenvalue (n - 1) / 2 of
    # the generator.
    process = rgen.Brownian(SO4, UNIT, kernel=rgen.RandomWalkKernel(SO4, steps=50))
    v, n = 0.4, 2048
    x = samples_of(process, SO4.origin, v, n)
    mean, error = mean_and_error(jnp.trace(x, axis1=1, axis2=2))
    # The bias of the walk: a step's second-order terms, (d v / steps)^2 / 12 of the
    # mean.
    bias = 4 / 12 * 36 * v * (v / 50)
    assert abs(mean - 4 * np.exp(-1.5 * v)) < SIGMAS * error + bias
    assert jax.vmap(SO4.contains)(x).all()
    with pytest.raises(NotImplementedError, match="VaradhanHeatKernel"):
        process.score(SO4.origin, SO4.origin, jnp.array(v))


def test_accumulated_variance_sets_the_distribution():
    # Two schedules, and two times with the same accumulated variance.
    linear = rgen.LinearSchedule(0.0, 4.0)
    fast, slow = rgen.Brownian(S2, linear), rgen.Brownian(S2, UNIT)
    a = samples_of(fast, S2.origin, 0.5, 16)
    b = samples_of(slow, S2.origin, 0.5, 16)
    np.testing.assert_allclose(a, b, atol=1e-6)
    x, y = jnp.array([0.6, 0.0, 0.8]), jnp.array([0.0, 1.0, 0.0])
    half = jnp.array(0.5)
    np.testing.assert_allclose(
        fast.score(x, y, half), slow.score(x, y, half), rtol=1e-5
    )


# Dtypes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "process",
    [
        rgen.Brownian(S2, rgen.LogUniformSchedule()),
        rgen.Brownian(rgen.Torus(2), rgen.LogUniformSchedule()),
        rgen.Brownian(rgen.SpecialOrthogonal(3), rgen.LogUniformSchedule()),
        rgen.Brownian(
            SO4, rgen.LinearSchedule(), kernel=rgen.RandomWalkKernel(SO4, steps=2)
        ),
        rgen.Langevin(rgen.Euclidean(2), rgen.ConstantSchedule(), steps=2),
        rgen.OrnsteinUhlenbeck(rgen.Euclidean(2), rgen.LinearSchedule()),
    ],
    ids=["S2", "T2", "SO3", "walk", "langevin", "ou"],
)
def test_samples_and_drifts_have_the_dtype_of_their_point(process, dtype):
    with jax.enable_x64(True):
        x0 = process.manifold.origin.astype(dtype)
        t = jnp.array(0.5, dtype)
        assert jax.eval_shape(process.sample, x0, t, jr.key(0)).dtype == dtype
        assert jax.eval_shape(process.drift, x0, t).dtype == dtype
        assert jax.eval_shape(process.score_scale, t).dtype == dtype


# What is left of the data, and weights where nothing is


def test_a_schedule_ends_where_its_process_has_forgotten():
    ends = {
        rgen.Brownian(S2): 5.0,
        rgen.Brownian(rgen.Torus(2)): 10.0,
        rgen.Brownian(rgen.Torus(2), rgen.LogUniformSchedule(1e-3)): 10.0,
        rgen.OrnsteinUhlenbeck(rgen.Euclidean(2)): 10.0,
        rgen.Brownian(S2, rgen.LogUniformSchedule(1e-3, 7.0)): 7.0,
    }
    for process, end in ends.items():
        assert process.schedule.variance(jnp.array(1.0)) == pytest.approx(end, rel=1e-5)
    # The e-th part of the first mode's amplitude.
    assert rgen.Brownian(S2).remainder == pytest.approx(np.exp(-5), rel=1e-4)
    with pytest.raises(ValueError, match=r"process\.schedule"):
        rgen.LogUniformSchedule().variance(jnp.array(0.5))
    coarse = rgen.CoarseSchedule(rgen.LogUniformSchedule(), 0.5)
    assert rgen.Brownian(S2, coarse).schedule.schedule.v_max == 5.0


def test_langevin_dynamics_forget_as_their_prior_says():
    line = rgen.Euclidean(1)
    wide = rgen.Langevin(line, prior=rgen.WrappedNormal(line, jnp.zeros(1), 10.0))
    assert wide.rate == -0.01
    assert wide.schedule.v_max == 1000.0
    x = samples_of_transition(wide, jnp.full(1, 20.0), 4000)
    # What is left of the mean, 20 e^-5 = 0.13, and of the variance of the walk, which
    # its steps of 1/20 of the time scale widen by 1/40: standard errors are 0.16 and
    # 0.11.
    assert abs(jnp.mean(x)) < 0.13 + 5 * 0.16
    assert abs(jnp.std(x) - 10) < 0.13 + 5 * 0.11
    prior = rgen.Gibbs(line, lambda x: jnp.sum(x**4))
    with pytest.raises(ValueError, match="ten times the variance of the prior"):
        rgen.Langevin(line, prior=prior)
    unknown = rgen.Langevin(line, rgen.LogUniformSchedule(1e-4, 5.0), prior)
    assert unknown.rate == 0 and unknown.remainder == 0


def test_steps_too_long_for_the_prior_are_a_warning():
    line = rgen.Euclidean(1)
    prior = rgen.WrappedNormal(line, jnp.zeros(1), 0.1)
    schedule = rgen.LogUniformSchedule(1e-4, 10.0)
    with pytest.warns(
        UserWarning, match=r"too long for the prior.*steps=\d+"
    ) as record:
        process = rgen.Langevin(line, schedule, prior)
    assert jnp.isnan(process.sample(jnp.zeros(1), jnp.array(1.0), jr.key(0))).all()
    steps = int(re.search(r"steps=(\d+)", str(record[0].message))[1])
    process = rgen.Langevin(line, schedule, prior, steps)
    assert jnp.isfinite(process.sample(jnp.zeros(1), jnp.array(1.0), jr.key(0))).all()
    rgen.Langevin(line, prior=prior)


def samples_of_transition(process, x0, n):
    sample = lambda key: process.sample(x0, jnp.array(process.schedule.t1), key)
    return jax.jit(jax.vmap(sample))(jr.split(jr.key(3), n))


def test_a_model_says_what_its_process_has_not_forgotten():
    process = rgen.Brownian(rgen.Torus(2), rgen.LogUniformSchedule(1e-3, 5.0))
    score = lambda x, t: 0 * x
    with pytest.warns(UserWarning, match="remembers 8% .* rgen.LogUniformSchedule"):
        rgen.ScoreModel(score, process)
    # What the message says to do.
    rgen.ScoreModel(score, rgen.Brownian(rgen.Torus(2), rgen.LogUniformSchedule()))


@pytest.mark.slow
@pytest.mark.parametrize(
    "process",
    [
        rgen.Brownian(S2, rgen.LogUniformSchedule(1e-4, 50.0)),
        rgen.Brownian(rgen.Torus(3), rgen.LogUniformSchedule(1e-4, 100.0)),
        rgen.Brownian(rgen.SpecialOrthogonal(3), rgen.ConstantSchedule(50.0)),
        rgen.Brownian(rgen.Sphere(31), rgen.LogUniformSchedule(1e-4, 1e4)),
    ],
    ids=["S2", "T3", "SO3", "S31"],
)
def test_weighted_losses_are_finite_long_after_the_data_is_forgotten(process):
    x0, t = process.manifold.origin, jnp.array(process.schedule.t1)
    score = rgen.nn.ScoreField(process, width=4, depth=1, frequencies=2, key=jr.key(0))
    biased = lambda s: s.field.network.last.bias
    score = eqx.tree_at(biased, score, jnp.ones_like(biased(score)))
    weight = rgen.losses.variance_weight
    for loss in (rgen.losses.denoising, rgen.losses.sliced):
        value, gradient = eqx.filter_jit(eqx.filter_value_and_grad(loss))(
            score, process, x0, t, jr.key(1), weight=weight
        )
        leaves = jax.tree.leaves(gradient)
        assert jnp.isfinite(value) and all(jnp.isfinite(g).all() for g in leaves)
        # The field is one unit of the score's size, and the score itself is nothing.
        if loss is rgen.losses.denoising:
            assert 0 < value < 10 * process.manifold.dim


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_times_of_a_sampler_are_equal_in_log_variance(schedule):
    with jax.enable_x64(True):
        process = rgen.Brownian(S2, schedule)
        times = process.time_grid(20)
        assert (times[0], times[-1]) == (schedule.t1, schedule.t0)
        steps = jnp.diff(jnp.log(jax.vmap(schedule.variance)(times)))
        np.testing.assert_allclose(steps, steps[0], rtol=1e-9)


class Tilted(rgen.AbstractProcess):
    """A process of a user's, whose constructor is not that of its fields."""

    schedule: rgen.AbstractSchedule

    manifold = rgen.Euclidean(2)
    rate = -1.0

    def __init__(self, pace):
        self.schedule = rgen.ConstantSchedule(pace)

    @property
    def kernel(self):
        return rgen.RandomWalkKernel(self.manifold, self._drift, steps=4)

    @property
    def prior(self):
        return rgen.WrappedNormal(self.manifold, jnp.zeros(2), 1.0)

    def _drift(self, x):
        return -x / 2


def test_a_process_of_your_own():
    process = Tilted(pace=2.0)
    x = process.sample(jnp.ones(2), jnp.array(0.5), jr.key(0))
    assert x.shape == (2,)
    loss = rgen.losses.sliced
    assert jnp.isfinite(loss(lambda x, t: -x, process, x, jnp.array(0.5), jr.key(1)))
