"""Units: models that are trained on normalised points, in the units of the user."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats

import rgen


SO3, R3 = rgen.SpecialOrthogonal(3), rgen.Euclidean(3)
POSES = rgen.Product(SO3, R3)
# Centimetres.
CENTRE, SPREAD = np.array([30.0, -5.0, 12.0]), np.array([8.0, 2.0, 4.0])

CHARTS = {
    "R3": lambda: rgen.AffineChart(R3, CENTRE, SPREAD),
    "R3, one scale": lambda: rgen.AffineChart(R3, CENTRE, 5.0),
    "poses": lambda: rgen.AffineChart(POSES, CENTRE, SPREAD),
    "two lengths": lambda: rgen.AffineChart(
        rgen.Product(rgen.Euclidean(1), rgen.Torus(2), rgen.Euclidean(1)),
        np.array([1.0, 2.0]),
        np.array([0.1, 20.0]),
    ),
    "two poses": lambda: rgen.AffineChart(rgen.Power(POSES, 2), 3.0, 5.0),
    "two poses, each": lambda: rgen.AffineChart(
        rgen.Power(POSES, 2), np.arange(6.0), 1.0 + np.arange(6)
    ),
}
every_chart = pytest.mark.parametrize("name", CHARTS)


def normal(manifold, scale=1.0):
    return rgen.WrappedNormal(manifold, manifold.origin, scale)


@every_chart
def test_there_and_back(name):
    chart = CHARTS[name]()
    y = rgen.sample(normal(chart.domain), jr.key(0), 20)
    x = jax.vmap(chart.to_manifold)(y)
    rgen.check_points(chart.manifold, x)
    # Centimetres around 30, in float32.
    np.testing.assert_allclose(jax.vmap(chart.to_chart)(x), y, atol=2e-5)
    np.testing.assert_array_equal(
        jax.vmap(chart.preimages)(x)[:, 0], jax.vmap(chart.to_chart)(x)
    )


@every_chart
def test_log_det_is_the_determinant(name):
    chart = CHARTS[name]()
    manifold = chart.manifold
    y = rgen.sample(normal(manifold), jr.key(1), 1)[0]
    x, push = jax.linearize(chart.to_manifold, y)
    columns = jax.vmap(push)(manifold.basis(y))
    entry = lambda e, c: manifold.inner(x, e, c)
    matrix = jax.vmap(jax.vmap(entry, (None, 0)), (0, None))(manifold.basis(x), columns)
    expected = float(jnp.linalg.slogdet(matrix)[1])
    assert chart.log_det(y) == pytest.approx(expected, abs=1e-5)


def test_the_density_of_a_normal_distribution_is_that_of_scipy():
    model = rgen.Pushforward(CHARTS["R3"](), normal(R3))
    x = rgen.sample(model, jr.key(2), 1000)
    expected = scipy.stats.norm(CENTRE, SPREAD).logpdf(np.asarray(x)).sum(1)
    np.testing.assert_allclose(rgen.log_prob(model, x), expected, atol=1e-4)
    for i in range(3):
        known = scipy.stats.norm(CENTRE[i], SPREAD[i]).cdf
        assert scipy.stats.kstest(x[:, i], known).pvalue > 1e-3 / 3


def test_the_density_integrates_to_one():
    chart = rgen.AffineChart(rgen.Euclidean(1), 100.0, 20.0)
    model = rgen.Pushforward(chart, normal(rgen.Euclidean(1)))
    # Ten standard deviations, by the trapezoidal rule: its error is that of rounding.
    x = np.linspace(-100, 300, 801)
    p = np.exp(rgen.log_prob(model, x[:, None].astype(np.float32)))
    assert p.sum() * (x[1] - x[0]) == pytest.approx(1, abs=1e-5)


def test_the_density_of_poses_is_that_of_the_rotation_times_that_per_volume():
    base = rgen.ProductDistribution(normal(SO3, 0.4), normal(R3))
    model = rgen.Pushforward(CHARTS["poses"](), base)
    x = rgen.sample(model, jr.key(3), 200)
    rotations, positions = jax.vmap(POSES.split)(x)
    expected = rgen.log_prob(base.distributions[0], rotations)
    expected = expected + scipy.stats.norm(CENTRE, SPREAD).logpdf(positions).sum(1)
    np.testing.assert_allclose(rgen.log_prob(model, x), expected, atol=2e-4)


def test_rotations_are_left_alone():
    chart = CHARTS["poses"]()
    pose = POSES.join(SO3.uniform(jr.key(4)), jnp.array([38.0, -5.0, 8.0]))
    rotation, position = POSES.split(chart.to_chart(pose))
    np.testing.assert_array_equal(rotation, POSES.split(pose)[0])
    np.testing.assert_allclose(position, [1, 0, -1])


@pytest.mark.slow
def test_the_model_of_an_exact_score_is_in_the_units_of_the_data():
    """One pose in centimetres: a score model in normalised units has its samples and
    densities around it."""
    chart = rgen.AffineChart(R3, CENTRE, 5.0)
    process = rgen.OrnsteinUhlenbeck(R3, rgen.LogUniformSchedule(1e-2))
    x0 = jnp.array([34.0, -8.0, 11.0])
    exact = lambda x, t: process.score(chart.to_chart(x0), x, t)
    model = rgen.Pushforward(chart, rgen.ScoreModel(exact, process))
    x = rgen.sample(model, jr.key(5), 400)
    # The noise is sqrt(1e-2) of 5 cm, and the point is 0.5 % nearer to the centre.
    known = scipy.stats.norm(CENTRE + np.exp(-5e-3) * (x0 - CENTRE), 5 * 0.09975)
    for i in range(3):
        # The last step of the sampler adds noise, 1.7 % of the standard deviation.
        cdf = lambda q, i=i: known.cdf(q[:, None] * np.ones(3))[:, i]
        assert scipy.stats.kstest(x[:, i], cdf).pvalue > 1e-3 / 3
    expected = known.logpdf(np.asarray(x[:8], np.float64)).sum(1)
    np.testing.assert_allclose(rgen.log_prob(model, x[:8]), expected, atol=0.03)


def test_the_scale_can_be_learnt():
    x = jnp.asarray(CENTRE + SPREAD * np.random.default_rng(0).normal(size=(500, 3)))
    x = x.astype(jnp.float32)

    def loss(log_scale):
        chart = rgen.AffineChart(R3, x.mean(0), jnp.exp(log_scale))
        return -jnp.mean(jax.vmap(rgen.Pushforward(chart, normal(R3)).log_prob)(x))

    # The derivative vanishes at the standard deviation.
    slope = jax.grad(loss)(jnp.log(x.std(0)))
    np.testing.assert_allclose(slope, 0, atol=1e-4)
    assert (jax.grad(loss)(jnp.log(2 * x.std(0))) > 0.5).all()


BAD = {
    "no lengths": ((SO3, 0.0, 1.0), "Euclidean coordinates.*Leave the chart out"),
    "offset": (
        (POSES, np.zeros(12), 1.0),
        r"`offset`.*shape \(3,\).*got shape \(12,\)",
    ),
    "scale": ((R3, 0.0, np.ones(2)), r"`scale`.*shape \(3,\).*got shape \(2,\)"),
    "NaN": ((R3, np.array([0, np.nan, 0]), 1.0), "`offset` to be finite"),
    "zero": ((R3, 0.0, np.array([1.0, 0, 1])), "constant.*leave it out of the points"),
    "negative": ((R3, 0.0, -1.0), "`scale` to be positive"),
    "infinite": ((R3, 0.0, np.inf), "`scale` to be positive and finite"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_units(name):
    arguments, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        rgen.AffineChart(*arguments)


def test_bad_units_inside_of_jit():
    make = eqx.filter_jit(lambda scale: rgen.AffineChart(R3, 0.0, scale).scale)
    with pytest.raises(eqx.EquinoxRuntimeError, match="`scale` to be positive"):
        make(jnp.array(-1.0))


def test_a_base_on_another_space_is_refused():
    with pytest.raises(ValueError, match=r"`base` on Product.*got one on Euclidean"):
        rgen.Pushforward(CHARTS["poses"](), normal(rgen.Euclidean(6)))
    with pytest.raises(ValueError, match=r"to have shape \(12,\), got \(3,\)"):
        CHARTS["poses"]().to_chart(jnp.zeros(3))
