import math
import operator
from typing import Any, NamedTuple, SupportsIndex

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from .._kernel import heat_kernel
from .._kernel._base import positive_variance
from .._manifold import AbstractManifold
from .._typing import Floating, Key, Scalar, typed
from ._pairwise import pairwise_within
from ._two_samples import two_samples


# Partitions whose statistics are computed at a time.
_BLOCK = 128


class PermutationTestResult(NamedTuple):
    """What [`rgen.metrics.permutation_test`][] found.

    - `statistic`: the unbiased squared MMD, [`rgen.metrics.squared_mmd`][], at each of
        the variances, of the shape of `v`.
    - `p_value`: the p-value.
    """

    statistic: Floating[Array, "..."]
    p_value: Scalar


@typed
def permutation_test(
    manifold: AbstractManifold,
    x: Any,
    y: Any,
    v: Scalar | Floating[Array, " k"] | float,
    key: Key,
    permutations: SupportsIndex = 999,
) -> PermutationTestResult:
    r"""The kernel two-sample test: whether `x` and `y` are samples of one distribution
    (Gretton et al. 2012). The statistic is the unbiased squared MMD with the heat
    kernel, [`rgen.metrics.squared_mmd`][], and the p-value its rank among the
    statistics $T_1, \dots, T_B$ of random partitions of all points into samples of the
    same sizes:

    $$p = \frac{1 + \#\{b : T_b \ge T\}}{1 + B}.$$

    If the points are independent and the distributions are equal, then
    $\Pr(p \le \alpha) \le \alpha$ at every sample size and every level $\alpha$. The
    p-value is at least $1 / (1 + B)$. Choose `v` before looking at the p-value.

    **Several variances.** With variances $v_1, \dots, v_k$ the statistic is

    $$T = \max_i \frac{\mathrm{MMD}^2_{v_i}}{\sigma_i},$$

    where $\sigma_i$ is the standard deviation of $\mathrm{MMD}^2_{v_i}$ over all
    partitions, in closed form. This is one test: its p-value needs no correction. It
    loses some power to the best of the variances alone. A sum of the kernels would
    have the power of the largest variances, where each is divided by $p_v(x, x)$, or of
    the smallest, where each is divided by its mean.

    **Choice of `v`.** A difference at the length $s$ shows best near $v = s^2$: blurred
    modes at the variance of a mode, wrong weights of modes at the squared distance
    between them. Where nearly no two points are within $\sqrt v$, the test has no
    power.
    If you don't know the length, take three to five variances a factor of ten apart.

    The time is that of $(n + m)^2 / 2$ evaluations of the kernel for each variance, the
    memory that of a few matrices of size $(n + m)^2$. Statistics within
    $\sqrt\epsilon$ standard deviations of each other, where rounding errors are, count
    as equal: the p-value is 1 where all points are the same.

    **Arguments:**

    - `manifold`: one whose heat kernel [`rgen.heat_kernel`][] knows.
    - `x`, `y`: the samples, at least two points of each, of shapes
        `(n, *point_shape)` and `(m, *point_shape)`.
    - `v`: the accumulated variance of the kernel, or an array of several, of shape
        `(k,)`.
    - `key`: the random key of the partitions.
    - `permutations`: the number $B$ of random partitions.

    **Returns:** an [`rgen.metrics.PermutationTestResult`][], the `statistic` in units
    of the inverse volume. A statistic beyond the range of the dtype is infinite, as for
    [`rgen.metrics.squared_mmd`][], while the p-value is still right.

    **Raises:** a `ValueError` where a `v` is not positive or there is none, where there
    are too few points or `permutations` is less than 1, those of
    [`rgen.check_points`][], and a `NotImplementedError` where no heat kernel is known.
    """
    x, y = two_samples("permutation_test", manifold, x, y)
    permutations = operator.index(permutations)
    if permutations < 1:
        raise ValueError(
            "permutation_test: expected `permutations` of at least 1, got "
            f"{permutations}. For a level of 0.05 take 19 or more."
        )
    v = jnp.asarray(v, x.dtype)
    if v.size == 0:
        raise ValueError(
            "permutation_test: expected at least one variance `v`, got an array of "
            f"shape {v.shape}. Pass one number, or an array of shape (k,)."
        )
    if not isinstance(v, Tracer):
        positive_variance("permutation_test", v.ravel()[np.argmin(v)])
    return _permutation_test(manifold, x, y, v, key, permutations)


@eqx.filter_jit
def _permutation_test(
    manifold: AbstractManifold,
    x: Array,
    y: Array,
    v: Array,
    key: Key,
    permutations: int,
) -> PermutationTestResult:
    n, m = len(x), len(y)
    log_kernel = heat_kernel(manifold).log_prob
    pooled = jnp.concatenate([x, y])
    observed = jnp.arange(n + m) < n
    shuffled = jax.lax.map(
        lambda key: jr.permutation(key, observed),
        jr.split(key, permutations),
        batch_size=_BLOCK,
    )
    partitions = jnp.concatenate([observed[None], shuffled])

    def at(v: Scalar) -> tuple[Array, Scalar]:
        logs = pairwise_within(lambda a, b: log_kernel(a, b, v), pooled)
        # In units of the largest value, which may be beyond the range of the dtype.
        top = jnp.max(logs)
        top = jnp.where(jnp.isneginf(top), 0, top)
        kernel, scale = _standardised(jnp.exp(logs - top), n, m)
        sums = _within_sums(kernel, partitions, n / (n + m))
        log_size = top + jnp.log(scale * jnp.abs(sums[0]))
        return sums, jnp.sign(sums[0]) * jnp.exp(log_size)

    sums, statistics = jax.lax.map(at, jnp.atleast_1d(v))
    largest = jnp.max(sums, axis=0)
    # Standard deviations are the unit here. More ties make a p-value larger.
    tie = math.sqrt(jnp.finfo(x.dtype).eps)
    beyond = jnp.sum(largest[1:] >= largest[0] - tie)
    p_value = ((1 + beyond) / (1 + permutations)).astype(x.dtype)
    # No comparison with a NaN is true, which would be the smallest p-value there is.
    p_value = jnp.where(jnp.isnan(largest[0]), jnp.nan, p_value)
    return PermutationTestResult(jnp.reshape(statistics, v.shape), p_value)


def _standardised(kernel: Array, n: int, m: int) -> tuple[Array, Scalar]:
    """The kernel matrix, centred and scaled so that its sum over the pairs of distinct
    points within a random subset of size `n` has mean 0 and standard deviation 1; and
    what this sum is multiplied with to be the squared MMD.

    The squared MMD does not change when a function of one point and a constant are
    subtracted. When all rows sum to zero without the diagonal, the sums within `x` and
    within `y` are equal, and the opposite of that between them."""
    size = n + m
    diagonal = jnp.eye(size, dtype=bool)
    pairs = size * (size - 1)
    centred = jnp.where(diagonal, 0, kernel - jnp.sum(kernel) / pairs)
    rows = jnp.sum(centred, axis=1) / (size - 2)
    centred = centred - rows[:, None] - rows
    centred = jnp.where(diagonal, 0, centred)

    # What varies less than this is rounding.
    least = math.sqrt(jnp.finfo(kernel.dtype).eps) * _root_mean_square(kernel, pairs)
    deviation = jnp.maximum(_root_mean_square(centred, pairs), least)
    deviation = jnp.where(deviation == 0, 1, deviation)
    # The variance of the sum is twice the sum of all squares, times the difference
    # p_2 - 2 p_3 + p_4 of the probabilities that k points are all in the subset.
    others = (size - 2) * (size - 3)
    deviation = deviation * math.sqrt(2 * n * (n - 1) * m * (m - 1) / others)
    weight = 1 / (n * (n - 1)) + 1 / (m * (m - 1)) + 2 / (n * m)
    return centred / deviation, weight * deviation


def _root_mean_square(a: Array, count: int) -> Scalar:
    return jnp.sqrt(jnp.sum(a * a) / count)


def _within_sums(kernel: Array, partitions: Array, share: float) -> Array:
    """The sum of a centred matrix over the pairs within each subset."""

    def one(inside: Array) -> Scalar:
        # Minus the mean, so that rounding errors in the sums of rows cancel.
        signs = inside - jnp.asarray(share, kernel.dtype)
        # In full precision on GPUs, too.
        return jnp.sum(signs * jnp.matmul(kernel, signs, precision="highest"))

    return jax.lax.map(one, partitions, batch_size=_BLOCK)
