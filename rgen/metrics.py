r"""Distances between samples: of a model and of the data, where a density alone says
too little."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

from ._check import check_points
from ._heat_kernel._base import heat_kernel, positive_time
from ._manifold._base import AbstractManifold
from ._typing import Floating, Point, Scalar, typed


__all__ = ["squared_mmd", "wasserstein"]

# Points whose distances to all others are computed at a time: what bounds the memory.
_BLOCK = 64


@typed
def squared_mmd(
    manifold: AbstractManifold,
    x: Shaped[Array | np.ndarray, "..."],
    y: Shaped[Array | np.ndarray, "..."],
    t: Scalar | float,
) -> Scalar:
    r"""The squared maximum mean discrepancy of the laws that `x` and `y` are drawn
    from, with the heat kernel for its kernel:

    $$\mathbb E[p_t(X, X')] - 2\,\mathbb E[p_t(X, Y)] + \mathbb E[p_t(Y, Y')]
    = \int_{\mathcal M} (P_{t/2} - Q_{t/2})^2,$$

    the squared $L^2$ distance of the densities of both laws, each blurred by the
    variance $t/2$.

    This is the unbiased estimate (Gretton et al. 2012, Lemma 6). It is negative about
    as often as not where the laws are equal. It is in units of the inverse volume; an
    upper limit to each of the first and the last term is $p_t(x, x)$.

    **Arguments:**

    - `manifold`: one whose heat kernel [`rgen.heat_kernel`][] knows.
    - `x`, `y`: independent draws from either law, at least two of each, of shapes
        `(n, *point_shape)` and `(m, *point_shape)`.
    - `t`: the accumulated variance: differences that are finer than $\sqrt t$ do not
        count.

    **Raises:** a `ValueError` where `t` is not positive or there are too few points,
    those of [`rgen.check_points`][], and a `NotImplementedError` where no heat kernel
    is known.
    """
    x, y = check_points(manifold, x), check_points(manifold, y)
    if min(len(x), len(y)) < 2:
        raise ValueError(
            "squared_mmd: expected `x` and `y` to hold two points or more, got "
            f"{len(x)} and {len(y)}."
        )
    t = positive_time("squared_mmd", jnp.asarray(t, x.dtype))
    return _squared_mmd(manifold, x, y, t)


@eqx.filter_jit
def _squared_mmd(manifold: AbstractManifold, x: Array, y: Array, t: Scalar) -> Scalar:
    log_kernel = heat_kernel(manifold).log_prob
    kernel = lambda a, b: jnp.exp(log_kernel(a, b, t))

    def within(a: Array) -> Scalar:
        n = len(a)
        other = lambda row, i: jnp.sum(jnp.where(jnp.arange(n) == i, 0, row))
        rows = _pairwise(kernel, a, a)
        return jnp.sum(jax.vmap(other)(rows, jnp.arange(n))) / (n * (n - 1))

    return within(x) + within(y) - 2 * jnp.mean(_pairwise(kernel, x, y))


@typed
def wasserstein(
    manifold: AbstractManifold,
    x: Shaped[Array | np.ndarray, "..."],
    y: Shaped[Array | np.ndarray, "..."],
) -> float:
    r"""The Wasserstein-1 distance of two samples of one size under the geodesic
    distance: the least mean of $d(x_i, y_{\sigma(i)})$ over all permutations $\sigma$.

    Exact, by SciPy's `linear_sum_assignment`, in a time that grows as $n^3$: a few
    seconds for $n = 2000$. Two samples of one law are not at the distance 0; compare
    with the distance of two samples of the data.

    **Arguments:**

    - `manifold`: the manifold.
    - `x`, `y`: points of shape `(n, *point_shape)`.

    **Raises:** a `ValueError` where the numbers of points differ, and those of
    [`rgen.check_points`][].
    """
    # Here, for importing it takes longer than importing all of rgen.
    from scipy.optimize import linear_sum_assignment

    x, y = check_points(manifold, x), check_points(manifold, y)
    if len(x) != len(y):
        raise ValueError(
            "wasserstein: expected as many points in `x` as in `y`, got "
            f"{len(x)} and {len(y)}. Draw as many as there are data."
        )
    cost = np.asarray(_distances(manifold, x, y))
    return float(np.mean(cost[linear_sum_assignment(cost)], dtype=float))


@eqx.filter_jit
def _distances(manifold: AbstractManifold, x: Array, y: Array) -> Array:
    return _pairwise(manifold.dist, x, y)


def _pairwise(
    f: Callable[[Point, Point], Scalar], x: Array, y: Array
) -> Floating[Array, "n m"]:
    row = lambda a: jax.vmap(lambda b: f(a, b))(y)
    return jax.lax.map(row, x, batch_size=_BLOCK)
