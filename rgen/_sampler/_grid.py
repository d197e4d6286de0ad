from collections.abc import Callable
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
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
    """The times of a grid, of which there is one more than there are steps. NaN where
    they are traced and do not fall from `t1` to `t0`."""
    expected = (
        f"{owner}: expected `grid` to return an array of {steps + 1} times, from t1 "
        f"down to t0, for {steps} steps, got"
    )
    with jax.ensure_compile_time_eval():
        times = _evaluated(grid, process, steps)
    if jnp.shape(times) != (steps + 1,):
        raise ValueError(
            f"{expected} one of shape {jnp.shape(times)}. Take rgen.PowerGrid()."
        )
    ends = process.schedule.t1, process.schedule.t0
    if isinstance(times, Tracer):
        return jnp.where(_falls(jnp, times, *ends), times, jnp.nan).astype(dtype)
    if not _falls(np, np.asarray(times), *ends):
        raise ValueError(f"{expected} {times}. Take rgen.PowerGrid().")
    return times.astype(dtype)


# One program is sooner there than each of its operations.
@eqx.filter_jit
def _evaluated(grid: TimeGrid, process: AbstractProcess, steps: int) -> Array:
    return grid(process, steps)


def _falls(xp: Any, times: Any, t1: Any, t0: Any) -> Any:
    """By JAX, or by NumPy, which compiles nothing."""
    # Of many steps, the last may round to the same time.
    never_rise = xp.all(xp.diff(times) <= 0)
    return never_rise & xp.isclose(times[0], t1) & xp.isclose(times[-1], t0)
