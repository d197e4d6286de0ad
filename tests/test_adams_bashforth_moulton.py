"""The solver of densities, against solutions in closed form."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from helpers import solve_along, uneven_shares

import rgen


SOLVER = rgen.AdamsBashforthMoulton()
PAST = 4


def solve(f, times, y0, solver=SOLVER, **kwargs):
    return solve_along(solver, diffrax.ODETerm(f), y0, times, **kwargs)


GRIDS = {"equal": lambda n: jnp.linspace(0.0, 1.0, n + 1), "uneven": uneven_shares}


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("degree", range(6))
def test_polynomials_of_time_are_exact_from_the_values_of_a_step_on(grid, degree):
    with jax.enable_x64(True):
        times = GRIDS[grid](9)
        steps = diffrax.SaveAt(steps=True, t0=True)
        f = lambda t, y, args: (degree + 1) * (t + 0.5) ** degree
        ys = solve(f, times, jnp.array(0.0), max_steps=9, saveat=steps).ys
    # A step has as many values as there were steps before, up to five, and one more.
    known = np.minimum(np.arange(9) + 2, PAST + 1)
    exact = np.diff((np.asarray(times) + 0.5) ** (degree + 1))
    missed = np.abs(np.diff(ys[:10]) - exact)
    # Rounding of numbers of size ten.
    assert (missed[known > degree] < 1e-13).all()
    assert (missed[known <= degree] > 1e-7).all()


def turning(t, y, args):
    x, z = y
    return (1 + x**2) * jnp.cos(2 * t), z * jnp.cos(t)


def turned(t):
    return jnp.tan(jnp.sin(2 * t) / 2), jnp.exp(jnp.sin(t))


def exact_past(times):
    """Values of the field at times before the first, as a state of the solver."""
    before = times[0] - (times[1] - times[0]) * jnp.arange(PAST)
    fs = turning(before, turned(before), None)
    return fs, before, jnp.ones(PAST, bool)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("started", [True, False])
def test_order(grid, started):
    steps = 128, 256

    def error(n):
        times = GRIDS[grid](n)
        state = exact_past(times) if started else None
        y0 = turned(times[0])
        end = solve(turning, times, y0, max_steps=n, solver_state=state).ys
        return max(abs(end[i][0] - turned(1.0)[i]) for i in range(2))

    with jax.enable_x64(True):
        errors = [float(error(n)) for n in steps]
    # Halving the steps divides the error by two to the power of the order, but for
    # terms of the next one.
    assert np.log2(errors[0] / errors[1]) == pytest.approx(
        5 if started else 3, abs=0.3
    ), errors


@pytest.mark.parametrize("direction", [1, -1])
def test_adaptive_steps_and_what_they_cost(direction):
    with jax.enable_x64(True):
        times = jnp.array([0.0, 1.0])[::direction]
        options = dict(max_steps=256, saveat=diffrax.SaveAt(t1=True, dense=True))
        controller = diffrax.PIDController(rtol=1e-8, atol=1e-8)
        solution = solve(
            turning, times, turned(times[0]), stepsize_controller=controller, **options
        )
        exact = turned(times[1])
        between = solution.evaluate(jnp.array(0.37))
    for i in range(2):
        # The tolerance, over sixty steps.
        np.testing.assert_allclose(solution.ys[i][0], exact[i], atol=1e-7)
        # The interpolation is of the third order, over steps of a thirtieth.
        np.testing.assert_allclose(between[i], turned(0.37)[i], atol=1e-5)
    # 59 and 61 were measured.
    assert int(solution.stats["num_steps"]) < 80


def test_evaluations_are_counted_with_those_of_rejected_steps():
    count = []

    def field(x, t):
        jax.debug.callback(lambda: count.append(1))
        # So fast at one time that steps are rejected there.
        return jnp.stack([10 / (1 + 100 * (t - 0.5) ** 2)])

    line = rgen.Euclidean(1)
    controller = diffrax.PIDController(rtol=1e-4, atol=1e-4)
    flow = rgen.Flow(
        rgen.WrappedNormal(line, line.origin, 1.0),
        field,
        solver=SOLVER,
        stepsize_controller=controller,
    )
    _, cost = jax.block_until_ready(eqx.filter_jit(flow.sample_and_cost)(jr.key(0)))
    jax.effects_barrier()
    # 10 of 36 steps were rejected.
    assert cost.evaluations == len(count) == cost.steps + 1 and cost.steps > 30


def test_a_step_of_no_length():
    process = rgen.Brownian(rgen.Torus(1), rgen.LogUniformSchedule(1e-2))
    score = lambda x, t: -jnp.sin(x) / (1 + process.schedule.variance(t))
    five, again = rgen.PowerGrid(), jnp.array([1, 1, 2, 1, 1, 2])
    repeated = lambda process, n: jnp.repeat(five(process, 5), again)
    few = lambda *args, **kwargs: rgen.FewSteps(*args, SOLVER, **kwargs)

    def end(x, sampler):
        return sampler(score, process, x, jr.key(0))[0]

    x = jnp.array([1.5])
    found, expected = end(x, few(7, grid=repeated)), end(x, few(5))
    # Where a step has no length, a value that was predicted is replaced by one of the
    # corrected point; 4e-3 was measured, the error of five steps.
    np.testing.assert_allclose(found, expected, atol=1e-2)
    assert jnp.isfinite(jax.jacrev(end)(x, few(7, grid=repeated))).all()


def test_after_a_jump_it_starts_anew():
    term, times = diffrax.ODETerm(turning), jnp.array([0.0, 0.1])
    y0, past = turned(times[0]), exact_past(times)
    fresh = SOLVER.init(term, *times, y0, None)
    step = lambda state, jump: SOLVER.step(term, *times, y0, None, state, jump)[0]
    jump, first, later = step(past, True), step(fresh, False), step(past, False)
    np.testing.assert_array_equal(jump[0], first[0])
    assert abs(later[0] - first[0]) > 1e-6


@pytest.mark.parametrize("derivative", [jax.jacrev, jax.jacfwd])
@pytest.mark.parametrize("fixed", [True, False])
def test_derivatives(derivative, fixed):
    forward = derivative is jax.jacfwd
    adjoint = diffrax.ForwardMode() if forward else diffrax.RecursiveCheckpointAdjoint()
    with jax.enable_x64(True):
        times = uneven_shares(12)
        controller = diffrax.PIDController(rtol=1e-9, atol=1e-9)
        if fixed:
            controller = diffrax.StepTo(times)
        options = dict(stepsize_controller=controller, adjoint=adjoint, max_steps=256)

        def end(y0):
            f = lambda t, y, args: (1 + y**2) * jnp.cos(2 * t)
            return solve(f, times, y0, **options).ys[0]

        y0, h = jnp.array(0.2), 1e-5
        found = jax.jit(derivative(end))(y0)
        difference = (end(y0 + h) - end(y0 - h)) / (2 * h)
    # Of order h^2 and of rounding over h; and where steps are adaptive they move, by
    # the tolerance.
    np.testing.assert_allclose(found, difference, atol=1e-7 if fixed else 1e-5)


def test_the_backward_solve_of_an_adjoint():
    options = dict(stepsize_controller=diffrax.PIDController(1e-6, 1e-6), max_steps=99)

    def end(strength, adjoint):
        f = lambda t, y, args: args * (1 + y**2) * jnp.cos(2 * t)
        times = jnp.array([0.0, 1.0])
        y0 = jnp.array(0.2)
        return solve(f, times, y0, args=strength, adjoint=adjoint, **options).ys[0]

    adjoints = diffrax.BacksolveAdjoint(), diffrax.RecursiveCheckpointAdjoint()
    backward, through = (jax.grad(end)(jnp.array(0.7), each) for each in adjoints)
    # Two discretisations at the tolerance, over some dozen steps.
    np.testing.assert_allclose(backward, through, rtol=1e-4)
