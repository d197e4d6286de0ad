import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from helpers import CHARTS, log_probs, sphere_rule

import rgen
from rgen import ExponentialChart, Pushforward, StereographicChart


every_chart = pytest.mark.parametrize("name", CHARTS)


def chart_points(chart, n=20):
    return 0.8 * jr.normal(jr.key(0), (n, chart.manifold.dim))


def normal(dim, scale=0.5):
    return rgen.WrappedNormal(rgen.Euclidean(dim), jnp.zeros(dim), scale)


@pytest.mark.slow
@every_chart
def test_there_and_back(name):
    chart = CHARTS[name]()
    y = chart_points(chart)
    x = jax.vmap(chart.to_manifold)(y)
    rgen.check_points(chart.manifold, x)
    np.testing.assert_allclose(jax.vmap(chart.to_chart)(x), y, atol=2e-5)


@pytest.mark.slow
@every_chart
def test_preimages_have_one_image(name):
    chart = CHARTS[name]()
    x = jax.vmap(chart.to_manifold)(chart_points(chart))
    y = jax.vmap(chart.preimages)(x)
    images = jax.vmap(jax.vmap(chart.to_manifold))(y)
    np.testing.assert_allclose(
        images, jnp.broadcast_to(x[:, None], images.shape), atol=2e-5
    )


@pytest.mark.parametrize(
    "manifold", [rgen.Sphere(2), rgen.SpecialOrthogonal(3)], ids=str
)
def test_preimages_where_geodesics_are_closed(manifold):
    chart = ExponentialChart(manifold, manifold.origin)
    y = chart_points(chart)
    r = jnp.linalg.norm(y, axis=1)
    x = jax.vmap(chart.to_manifold)(y)
    found = jnp.linalg.norm(jax.vmap(chart.preimages)(x), axis=2)
    expected = jnp.stack([r, 2 * math.pi - r, 2 * math.pi + r], axis=1)
    np.testing.assert_allclose(found, expected, atol=2e-5)


@every_chart
def test_log_det_is_the_determinant(name):
    chart = CHARTS[name]()
    manifold = chart.manifold

    def one(y):
        x, push = jax.linearize(chart.to_manifold, y)
        columns = jax.vmap(push)(jnp.eye(manifold.dim))
        entry = lambda e, c: manifold.inner(x, e, c)
        rows = jax.vmap(jax.vmap(entry, (None, 0)), (0, None))
        matrix = rows(manifold.basis(x), columns)
        return chart.log_det(y), jnp.linalg.slogdet(matrix)[1]

    actual, expected = jax.jit(jax.vmap(one))(chart_points(chart))
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "manifold",
    [rgen.Sphere(2), rgen.SpecialOrthogonal(3), rgen.Hyperbolic(2)],
    ids=str,
)
@pytest.mark.parametrize("scales", [0.9, [0.9, 0.5, 0.7]])
def test_exponential_chart_of_a_normal_distribution_is_the_wrapped_normal(
    manifold, scales
):
    scale = jnp.array(scales if isinstance(scales, float) else scales[: manifold.dim])
    distribution = Pushforward(
        ExponentialChart(manifold, manifold.origin), normal(manifold.dim, scale)
    )
    wrapped = rgen.WrappedNormal(manifold, manifold.origin, scale)
    x = jax.vmap(wrapped.sample)(jr.split(jr.key(0), 50))
    np.testing.assert_allclose(
        log_probs(distribution, x), log_probs(wrapped, x), atol=1e-4
    )


def test_stereographic_distribution_integrates_to_one():
    origin = rgen.Sphere(2).uniform(jr.key(1))
    distribution = Pushforward(StereographicChart(origin), normal(2))
    x, w = sphere_rule(80)
    # Rounding in float32; the rule is exact to 1e-7 for this density.
    p = np.exp(log_probs(distribution, jnp.asarray(x, jnp.float32)))
    assert w @ p == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
@every_chart
def test_samples_are_points(name):
    chart = CHARTS[name]()
    distribution = Pushforward(chart, normal(chart.manifold.dim))
    x = jax.vmap(distribution.sample)(jr.split(jr.key(0), 100))
    rgen.check_points(chart.manifold, x)
    assert jnp.all(jnp.isfinite(log_probs(distribution, x)))


def test_a_distribution_of_another_space():
    chart = CHARTS["stereographic"]()
    for distribution in (normal(3), rgen.Uniform(rgen.Sphere(2))):
        with pytest.raises(ValueError, match="Pushforward: expected `base`"):
            Pushforward(chart, distribution)


def test_the_pole_is_beyond_the_chart():
    chart = StereographicChart(jnp.array([0.0, 0.0, 1.0]))
    pole = jnp.array([0.0, 0.0, -1.0])
    with pytest.raises(ValueError, match="pole"):
        chart.to_chart(pole)
    with pytest.raises(eqx.EquinoxRuntimeError, match="pole"):
        eqx.filter_jit(chart.to_chart)(pole)
    # A batch keeps its other rows.
    normal = rgen.WrappedNormal(rgen.Euclidean(2), jnp.zeros(2), 1.0)
    points = jnp.stack([pole, -pole])
    with pytest.warns(RuntimeWarning, match=r"1 of 2 densities .* row 0"):
        log_p = rgen.log_prob(rgen.Pushforward(chart, normal), points)
    assert jnp.isfinite(log_p[1])
    near = jnp.array([1e-4, 0.0, -1.0])
    assert jnp.linalg.norm(chart.to_chart(near)) == pytest.approx(2e4, rel=1e-3)


@pytest.mark.parametrize("seed", range(20))
def test_a_pole_that_is_rounded_is_beyond_the_chart(seed):
    sphere = rgen.Sphere(2)
    origin = sphere.uniform(jr.key(seed))
    pole = sphere.exp(origin, jnp.pi * sphere.basis(origin)[0])
    with pytest.raises(ValueError, match="pole"):
        StereographicChart(origin).to_chart(pole)


def test_points_of_the_chart_that_are_all_but_infinite():
    north = rgen.Sphere(2).origin
    far = StereographicChart(north).to_manifold(jnp.array([1e25, 0.0]))
    np.testing.assert_array_equal(far, -north)


@every_chart
def test_a_point_of_another_chart(name):
    chart = CHARTS[name]()
    y = jnp.zeros(chart.manifold.dim + 1)
    for call in (chart.to_manifold, chart.log_det):
        with pytest.raises(ValueError, match="expected `y` of shape"):
            call(y)


def test_an_origin_off_the_manifold():
    off = jnp.array([0.0, 0.0, 2.0])
    with pytest.raises(ValueError, match="StereographicChart: expected `origin`"):
        StereographicChart(off)
    with pytest.raises(ValueError, match="ExponentialChart: expected `origin`"):
        ExponentialChart(rgen.Sphere(2), off)


def test_exponential_charts_without_known_preimages():
    rotations = rgen.SpecialOrthogonal(4)
    chart = ExponentialChart(rotations, rotations.origin)
    with pytest.raises(NotImplementedError, match=r"one point of Special.* not known"):
        chart.preimages(rotations.origin)


@pytest.mark.slow
def test_preimages_on_products_end_in_their_point():
    cylinder = rgen.Product(rgen.Euclidean(1), rgen.Sphere(2))
    powers = rgen.Power(rgen.Sphere(2), 2)
    for manifold, count in [(rgen.Torus(2), 9), (cylinder, 3), (powers, 9)]:
        chart = ExponentialChart(manifold, manifold.origin)
        x = manifold.exp(manifold.origin, manifold.basis(manifold.origin).sum(0) / 2)
        y = chart.preimages(x)
        assert y.shape == (count, manifold.dim)
        np.testing.assert_allclose(y[0], chart.to_chart(x), atol=1e-6)
        for point in jax.vmap(chart.to_manifold)(y):
            np.testing.assert_allclose(point, x, atol=1e-5)
