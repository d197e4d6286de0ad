from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array

from .._check import check_points
from .._manifold import AbstractManifold
from .._sharding import replicated
from .._typing import typed
from ._pairwise import pairwise


@typed
def wasserstein(
    manifold: AbstractManifold,
    x: Any,
    y: Any,
) -> float:
    r"""The Wasserstein-1 distance of two samples of one size under the geodesic
    distance: the least mean of $d(x_i, y_{\sigma(i)})$ over all permutations $\sigma$.

    Exact, by SciPy's `linear_sum_assignment`, so not inside of `jax.jit`, and in a time
    that grows as $n^3$: a few seconds for $n = 2000$. Two samples of one distribution
    are not at the distance 0: compare with the distance of two samples of the data.

    **Arguments:**

    - `manifold`: the manifold.
    - `x`, `y`: points of shape `(n, *point_shape)`.

    **Raises:** a `ValueError` where the numbers of points differ, and those of
    [`rgen.check_points`][].
    """
    # Here, for importing it takes longer than importing all of rgen.
    from scipy.optimize import linear_sum_assignment

    x = replicated(check_points(manifold, x))
    y = replicated(check_points(manifold, y, "y"))
    if len(x) != len(y):
        raise ValueError(
            "wasserstein: expected as many points in `x` as in `y`, got "
            f"{len(x)} and {len(y)}. Take as many samples as there are data."
        )
    cost = np.asarray(_distances(manifold, x, y))
    return float(np.mean(cost[linear_sum_assignment(cost)], dtype=float))


@eqx.filter_jit
def _distances(manifold: AbstractManifold, x: Array, y: Array) -> Array:
    return pairwise(manifold.dist, x, y)
