import jax
import jax.numpy as jnp

from .._process import AbstractProcess
from .._term import ScoreFunction
from .._typing import Key, Point, Scalar, typed
from .._velocity import TwoTimeField, evaluate_velocity, flow_map, process_time
from ._weights import Weight, root, unit_weight


@typed
def lagrangian(
    field: TwoTimeField,
    velocity: ScoreFunction,
    process: AbstractProcess,
    x0: Point,
    s: Scalar,
    t: Scalar,
    key: Key,
    weight: Weight = unit_weight,
) -> Scalar:
    r"""The Lagrangian loss of a flow map,
    $w\,|\partial_t X_{s,t}(x_s) - f(X_{s,t}(x_s), t)|^2$: as $t$ grows, the endpoint
    $X_{s,t}(x_s)$ moves with the velocity $f$ of the flow (Boffi et al., *How to Build
    a Consistency Model*, 2025). The point $x_s$ is the data point `x0` with the noise
    of the time `s`. No gradient is taken through the velocity.

    With the velocity of a trained model it distils that model. With
    `rgen.DiagonalVelocity(field)` the field is its own teacher: add
    [`rgen.losses.denoising`][] of `rgen.FlowScore(process, velocity)`, which makes the
    diagonal the velocity of the data.

    **Arguments:**

    - `field`: the field of two times, such as [`rgen.nn.FlowMapField`][].
    - `velocity`: the velocity $f$, a function of a point and a time of the flow, such
        as [`rgen.FlowVelocity`][].
    - `process`: the noising process.
    - `x0`, `s`, `t`, `key`: one data point, two times of the flow, from noise at 0 to
        data at 1, one random key.
    - `weight`: $w$, a function of the process and its time at `t`.
    """
    manifold = process.manifold
    x_s = process.sample(x0, process_time(process.schedule, s), key)
    to = lambda t: flow_map(manifold, field, x_s, s, t)
    y, moved = jax.jvp(to, (t,), (jnp.ones_like(t),))
    target = evaluate_velocity(velocity, process, jax.lax.stop_gradient(y), t)
    error = manifold.to_tangent(y, moved - target)
    error = root(weight, process, process_time(process.schedule, t)) * error
    return manifold.inner(y, error, error)
