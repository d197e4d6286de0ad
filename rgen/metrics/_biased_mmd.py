from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._check import check_points
from .._manifold import AbstractManifold
from .._numerics import safe_sqrt
from .._sharding import replicated
from .._typing import Point, Scalar, typed
from ._pairwise import BLOCK


@typed
def biased_mmd(
    manifold: AbstractManifold,
    x: Any,
    y: Any,
) -> Scalar:
    r"""The MMD that tables of few-step models print: the root of the biased estimate
    (V-statistic) of the squared maximum mean discrepancy, with the kernel
    $k(x, y) = e^{-d(x, y)^2}$ of the geodesic distance:

    $$V = \frac{1}{n^2} \sum_{i,j} k(x_i, x_j) - \frac{2}{nm} \sum_{i,j} k(x_i, y_j)
    + \frac{1}{m^2} \sum_{i,j} k(y_i, y_j).$$

    For comparison with those tables only. To compare models, use
    [`rgen.metrics.permutation_test`][].

    - It is not zero for equal distributions, and it depends on the sample sizes. From
        the terms $i = j$, equal distributions have
        $\mathbb E[V] = (\frac1n + \frac1m) (1 - \mathbb E[k(X, X')])$: for $n = m$ the
        result is about $\sqrt{2 (1 - \mathbb E[k(X, X')]) / n}$. Compare values of one
        sample size only, and with [`rgen.metrics.between_halves`][].
    - $e^{-d^2}$ is not positive definite on spheres, tori and $SO(3)$: $V$ may be
        negative, even without sampling error. The result is then $-\sqrt{-V}$;
        published code may have 0 instead.
    - Some published code divides by $n (n - 1)$ instead of $n^2$ and keeps the terms
        $i = j$. Its value is $\sqrt{n / (n - 1)}$ times this one.

    **Arguments:**

    - `manifold`: the manifold.
    - `x`, `y`: samples of the two distributions, of shapes `(n, *point_shape)` and
        `(m, *point_shape)`.

    **Raises:** those of [`rgen.check_points`][], and a `NotImplementedError` where the
    manifold has no `dist`.
    """
    x = replicated(check_points(manifold, x))
    y = replicated(check_points(manifold, y, "y"))
    return _biased_mmd(manifold, x, y)


@eqx.filter_jit
def _biased_mmd(manifold: AbstractManifold, x: Array, y: Array) -> Scalar:
    def mean_kernel(a: Point, z: Array) -> Scalar:
        distances = jax.vmap(lambda b: manifold.dist(a, b))(z)
        return jnp.mean(jnp.exp(-distances * distances))

    # Of each point first: few digits are left to cancel between the means of it.
    witness = lambda a: mean_kernel(a, x) - mean_kernel(a, y)
    mean = lambda z: jnp.mean(jax.lax.map(witness, z, batch_size=BLOCK))
    squared = mean(x) - mean(y)
    return jnp.sign(squared) * safe_sqrt(jnp.abs(squared))
