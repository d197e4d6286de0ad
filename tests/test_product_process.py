"""Poses: Brownian motion on SO(3) beside an Ornstein-Uhlenbeck process on R^3."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
import scipy.stats

import rgen


SO3, R3 = rgen.SpecialOrthogonal(3), rgen.Euclidean(3)
ROTATIONS = rgen.Brownian(SO3, rgen.LogUniformSchedule(1e-2))
TRANSLATIONS = rgen.OrnsteinUhlenbeck(R3, rgen.LogUniformSchedule(4e-2))
POSES = rgen.ProductProcess(ROTATIONS, TRANSLATIONS)
ORIGIN = POSES.manifold.join(SO3.origin, jnp.array([1.0, -0.5, 2.0]))
T = jnp.array(0.4)


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
