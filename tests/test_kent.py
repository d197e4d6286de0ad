import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import mpmath
import numpy as np
import pytest
import scipy.linalg
import scipy.special
import scipy.stats
from helpers import log_probs, samples_of, sphere_rule

import rgen
from rgen import fit_kent_mixture
from rgen._distribution._kent import _proposal, log_kent_normaliser


# Without the optimisations XLA computes NaN for some of these gradients on CPU.
pytestmark = pytest.mark.usefixtures("optimised")

S2 = rgen.Sphere(2)
AXES = rgen.SpecialOrthogonal(3).uniform(jr.key(5))
# The level of every statistical test here.
LEVEL = 1e-3
PARAMETERS = [
    (0, 0),
    (0.5, 0.25),
    (3, 1),
    (100, 49.9),
    (1e4, 3e3),
    (1e6, 0),
    (1e6, 499_999),
    (1e8, 4e7),
    (1e8, 49_999_996),
    (3e3, 1.5e3),
    (1e5, 5e4),
]


def exact_log_normaliser(kappa, beta):
    with mpmath.workdps(25):
        kappa, beta = mpmath.mpf(kappa), mpmath.mpf(beta)

        def integrand(w):
            bend = beta * w * (2 - w)
            return mpmath.exp(-kappa * w) * mpmath.besseli(0, bend)

        # Panels so short that the rule is exact to 17 digits in each.
        cuts = [0, *(mpmath.mpf(10) ** (mpmath.mpf(e) / 2) for e in range(-19, 1)), 2]
        return float(mpmath.log(2 * mpmath.pi * mpmath.quad(integrand, cuts)))


def test_normaliser(dtype, eps):
    kappa, beta = jnp.array(PARAMETERS, dtype).T
    values = jax.jit(jax.vmap(log_kent_normaliser))(kappa, beta)
    pairs = zip(np.float64(kappa), np.float64(beta), strict=True)
    exact = np.array([exact_log_normaliser(k, b) for k, b in pairs])
    # Exponents of up to 20 where the integrand is large, each rounded, and weights
    # with errors of a few roundings.
    assert np.all(np.abs(np.float64(values) - exact) < 20 * eps + 1e-14)


def test_without_ovalness_it_is_von_mises_fisher():
    x = samples_of(rgen.Uniform(S2), jr.key(0), 50)
    kent = log_probs(rgen.Kent(AXES, 7.0, 0.0), x)
    fisher = log_probs(rgen.VonMisesFisher(AXES[:, 0], 7.0), x)
    np.testing.assert_allclose(kent, fisher, atol=1e-5)


def test_density_integrates_to_one():
    with jax.enable_x64(True):
        x, w = map(jnp.asarray, sphere_rule(60))
        axes = rgen.SpecialOrthogonal(3).project(AXES.astype("float64"))
        for parameters in ((0.5, 0.25), (20.0, 9.0)):
            p = jnp.exp(log_probs(rgen.Kent(axes, *parameters), x))
            assert w @ p == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("kappa", "beta"), [(0.5, 0.2), (30.0, 14.0), (1e4, 3e3)])
def test_moments_of_samples(kappa, beta):
    distribution, n = rgen.Kent(AXES, kappa, beta), 20_000
    x = samples_of(distribution, jr.key(1), n)
    rgen.check_points(S2, x)
    local = np.float64(x) @ np.float64(AXES)
    drop = np.sum((np.float64(x) - np.float64(AXES[:, 0])) ** 2, 1) / 2
    stretch = local[:, 1] ** 2 - local[:, 2] ** 2
    # The normaliser's slopes are the means of the statistics.
    with jax.enable_x64(True):
        at = jnp.array(kappa, "float64"), jnp.array(beta, "float64")
        slopes = np.array(jax.grad(log_kent_normaliser, (0, 1))(*at))
    for values, mean in ((drop, -slopes[0]), (stretch, slopes[1])):
        # A level of 1e-3 for the six of them.
        assert abs(values.mean() - mean) < 3.8 * values.std() / np.sqrt(n)
    # All sides of the bump are alike.
    for column in (local[:, 1], local[:, 2], local[:, 1] * local[:, 2]):
        assert scipy.stats.binomtest(int(np.sum(column > 0)), n).pvalue > 1e-4


# Round, long, as long as can be, and very concentrated.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kappa", "beta"),
    [(0, 0), (1, 0.5), (10, 0), (1e4, 5e3), (1e6, 499_999), (1e6, 0), (1e8, 3e7)],
)
def test_samples_have_the_distribution(kappa, beta):
    x = np.float64(samples_of(rgen.Kent(AXES, kappa, beta), jr.key(6), 4000))
    mean, long, short = np.float64(AXES).T
    versine = np.sum((x - mean) ** 2, 1) / 2
    y = np.linspace(-30, 5, 3000)
    grid, rise = 2 / (1 + np.exp(-2 * y)), 2 / (1 + np.exp(2 * y))
    density = np.exp(-(kappa - 2 * beta) * grid - beta * grid**2)
    density *= scipy.special.i0e(beta * grid * rise) * grid * rise
    cdf = np.cumsum(density) / np.sum(density)
    follows = lambda w: np.interp(np.log(w), np.log(grid), cdf)
    assert scipy.stats.kstest(versine, follows).pvalue > LEVEL
    # Given the versine, twice the angle around the mean is von Mises.
    angle = 2 * np.arctan2(x @ short, x @ long)
    spread = beta * versine * (2 - versine) + 1e-300
    share = scipy.stats.vonmises.cdf(angle, spread) % 1
    assert scipy.stats.kstest(share, "uniform").pvalue > LEVEL


def test_a_sample_takes_two_proposals_at_most():
    @jax.jit
    def acceptance(kappa, beta, keys):
        return jnp.mean(jnp.exp(jax.vmap(_proposal(kappa, beta))(keys)[1]))

    keys = jr.split(jr.key(0), 20_000)
    rates = [
        acceptance(jnp.array(kappa), jnp.array(share * kappa / 2), keys)
        for kappa in (0.0, 0.1, 1.0, 10.0, 1e3, 1e6, 1e8)
        for share in (0.0, 0.5, 0.9, 1.0)
    ]
    # Twice the integral of exp(-y^4) is smaller than those of the normal bounds by
    # this factor, at most; a mean of 20,000 numbers in [0, 1] is off by 0.01.
    most = math.exp(1 / 4) * math.sqrt(2 * math.pi) / (2 * math.gamma(5 / 4))
    assert most == pytest.approx(1.78, abs=0.01)
    assert min(rates) > 1 / most - 0.01


def test_no_sample_is_where_the_density_is_zero():
    # When a uniform number of exactly 0 accepted anything, eleven of these were.
    x = samples_of(rgen.Kent(jnp.eye(3), 1e4, 5e3), jr.key(0), 40_000)
    # -log p against its least is an exponential number in the limit, and less here.
    excess = 1e4 * np.sum((x - jnp.eye(3)[0]) ** 2, 1) / 2 - 5e3 * (
        x[:, 1] ** 2 - x[:, 2] ** 2
    )
    assert np.max(excess) < 30


def test_a_sample_of_a_nan_ends():
    distribution = rgen.Kent(AXES, 3.0, 1.0)
    distribution = eqx.tree_at(
        lambda distribution: distribution.concentration,
        distribution,
        jnp.array(jnp.nan),
    )
    assert np.all(np.isnan(distribution.sample(jr.key(0))))


def test_gradients_are_finite():
    f = lambda k, b, x: rgen.Kent(AXES, k, b).log_prob(x)
    for kappa, beta in PARAMETERS[1:]:
        at = jnp.array(float(kappa)), jnp.array(float(beta) * 0.99)
        slopes = jax.grad(f, (0, 1, 2))(*at, AXES[:, 0])
        assert all(jnp.all(jnp.isfinite(slope)) for slope in slopes)


@pytest.mark.slow
def test_the_hessian_is_a_covariance():
    # Of the two statistics, by quadrature.
    with jax.enable_x64(True):
        x, w = sphere_rule(60)
        at = jnp.array([20.0, 6.0])
        p = np.exp(log_probs(rgen.Kent(jnp.eye(3), *at), jnp.asarray(x))) * w
        statistics = np.stack([x[:, 0] - 1, x[:, 1] ** 2 - x[:, 2] ** 2])
        hessian = jax.hessian(lambda z: log_kent_normaliser(*z))(at)
        np.testing.assert_allclose(
            hessian, np.cov(statistics, aweights=p, ddof=0), atol=1e-10
        )
    for parameters in PARAMETERS:
        at = jnp.array(parameters, "float32")
        hessian = jax.hessian(lambda z: log_kent_normaliser(*z))(at)
        assert jnp.all(jnp.isfinite(hessian))


def test_refuses():
    for concentration in (-1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="`concentration` to be finite and at lea"):
            rgen.Kent(AXES, concentration, 0.0)
    for axes in (AXES.at[:, 1].add(0.1), 0.9 * AXES):
        with pytest.raises(ValueError, match="`axes` to be orthonormal") as error:
            rgen.Kent(axes, 2.0, 0.5)
        # The remedy, as the message has it.
        assert "jax.numpy.asarray(scipy.linalg.polar(axes)[0])" in str(error.value)
        rgen.Kent(jnp.asarray(scipy.linalg.polar(axes)[0]), 2.0, 0.5)
    for ovalness in (-0.1, 1.1):
        with pytest.raises(ValueError, match="`ovalness` between 0 and half"):
            rgen.Kent(AXES, 2.0, ovalness)


def test_an_optimiser_may_move_the_axes_and_the_ovalness():
    with jax.enable_x64(True):
        x, w = map(jnp.asarray, sphere_rule(60))
        distribution = rgen.Kent(jnp.eye(3), 5.0, 1.0)
        for axes, ovalness in ((2 * jnp.eye(3) + 0.3, 1.0), (jnp.eye(3), -1.0)):
            moved = eqx.tree_at(
                lambda k: (k.axes, k.ovalness), distribution, (axes, ovalness)
            )
            moved = jax.tree.map(jnp.asarray, moved)
            assert w @ jnp.exp(log_probs(moved, x)) == pytest.approx(1, abs=1e-12)
        # An ovalness that is too large counts as the largest.
        wide = eqx.tree_at(lambda k: k.ovalness, distribution, jnp.array(20.0))
        assert w @ jnp.exp(log_probs(wide, x)) == pytest.approx(1, abs=1e-12)
        largest = rgen.Kent(jnp.eye(3), 5.0, 2.5)
        np.testing.assert_allclose(log_probs(wide, x), log_probs(largest, x))
        found, wanted = (samples_of(k, jr.key(1), 50) for k in (wide, largest))
        np.testing.assert_array_equal(found, wanted)
        # With the ovalness below 0 the last two axes change their parts.
        local = np.asarray(samples_of(moved, jr.key(0), 4000)) ** 2
        assert local[:, 2].mean() > 1.2 * local[:, 1].mean()


@pytest.mark.slow
def test_fit_of_one_component_finds_its_parameters():
    distribution, n = rgen.Kent(AXES, 200.0, 60.0), 10_000
    x = samples_of(distribution, jr.key(0), n)
    fit = fit_kent_mixture(x, x[:100], 1e-5, [1], jr.key(1))
    component = jax.tree.map(lambda leaf: leaf[0], fit.components)
    # Of inverse variances the standard error is sqrt(2 / n) of themselves, 1.4 %.
    low = component.concentration - 2 * component.ovalness
    high = component.concentration + 2 * component.ovalness
    assert low == pytest.approx(80, rel=0.06)
    assert high == pytest.approx(320, rel=0.06)
    np.testing.assert_allclose(component.axes[:, 0], AXES[:, 0], atol=5e-3)
    assert abs(component.axes[:, 1] @ AXES[:, 1]) > 0.999


@pytest.fixture(scope="module")
def two_bumps():
    frames = jnp.stack([AXES, AXES[:, ::-1]])
    pair = eqx.filter_vmap(lambda a, k, b: rgen.Kent(a, k, b))(
        frames, jnp.array([50.0, 300.0]), jnp.array([20.0, 10.0])
    )
    distribution = rgen.Mixture(pair, jnp.log(jnp.array([0.7, 0.3])))
    return distribution, samples_of(distribution, jr.key(0), 6000)


@pytest.mark.slow
def test_fit_comes_near_the_distribution_of_the_data(two_bumps):
    distribution, x = two_bumps
    train, validation, test = x[:4000], x[4000:5000], x[5000:]
    fit = fit_kent_mixture(train, validation, 1e-5, [1, 2], jr.key(1))
    assert len(fit.log_weights) == 2
    gaps = np.asarray(log_probs(distribution, test) - log_probs(fit, test))
    # Eleven parameters cost 11 / 2n = 0.0014 nats on average.
    assert -0.01 < gaps.mean() < 0.01


@pytest.mark.slow
def test_fit_of_narrow_bumps_close_to_each_other():
    near = rgen.Sphere(2).exp(AXES[:, 0], 0.03 * AXES[:, 1])
    pair = eqx.filter_vmap(lambda mean: rgen.VonMisesFisher(mean, 1e5))(
        jnp.stack([AXES[:, 0], near])
    )
    distribution = rgen.Mixture(pair, jnp.zeros(2))
    x = samples_of(distribution, jr.key(0), 1000)
    fit = fit_kent_mixture(x[:800], x[800:900], 1e-6, [2], jr.key(1))
    gaps = np.asarray(log_probs(distribution, x[900:]) - log_probs(fit, x[900:]))
    # Eleven parameters and 800 points cost 0.007 nats on average.
    assert gaps.mean() < 0.05


def test_fit_of_opposite_points():
    x = jnp.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    fit = fit_kent_mixture(x, x, 1e-3, [1], jr.key(0))
    assert jnp.all(jnp.isfinite(log_probs(fit, x)))


def test_variances_are_no_less_than_the_smallest(two_bumps):
    _, x = two_bumps
    fit = fit_kent_mixture(x[:500], x[500:600], 0.1, [3], jr.key(1))
    kent = fit.components
    assert jnp.all(kent.concentration + 2 * kent.ovalness <= 10 * (1 + 1e-5))


def test_copies_of_one_point_have_a_density():
    x = jnp.tile(AXES[:, 0], (20, 1))
    fit = fit_kent_mixture(x, x, 1e-4, [1], jr.key(0))
    assert jnp.all(jnp.isfinite(log_probs(fit, x)))
    with pytest.raises(ValueError, match="the 1 distinct training points"):
        fit_kent_mixture(x, x, 1e-4, [2], jr.key(0))


def test_fit_refuses(two_bumps):
    _, x = two_bumps
    with pytest.raises(ValueError, match="`min_variance`"):
        fit_kent_mixture(x, x, 0.0, [1], jr.key(0))
    for sizes in ([], [0], [7000]):
        with pytest.raises(ValueError, match="`sizes`"):
            fit_kent_mixture(x, x, 1e-3, sizes, jr.key(0))
