import jax.numpy as jnp
import jax.random as jr

from .._divergence import AbstractDivergence, ExactDivergence
from .._process import AbstractProcess
from .._term import ScoreFunction, evaluate_field
from .._typing import Key, Point, Scalar, typed
from ._weights import Weight, root, unit_weight


@typed
def implicit(
    score: ScoreFunction,
    process: AbstractProcess,
    x0: Point,
    t: Scalar,
    key: Key,
    weight: Weight = unit_weight,
    divergence: AbstractDivergence = ExactDivergence(),  # noqa: B008 (a constant)
) -> Scalar:
    r"""The implicit loss $w\,(|s(x_t, t)|^2 + 2\,\mathrm{div}\,s(x_t, t))$ with
    $x_t \sim p_{t|0}(\cdot \mid x_0)$ (Hyvärinen 2005; De Bortoli et al. 2022,
    Table 2).

    It needs no transition density. Its expectation differs from that of the denoising
    loss by a constant that does not depend on the field.

    **Arguments:** those of [`rgen.losses.denoising`][], and

    - `divergence`: [`rgen.ExactDivergence`][] or [`rgen.HutchinsonDivergence`][].
    """
    manifold = process.manifold
    sample_key, divergence_key = jr.split(key)
    x = process.sample(x0, t, sample_key)
    scale = root(weight, process, t)
    field = lambda y: scale**2 * evaluate_field(score, manifold, y, t)
    weighted, change = divergence(manifold, field, x, divergence_key)
    s = weighted / jnp.where(scale > 0, scale, 1)
    return manifold.inner(x, s, s) + 2 * change
