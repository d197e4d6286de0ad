from .._process import AbstractProcess
from .._term import ScoreFunction, evaluate_field
from .._typing import Key, Point, Scalar, typed
from ._weights import Weight, root, unit_weight


@typed
def denoising(
    score: ScoreFunction,
    process: AbstractProcess,
    x0: Point,
    t: Scalar,
    key: Key,
    weight: Weight = unit_weight,
) -> Scalar:
    r"""The denoising loss $w\,|s(x_t, t) - \nabla\log p_{t|0}(x_t \mid x_0)|^2$ with
    $x_t \sim p_{t|0}(\cdot \mid x_0)$ (De Bortoli et al. 2022, Table 2), where the
    conditional score is that of the kernel of the process: exact, or one of the
    approximations [`rgen.TruncatedHeatKernel`][] and [`rgen.VaradhanHeatKernel`][].

    Raises a `NotImplementedError` where the kernel has no score: use a loss that does
    not need one.

    **Arguments:**

    - `score`: the score field, a function of a point and a time.
    - `process`: the noising process.
    - `x0`, `t`, `key`: one data point, one time, one random key.
    - `weight`: $w$, a function of the process and the time:
        [`rgen.losses.variance_weight`][] or [`rgen.losses.likelihood_weight`][]. It may
        have one value for each factor of a [`rgen.ProductProcess`][].
    """
    manifold = process.manifold
    x = process.sample(x0, t, key)
    field = manifold.to_tangent(x, evaluate_field(score, manifold, x, t))
    error = root(weight, process, t) * (field - process.score(x0, x, t))
    return manifold.inner(x, error, error)
