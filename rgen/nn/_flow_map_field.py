from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._given import Given
from .._process import AbstractProcess
from .._process._base import broadcast, score_scale
from .._schedule import AbstractSchedule
from .._typing import Floating, Key, Point, Scalar, Tangent, typed
from .._velocity import process_time
from ._features import levels
from ._neural_field import (
    NeuralField,
    check_condition,
    check_embedding,
    shapes_of,
)
from ._score_field import variance_at


# The mean of the speed is to be smooth and positive, and need not be exact.
_NODES, _WEIGHTS = (each.tolist() for each in np.polynomial.legendre.leggauss(5))


class FlowMapField(eqx.Module):
    r"""A neural field of two times, $v(x, s, t)$: the mean velocity from the point `x`
    at the time `s` to the time `t` of a flow from noise at time 0 to data at time 1.
    Its map is $X_{s,t}(x) = \exp_x((t - s)\, v(x, s, t))$, for [`rgen.FlowMap`][] and
    [`rgen.ConsistencyModel`][].

    $v(x, s, t) = \bar m(s, t)\, g(x, s, t)$ with a network $g$ whose output is of order
    one: $\bar m$ is the mean over the times of the speed
    $\tfrac12 (t_1 - t_0)\, \beta\, c$ of the probability flow of a score of the size
    $c = \sqrt{|\lambda| / (e^{|\lambda| v} - 1)}$, with the
    [`rate`][rgen.AbstractProcess.rate] $\lambda$ of the process. The network is given
    the variances at both times, and its Fourier features of the point are damped by the
    smaller of them. At $s = t$ the field is the velocity of the flow,
    [`rgen.DiagonalVelocity`][].

    **Arguments:**

    - `process`: the noising process whose probability flow is mapped.
    - `width`, `depth`, `experts`, `frequencies`, `max_frequency`, `damping`,
        `harmonics`, `parametrisation`, `embedding`, `condition`, `key`: those of
        [`rgen.nn.NeuralField`][].
    """

    field: NeuralField
    schedule: AbstractSchedule
    rate: float | tuple[float, ...] = eqx.field(static=True)
    condition: Any = eqx.field(static=True)

    @typed
    def __init__(
        self,
        process: AbstractProcess,
        *,
        embedding: Callable | None = None,
        condition: Any = None,
        key: Key,
        **size: Any,
    ):
        check_embedding(embedding, condition)
        self.schedule = process.schedule
        self.rate = process.rate
        self.condition = shapes_of(condition)
        ends = variance_at(self.schedule, "t0"), variance_at(self.schedule, "t1")
        self.field = NeuralField(
            process.manifold,
            *ends,
            embedding=_BothTimes(*ends, embedding),
            condition=(jnp.asarray(ends[0]), jnp.asarray(ends[0]), condition),
            key=key,
            **size,
        )

    @typed
    def __call__(self, x: Point, s: Scalar, t: Scalar, c: Any = None) -> Tangent:
        """The mean velocity from the point `x` at the time `s` to the time `t`, given
        the condition `c`: a tangent vector at `x`."""
        check_condition(c, self.condition)
        start, end = (self._variance(u) for u in (s, t))
        at = lambda node: self._speed((s + t) / 2 + node * (t - s) / 2)
        nodes = zip(_NODES, _WEIGHTS, strict=True)
        speed = sum(weight / 2 * at(node) for node, weight in nodes)
        speed = broadcast(self.field.manifold, jnp.asarray(speed))
        return speed * self.field(x, jnp.minimum(start, end), (start, end, c))

    def given(self, c: Any) -> Given:
        """The field given the condition `c`, a function of a point and two times:
        [`rgen.Given`][]."""
        return Given(self, c)

    def _variance(self, u: Scalar) -> Floating[Array, "..."]:
        return self.schedule.variance(process_time(self.schedule, u))

    def _speed(self, u: Scalar) -> Floating[Array, "..."]:
        """The size of the velocity at the time `u`."""
        length = self.schedule.t1 - self.schedule.t0
        beta = self.schedule.beta(process_time(self.schedule, u))
        # Where a potential confines it, the flow comes to rest as the score settles.
        rate = jax.tree.map(abs, self.rate)
        return length / 2 * beta * score_scale(rate, self._variance(u))


class _BothTimes(eqx.Module):
    """Features of the variances at both times, beside those of a condition."""

    v_min: float | tuple[float, ...] = eqx.field(static=True)
    v_max: float | tuple[float, ...] = eqx.field(static=True)
    embedding: Callable | None

    def __call__(self, times_and_condition: tuple[Array, Array, Any]) -> Array:
        *variances, c = times_and_condition
        found = [levels(v, self.v_min, self.v_max) for v in variances]
        if self.embedding is not None:
            found.append(self.embedding(c))
        return jnp.concatenate(found)
