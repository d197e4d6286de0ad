from .._process import AbstractProcess
from .._target import AbstractTarget, Exact
from .._term import ScoreFunction, evaluate_field
from .._typing import Key, Point, Scalar, typed


@typed
def denoising(
    score: ScoreFunction,
    process: AbstractProcess,
    x0: Point,
    t: Scalar,
    key: Key,
    target: AbstractTarget = Exact(),  # noqa: B008 (a constant)
) -> Scalar:
    r"""The denoising loss $|s(x_t, t) - \nabla\log p_{t|0}(x_t \mid x_0)|^2$ with
    $x_t \sim p_{t|0}(\cdot \mid x_0)$ (De Bortoli et al. 2022, Table 2).

    **Arguments:**

    - `score`: the score field, a function of a point and a time.
    - `process`: the noising process.
    - `x0`, `t`, `key`: one data point, one time, one random key.
    - `target`: how the conditional score is computed: [`rgen.Exact`][],
        [`rgen.Truncated`][] or [`rgen.Varadhan`][].
    """
    x = process.sample(x0, t, key)
    error = evaluate_field(score, process.manifold, x, t) - target(process, x0, x, t)
    return process.manifold.inner(x, error, error)
