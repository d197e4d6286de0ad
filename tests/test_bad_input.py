import math
import re
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import jaxtyping
import numpy as np
import pytest
from helpers import DISTRIBUTIONS, slow
from surfaces import SphereByEquation

import rgen


S2, H2 = rgen.Sphere(2), rgen.Hyperbolic(2)
SCHEDULE = rgen.ConstantSchedule(t1=10.0)
PROCESS = rgen.Brownian(S2, SCHEDULE)
POLE, T, KEY = S2.origin, jnp.array(0.5), jr.key(0)


def zero(x, t):
    return jnp.zeros_like(x)


def short(x, t):
    return jnp.zeros(2)


# Data, which is checked where it comes in.


def points(*rows):
    return jnp.stack([POLE, *rows])


BAD_DATA = {
    "one point": (POLE, r"of shape \(n, 3\), got shape \(3,\).*x\[None\]"),
    "wrong shape": (jnp.ones((5, 2)), r"of shape \(n, 3\), got shape \(5, 2\)"),
    "empty": (jnp.ones((0, 3)), r"at least one row, got shape \(0, 3\).*no data"),
    "booleans": (jnp.ones((5, 3), bool), "in float32 or float64, got bool.*astype"),
    "float16": (jnp.ones((5, 3), jnp.float16), "float64, got float16.*astype"),
    "NaN": (points(jnp.full(3, jnp.nan)), "1 of 2 rows hold a NaN .* row 1.*Drop"),
    "infinity": (points(jnp.full(3, jnp.inf)), "1 of 2 rows hold a NaN or an inf"),
    "off": (points(1.1 * POLE, POLE), r"1 of 3 rows are not on it.*row 1.*project"),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data(name):
    x, message = BAD_DATA[name]
    with pytest.raises(ValueError, match=message):
        rgen.check_points(S2, x)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1.1], ids=["NaN", "inf", "off"])
def test_a_bad_row_is_named(value):
    x = np.tile(np.asarray(POLE), (5000, 1))
    x[3417, 2] *= value
    model = rgen.ScoreModel(zero, PROCESS)
    kernel = rgen.VonMisesFisherKernel(S2)
    for call in (
        lambda: rgen.check_points(S2, x),
        lambda: rgen.log_prob(model, x),
        lambda: rgen.fit_kernel_mixture(kernel, x, x[:10], 1e-2),
        lambda: rgen.metrics.squared_mmd(S2, x[:10], x, 0.1),
        lambda: rgen.datasets.cell_split(KEY, x, 20.0),
    ):
        with pytest.raises(ValueError, match=r"1 of 5000 rows .* row 3417: "):
            call()


def test_check_takes_numpy_and_good_points():
    x = np.array([[0.0, 0.6, 0.8], [1.0, 0.0, 0.0]], np.float32)
    assert isinstance(rgen.check_points(S2, x), jax.Array)
    with pytest.raises(ValueError, match="1 of 2 rows are not on it"):
        rgen.check_points(S2, x + np.array([[0.0], [0.1]], np.float32))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (1.1 * POLE[None], r"points of Sphere\(dim=2\).*not on it"),
        (jnp.ones((1, 2)), r"of shape \(n, 3\), got shape \(1, 2\)"),
        (jnp.full((1, 3), jnp.nan), "hold a NaN"),
        (jnp.ones((0, 3)), "no data"),
    ],
    ids=["off", "shape", "NaN", "empty"],
)
def test_log_prob_checks_its_points(x, message):
    with pytest.raises(ValueError, match=message):
        rgen.log_prob(rgen.ScoreModel(zero, PROCESS), x)
    with pytest.raises(ValueError, match=message):
        rgen.log_prob_and_cost(rgen.ScoreModel(zero, PROCESS), x)


def models():
    centres = jnp.stack([POLE, -POLE])
    kernels = jnp.full(1, 10.0), jnp.zeros(1)
    flat = rgen.WrappedNormal(rgen.Euclidean(2), jnp.zeros(2), 1.0)
    return {
        "score model": rgen.ScoreModel(zero, PROCESS),
        "flow": rgen.Flow(rgen.Uniform(S2), zero),
        "Moser flow": rgen.MoserFlow(S2, zero),
        "pushforward": rgen.Pushforward(rgen.StereographicChart(POLE), flat),
        "kernel mixture": rgen.KernelMixture(rgen.heat_kernel(S2), centres, *kernels),
        "mixture": rgen.Mixture(
            eqx.filter_vmap(lambda x: rgen.VonMisesFisher(x, 10.0))(centres),
            jnp.zeros(2),
        ),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", models())
def test_models_have_a_density_on_the_manifold_only(name):
    distribution = models()[name]
    near = jnp.array([0.6, 0.0, 0.8])
    assert jnp.isfinite(distribution.log_prob(near))
    with pytest.raises(ValueError, match=r"Sphere\(dim=2\), .* not on it .*project"):
        distribution.log_prob(1.1 * near)
    with pytest.raises(eqx.EquinoxRuntimeError, match="not on it"):
        eqx.filter_jit(eqx.filter_vmap(distribution.log_prob))(
            jnp.stack([near, 1.1 * near])
        )


def test_mixtures_of_kernels_that_there_are_not():
    centres, log_weights = POLE[None], jnp.zeros(1)
    for variances in (jnp.zeros(1), jnp.full(1, -1.0)):
        with pytest.raises(ValueError, match="expected `variances` to be positive"):
            rgen.KernelMixture(rgen.heat_kernel(S2), centres, variances, log_weights)


def test_points_are_not_checked_inside_a_traced_function():
    # Where a value is known the check happens; a loop that is traced pays nothing.
    check = lambda x: rgen.check_points(S2, x)
    jaxpr = jax.make_jaxpr(check)(jnp.ones((4, 3)))
    assert len(jaxpr.eqns) == 0
    with pytest.raises(ValueError, match=r"got shape \(4, 2\)"):
        jax.make_jaxpr(check)(jnp.ones((4, 2)))


def test_points_that_are_known_are_checked_inside_a_traced_function():
    good, bad = points(-POLE), points(1.1 * POLE)
    assert jax.jit(lambda a: a + rgen.check_points(S2, good)[1])(POLE) @ POLE == 0
    with pytest.raises(ValueError, match="1 of 2 rows are not on it"):
        jax.jit(lambda a: a + rgen.check_points(S2, bad)[1])(POLE)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_density_of_a_batch(name):
    distribution = DISTRIBUTIONS[name]()
    batch = jnp.stack([distribution.manifold.origin] * 5)
    with pytest.raises(ValueError, match=r"(?s)got \(5, .*vmap"):
        distribution.log_prob(batch)


def test_a_proposal_on_another_manifold():
    distribution, other = rgen.MoserFlow(S2, zero), rgen.Uniform(rgen.Torus(3))
    with pytest.raises(ValueError, match=r"`proposal` on Sphere\(dim=2\)"):
        distribution.loss(POLE, KEY, proposal=other)


def test_a_batch_larger_than_the_data():
    x = jnp.tile(POLE, (5, 1))
    with pytest.raises(ValueError, match=r"`size` to be from 1 to 5, .*got 6"):
        rgen.datasets.minibatch(KEY, x, 6)


@pytest.mark.parametrize("n", [0, -1])
def test_no_samples_at_all(n):
    with pytest.raises(ValueError, match=f"`n` of at least 1, got {n}"):
        rgen.sample(rgen.ScoreModel(zero, PROCESS), KEY, n)
    with pytest.raises(ValueError, match=f"`n` of at least 1, got {n}"):
        PROCESS.stratified_times(KEY, n)


# One point, one time


@pytest.mark.parametrize("x", [jnp.array([0, 0, 1]), POLE.astype(jnp.float16)])
def test_a_point_of_another_dtype(x):
    with pytest.raises(TypeError, match="x0"):
        PROCESS.sample(x, T, KEY)


def test_a_batch_where_one_point_is_expected():
    message = r"sample: expected `x0` to have shape \(3,\), got \(7, 3\).*jax.vmap"
    with pytest.raises(ValueError, match=message):
        PROCESS.sample(jnp.ones((7, 3)), T, KEY)
    with pytest.raises(ValueError, match=r"expected `x` to have shape \(3,\)"):
        PROCESS.score(POLE, jnp.ones(4), T)


@pytest.mark.parametrize("t", [0.5, np.float32(0.5), jnp.full(4, 0.5)])
def test_a_time_that_is_no_scalar_array(t):
    for call in (
        lambda: PROCESS.sample(POLE, t, KEY),
        lambda: PROCESS.score(POLE, POLE, t),
        lambda: PROCESS.drift(POLE, t),
        lambda: PROCESS.score_scale(t),
        lambda: rgen.losses.denoising(zero, PROCESS, POLE, t, KEY),
    ):
        with pytest.raises(TypeError, match="expected `t` to be a scalar array"):
            call()


@pytest.mark.parametrize("t", [0.0, -0.5])
def test_times_that_are_not_positive(t):
    kernel, t = rgen.heat_kernel(S2), jnp.array(t)
    for call in (
        lambda: kernel.log_prob(POLE, POLE, t),
        lambda: kernel.score(POLE, POLE, t),
        lambda: kernel.sample(POLE, t, KEY),
        lambda: PROCESS.sample(POLE, t, KEY),
        lambda: PROCESS.score(POLE, POLE, t),
    ):
        with pytest.raises(ValueError, match="variance `v` to be positive, got"):
            call()
    # Where its value is not known, there is no answer.
    score = jax.jit(kernel.score)(POLE, jnp.array([0.6, 0.0, 0.8]), t)
    assert jnp.isnan(score).all()


# Densities and kernels that do not exist


def test_uniform_distribution_of_a_space_that_is_not_compact():
    with pytest.raises(ValueError, match=r"not compact.*WrappedNormal"):
        H2.uniform(KEY)
    with pytest.raises(ValueError, match=r"compact.*Hyperbolic.*WrappedNormal"):
        rgen.Uniform(H2)
    with pytest.raises(ValueError, match=r"compact.*Euclidean"):
        rgen.Uniform(rgen.Euclidean(2))


def test_brownian_motion_without_a_prior():
    with pytest.raises(ValueError, match=r"expected a compact `manifold`.*Langevin"):
        rgen.Brownian(H2, SCHEDULE)


@pytest.mark.parametrize(
    "manifold",
    [
        rgen.SpecialOrthogonal(4),
        rgen.Power(rgen.SpecialOrthogonal(4), 2),
        rgen.Product(S2, rgen.SpecialOrthogonal(4)),
    ],
)
def test_heat_kernel_where_none_is_known(manifold):
    kernel = rgen.heat_kernel(manifold)
    x = manifold.origin
    message = r"SpecialOrthogonal\(n=4\).*rgen.VaradhanHeatKernel"
    with pytest.raises(NotImplementedError, match=message):
        kernel.log_prob(x, x, T)
    with pytest.raises(NotImplementedError, match=message):
        kernel.score(x, x, T)


def test_remedies_where_no_score_is_known():
    """Every loss that the message names can be evaluated, and it names no kernel that
    would leave out the drift."""
    process = rgen.Langevin(H2, SCHEDULE, steps=5)
    with pytest.raises(NotImplementedError) as error:
        trace(rgen.losses.denoising, zero, process, H2.origin)
    message = str(error.value)
    assert "Varadhan" not in message
    named = set(re.findall(r"rgen\.losses\.(\w+)", message))
    assert named == {"implicit", "sliced", "denoising_step"}
    for name in named:
        trace(getattr(rgen.losses, name), zero, process, H2.origin)
    # Without a drift, Varadhan's kernel is a remedy.
    so4 = rgen.SpecialOrthogonal(4)
    process = rgen.Brownian(so4, SCHEDULE, rgen.VaradhanHeatKernel(so4))
    trace(rgen.losses.denoising, zero, process, so4.origin)


def test_remedies_on_a_surface_without_logarithms():
    surface = SphereByEquation()
    process = rgen.Brownian(surface, rgen.LogUniformSchedule(1e-2, 5.0))
    with pytest.raises(NotImplementedError) as error:
        trace(rgen.losses.denoising, zero, process, surface.origin)
    named = re.findall(r"rgen\.losses\.(\w+)", str(error.value))
    assert named == ["implicit", "sliced"] and "Varadhan" not in str(error.value)
    for name in named:
        trace(getattr(rgen.losses, name), zero, process, surface.origin)


def test_flow_maps_without_logarithms():
    surface = SphereByEquation()
    process = rgen.Brownian(surface, rgen.LogUniformSchedule(1e-2, 5.0))
    field = lambda x, s, t: jnp.zeros_like(x)
    times = map(jnp.array, (0.1, 0.5, 0.9))
    loss = eqx.Partial(rgen.losses.semigroup, field, process)
    message = r"defines no `_log`.*semigroup loss.*densities of rgen\.FlowMap"
    with pytest.raises(NotImplementedError, match=message):
        jax.eval_shape(loss, surface.origin, *times, KEY)
    model = rgen.FlowMap(rgen.Gibbs(surface, lambda x: x[2]), field)
    with pytest.raises(NotImplementedError, match=message):
        jax.eval_shape(model.log_prob, surface.origin)


def test_langevin_dynamics_without_logarithms():
    surface = SphereByEquation()
    with pytest.raises(NotImplementedError, match=r"Give a `prior`.*rgen\.Gibbs"):
        rgen.Langevin(surface, SCHEDULE)
    prior = rgen.Gibbs(surface, lambda x: x[2])
    process = rgen.Langevin(surface, SCHEDULE, prior)
    assert jnp.all(jnp.isfinite(process.drift(surface.origin, T)))


def test_kernels_on_manifolds_that_they_are_not_for():
    # The tests check types that users' calls don't: their error comes first.
    refused = pytest.raises((TypeError, ValueError, jaxtyping.TypeCheckError))
    with refused as error:
        rgen.SphereHeatKernel(rgen.Torus(2))
    assert "Torus(dim=2)" in str(error.value)
    with pytest.raises(ValueError, match=r"`prior` on Sphere\(dim=2\), got one on T"):
        rgen.Langevin(S2, SCHEDULE, rgen.Uniform(rgen.Torus(2)))


def test_a_kernel_of_a_batch():
    kernel = rgen.heat_kernel(rgen.Power(S2, 2))
    x = jnp.tile(S2.origin, (5, 1))
    for method in (kernel.log_prob, kernel.score):
        with pytest.raises(ValueError, match=r"shape \(2, 3\).*got \(5, 3\)"):
            method(x, x, T)


def test_a_manifold_that_holds_an_array():
    class Field(rgen.AbstractLevelSet):
        axes: Any
        dim = 2
        point_shape = (3,)
        origin = property(lambda self: jnp.array([1.0, 0.0, 0.0]))

        def constraint(self, x):
            return jnp.sum((x / jnp.asarray(self.axes)) ** 2) - 1

    axes = jnp.array([1.0, 2.0, 2.0])
    with pytest.raises(ValueError, match=r"Python numbers.*tuple\(array\.tolist\(\)\)"):
        Field(axes)
    assert Field(tuple(axes.tolist())).contains(jnp.array([0.0, 2.0, 0.0]))


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: rgen.sample(rgen.Uniform(S2), KEY, 3, progress=True),
            "`progress` to be a function, got the bool True",
        ),
        (lambda: rgen.ScoreModel(5, PROCESS), "`score` to be a function, got the int"),
        (
            lambda: rgen.losses.denoising(zero, PROCESS, S2.origin, T, KEY, weight=1.0),
            "`weight` to be a function",
        ),
        (
            lambda: rgen.datasets.random_split(KEY, jnp.ones((9, 3)), [0.5, 0.5]),
            "`fractions` to be a tuple, got a list",
        ),
    ],
)
def test_arguments_of_another_type_are_named(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_networks_of_no_size():
    make = lambda **size: rgen.nn.ScoreField(PROCESS, key=KEY, **size)
    for size in ({"depth": 0}, {"width": -1}, {"experts": 0}):
        with pytest.raises(ValueError, match="`depth` and `experts` of at least 1"):
            make(**size)
    for size in ({"frequencies": -1}, {"max_frequency": math.nan}):
        with pytest.raises(ValueError, match="`size` of at least 0 and a finite"):
            make(**size)
    with pytest.raises(ValueError, match="0 < `v_min` < `v_max`"):
        rgen.nn.NeuralField(S2, 1.0, 1.0, key=KEY)


def test_the_name_of_the_argument_is_in_the_error():
    good, bad = jnp.tile(S2.origin, (4, 1)), jnp.ones((4, 3))
    kernel = rgen.VonMisesFisherKernel(S2)
    calls = {
        "y": lambda: rgen.metrics.wasserstein(S2, good, bad),
        "validation": lambda: rgen.fit_kernel_mixture(kernel, good, bad, 0.1),
        "centres": lambda: rgen.KernelMixture(kernel, bad, jnp.ones(1), jnp.ones(1)),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=f"`{name}` to hold .*project.*{name}"):
            call()


def test_errors_of_long_points_are_short():
    far = np.ones((2, 512))
    with pytest.raises(ValueError, match="not on it") as error:
        rgen.log_prob(rgen.Uniform(rgen.Sphere(511)), far)
    assert len(str(error.value)) < 300


def test_warnings_point_to_the_line_of_the_user():
    field = lambda x, t: x * jnp.nan
    with pytest.warns(UserWarning, match="still remembers") as first:
        short = rgen.Brownian(S2, rgen.LogUniformSchedule(1e-2, 1.0))
        model = rgen.ScoreModel(field, short, rgen.ReverseSDE(1))
    with pytest.warns(RuntimeWarning, match="NaN") as second:
        rgen.sample(model, KEY, 2)
    assert first[0].filename == second[0].filename == __file__


def test_a_step_of_the_noise_alone():
    with pytest.raises(ValueError, match="`steps` of at least 2, got 1"):
        trace(rgen.losses.denoising_step, zero, PROCESS, S2.origin, steps=1)


def test_a_distribution_that_returns_another_shape():
    class Wrong(rgen.AbstractDistribution):
        manifold = S2

        def log_prob(self, x):
            return jnp.zeros(1)

        def sample(self, key):
            return jnp.zeros(2)

    # The tests check types that users' calls don't, in other words.
    with pytest.raises((TypeError, ValueError), match="log_prob"):
        rgen.log_prob(Wrong(), S2.origin[None])
    with pytest.raises((TypeError, ValueError), match="sample"):
        rgen.sample(Wrong(), KEY, 2)


def test_a_number_of_samples_from_numpy():
    assert rgen.sample(rgen.Uniform(S2), KEY, np.int64(3)).shape == (3, 3)


def test_a_series_that_is_not_known():
    with pytest.raises(NotImplementedError, match=r"rgen\.VaradhanHeatKernel"):
        rgen.TruncatedHeatKernel(rgen.SpecialOrthogonal(4), 5)


def test_a_kernel_of_another_manifold():
    with pytest.raises(ValueError, match=r"`kernel` on Sphere\(dim=2\), got one on Eu"):
        rgen.Brownian(S2, SCHEDULE, rgen.heat_kernel(rgen.Euclidean(3)))


def test_schedules_of_several_clocks():
    slow = rgen.OrnsteinUhlenbeck(rgen.Euclidean(2), rgen.ConstantSchedule(t1=2.0))
    with pytest.raises(ValueError, match="Give them the same `t0` and `t1`"):
        rgen.ProductProcess(rgen.Brownian(S2, rgen.ConstantSchedule()), slow)


# Score fields


def trace(loss, score, process, x0, *args, **settings):
    """Traces a loss, which is where it raises, and does not compile it."""
    jax.eval_shape(lambda x0: loss(score, process, x0, T, KEY, *args, **settings), x0)


@pytest.mark.parametrize(
    "loss",
    [
        rgen.losses.denoising,
        rgen.losses.denoising_step,
        rgen.losses.implicit,
        rgen.losses.sliced,
    ],
)
def test_losses_of_a_field_of_the_wrong_shape(loss):
    with pytest.raises(ValueError, match=r"of shape \(3,\), got \(2,\)"):
        trace(loss, short, PROCESS, POLE)


def test_models_with_a_field_of_the_wrong_shape():
    message = r"tangent vector of Sphere\(dim=2\), of shape \(3,\), got \(2,\)"
    for sampler in (rgen.ReverseSDE(5), rgen.ProbabilityFlow()):
        with pytest.raises(ValueError, match=message):
            rgen.sample(rgen.ScoreModel(short, PROCESS, sampler), KEY, 2)
    with pytest.raises(ValueError, match=message):
        rgen.log_prob(rgen.ScoreModel(short, PROCESS), POLE[None])


def test_a_field_that_returns_a_scalar_does_not_broadcast():
    with pytest.raises(ValueError, match=r"of shape \(3,\), got \(\)"):
        rgen.log_prob(rgen.ScoreModel(lambda x, t: t, PROCESS), POLE[None])


def test_hutchinson_without_a_key():
    divergence = rgen.HutchinsonDivergence()
    with pytest.raises(ValueError, match="expected a random `key`, got None"):
        rgen.log_prob(rgen.ScoreModel(zero, PROCESS, divergence=divergence), POLE[None])


# NaN in, NaN out


def test_nan_is_not_hidden():
    nan = jnp.full(3, jnp.nan)
    kernel = rgen.heat_kernel(S2)
    assert jnp.isnan(kernel.log_prob(POLE, nan, T))
    assert jnp.isnan(kernel.score(POLE, nan, T)).all()
    assert jnp.isnan(PROCESS.sample(nan, T, KEY)).all()
    loss = rgen.losses.denoising(lambda x, t: nan, PROCESS, POLE, T, KEY)
    assert jnp.isnan(loss)


SAMPLERS = {
    "reverse SDE": lambda _: rgen.ReverseSDE(16),
    "probability flow": lambda _: rgen.ProbabilityFlow(max_steps=64),
    "few steps": lambda _: rgen.FewSteps(16),
    "fixed steps": lambda process: rgen.ProbabilityFlow(
        stepsize_controller=diffrax.StepTo(process.time_grid(16))
    ),
    "churn": lambda _: rgen.Churn(16, 1.0),
    "denoised": lambda _: rgen.Denoised(rgen.ReverseSDE(16)),
}
FLAT = rgen.Euclidean(3)


@pytest.mark.parametrize("value", [math.nan, *slow([math.inf])])
@pytest.mark.parametrize(
    "process",
    [PROCESS, rgen.OrnsteinUhlenbeck(FLAT, rgen.LogUniformSchedule(1e-3))],
    ids=["S2", "R3"],
)
@pytest.mark.parametrize("name", SAMPLERS)
def test_no_sampler_hides_a_field_that_is_not_finite(name, process, value):
    # Towards the end, where nothing brings the points back.
    field = lambda x, t: jnp.where(t < 0.1, value, 0.0) * jnp.ones_like(x)
    model = rgen.ScoreModel(field, process, SAMPLERS[name](process))
    adaptive = name == "probability flow"
    message = "reached time 0.1" if adaptive else "the field is NaN"
    with pytest.raises(ValueError, match=message):
        model.sample(KEY)
    with pytest.warns(RuntimeWarning, match="2 of 2 samples"):
        rgen.sample(model, KEY, 2)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_no_flow_map_hides_a_field_that_is_not_finite(value):
    field = lambda x, s, t: value * jnp.ones_like(x)
    base = rgen.WrappedNormal(FLAT, jnp.zeros(3), 1.0)
    model = rgen.FlowMap(base, field, (0.0, 1.0))
    for sample in (model.sample, model.sample_and_log_prob):
        with pytest.raises(ValueError, match="the field is NaN"):
            sample(KEY)


# Schedules


def test_schedules_that_make_no_sense():
    with pytest.raises(ValueError, match=r"`t0` before `t1`, .* t0=1.0 and t1=1.0"):
        rgen.ConstantSchedule(t0=1.0, t1=1.0)
    with pytest.raises(ValueError, match=r"`t0` before `t1`, .* got t0=2.0"):
        rgen.LinearSchedule(t0=2.0)
    for make in (rgen.ConstantSchedule, rgen.LinearSchedule):
        with pytest.raises(ValueError, match="`t0` to be positive, got 0"):
            make(t0=0.0)
        with pytest.raises(ValueError, match="both finite"):
            make(t1=math.inf)
    with pytest.raises(ValueError, match="`speed` to be positive and finite"):
        rgen.ConstantSchedule(math.inf)
    for speeds in ((math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0), (0.0, 0.0)):
        with pytest.raises(ValueError, match="`beta_0` and `beta_1` to be finite"):
            rgen.LinearSchedule(*speeds)
    with pytest.raises(ValueError, match=r"positive up to `t1`, got -9\.7"):
        rgen.LinearSchedule(5.0, 0.1, t1=3.0)
    with pytest.raises(ValueError, match=r"positive up to `t1`, got 0\.0 at t1=1\.0"):
        rgen.LinearSchedule(5.0, 0.0)
    # Its remedies.
    rgen.LinearSchedule(5.0, 0.0, t1=0.9), rgen.LinearSchedule(5.0, 0.1)
    with pytest.raises(ValueError, match="both finite"):
        rgen.LogUniformSchedule(1e-4, math.inf)
    with pytest.raises(ValueError, match="for each factor, got none"):
        rgen.ProductSchedule()
    for v_min in (0.0, -1.0, 5.0):
        with pytest.raises(ValueError, match="0 < `v_min` < `v_max`"):
            rgen.LogUniformSchedule(v_min=v_min, v_max=5.0)


# Diffrax


def test_adaptive_steps_for_a_random_walk():
    path = rgen.BrownianGrid((3,), jnp.linspace(0.0, 1.0, 10 + 1), KEY)
    terms = rgen.forward_sde(PROCESS, path)
    controller = diffrax.PIDController(rtol=1e-3, atol=1e-3)
    with pytest.raises(RuntimeError, match="error estimate"):
        diffrax.diffeqsolve(
            terms,
            rgen.GeodesicRandomWalk(S2),
            0.0,
            1.0,
            0.1,
            POLE,
            stepsize_controller=controller,
        )
