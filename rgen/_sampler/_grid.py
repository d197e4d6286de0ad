from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import DTypeLike
from jaxtyping import Array

from .._process import AbstractProcess
from .._typing import BoolScalar, Floating, Scalar


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
    """The times of a grid, of which there is one more than there are steps. NaN where
    they are traced and do not fall from `t1` to `t0`."""
    expected = (
        f"{owner}: expected `grid` to return an array of {steps + 1} times, from t1 "
        f"down to t0, for {steps} steps, got"
    )
    with jax.ensure_compile_time_eval():
        times = grid(process, steps)
        if jnp.shape(times) != (steps + 1,):
            raise ValueError(
                f"{expected} one of shape {jnp.shape(times)}. Take rgen.PowerGrid()."
            )
        falls = _falls(times, process.schedule.t1, process.schedule.t0)
    if not isinstance(falls, Tracer) and not falls:
        raise ValueError(f"{expected} {times}. Take rgen.PowerGrid().")
    return jnp.where(falls, times, jnp.nan).astype(dtype)


def _falls(times: Array, t1: Scalar | float, t0: Scalar | float) -> BoolScalar:
    ends = jnp.array([t1, t0], times.dtype)
    # Of many steps, the last may round to the same time.
    never_rise = jnp.all(jnp.diff(times) <= 0)
    return never_rise & jnp.allclose(times[jnp.array([0, -1])], ends)
