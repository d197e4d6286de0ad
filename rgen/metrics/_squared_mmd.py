import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .._kernel import heat_kernel
from .._kernel._base import positive_variance
from .._manifold import AbstractManifold
from .._typing import Scalar, typed
from ._pairwise import pairwise
from ._two_samples import two_samples


@typed
def squared_mmd(
    manifold: AbstractManifold,
    x: Any,
    y: Any,
    v: Scalar | float,
) -> Scalar:
    r"""The squared maximum mean discrepancy of the distributions that `x` and `y` are
    sampled from, with the heat kernel for its kernel:

    $$\mathbb E[p_v(X, X')] - 2\,\mathbb E[p_v(X, Y)] + \mathbb E[p_v(Y, Y')]
    = \int_{\mathcal M} (P_{v/2} - Q_{v/2})^2,$$

    the squared $L^2$ distance of the two densities, each convolved with the heat kernel
    of the variance $v/2$.

    This is the unbiased estimate (Gretton et al. 2012, Lemma 6). It is negative about
    half of the time where the distributions are equal. It is in units of the inverse
    volume, and $p_v(x, x)$ bounds the first and the last term. For points that repeat,
    at a small variance in a high dimension, that may exceed the range of float32, and
    the result is infinite: take a larger `v`, or float64.

    **Arguments:**

    - `manifold`: one whose heat kernel [`rgen.heat_kernel`][] knows.
    - `x`, `y`: independent samples of the two distributions, at least two of each, of
        shapes `(n, *point_shape)` and `(m, *point_shape)`.
    - `v`: the accumulated variance: differences that are finer than $\sqrt v$ do not
        count.

    **Raises:** a `ValueError` where `v` is not positive or there are too few points,
    those of [`rgen.check_points`][], and a `NotImplementedError` where no heat kernel
    is known.
    """
    x, y = two_samples("squared_mmd", manifold, x, y)
    v = positive_variance("squared_mmd", jnp.asarray(v, x.dtype))
    return _squared_mmd(manifold, x, y, v)


@eqx.filter_jit
def _squared_mmd(manifold: AbstractManifold, x: Array, y: Array, v: Scalar) -> Scalar:
    log_kernel = heat_kernel(manifold).log_prob
    kernel = lambda a, b: log_kernel(a, b, v)

    def within(a: Array) -> Array:
        values = pairwise(kernel, a, a)
        values = jnp.where(jnp.eye(len(a), dtype=bool), -jnp.inf, values)
        return values - math.log(len(a) * (len(a) - 1))

    between = pairwise(kernel, x, y) - math.log(len(x) * len(y) / 2)
    terms = (within(x), 1), (within(y), 1), (between, -1)
    # In units of the largest term, which alone may be beyond the range of the dtype.
    top = jnp.max(jnp.stack([jnp.max(logs) for logs, _ in terms]))
    top = jnp.where(jnp.isneginf(top), 0, top)
    total = sum(sign * jnp.sum(jnp.exp(logs - top)) for logs, sign in terms)
    return jnp.sign(total) * jnp.exp(top + jnp.log(jnp.abs(total)))
