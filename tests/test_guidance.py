"""Score fields steered to a condition, against posteriors that are known in closed
form; `test_guidance_cases.py` has those that quadrature knows."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import rgen


S2, T2, SO3 = rgen.Sphere(2), rgen.Torus(2), rgen.SpecialOrthogonal(3)
R2 = rgen.Euclidean(2)
DATA = 0.15


class Component(eqx.Module):
    """The exact score of a heat kernel of the variance `DATA` around a point."""

    process: rgen.Brownian
    centre: jax.Array

    def variance(self, t):
        return DATA + self.process.schedule.variance(t)

    def log_prob(self, x, t):
        return self.process.kernel.log_prob(self.centre, x, self.variance(t))

    def __call__(self, x, t):
        return self.process.kernel.score(self.centre, x, self.variance(t))


class TwoComponents(eqx.Module):
    """The exact score of their mixture, with weights .3 and .7."""

    one: Component
    other: Component

    def log_probs(self, x, t):
        each = jnp.stack([self.one.log_prob(x, t), self.other.log_prob(x, t)])
        return each + jnp.log(jnp.array([0.3, 0.7]))

    def log_prob(self, x, t):
        return jax.nn.logsumexp(self.log_probs(x, t))

    def __call__(self, x, t):
        scores = jnp.stack([self.one(x, t), self.other(x, t)])
        return jnp.tensordot(jax.nn.softmax(self.log_probs(x, t)), scores, 1)


def two(manifold):
    process = rgen.Brownian(manifold, rgen.LogUniformSchedule(0.01))
    far = manifold.exp(manifold.origin, 1.2 * manifold.basis(manifold.origin)[0])
    return TwoComponents(
        Component(process, manifold.origin), Component(process, far)
    ), process


@pytest.mark.parametrize("manifold", [S2, T2, SO3], ids=["S2", "T2", "SO3"])
def test_bayes_rule_gives_the_score_of_a_component(manifold):
    score, _ = two(manifold)
    log_share = lambda x, t: jax.nn.log_softmax(score.log_probs(x, t))[0]
    guided = rgen.Guided(score, manifold, log_share)
    key = jr.key(0)
    x = manifold.exp(
        manifold.origin, 0.5 * manifold.tangent_noise(manifold.origin, key)
    )
    for t in (0.1, 0.5):
        found = eqx.filter_jit(guided)(x, jnp.array(t))
        expected = score.one(x, jnp.array(t))
        # Sums and differences of scores of the size 10, in float32.
        np.testing.assert_allclose(found, expected, atol=1e-4)


# In the plane, with normal data and a normal observation, everything is known.

MEAN, VARIANCE, SEEN, NOISE = 1.0, 0.5, 2.0, 0.3
PLANE = rgen.OrnsteinUhlenbeck(R2, rgen.LogUniformSchedule(0.01, 10.0))


def normal_score(process):
    def score(x, t):
        v = process.schedule.variance(t)
        if isinstance(process, rgen.OrnsteinUhlenbeck):
            decay = jnp.exp(-v / 2)
            return (decay * MEAN - x) / (decay**2 * VARIANCE - jnp.expm1(-v))
        return (MEAN - x) / (VARIANCE + v)

    return score


def posterior(prior_mean, prior_variance):
    precision = 1 / prior_variance + 1 / NOISE
    return (prior_mean / prior_variance + SEEN / NOISE) / precision, 1 / precision


def test_the_denoised_estimate_is_the_mean_in_euclidean_space():
    process = PLANE
    score = normal_score(process)
    x, t = jnp.array([0.3, -0.8]), jnp.array(0.5)
    v = process.schedule.variance(t)
    decay = jnp.exp(-v / 2)
    # x_t = decay x_0 + noise of the variance 1 - decay^2.
    gain = decay * VARIANCE / (decay**2 * VARIANCE + 1 - decay**2)
    expected = MEAN + gain * (x - decay * MEAN)
    np.testing.assert_allclose(process.denoised(x, t, score(x, t)), expected, rtol=1e-5)


def test_a_product_denoises_each_factor():
    processes = [
        rgen.OrnsteinUhlenbeck(R2, rgen.LogUniformSchedule(0.01, 10.0)),
        rgen.Brownian(S2, rgen.LogUniformSchedule(0.01, 10.0)),
    ]
    both = rgen.ProductProcess(*processes)
    x = [jnp.array([0.3, -0.8]), S2.origin]
    scores = [jnp.array([0.5, 2.0]), jnp.array([0.1, 0.2, 0.0])]
    t = jnp.array(0.5)
    found = both.denoised(jnp.concatenate(x), t, jnp.concatenate(scores))
    each = zip(processes, x, scores, strict=True)
    expected = jnp.concatenate([p.denoised(x, t, s) for p, x, s in each])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def log_likelihood(x):
    return -jnp.sum((x - SEEN) ** 2) / (2 * NOISE)


def test_reconstruction_is_biased_and_particles_are_not():
    process = PLANE
    score = normal_score(process)
    v0 = 0.01
    decay = np.exp(-v0 / 2)
    model = decay * MEAN, decay**2 * VARIANCE + 1 - decay**2
    mean, variance = posterior(*model)
    twist = rgen.Reconstruction(score, process, log_likelihood)
    guided = rgen.Guided(score, R2, twist)
    x = rgen.sample(rgen.ScoreModel(guided, process), jr.key(0), 2000)
    bias = np.mean(x) - mean
    error = np.sqrt(variance / 4000)
    # The likelihood at one point counts the noise in x_0 as certain: the samples are
    # drawn to what is seen too early, measured here as a tenth of a deviation or more.
    assert abs(bias) > 0.1 * np.sqrt(variance) > 4 * error
    sampler = rgen.TwistedSampler(2000, 200)
    particles = sampler(score, process, log_likelihood, jr.key(1))
    found = particles.mean(lambda x: jnp.mean(x))
    # Half of the particles are worth one each; four standard errors, and 0.01 for the
    # steps of the walk.
    assert abs(found - mean) < 4 * np.sqrt(2) * error + 0.01
    spread = particles.mean(lambda x: jnp.mean((x - mean) ** 2))
    assert spread == pytest.approx(variance, rel=0.15)
    assert jnp.min(particles.effective_sizes) > 100
    # The evidence: SEEN is normal around the mean of the model, in both coordinates.
    wide = model[1] + NOISE
    evidence = 2 * (-((SEEN - model[0]) ** 2) / (2 * wide) + np.log(NOISE / wide) / 2)
    assert particles.log_evidence == pytest.approx(evidence, abs=0.15)


def test_resampled_particles_have_the_same_mean():
    score = normal_score(PLANE)
    sampler = rgen.TwistedSampler(256, 20)
    particles = sampler(score, PLANE, lambda x: 3 * x[0], jr.key(0))
    weighted = particles.mean(lambda x: x)
    # Systematic resampling moves a share by less than one in each of a few groups.
    even = jnp.mean(particles.resample(jr.key(1)), axis=0)
    np.testing.assert_allclose(even, weighted, atol=0.1)
    assert jax.nn.logsumexp(particles.log_weights) == pytest.approx(0, abs=1e-5)


# What is refused


def test_a_likelihood_that_is_a_vector_is_refused():
    score, process = two(S2)
    with pytest.raises(ValueError, match=r"scalar, got an array of shape \(3,\)"):
        rgen.Guided(score, S2, lambda x, t: x)(S2.origin, jnp.array(0.3))
    with pytest.raises(ValueError, match=r"scalar, got an array of shape \(3,\)"):
        rgen.TwistedSampler(8, 2)(score, process, lambda x: x, jr.key(0))
    # What the message says.
    rgen.Guided(score, S2, lambda x, t: jnp.sum(x))(S2.origin, jnp.array(0.3))


@pytest.mark.parametrize(
    "log_likelihood",
    [lambda x: -4e3 * (x[1] - 3) ** 2, lambda x: jnp.nan * x[0]],
    ids=["narrow", "NaN"],
)
def test_too_few_particles_are_a_warning(log_likelihood):
    score = normal_score(PLANE)
    with pytest.warns(RuntimeWarning, match="the effective sample size fell to"):
        rgen.TwistedSampler(8, 10)(score, PLANE, log_likelihood, jr.key(0))


@pytest.mark.filterwarnings("ignore:TwistedSampler. the effective sample size")
def test_the_width_of_a_narrow_likelihood_keeps_the_particles():
    # The advice of the warning. Without the width, few of 256 are left on the way.
    score = normal_score(PLANE)
    width = 0.05
    log_likelihood = lambda x: -jnp.sum((x - SEEN) ** 2) / (2 * width**2)
    sampler = rgen.TwistedSampler(256, 100)
    without, given = (
        jnp.min(sampler(score, PLANE, log_likelihood, jr.key(0), w).effective_sizes)
        for w in (jnp.inf, width)
    )
    assert without < 10 and given > 50
    with pytest.raises(ValueError, match="`width` to be positive"):
        sampler(score, PLANE, log_likelihood, jr.key(0), -1.0)


def test_numbers_of_particles_and_steps_that_make_no_sense():
    with pytest.raises(ValueError, match="`particles` of at least 2"):
        rgen.TwistedSampler(1)
    with pytest.raises(ValueError, match="`steps` of at least 1"):
        rgen.TwistedSampler(8, 0)
