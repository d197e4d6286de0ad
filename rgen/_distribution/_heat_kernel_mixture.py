import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Shaped

from .._kernel import heat_kernel
from .._manifold import AbstractManifold
from .._numerics import log_sum_exp
from .._typing import Floating, Key, Point, Scalar, typed
from ._base import AbstractDistribution, on_manifold, require
from ._fit import BANDWIDTHS, check_fit, maximise_weights


# Points of validation per pass: what bounds the memory.
_BLOCK = 16


class HeatKernelMixture(AbstractDistribution):
    r"""A mixture of heat kernels centred on data,

    $$p(x) = \sum_k w_k \frac1n \sum_{i=1}^n p_{t_k}(x \mid c_i),$$

    on any manifold whose heat kernel is known. All centres share the weights $w_k$ of
    the variances. The cost of a density and its memory are proportional to `n`: map
    over many points with `jax.lax.map`. On $S^2$,
    [`KernelMixture`][rgen.KernelMixture] is the same for small variances, and
    faster.

    Made by [`fit_heat_kernel_mixture`][rgen.fit_heat_kernel_mixture].

    **Arguments:**

    - `manifold`: the manifold.
    - `centres`: the points $c_i$, of shape `(n, *point_shape)`.
    - `variances`: the accumulated variances $t_k > 0$, of shape `(k,)`. One that is
        not positive is an error.
    - `log_weights`: $\log w_k$, of shape `(k,)`, up to a constant.
    """

    manifold: AbstractManifold
    centres: Floating[Array, "n ..."]
    variances: Floating[Array, " k"]
    log_weights: Floating[Array, " k"]

    @typed
    def __init__(
        self,
        manifold: AbstractManifold,
        centres: Floating[Array, "n ..."],
        variances: Floating[Array, " k"],
        log_weights: Floating[Array, " k"],
    ):
        self.manifold = manifold
        self.centres = centres
        self.variances = require(
            jnp.all(variances > 0),
            variances,
            "HeatKernelMixture: expected `variances` to be positive",
        )
        self.log_weights = log_weights

    @typed
    def log_prob(self, x: Point) -> Scalar:
        x = on_manifold(self.manifold, x)
        each = _log_kernels(self.manifold, self.centres, self.variances, x)
        return log_sum_exp(jax.nn.log_softmax(self.log_weights) + each)

    @typed
    def sample(self, key: Key) -> Point:
        centre_key, variance_key, key = jr.split(key, 3)
        centre = self.centres[jr.choice(centre_key, len(self.centres))]
        t = self.variances[jr.categorical(variance_key, self.log_weights)]
        return heat_kernel(self.manifold).sample(centre, t, key)


@typed
def fit_heat_kernel_mixture(
    manifold: AbstractManifold,
    train: Shaped[Array | np.ndarray, "..."],
    validation: Shaped[Array | np.ndarray, "..."],
    resolution: float,
) -> HeatKernelMixture:
    r"""The mixture of heat kernels centred on the training points, whose weights
    maximise the likelihood of the validation points.

    There are 24 variances, from `resolution` to 1, evenly spaced in their logarithm,
    and their weights are found as those of
    [`fit_kernel_mixture`][rgen.fit_kernel_mixture] are. It is the baseline
    for a diffusion model that stops at the accumulated variance `resolution`.

    **Arguments:**

    - `manifold`: one whose heat kernel [`rgen.heat_kernel`][] knows; else a
        `NotImplementedError` is raised.
    - `train`: points of shape `(n, *point_shape)`: the centres.
    - `validation`: points of shape `(m, *point_shape)`.
    - `resolution`: the accumulated variance $t$, in the metric's unit of length
        squared, between 0 and 1.

    **Raises:** a `ValueError` where the points are empty or off the manifold, or the
    resolution is out of range.
    """
    train, validation = check_fit(
        "fit_heat_kernel_mixture", manifold, train, validation, resolution
    )
    finest = math.log(resolution)
    variances = jnp.exp(jnp.linspace(finest, 0, BANDWIDTHS, dtype=train.dtype))
    log_weights = _fit(manifold, train, validation, variances)
    return HeatKernelMixture(manifold, train, variances, log_weights)


@eqx.filter_jit
def _fit(
    manifold: AbstractManifold,
    train: Floating[Array, "n ..."],
    validation: Floating[Array, "m ..."],
    variances: Floating[Array, " k"],
) -> Floating[Array, " k"]:
    each = lambda y: _log_kernels(manifold, train, variances, y)
    return maximise_weights(jax.lax.map(each, validation, batch_size=_BLOCK))


def _log_kernels(
    manifold: AbstractManifold,
    centres: Floating[Array, "n ..."],
    variances: Floating[Array, " k"],
    x: Point,
) -> Floating[Array, " k"]:
    """For each variance, the log-density at `x` of equal laws at the centres."""
    log_kernel = heat_kernel(manifold).log_prob
    at = lambda t: jax.vmap(lambda centre: log_kernel(centre, x, t))(centres)
    total = lambda t: log_sum_exp(at(t)) - math.log(len(centres))
    return jax.vmap(total)(variances)
