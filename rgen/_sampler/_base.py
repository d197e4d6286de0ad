import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .._cost import Cost
from .._process import AbstractProcess
from .._term import ScoreFunction
from .._typing import Key, Point


class AbstractSampler(eqx.Module):
    """A way to turn a sample of the prior of a process into a sample of the model."""

    @abc.abstractmethod
    def __call__(
        self, score: ScoreFunction, process: AbstractProcess, x: Point, key: Key
    ) -> tuple[Point, Cost]:
        """The point at time `process.schedule.t0` for the point `x` at `t1`, and what
        it cost."""


def walked(end: Point, evaluations: Array, steps: Array) -> tuple[Point, Cost]:
    """The end of a walk of fixed steps and its cost. If an entry is not finite, the
    point is NaN and not finished."""
    finished = jnp.all(jnp.isfinite(end))
    return jnp.where(finished, end, jnp.nan), Cost(evaluations, steps, finished)
