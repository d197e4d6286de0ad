import jax.random as jr

from .._process import AbstractProcess
from .._term import ScoreFunction, evaluate_field
from .._typing import Key, Point, Scalar, typed


@typed
def sliced(
    score: ScoreFunction,
    process: AbstractProcess,
    x0: Point,
    t: Scalar,
    key: Key,
) -> Scalar:
    r"""The sliced loss $\langle u, s\rangle^2 + 2\,\langle u, \nabla_u s\rangle$ at
    $x_t \sim p_{t|0}(\cdot \mid x_0)$, with $u$ a standard normal tangent vector (Song
    et al. 2020).

    Of the same expectation as the implicit loss, from one forward pass in any
    dimension.

    **Arguments:** those of [`rgen.losses.denoising`][].
    """
    manifold = process.manifold
    sample_key, slice_key = jr.split(key)
    x = process.sample(x0, t, sample_key)
    field = lambda y: evaluate_field(score, manifold, y, t)
    u = manifold.tangent_noise(x, slice_key)
    slope = manifold.inner(x, u, manifold.covariant_derivative(field, x, u))
    return manifold.inner(x, u, field(x)) ** 2 + 2 * slope
