"""Products and powers of processes: poses, S² x R, T^n x R^m, several poses."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
import scipy.stats
from helpers import slow

import rgen


SO3, R3 = rgen.SpecialOrthogonal(3), rgen.Euclidean(3)
ROTATIONS = rgen.Brownian(SO3, rgen.LogUniformSchedule(1e-2))
TRANSLATIONS = rgen.OrnsteinUhlenbeck(R3, rgen.LogUniformSchedule(4e-2))
POSES = rgen.ProductProcess(ROTATIONS, TRANSLATIONS)
ORIGIN = POSES.manifold.join(SO3.origin, jnp.array([1.0, -0.5, 2.0]))
T = jnp.array(0.4)


def winds():
    """S² x R: a direction and a speed."""
    return rgen.ProductProcess(
        rgen.Brownian(rgen.Sphere(2), rgen.LogUniformSchedule(1e-2)),
        rgen.OrnsteinUhlenbeck(rgen.Euclidean(1), rgen.LogUniformSchedule(4e-2)),
    )


def linkage():
    """T³ x R²: angles of joints, and lengths."""
    return rgen.ProductProcess(
        rgen.Brownian(rgen.Torus(3), rgen.LogUniformSchedule(2e-2)),
        rgen.OrnsteinUhlenbeck(rgen.Euclidean(2), rgen.LogUniformSchedule(1e-2)),
    )


PROCESSES = {
    "S2 x R": winds(),
    "T3 x R2": linkage(),
    "poses": POSES,
    "two poses": rgen.PowerProcess(POSES, 2),
}
every_process = pytest.mark.parametrize(
    "name", ["T3 x R2", *slow(name for name in PROCESSES if name != "T3 x R2")]
)


def factors(process, *points):
    """Each factor's process, and its part of each point."""
    if isinstance(process, rgen.PowerProcess):
        copies = [factors(process.process, *copy) for copy in zip(*points, strict=True)]
        return [factor for copy in copies for factor in copy]
    parts = [process.manifold.split(x) for x in points]
    return list(zip(process.processes, *parts, strict=True))


def centre(process, key):
    """A point at a distance of about one from the origin."""
    manifold = process.manifold
    noise = manifold.tangent_noise(manifold.origin, key)
    return manifold.exp(manifold.origin, noise / 2)


class TwoPoints(eqx.Module):
    """The noised distribution of data at two points, and its score: in it the factors
    depend on each other."""

    process: rgen.AbstractProcess
    centres: jax.Array

    def __init__(self, process):
        self.process = process
        keys = jr.split(jr.key(7))
        self.centres = jnp.stack([centre(process, key) for key in keys])

    def log_probs(self, x, t):
        v = self.process.schedule.variance(t)
        each = lambda x0: self.process.kernel.log_prob(x0, x, v)
        return jax.vmap(each)(self.centres) - jnp.log(2)

    def log_prob(self, x, t):
        return jax.nn.logsumexp(self.log_probs(x, t))

    def sample(self, t, key):
        index_key, key = jr.split(key)
        return self.process.sample(self.centres[jr.bernoulli(index_key) * 1], t, key)

    def __call__(self, x, t):
        each = jax.vmap(lambda x0: self.process.score(x0, x, t))(self.centres)
        return jnp.tensordot(jax.nn.softmax(self.log_probs(x, t)), each, 1)


@every_process
def test_the_kernel_factorises(name):
    process = PROCESSES[name]
    x0, x = centre(process, jr.key(5)), centre(process, jr.key(6))
    v = process.schedule.variance(T)
    log_prob, score = process.kernel.log_prob(x0, x, v), process.score(x0, x, T)
    each = [p.kernel.log_prob(a, b, p.schedule.variance(T))
            for p, a, b in factors(process, x0, x)]  # fmt: skip
    assert log_prob == pytest.approx(float(sum(each)), rel=1e-5)
    # The score of each factor is that of its process, and all are the gradient.
    for p, a, b, s in factors(process, x0, x, score):
        np.testing.assert_allclose(s, p.score(a, b, T), rtol=1e-5, atol=1e-6)
    gradient = process.manifold.gradient(lambda y: process.kernel.log_prob(x0, y, v), x)
    np.testing.assert_allclose(score, gradient, rtol=1e-3, atol=1e-3)


def test_factors_have_noise_of_their_own():
    line = rgen.OrnsteinUhlenbeck(rgen.Euclidean(1), rgen.LogUniformSchedule())
    n = 4096
    keys = jr.split(jr.key(12), n)
    for process in (rgen.ProductProcess(line, line), rgen.PowerProcess(line, 2)):
        noised = jax.vmap(process.sample, (None, None, 0))
        noised = noised(process.manifold.origin, T, keys)
        for x in (noised, jax.vmap(process.prior.sample)(keys)):
            correlation = np.corrcoef(x.reshape(n, 2).T)[0, 1]
            # Four standard errors: a level of 6e-5 for each of four.
            assert abs(correlation) < 4 / np.sqrt(n)


@every_process
def test_the_prior_and_the_drift_factorise(name):
    process = PROCESSES[name]
    x = process.prior.sample(jr.key(8))
    rgen.check_points(process.manifold, x[None])
    each = [p.prior.log_prob(a) for p, a in factors(process, x)]
    assert process.prior.log_prob(x) == pytest.approx(float(sum(each)), rel=1e-5)
    for p, a, drift in factors(process, x, process.drift(x, T)):
        np.testing.assert_allclose(drift, p.drift(a, T), rtol=1e-5, atol=1e-6)
    score = process.manifold.to_tangent(x, jnp.ones_like(x))
    denoised = process.denoised(x, T, score)
    for p, a, s, d in factors(process, x, score, denoised):
        np.testing.assert_allclose(d, p.denoised(a, T, s), rtol=1e-5, atol=1e-5)


@every_process
def test_the_density_of_the_exact_score_is_that_of_the_noised_data(name):
    process = PROCESSES[name]
    exact = TwoPoints(process)
    model = rgen.ScoreModel(exact, process)
    t0 = jnp.array(process.schedule.t0)
    x = jax.vmap(exact.sample, (None, 0))(t0, jr.split(jr.key(9), 16))
    expected = jax.jit(jax.vmap(exact.log_prob, (0, None)))(x, t0)
    # At its end the process remembers e^{-5} of the slowest modes, 9 on SO(3), each of
    # square 1 in the mean over the manifold.
    atol = 9 * process.remainder * len(factors(process, x[0])) / 2 + 0.01
    np.testing.assert_allclose(rgen.log_prob(model, x), expected, atol=atol)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sampler"),
    [
        *((name, rgen.ReverseSDE()) for name in PROCESSES),
        ("T3 x R2", rgen.FewSteps(64)),
        ("two poses", rgen.Churn(64, 8.0)),
    ],
)
def test_samples_of_the_exact_score_are_the_noised_data(name, sampler):
    process = PROCESSES[name]
    exact = TwoPoints(process)
    n, t0 = 1000, jnp.array(process.schedule.t0)
    found = rgen.sample(rgen.ScoreModel(exact, process, sampler), jr.key(10), n)
    expected = jax.jit(jax.vmap(exact.sample, (None, 0)))(t0, jr.split(jr.key(11), n))
    rgen.check_points(process.manifold, found)
    # The log-density, which sees all factors together, and each coordinate.
    log_probs = jax.jit(jax.vmap(exact.log_prob, (0, None)))
    columns = [(log_probs(found, t0), log_probs(expected, t0))]
    columns += zip(found.reshape(n, -1).T, expected.reshape(n, -1).T, strict=True)
    pvalues = [scipy.stats.ks_2samp(a, b).pvalue for a, b in columns]
    assert min(pvalues) > 1e-3 / len(pvalues)


def test_a_product_does_to_each_factor_what_its_process_does():
    x = POSES.prior.sample(jr.key(0))
    factors = list(
        zip(
            (ROTATIONS, TRANSLATIONS),
            POSES.manifold.split(ORIGIN),
            POSES.manifold.split(x),
            strict=True,
        )
    )
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    joined = POSES.manifold.join
    close(POSES.drift(x, T), joined(*(p.drift(x, T) for p, _, x in factors)))
    close(POSES.score(ORIGIN, x, T), joined(*(p.score(a, b, T) for p, a, b in factors)))
    close(POSES.score_scale(T), [p.score_scale(T) for p, _, _ in factors])
    log_p = [p.prior.log_prob(b) for p, _, b in factors]
    close(POSES.prior.log_prob(x), sum(log_p))
    assert POSES.schedule.variance(T)[0] != POSES.schedule.variance(T)[1]
    assert POSES.manifold.contains(POSES.sample(ORIGIN, T, jr.key(1)))
    assert POSES.remainder == pytest.approx(np.exp(-5), rel=1e-4)


@pytest.mark.slow
def test_samples_of_the_exact_score_of_one_pose():
    model = rgen.ScoreModel(
        lambda x, t: POSES.score(ORIGIN, x, t), POSES, rgen.ReverseSDE(100)
    )
    x = rgen.sample(model, jr.key(2), 1024)
    rotation, translation = jax.vmap(POSES.manifold.split)(x)
    # The noise level of each factor, the last step's included: 6 % and 5 %.
    v = -np.expm1(-4e-2 * 1.03)
    for i, mean in enumerate(np.exp(-2e-2) * np.array([1.0, -0.5, 2.0])):
        normal = scipy.stats.norm(mean, np.sqrt(v))
        assert scipy.stats.kstest(translation[:, i], normal.cdf).pvalue > 1e-3
    angles = jax.vmap(SO3.dist, (None, 0))(SO3.origin, rotation)
    chi = scipy.stats.chi(3, scale=np.sqrt(1e-2 * 1.03))
    assert scipy.stats.kstest(angles, chi.cdf).pvalue > 1e-3


def test_poses_train_with_the_exact_loss():
    """A network learns the score of one pose, to a third of the loss of no score."""
    size = dict(width=32, depth=2, frequencies=16, max_frequency=3.0)
    score = rgen.nn.ScoreField(POSES, key=jr.key(3), **size)
    optim = optax.adam(3e-3)

    def loss(score, key):
        t_key, noise_key = jr.split(key)
        t = POSES.stratified_times(t_key, 64)
        weight = rgen.losses.variance_weight
        one = lambda t, key: rgen.losses.denoising(
            score, POSES, ORIGIN, t, key, weight=weight
        )
        return jnp.mean(jax.vmap(one)(t, jr.split(noise_key, 64)))

    @eqx.filter_jit
    def run(score, keys):
        state = optim.init(eqx.filter(score, eqx.is_inexact_array))
        arrays, static = eqx.partition(score, eqx.is_inexact_array)

        def step(carry, key):
            arrays, state = carry
            score = eqx.combine(arrays, static)
            value, grads = eqx.filter_value_and_grad(loss)(score, key)
            updates, state = optim.update(grads, state)
            return (eqx.apply_updates(arrays, updates), state), value

        return jax.lax.scan(step, (arrays, state), keys)[1]

    values = run(score, jr.split(jr.key(4), 400))
    assert jnp.isfinite(values).all()
    # Six dimensions, each of weighted square about one.
    assert 3 < values[0] < 12
    assert jnp.mean(values[-50:]) < values[0] / 3


@every_process
def test_the_exact_score_of_one_point_has_no_loss(name):
    process = PROCESSES[name]
    x0 = centre(process, jr.key(12))
    exact = lambda x, t: process.score(x0, x, t)
    weight = rgen.losses.variance_weight
    loss = lambda score: float(
        rgen.losses.denoising(score, process, x0, T, jr.key(13), weight)
    )
    # The square of a rounding error.
    assert loss(exact) < 1e-9
    # The field that is zero has the weighted square of the score as its loss.
    assert 0.05 * process.manifold.dim < loss(lambda x, t: 0 * x) < np.inf


# Powers


def test_a_power_of_one_process_is_the_process_on_the_power():
    schedule = rgen.LogUniformSchedule(1e-2)
    power = rgen.PowerProcess(rgen.Brownian(SO3, schedule), 3)
    whole = rgen.Brownian(rgen.Power(SO3, 3), schedule)
    assert power.manifold == whole.manifold
    x0, x = whole.prior.sample(jr.key(14)), whole.prior.sample(jr.key(15))
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    close(power.score(x0, x, T), whole.score(x0, x, T))
    close(power.prior.log_prob(x), whole.prior.log_prob(x))
    close(power.score_scale(T), whole.score_scale(T))
    close(power.sample(x0, T, jr.key(16)), whole.sample(x0, T, jr.key(16)))
    assert power.remainder == whole.remainder


def test_a_power_of_a_product_is_a_product_of_powers():
    n = 2
    power = rgen.PowerProcess(POSES, n)
    product = rgen.ProductProcess(
        rgen.Brownian(rgen.Power(SO3, n), ROTATIONS.schedule),
        rgen.OrnsteinUhlenbeck(rgen.Euclidean(3 * n), TRANSLATIONS.schedule),
    )

    def sorted_out(x):
        rotations, positions = jax.vmap(POSES.manifold.split)(x)
        return product.manifold.join(rotations, jnp.ravel(positions))

    x0, x = power.prior.sample(jr.key(17)), power.prior.sample(jr.key(18))
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    score = power.score(x0, x, T)
    close(sorted_out(score), product.score(sorted_out(x0), sorted_out(x), T))
    close(power.prior.log_prob(x), product.prior.log_prob(sorted_out(x)))
    close(sorted_out(power.drift(x, T)), product.drift(sorted_out(x), T))


def test_copies_of_a_product_share_the_damping_of_their_factors():
    # With one variance for both factors, the features of the point are those of a
    # manifold that has one variance.
    manifold, v = rgen.Power(POSES.manifold, 2), 0.03
    x = rgen.PowerProcess(POSES, 2).prior.sample(jr.key(19))
    size = dict(size=16, max_frequency=5.0)
    one = rgen.nn.FourierFeatures(manifold, 1e-3, 5.0, **size)
    each = rgen.nn.FourierFeatures(manifold, (1e-3, 1e-3), (5.0, 5.0), **size)
    of_point = 24 + 2 * 16
    expected = one(x, jnp.array(v))[:of_point]
    found = each(x, jnp.array([v, v]))[:of_point]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    # A variance of the positions alone damps further.
    damped = each(x, jnp.array([v, 10 * v]))[24:of_point]
    assert jnp.linalg.norm(damped) < jnp.linalg.norm(expected[24:])
    field = rgen.nn.ScoreField(
        rgen.PowerProcess(POSES, 2), width=8, depth=1, frequencies=4, key=jr.key(20)
    )
    assert field(x, T).shape == (2, 12)


def test_a_power_distribution_is_of_independent_copies():
    one = rgen.WrappedNormal(R3, jnp.array([1.0, 2.0, 3.0]), 0.5)
    power = rgen.PowerDistribution(one, 4)
    x = rgen.sample(power, jr.key(21), 500)
    assert x.shape == (500, 4, 3)
    expected = rgen.log_prob(one, x.reshape(-1, 3)).reshape(500, 4).sum(1)
    np.testing.assert_allclose(rgen.log_prob(power, x), expected, rtol=1e-4)
    normal = scipy.stats.norm(1.0, 0.5)
    for i in range(4):
        assert scipy.stats.kstest(x[:, i, 0], normal.cdf).pvalue > 1e-3 / 5
    # Four standard errors of a correlation.
    assert abs(np.corrcoef(x[:, 0, 0], x[:, 1, 0])[0, 1]) < 4 / np.sqrt(500)


# Factors that don't match


class _WrongPrior(rgen.AbstractProcess):
    """Brownian motion of the sphere with a prior on the circle."""

    manifold: rgen.Sphere = rgen.Sphere(2)
    schedule: rgen.AbstractSchedule = rgen.LogUniformSchedule(1e-2, 5.0)
    kernel: rgen.AbstractKernel = rgen.heat_kernel(rgen.Sphere(2))
    prior: rgen.AbstractDistribution = rgen.Uniform(rgen.Sphere(1))
    rate: float = 2.0

    def _drift(self, x):
        return jnp.zeros_like(x)


BAD_FACTORS = {
    "none": (lambda: (), "got none. Give one for each factor"),
    "a manifold": (lambda: (ROTATIONS, R3), "factor 1 .*Euclidean.*OrnsteinUhlenbeck"),
    "a tuple": (lambda: ((ROTATIONS, TRANSLATIONS),), "tuple.*each process as an arg"),
    "a product": (lambda: (POSES, TRANSLATIONS), r"factor 0 .*\*product.processes"),
    "poses": (
        lambda: (ROTATIONS, rgen.PowerProcess(POSES, 2)),
        "the powers of its fac",
    ),
    "a prior": (lambda: (_WrongPrior(), TRANSLATIONS), "Give it a prior on Sphere"),
    "other times": (
        lambda: (ROTATIONS, rgen.OrnsteinUhlenbeck(R3, rgen.LinearSchedule(t1=2.0))),
        "Give them the same `t0` and `t1`",
    ),
}


@pytest.mark.parametrize("name", BAD_FACTORS)
def test_factors_that_are_refused(name):
    make, message = BAD_FACTORS[name]
    with pytest.raises(ValueError, match=message):
        rgen.ProductProcess(*make())


def test_the_advice_for_bad_factors_helps():
    more = rgen.ProductProcess(*POSES.processes, TRANSLATIONS)
    assert more.manifold == rgen.Product(SO3, R3, R3)
    assert rgen.ProductProcess(*(ROTATIONS, TRANSLATIONS)).manifold == POSES.manifold
    # That of Brownian motion, which a position does not end.
    with pytest.raises(ValueError, match=r"for a product rgen\.ProductProcess"):
        rgen.Brownian(POSES.manifold)


def test_a_point_of_other_factors_is_refused():
    with pytest.raises(ValueError, match=r"`x0` to have shape \(12,\), got \(9,\)"):
        POSES.sample(jnp.eye(3).ravel(), T, jr.key(0))
    # A position before a rotation has the right shape, and is no point.
    swapped = rgen.Product(R3, SO3).origin
    with pytest.raises(ValueError, match="1 of 1 rows are not on it"):
        rgen.check_points(POSES.manifold, swapped[None])
    with pytest.raises(ValueError, match="expected 2 points, one for each factor"):
        POSES.manifold.join(SO3.origin)
