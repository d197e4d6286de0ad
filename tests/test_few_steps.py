"""Few-step sampling: the clock of the noise, the multistep solver, and samplers."""

import functools

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats
from helpers import slow, solve_along, uneven_shares
from surfaces import SphereByEquation

import rgen
from rgen._flow_solver._clock import noise_level, time_at


S2, SO3, R3 = rgen.Sphere(2), rgen.SpecialOrthogonal(3), rgen.Euclidean(3)


def rest(table, quick):
    return [name for name in table if name not in quick]


# The score of a point, with Varadhan's heat kernel: the pull log_x(x_0) / v.


def pull(manifold, schedule):
    kernel = rgen.VaradhanHeatKernel(manifold)
    return rgen.Brownian(manifold, schedule, kernel)


SCHEDULES = {
    "LogUniform": rgen.LogUniformSchedule(1e-3, 5.0),
    "Linear": rgen.LinearSchedule(),
    "Coarse": rgen.CoarseSchedule(rgen.ConstantSchedule(2.0), 0.1),
}
MANIFOLDS = {"S2": S2, "SO3": SO3}


def two_points(manifold, dtype):
    x0 = manifold.origin.astype(dtype)
    v = manifold.tangent_noise(x0, jr.key(1))
    return x0, manifold.exp(x0, 2.5 * v / manifold.norm(x0, v))


def flow_of_a_point(process, x0):
    return rgen.probability_flow(process, lambda x, t: process.score(x0, x, t))


GEODESIC = {
    "Euler": rgen.GeodesicRandomWalk,
    "Heun": rgen.GeodesicHeun,
    "MK Heun": lambda m: rgen.MuntheKaas(m, diffrax.Heun()),
}
EXACT = [(m, s, k) for m in MANIFOLDS for s in SCHEDULES for k in GEODESIC]
EXACT = {", ".join(case): case for case in EXACT}
QUICK = ["S2, LogUniform, Euler", "S2, Linear, Heun", "SO3, Coarse, MK Heun"]


@pytest.mark.parametrize("case", [*QUICK, *slow(rest(EXACT, QUICK))])
def test_one_step_on_the_clock_is_exact_for_a_point(case):
    name, schedule, kind = EXACT[case]
    manifold, schedule = MANIFOLDS[name], SCHEDULES[schedule]
    process = pull(manifold, schedule)
    with jax.enable_x64(True):
        x0, x = two_points(manifold, "float64")
        t0, t1 = jnp.array(schedule.t0), jnp.array(schedule.t1)
        solver = rgen.NoiseClock(GEODESIC[kind](manifold), schedule)
        term = flow_of_a_point(process, x0)
        saveat = diffrax.SaveAt(t1=True, dense=True)
        solution = solve_along(
            solver, term, x, jnp.stack([t1, t0]), max_steps=1, saveat=saveat
        )
        middle = (t0 + t1) / 2
        levels = jnp.stack([noise_level(schedule, t) for t in (t0, middle, t1)])
        x = jnp.stack([solution.ys[0], solution.evaluate(middle), x])
        far = np.asarray(jax.vmap(lambda y: manifold.dist(x0, y))(x))
    # Towards the point, at a distance in proportion to the noise level. Rounding, of
    # derivatives of `log` too.
    np.testing.assert_allclose(far / far[-1], levels / levels[-1], rtol=1e-9)


@pytest.mark.parametrize(
    "solver",
    [rgen.GeodesicRandomWalk(R3), *slow([diffrax.Heun(), diffrax.Tsit5()])],
    ids=lambda solver: type(solver).__name__,
)
def test_one_step_on_the_clock_is_exact_in_flat_space(solver):
    schedule = rgen.LinearSchedule()
    with jax.enable_x64(True):
        x0, x = jnp.array([1.0, -2.0, 0.5]), jnp.array([0.0, 3.0, -1.0])
        field = lambda x, t: schedule.beta(t) / 2 * (x - x0) / schedule.variance(t)
        times = jnp.array([schedule.t1, schedule.t0])
        clock = rgen.NoiseClock(solver, schedule)
        end = solve_along(clock, rgen.flow_term(R3, field), x, times, max_steps=1).ys[0]
        start, last = (noise_level(schedule, t) for t in times)
        left, expected = end - x0, last / start * (x - x0)
    # What is left is a thousandth of the step, and its rounding grows as much.
    np.testing.assert_allclose(left, expected, atol=1e-12)


def test_a_diffrax_solver_that_is_implicit_on_the_clock():
    schedule = rgen.LinearSchedule()
    x0, x = jnp.array([1.0]), jnp.array([3.0])
    field = lambda x, t: schedule.beta(t) / 2 * (x - x0) / schedule.variance(t)
    term = rgen.flow_term(rgen.Euclidean(1), field)
    solver = rgen.NoiseClock(diffrax.Kvaerno3(), schedule)
    controller = diffrax.PIDController(rtol=1e-4, atol=1e-4)
    ends = jnp.array(schedule.t1), jnp.array(schedule.t0)
    end = diffrax.diffeqsolve(
        term, solver, *ends, None, x, stepsize_controller=controller
    ).ys[0]
    ratio = noise_level(schedule, ends[1]) / noise_level(schedule, ends[0])
    # The tolerance, over some dozen steps.
    np.testing.assert_allclose(end - x0, ratio * (x - x0), atol=2e-3)


MIXED = rgen.ProductSchedule(
    rgen.LinearSchedule(0.1, 4.0), rgen.ConstantSchedule(0.5), rgen.ConstantSchedule()
)


def test_the_clock_of_several_schedules(dtype, eps):
    t = jnp.linspace(MIXED.t0, MIXED.t1, 33)
    level = jax.vmap(functools.partial(noise_level, MIXED))
    variances = jax.vmap(MIXED.variance)(t)
    mean = scipy.stats.gmean(np.asarray(variances, np.float64), axis=1)
    np.testing.assert_allclose(level(t) ** 2, mean, rtol=32 * eps)
    found = jax.vmap(functools.partial(time_at, MIXED))(level(t))
    # A logarithm of at most 8 is rounded, and grows by 1 / t or more.
    np.testing.assert_allclose(found, t, rtol=64 * eps)
    back = lambda t: time_at(MIXED, noise_level(MIXED, t))
    # The search itself has no derivative: that of its last steps is the right one.
    np.testing.assert_allclose(jax.vmap(jax.grad(back))(t), 1, rtol=1e3 * eps)


# A smooth score that turns: of data whose density on the sphere, or on the rotations,
# has harmonics of the first degree, and of the second.


class Smooth(eqx.Module):
    process: rgen.Brownian

    def log_prob(self, x, t):
        v = self.process.schedule.variance(t)
        if x.ndim == 2:
            first = jnp.trace(jnp.asarray(FIRST, x.dtype).T @ x)
            return jnp.log1p(jnp.exp(-v) * first)
        second = x @ jnp.asarray(SECOND, x.dtype) @ x
        return jnp.log1p(jnp.exp(-v) * 0.5 * x[2] + jnp.exp(-3 * v) * second)

    def __call__(self, x, t):
        at_t = lambda y: self.log_prob(y, t)
        return self.process.manifold.gradient(at_t, x)


FIRST = [[0.3, 0.1, -0.2], [-0.2, 0.1, 0.2], [0.1, 0.0, 0.2]]
SECOND = [[0.5, 0.3, 0.0], [0.3, -0.2, 0.2], [0.0, 0.2, -0.3]]
SMOOTH = {
    name: rgen.Brownian(manifold, rgen.LogUniformSchedule(0.05, 8.0))
    for name, manifold in MANIFOLDS.items()
}
# The other way round, with a drift: an Ornstein-Uhlenbeck process, and normal data.
FLAT = rgen.OrnsteinUhlenbeck(rgen.Euclidean(2), rgen.LogUniformSchedule(0.05, 8.0))
MEAN, VARIANCE = (1.0, -0.5), (0.2, 2.0)


def normal(t):
    decay = jnp.exp(-FLAT.schedule.variance(t))
    mean, variance = jnp.array(MEAN), jnp.array(VARIANCE)
    return jnp.sqrt(decay) * mean, decay * variance + 1 - decay


def normal_score(x, t):
    mean, variance = normal(t)
    return (mean - x) / variance


def normal_end(x):
    """Where the flow carries the point `x` at t1: the quantiles stay."""
    ends = (jnp.array(t) for t in (FLAT.schedule.t1, FLAT.schedule.t0))
    (mean, variance), (end, left) = map(normal, ends)
    return end + jnp.sqrt(left / variance) * (x - mean)


def solvers(process):
    clock = lambda solver: rgen.NoiseClock(solver, process.schedule)
    manifold = process.manifold
    return {
        "multistep": (rgen.DenoisingMultistep(process), 2),
        "clock, Euler": (clock(rgen.GeodesicRandomWalk(manifold)), 1),
        "clock, Heun": (clock(rgen.GeodesicHeun(manifold)), 2),
        "clock, Bosh3": (clock(rgen.MuntheKaas(manifold, diffrax.Bosh3())), 3),
    }


PROBLEMS = {
    "S2": (SMOOTH["S2"], Smooth(SMOOTH["S2"])),
    "SO3": (SMOOTH["SO3"], Smooth(SMOOTH["SO3"])),
    "normal": (FLAT, normal_score),
}
ORDERS = {f"{p}, {s}": (p, s) for p in PROBLEMS for s in solvers(FLAT)}
QUICK_ORDERS = ["S2, multistep", "normal, multistep"]


def start_of(process):
    if process is FLAT:
        return jnp.array([1.5, -0.7])
    origin = process.manifold.origin
    return process.manifold.exp(
        origin, process.manifold.tangent_noise(origin, jr.key(3))
    )


def end_of(name, x):
    process, score = PROBLEMS[name]
    if process is FLAT:
        return normal_end(x)
    term, schedule = rgen.probability_flow(process, score), process.schedule
    controller = diffrax.PIDController(rtol=1e-10, atol=1e-10)
    ends = jnp.array(schedule.t1), jnp.array(schedule.t0)
    end = diffrax.diffeqsolve(
        term, diffrax.Tsit5(), *ends, None, x, stepsize_controller=controller
    ).ys[0]
    return process.manifold.project(end)


@pytest.mark.parametrize("case", [*QUICK_ORDERS, *slow(rest(ORDERS, QUICK_ORDERS))])
def test_order(case):
    name, kind = ORDERS[case]
    process, score = PROBLEMS[name]
    solver, order = solvers(process)[kind]
    steps = np.array([16, 32, 64])
    with jax.enable_x64(True):
        x = start_of(process)
        term = rgen.probability_flow(process, score)
        ends = jnp.array(process.schedule.t1), jnp.array(process.schedule.t0)
        # Equal steps of time are those of the logarithm of the variance.
        end = lambda dt: diffrax.diffeqsolve(term, solver, *ends, dt, x).ys[0]
        found = jax.jit(jax.vmap(end))(jnp.asarray(-1 / steps))
        exact = jax.jit(functools.partial(end_of, name))(x)
        far = lambda y: process.manifold.dist(exact, process.manifold.project(y))
        errors = np.asarray(jax.vmap(far)(found))
        moved = float(process.manifold.dist(x, exact))
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    # The next order leaves the slope off by a multiple of the largest step.
    assert -slope == pytest.approx(order, abs=0.3), errors
    assert errors[-1] < 0.1 * 0.25**order
    # A flow that rests would have any order.
    assert moved > 0.1


def uneven(process, n):
    """Steps of the logarithm of the variance, every second three times as long."""
    share, schedule = uneven_shares(n), process.schedule
    ends = (schedule.variance(jnp.array(t)) for t in (schedule.t1, schedule.t0))
    first, last = map(jnp.log, ends)
    return jax.vmap(schedule.time)(jnp.exp(first + share * (last - first)))


def test_order_of_the_multistep_solver_on_uneven_steps():
    steps = 128, 256, 512
    with jax.enable_x64(True):
        x = start_of(FLAT)

        def end(n):
            sampler = rgen.FewSteps(n, grid=uneven)
            return jax.jit(lambda x: sampler(normal_score, FLAT, x, jr.key(0))[0])(x)

        errors = np.stack([FLAT.manifold.dist(end(n), normal_end(x)) for n in steps])
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    # As for equal steps. The coefficient of those leaves order 1.
    assert -slope == pytest.approx(2, abs=0.1), errors


def test_a_step_of_no_length():
    """Without a step before, the solver is Euler's on the clock of the noise."""
    process, score = PROBLEMS["S2"]
    x, key = start_of(process), jr.key(0)
    two, again = rgen.PowerGrid(), jnp.array([1, 2, 1])
    repeated = lambda process, n: jnp.repeat(two(process, 2), again)
    sampler = rgen.FewSteps(3, grid=repeated)
    first_order = solvers(process)["clock, Euler"][0]
    found, _ = sampler(score, process, x, key)
    expected, _ = rgen.FewSteps(2, first_order)(score, process, x, key)
    # Two programs for the same sums.
    np.testing.assert_allclose(found, expected, atol=1e-6)
    derivative = jax.jacrev(lambda x: sampler(score, process, x, key)[0])(x)
    assert jnp.isfinite(derivative).all()


def test_the_multistep_solver_is_exact_for_a_point_on_each_factor():
    factors = (
        pull(S2, rgen.LogUniformSchedule(1e-3, 5.0)),
        pull(SO3, rgen.LogUniformSchedule(1e-2, 3.0)),
    )
    process = rgen.ProductProcess(*factors)
    manifold = process.manifold
    pairs = [two_points(factor.manifold, "float32") for factor in factors]
    x0, x = (manifold.join(*points) for points in zip(*pairs, strict=True))
    times = rgen.PowerGrid(3.0)(process, 5)
    term, solver = flow_of_a_point(process, x0), rgen.DenoisingMultistep(process)
    end = solve_along(solver, term, x, times, max_steps=5).ys[0]
    points = manifold.split(x0), manifold.split(end)
    for factor, goal, found in zip(factors, *points, strict=True):
        start, last = (noise_level(factor.schedule, t) for t in (times[0], times[-1]))
        # Rounding of points of size one, in five steps.
        far = factor.manifold.dist(goal, found)
        np.testing.assert_allclose(far, 2.5 * last / start, atol=1e-5)


def test_a_pull_with_a_drift_is_exact_up_to_the_variance():
    process = rgen.OrnsteinUhlenbeck(R3, rgen.ConstantSchedule())
    x0, noise = jnp.array([1.0, -2.0, 0.5]), jnp.array([0.4, 1.0, -0.7])
    term = flow_of_a_point(process, x0)

    def at(v):
        return jnp.exp(-v / 2) * x0 + jnp.sqrt(-jnp.expm1(-v)) * noise

    def error(v):
        times = jnp.stack([v, v / 9])
        solver = rgen.DenoisingMultistep(process)
        return jnp.max(
            jnp.abs(solve_along(solver, term, at(v), times).ys[0] - at(v / 9))
        )

    errors = jax.vmap(error)(jnp.array([0.02, 0.002]))
    # The point itself moves by two thirds of the noise level, 0.1 and 0.03.
    assert errors[0] < 0.01
    # Of the first order in the variance: the next one is its root, 0.1.
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.1)


# Adaptive steps


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["clock, Heun", "clock, Bosh3"])
def test_adaptive_steps_on_the_clock(kind):
    process, score = PROBLEMS["S2"]
    solver, order = solvers(process)[kind]

    def run(tolerance):
        controller = diffrax.PIDController(rtol=tolerance, atol=tolerance)
        return rgen.ProbabilityFlow(solver, controller)(score, process, x, jr.key(0))

    with jax.enable_x64(True):
        x = start_of(process)
        found, cost = jax.jit(jax.vmap(run))(jnp.array([1e-4, 1e-7]))
        exact = end_of("S2", x)
        errors = np.asarray(jax.vmap(lambda y: S2.dist(exact, y))(found))
    assert np.all(cost.finished)
    # The errors of all steps add up; and the estimate is of the order below.
    steps = np.asarray(cost.steps)
    assert (errors < np.array([1e-4, 1e-7]) * steps).all()
    assert 2 < steps[1] / steps[0] < 2 * 1000 ** (1 / order)


# Samplers


ZERO = lambda x, t: jnp.zeros_like(x)


class Counting(eqx.Module):
    """Counts its evaluations as they are made."""

    score: Smooth
    count = []  # noqa: RUF012 (shared on purpose)

    def __call__(self, x, t):
        jax.debug.callback(lambda x: self.count.append(1), x)
        return self.score(x, t)


COUNTS = {
    "multistep": (lambda s: rgen.FewSteps(5), 5),
    "Euler": (lambda s: rgen.FewSteps(5, s["clock, Euler"][0]), 5),
    "Heun": (lambda s: rgen.FewSteps(5, s["clock, Heun"][0]), 10),
    "Bosh3": (lambda s: rgen.FewSteps(5, s["clock, Bosh3"][0]), 16),
    # Each step is three, which begin with the last stage of the one before.
    "halves, Bosh3": (
        lambda s: rgen.FewSteps(5, diffrax.HalfSolver(diffrax.Bosh3())),
        47,
    ),
    "churn": (lambda s: rgen.Churn(5, 1.0), 10),
    # The first step starts at the highest noise level.
    "churn, Bosh3": (lambda s: rgen.Churn(5, 1.0, s["clock, Bosh3"][0]), 20),
    "no churn, Bosh3": (lambda s: rgen.Churn(5, 0.0, s["clock, Bosh3"][0]), 16),
    "denoised": (lambda s: rgen.Denoised(rgen.FewSteps(5)), 6),
    "flow, Heun": (
        lambda s: rgen.ProbabilityFlow(s["clock, Heun"][0], diffrax.StepTo(GRID)),
        10,
    ),
}
GRID = SMOOTH["S2"].time_grid(5)


@pytest.mark.parametrize("name", ["multistep", *slow(rest(COUNTS, ["multistep"]))])
def test_evaluations_are_counted(name):
    make, expected = COUNTS[name]
    process, score = PROBLEMS["S2"]
    sampler = make(solvers(process))
    Counting.count.clear()
    call = jax.jit(lambda x: sampler(Counting(score), process, x, jr.key(0)))
    _, cost = jax.block_until_ready(call(start_of(process)))
    jax.effects_barrier()
    assert cost.evaluations == expected
    assert len(Counting.count) == expected
    assert cost.steps == 5 and cost.finished


@pytest.mark.parametrize("kind", ["clock, Heun", *slow(["multistep", "clock, Bosh3"])])
def test_without_churn_it_is_the_flow(kind):
    process, score = PROBLEMS["S2"]
    solver, _ = solvers(process)[kind]
    args = score, process, start_of(process), jr.key(1)
    few = rgen.FewSteps(6, solver)(*args)
    churn = rgen.Churn(6, 0.0, solver)(*args)
    # Two programs for the same sums.
    np.testing.assert_allclose(few[0], churn[0], atol=1e-6)
    assert few[1].evaluations == churn[1].evaluations
    some = rgen.Churn(6, 1.0, solver)(*args)
    assert jnp.max(jnp.abs(some[0] - few[0])) > 0.01


def test_after_noise_the_multistep_solver_starts_anew():
    process, score = PROBLEMS["S2"]
    args = score, process, start_of(process), jr.key(1)
    # So much churn that a step ends at a higher noise level than the one before began.
    ends = [
        rgen.Churn(12, 4.0, solver)(*args)[0]
        for solver, _ in (
            solvers(process)[kind] for kind in ("multistep", "clock, Euler")
        )
    ]
    # Its first step is Euler's on the clock.
    np.testing.assert_allclose(*ends, atol=1e-5)


# The first eigenfunction of the Laplacian alone: the density of the height is linear.
AXIS = rgen.Brownian(S2, rgen.LogUniformSchedule(0.05, 20.0))


def slope_at(v):
    return 0.9 * jnp.exp(-v)


def axis_score(x, t):
    a = slope_at(AXIS.schedule.variance(t))
    return a * (S2.origin - x[2] * x) / (1 + a * x[2])


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler",
    [rgen.FewSteps(12), rgen.Churn(24, 8.0), rgen.Churn(48, 40.0)],
    ids=["few", "churn", "much churn"],
)
def test_samples_have_the_distribution_of_the_data(sampler):
    model = rgen.ScoreModel(axis_score, AXIS, sampler)
    x = rgen.sample(model, jr.key(2), 4096)
    assert jax.vmap(S2.contains)(x).all()
    cdf = lambda z: (1 + z) / 2 + float(slope_at(0.05)) * (z**2 - 1) / 4
    # One of a thousand tests would fail; and noise that is added and not removed, a
    # twentieth of the slope, would make it fail.
    assert scipy.stats.kstest(x[:, 2], cdf).pvalue > 1e-3


@pytest.mark.parametrize("grid", [rgen.AbstractProcess.time_grid, rgen.PowerGrid()])
def test_few_steps_are_the_flow_along_a_grid(grid):
    process, score = PROBLEMS["S2"]
    args = score, process, start_of(process), jr.key(0)
    controller = diffrax.StepTo(grid(process, 4))
    solver = rgen.DenoisingMultistep(process)
    a, _ = rgen.FewSteps(4, grid=grid)(*args)
    b, _ = rgen.ProbabilityFlow(solver, controller)(*args)
    # Two programs for the same sums.
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_denoised_samples():
    x0, x = two_points(S2, "float32")
    process = pull(S2, rgen.LogUniformSchedule(0.1, 5.0))
    score = lambda x, t: process.score(x0, x, t)
    noisy, _ = rgen.FewSteps(3)(score, process, x, jr.key(0))
    clean, _ = rgen.Denoised(rgen.FewSteps(3))(score, process, x, jr.key(0))
    assert S2.dist(x0, noisy) > 0.1
    np.testing.assert_allclose(clean, x0, atol=1e-5)
    # The mean of normal data given the noisy point, by regression.
    t0 = jnp.array(FLAT.schedule.t0)
    noisy, _ = rgen.FewSteps(3)(normal_score, FLAT, start_of(FLAT), jr.key(0))
    denoised = rgen.Denoised(rgen.FewSteps(3))
    clean, _ = denoised(normal_score, FLAT, start_of(FLAT), jr.key(0))
    mean, variance = normal(t0)
    gain = np.exp(-FLAT.schedule.variance(t0) / 2) * np.array(VARIANCE) / variance
    np.testing.assert_allclose(clean, np.array(MEAN) + gain * (noisy - mean), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["multistep", "churn", "Bosh3"])
@pytest.mark.parametrize("derivative", [jax.jacrev, jax.jacfwd])
def test_derivatives_of_a_sample(name, derivative):
    process, score = PROBLEMS["S2"]
    forward = derivative is jax.jacfwd
    adjoint = diffrax.ForwardMode() if forward else diffrax.RecursiveCheckpointAdjoint()
    solver = solvers(process)["clock, Bosh3"][0]
    sampler = {
        "multistep": rgen.FewSteps(4, adjoint=adjoint),
        "churn": rgen.Churn(4, 1.0),
        "Bosh3": rgen.FewSteps(2, solver, adjoint=adjoint),
    }[name]
    with jax.enable_x64(True):
        x = start_of(process)

        def sample(strength):
            field = lambda x, t: strength * score(x, t)
            return sampler(field, process, x, jr.key(3))[0]

        strength, h = jnp.array(1.0), 1e-5
        found = jax.jit(derivative(sample))(strength)
        difference = (sample(strength + h) - sample(strength - h)) / (2 * h)
    # Of order h^2 and of rounding over h.
    np.testing.assert_allclose(found, difference, atol=1e-7)
    assert np.max(np.abs(found)) > 0.01


@pytest.mark.parametrize("sampler", [rgen.FewSteps(4), rgen.Churn(4, 1.0)])
def test_programs_can_be_kept_in_the_compilation_cache(sampler):
    process = SMOOTH["S2"]
    call = jax.jit(lambda x, key: sampler(ZERO, process, x, key)[0])
    assert "callback" not in call.lower(S2.origin, jr.key(0)).as_text()


# Grids


@pytest.mark.parametrize("power", [1.0, 7.0])
def test_a_power_grid_is_even_in_a_root_of_the_noise_level(power):
    process = rgen.Brownian(S2, rgen.LinearSchedule())
    times = rgen.PowerGrid(power)(process, 9)
    assert times.shape == (10,)
    assert times[0] == process.schedule.t1 and times[-1] == jnp.float32(
        process.schedule.t0
    )
    level = jax.vmap(functools.partial(noise_level, process.schedule))
    gaps = np.diff(level(times) ** (1 / power))
    # Rounding of roots of size one, over gaps of a tenth.
    np.testing.assert_allclose(gaps, gaps[0], rtol=1e-4)


def test_a_high_power_is_the_grid_of_the_process():
    process = SMOOTH["S2"]
    grid, power = process.time_grid(8), rgen.PowerGrid(1e3)(process, 8)
    # A thousandth of the logarithm of the ratio, which is three; and its rounding.
    np.testing.assert_allclose(power, grid, atol=2e-3)
    # Without overflow, or powers that round to one.
    limit = rgen.PowerGrid(1e8)(process, 8)
    np.testing.assert_allclose(limit, grid, atol=1e-5)
    low = rgen.PowerGrid(5e-3)(process, 8)
    assert jnp.isfinite(low).all() and (jnp.diff(low) < 0).all()
    # More of the steps at high noise levels.
    assert (rgen.PowerGrid(3.0)(process, 8)[1:-1] > grid[1:-1]).all()


def test_the_reverse_sde_takes_a_grid():
    process, score = PROBLEMS["S2"]
    args = score, process, start_of(process), jr.key(0)
    a, cost = rgen.ReverseSDE(4, grid=rgen.PowerGrid(2.0))(*args)
    b, _ = rgen.ReverseSDE(4)(*args)
    assert S2.contains(a) and cost.steps == 4 and jnp.max(jnp.abs(a - b)) > 1e-3


# Bad input


def test_adaptive_steps_without_an_error_estimate():
    process, score = PROBLEMS["S2"]
    key = jr.key(0)
    without = {
        "DenoisingMultistep": rgen.DenoisingMultistep(process),
        "NoiseClock": rgen.NoiseClock(rgen.GeodesicRandomWalk(S2), process.schedule),
    }
    for name, solver in without.items():
        flow = rgen.ProbabilityFlow(solver)
        with pytest.raises(ValueError, match=f"estimate.*got a {name}.*GeodesicHeun"):
            flow(score, process, S2.origin, key)
    # As advised.
    advised = [
        rgen.FewSteps(2, rgen.DenoisingMultistep(process)),
        rgen.ProbabilityFlow(rgen.GeodesicHeun(S2), max_steps=512),
    ]
    for sampler in advised:
        x = start_of(process)
        assert sampler(score, process, x, key)[1].finished


def test_steps_of_a_constant_size_are_fixed_times():
    process, score = PROBLEMS["S2"]
    field = lambda x, t: S2.to_tangent(x, jnp.array([0.0, 0.0, 1.0]))

    def score_model(controller):
        flow = rgen.ProbabilityFlow(stepsize_controller=controller)
        return rgen.ScoreModel(score, process, flow)

    def flow_model(controller):
        base = rgen.Uniform(S2)
        return rgen.Flow(base, field, stepsize_controller=controller)

    message = "ConstantStepSize. Take diffrax.StepTo.*time_grid.60.*linspace.0, 1, 61."
    for make, times in {
        score_model: process.time_grid(60),
        flow_model: jnp.linspace(0, 1, 61),
    }.items():
        with pytest.raises(ValueError, match=message):
            make(diffrax.ConstantStepSize()).sample(jr.key(0))
        _, cost = make(diffrax.StepTo(times)).sample_and_cost(jr.key(0))
        assert cost.finished and cost.steps == 60


def test_a_surface_without_logarithms():
    surface = SphereByEquation()
    process = rgen.Brownian(surface, rgen.LogUniformSchedule(0.05, 8.0))
    score = Smooth(SMOOTH["S2"])
    x = start_of(SMOOTH["S2"])
    advice = r"defines no `_log`.*rgen\.NoiseClock\(diffrax\.Heun\(\), process\.sch"
    with pytest.raises(NotImplementedError, match=advice):
        rgen.FewSteps(4)(score, process, x, jr.key(0))
    solver = rgen.NoiseClock(diffrax.Heun(), process.schedule)
    end, _ = rgen.FewSteps(32, solver)(score, process, x, jr.key(0))
    # Of a factor the error comes at the first step.
    pair = rgen.PowerProcess(process, 2)
    message = r"SphereByEquation defines no `_log`.*rgen\.DenoisingMultistep"
    with pytest.raises(NotImplementedError, match=message):
        rgen.FewSteps(4)(ZERO, pair, jnp.stack([x, x]), jr.key(0))
    # Second order: a thousandth, of a path of length one.
    np.testing.assert_allclose(end, end_of("S2", x), atol=0.01)


def test_few_steps_of_no_number():
    process = SMOOTH["S2"]
    for make in (rgen.FewSteps, lambda n: rgen.Churn(n, 1.0), rgen.ReverseSDE):
        with pytest.raises(ValueError, match=r"`steps` of at least 1, got 0\. Take"):
            make(0)
    with pytest.raises(ValueError, match="`steps` of at least 1, got 0"):
        rgen.PowerGrid()(process, 0)
    for churn in (-1.0, np.inf):
        with pytest.raises(ValueError, match="`churn` to be at least 0 and finite"):
            rgen.Churn(4, churn)
    for power in (0.0, np.inf):
        with pytest.raises(ValueError, match=r"`power` to be positive.*grid=rgen\.Abs"):
            rgen.PowerGrid(power)


def on_a_grid(grid):
    return (
        rgen.FewSteps(4, grid=grid),
        rgen.Churn(4, 1.0, grid=grid),
        rgen.ReverseSDE(4, grid=grid),
    )


@pytest.mark.parametrize(
    ("times", "found"),
    [
        (lambda t0, t1: jnp.linspace(t1, t0, 4), r"one of shape \(4,\)"),
        (lambda t0, t1: jnp.linspace(t0, t1, 5), r"\[0\.  "),
        (lambda t0, t1: jnp.linspace(t1, t0 + 0.1, 5), r"\[1\.  "),
        (lambda t0, t1: jnp.array([t1, 0.5, 0.6, 0.3, t0]), r"\[1\.  0\.5 0\.6"),
        (lambda t0, t1: jnp.full(5, jnp.nan), r"\[nan"),
    ],
    ids=["length", "rises", "end", "order", "nan"],
)
def test_a_grid_of_wrong_times(times, found):
    process = SMOOTH["S2"]
    grid = lambda process, steps: times(process.schedule.t0, process.schedule.t1)
    for sampler in on_a_grid(grid):
        call = lambda x, sampler=sampler: sampler(ZERO, process, x, jr.key(0))
        for each in (call, jax.jit(call)):
            with pytest.raises(ValueError, match=rf"5 times.*, got {found}.*Power"):
                each(S2.origin)


def test_a_grid_of_traced_times_that_rise_is_nan():
    process = SMOOTH["S2"]

    @jax.jit
    def samples(shift):
        grid = lambda process, steps: process.time_grid(steps) + shift
        samplers = on_a_grid(grid)
        return [s(ZERO, process, S2.origin, jr.key(0))[0] for s in samplers]

    assert jnp.isfinite(jnp.stack(samples(0.0))).all()
    assert jnp.isnan(jnp.stack(samples(0.1))).all()
