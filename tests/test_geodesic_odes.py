"""Solvers of higher order for ODEs on manifolds: geodesic Heun and Munthe-Kaas."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import slow
from jax.scipy.linalg import expm
from surfaces import SphereByEquation

import rgen


S2, SO3 = rgen.Sphere(2), rgen.SpecialOrthogonal(3)

# A turn about an axis that turns itself: the field R e^{tA} W e^{-tA} on SO(3), which
# is left-invariant, and e^{tA} W e^{-tA} x on the sphere, a Killing field, at each
# time. Its flow is known, and no two of its turns commute.
TURN, AXIS = (0.3, -0.5, 1.1), (1.0, 0.8, -0.6)


def matrices(dtype):
    return (SO3.algebra(jnp.asarray(z, dtype)) for z in (TURN, AXIS))


def angular_velocity(t):
    a, w = matrices(t.dtype)
    return expm(t * a) @ w @ expm(-t * a)


def left_invariant(t, x, args):
    return x @ angular_velocity(t)


def killing(t, x, args):
    return angular_velocity(t) @ x


def exact_rotation(x0, t):
    a, w = matrices(x0.dtype)
    return x0 @ expm(t * (a + w)) @ expm(-t * a)


def exact_point(x0, t):
    a, w = matrices(x0.dtype)
    return expm(t * a) @ expm(t * (w - a)) @ x0


CASES = {
    "S2": (S2, killing, exact_point),
    "SO3": (SO3, left_invariant, exact_rotation),
}


def start(name, dtype="float64"):
    if name == "S2":
        return jnp.array([0.6, 0.0, 0.8], dtype)
    return expm(SO3.algebra(jnp.array([0.2, 0.9, -0.4], dtype)))


SOLVERS = {
    "Heun": (rgen.GeodesicHeun, 2),
    "MK Euler": (lambda m: rgen.MuntheKaas(m, diffrax.Euler()), 1),
    "MK Heun": (lambda m: rgen.MuntheKaas(m, diffrax.Heun()), 2),
    "MK Bosh3": (lambda m: rgen.MuntheKaas(m, diffrax.Bosh3()), 3),
    "MK Tsit5": (lambda m: rgen.MuntheKaas(m, diffrax.Tsit5()), 5),
}
PAIRS = {f"{name}, {kind}": (name, kind) for name in CASES for kind in SOLVERS}
QUICK = ["S2, Heun", "S2, MK Bosh3"]
REST = [pair for pair in PAIRS if pair not in QUICK]


def solve(name, solver, x0, t1=1.0, dt0=None, **kwargs):
    ends = jnp.zeros((), x0.dtype), jnp.asarray(t1, x0.dtype)
    term = diffrax.ODETerm(CASES[name][1])
    return diffrax.diffeqsolve(term, solver, *ends, dt0, x0, **kwargs)


def distances(manifold, exact, x):
    return np.asarray(jax.vmap(lambda y: manifold.dist(exact, y))(x))


@pytest.mark.parametrize("pair", [*QUICK, *slow(REST)])
def test_order(pair):
    name, kind = PAIRS[pair]
    manifold, _, exact = CASES[name]
    make, order = SOLVERS[kind]
    steps = np.array([8, 16, 32])
    with jax.enable_x64(True):
        x0 = start(name)
        end = lambda dt: solve(name, make(manifold), x0, dt0=dt).ys[0]
        x = jax.jit(jax.vmap(end))(jnp.asarray(1 / steps))
        errors = distances(manifold, exact(x0, 1.0), x)
        assert jax.vmap(lambda y: manifold.contains(y, 1e-12))(x).all()
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    # The next order leaves the slope off by a multiple of the largest step; that of
    # Tsit5 is larger than the fifth, whose coefficients are small.
    most = 6 if kind == "MK Tsit5" else order
    assert order - 0.25 < -slope < most + 0.25, errors
    # The limit is the flow itself: that of Euler has an error of a tenth.
    assert errors[-1] < 0.2 * 0.3**order


@pytest.mark.parametrize("kind", ["MK Bosh3", *slow(["Heun", "MK Heun"])])
def test_backwards_in_time_leads_back(kind):
    with jax.enable_x64(True):
        x0, solver = start("S2"), SOLVERS[kind][0](S2)
        end = exact_point(x0, 1.0)
        ends, dt = (jnp.ones(()), jnp.zeros(())), jnp.array(-1 / 64)
        term = diffrax.ODETerm(killing)
        back = diffrax.diffeqsolve(term, solver, *ends, dt, end).ys[0]
    # That of 64 steps of order two.
    np.testing.assert_allclose(back, x0, atol=1e-3)


@pytest.mark.parametrize(
    "pair", [*QUICK, *slow(["SO3, Heun", "SO3, MK Bosh3", "S2, MK Tsit5"])]
)
def test_adaptive_steps(pair):
    name, kind = PAIRS[pair]
    manifold, _, exact = CASES[name]
    make, order = SOLVERS[kind]

    def run(tolerance):
        controller = diffrax.PIDController(rtol=tolerance, atol=tolerance)
        solution = solve(name, make(manifold), x0, stepsize_controller=controller)
        return solution.ys[0], solution.stats["num_steps"]

    with jax.enable_x64(True):
        x0 = start(name)
        x, steps = jax.jit(jax.vmap(run))(jnp.array([1e-4, 1e-7]))
        errors = distances(manifold, exact(x0, 1.0), x)
    steps = np.asarray(steps)
    # The errors of all steps add up.
    assert (errors < np.array([1e-4, 1e-7]) * steps).all()
    # The estimate is the error of a step of the order below, of size h^order.
    assert steps[1] / steps[0] < 2 * 1000 ** (1 / order)
    assert steps[1] > 2 * steps[0]


@pytest.mark.parametrize("kind", ["Heun", "MK Bosh3"])
def test_dense_output(kind):
    ts = np.linspace(0.0, 1.0, 41)
    with jax.enable_x64(True):
        x0, solver = start("S2"), SOLVERS[kind][0](S2)
        saveat = diffrax.SaveAt(ts=jnp.asarray(ts), dense=True)
        options = {"dt0": jnp.array(1 / 16), "max_steps": 16, "saveat": saveat}
        solution = solve("S2", solver, x0, **options)
        x = jax.vmap(solution.evaluate)(jnp.asarray(ts))
        exact = jax.vmap(lambda t: exact_point(x0, t))(jnp.asarray(ts))
        errors = np.asarray(jax.vmap(S2.dist)(x, exact))
        assert jax.vmap(lambda y: S2.contains(y, 1e-12))(x).all()
        change = solution.evaluate(jnp.array(0.2), jnp.array(0.7))
        two = jax.vmap(solution.evaluate)(jnp.array([0.2, 0.7]))
        difference = two[1] - two[0]
    np.testing.assert_allclose(solution.ys, x, atol=1e-12)
    # Between the ends a geodesic bends away by h^2 / 8 times a curvature of order one;
    # and Hermite's polynomial has an error of order four.
    assert errors.max() < {"Heun": 2e-3, "MK Bosh3": 5e-5}[kind]
    np.testing.assert_allclose(change, difference, atol=1e-12)


def test_munthe_kaas_of_euler_is_the_geodesic_walk():
    x0, dt = start("S2", "float32"), 1 / 8
    a, b = (
        solve("S2", solver, x0, dt0=dt).ys[0]
        for solver in (
            rgen.MuntheKaas(S2, diffrax.Euler()),
            rgen.GeodesicRandomWalk(S2),
        )
    )
    # The rounding of eight steps.
    np.testing.assert_allclose(a, b, atol=1e-6)


# Derivatives, for which Diffrax changes a field of a Runge-Kutta solver

either_mode = pytest.mark.parametrize(
    ("derivative", "adjoint"),
    [
        (jax.jacrev, diffrax.RecursiveCheckpointAdjoint()),
        (jax.jacfwd, diffrax.ForwardMode()),
        (jax.jacfwd, diffrax.DirectAdjoint()),
    ],
    ids=["reverse", "forward", "direct"],
)


def drift(t, x):
    return S2.to_tangent(x, jnp.stack([x[2], t, x[0]]))


@pytest.mark.slow
@either_mode
@pytest.mark.parametrize("kind", ["Heun", "MK Bosh3"])
def test_derivatives(kind, derivative, adjoint):
    with jax.enable_x64(True):
        x0, solver = start("S2"), SOLVERS[kind][0](S2)
        steps = diffrax.StepTo(jnp.linspace(0.0, 1.0, 4))

        def end(speed):
            term = diffrax.ODETerm(lambda t, x, args: speed * drift(t, x))
            options = {"stepsize_controller": steps, "adjoint": adjoint}
            ends = jnp.zeros(()), jnp.ones(())
            solution = diffrax.diffeqsolve(
                term, solver, *ends, None, x0, max_steps=3, **options
            )
            return solution.ys[0]

        speed, h = jnp.array(0.7), 1e-5
        found = jax.jit(derivative(end))(speed)
        difference = (end(speed + h) - end(speed - h)) / (2 * h)
    # Of order h^2 and of rounding over h.
    np.testing.assert_allclose(found, difference, atol=1e-8)
    assert np.max(np.abs(found)) > 0.1


# Bad input

H2, SURFACE = rgen.Hyperbolic(2), SphereByEquation()


@pytest.mark.parametrize("kind", ["Heun", "MK Heun"])
def test_noise_is_refused(kind):
    process = rgen.Brownian(S2, rgen.ConstantSchedule())
    path = rgen.BrownianGrid((3,), jnp.linspace(0.0, 1.0, 3), jax.random.key(0))
    terms = rgen.forward_sde(process, path)
    with pytest.raises(ValueError, match=r"(?s)not compatible.*MultiTerm.*ODETerm"):
        diffrax.diffeqsolve(
            terms, SOLVERS[kind][0](S2), 0.0, 1.0, 0.5, S2.origin, max_steps=2
        )


def test_manifolds_without_transport_or_logarithm():
    with pytest.raises(
        NotImplementedError, match=r"no `_transport`.*diffrax\.Heun\(\)"
    ):
        rgen.GeodesicHeun(SURFACE)
    with pytest.raises(NotImplementedError, match=r"no `_log`.*the inner solver alone"):
        rgen.MuntheKaas(SURFACE, diffrax.Heun())
    # As advised.
    field = lambda x, t: killing(t, x, None)
    term = rgen.flow_term(SURFACE, field)
    x0 = start("S2", "float32")
    end = diffrax.diffeqsolve(term, diffrax.Heun(), 0.0, 1.0, 1 / 32, x0).ys[0]
    np.testing.assert_allclose(end, exact_point(x0, 1.0), atol=1e-3)


def test_solvers_that_munthe_kaas_cannot_take():
    others = diffrax.Kvaerno3(), rgen.GeodesicHeun(S2)
    for solver in (*others, rgen.MuntheKaas(S2, diffrax.Heun())):
        with pytest.raises(
            ValueError, match=r"explicit Runge.*Take diffrax\.Bosh3\(\)"
        ):
            rgen.MuntheKaas(S2, solver)


@pytest.mark.parametrize(
    "make",
    [rgen.GeodesicRandomWalk, SOLVERS["Heun"][0], SOLVERS["MK Heun"][0]],
    ids=["walk", "Heun", "MK Heun"],
)
def test_points_of_the_wrong_kind(make):
    solver = make(S2)
    schedule = rgen.LogUniformSchedule(1e-2)
    model = rgen.ScoreModel(
        lambda x, t: 0 * x,
        rgen.Brownian(S2, schedule),
        flow=rgen.ProbabilityFlow(solver, diffrax.StepTo(jnp.linspace(0, 1, 3))),
    )
    with pytest.raises(ValueError, match=r"got a tuple\..*take a Diffrax solver"):
        model.log_prob(S2.origin)
    with pytest.raises(
        ValueError, match=r"shape \(3,\), got \(4, 3\)\. Methods act on"
    ):
        diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, x, args: x),
            solver,
            0.0,
            1.0,
            0.5,
            jnp.ones((4, 3)),
        )
    process = rgen.Brownian(S2, rgen.ConstantSchedule(10.0))
    flow = rgen.ProbabilityFlow(solver, diffrax.StepTo(jnp.array([1e-3, 1.0])))
    model = rgen.ScoreModel(lambda x, t: jnp.zeros_like(x), process, flow=flow)
    with pytest.raises(ValueError, match=r"got a tuple.*such as diffrax\.Tsit5\(\)"):
        rgen.log_prob(model, S2.origin[None])
