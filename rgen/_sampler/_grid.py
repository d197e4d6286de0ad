from collections.abc import Callable
from typing import TypeAlias

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array

from .._process import AbstractProcess
from .._typing import Floating


TimeGrid: TypeAlias = Callable[[AbstractProcess, int], Floating[Array, " times"]]


def check_steps(owner: str, steps: int, advice: str) -> None:
    """Raises a `ValueError` where there is no step."""
    if steps < 1:
        raise ValueError(
            f"{owner}: expected `steps` of at least 1, got {steps}. {advice}"
        )


def times_of(
    owner: str, grid: TimeGrid, process: AbstractProcess, steps: int, dtype: DTypeLike
) -> Floating[Array, " times"]:
    """The times of a grid, of which there is one more than there are steps."""
    times = grid(process, steps)
    if jnp.shape(times) != (steps + 1,):
        raise ValueError(
            f"{owner}: expected `grid` to return an array of {steps + 1} times, from "
            f"t1 down to t0, for {steps} steps, got one of shape {jnp.shape(times)}. "
            "Take rgen.PowerGrid()."
        )
    return times.astype(dtype)
