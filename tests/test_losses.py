import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from helpers import LOSSES, slow

import rgen


S2, T2, SO3 = rgen.Sphere(2), rgen.Torus(2), rgen.SpecialOrthogonal(3)
H2 = rgen.Hyperbolic(2)
MANIFOLDS = {"S2": S2, "T2": T2, "SO3": SO3}

# Statistical tests have fixed keys, and compare a mean with its expectation within four
# standard errors: a level of 6e-5 for each number compared.
SIGMAS = 4


def brownian(manifold, kernel=None):
    return rgen.Brownian(manifold, rgen.ConstantSchedule(), kernel)


class Field(eqx.Module):
    """A fixed smooth field with neither symmetry nor zero divergence."""

    manifold: rgen.AbstractManifold
    phase: float

    def __call__(self, x, t):
        size = x.size
        mix = np.cos(self.phase * np.arange(1, size * size + 1)).reshape(size, size)
        flat = jnp.ravel(x) + self.phase
        return self.manifold.to_tangent(x, (jnp.sin(mix @ flat)).reshape(x.shape))


def expectations(losses, process, n, v=0.3):
    """The mean and standard error of the difference of the losses of two fields, from
    common random numbers."""
    manifold = process.manifold
    first, second = Field(manifold, 0.7), Field(manifold, 2.3)
    x0, t = manifold.origin, jnp.array(v)

    def difference(loss, key):
        return loss(first, process, x0, t, key) - loss(second, process, x0, t, key)

    @jax.jit
    def run(keys):
        return [jax.vmap(ft.partial(difference, loss))(keys) for loss in losses]

    values = np.asarray(run(jr.split(jr.key(0), n)), np.float64)
    return values.mean(axis=1), values.std(axis=1) / np.sqrt(n)


@pytest.mark.parametrize("name", MANIFOLDS)
def test_losses_differ_by_a_constant(name):
    # E(loss of one field) - E(loss of another) is the same for all of them.
    hutchinson = ft.partial(
        rgen.losses.implicit, divergence=rgen.HutchinsonDivergence()
    )
    losses = [
        rgen.losses.denoising,
        rgen.losses.implicit,
        rgen.losses.sliced,
        hutchinson,
    ]
    mean, error = expectations(losses, brownian(MANIFOLDS[name]), 65536)
    for i in range(1, len(losses)):
        assert abs(mean[i] - mean[0]) < SIGMAS * np.hypot(error[i], error[0])
    # The difference is no zero: a divergence of the wrong sign would show.
    assert (abs(mean) > 10 * error).all()


@pytest.mark.parametrize("name", MANIFOLDS)
def test_last_step_of_a_walk_gives_the_same_loss(name):
    v, steps = 0.3, 10
    last_step = ft.partial(rgen.losses.denoising_step, steps=steps)
    losses = [rgen.losses.denoising, last_step]
    mean, error = expectations(losses, brownian(MANIFOLDS[name]), 65536, v)
    # A step of the walk replaces the heat kernel over it by a normal distribution: a
    # relative error of the order of its variance.
    bias = v / steps * max(abs(mean))
    assert abs(mean[1] - mean[0]) < SIGMAS * np.hypot(*error) + bias
    assert abs(mean[0]) > 3 * error[1]


def test_the_last_step_of_a_walk_with_a_drift_has_the_score_of_the_walk():
    # In flat space the walk to time t is normal, of known mean and variance. The loss
    # is least at its score s, and that of s + x exceeds it by E |x|^2.
    process = rgen.OrnsteinUhlenbeck(rgen.Euclidean(2), rgen.ConstantSchedule())
    x0, v, steps = jnp.array([1.5, -0.5]), 0.3, 10
    delta = v / steps
    mean = (1 - delta / 2) * np.exp(-(v - delta) / 2) * x0
    variance = (1 - delta / 2) ** 2 * (1 - np.exp(-(v - delta))) + delta
    score = lambda x, t: (mean - x) / variance
    other = lambda x, t: score(x, t) + x

    @jax.jit
    @jax.vmap
    def gap(key):
        loss = lambda field: rgen.losses.denoising_step(
            field, process, x0, jnp.array(v), key, steps=steps
        )
        return loss(other) - loss(score)

    gaps = np.asarray(gap(jr.split(jr.key(3), 65536)), np.float64)
    error, expected = gaps.std() / np.sqrt(len(gaps)), mean @ mean + 2 * variance
    assert abs(gaps.mean() - expected) < SIGMAS * error
    # With a target without the drift -x / 2 the two losses would be nearly equal.
    assert 2 * SIGMAS * error < expected / 2


def test_exact_target_minimises_the_denoising_loss():
    # Of one data point the score of the blurred data is the target itself.
    process = brownian(S2)
    exact = lambda x, t: process.score(S2.origin, x, t)
    loss = jax.jit(
        jax.vmap(
            lambda key: rgen.losses.denoising(
                exact, process, S2.origin, jnp.array(0.3), key
            )
        )
    )
    # The square of a rounding error, where the score is of order one.
    assert (loss(jr.split(jr.key(1), 64)) < 1e-10).all()


# The kernels of Table 2


def relative_errors(manifold, kernel, times):
    """The relative L2 error of a kernel's score, under the distribution of the
    process."""
    process, other = brownian(manifold), brownian(manifold, kernel)

    def one(t, key):
        # The samples are exact, whatever the score.
        x = other.sample(manifold.origin, t, key)
        exact = process.score(manifold.origin, x, t)
        error = other.score(manifold.origin, x, t) - exact
        return manifold.inner(x, error, error), manifold.inner(x, exact, exact)

    keys = jr.split(jr.key(2), 4096)
    both = jax.jit(jax.vmap(lambda t: jax.vmap(one, (None, 0))(t, keys)))
    error, size = both(jnp.array(times))
    return np.sqrt(np.sum(error, axis=1) / np.sum(size, axis=1))


@pytest.mark.parametrize("name", MANIFOLDS)
def test_varadhan_kernel_is_right_at_small_times(name):
    manifold = MANIFOLDS[name]
    kernel = rgen.VaradhanHeatKernel(manifold)
    early, later, late = relative_errors(manifold, kernel, [0.01, 0.04, 2.0])
    if name == "T2":
        # Flat: the images are all that it leaves out.
        assert early < 1e-5 and later < 1e-5
    else:
        # The error is of order t.
        assert early < 0.01
        assert 2 < later / early < 8
    assert late > 0.3


def test_varadhan_kernel_on_the_sphere_is_as_wrong_as_known():
    # From an independent computation. Four thousand samples leave a few per cent.
    errors = relative_errors(S2, rgen.VaradhanHeatKernel(S2), [1.0, 2.0])
    np.testing.assert_allclose(errors, [0.38, 1.42], rtol=0.1)


@pytest.mark.parametrize("name", MANIFOLDS)
def test_truncated_kernel_is_right_at_large_times(name):
    kernel = rgen.TruncatedHeatKernel(MANIFOLDS[name], 6)
    late, early = relative_errors(MANIFOLDS[name], kernel, [1.0, 0.02])
    # The terms left out begin with exp(-7^2 / 2), times a polynomial; rounding is more.
    assert late < 1e-5
    assert not early < 0.3


# Finite, gradients included, in float32, at both ends of the schedule

PROCESSES = {
    "S2": rgen.Brownian(S2, rgen.LogUniformSchedule(1e-5, 6.0)),
    "T2": rgen.Brownian(T2, rgen.LogUniformSchedule(1e-5, 6.0)),
    "SO3": rgen.Brownian(SO3, rgen.LogUniformSchedule(1e-5, 6.0)),
    "H2": rgen.Langevin(H2, rgen.LogUniformSchedule(1e-5, 6.0), steps=3),
}


@pytest.mark.parametrize(
    "name", ["S2", *slow(name for name in PROCESSES if name != "S2")]
)
def test_losses_and_gradients_are_finite(name):
    process = PROCESSES[name]
    score = rgen.nn.ScoreField(process, width=16, depth=2, frequencies=8, key=jr.key(0))
    last = score.field.network.last
    score = eqx.tree_at(
        lambda s: s.field.network.last.weight,
        score,
        jr.normal(jr.key(1), last.weight.shape),
    )
    losses = [
        rgen.losses.denoising,
        ft.partial(rgen.losses.denoising_step, steps=2),
        rgen.losses.implicit,
        rgen.losses.sliced,
    ]
    if name == "H2":
        # Its walks and logarithms take half a minute to compile in each loss.
        losses = losses[1:2] + losses[3:]
    ends = jnp.array([process.schedule.t0, process.schedule.t1])
    keys = jr.split(jr.key(2), (2, 8))

    def total(score, loss):
        weight = rgen.losses.variance_weight
        x0 = process.manifold.origin
        at = lambda t, key: loss(score, process, x0, t, key, weight=weight)
        return jnp.sum(
            jax.vmap(lambda t, k: jax.vmap(ft.partial(at, t))(k))(ends, keys)
        )

    @eqx.filter_jit
    def run(score):
        return [eqx.filter_value_and_grad(total)(score, loss) for loss in losses]

    for value, gradient in run(score):
        assert value.dtype == jnp.float32 and jnp.isfinite(value)
        leaves = jax.tree.leaves(gradient)
        assert all(jnp.isfinite(leaf).all() for leaf in leaves)
        assert any((leaf != 0).any() for leaf in leaves)


# Weights


def test_weights():
    process = rgen.Brownian(S2, rgen.LinearSchedule(0.5, 3.0))
    t = jnp.array(0.4)
    # 0.5 + 2.5 * 0.4 and 0.4 * (0.5 + 2.5 * 0.2), of which lambda = 2.
    np.testing.assert_allclose(
        rgen.losses.likelihood_weight(process, t), 1.5, rtol=1e-6
    )
    weight = rgen.losses.variance_weight(process, t)
    np.testing.assert_allclose(weight, np.expm1(2 * 0.4) / 2, rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_weight_multiplies_the_loss(name):
    process = rgen.OrnsteinUhlenbeck(rgen.Euclidean(2), rgen.LinearSchedule())
    field, x0, t = Field(process.manifold, 0.7), jnp.array([1.5, -0.5]), jnp.array(0.3)

    @jax.jit
    def loss(key):
        at = ft.partial(LOSSES[name], field, process, x0, t, key)
        return at(), at(weight=lambda process, t: 9 * jnp.ones_like(t))

    one, nine = loss(jr.key(4))
    # Rounding; of a square less a divergence it may be a few times as much.
    np.testing.assert_allclose(nine, 9 * one, rtol=1e-4)
