from typing import Any

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._cost import Cost
from .._sharding import refuse_varying
from .._typing import Scalar


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
    refuse_varying(terms, y0)
    dtype = jax.tree.leaves(y0)[0].dtype
    solution = diffrax.diffeqsolve(
        terms,
        solver,
        jnp.asarray(t0, dtype),
        jnp.asarray(t1, dtype),
        None,
        y0,
        stepsize_controller=stepsize_controller,
        adjoint=adjoint,
        max_steps=max_steps,
        throw=False,
    )
    finished = solution.result == diffrax.RESULTS.successful
    end = jax.tree.map(lambda leaf: jnp.where(finished, leaf[0], jnp.nan), solution.ys)
    steps = solution.stats["num_steps"]
    return end, Cost(_evaluations(solver, steps), steps, finished)


def _evaluations(solver: diffrax.AbstractSolver, steps: Array) -> Array:
    """How often an ODE's field is evaluated: a Runge-Kutta method has as many stages a
    step, and where the last is the first of the next, one at the start for all. A
    solver of another kind is counted as one that evaluates once a step, also one that
    is implicit and evaluates as often as it iterates."""
    tableau = getattr(solver, "tableau", None)
    implicit = isinstance(solver, diffrax.AbstractImplicitSolver)
    if implicit or not isinstance(tableau, diffrax.ButcherTableau):
        return steps
    if tableau.fsal:
        return (tableau.num_stages - 1) * steps + 1
    return tableau.num_stages * steps
