from collections.abc import Callable
from typing import Any

import jax.random as jr
from jaxtyping import Array

from .._check import as_array, check_floating
from .._sharding import replicated
from .._typing import Key, typed


@typed
def between_halves(metric: Callable[[Array, Array], Any], x: Any, key: Key) -> Any:
    r"""The value of a metric between two random halves of one sample: what a perfect
    model reaches.

    ```python
    metric = functools.partial(rgen.metrics.wasserstein, manifold)
    floor = rgen.metrics.between_halves(metric, data, key)
    half, _ = rgen.datasets.random_split(half_key, data, (0.5, 0.5))
    value = metric(rgen.sample(model, sample_key, len(half)), half)
    ```

    The halves have no point in common. If the points of `x` are independent, then so
    are the halves, and the value is that of two samples of $\lfloor n/2 \rfloor$
    points. Compare it with the value between $\lfloor n/2 \rfloor$ points of a model
    and as many of the data: [`rgen.metrics.wasserstein`][] and
    [`rgen.metrics.biased_mmd`][] are larger for smaller samples, so that the value for
    $n$ points against $n$ takes $2n$ points of data. [`rgen.metrics.squared_mmd`][] has
    the mean 0 at every size, and a standard deviation proportional to $1/n$.

    The value is random: take several keys. By this metric at this size, a model whose
    value is within their spread cannot be told from a perfect one.

    **Arguments:**

    - `metric`: a function of two samples.
    - `x`: independent points of one distribution, of shape `(n, *point_shape)`. If $n$
        is odd, a random one is left out.
    - `key`: the random key that chooses the halves.

    **Returns:** what `metric` returns.

    **Raises:** a `ValueError` where there are fewer than two points, or `x` is not a
    batch of finite points, and those of `metric`.
    """
    x = as_array(x)
    x = replicated(check_floating(x, ("n", *x.shape[1:]), "points"))
    if len(x) < 2:
        raise ValueError(
            "between_halves: expected `x` to hold two points or more, got 1. Give it "
            "the whole data set."
        )
    order, half = jr.permutation(key, len(x)), len(x) // 2
    return metric(x[order[:half]], x[order[half : 2 * half]])
