import jax.random as jr

from .._divergence import AbstractDivergence, ExactDivergence
from .._process import AbstractProcess
from .._term import ScoreFunction, evaluate_field
from .._typing import Key, Point, Scalar, typed


@typed
def implicit(
    score: ScoreFunction,
    process: AbstractProcess,
    x0: Point,
    t: Scalar,
    key: Key,
    divergence: AbstractDivergence = ExactDivergence(),  # noqa: B008 (a constant)
) -> Scalar:
    r"""The implicit loss $|s(x_t, t)|^2 + 2\,\mathrm{div}\,s(x_t, t)$ with
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
    field = lambda y: evaluate_field(score, manifold, y, t)
    s = field(x)
    return manifold.inner(x, s, s) + 2 * divergence(manifold, field, x, divergence_key)
