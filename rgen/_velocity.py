"""Velocities in the time of a flow, from noise at 0 to data at 1, and the maps between
two times."""

from collections.abc import Callable
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array

from ._manifold import AbstractManifold
from ._process import AbstractProcess
from ._schedule import AbstractSchedule
from ._term import ScoreFunction, evaluate_field
from ._typing import Floating, Point, Scalar, Tangent, typed


# The mean velocity from a point at one time to another time.
TwoTimeField: TypeAlias = Callable[[Point, Scalar, Scalar], Tangent]


def process_time(schedule: AbstractSchedule, u: Scalar) -> Scalar:
    """The time of a schedule at the time `u` of a flow: `t1` at 0, and `t0` at 1."""
    # The ends themselves, without rounding.
    return schedule.t1 * (1 - u) + schedule.t0 * u


class FlowVelocity(eqx.Module):
    r"""The velocity of the probability flow in the time of a flow, from noise at 0 to
    data at 1:

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
        length = schedule.t0 - schedule.t1
        return length * (process.drift(x, t) - speed / 2 * score)


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
        length = schedule.t0 - schedule.t1
        u = (t - schedule.t1) / length
        velocity = evaluate_field(self.velocity, process.manifold, x, u)
        speed = process.broadcast(schedule.beta(t))
        return 2 / speed * (process.drift(x, t) - velocity / length)


class DiagonalVelocity(eqx.Module):
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
    velocity: ScoreFunction, process: AbstractProcess, x: Point, t: Scalar
) -> Tangent:
    """The tangent part of `velocity(x, t)`, through which no gradient is taken."""
    manifold = process.manifold
    if isinstance(velocity, FlowVelocity):
        _check_teacher(velocity.process, process)
    value = evaluate_field(velocity, manifold, x, t)
    return jax.lax.stop_gradient(manifold.to_tangent(x, value))


def _check_teacher(found: AbstractProcess, process: AbstractProcess) -> None:
    for name in ("manifold", "schedule"):
        own, other = getattr(process, name), getattr(found, name)
        same = eqx.tree_equal(own, other)
        # Arrays of a schedule that are traced cannot be compared.
        if not isinstance(same, Tracer) and not same:
            raise ValueError(
                f"velocity: expected the flow of a process with the {name} {own}, got "
                f"one with {other}. Give the loss the process of the teacher."
            )
    if type(found) is not type(process):
        raise ValueError(
            f"velocity: expected the flow of a {type(process).__name__}, got that of a "
            f"{type(found).__name__}. Give the loss the process of the teacher."
        )


@typed
def flow_map(
    manifold: AbstractManifold, field: TwoTimeField, x: Point, s: Scalar, t: Scalar
) -> Point:
    r"""$X_{s,t}(x) = \exp_x((t - s)\, v(x, s, t))$: the point at time `t` of the flow
    that is at `x` at time `s` (Boffi et al., *Flow Map Matching*, 2024).

    **Arguments:**

    - `manifold`: the manifold.
    - `field`: the field $v$ of two times, such as [`rgen.nn.FlowMapField`][].
    - `x`: the point at time `s`.
    - `s`, `t`: times of the flow, from noise at 0 to data at 1, in either order.
    """
    at = lambda x, _: field(x, s, t)
    v = manifold.to_tangent(x, evaluate_field(at, manifold, x, s))
    return manifold.exp(x, (t - s) * v)


def flow_map_and_jacobian(
    manifold: AbstractManifold, field: TwoTimeField, x: Point, s: Scalar, t: Scalar
) -> tuple[Point, Floating[Array, "dim dim"]]:
    r"""$y = X_{s,t}(x)$ and the matrix of $\mathrm d X_{s,t}$ in the bases at `x` and
    `y`, from `manifold.dim` forward passes."""
    push = lambda e: jax.jvp(lambda x: flow_map(manifold, field, x, s, t), (x,), (e,))
    y, columns = jax.vmap(push, out_axes=(None, 0))(manifold.basis(x))
    return y, jax.vmap(lambda column: _coordinates(manifold, y, column))(columns).T


# A step of Newton's method squares the error of the inverse; the map that starts it is
# within a tenth or so.
NEWTON_STEPS = 5


def inverse_flow_map(
    manifold: AbstractManifold, field: TwoTimeField, y: Point, s: Scalar, t: Scalar
) -> Point:
    r"""The point `x` with $X_{s,t}(x) = y$: that of the map $X_{t,s}$, improved by
    Newton's method."""

    def improved(x: Point, _: None) -> tuple[Point, None]:
        end, jacobian = flow_map_and_jacobian(manifold, field, x, s, t)
        missing = _coordinates(manifold, end, manifold.log(end, y))
        step = jnp.linalg.solve(jacobian, missing)
        return manifold.exp(x, jnp.tensordot(step, manifold.basis(x), 1)), None

    start = flow_map(manifold, field, y, t, s)
    return jax.lax.scan(improved, start, length=NEWTON_STEPS)[0]


def _coordinates(manifold: AbstractManifold, x: Point, v: Tangent) -> Array:
    return jax.vmap(lambda e: manifold.inner(x, e, v))(manifold.basis(x))
