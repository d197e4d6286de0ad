import functools as ft
import itertools

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optimistix
import pytest
import scipy.linalg
import scipy.stats

import rgen


S2, S3, SO3 = rgen.Sphere(2), rgen.Sphere(3), rgen.SpecialOrthogonal(3)
T2 = rgen.Torus(2)

# Statistical tests have fixed keys, and compare a mean with its expectation within four
# standard errors: a level of 6e-5 for each number compared.
SIGMAS = 4


def brownian(manifold):
    return rgen.Brownian(manifold, rgen.ConstantSchedule())


def drifting(manifold, field, path):
    """Brownian motion with a drift, as Diffrax terms."""
    drift = diffrax.ODETerm(lambda t, y, args: field(y))
    return diffrax.MultiTerm(
        drift, rgen.NoiseTerm(manifold, brownian(manifold).schedule.beta, path)
    )


def solve(terms, solver, x0, steps, t0=0.0, t1=1.0, **kwargs):
    kwargs = {"saveat": diffrax.SaveAt(t1=True), "max_steps": steps, **kwargs}
    times = jnp.linspace(t0, t1, steps + 1, dtype=x0.dtype)
    controller = diffrax.StepTo(times)
    ends = times[0], times[-1]
    return diffrax.diffeqsolve(
        terms, solver, *ends, None, x0, stepsize_controller=controller, **kwargs
    )


def walks(manifold, x0, steps, t, paths, seed=0, terms=None):
    """The ends of many walks from one point."""
    if terms is None:
        terms = ft.partial(rgen.forward_sde, brownian(manifold))

    def one(key):
        path = rgen.BrownianGrid(
            manifold.noise_shape, jnp.linspace(0.0, t, steps + 1), key
        )
        solver = rgen.GeodesicRandomWalk(manifold)
        return solve(terms(path), solver, x0, steps, t1=t).ys[0]

    return jax.jit(jax.vmap(one))(jr.split(jr.key(seed), paths))


def mean_and_error(values):
    values = np.asarray(values, np.float64)
    return values.mean(), values.std() / np.sqrt(len(values))


def slope(dts, errors):
    return np.polyfit(np.log(dts), np.log(np.abs(errors)), 1)[0]


# The distribution, by sampling


def cos_angle(x0, x):
    return jnp.sum(x0 * x)


def trace(x0, x):
    return jnp.trace(x0.T @ x)


def character(x0, x):
    return jnp.cos(2 * (x - x0)[0] - (x - x0)[1])


WALKS = {
    "S2": (S2, cos_angle, 1.0, 2 / 2),
    "S5": (rgen.Sphere(5), cos_angle, 1.0, 5 / 2),
    "SO3": (SO3, trace, 3.0, 1.0),
    "T2": (T2, character, 1.0, (2**2 + 1**2) / 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WALKS)
def test_walk_has_the_distribution_of_brownian_motion(name):
    # E f(x_t) = f(x_0) exp(-lambda t) for an eigenfunction f of the generator.
    manifold, f, start, rate = WALKS[name]
    t, steps, paths = 0.4, 80, 16384
    x0 = manifold.exp(
        manifold.origin, manifold.tangent_noise(manifold.origin, jr.key(1))
    )
    x = walks(manifold, x0, steps, t, paths)
    mean, error = mean_and_error(jax.vmap(ft.partial(f, x0))(x))
    # The bias of a step of chi-distributed length is at most d^2 dt^2 / 12 of the mean:
    # the second-order terms of E cos are (d + 2) d / 24 and d^2 / 8.
    bias = start * manifold.dim**2 / 12 * t * (t / steps)
    expected = start * np.exp(-rate * t)
    assert abs(mean - expected) < SIGMAS * error + bias
    # So small a tolerance tells a rate that is wrong by a tenth.
    assert SIGMAS * error + bias < start * 0.1 * rate * t * np.exp(-rate * t)


def test_walk_agrees_with_the_exact_heat_kernel():
    # The whole distribution of the distance, by the two-sample Kolmogorov-Smirnov test.
    x0, t, paths = S2.origin, 0.5, 8192
    walk = walks(S2, x0, 100, t, paths)
    kernel = rgen.heat_kernel(S2)
    sample = jax.jit(jax.vmap(lambda key: kernel.sample(x0, jnp.array(t), key)))
    exact = sample(jr.split(jr.key(1), paths))
    assert scipy.stats.ks_2samp(walk @ x0, exact @ x0).pvalue > 1e-3


# Independence of the frame


def latitude_frame(x):
    """The unit vectors along the meridian and the parallel through `x`, as columns: an
    orthonormal frame that turns along the way, and is singular at the poles."""
    flat = jnp.sqrt(x[0] ** 2 + x[1] ** 2)
    east = jnp.array([-x[1], x[0], 0.0]) / flat
    return jnp.stack([jnp.cross(east, x / jnp.sqrt(jnp.sum(x * x))), east], axis=1)


def ambient_frame(x):
    return jnp.eye(3) - jnp.outer(x, x) / jnp.sum(x * x)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("solver", "frame", "right"),
    [
        (rgen.GeodesicRandomWalk(S2), ambient_frame, True),
        (rgen.GeodesicRandomWalk(S2), latitude_frame, True),
        (diffrax.Heun(), ambient_frame, True),
        (diffrax.Heun(), latitude_frame, False),
        (diffrax.Euler(), ambient_frame, False),
    ],
    ids=["walk-ambient", "walk-local", "heun-ambient", "heun-local", "euler-ambient"],
)
def test_only_the_walk_has_the_right_distribution_in_any_frame(solver, frame, right):
    x0, t, steps, paths = jnp.array([0.8, 0.0, 0.6]), 0.5, 50, 16384
    columns = frame(x0).shape[1]

    def one(key):
        path = rgen.BrownianGrid((columns,), jnp.linspace(0.0, t, steps + 1), key)
        term = diffrax.ControlTerm(lambda t, y, args: frame(y), path)
        return solve(term, solver, x0, steps, t1=t).ys[0]

    x = jax.jit(jax.vmap(one))(jr.split(jr.key(2), paths))
    mean, error = mean_and_error(x[:, 2])
    # E z = z_0 e^{-t}. The discretisation's bias, of order dt = 0.01 times a mean below
    # one, is left five parts in a thousand.
    off = abs(mean - 0.6 * np.exp(-t))
    assert off < SIGMAS * error + 0.005 if right else off > 0.05


# Weak order: deterministic, by quadrature of the distribution of one step


def hermite(dim, order):
    """Nodes and weights of Gauss-Hermite quadrature for a standard normal vector."""
    z, w = np.polynomial.hermite_e.hermegauss(order)
    nodes = np.array(list(itertools.product(z, repeat=dim)))
    weights = np.prod(list(itertools.product(w / w.sum(), repeat=dim)), axis=1)
    return jnp.asarray(nodes), weights


def one_step(manifold, field, dt, x, normal):
    """One step of the solver, with the given standard normal noise."""
    path = rgen.BrownianGrid(
        manifold.noise_shape, jnp.linspace(0.0, dt, 1 + 1), jr.key(0)
    )
    noise = normal.reshape(1, *manifold.noise_shape)
    path = eqx.tree_at(lambda p: p.increments, path, noise)
    terms = drifting(manifold, field, path)
    return solve(terms, rgen.GeodesicRandomWalk(manifold), x, 1, t1=dt).ys[0]


DTS = [1 / 4, 1 / 8, 1 / 16, 1 / 32]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["S2", "S3", "SO3"])
def test_brownian_motion_is_of_weak_order_one(name):
    # By symmetry each step multiplies the mean of f by the same number, which a
    # quadrature over the noise of one step gives.
    manifold, f = {"S2": (S2, cos_angle), "S3": (S3, cos_angle), "SO3": (SO3, trace)}[
        name
    ]
    with jax.enable_x64(True):
        x0 = manifold.origin
        nodes, weights = hermite(manifold.noise_shape[0], 14)

        @jax.jit
        def values(dt):
            step = lambda z: one_step(manifold, jnp.zeros_like, dt, x0, z)
            return jax.vmap(lambda z: f(x0, step(z)) / f(x0, x0))(nodes)

        factors = [weights @ np.asarray(values(jnp.array(dt))) for dt in DTS]
    rate = WALKS.get(name, (None, None, None, 3 / 2))[3]
    ends = np.array(
        [factor ** (1 / dt) for factor, dt in zip(factors, DTS, strict=True)]
    )
    errors = ends - np.exp(-rate)
    # The next order leaves the slope off by a multiple of the smallest steps.
    assert slope(DTS, errors) == pytest.approx(1, abs=0.1)
    # Extrapolation removes the first order: what is left is of size dt^2 = 1e-3.
    assert 2 * ends[-1] - ends[-2] == pytest.approx(np.exp(-rate), abs=1e-3)


def test_brownian_motion_on_a_torus_is_exact_at_any_step():
    with jax.enable_x64(True):
        nodes, weights = hermite(2, 30)
        step = lambda z: one_step(T2, jnp.zeros_like, jnp.array(0.5), T2.origin, z)
        values = jax.jit(jax.vmap(lambda z: character(T2.origin, step(z))))(nodes)
    assert weights @ np.asarray(values) == pytest.approx(np.exp(-2.5 * 0.5), abs=1e-12)


def test_a_walk_that_drifts_to_a_pole_is_of_weak_order_one():
    # dx = 2 grad z dt + dB. The distribution is symmetric about the axis, so that a
    # function of the height z stays one: one step of the solver is a matrix on the
    # functions of z, of which the Legendre polynomials up to degree 24 are a basis to
    # 1e-9 here.
    strength, size = 2.0, 25
    height, _ = np.polynomial.legendre.leggauss(size)
    vandermonde = np.polynomial.legendre.legvander(height, size - 1)
    field = lambda x: S2.to_tangent(x, jnp.array([0.0, 0.0, strength], x.dtype))
    with jax.enable_x64(True):
        nodes, weights = hermite(3, 12)
        flat = np.sqrt(1 - height**2)
        x = jnp.asarray(np.stack([flat, 0 * flat, height], axis=1))

        @jax.jit
        def heights(dt):
            step = ft.partial(one_step, S2, field, dt)
            return jax.vmap(lambda x: jax.vmap(lambda z: step(x, z)[2])(nodes))(x)

        stepped = [np.asarray(heights(jnp.array(dt))) for dt in DTS]
    # On the coefficients of Legendre polynomials.
    to_coefficients = np.linalg.inv(vandermonde)
    legendre = lambda z: np.polynomial.legendre.legvander(z, size - 1)
    matrices = [
        to_coefficients @ np.einsum("xqn,q->xn", legendre(z), weights) for z in stepped
    ]
    # The generator: strength (1 - z^2) f' + f'' part of the Laplacian, -l (l + 1) / 2.
    derivative = np.array(
        [
            np.polynomial.legendre.legval(height, np.polynomial.legendre.legder(e))
            for e in np.eye(size)
        ]
    ).T
    drift = to_coefficients @ (strength * (1 - height**2)[:, None] * derivative)
    degree = np.arange(size)
    generator = drift - np.diag(degree * (degree + 1) / 2)
    first = np.eye(size)[1]
    start = legendre(np.array(-0.5))
    exact = start @ scipy.linalg.expm(generator) @ first
    ends = [
        start @ np.linalg.matrix_power(matrix, round(1 / dt)) @ first
        for matrix, dt in zip(matrices, DTS, strict=True)
    ]
    errors = np.array(ends) - exact
    assert slope(DTS, errors) == pytest.approx(1, abs=0.1)
    assert 2 * ends[-1] - ends[-2] == pytest.approx(exact, abs=1e-3)


def test_geodesic_euler_for_odes_is_of_order_one():
    # z' = 1 - z^2 along the gradient of the height.
    field = lambda t, x, args: S2.to_tangent(x, jnp.array([0.0, 0.0, 1.0], x.dtype))
    with jax.enable_x64(True):
        x0 = jnp.array([0.8, 0.0, -0.6])

        def end(dt):
            term, solver = diffrax.ODETerm(field), rgen.GeodesicRandomWalk(S2)
            ends = jnp.array(0.0), jnp.array(1.0)
            return diffrax.diffeqsolve(term, solver, *ends, dt, x0).ys[0, 2]

        ends = np.asarray(jax.jit(jax.vmap(end))(jnp.array(DTS)))
    exact = np.tanh(1 + np.arctanh(-0.6))
    assert slope(DTS, ends - exact) == pytest.approx(1, abs=0.1)
    assert 2 * ends[-1] - ends[-2] == pytest.approx(exact, abs=1e-3)


# Dense output, SaveAt, events, progress meters


@pytest.mark.slow
@pytest.mark.parametrize("manifold", [S2, SO3, T2], ids=["S2", "SO3", "T2"])
def test_dense_output_and_saved_times_are_on_the_manifold(manifold):
    x0, steps, t = manifold.origin, 8, 1.0
    ts = jnp.linspace(0.0, t, 101)

    @jax.jit
    def run(key):
        path = rgen.BrownianGrid(
            manifold.noise_shape, jnp.linspace(0.0, t, steps + 1), key
        )
        terms = rgen.forward_sde(brownian(manifold), path)
        saveat = diffrax.SaveAt(ts=ts, dense=True)
        solver = rgen.GeodesicRandomWalk(manifold)
        solution = solve(terms, solver, x0, steps, saveat=saveat)
        grid = jnp.linspace(0.0, t, steps + 1)
        ends = solve(terms, solver, x0, steps, saveat=diffrax.SaveAt(ts=grid)).ys
        return (
            solution.ys,
            jax.vmap(solution.evaluate)(ts),
            ends,
            jax.vmap(solution.evaluate)(grid),
        )

    saved, dense, ends, at_ends = run(jr.key(3))
    inside = jax.vmap(lambda x: manifold.contains(x, 1e-6))
    assert inside(saved).all() and inside(dense).all()
    # Both evaluate the same formula; at the ends of steps it rounds once more than exp.
    np.testing.assert_allclose(saved, dense, atol=2e-6)
    np.testing.assert_allclose(ends, at_ends, atol=2e-6)
    assert jnp.array_equal(saved[0], x0)
    # A walk that goes nowhere would pass all of this.
    assert manifold.dist(x0, saved[-1]) > 0.1


def test_interpolation_ends_exactly_and_runs_at_constant_speed():
    x = S2.origin
    v = jnp.array([0.6, -0.3, 0.0])
    start, end = jnp.array(1.0), jnp.array(3.0)
    between = rgen.GeodesicInterpolation(t0=start, t1=end, y0=x, v=v, manifold=S2)
    assert jnp.array_equal(between.evaluate(start), x)
    assert jnp.array_equal(between.evaluate(end), S2.exp(x, v))
    quarter = between.evaluate(jnp.array(1.5))
    # Rounding of the distance, of order one.
    assert jnp.allclose(S2.dist(x, quarter), S2.norm(x, v) / 4, atol=1e-6)
    difference = between.evaluate(start, end)
    assert jnp.array_equal(difference, S2.exp(x, v) - x)


def test_interpolation_over_no_time_stays_where_it_is():
    time = jnp.array(1.0)
    nowhere = rgen.GeodesicInterpolation(
        t0=time, t1=time, y0=S2.origin, v=jnp.zeros(3), manifold=S2
    )
    assert jnp.array_equal(nowhere.evaluate(time), S2.origin)
    assert jnp.isfinite(jax.grad(lambda t: nowhere.evaluate(t)[0])(time))


def test_event_is_located_along_a_geodesic():
    # Geodesic Euler follows a great circle exactly, and crosses the equator at pi / 2.
    turn = lambda t, x, args: jnp.array([x[2], 0.0, -x[0]])
    event = diffrax.Event(
        lambda t, y, args, **kwargs: y[2], optimistix.Newton(1e-6, 1e-6)
    )
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(turn),
        rgen.GeodesicRandomWalk(S2),
        jnp.array(0.0),
        jnp.array(3.0),
        jnp.array(0.25),
        S2.origin,
        event=event,
    )
    assert solution.result == diffrax.RESULTS.event_occurred
    # The tolerance of the root finder, and rounding over seven steps.
    np.testing.assert_allclose(solution.ts[0], np.pi / 2, atol=1e-5)
    np.testing.assert_allclose(solution.ys[0], [1, 0, 0], atol=1e-5)


def test_event_stops_a_random_walk():
    def one(key):
        path = rgen.BrownianGrid((3,), jnp.linspace(0.0, 2.0, 100 + 1), key)
        return solve(
            rgen.forward_sde(brownian(S2), path),
            rgen.GeodesicRandomWalk(S2),
            S2.origin,
            100,
            t1=2.0,
            event=diffrax.Event(lambda t, y, args, **kwargs: y[2] < 0.5),
        )

    solution = jax.jit(jax.vmap(one))(jr.split(jr.key(4), 64))
    stopped = solution.ts[:, 0] < 2
    assert stopped.any()
    assert (solution.ys[stopped, 0, 2] < 0.5).all()
    # Of a step that overshoots by six standard deviations there is none.
    assert (solution.ys[stopped, 0, 2] > 0.5 - 6 * np.sqrt(0.02)).all()


def test_progress_meter(capfd):
    path = rgen.BrownianGrid((3,), jnp.linspace(0.0, 1.0, 20 + 1), jr.key(0))
    terms = rgen.forward_sde(brownian(S2), path)
    solver = rgen.GeodesicRandomWalk(S2)
    meter = diffrax.TextProgressMeter(minimum_increase=0.2)
    quiet = solve(terms, solver, S2.origin, 20)
    loud = solve(terms, solver, S2.origin, 20, progress_meter=meter)
    jax.effects_barrier()
    assert "100.00%" in capfd.readouterr().out
    assert jnp.array_equal(quiet.ys, loud.ys)


# Gradients and Brownian paths


def end_height(steps, adjoint, make_path, angle):
    x0 = jnp.array([jnp.sin(angle), 0.0, jnp.cos(angle)])
    path = make_path((3,), x0.dtype)
    field = lambda x: S2.to_tangent(x, angle * jnp.array([1.0, 0.0, 0.0], x.dtype))
    terms = drifting(S2, field, path)
    solver = rgen.GeodesicRandomWalk(S2)
    return solve(terms, solver, x0, steps, adjoint=adjoint).ys[0, 2]


def test_gradients_flow_through_a_walk():
    # Of the start and of the drift, against central differences: their error is of
    # order h^2 = 1e-10, and of rounding over h = 1e-11.
    with jax.enable_x64(True):
        grid = lambda shape, dtype: rgen.BrownianGrid(
            shape, jnp.linspace(0.0, 1.0, 20 + 1), jr.key(5), dtype
        )
        adjoint = diffrax.RecursiveCheckpointAdjoint()
        f = jax.jit(ft.partial(end_height, 20, adjoint, grid))
        angle, h = jnp.array(0.7), 1e-5
        gradient = jax.grad(f)(angle)
        difference = (f(angle + h) - f(angle - h)) / (2 * h)
        np.testing.assert_allclose(gradient, difference, atol=1e-8)
        assert abs(gradient) > 1e-3


def test_unsafe_brownian_path_differentiates_forwards():
    unsafe = lambda shape, dtype: diffrax.UnsafeBrownianPath(
        jax.ShapeDtypeStruct(shape, dtype), jr.key(6)
    )
    f = jax.jit(ft.partial(end_height, 20, diffrax.ForwardMode(), unsafe))
    angle, h = jnp.array(0.7), 1e-2
    value, derivative = jax.jvp(f, (angle,), (jnp.array(1.0),))
    difference = (f(angle + h) - f(angle - h)) / (2 * h)
    # Rounding over h, 1e-5, and h^2 / 6 times a third derivative of order one to ten.
    np.testing.assert_allclose(derivative, difference, atol=1e-3)
    assert abs(value) <= 1


def test_virtual_brownian_tree():
    def one(key):
        path = diffrax.VirtualBrownianTree(0.0, 0.4, 1e-3, (3,), key)
        terms = rgen.forward_sde(brownian(S2), path)
        solver = rgen.GeodesicRandomWalk(S2)
        return solve(terms, solver, S2.origin, 20, t1=0.4).ys[0]

    x = jax.jit(jax.vmap(one))(jr.split(jr.key(7), 2048))
    mean, error = mean_and_error(x[:, 2])
    # The bias of the walk is that of
    # `test_walk_has_the_distribution_of_brownian_motion`.
    assert abs(mean - np.exp(-0.4)) < SIGMAS * error + 4 / 12 * 0.4 * 0.02


def test_backsolve_adjoint_is_refused():
    path = rgen.BrownianGrid((3,), jnp.linspace(0.0, 1.0, 10 + 1), jr.key(0))
    terms = rgen.forward_sde(brownian(S2), path)
    adjoint = diffrax.BacksolveAdjoint()
    with pytest.raises(NotImplementedError, match="converges to the Itô solution"):
        solve(terms, rgen.GeodesicRandomWalk(S2), S2.origin, 10, adjoint=adjoint)


def test_control_of_the_wrong_shape():
    path = rgen.BrownianGrid((2,), jnp.linspace(0.0, 1.0, 10 + 1), jr.key(0))
    terms = rgen.forward_sde(brownian(S2), path)
    message = r"frame: expected `z` to have shape \(3,\), got \(2,\)"
    with pytest.raises(ValueError, match=message):
        solve(terms, rgen.GeodesicRandomWalk(S2), S2.origin, 10)


def test_start_of_the_wrong_shape():
    path = rgen.BrownianGrid((3,), jnp.linspace(0.0, 1.0, 10 + 1), jr.key(0))
    terms = rgen.forward_sde(brownian(S2), path)
    message = r"to have shape \(3,\), got \(4, 3\)\. Methods act on one point"
    with pytest.raises(ValueError, match=message):
        solve(terms, rgen.GeodesicRandomWalk(S2), jnp.ones((4, 3)), 10)


def test_brownian_grid_knows_only_its_steps():
    path = rgen.BrownianGrid((3,), jnp.linspace(0.0, 1.0, 10 + 1), jr.key(0))
    with pytest.raises(ValueError, match="only increments over the steps"):
        path.evaluate(jnp.array(0.0))
    for t0, t1 in ((0.0, 0.05), (0.0, 0.2), (0.31, 0.35)):
        assert jnp.all(jnp.isnan(path.evaluate(jnp.array(t0), jnp.array(t1))))
    forwards = path.evaluate(jnp.array(0.3), jnp.array(0.4))
    backwards = path.evaluate(jnp.array(0.4), jnp.array(0.3))
    np.testing.assert_array_equal(backwards, -forwards)


def test_brownian_grid_increments():
    # Standard normal, scaled by the square root of the step: their mean square has a
    # standard error of sqrt(2 / n).
    steps, size = 64, 256
    path = rgen.BrownianGrid((size,), jnp.linspace(1.0, 3.0, steps + 1), jr.key(8))
    times = jnp.linspace(1.0, 3.0, steps + 1)
    increments = jax.vmap(path.evaluate)(times[:-1], times[1:])
    spread = jnp.mean(increments**2) * steps / 2
    assert abs(spread - 1) < SIGMAS * np.sqrt(2 / (steps * size))
    # Neighbouring steps are independent.
    product = jnp.mean(increments[1:] * increments[:-1]) * steps / 2
    assert abs(product) < SIGMAS / np.sqrt((steps - 1) * size)
    # Each step has its own: the last rounding of a time must not repeat one.
    np.testing.assert_allclose(
        increments, np.sqrt(2 / steps) * path.increments, rtol=1e-5
    )


# Time reversal


def test_backwards_on_the_same_path_returns_to_the_start():
    # In flat space a walk is a sum of increments, whichever way they are added.
    flat = rgen.Euclidean(2)
    process = rgen.Langevin(flat, rgen.ConstantSchedule())
    path = rgen.BrownianGrid((2,), jnp.linspace(0.5, 2.0, 30 + 1), jr.key(9))
    term, solver = (
        rgen.NoiseTerm(flat, process.schedule.beta, path),
        rgen.GeodesicRandomWalk(flat),
    )
    x0 = jnp.array([1.0, -2.0])
    there = solve(term, solver, x0, 30, t0=0.5, t1=2.0).ys[0]
    back = solve(term, solver, there, 30, t0=2.0, t1=0.5).ys[0]
    # The rounding of sixty additions.
    np.testing.assert_allclose(back, x0, atol=60 * 3e-7)
    assert jnp.max(jnp.abs(there - x0)) > 0.1


def test_a_walk_backwards_has_the_distribution_of_brownian_motion():
    t, steps = 0.4, 40

    def one(key):
        path = rgen.BrownianGrid((3,), jnp.linspace(0.0, t, steps + 1), key)
        terms = rgen.forward_sde(brownian(S2), path)
        solver = rgen.GeodesicRandomWalk(S2)
        saveat = diffrax.SaveAt(ts=jnp.linspace(t, 0.0, 9))
        return solve(terms, solver, S2.origin, steps, t0=t, t1=0.0, saveat=saveat).ys

    x = jax.jit(jax.vmap(one))(jr.split(jr.key(10), 8192))
    assert jax.vmap(jax.vmap(lambda x: S2.contains(x, 1e-6)))(x).all()
    mean, error = mean_and_error(x[:, -1, 2])
    assert abs(mean - np.exp(-t)) < SIGMAS * error + 4 / 12 * t * (t / steps)
