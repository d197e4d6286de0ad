import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

from .._check import check_points
from .._kernel import heat_kernel
from .._kernel._base import positive_variance
from .._manifold import AbstractManifold
from .._typing import Scalar, typed
from ._pairwise import pairwise


@typed
def squared_mmd(
    manifold: AbstractManifold,
    x: Shaped[Array | np.ndarray, "..."],
    y: Shaped[Array | np.ndarray, "..."],
    v: Scalar | float,
) -> Scalar:
    r"""The squared maximum mean discrepancy of the laws that `x` and `y` are drawn
    from, with the heat kernel for its kernel:

    $$\mathbb E[p_v(X, X')] - 2\,\mathbb E[p_v(X, Y)] + \mathbb E[p_v(Y, Y')]
    = \int_{\mathcal M} (P_{v/2} - Q_{v/2})^2,$$

    the squared $L^2$ distance of the densities of both laws, each blurred by the
    variance $v/2$.

    This is the unbiased estimate (Gretton et al. 2012, Lemma 6). It is negative about
    as often as not where the laws are equal. It is in units of the inverse volume; an
    upper limit to each of the first and the last term is $p_v(x, x)$.

    **Arguments:**

    - `manifold`: one whose heat kernel [`rgen.heat_kernel`][] knows.
    - `x`, `y`: independent draws from either law, at least two of each, of shapes
        `(n, *point_shape)` and `(m, *point_shape)`.
    - `v`: the accumulated variance: differences that are finer than $\sqrt v$ do not
        count.

    **Raises:** a `ValueError` where `v` is not positive or there are too few points,
    those of [`rgen.check_points`][], and a `NotImplementedError` where no heat kernel
    is known.
    """
    x, y = check_points(manifold, x), check_points(manifold, y)
    if min(len(x), len(y)) < 2:
        raise ValueError(
            "squared_mmd: expected `x` and `y` to hold two points or more, got "
            f"{len(x)} and {len(y)}."
        )
    v = positive_variance("squared_mmd", jnp.asarray(v, x.dtype))
    return _squared_mmd(manifold, x, y, v)


@eqx.filter_jit
def _squared_mmd(manifold: AbstractManifold, x: Array, y: Array, v: Scalar) -> Scalar:
    log_kernel = heat_kernel(manifold).log_prob
    kernel = lambda a, b: jnp.exp(log_kernel(a, b, v))

    def within(a: Array) -> Scalar:
        n = len(a)
        other = lambda row, i: jnp.sum(jnp.where(jnp.arange(n) == i, 0, row))
        rows = pairwise(kernel, a, a)
        return jnp.sum(jax.vmap(other)(rows, jnp.arange(n))) / (n * (n - 1))

    return within(x) + within(y) - 2 * jnp.mean(pairwise(kernel, x, y))
