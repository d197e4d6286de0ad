from typing import Any

import diffrax
from jaxtyping import Array

from .._sharding import refuse_varying
from .._typing import Floating, Point


class _Steps(diffrax.StepTo):
    """`diffrax.StepTo` without its tests of the times: they call back from the compiled
    program to Python, and JAX keeps no such program in its compilation cache. A
    subclass, since Diffrax counts the steps of no other controller."""

    def wrap(self, direction: Any) -> "_Steps":
        return _Steps(self.ts * direction)

    def init(self, *args: Any, **kwargs: Any) -> tuple[Array, int]:
        return self.ts[1], 2


def walk(
    terms: diffrax.AbstractTerm,
    solver: diffrax.AbstractSolver,
    x: Point,
    times: Floating[Array, " times"],
    adjoint: diffrax.AbstractAdjoint = diffrax.ForwardMode(),  # noqa: B008 (a constant)
) -> Point:
    """Where steps between the given times lead from `x`, forwards or backwards."""
    refuse_varying(terms, x)
    solution = diffrax.diffeqsolve(
        terms,
        solver,
        times[0],
        times[-1],
        None,
        x,
        stepsize_controller=_Steps(times),
        adjoint=adjoint,
        max_steps=len(times) - 1,
        # A walk of fixed steps can't fail, and asking whether it did takes time.
        throw=False,
    )
    assert solution.ys is not None
    return solution.ys[0]
