import jax
import jax.numpy as jnp

from .._process import AbstractProcess
from .._term import ScoreFunction
from .._typing import Key, Point, Scalar, typed
from .._velocity import TwoTimeField, evaluate_velocity, flow_map, process_time
from ._weights import Weight, root, unit_weight


@typed
def eulerian(
    field: TwoTimeField,
    velocity: ScoreFunction,
    process: AbstractProcess,
    x0: Point,
    s: Scalar,
    t: Scalar,
    key: Key,
    weight: Weight = unit_weight,
) -> Scalar:
    r"""The Eulerian loss of a flow map,
    $w\,|\partial_s X_{s,t}(x_s) + \mathrm dX_{s,t}(x_s)\,f(x_s, s)|^2$: all points of
    one trajectory of the velocity $f$ are mapped to the same endpoint (Boffi et al.,
    *How to Build a Consistency Model*, 2025). No gradient is taken through the second
    term. In our experiments networks learnt nothing by it from a trained score: begin
    with [`rgen.losses.lagrangian`][].

    **Arguments:** those of [`rgen.losses.lagrangian`][], with the `weight` at the time
    `s`.
    """
    manifold = process.manifold
    at_s = process_time(process.schedule, s)
    x_s = process.sample(x0, at_s, key)
    v = evaluate_velocity(velocity, process, x_s, s)
    start = lambda x, s: flow_map(manifold, field, x, s, t)
    still, one = jnp.zeros_like(x_s), jnp.ones_like(s)
    y, moved = jax.jvp(start, (x_s, s), (still, one))
    _, carried = jax.jvp(start, (x_s, s), (v, jnp.zeros_like(s)))
    error = manifold.to_tangent(y, moved + jax.lax.stop_gradient(carried))
    error = root(weight, process, at_s) * error
    return manifold.inner(y, error, error)
