"""The doors for batches: samples and densities of every distribution."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import rgen


S2 = rgen.Sphere(2)
UNIFORM = rgen.Uniform(S2)
PROCESS = rgen.Brownian(S2)


class Broken(eqx.Module):
    """A score of zero, and NaN in the south."""

    def __call__(self, x, t):
        return jnp.where(x[2] > 0, 0 * x, jnp.nan)


def zero(x, t):
    return jnp.zeros_like(x)


@pytest.mark.parametrize(
    "distribution",
    [UNIFORM, rgen.ScoreModel(zero, PROCESS, rgen.ReverseSDE(2))],
    ids=["closed form", "model"],
)
def test_samples_do_not_depend_on_the_chunks(distribution):
    whole = rgen.sample(distribution, jr.key(0), 10)
    assert whole.shape == (10, 3)
    for chunk_size in (3, 5):
        parts = rgen.sample(distribution, jr.key(0), 10, chunk_size=chunk_size)
        np.testing.assert_array_equal(parts, whole)


def test_densities_do_not_depend_on_the_chunks():
    normal = rgen.WrappedNormal(S2, S2.origin, 0.5)
    x = rgen.sample(UNIFORM, jr.key(1), 10)
    whole = rgen.log_prob(normal, x)
    assert whole.shape == (10,) and jnp.ptp(whole) > 1
    np.testing.assert_array_equal(rgen.log_prob(normal, x, chunk_size=4), whole)


def test_progress_is_shown_over_the_chunks():
    shown = []

    def progress(chunks):
        shown.extend(chunks)
        return chunks

    rgen.sample(UNIFORM, jr.key(0), 10, chunk_size=4, progress=progress)
    assert len(shown) == 3


def test_a_chunk_of_nothing():
    with pytest.raises(ValueError, match="`chunk_size` of at least 1, got 0"):
        rgen.sample(UNIFORM, jr.key(0), 10, chunk_size=0)


@pytest.mark.parametrize(
    "x",
    [
        [[0, 0, 1], [1, 0, 0]],
        np.array([[0, 0, 1], [1, 0, 0]]),
        np.array([[0, 0, 1], [1, 0, 0]], np.float64),
        jnp.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
    ],
    ids=["lists", "integers", "numpy", "jax"],
)
def test_points_are_array_likes(x):
    np.testing.assert_allclose(rgen.log_prob(UNIFORM, x), -S2.log_volume, rtol=1e-6)


# NaN in, NaN out, and a word on where


def test_a_field_that_is_nan_somewhere():
    # Without steps in time a point stays where it is.
    schedule = rgen.LogUniformSchedule(4.999, 5.0)
    process = rgen.Brownian(S2, schedule)
    model = rgen.ScoreModel(Broken(), process, rgen.ReverseSDE(1))
    with pytest.warns(RuntimeWarning, match=r"of 32 samples .* NaN, the first of them"):
        x = rgen.sample(model, jr.key(0), 32)
    broken = np.isnan(np.asarray(x)).any(1)
    assert 8 < broken.sum() < 24
    assert (np.asarray(x)[~broken, 2] > -0.2).all()
    points = jnp.array([[0.0, 0.6, 0.8], [0.0, 0.6, -0.8], [0.6, 0.0, 0.8]])
    with pytest.warns(RuntimeWarning, match="1 of 3 densities .* row 1; .* 1 did not"):
        log_p = rgen.log_prob(model, points)
    assert np.isnan(log_p[1])
    np.testing.assert_allclose(log_p[::2], -S2.log_volume, rtol=1e-5)


def test_a_solver_that_runs_out_of_steps():
    field = lambda x, t: S2.to_tangent(x, jnp.array([0.0, 0.0, 1.0]))
    flow = rgen.Flow(UNIFORM, field, max_steps=2)
    x = rgen.sample(UNIFORM, jr.key(0), 3)
    with pytest.warns(RuntimeWarning, match="3 of 3 densities .* 3 did not"):
        log_p, cost = rgen.log_prob_and_cost(flow, x)
    assert np.isnan(log_p).all()
    assert not cost.finished.any() and (cost.steps == 2).all()
    # What the message says to do.
    log_p = rgen.log_prob(rgen.Flow(UNIFORM, field), x)
    assert np.isfinite(log_p).all()


def test_the_time_at_which_a_field_becomes_nan_is_named():
    up = jnp.array([0.0, 0.0, 1.0])
    field = lambda x, t: S2.to_tangent(x, jnp.where(t > 0.25, jnp.nan, up))
    process = rgen.Brownian(S2)
    flow = rgen.Flow(UNIFORM, field)
    with pytest.warns(RuntimeWarning, match=r"row 0: .* time 0\.25\. Give"):
        x, cost = rgen.sample_and_cost(flow, jr.key(0), 3)
    assert np.isnan(x).all()
    # A rejected step is five times as short as the one before it, down to a rounding.
    np.testing.assert_allclose(cost.stopped_at, 0.25, rtol=1e-6)
    with pytest.raises(ValueError, match=r"and reached time 0\.25\. Give it more"):
        flow.sample(jr.key(0))
    # Samples of a score run from t1 to t0.
    model = rgen.ScoreModel(lambda x, t: field(x, 1 - t), process)
    model = eqx.tree_at(lambda m: m.sampler, model, rgen.ProbabilityFlow())
    cost = eqx.filter_jit(model.sample_and_cost)(jr.key(0))[1]
    np.testing.assert_allclose(cost.stopped_at, 0.75, rtol=1e-6)
    # Both parts of a sum count, and either may be the one that stopped.
    finished = rgen.sample_and_cost(UNIFORM, jr.key(0), 3)[1]
    assert np.isnan(finished.stopped_at).all()
    for both in (cost + jax.tree.map(lambda a: a[0], finished), cost + cost):
        np.testing.assert_allclose(both.stopped_at, 0.75, rtol=1e-6)


# Costs


def test_closed_forms_cost_nothing():
    _, cost = rgen.sample_and_cost(UNIFORM, jr.key(0), 3)
    assert cost.evaluations.shape == (3,)
    assert not cost.evaluations.any() and cost.finished.all()


def test_a_pushforward_costs_what_its_preimages_do():
    flat = rgen.Euclidean(2)
    base = rgen.Flow(rgen.WrappedNormal(flat, jnp.zeros(2), 1.0), zero)
    chart = rgen.ExponentialChart(S2, S2.origin)
    x = jnp.array([0.0, 0.6, 0.8])
    model = rgen.Pushforward(chart, base)
    _, cost = eqx.filter_jit(model.log_prob_and_cost)(x)
    y = chart.preimages(x)
    each = jax.vmap(lambda y: base.log_prob_and_cost(y)[1].evaluations)(y)
    assert cost.evaluations == jnp.sum(each) > each[0] > 0


def test_inside_of_a_compiled_function():
    sample = jax.jit(lambda key: rgen.sample(UNIFORM, key, 6, chunk_size=4))
    np.testing.assert_allclose(
        sample(jr.key(0)), rgen.sample(UNIFORM, jr.key(0), 6), atol=1e-6
    )
    log_prob = jax.jit(lambda x: rgen.log_prob(UNIFORM, x))
    np.testing.assert_allclose(log_prob(jnp.eye(3)), -S2.log_volume, rtol=1e-6)
