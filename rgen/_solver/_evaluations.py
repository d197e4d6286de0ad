import functools

import diffrax
import jax.numpy as jnp
from jaxtyping import Array, Int


@functools.singledispatch
def evaluations(
    solver: diffrax.AbstractSolver, steps: Int[Array, "..."]
) -> Int[Array, "..."]:
    """How often the field of an ODE is evaluated in `steps` steps that follow one
    another. A solver of a kind that is not registered is counted as one that evaluates
    once a step, also one that is implicit and evaluates as often as it iterates."""
    return steps


@evaluations.register
def _(solver: diffrax.HalfSolver, steps: Array) -> Array:
    # A step, and two of half its length. Where they begin with the last stage of the
    # one before, both ways have a first one.
    one, two = (evaluations(solver.solver, jnp.array(n)) for n in (1, 2))
    return 3 * steps * (two - one) + 2 * jnp.minimum(steps, 1) * (2 * one - two)


@evaluations.register
def _(solver: diffrax.AbstractERK, steps: Array) -> Array:
    tableau = solver.tableau
    assert isinstance(tableau, diffrax.ButcherTableau)
    if tableau.fsal:
        # The last stage of a step is the first of the next.
        return (tableau.num_stages - 1) * steps + jnp.minimum(steps, 1)
    return tableau.num_stages * steps
