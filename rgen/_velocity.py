"""Velocities on the clock of a flow, from noise at time 0 to data at time 1, and the
maps between two of its times."""

from collections.abc import Callable
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp

from ._manifold import AbstractManifold
from ._process import AbstractProcess
from ._schedule import AbstractSchedule
from ._term import ScoreFunction, evaluate_field
from ._typing import Point, Scalar, Tangent, typed


# The mean velocity from a point at one time to another time.
TwoTimeField: TypeAlias = Callable[[Point, Scalar, Scalar], Tangent]


def process_time(schedule: AbstractSchedule, u: Scalar) -> Scalar:
    """The time of a schedule at the time `u` of a flow: `t1` at 0, and `t0` at 1."""
    return schedule.t1 + (schedule.t0 - schedule.t1) * u


class FlowVelocity(eqx.Module):
    r"""The velocity of the probability flow on the clock of a flow, from noise at time
    0 to data at time 1:

    $$f(x, u) = (t_0 - t_1)\big(b(x, t) - \tfrac12 \beta(t)\, s(x, t)\big), \qquad t =
    t_1 + (t_0 - t_1)\, u.$$

    `rgen.Flow(process.prior, rgen.FlowVelocity(process, score))` has the density of the
    [`rgen.ScoreModel`][] of that score. A [`rgen.FlowMap`][] is distilled from it.

    **Arguments:**

    - `process`: the noising process.
    - `score`: the score, a function of a point and a time of the process.
    """

    process: AbstractProcess
    score: ScoreFunction

    @typed
    def __call__(self, x: Point, u: Scalar) -> Tangent:
        """The velocity at the point `x` and the time `u` of the flow."""
        process, schedule = self.process, self.process.schedule
        t = process_time(schedule, u)
        score = evaluate_field(self.score, process.manifold, x, t)
        speed = process.broadcast(schedule.beta(t))
        rate = schedule.t0 - schedule.t1
        return rate * (process.drift(x, t) - speed / 2 * score)


class FlowScore(eqx.Module):
    r"""The score whose probability flow has a given velocity: the inverse of
    [`rgen.FlowVelocity`][]. With it the denoising loss trains a velocity.

    **Arguments:**

    - `process`: the noising process.
    - `velocity`: the velocity, a function of a point and a time of the flow, from 0 to
        1.
    """

    process: AbstractProcess
    velocity: ScoreFunction

    @typed
    def __call__(self, x: Point, t: Scalar) -> Tangent:
        """The score at the point `x` and the time `t` of the process."""
        process, schedule = self.process, self.process.schedule
        rate = schedule.t0 - schedule.t1
        u = (t - schedule.t1) / rate
        velocity = evaluate_field(self.velocity, process.manifold, x, u)
        speed = process.broadcast(schedule.beta(t))
        return 2 / speed * (process.drift(x, t) - velocity / rate)


class Diagonal(eqx.Module):
    r"""The velocity $v(x, t, t)$ of a field of two times, a function of a point and a
    time.

    **Arguments:**

    - `field`: the field, such as a [`rgen.nn.FlowMapField`][].
    """

    field: TwoTimeField

    @typed
    def __call__(self, x: Point, u: Scalar) -> Tangent:
        """The velocity at the point `x` and the time `u` of the flow."""
        return self.field(x, u, u)


def evaluate_velocity(
    velocity: ScoreFunction, manifold: AbstractManifold, x: Point, t: Scalar
) -> Tangent:
    """The tangent part of `velocity(x, t)`, through which no gradient is taken."""
    if isinstance(velocity, FlowVelocity) and velocity.process.manifold != manifold:
        raise ValueError(
            f"velocity: expected the flow of a model on {manifold}, got one on "
            f"{velocity.process.manifold}. Give the loss the process of the teacher."
        )
    value = evaluate_field(velocity, manifold, x, t)
    return jax.lax.stop_gradient(manifold.to_tangent(x, value))


@typed
def flow_map(
    manifold: AbstractManifold, field: TwoTimeField, x: Point, s: Scalar, t: Scalar
) -> Point:
    r"""$X_{s,t}(x) = \exp_x((t - s)\, v(x, s, t))$, where a point that is at `x` at the
    time `s` is at the time `t`."""
    at = lambda x, _: field(x, s, t)
    v = manifold.to_tangent(x, evaluate_field(at, manifold, x, s))
    return manifold.exp(x, (t - s) * v)


@typed
def flow_map_and_log_det(
    manifold: AbstractManifold, field: TwoTimeField, x: Point, s: Scalar, t: Scalar
) -> tuple[Point, Scalar]:
    r"""$y = X_{s,t}(x)$ and $\log|\det \mathrm d X_{s,t}|$ in orthonormal bases at `x`
    and `y`, from `manifold.dim` forward passes."""
    push = lambda e: jax.jvp(lambda x: flow_map(manifold, field, x, s, t), (x,), (e,))
    y, columns = jax.vmap(push, out_axes=(None, 0))(manifold.basis(x))
    basis = manifold.basis(y)
    inner = lambda a, b: manifold.inner(y, a, b)
    matrix = jax.vmap(lambda column: jax.vmap(lambda e: inner(column, e))(basis))
    return y, jnp.linalg.slogdet(matrix(columns))[1]
