import jax
import jax.numpy as jnp
import jax.random as jr

from .._process import AbstractProcess
from .._term import ScoreFunction, evaluate_field
from .._typing import Key, Point, Scalar, typed
from ._weights import Weight, root, unit_weight


@typed
def sliced(
    score: ScoreFunction,
    process: AbstractProcess,
    x0: Point,
    t: Scalar,
    key: Key,
    weight: Weight = unit_weight,
) -> Scalar:
    r"""The sliced loss $w\,(\langle u, s\rangle^2 + 2\,\langle u, \nabla_u s\rangle)$
    at $x_t \sim p_{t|0}(\cdot \mid x_0)$, with $u$ a standard normal tangent vector
    (Song et al. 2020).

    It has the expectation of the implicit loss, from one tangent vector pushed through
    the field in any dimension.

    **Arguments:** those of [`rgen.losses.denoising`][].
    """
    manifold = process.manifold
    sample_key, slice_key = jr.split(key)
    x = process.sample(x0, t, sample_key)
    scale = root(weight, process, t)
    u = manifold.tangent_noise(x, slice_key)

    def field(y: Point) -> Point:
        s = evaluate_field(score, manifold, y, t)
        return manifold.to_tangent(y, scale**2 * s)

    weighted, derivative = jax.jvp(field, (x,), (u,))
    s = weighted / jnp.where(scale > 0, scale, 1)
    slope = manifold.inner(x, u, manifold._connection(x, u, weighted, derivative))
    return manifold.inner(x, u, s) ** 2 + 2 * slope
