import jax
import jax.numpy as jnp

from .._distribution import AbstractDistribution
from .._term import ScoreFunction, evaluate_field
from .._typing import Key, Point, Scalar, typed


@typed
def flow_matching(
    field: ScoreFunction,
    base: AbstractDistribution,
    x1: Point,
    t: Scalar,
    key: Key,
) -> Scalar:
    r"""The flow-matching loss $|f(x_t, t) - \dot x_t|^2$ at a point of the geodesic
    $x_t = \exp_{x_0}(t \log_{x_0} x_1)$ from $x_0 \sim$ `base` to the data point `x1`
    (Chen and Lipman 2023, with the geodesic distance).

    Over all fields, at times uniform on $[0, 1]$, it is minimised by one whose flow
    carries `base` to the distribution of the data: see [`rgen.Flow`][]. Smooth unless
    a point lies in the cut locus of the other.

    **Arguments:**

    - `field`: the vector field, a function of a point and a time.
    - `base`: the distribution at time 0; its manifold is that of the field.
    - `x1`, `t`, `key`: one data point, one time in $[0, 1]$, one random key.
    """
    manifold = base.manifold
    x0 = base.sample(key)
    v = manifold.log(x0, x1)
    path = lambda t: manifold.exp(x0, t * v)
    x, velocity = jax.jvp(path, (t,), (jnp.ones_like(t),))
    error = manifold.to_tangent(x, evaluate_field(field, manifold, x, t)) - velocity
    return manifold.inner(x, error, error)
