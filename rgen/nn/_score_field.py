from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._process import AbstractProcess
from .._process._base import broadcast, score_scale
from .._schedule import AbstractSchedule
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractField
from ._neural_field import NeuralField


class ScoreField(AbstractField):
    r"""A neural score field $s(x, t) = c(t)\, f(x, v(t))$: a [`rgen.nn.NeuralField`][]
    of the variance that has accumulated, times the size $c$ of the score,
    [`rgen.AbstractProcess.score_scale`][], so that the output of the network is of
    order one at every time.

    **Arguments:**

    - `process`: the noising process.
    - `width`, `depth`, `experts`, `frequencies`, `max_frequency`, `damping`,
        `harmonics`, `parametrisation`, `embedding`, `condition`, `key`: those of
        [`rgen.nn.NeuralField`][].
    """

    field: NeuralField
    schedule: AbstractSchedule
    rate: float | tuple[float, ...] = eqx.field(static=True)

    @typed
    def __init__(self, process: AbstractProcess, *, key: Key, **size: Any):
        # Not the process itself: the arrays of its prior are no parameters.
        self.schedule = process.schedule
        self.rate = process.rate
        ends = variance_at(self.schedule, "t0"), variance_at(self.schedule, "t1")
        self.field = NeuralField(process.manifold, *ends, key=key, **size)

    @typed
    def __call__(self, x: Point, t: Scalar, c: Any = None) -> Tangent:
        """The score at the point `x` and the time `t`, given the condition `c`: a
        tangent vector at `x`."""
        v = self.schedule.variance(t)
        scale = broadcast(self.field.manifold, score_scale(self.rate, v))
        return scale * self.field(x, v, c)


def variance_at(schedule: AbstractSchedule, end: str) -> float | tuple[float, ...]:
    """The variance that has accumulated at one end of the schedule."""
    with jax.ensure_compile_time_eval():
        v = schedule.variance(jnp.array(getattr(schedule, end)))
    return float(v) if v.ndim == 0 else tuple(map(float, v))
