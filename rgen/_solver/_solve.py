from typing import Any

import diffrax
import jax
import jax.numpy as jnp

from .._cost import Cost
from .._sharding import refuse_varying
from .._typing import Scalar
from ._evaluations import evaluations


def solve(
    terms: Any,
    solver: diffrax.AbstractSolver,
    y0: Any,
    t0: Scalar | float,
    t1: Scalar | float,
    stepsize_controller: diffrax.AbstractStepSizeController,
    adjoint: diffrax.AbstractAdjoint,
    max_steps: int | None,
) -> tuple[Any, Cost]:
    """The solution at `t1`, NaN where the solver does not finish, and what it cost."""
    if max_steps is not None and max_steps < 1:
        raise ValueError(
            f"expected `max_steps` of at least 1, got {max_steps}. 4096 is the default."
        )
    _check_controller(solver, stepsize_controller)
    refuse_varying(terms, y0)
    dtype = jax.tree.leaves(y0)[0].dtype
    t0, t1 = jnp.asarray(t0, dtype), jnp.asarray(t1, dtype)
    solution = diffrax.diffeqsolve(
        terms,
        solver,
        t0,
        t1,
        None,
        y0,
        stepsize_controller=_directed(stepsize_controller, t0, t1),
        adjoint=adjoint,
        max_steps=max_steps,
        throw=False,
    )
    assert solution.ts is not None
    ended = solution.result == diffrax.RESULTS.successful
    finite = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(solution.ys)]
    finished = ended & jnp.all(jnp.stack(finite))
    end = jax.tree.map(lambda leaf: jnp.where(finished, leaf[0], jnp.nan), solution.ys)
    steps = solution.stats["num_steps"]
    reached = jax.lax.stop_gradient(solution.ts[-1])
    stopped_at = jnp.where(ended, jnp.nan, reached)
    return end, Cost(evaluations(solver, steps), steps, finished, stopped_at)


def _directed(
    controller: diffrax.AbstractStepSizeController, t0: Scalar, t1: Scalar
) -> diffrax.AbstractStepSizeController:
    """Fixed times in the order of the solve: samples and densities of one model run in
    opposite ones."""
    if not isinstance(controller, diffrax.StepTo):
        return controller
    ts = jnp.asarray(controller.ts, t0.dtype)
    along = (ts[-1] - ts[0]) * (t1 - t0) > 0
    return diffrax.StepTo(jnp.where(along, ts, ts[::-1]))


def _check_controller(
    solver: diffrax.AbstractSolver, controller: diffrax.AbstractStepSizeController
) -> None:
    if isinstance(controller, diffrax.ConstantStepSize):
        raise ValueError(
            "expected a `stepsize_controller` that says where the steps are, got a "
            "ConstantStepSize. Take diffrax.StepTo(times), with the times "
            "process.time_grid(60) for a score and jnp.linspace(0, 1, 61) for a flow."
        )
    adaptive = isinstance(controller, diffrax.AbstractAdaptiveStepSizeController)
    if adaptive and not _estimates(solver):
        raise ValueError(
            "expected a `solver` with an error estimate, for adaptive steps, got a "
            f"{type(solver).__name__}. Take another one, such as diffrax.Tsit5() or "
            "rgen.GeodesicHeun(manifold), or fixed steps: `stepsize_controller="
            "diffrax.StepTo(times)`, or for samples of a score rgen.FewSteps(steps, "
            "solver)."
        )


def _estimates(solver: diffrax.AbstractSolver) -> bool:
    # Of a solver that wraps another one, Diffrax looks at that, and no further.
    if isinstance(solver, diffrax.AbstractAdaptiveSolver):
        return True
    wraps = isinstance(solver, diffrax.AbstractWrappedSolver)
    return wraps and _estimates(solver.solver)
